"""One process's state behind :func:`trace` and :func:`load`. The builder is imported only to describe code; never IPython."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aotnb import log, settings, workload
from aotnb.bridge import compat, hooks
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.typing_errors import words
from aotnb.core.digest import digest
from aotnb.core.faces import Faces
from aotnb.core.records import Compilation, Dropped, Invalidation, LoadReport, Miss, Served, Specialization, Status
from aotnb.core.roots import RootsRegistry
from aotnb.core.text import type_text
from aotnb.errors import AotError, TraceError, VerifyMismatch
from aotnb.image.contents import specialization
from aotnb.image.model import CodeInstance
from aotnb.loading.loader import Resolver
from aotnb.loading.mapped import LoadedImage
from aotnb.loading.validate import Validator
from aotnb.tracing.instance import Instance
from aotnb.tracing.recorder import Recorder
from aotnb.tracing.statements import Statements, TraceFile, statements_of
from aotnb.worlds.live import Worlds

if TYPE_CHECKING:
    from aotnb.building.roots import SessionRoots


class Session:
    """The recorder and the resolver of this process, from :func:`activate` on."""

    def __init__(self) -> None:
        self.early = numba_facts.compilations_begun()  # before anybody watched
        self.roots = RootsRegistry()
        self.recorder = Recorder()
        self.resolver = Resolver(self.roots)
        self.recorder.answer = self.resolver.answer
        self.recorder.caller_flags = self.resolver.caller_flags
        self.recorder.answer_wrapper = self.resolver.answer_wrapper
        self.resolver.is_nested = self.recorder.is_compiling
        self.resolver.reads_hold = self._reads_hold
        self.worlds = Worlds(self.recorder, self._image_holds)
        if settings.get("check"):
            self.recorder.find_again = self.worlds.find_again
        self.verified = 0
        if os.environ.get("AOTNB_VERIFY", "0") not in ("", "0"):
            self.resolver.verifying = True
            self.worlds.verifying = True
            self.recorder.after_compile = self._verify
        self.traces: dict[str, Trace] = {}
        self.open_trace: Trace | None = None
        self.last_trace: Trace | None = None
        self.own_roots: SessionRoots | None = None  # made when somebody asks
        self.statements = Statements()
        self._called: set[int] | None = None  # in a setup block: what Python had asked for before
        self.dropped: tuple[Dropped, ...] = ()  # by the last save
        self.stored: dict[Path, set[int]] = {}  # image -> indexes of the instances that it or its journal was given

    def begin_setup(self) -> None:
        """What Python asks for from now on is not saved for that."""
        self._called = {id(instance) for instance in self.recorder.instances if instance.python_called}

    def end_setup(self) -> None:
        """Forget what was asked for since :meth:`begin_setup`."""
        known, self._called = self._called, None
        for instance in self.recorder.instances if known is not None else ():
            if id(instance) not in known:  # type: ignore[operator]
                instance.python_called = False

    def _reads_hold(self, library: Any, instance: CodeInstance) -> bool:
        edges = [(e.kind, e.name, e.digest) for e in instance.edges if e.kind in ("global", "free", "attribute")]
        return self.recorder.is_equal(library, edges, instance.flags, instance.config)

    def _image_holds(self, instance: Instance) -> bool:
        """Return whether code that an image gave to a dispatcher would be given to it now, and remember what was found."""
        image, number = instance.from_image
        verdict = Validator(image.reader, tuple(instance.args), self._reads_hold, image.frozen).check(number, instance.func)
        if verdict.reason is None:
            instance.result.library.verdict = verdict
        return verdict.reason is None

    def _verify(self, instance: Instance) -> None:
        """Compare code that was just compiled with the stored code that would have been served instead."""
        expected, self.resolver.expected = self.resolver.expected, None
        again, self.worlds.expected = self.worlds.expected, None
        if expected is not None:
            there, here = self._stored_outcome(expected), _outcome(instance)
            if there != here:
                self.verified += 1
                raise VerifyMismatch(
                    f"the stored outcome of {expected.module}.{expected.qualname} {expected.signature} is {there}, "
                    f"compiling afresh gives {here}: an edge is missing, please report this"
                )
            self.verified += instance.result is None
        if instance.result is None:
            return
        from aotnb.building.plan import Planner, first_problems

        if again is not None and id(again) not in first_problems([again]):
            self.verified += 1
            names = [Planner(self.recorder).library_name(item) for item in (again, instance)]
            if names[0] != names[1]:
                raise VerifyMismatch(
                    f"code of {instance.module}.{instance.qualname} {instance.signature} that was compiled before is {names[0]}, "
                    f"compiling it afresh gives {names[1]}: an edge is missing, please report this"
                )
        if expected is None:
            return
        self.verified += 1
        planner, image = Planner(self.recorder), self.resolver.expected_of
        fresh = planner.library_name(instance)
        if fresh != expected.library and not (image and planner.differs_in_order_only(instance, image, expected.library or "")):
            raise VerifyMismatch(
                f"the stored code of {expected.module}.{expected.qualname} {expected.signature} is {expected.library}, "
                f"compiling afresh gives {fresh}: an edge is missing, please report this"
            )

    def _stored_outcome(self, expected: CodeInstance) -> str:
        if expected.literals is not None:
            return f"a request for literals at {expected.literals}"
        if expected.refusal is None:
            return "code"
        assert self.resolver.expected_of is not None
        tree = self.resolver.expected_of.root(expected, expected.refusal[0])[1]
        return f"the error {digest(words(tree))}"


def _outcome(instance: Instance) -> str:
    """Say what came of a compilation, as :meth:`Session._stored_outcome` does of a stored one."""
    if instance.literals is not None:
        return f"a request for literals at {sorted(instance.literals)}"
    if instance.result is not None:
        return "code"
    known = isinstance(instance.refused, tuple)
    return f"the error {digest(words(instance.refused[0]))}" if known else f"an error that cannot be stored: {instance.refused}"


_session: Session | None = None
_lock = threading.RLock()


def activate() -> None:
    """Install the hooks into Numba. Does nothing the second time.

    Raises
    ------
    UnsupportedNumba
        If the installed Numba or llvmlite lacks something that aotnb relies on.
    """
    global _session
    with _lock:
        if not hooks.installed():
            compat.check()
            log.set_up(settings.get("log"))
            if _session is None:
                _session = Session()
                workload.begin_setup, workload.end_setup = _session.begin_setup, _session.end_setup
            hooks.install(_session.recorder)


def deactivate() -> None:
    """Take the hooks out again. Code that was served stays callable; nothing is recorded or served any more."""
    with _lock:
        if _session is not None and hooks.installed():
            if _session.open_trace is not None:
                _session.open_trace.stop()
            _session.recorder.flush_pending()
            hooks.uninstall()
            log.set_up("")


def set_up_log() -> None:
    """Write the log as the settings now say."""
    log.set_up(settings.get("log"))


def is_active() -> bool:
    """Return whether the hooks are installed."""
    return hooks.installed()


def has_been_active() -> bool:
    """Return whether the hooks have ever been installed in this process."""
    return _session is not None


def active() -> Session:
    activate()
    assert _session is not None
    return _session


class Trace(Faces):
    """The compilations of a stretch of a session: a context manager that stays readable afterwards.

    >>> with trace("example") as recorded:
    ...     pass
    >>> recorded.compilations
    ()
    """

    def __init__(self, name: str | None, session: Session) -> None:
        self.name = name or f"trace{len(session.traces) + 1}"
        self.closed = False
        self._session = session
        self._first = 0
        self._last: int | None = None
        self._served = (0, 0)
        self._started = self._stopped = 0.0

    def start(self) -> Trace:
        """Begin to record; raise :class:`TraceError` while another trace is open."""
        with _lock:
            if self._session.open_trace is not None:
                raise TraceError(f"the trace {self._session.open_trace.name!r} is still open; close it before you start another")
            if self.closed or self._started:
                raise TraceError(f"the trace {self.name!r} was used before; make a new one")
            self._session.open_trace = self
            workload.enter_build()
            self._first, self._served = len(self._session.recorder.instances), (len(self._session.resolver.served), 0)
            self._started = time.perf_counter()
        return self

    def stop(self) -> None:
        """End the recording; does nothing the second time."""
        with _lock:
            if self.closed:
                return
            self.closed = True
            workload.leave_build()
            self._stopped = time.perf_counter()
            self._last = len(self._session.recorder.instances)
            self._served = (self._served[0], len(self._session.resolver.served))
            self._session.open_trace = None
            self._session.traces[self.name] = self._session.last_trace = self

    def __enter__(self) -> Trace:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def seconds(self) -> float:
        """Wall time of the traced stretch in seconds."""
        return (self._stopped or time.perf_counter()) - self._started if self._started else 0.0

    @property
    def instances(self) -> list[Instance]:
        """The live code instances recorded by this trace."""
        return self._session.recorder.instances[self._first : self._last]

    @property
    def compilations(self) -> tuple[Compilation, ...]:
        """The compilations in the order in which they began."""
        return tuple(describe_instances(self.instances))

    @property
    def served(self) -> tuple[Served, ...]:
        """The calls that were answered from an image meanwhile."""
        return tuple(self._session.resolver.served[self._served[0] : self._served[1] or None])

    def roots_growth(self) -> list[tuple[int, str, int, int, int]]:
        """Return (compilation index, method, total roots, new roots, shared roots) in the order of compilation."""
        from aotnb.building.roots import roots_growth

        return roots_growth(self.instances)

    @property
    def statements(self) -> list[str]:
        """What Python asked to be compiled, as the lines of a trace file for ``aotnb precompile``."""
        return list(statements_of(self.instances))

    @property
    def specializations(self) -> list[Specialization]:
        """What was compiled, with its edges and roots: what comparisons look at."""
        from aotnb.building.roots import specializations

        return specializations(self.instances)


def describe_instances(instances: list[Instance]) -> list[Compilation]:
    """Return the frozen records of live instances."""
    if not instances:
        return []
    from aotnb.building.plan import first_problems
    from aotnb.building.roots import roots_growth

    growth = {index: (total, new) for index, _, total, new, _ in roots_growth(instances)}
    problems = first_problems(instances)
    records = []
    for instance in instances:
        problem = problems.get(id(instance))
        if instance.in_vain:
            problem = ("failed", "Numba gave up this attempt" if instance.depth else "the compilation raised an error")
        total, new = growth.get(instance.index, (0, 0))
        records.append(
            Compilation(
                index=instance.index,
                function=instance.qualname,
                module=instance.module,
                signature=instance.signature,
                kind=instance.kind,
                depth=instance.depth,
                parent=instance.parent,
                seconds=instance.seconds,
                own_seconds=max(0.0, instance.seconds - instance.nested_seconds),
                timings=dict(instance.timings),
                new_roots=new,
                roots_total=total,
                saveable=problem is None,
                reason=None if problem is None else problem[0],
                detail="" if problem is None else problem[1],
                called=instance.python_called,
                started=instance.started,
            )
        )
    return records


def trace(name: str | None = None) -> Trace:
    """Return a trace to be used as a context manager: ``with aotnb.trace("cell") as t: ...``."""
    return Trace(name, active())


def traces() -> dict[str, Trace]:
    """Return the closed traces of this process by name."""
    return dict(_session.traces) if _session is not None else {}


def last_trace() -> Trace | None:
    """Return the trace that was closed last."""
    return _session.last_trace if _session is not None else None


def named_image(path: str | Path | None) -> Path:
    """Return the image that is meant."""
    named = path or settings.get("image")
    if not named:
        raise AotError(
            "no image is named; give a file such as nb.aot, "
            "or set image in %config AotMagics or in [tool.aotnb] of pyproject.toml"
        )
    return Path(named)


def load(path: str | Path | None = None) -> LoadReport:
    """Map the image at *path*, or the one of the settings: its code is used instead of the JIT wherever it is still valid.

    The records of its journal are mapped, too; one that is refused is told in the report, and costs nothing else.

    Raises
    ------
    ImageRejected
        If the file is missing, damaged, not trusted, or made for another environment. Nothing is mapped then.
    """
    session = active()
    report = session.resolver.load(named_image(path))
    log.logger.info("loaded %s: %d entries, %.1f ms", report.path, report.entries, report.milliseconds)
    for problem in report.journal_problems:
        log.logger.warning("%s", problem)
    return report


def status() -> Status:
    """Return what is active, what was compiled, served and missed in this process."""
    numba, llvmlite = compat.versions()
    if _session is None:
        return Status(False, numba, llvmlite, (), 0, (), ())
    resolver = _session.resolver
    return Status(
        active=hooks.installed(),
        numba=numba,
        llvmlite=llvmlite,
        images=tuple(image.report for image in resolver.images),
        compilations=len(_session.recorder.instances),
        served=tuple(resolver.served),
        misses=tuple(resolver.misses),
    )


def compiled() -> tuple[Compilation, ...]:
    """Return every compilation of this process since the hooks were installed."""
    return tuple(describe_instances(_session.recorder.instances)) if _session is not None else ()


def write_statements(compiled: str | None, dispatched: str | None, *, fresh: bool = True) -> None:
    """Write trace files from now on: what is compiled at run time, and what is asked for at run time, compiled or not.

    Parameters
    ----------
    compiled, dispatched
        A file, or "stderr"; None for no such file.
    fresh
        Empty a file that is there; otherwise append to it.

    Raises
    ------
    AotError
        If a file cannot be written.
    """
    session = active()
    for path, files in ((compiled, session.statements.compile_files), (dispatched, session.statements.dispatch_files)):
        if path is not None and all(file.path != path for file in files):
            files.append(TraceFile(path, fresh=fresh))
    session.recorder.after_question = session.statements.asked


def compiled_early() -> int:
    """Return how many compilations came before the first :func:`activate`; what they made cannot be saved."""
    return 0 if _session is None else _session.early


def recorded() -> list[Instance]:
    """Return the live code instances of everything that this process compiled under the hooks."""
    return list(_session.recorder.instances) if _session is not None else []


def loaded() -> list[LoadedImage]:
    """Return the loaded images, the one that is asked first at the end."""
    return list(_session.resolver.images) if _session is not None else []


def roots() -> SessionRoots:
    """Return the roots tables of this process, with those of everything compiled so far."""
    from aotnb.building.roots import SessionRoots

    if _session is None:
        return SessionRoots(RootsRegistry())
    if _session.own_roots is None:
        _session.own_roots = SessionRoots(_session.roots)
    _session.own_roots.update(recorded())
    return _session.own_roots


def dropped() -> tuple[Dropped, ...]:
    """Return what the last save left out."""
    return _session.dropped if _session is not None else ()


def before_compile(refuse: Callable[[str, Any, tuple[Any, ...]], None] | None) -> None:
    """Have *refuse* called with kind, function and argument types before each compilation; what it raises stops it."""
    active().recorder.before_compile = refuse


def is_verifying_hit() -> bool:
    """Return whether the compiler runs only to check what an image, or code compiled before, would have given."""
    if _session is None or not _session.resolver.verifying:
        return False
    return _session.recorder.is_compiling() or _session.resolver.expected is not None or _session.worlds.expected is not None


def why_compiled(module: str, function: str, arguments: str) -> tuple[str, str]:
    """Return the reason code and the sentence for the compilation that is about to start."""
    if _session is None or not _session.resolver.images:
        return "not_traced", "no image is loaded"
    miss = _session.resolver.last_miss
    if miss is not None and (miss.module, miss.function, miss.signature) == (module, function, arguments):
        return miss.reason, miss.detail
    return "not_traced", f"{function} is compiled for the compiler itself, as a part of other code"


def peek(disp: Any, args: tuple[Any, ...]) -> tuple[LoadedImage | None, Any, tuple[str, ...]]:
    """Return the image and the stored instance that would answer a call with these types now, or why there is none.

    The reason is (code, sentence) or (code, sentence, nearest signature, difference). Nothing is compiled or installed.
    """
    resolver = active().resolver
    if not resolver.images:
        return None, None, ("not_traced", "no image is loaded")
    return resolver.peek("function", disp, args)


def stored_arguments(disp: Any) -> list[tuple[str, list[str]]]:
    """Return signature and argument types of what the loaded images hold of this function; the image asked first at the start."""
    if _session is None:
        return []
    return [(text, [type_text(tree) for tree in trees]) for text, trees in _session.resolver.stored_arguments(disp)]


def misses() -> tuple[Miss, ...]:
    """Return the questions that the loaded images could not answer, with the reason for each."""
    return tuple(_session.resolver.misses) if _session is not None else ()


def check() -> tuple[Invalidation, ...]:
    """Look whether anything that compiled code has read was redefined or rebound, and invalidate what depends on it.

    Under the IPython extension this happens by itself after each cell, between its statements and before each compilation.
    Elsewhere, and in the middle of a function, call it where a change is to be heard. Returns what was invalidated.
    """
    return tuple(_session.worlds.check()) if _session is not None else ()


def check_statement() -> None:
    """Look for changes between two statements of a cell."""
    if _session is not None and hooks.installed():
        _session.worlds.check(between_statements=True)


def check_bound(*names: str) -> None:
    """Look for changes if compiled code has read one of *names*; quick where it has not."""
    if _session is not None and not _session.worlds.watched_names().isdisjoint(names):
        check_statement()


def begin_cell() -> None:
    """Tell apart what is registered in this cell and what was before."""
    if _session is not None:
        _session.worlds.begin_cell()


def track(automatic: bool) -> None:
    """Look for changes before each compilation that Python asks for, or no longer."""
    session = active()
    session.recorder.before_question = session.worlds.before_question if automatic else None


def world() -> int:
    """Return the world counter: it grows with each change that invalidated code."""
    return _session.worlds.table.world if _session is not None else 1


def valid_in(number: int) -> list[Specialization]:
    """Return the compiled code of this process that was valid in a world, as comparisons see it.

    Raises
    ------
    AotError
        If there has been no such world.
    """
    if not 1 <= number <= world():
        raise AotError(f"there is no world {number}; this process is in world {world()}, the first one is 1")
    if _session is None:
        return []
    from aotnb.building.roots import specializations

    check()
    found = _session.worlds.valid_in(number)
    served = [specialization(image.reader, entry) for image, entry in (i.from_image for i in found if i.from_image is not None)]
    return [*specializations([instance for instance in found if instance.from_image is None]), *served]


def spans() -> dict[tuple[str | None, int], tuple[tuple[int, int | None], ...]]:
    """Return in which worlds code was valid: (None, index of an instance) or (image id, number of an entry) -> (first, last) ...

    The last world is None where the code is valid still. What no dispatcher ever held is missing: only other code calls it.
    """
    if _session is None:
        return {}
    check()
    found: dict[tuple[str | None, int], set[tuple[int, int | None]]] = defaultdict(set)
    for instance, first, last in _session.worlds.spans():
        image, number = instance.from_image or (None, instance.index)
        found[image and image.reader.image_id, number].add((first, last))
    return {key: tuple(sorted(times, key=lambda span: span[0])) for key, times in found.items()}


def invalidations() -> tuple[Invalidation, ...]:
    """Return what was invalidated in this process, and why; oldest first."""
    return tuple(_session.worlds.log) if _session is not None else ()


def reset_stats() -> None:
    """Forget what was served and missed so far."""
    if _session is not None:
        _session.resolver.served.clear()
        _session.resolver.misses.clear()
