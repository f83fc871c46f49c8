"""What an image holds, as plain data that turns into JSON and back. Imports nothing but the standard library.

Roots are stored per method, once; a code instance holds the *index* of each of its roots in the table of its method. The
key that completes the reference is the id of the image, so it is not repeated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

Tree = Any

FORMAT_VERSION = 1


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
    "overload" (``name`` = what is overloaded) or "version" (``name`` = distribution).
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
    symbols: dict[str, str]  # "native", "python", "ufunc", "gufunc" -> canonical function name
    edges: list[Edge]
    callees: list[list[Any]]  # [index of the code instance, path or None]
    consts: list[int]
    globals_module: str
    resolved: list[int]  # indexes into the image's table of names
    entry: bool
    seconds: float
    parallel: bool
    literals: list[int] | None = None
    extra: Tree = None


@dataclass(slots=True)
class Manifest:
    """Everything in an image apart from code."""

    process: dict[str, Any]
    cpu: str
    features: str
    instances: list[CodeInstance]
    methods: dict[str, list[Tree]]  # "module:qualname:digest" -> roots in order of their index
    names: list[str]
    switches: dict[str, dict[str, str]]  # config digest -> text of each switch
    dropped: list[dict[str, str]] = field(default_factory=list)


def method_key(instance: CodeInstance) -> str:
    """Return the name of the roots table of an instance's method."""
    return f"{instance.module}:{instance.qualname}:{instance.method}"


def to_tree(record: Any) -> Tree:
    """Return a dataclass as nested dictionaries and lists."""
    return asdict(record)


def instance_from(tree: dict[str, Any]) -> CodeInstance:
    """Rebuild a code instance from its tree."""
    tree = dict(tree)
    tree["edges"] = [Edge(**edge) for edge in tree["edges"]]
    return CodeInstance(**{f.name: tree[f.name] for f in fields(CodeInstance)})
