"""The magics: parse, one public call, return a report. Their ``?`` help is generated from the arguments."""

from __future__ import annotations

import ast
import difflib
import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display
from traitlets import Bool, Enum, TraitError, Unicode, observe, validate

from aotnb import session, settings
from aotnb.building.link import LINKERS
from aotnb.display import asked, bundle, explorer
from aotnb.display.progress import Display, Silent, Watched, for_stream
from aotnb.errors import AotError
from aotnb.log import LEVELS
from aotnb.reports import merges, question, roots, stragglers
from aotnb.reports.changes import Invalidations

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

    from aotnb.automatic import Auto
    from aotnb.building.background import BackgroundSave
    from aotnb.magics.cells import TracedCells
    from aotnb.magics.complete import Completer
    from aotnb.magics.keep import Keeper
    from aotnb.magics.watch import Watcher
    from aotnb.session import Trace

F = TypeVar("F", bound=Callable[..., Any])


def file_name(text: str) -> str:
    """Return a path as typed: IPython leaves the quotes on, and nobody expands the tilde."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return os.path.expanduser(text)


def one_sentence(magic: F) -> F:
    """Let a user's mistake fail the cell with its sentence alone, no traceback; other errors stay what they are."""

    @functools.wraps(magic)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return magic(*args, **kwargs)
        except AotError as error:
            line = f"{type(error).__name__}: {error}"
            error._render_traceback_ = lambda: [line]  # type: ignore[attr-defined]
            raise

    return wrapper  # type: ignore[return-value]


def builds(magic: F) -> F:
    """Let an interrupt of a build show one sentence in place of the builder's frames."""

    @functools.wraps(magic)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return magic(*args, **kwargs)
        except KeyboardInterrupt as error:
            line = f"KeyboardInterrupt: %{magic.__name__} was interrupted; no file is left half-written"
            error._render_traceback_ = lambda: [line]  # type: ignore[attr-defined]
            raise

    return wrapper  # type: ignore[return-value]


_QUIET = argument("-q", "--quiet", action="store_true", help="Show nothing on success.")


