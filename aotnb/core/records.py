"""Frozen records that travel upward: renderers and faces only read them. Standard library only.

Glossary: *compilation* = one run of Numba's pipeline; *entry* = code of one specialization in an image;
*miss* = a question to the loaded images that ended in the JIT.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aotnb.core.faces import Faces


@dataclass(frozen=True, slots=True)
class Compilation:
    """One compilation seen by the recorder.

    ``timings`` holds seconds by stage, as far as Numba reports them; ``seconds`` includes nested compilations and
    ``own_seconds`` does not. ``reason`` is the code that says why it cannot be saved (None = it will be saved).
    """

    index: int
    function: str
    module: str
    signature: str
    kind: str  # "function", "overload", "inner", "ufunc", "gufunc", "cfunc", "parfor", "internal"
    depth: int  # 0 = asked for by Python, else the nesting
    parent: int | None
    seconds: float
    own_seconds: float
    timings: dict[str, float] = field(default_factory=dict)
    new_roots: int = 0
    roots_total: int = 0
    saveable: bool = True
    reason: str | None = None
    detail: str = ""
    called: bool = False  # by Python, not only by other compiled code
    started: float = 0.0  # seconds of a clock without a meaning of its own


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a call was not served from an image: reason code and one sentence.

    ``nearest`` = signature of the stored entry of the same function that differs least, ``difference`` = in what.
    """

    function: str
    module: str
    signature: str
    reason: str
    detail: str
    nearest: str = ""
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What was compiled of one package.

    ``seconds`` does not include nested compilations, so that those of all packages add up. ``asked`` counts what Python asked
    for; ``statements`` has the line of a trace file for each of these, in order, with its seconds, nested compilations included.
    """

    package: str
    version: str
    functions: int
    compilations: int
    seconds: float
    asked: int
    statements: dict[str, float]
    saved: int

    @property
    def replayable(self) -> int:
        """How many statements another process can carry out; the others are comments that say why not."""
        return sum(not line.startswith("#") for line in self.statements)


@dataclass(frozen=True, slots=True)
class Straggler:
    """Code that was compiled although an image was loaded (``what`` = "compiled"), or that no save can take ("not saved")."""

    what: str
    function: str
    module: str
    signature: str
    reason: str
    detail: str
    nearest: str
    difference: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image in a folder. ``size`` in bytes, its journal included; ``saved`` in seconds since 1970.

    ``reason`` and ``detail`` say why it cannot be loaded here, and are empty where it can.
    """

    path: str
    size: int
    saved: float
    entries: int | None = None
    target: str = ""
    numba: str = ""
    python: str = ""
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Root:
    """One root in the table of its method.

    The reference is (``key``, ``index``); ``position`` is the place in the table of this process. ``owner`` says in words
    whose key it is. ``added_by`` and ``users`` are specializations.
    """

    method: str
    key: str
    index: int
    position: int
    owner: str
    kind: str
    value: str
    size: int
    added_by: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Specialization:
    """A method compiled for argument types, as a comparison sees it. An edge is (kind, where, name) -> (digest, summary)."""

    function: str
    module: str
    signature: str
    kind: str
    method: str
    edges: dict[tuple[str, str, str], tuple[str, str]]
    roots: frozenset[str]  # digests of their contents
    seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A compilation that a save left out, with the reason code and one sentence."""

    function: str
    module: str
    signature: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A name in the code of a function that was saved, in no recorded read and in no pruned branch; ``detail`` is a sentence."""

    function: str
    module: str
    signature: str
    name: str
    detail: str


@dataclass(slots=True)
class Shard:
    """What one process of a build did: its units (by number), their weight, seconds by step, and its peak memory.

    ``peak`` is in kilobytes, 0 where the units were compiled in the process that saved.
    """

    units: list[int]
    weight: int
    optimise: float = 0.0
    emit: float = 0.0
    total: float = 0.0
    peak: int = 0


@dataclass(frozen=True, slots=True)
class SaveReport(Faces):
    """What ``save`` wrote. ``size`` in bytes; ``timings`` in seconds by stage.

    ``unexplained`` is empty unless aotnb has a defect: see :class:`Unexplained`.
    """

    path: str
    image_id: str
    entries: int
    code_instances: int
    units: int
    dropped: tuple[Dropped, ...]
    size: int
    linker: str  # "cc", "ld.lld", "zig" or "in-process"
    target: str  # the CPU targets
    seconds: float
    timings: dict[str, float] = field(default_factory=dict)
    unexplained: tuple[Unexplained, ...] = ()
    link_command: str = ""  # empty where the objects are placed at load
    reused: int = 0  # units whose objects an earlier image had
    shards: tuple[Shard, ...] = ()


@dataclass(frozen=True, slots=True)
class Invalidation:
    """Compiled code that a change made invalid, in the world that began with it.

    ``kind`` is "global", "closure", "attribute", "array" (changed in place), "overload" or "callee". ``chain`` names the
    functions from the one that read what changed to the victim, ``depth`` counts the calls between them. ``seconds`` is
    the compile time that was lost. ``note`` says where something could not be replaced.
    """

    world: int
    kind: str
    cause: str
    before: str
    after: str
    function: str
    module: str
    signature: str
    chain: tuple[str, ...]
    depth: int
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class LoadReport(Faces):
    """What ``load`` mapped.

    ``target`` is the CPU target that fits this machine best, ``why`` the reason. ``jit_seconds`` = what the JIT took for
    the code when it was traced, None where that is unknown. ``left_out`` is what the save could not take.
    """

    path: str
    image_id: str
    entries: int
    functions: int
    linked: str  # "dlopen" or "in-process"
    target: str
    milliseconds: float
    jit_seconds: float | None
    left_out: tuple[Dropped, ...] = ()
    why: str = ""  # this target
    targets: tuple[str, ...] = ()  # all of the image
    rejected: tuple[str, ...] = ()  # one sentence for each target that this CPU cannot run
    journal: tuple[LoadReport, ...] = ()  # one for each record that was loaded with the image
    journal_problems: tuple[str, ...] = ()  # one sentence for each record that was not


@dataclass(frozen=True, slots=True)
class Skipped:
    """A statement or module that a replay could not carry out, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a trace file: how many statements were carried out, and which were not."""

    done: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """One call answered from an image instead of the JIT, which took ``jit_seconds`` when it was traced (None: unknown)."""

    function: str
    module: str
    signature: str
    image_id: str
    milliseconds: float
    jit_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Status(Faces):
    """State of aotnb in this process."""

    active: bool
    numba: str
    llvmlite: str
    images: tuple[LoadReport, ...]
    compilations: int
    served: tuple[Served, ...]
    misses: tuple[Miss, ...]
