"""Run a whole Python process with an image: shared by ``aotnb run`` and by the ``AOTNB_*`` environment variables.

May import: ``aotnb.errors`` and what the interpreter has loaded anyway; ``aotnb.session`` only inside functions and only
once Numba is there. So a process that never imports Numba pays two milliseconds for this file (no typing, dataclasses,
contextlib or importlib.abc here or in ``aotnb/__init__``: they cost twenty), and with the variables unset nothing: the
one-line ``aotnb-autostart.pth`` tests them before it imports anything.

Glossary: *start* = remember what is wanted and wait for Numba; *engage* = Numba has just been imported: install the
hooks and load the image; *finish* = save and report, at exit or when ``aotnb run`` says so.

Processes. A forked child inherits the hooks and the mapped image and never writes a file. A child that is a Python
process of its own (spawn, forkserver, loky, Dask, a kernel) goes through the ``.pth`` again: it loads the image, and
writes only if ``AOTNB_RECORD`` is set and it compiled something. Writes are atomic, and each adds to what is there. A process
that ends without running exit handlers (``os._exit``, a signal) writes nothing.
"""

from __future__ import annotations

import atexit
import os
import sys

from aotnb.errors import AotError, ImageRejected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from aotnb.core.records import Compilation, Miss, SaveReport, Status

# An image refused for one of these is a sound image of another environment: recording may replace it. Whatever else
# stands at the path (a text file, a damaged or a foreign image) is never overwritten.
REPLACEABLE = frozenset({"missing_file", "version_changed", "cpu_mismatch", "format_version", "symbol_missing"})

# Misses that say "never seen", not "seen and refused"; they make no noise without -v.
_UNSEEN = frozenset({"not_traced", "compiled_before_hooks", "not_relocatable"})


