"""A code instance as it lives in this process: what was compiled, what the compilation read, and what it linked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ABSENT = "<absent>"


@dataclass(slots=True)
class Read:
    """One value that the compilation of a function looked up, digested at that moment.

    ``kind`` is "global", "free" (closure cell) or "attribute" (of a module). For globals and attributes ``module`` is the
    module whose namespace was read; None means the namespace of a function without a module of its own. ``digest`` is
    "absent" where nothing was found, and empty where what was found has no encoding.
    """

    kind: str
    name: str
    module: str | None
    own: bool  # read through the compiled function itself
    value: Any  # kept alive: identity is the quick test
    digest: str
    summary: str
    problem: str = ""  # why the value has no encoding; counts unless the name turns out not to matter


@dataclass(slots=True)
class Callee:
    """A code instance that another one typed, inlined or linked, and the dispatcher through which it was reached."""

    instance: Instance
    dispatcher: Any  # None: the compiler made the function for itself


@dataclass(slots=True)
class Instance:
    """One run of the compiler pipeline. Lists grow until :attr:`finished`."""

    index: int
    func: Any
    dispatcher: Any  # None for functions that the compiler made for itself, and where it gave up
    # such as "function", "ufunc", "overload": the implementation that an overload made, or "inner": a function that the
    # compiler made of code inside another one
    kind: str
    args: tuple[Any, ...]
    return_type: Any  # as asked for by an explicit signature, else None
    flags: Any
    config: str
    switches: dict[str, str]
    passed: list[Any]  # dispatchers among the arguments: their types alone do not keep them alive
    depth: int
    parent: int | None
    started: float = 0.0
    seconds: float = 0.0
    nested_seconds: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    reads: dict[tuple[str, str, str | None], Read] = field(default_factory=dict)
    pruned: set[tuple[str, str]] = field(default_factory=set)  # kind and name of what only dead branches mention
    callees: list[Callee] = field(default_factory=list)
    # external overload templates that were asked: module, qualified name, digest and plain name of the function of each
    templates: dict[int, tuple[str, str, str, str]] = field(default_factory=dict)
    resolved: set[Any] = field(default_factory=set)
    claimed: set[int] = field(default_factory=set)  # ids of those, asked or not, that do not decline all calls
    unanswered: set[Any] = field(default_factory=set)  # what was resolved in vain, once at least
    overload_sets: dict[str, str] = field(default_factory=dict)  # what was resolved -> what of its external overloads counts
    addresses: dict[int, str] = field(default_factory=dict)
    wrappers: dict[str, tuple[Any, str, Any]] = field(default_factory=dict)
    result: Any = None
    literals: frozenset[int] | None = None  # the outcome "asks for literals at these positions"
    # the outcome "has no typing": the encoded error, with the recipes for what it names and the instances these start from;
    # or a NotRelocatable that says why not
    refused: Any = None
    python_called: bool = False
    finished: bool = False
    new_roots: int = 0
    roots_total: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    definition: str = ""  # digest of the method when it was compiled, where default values may change in place
    encoding_checked: bool = False
    absorbed: bool = False  # its code belongs to the instance that it is a part of
    from_image: Any = None  # set when the code came from a loaded image
    maker: Instance | None = None  # of an inner function: the compilation of the function around it
    is_given_inner: bool = False  # an argument is an inner function: nobody but the function around that one can ask for this

    def absorb(self, inner: Instance) -> None:
        """Take over what *inner* found out: the compiler began anew with a rest of this function, and that is its code."""
        inner.absorbed = True
        for callee in inner.callees:
            if callee.instance.maker is inner:
                callee.instance.maker = self
        self.callees = [c for c in (*self.callees, *inner.callees) if c.instance is not self and c.instance is not inner]
        self.reads = inner.reads | self.reads
        self.templates |= inner.templates
        self.resolved |= inner.resolved
        self.claimed |= inner.claimed
        self.unanswered |= inner.unanswered
        self.addresses |= inner.addresses
        for problem in inner.problems:
            self.problem(*problem)

    @property
    def module(self) -> str:
        """Return the module of the compiled function."""
        return getattr(self.func, "__module__", None) or ""

    @property
    def qualname(self) -> str:
        """Return the qualified name of the compiled function."""
        return getattr(self.func, "__qualname__", "") or getattr(self.func, "__name__", "?")

    @property
    def signature(self) -> str:
        """Return the argument and return types as text, for people only."""
        args = ", ".join(str(arg) for arg in self.args)
        if self.result is None:
            return f"({args})"
        return f"({args}) -> {self.result.signature.return_type}"

    @property
    def in_vain(self) -> bool:
        """Whether neither code nor a request for literals came of it."""
        return self.result is None and self.literals is None

    def let_go_of_dispatchers(self) -> None:
        """Hold the dispatcher no longer, nor those of what was tried in vain: they remember errors, with frames and arguments."""
        self.dispatcher, self.passed = None, []
        for callee in self.callees:
            if callee.instance.in_vain:
                callee.dispatcher = None

    def problem(self, reason: str, detail: str) -> None:
        """Note why this instance cannot be saved."""
        if (reason, detail) not in self.problems:
            self.problems.append((reason, detail))