@magics_class
class AotMagics(Magics):
    """Trace cells, save what Numba compiled as a native image, load it in a later kernel."""

    image = Unicode(settings.SETTINGS["image"].default, help=settings.SETTINGS["image"].what).tag(config=True)
    link = Enum(("auto", *LINKERS), settings.SETTINGS["link"].default, help=settings.SETTINGS["link"].what).tag(config=True)
    check = Bool(settings.SETTINGS["check"].default, help=settings.SETTINGS["check"].what).tag(config=True)
    quiet = Bool(settings.SETTINGS["quiet"].default, help=settings.SETTINGS["quiet"].what).tag(config=True)
    log = Unicode(settings.SETTINGS["log"].default, help=settings.SETTINGS["log"].what).tag(config=True)

    @observe(*settings.SETTINGS)
    def _configured(self, change: Any) -> None:
        """Take over what ``%config AotMagics`` or a profile sets; before the extension is installed it is only noted."""
        settings.configure(change["name"], change["new"])
        watcher: Watcher | None = getattr(self, "watcher", None)
        if watcher is None:
            return
        if change["name"] == "log":
            session.set_up_log()
        elif change["name"] == "check":
            watcher.install() if settings.get("check") else watcher.uninstall()

    @validate("log")
    def _known_level(self, proposal: Any) -> Any:
        level = proposal["value"].partition(":")[0]
        if level and level.lower() not in LEVELS:
            raise TraitError(f"the log level {level!r} is unknown; it is one of {', '.join(LEVELS)}, or LEVEL:FILE")
        return proposal["value"]

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        cells: TracedCells,
        completer: Completer,
        watcher: Watcher,
        keeper: Keeper,
        deactivate: bool,
        profile: Any,
    ) -> None:
        super().__init__(shell)
        self.cells = cells
        self.completer = completer
        self.watcher = watcher
        self.keeper = keeper
        self.deactivate = deactivate
        self.profile = profile  # what the shell's configuration had for these magics before

    @magic_arguments()
    @argument("name", nargs="?", metavar="NAME", help="Name of the trace, for %%aot_save --trace and %%aot_diff.")
    @_QUIET
    @no_var_expand
    @line_cell_magic
    @one_sentence
    def aot_trace(self, line: str, cell: str | None = None) -> Any:
        """Record every compilation that the cell causes, in the notebook and inside libraries.

        As ``%%aot_trace`` on the first line it traces the whole cell, as ``%aot_trace`` the rest of it.
        The report on the trace is shown when the cell has succeeded.
        """
        __tracebackhide__ = True
        args = _parse(self.aot_trace, line)
        if cell is None:
            return self.cells.begin(args.name, quiet=_quiet(args))
        return self.cells.run_stacked(args.name, cell, quiet=_quiet(args))

    @magic_arguments()
    @argument("name", nargs="?", metavar="NAME", help="The trace; the last one if none is given.")
    @argument("--html", metavar="FILE", type=file_name, help="Also write it as one HTML file with all rows and the plot.")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_report(self, line: str) -> bundle.Report:
        """Give the report on a trace again: ``report = %aot_report``, then ``report.frame`` is a pandas frame."""
        args = _parse(self.aot_report, line)
        report = bundle.trace_report(_trace(args.name))
        if args.html is not None:
            report.to_html(args.html)
        return report

    @magic_arguments()
    @argument("name", nargs="?", metavar="NAME", help="The trace; everything compiled in this kernel if none is given.")
    @argument("--write", metavar="FOLDER", type=file_name, help="Write a trace file for each package, for aotnb precompile.")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_parcel(self, line: str) -> bundle.Report:
        """Show which packages own what was compiled, with seconds, and write statements that compile it again."""
        args = _parse(self.aot_parcel, line)
        return asked.parcel(args.name, write=args.write)

    @magic_arguments()
    @argument("file", nargs="?", metavar="FILE", type=file_name, help="Where to save; an image that is there is replaced.")
    @argument("--trace", metavar="NAME", help="Save this trace only, not everything recorded in this kernel.")
    @argument("-a", "--append", action="store_true", help="Keep the entries of an image that is there.")
    @argument("-j", "--journal", action="store_true", help="Leave the image as it is; add what is new to its journal.")
    @argument("--cpu-target", type=file_name, metavar="TARGETS", help="CPUs to compile for, such as 'generic;x86-64-v3'.")
    @argument("--link", choices=("auto", *LINKERS), default="auto", help="How to link; auto takes the first there is.")
    @argument(
        "--base",
        metavar="FILE",
        type=file_name,
        action="append",
        help="Build on this loaded base image; without the option, on those that have served something.",
    )
    @argument("--emit", metavar="KINDS", help="Write archives beside the image: object, bitcode, assembly, with commas between.")
    @argument("--background", action="store_true", help="Build in another process while cells go on; tells when it is done.")
    @_QUIET
    @no_var_expand
    @line_magic
    @one_sentence
    @builds
    def aot_save(self, line: str) -> bundle.Report | BackgroundSave | None:
        """Compile what was traced into one native image.

        With ``--background`` it returns an object with ``wait()`` and ``cancel()``.
        """
        args = _parse(self.aot_save, line)
        trace = None if args.trace is None else _trace(args.trace)
        emit = args.emit.split(",") if args.emit else ()
        if args.background and emit:
            raise UsageError("--background and --emit do not go together: leave one out")
        if args.append and args.journal:
            raise UsageError("--append and --journal do not go together: the one adds to the image, the other to its journal")
        options = {name: getattr(args, name) for name in ("link", "append", "journal", "base", "cpu_target")}
        from aotnb import saving

        if args.background:
            return saving.save_in_background(args.file, trace, **options, tell=print)
        with _progress(self.shell, quiet=_quiet(args)) as progress:
            report = saving.save(args.file, trace, emit=emit, progress=progress, **options)
        return None if _quiet(args) else bundle.save_report(report)

    @magic_arguments()
    @argument("file", nargs="?", metavar="FILE", type=file_name, help="An image with a journal.")
    @argument("--link", choices=("auto", *LINKERS), default="auto", help="How to link; auto takes the first there is.")
    @_QUIET
    @no_var_expand
    @line_magic
    @one_sentence
    @builds
    def aot_compact(self, line: str) -> bundle.Report | None:
        """Fold the journal of an image, which ``%aot_save --journal`` wrote, into the image.

        Nothing is compiled anew. Do it at any time, or never: it makes one file again, smaller and quicker to load.
        """
        from aotnb import saving

        args = _parse(self.aot_compact, line)
        with _progress(self.shell, quiet=_quiet(args)) as progress:
            report = saving.compact(args.file, link=args.link, progress=progress)
        return None if _quiet(args) else bundle.save_report(report)

    @magic_arguments()
    @argument("file", nargs="?", metavar="FILE", type=file_name, help="An image that %%aot_save or aotnb run --record wrote.")
    @_QUIET
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_load(self, line: str) -> bundle.Report | None:
        """Map a native image: from now on its code is used instead of the JIT, wherever it is still valid.

        Load before the libraries are imported: some of them compile while they are.
        """
        args = _parse(self.aot_load, line)
        report = session.load(args.file)
        return None if _quiet(args) else bundle.load_report(report)

    @magic_arguments()
    @argument("file", nargs="?", metavar="FILE", type=file_name, help="The image; it need not be there yet.")
    @argument("--off", action="store_true", help="Store what is new, and add nothing more.")
    @_QUIET
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_auto(self, line: str) -> Auto | None:
        """Load the image if it is there, and after each cell add to it what the cell compiled, in a process of its own.

        One line at the top of a notebook, before the libraries are imported.
        """
        args = _parse(self.aot_auto, line)
        if args.off:
            if args.file is not None:
                raise UsageError("%aot_auto takes a file or --off, not both")
            self.keeper.end()
            return None
        found = self.keeper.begin(args.file)
        return None if _quiet(args) else found

    @magic_arguments()
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_status(self, line: str) -> bundle.Report:
        """Show the loaded images, what they served, what was compiled all the same, and why."""
        _parse(self.aot_status, line)
        return bundle.status_report(session.status())

    @magic_arguments()
    @argument("func", nargs="?", metavar="FUNC", help="Name of a compiled function, or the end of it; all if none is given.")
    @argument("--growth", action="store_true", help="One row for each compilation: what it added, what it shared.")
    @argument("--merge", nargs=2, metavar=("A", "B"), type=file_name, help="What loading two images makes of their roots.")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_roots(self, line: str) -> bundle.Report:
        """Show the objects that compiled code refers to, in the roots table of each method: who added each, who uses it."""
        args = _parse(self.aot_roots, line)
        if args.merge is not None:
            if args.func is not None or args.growth:
                raise UsageError("%aot_roots --merge A B takes neither a function nor --growth")
            return bundle.merge_report(*merges.merge_tables(args.merge), args.merge)
        if args.growth:
            return bundle.growth_report(roots.growth_table(args.func))
        return bundle.roots_report(roots.roots_table(args.func), args.func)

    @magic_arguments()
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_stragglers(self, line: str) -> bundle.Report:
        """Show what was compiled although an image was loaded, what no save can take, and why; the costliest first."""
        _parse(self.aot_stragglers, line)
        return bundle.stragglers_report(stragglers.stragglers())

    @magic_arguments()
    @argument("--off", action="store_true", help="Look no longer for redefinitions and rebindings in this notebook.")
    @argument("--on", action="store_true", help="Look for them again.")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_invalidations(self, line: str) -> bundle.Report | None:
        """Show which compiled code was invalidated by a redefinition or a rebinding, and by which; largest losses first."""
        args = _parse(self.aot_invalidations, line)
        if args.on and args.off:
            raise UsageError("%aot_invalidations takes --on or --off, not both")
        if args.on or args.off:
            self.watcher.uninstall() if args.off else self.watcher.install(force=True)
            return None
        return bundle.invalidations_report(Invalidations(session.invalidations()))

    @magic_arguments()
    @argument("call", nargs="*", metavar="CALL", help="A call of a jitted function, such as f(x, 2).")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_explain(self, line: str) -> bundle.Report:
        """Say whether a call would be served from an image or compiled, and why. Its arguments are evaluated, the call is not."""
        func, args, kwargs = _call(line, self.shell.user_ns)
        return bundle.explanation_report(question.explain(func, *args, **kwargs))

    @magic_arguments()
    @argument("a", metavar="A", type=file_name, help="The earlier trace, or an image.")
    @argument("b", metavar="B", type=file_name, help="The later trace, or an image.")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_diff(self, line: str) -> bundle.Report:
        """Compare two traces, two images or two worlds: which compilations were added, removed or changed, and by which edge."""
        args = _parse(self.aot_diff, line)
        return bundle.diff_report(asked.side(args.a), asked.side(args.b))

    @magic_arguments()
    @argument("folder", nargs="?", default=".", metavar="FOLDER", type=file_name, help="Where to look, with the folders below.")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_list(self, line: str) -> bundle.Report:
        """Show the images in a folder: size, entries, CPU targets, versions, and why one cannot be loaded here."""
        return asked.images(_parse(self.aot_list, line).folder)

    @magic_arguments()
    @argument("folder", nargs="?", default=".", metavar="FOLDER", type=file_name, help="Where to look, with the folders below.")
    @argument("--refused", action="store_true", help="Remove images that cannot be loaded in this environment.")
    @argument("--max-size", metavar="SIZE", help="Remove the oldest until the others have no more than this, such as 500MB.")
    @argument("--older-than", metavar="DAYS", type=float, help="Remove images that were saved before so many days.")
    @argument("-n", "--dry-run", action="store_true", help="Show what would be removed, and remove nothing.")
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_prune(self, line: str) -> bundle.Report:
        """Remove images with their journals: those that cannot be loaded here, the oldest beyond a size, or the old ones."""
        args = _parse(self.aot_prune, line)
        return asked.prune(
            args.folder, refused=args.refused, max_size=args.max_size, older_than=args.older_than, dry_run=args.dry_run
        )

    @magic_arguments()
    @no_var_expand
    @line_magic
    @one_sentence
    def aot_explore(self, line: str) -> explorer.Explorer:
        """Look around in widgets: code instances with source, IR and assembly, roots, edges, stragglers; save and load."""
        _parse(self.aot_explore, line)
        return explorer.explore()


