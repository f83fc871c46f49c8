"""Units -> objects, in one process or in several: a shard is a set of units that one process optimises and emits.

The units are dealt out by weight, heaviest first to the lightest shard; a process that has nothing left to do, or has to wait,
takes units of the others. A unit that inlines functions of another one gets that one's optimised IR, from whichever process
made it; so the objects are the same for any number of shards. Its own code is read and simplified before it waits for that.
llvmlite holds one lock in a process, hence processes and not threads; the first shard is that of the process which saves.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aotnb.bridge.codegen import Simplified, UnitObject, UnitSource, aligned_loops, compile_unit, declarations
from aotnb.bridge.environment import apply_settings, compiler_settings, process_tree
from aotnb.bridge.irtext import defined_functions
from aotnb.bridge.symbols import is_helper
from aotnb.building.functions import UnitCode
from aotnb.building.worker import Channel, Worker, peak_memory
from aotnb.core.digest import digest
from aotnb.core.records import Shard
from aotnb.errors import AotWarning, BuildError, UnitError
from aotnb.image.model import library_of

MIN_WEIGHT = 1000  # below it one shard is always enough
_HEAR = 0.2  # seconds after which a thread that waits is woken up, so that an interrupt is heard

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class UnitJob:
    """One unit for one CPU: its code, the jobs whose functions it may inline, and the functions that others call."""

    code: UnitCode
    available: list[int]
    exported: frozenset[str]
    cpu: str
    features: str
    clones: int = 0  # counted in the weight; the versions for further CPU targets are jobs of their own
    size: str = ""  # "optsize" or "minsize"
    suffix: str = ""  # of names for a further CPU target
    names: dict[str, str] = field(default_factory=dict)  # of functions, where the object has others than the raw IR
    target: int = 0  # number of the CPU target
    helpers: frozenset[str] = frozenset()  # functions of this process that it calls through slots
    borrowed: bool = False  # compiled for those who inline it; what they call of it is in a base image


@dataclass(slots=True)
class Compiled:
    """The objects in the order of the jobs, and how the work was shared."""

    objects: list[UnitObject]
    shards: list[Shard]


def weight_of(job: UnitJob) -> int:
    """Return (1 + instructions + blocks) x (clones + 1), summed over the functions of a unit."""
    return sum(job.code.weights.values()) * (job.clones + 1)


def unit_keys(jobs: Sequence[UnitJob], runtime: str) -> list[str]:
    """Return, for each unit, the digest of all that its object follows from: equal keys, equal objects."""
    around = digest([runtime, process_tree(), compiler_settings()])
    keys: list[str] = []
    for job in jobs:
        inlined = [keys[other] for other in job.available]
        how = [job.cpu, job.features, job.size, job.suffix, job.names, sorted(job.helpers), job.code.targets > 1]
        keys.append(digest([around, job.code.digest, inlined, sorted(job.exported), how]))
    return keys


def name_helpers(jobs: Sequence[UnitJob], runtime: str) -> None:
    """Set for each unit which functions of this process it calls, or may call by inlining; a worker has other ones."""
    own = frozenset().union(*(job.exported for job in jobs))

    @functools.cache
    def is_called(name: str) -> bool:
        return name not in own and not name.startswith("llvm.") and is_helper(name)

    everywhere = frozenset(filter(is_called, declarations(runtime)))
    for job in jobs:
        job.helpers = everywhere.union(filter(is_called, job.code.declared), *(jobs[other].helpers for other in job.available))


def image_threads(weight: int, units: int) -> int:
    """Return the number of shards: ``AOTNB_IMAGE_THREADS``, else half of the CPUs, never more than there are units."""
    if weight < MIN_WEIGHT:
        return 1
    wanted = os.environ.get("AOTNB_IMAGE_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), units)
    if wanted:
        text = f"invalid value {wanted!r} for AOTNB_IMAGE_THREADS: expected a positive number; it is ignored"
        warnings.warn(text, AotWarning, stacklevel=2)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(cpus // 2, 1), max(units // 2, 1))


def deal(weights: Sequence[int], count: int) -> list[list[int]]:
    """Deal out the units: heaviest first to the lightest shard."""
    shards: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for unit in sorted(range(len(weights)), key=lambda unit: (-weights[unit], unit)):
        lightest = loads.index(min(loads))
        shards[lightest].append(unit)
        loads[lightest] += weights[unit]
    return [shard for shard in shards if shard]


def urgency(jobs: Sequence[UnitJob], weights: dict[int, int]) -> dict[int, int]:
    """Return for each unit its weight and that of all units that wait for it."""
    users: dict[int, set[int]] = {number: {number} for number in weights}
    for number in sorted(weights, reverse=True):  # a unit comes after those that it inlines from
        for other in jobs[number].available:
            if other in users:
                users[other] |= users[number]
    return {number: sum(weights[user] for user in found) for number, found in users.items()}


class Crew:
    """Processes that compile shards. They may be started before it is known for what, so as to be ready by then."""

    def __init__(self, count: int = 0) -> None:
        self.workers = [Worker(__name__) for _ in range(count)]

    @classmethod
    def early(cls, weight: int) -> Crew:
        """Return the processes that a build will want which has about *weight*: none where it may be too small for them."""
        return cls(image_threads(weight, weight) - 1 if weight >= 10 * MIN_WEIGHT else 0)

    def of(self, count: int) -> list[Worker]:
        """Return *count* of them."""
        self.workers += [Worker(__name__) for _ in range(count - len(self.workers))]
        return self.workers[:count]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        while self.workers:  # whatever ends the work, no process is left behind
            self.workers.pop().end()


def compile_all(
    jobs: Sequence[UnitJob],
    runtime: str,
    report: Progress,
    known: dict[int, UnitObject] | None = None,
    crew: Crew | None = None,
) -> Compiled:
    """Compile *jobs*, each after those whose functions it may inline; what is *known* by its number is taken as it is."""
    known = known or {}
    waiting = [number for number in range(len(jobs)) if number not in known]
    weights = {number: weight_of(jobs[number]) for number in waiting}
    # what one unit is for all targets stays together, since much of the work is the same
    groups = [[*group] for _, group in itertools.groupby(waiting, lambda number: id(jobs[number].code))]
    count = image_threads(sum(weights.values()), len(groups)) if waiting else 1
    dealt = deal([sum(weights[number] for number in group) for group in groups], count)
    shards = [[number for place in shard for number in groups[place]] for shard in dealt] or [[]]
    if len(shards) > 1:
        urgent = urgency(jobs, weights)
        shards = [sorted(shard, key=lambda number: (-urgent[number], number)) for shard in shards]
    board = _Board(jobs, known, shards, report)
    with crew or Crew() as hired:
        workers = hired.of(len(shards) - 1)
        threads = [
            threading.Thread(target=_drive, args=(worker, board, place + 1), daemon=True) for place, worker in enumerate(workers)
        ]
        for worker, thread in zip(workers, threads, strict=True):
            worker.send((runtime, compiler_settings()))
            thread.start()
        _compile_here(board, runtime)
        board.wait()
        for thread in threads:
            thread.join()
    for shard in board.spent:
        shard.units.sort()
        shard.weight = sum(weights[number] for number in shard.units)
    return Compiled([board.objects[number] for number in range(len(jobs))], board.spent)


class _Stopped(Exception):
    """Another unit failed."""


class _Board:
    """What is done so far and what each shard has left to do, for the threads that each speak to one process."""

    def __init__(self, jobs: Sequence[UnitJob], known: dict[int, UnitObject], shards: list[list[int]], report: Progress) -> None:
        self.jobs = jobs
        self.objects = dict(known)
        self.inlinable = {number: item.inlinable for number, item in known.items()}
        self.spent = [Shard([], 0) for _ in shards]
        self.failed: BaseException | None = None
        self._left = shards
        self._changed = threading.Condition()
        self._report = report
        self._known = len(known)
        self._offered = {other for job in jobs for other in job.available}

    def optimised(self, number: int, inlinable: str | None) -> None:
        with self._changed:
            self.inlinable[number] = inlinable
            self._changed.notify_all()

    def emitted(self, shard: int, number: int, item: UnitObject) -> None:
        with self._changed:
            self.objects[number] = item
            self.spent[shard].units.append(number)
            self.spent[shard].optimise += item.optimise_seconds
            self.spent[shard].emit += item.emit_seconds
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self.failed = self.failed or error
            self._changed.notify_all()

    def next_of(self, shard: int) -> int | None:
        """Take the first unit of *shard*, or else of another one, that finds all it inlines from; None when all are taken.

        Where there is none, it is the first one for which others are at work on that.
        """
        with self._changed:
            left = frozenset(number for units in self._left for number in units)
            for is_missing in (lambda other: other not in self.inlinable, left.__contains__):
                for units in (self._left[shard], *self._left):
                    for number in units if self.failed is None else ():
                        if not any(map(is_missing, self.jobs[number].available)):
                            units.remove(number)
                            return number
            return None

    def inlined(self, number: int) -> list[str]:
        """Wait for what a unit may inline of others, and return it; raise where that will not come."""
        with self._changed:
            while self.failed is None and any(other not in self.inlinable for other in self.jobs[number].available):
                self._changed.wait(_HEAR)
            if self.failed is not None:
                raise _Stopped
            return [text for other in self.jobs[number].available if (text := self.inlinable[other])]

    def wait(self) -> None:
        """Wait until all is emitted; raise what has failed."""
        with self._changed:
            while self.failed is None and len(self.objects) < len(self.jobs):
                self._changed.wait(_HEAR)
                self.tell()
        if self.failed is not None:
            raise self.failed

    def tell(self) -> None:
        self._report("compile", len(self.objects) - self._known, len(self.jobs) - self._known)

    def source(self, number: int) -> UnitSource:
        job = self.jobs[number]
        code, offered = job.code, number in self._offered
        shared = code.digest if code.targets > 1 else ""
        return UnitSource(code.texts, job.exported, code.looping, job.size, job.suffix, job.names, job.helpers, offered, shared)


def _compile_here(board: _Board, runtime: str) -> None:
    """Compile the first shard in this process."""
    started = time.perf_counter()
    simplified: dict[str, Simplified] = {}
    with aligned_loops():
        while (number := board.next_of(0)) is not None:
            board.tell()
            job = board.jobs[number]
            try:
                item = compile_unit(
                    board.source(number),
                    runtime,
                    job.cpu,
                    job.features,
                    lambda: board.inlined(number),
                    lambda text: board.optimised(number, text),
                    simplified,
                )
            except _Stopped:
                return
            except Exception as error:  # noqa: BLE001 - raised again
                # without its traceback: Python might dispose of LLVM's objects in there in the wrong order
                raise unit_error(job, error) from error.with_traceback(None)
            board.emitted(0, number, item)
    board.spent[0].total = time.perf_counter() - started


def unit_error(job: UnitJob, error: Exception) -> UnitError:
    """Return the error that names the code which LLVM could not compile."""
    libraries = {library_of(name) for text in job.code.texts for name in defined_functions(text)}
    return UnitError(
        f"{min(libraries)} could not be compiled: {type(error).__name__}: {error}; please report this", frozenset(libraries)
    )


def _drive(worker: Worker, board: _Board, shard: int) -> None:
    """Let another process compile a shard."""
    started = time.perf_counter()
    spent = board.spent[shard]
    try:
        while (number := board.next_of(shard)) is not None:
            job = board.jobs[number]
            worker.send((board.source(number), job.cpu, job.features))
            item: UnitObject | None = None
            while item is None:
                kind, value = worker.receive()
                if kind == "linked":
                    worker.send(board.inlined(number))
                elif kind == "optimised":
                    board.optimised(number, value)
                elif kind == "failed":
                    raise unit_error(job, value)
                else:
                    item, spent.peak = value
            item.inlinable = board.inlinable[number]
            spent.total = time.perf_counter() - started
            board.emitted(shard, number, item)
    except Exception as error:  # noqa: BLE001 - raised again where the build was asked for
        board.fail(error)


def serve() -> None:
    """Compile what the other process sends until it ends: what a worker runs."""
    channel = Channel()
    runtime, settings = channel.receive()
    apply_settings(settings)
    with aligned_loops():
        _serve(channel, runtime)


def _serve(channel: Channel, runtime: str) -> None:
    simplified: dict[str, Simplified] = {}

    def available() -> list[str]:
        channel.send(("linked", None))
        found: list[str] = channel.receive()
        return found

    def optimised(inlinable: str | None) -> None:
        channel.send(("optimised", inlinable))

    while True:
        try:
            source, cpu, features = channel.receive()
        except EOFError:
            return
        try:
            item = compile_unit(source, runtime, cpu, features, available, optimised, simplified)
        except BuildError as error:
            channel.send(("failed", error))
            continue
        except Exception as error:  # noqa: BLE001 - told to the process that asked
            channel.send(("failed", BuildError(f"{type(error).__name__} in a shard: {error}; please report this")))
            continue
        item.inlinable = None  # sent already
        channel.send(("emitted", (item, peak_memory())))
