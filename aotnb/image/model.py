"""What an image holds, as plain data that turns into JSON and back. Imports core only.

Roots are stored per method, once. In the file a code instance holds only the *index* of each of its roots in the table of
its method: types, constants, edges, the paths to its callees. The key that completes each reference is the id of the image, so
it is not repeated. In memory edges and paths are spelled out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from aotnb.core.roots import UnresolvedRoot

Tree = Any

FORMAT_VERSION = 9

# the kinds of loops around kernels; those that threads run call a loop of the other kinds
UFUNC_LOOPS = ("ufunc", "parallel ufunc")
PARALLEL_LOOPS = ("parallel ufunc", "parallel gufunc")


@dataclass(slots=True)
class Library:
    """Raw code of one or more code instances under canonical names, and the slots that its code reads."""

    name: str
    text: str
    slots: dict[str, list[Any]]  # slot -> [kind, index of its code instance or -1, root index or -1]
    uses: list[str]


@dataclass(slots=True)
class Edge:
    """One thing that a compilation read: how to reach it and the digest of what was found.

    ``where`` is "own" (through the function itself) or the name of a module; ``kind`` is "global", "free", "attribute",
    "overload" (of function ``name``), "overload_set" (what counts of those of ``name``: see ``bridge.overload_sets``),
    "same" (several names lead to one object that the code is bound to; ``digest`` holds what it is, and the paths) or
    "version" (``name`` = distribution).
    """

    kind: str
    where: str
    name: str
    digest: str
    summary: str


@dataclass(slots=True)
class CodeInstance:
    """Compiled code of one specialization, with everything needed to decide whether it may be used."""

    id: str
    module: str
    qualname: str
    method: str  # own digest of the definition; "" where the compiler made the function itself
    kind: str
    key: str  # digest under which a question finds this instance
    args: list[int]  # root indexes
    return_type: int | None
    explicit_return: int | None
    flags: str
    config: str
    signature: str
    library: str
    symbols: dict[str, str]  # "native", "python", a kind of loop around a kernel -> canonical function name
    edges: list[Edge]
    callees: list[list[Any]]  # [index of the code instance, path or None]
    consts: list[int]
    globals_module: str
    resolved: list[int]  # indexes into the image's table of names
    entry: bool
    seconds: float
    parallel: bool
    literals: list[int] | None = None  # the outcome "asks for literals at these positions"
    refusal: list[Any] | None = None  # the outcome "has no typing": root index of the error, and whom it is about
    extra: Tree = None
    inherits: bool = False  # compiler flags that a caller handed down: Python would get code under others
    found: list[str] = field(default_factory=list)  # "module:name" of callees that were there, under flags of another caller

    @property
    def is_code(self) -> bool:
        """Whether the outcome of the compilation was code."""
        return self.literals is None and self.refusal is None


@dataclass(slots=True)
class Manifest:
    """Everything in an image apart from code."""

    process: dict[str, Any]
    instances: list[CodeInstance]
    methods: dict[str, list[Tree]]  # "module:qualname:digest" -> roots in order of their index
    names: list[str]
    switches: dict[str, dict[str, str]]  # config digest -> text of each switch
    dropped: list[dict[str, str]] = field(default_factory=list)


def library_of(symbol: str) -> str:
    """Return the library that defines a canonical function name."""
    return symbol.rpartition(".")[0]


def code_libraries(instance: CodeInstance) -> list[str]:
    """Return the libraries that hold the code of an instance: its own first, then those of its wrappers."""
    wrappers = sorted({library_of(symbol) for symbol in instance.symbols.values()} - {instance.library})
    return [name for name in (instance.library, *wrappers) if name]


def root_indexes(instance: CodeInstance) -> list[int]:
    """Return the indexes of the roots that an instance holds as such, slots aside."""
    single = (instance.return_type, instance.explicit_return, None if instance.refusal is None else instance.refusal[0])
    return [*instance.args, *instance.consts, *(index for index in single if index is not None)]


def move_roots(instance: CodeInstance, moved: Callable[[int], int]) -> None:
    """Give every root that an instance holds as such its new index."""
    instance.args = [moved(index) for index in instance.args]
    instance.consts = [moved(index) for index in instance.consts]
    instance.return_type = None if instance.return_type is None else moved(instance.return_type)
    instance.explicit_return = None if instance.explicit_return is None else moved(instance.explicit_return)
    if instance.refusal is not None:
        instance.refusal = [moved(instance.refusal[0]), instance.refusal[1]]


def method_key(instance: CodeInstance) -> str:
    """Return the name of the roots table of an instance's method."""
    return f"{instance.module}:{instance.qualname}:{instance.method}"


def method_name(method: str) -> str:
    """Return the name for people of a method's roots table: module and qualified name."""
    return method.rpartition(":")[0].replace(":", ".", 1)


def edge_root(edge: Edge) -> Tree:
    """Return the root that stands for *edge*."""
    return ["edge", edge.kind, edge.where, edge.name, edge.digest, edge.summary]


def path_root(path: Tree) -> Tree:
    """Return the root that stands for the way to the live function of a callee."""
    return ["path", *path]


def wrapper_root(detail: Tree) -> Tree:
    """Return the root that stands for the types or dimensions of the loop around a kernel."""
    return ["wrapper", detail]


def spelled_roots(instance: CodeInstance) -> Iterator[Tree]:
    """Yield the roots of what an instance spells out in memory."""
    for edge in instance.edges:
        yield edge_root(edge)
    for _, path in instance.callees:
        if path is not None:
            yield path_root(path)
    for detail in (instance.extra or {}).values():
        yield wrapper_root(detail)


def stored(instance: CodeInstance, place: Callable[[Tree], int]) -> dict[str, Any]:
    """Return what the file holds of an instance; *place* gives the index of a root."""
    tree = asdict(instance)
    tree["edges"] = [place(edge_root(edge)) for edge in instance.edges]
    tree["callees"] = [[callee, None if path is None else place(path_root(path))] for callee, path in instance.callees]
    if instance.extra is not None:
        tree["extra"] = {kind: place(wrapper_root(detail)) for kind, detail in instance.extra.items()}
    return tree


def instance_from(tree: dict[str, Any], resolve: Callable[[int], Tree]) -> CodeInstance:
    """Rebuild a code instance; *resolve* gives the root of an index, or raises :class:`UnresolvedRoot`."""
    tree = dict(tree)

    def root(index: int, tag: str) -> Tree:
        found = resolve(index)
        if found[0] != tag:
            raise UnresolvedRoot(f"root {index} is of kind {found[0]}, not {tag}")
        return found[1:]

    tree["edges"] = [Edge(*root(index, "edge")) for index in tree["edges"]]
    tree["callees"] = [[callee, None if path is None else root(path, "path")] for callee, path in tree["callees"]]
    if tree["extra"] is not None:
        tree["extra"] = {kind: root(index, "wrapper")[0] for kind, index in tree["extra"].items()}
    return CodeInstance(**tree)


def references(tree: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield (role, index) of every root that a stored instance refers to, slots aside."""
    for index in tree["args"]:
        yield "argument", index
    if tree["refusal"] is not None:
        yield "error", tree["refusal"][0]
    for role, name in (("return type", "return_type"), ("return type", "explicit_return")):
        if tree[name] is not None:
            yield role, tree[name]
    for role, name in (("constant", "consts"), ("edge", "edges")):
        for index in tree[name]:
            yield role, index
    for _, index in tree["callees"]:
        if index is not None:
            yield "path", index
    for index in (tree["extra"] or {}).values():
        yield "wrapper", index