class _Run:
    """What this process was asked to do and how far it got."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.image: str | None = None
        self.record = False
        self.report: str | None = None
        self.traces: list[tuple[str | None, str | None, bool]] = []  # trace files: compiled, dispatched, emptied first
        self.verbose = False
        self.always_report = True
        self.engaged = False
        self.overwrite = True
        self.append = True  # to what is at the path by then; another process may have saved meanwhile
        self.loaded: set[str] = set()
        self.error: str | None = None
        self.result: dict[str, Any] | None = None


_run: _Run | None = None


def start(
    image: str | os.PathLike[str] | None = None,
    record: bool = False,
    report: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    trace_compile: str | None = None,
    trace_dispatch: str | None = None,
    fresh_traces: bool = True,
) -> None:
    """Serve this process from ``image`` as soon as Numba is imported; save and report at exit.

    Parameters
    ----------
    image : path, optional
        Image to load, and with ``record`` to write. A refused image is one sentence on standard error; the process
        goes on without it.
    record : bool
        Write what was compiled back to ``image`` at exit. A missing image is then no error.
    report : path, optional
        Write a JSON object on what happened at exit.
    verbose : bool
        List every miss on standard error at exit.
    trace_compile, trace_dispatch : path or "stderr", optional
        Write what is compiled, what is asked for, as replayable statements.
    fresh_traces : bool
        Empty these files first; otherwise append to them.

    Notes
    -----
    Idempotent: a later call adds to the settings of an earlier one (the environment's), and what it gives wins.
    Paths are made absolute here, since a script may change the working directory.
    """
    run = _current()
    run.result = None
    run.image = os.path.abspath(os.fspath(image)) if image is not None else run.image
    run.report = os.path.abspath(os.fspath(report)) if report is not None else run.report
    run.record = run.record or record
    run.verbose = run.verbose or verbose
    run.always_report = True
    if trace_compile or trace_dispatch:
        run.traces.append((_trace_path(trace_compile), _trace_path(trace_dispatch), fresh_traces))
    if "numba" in sys.modules:
        _engage()
    elif not any(isinstance(finder, _NumbaWatcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NumbaWatcher())


def start_from_environment() -> None:
    """Read the ``AOTNB_*`` variables and start; called by the ``.pth``, never raises.

    Unlike ``aotnb run``, a process that never imports Numba writes no report: helper processes (the resource tracker of
    multiprocessing, for one) inherit the variables, end last, and would overwrite the report that matters.
    """
    try:
        record = os.environ.get("AOTNB_RECORD", "").strip().lower() not in ("", "0", "false", "no", "off")
        start(
            os.environ.get("AOTNB_IMAGE") or None,
            record,
            os.environ.get("AOTNB_REPORT") or None,
            trace_compile=os.environ.get("AOTNB_TRACE_COMPILE"),
            trace_dispatch=os.environ.get("AOTNB_TRACE_DISPATCH"),
            fresh_traces=False,  # processes that share the variable share the file
        )
        _current().always_report = False
    except Exception as error:  # noqa: BLE001  a broken start must never break the interpreter's
        _say(f"could not start from the environment: {error}")


def _write_traces(run: _Run) -> None:
    """Begin the trace files; one that cannot be written must not cost the image."""
    from aotnb import session

    for compiled, dispatched, fresh in run.traces:
        try:
            session.write_statements(compiled, dispatched, fresh=fresh)
        except AotError as error:
            _fail(run, error)
    run.traces.clear()


def _trace_path(path: str | None) -> str | None:
    return path if path == "stderr" else os.path.abspath(path) if path else None


def problem_with(image: str | os.PathLike[str] | None, record: bool) -> str | None:
    """Say in one sentence why ``image`` cannot be used as asked, or None; looks at the path only, not inside.

    ``aotnb run`` asks this before it runs the script, so a mistyped path costs no computation.
    """
    if image is None:
        return "there is nothing to record to: give an image with --image FILE or AOTNB_IMAGE=FILE" if record else None
    path = os.path.abspath(os.fspath(image))
    if os.path.isdir(path):
        return f"{path} is a directory, not an image file"
    if not os.path.exists(path) and not record:
        return f"there is no image at {path}; add --record (or AOTNB_RECORD=1) to make one"
    folder = os.path.dirname(path)
    if record and not os.path.isdir(folder):
        return f"the folder {folder} for the image does not exist; create it first"
    if record and not os.access(folder, os.W_OK):
        return f"the folder {folder} is not writable, so the image cannot be saved there"
    return None


def finish() -> dict[str, Any] | None:
    """Save what was compiled (when recording), write the report, say what was refused; return the report.

    Runs once: ``aotnb run`` calls it after the script, else the interpreter does at exit. Returns None where nothing
    was started, and in a forked child.
    """
    run = _run
    if run is None or run.pid != os.getpid():
        return None
    if run.result is None:
        run.result = _finish(run)
    return run.result


def _current() -> _Run:
    """Return the settings of this process, made at the first call, with the exit handler."""
    global _run
    if _run is None:
        _run = _Run()
        atexit.register(finish)
    return _run


def _engage() -> None:
    """Numba is there: install the hooks and load the image. Never raises, the script must run in any case."""
    run = _run
    if run is None:
        return
    try:
        from aotnb import session

        session.activate()
        run.engaged = True
        _write_traces(run)
        if run.image is None and not run.record:
            return
        problem = problem_with(run.image, run.record)
        if problem is not None:
            raise AotError(problem)
        if run.record:
            from aotnb import saving

            saving.check_cpu_target()  # a mistake in AOTNB_CPU_TARGET is told now, not when all has been compiled
        if run.image is not None and run.image not in run.loaded and os.path.exists(run.image):
            session.load(run.image)
            run.loaded.add(run.image)
    except ImageRejected as error:
        if run.record and error.reason in REPLACEABLE:
            run.append = False
            _say(f"{_sentence(error)} (it will be replaced)")
        else:
            run.overwrite = False
            _fail(run, error)
    except Exception as error:  # noqa: BLE001  a script must not die of its accelerator
        run.overwrite = False
        _fail(run, error)


def _finish(run: _Run) -> dict[str, Any]:
    status: Status | None = None
    compiled: tuple[Compilation, ...] = ()
    saved: SaveReport | None = None
    if run.engaged:
        from dataclasses import asdict

        from aotnb import session

        try:
            status = session.status()
            compiled = tuple(session.compiled())
            saved = _save(run, compiled)
            for item in saved.unexplained if saved is not None else ():
                _say(f"{item.module}.{item.function}: {item.detail}")
        except Exception as error:  # noqa: BLE001  exit handlers report, they do not raise
            _fail(run, error)
        if status is not None:
            _tell_misses(status.misses, run.verbose)
    result: dict[str, Any] = {
        "active": status is not None and status.active,
        "images": [asdict(image) for image in status.images] if status else [],
        "compilations": status.compilations if status else 0,
        "compiled": [asdict(compilation) for compilation in compiled],
        "served": [asdict(served) for served in status.served] if status else [],
        "misses": [asdict(miss) for miss in status.misses] if status else [],
        "saved": asdict(saved) if saved is not None else None,
        "error": run.error,
    }
    if run.report is not None and (run.always_report or run.engaged or run.error):
        _write_report(run, result)
    return result


def _save(run: _Run, compiled: tuple[Compilation, ...]) -> SaveReport | None:
    """Write the image, unless nothing new could go into it (the file then stays as it is, byte for byte)."""
    if not (run.record and run.image is not None and run.overwrite and compiled):
        return None
    if run.image in run.loaded and not any(compilation.saveable for compilation in compiled):
        return None
    from aotnb import saving

    return saving.save(run.image, append=run.append)


def _write_report(run: _Run, result: dict[str, Any]) -> None:
    import json

    assert run.report is not None
    temporary = f"{run.report}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(result, stream, indent=1)
            stream.write("\n")
        os.replace(temporary, run.report)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        result["error"] = result["error"] or f"the report could not be written: {error}"
        _say(f"the report could not be written: {error}")


def _tell_misses(misses: Sequence[Miss], verbose: bool) -> None:
    """List every miss with ``verbose``; else one line, only where stored code was refused."""
    if verbose:
        for miss in misses:
            _say(f"{miss.module}.{miss.function}{miss.signature}: {miss.reason}: {miss.detail}")
        return
    counts: dict[str, int] = {}
    for miss in misses:
        if miss.reason not in _UNSEEN:
            counts[miss.reason] = counts.get(miss.reason, 0) + 1
    if counts:
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
        _say(f"stored code was refused and compiled afresh: {listed} (aotnb run -v lists them)")


def _fail(run: _Run, error: Exception) -> None:
    run.error = run.error or _sentence(error)
    _say(_sentence(error))


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, AotError) else f"unexpected {type(error).__name__}: {text}"


def _say(sentence: str) -> None:
    """Write one line to standard error, which may be missing or closed at exit."""
    try:
        print(f"aotnb: {sentence}", file=sys.stderr, flush=True)
    except Exception:  # noqa: BLE001
        pass


_SESSION = "aotnb.session"


class _NumbaWatcher:
    """Engage right after ``import numba``, before any other module can have a function compiled.

    Where aotnb itself imports Numba first (``%load_ext aotnb``), engage as soon as our own session is there.
    """

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in ("numba", _SESSION):
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if isinstance(finder, _NumbaWatcher) or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                self._watch(spec)
                return spec
        return None

    def _watch(self, spec: ModuleSpec) -> None:
        """Put the hook on this one loader object, so its type (resources, source, reload) stays what it was."""
        loader: Any = spec.loader
        original = getattr(loader, "exec_module", None)
        if original is None:
            return

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            original(module)
            if spec.name == _SESSION or _SESSION not in sys.modules or hasattr(sys.modules[_SESSION], "activate"):
                sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
                _engage()

        try:
            loader.exec_module = exec_module
        except AttributeError:  # a loader that takes no attributes: aotnb stays out
            pass