def _quiet(args: Namespace) -> bool:
    return bool(args.quiet or settings.get("quiet"))


def _parse(magic: Any, line: str) -> Namespace:
    """Parse the arguments; an open quote is a mistake like any other."""
    __tracebackhide__ = True
    name = magic.__name__
    try:
        return parse_argstring(magic, line)
    except ValueError as error:
        raise UsageError(f"{error} in: {line}") from None
    except UsageError as error:
        raise UsageError(f"{error}{_meant(magic, str(error))}; %{name}? shows what %{name} takes") from None


def _meant(magic: Any, error: str) -> str:
    """Return a question for the option that a mistyped one is near to."""
    known = [name for action in magic.parser._actions for name in action.option_strings]
    near = [match for word in error.split() if word.startswith("-") for match in difflib.get_close_matches(word, known, 1)]
    return f"; did you mean {near[0]}?" if near and near[0] not in error.split() else ""


def _call(line: str, names: dict[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return function and arguments of the call that *line* is, without calling."""
    __tracebackhide__ = True
    try:
        call = ast.parse(line.strip(), mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call):
        raise UsageError("%aot_explain takes a call of a jitted function, such as: %aot_explain f(x, 2)")
    names = {**names, "__aotnb_collect__": lambda *args, **kwargs: (args, kwargs)}
    try:
        func = eval(compile(ast.Expression(call.func), "<aot_explain>", "eval"), names)
        call.func = ast.copy_location(ast.Name("__aotnb_collect__", ast.Load()), call.func)
        args, kwargs = eval(compile(ast.Expression(call), "<aot_explain>", "eval"), names)
    except NameError as error:
        raise UsageError(f"{error}; run the cell that defines it first") from None
    return func, args, kwargs


def _trace(name: str | None) -> Trace:
    """Return a closed trace by name, or the last one."""
    __tracebackhide__ = True
    known = session.traces()
    trace = session.last_trace() if name is None else known.get(name)
    if trace is None:
        which = "there is no trace yet" if name is None else f"there is no trace {name!r}"
        raise UsageError(f"{which}; known: {', '.join(known)}" if known else f"{which}; begin a cell with %%aot_trace NAME")
    return trace


def _progress(shell: InteractiveShell, *, quiet: bool) -> Watched | Silent:
    """Return progress that fits the front end."""
    if quiet or not is_watched(shell):
        return Silent()
    return for_stream(sys.stderr) if getattr(shell, "kernel", None) is None else Watched(Display(_publish))


def is_watched(shell: InteractiveShell) -> bool:
    """Return whether somebody may look on: not where the front end takes no input (nbconvert, CI)."""
    kernel = getattr(shell, "kernel", None)
    return kernel is None or bool(getattr(kernel, "_allow_stdin", True))


def _publish(data: dict[str, str]) -> Callable[[dict[str, str]], Any]:
    handle = display(data, raw=True, display_id=True)
    return functools.partial(handle.update, raw=True)
