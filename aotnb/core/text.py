"""Roots as text: a readable form of encoded types that can be read back, and a few words for each root. Standard library only.

The text of a type is that of its tree: ``[kind, part, ...]`` reads ``kind(part, ...)``. The commonest kinds have a form of their
own: ``int64``, ``array(float64, 2d, C)``, ``literal(3)``, ``dispatcher("module:name")``. A dispatcher is named without the
digest of its definition, so a text stays good when the function is edited.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

Tree = Any

_WORD = re.compile(r"[A-Za-z_]\w*\Z")
_NAME = re.compile(r"[A-Za-z_][\w.]*\.[\w.<>]+\Z")
_RESERVED = frozenset({"null", "true", "false"})
_TOKEN = re.compile(
    r'\s*(?:(?P<dim>\d+d\b)|(?P<word>[A-Za-z_]\w*)|(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?[\d.]+(?:[eE][+-]?\d+)?)|(?P<mark>[][(),]))"
)


def type_text(tree: Tree) -> str:
    """Return the text of an encoded type.

    >>> type_text(["array", ["named", "float64"], 2, "C", False, True])
    'array(float64, 2d, C)'
    >>> type_text(["tuple", [["named", "int64"], ["literal", ["int", "3"]]]])
    'tuple([int64, literal(3)])'
    """
    if not isinstance(tree, list):
        return json.dumps(tree)
    if not (tree and isinstance(tree[0], str) and _WORD.match(tree[0])):
        return f"[{', '.join(map(type_text, tree))}]"
    kind, parts = tree[0], tree[1:]
    special = _SPECIAL.get(kind, lambda parts: None)(parts)
    return special or f"{kind}({', '.join(map(type_text, parts))})"


def change_text(before: str, after: str) -> str:
    """Return what a value is now beside what it was, both in a few words; these may be the same although the values differ.

    >>> change_text("3", "4")
    '4'
    >>> change_text("jitted function m.f", "jitted function m.f")
    'another definition of that name (other code, defaults, options or closure)'
    >>> change_text("array(int64, shape (3,))", "array(int64, shape (3,))")
    'another array of that type and shape (other values, layout or flags)'
    """
    if after != before:
        return after
    if before.startswith("jitted function ") or _NAME.match(before):
        return "another definition of that name (other code, defaults, options or closure)"
    if before.startswith("array("):
        return "another array of that type and shape (other values, layout or flags)"
    return "another one, which reads the same"


def symbol_text(tree: Tree) -> str:
    """Return the text of an encoded type as the names of functions have it: short, without blanks, not made to be read back.

    >>> symbol_text(["array", ["named", "float64"], 2, "C", False, True])
    'float64[:,::1]'
    >>> symbol_text(["tuple", [["named", "int64"], ["literal", ["int", "3"]]]])
    'tuple(int64,literal(3))'
    >>> symbol_text(["dispatcher", ["stumpy.core", "mass", "0123"]])
    'stumpy.core.mass'
    """
    if not isinstance(tree, list):
        return str(tree)
    match tree:
        case ["named", str(name)]:
            return name
        case ["array", dtype, int(ndim), str(layout), *_]:
            one = {"C": [":"] * (ndim - 1) + ["::1"], "F": ["::1"] + [":"] * (ndim - 1)}.get(layout, [":"] * ndim)
            return f"{symbol_text(dtype)}[{','.join(one[:ndim])}]"
        case ["dispatcher", [str(module), str(qualname), *_]]:
            return f"{module}.{qualname}"
        case ["extension", [str(module), str(qualname)], _] | ["local type", str(module), str(qualname), *_]:
            return f"{module}.{qualname}"
        case ["literal" | "omitted", _]:
            return type_text(tree).replace(" ", "")
        case [str(kind), *parts]:
            inner = [symbol_text(item) for part in parts for item in (part if _is_list_of_types(part) else [part])]
            return f"{kind}({','.join(inner)})"
    return ",".join(map(symbol_text, tree))


def _is_list_of_types(tree: Tree) -> bool:
    return isinstance(tree, list) and all(isinstance(item, list) for item in tree)


def _named(parts: list[Tree]) -> str | None:
    (name,) = parts
    return name if isinstance(name, str) and _WORD.match(name) and name not in _RESERVED else None


def _array(parts: list[Tree]) -> str | None:
    if len(parts) != 5 or not isinstance(parts[1], int) or parts[2] not in ("C", "F", "A"):
        return None
    dtype, ndim, layout, readonly, aligned = parts
    flags = ", readonly" * bool(readonly) + ", nonaligned" * (not aligned)
    return f"array({type_text(dtype)}, {ndim}d, {layout}{flags})"


def _jitted(parts: list[Tree]) -> str | None:
    module, qualname = parts[0][:2]
    return f"dispatcher({json.dumps(f'{module}:{qualname}')})"


def _of_value(kind: str) -> Any:
    def text(parts: list[Tree]) -> str | None:
        value = parts[0]
        plain = _scalar_text(value)
        same = plain is not None and _scalar_tree(_Parser(plain).value()) == value
        return f"{kind}({plain})" if same else None

    return text


def _scalar_text(value: Tree) -> str | None:
    """Return the JSON text of an encoded scalar, if it has one."""
    kind, *rest = value
    if kind == "NoneType":
        return "null"
    if kind == "bool":
        return rest[0].lower()
    if kind == "str":
        import ast

        return json.dumps(ast.literal_eval(rest[0]))
    return rest[0] if kind in ("int", "float") and re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", rest[0]) else None


def _scalar_tree(value: Any) -> Tree:
    if isinstance(value, str | bool | int | float | None):
        return [type(value).__name__, repr(value)]
    return value


_SPECIAL: dict[str, Any] = {
    "named": _named,
    "array": _array,
    "dispatcher": _jitted,
    "literal": _of_value("literal"),
    "omitted": _of_value("omitted"),
}


def parse_type(text: str) -> Tree:
    """Return the tree of a text that :func:`type_text` made, or raise :class:`ValueError` in one sentence.

    >>> parse_type("array(float64, 2d, C)")
    ['array', ['named', 'float64'], 2, 'C', False, True]
    """
    parser = _Parser(text)
    tree = parser.value()
    if parser.token() is not None or not isinstance(tree, list) or not tree or not isinstance(tree[0], str):
        raise ValueError(f"{text!r} is no type")
    return tree


class _Dimensions(int):
    """The 2 of ``2d``."""


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def token(self, *, take: bool = False) -> tuple[str, str] | None:
        match = _TOKEN.match(self.text, self.place)
        if match is None:
            if self.text[self.place :].strip():
                raise ValueError(f"{self.text!r} is no type: nothing can begin with {self.text[self.place :].strip()[:10]!r}")
            return None
        if take:
            self.place = match.end()
        return str(match.lastgroup), match.group(str(match.lastgroup))

    def _take(self, expected: str | None = None) -> tuple[str, str]:
        found = self.token(take=True)
        if found is None or (expected is not None and found[1] != expected):
            raise ValueError(f"{self.text!r} is no type: {expected or 'a part'} is missing")
        return found

    def value(self) -> Tree:
        kind, text = self._take()
        if kind == "dim":
            return _Dimensions(text[:-1])
        if kind == "string":
            return json.loads(text)
        if kind == "number":
            try:
                return json.loads(text)
            except ValueError:
                raise ValueError(f"{self.text!r} is no type: {text} is no number") from None
        if text == "[":
            return self._parts("]")
        if kind != "word":
            raise ValueError(f"{self.text!r} is no type: it has a {text} too many")
        if text in _RESERVED:
            return json.loads(text)
        if self.token() != ("mark", "("):
            return ["named", text]
        self._take("(")
        return _called(text, self._parts(")"))

    def _parts(self, end: str) -> list[Tree]:
        parts: list[Tree] = []
        while self.token() != ("mark", end):
            if parts:
                self._take(",")
            parts.append(self.value())
        self._take(end)
        return parts


def _called(kind: str, parts: list[Tree]) -> Tree:
    if kind == "array" and len(parts) >= 3 and isinstance(parts[1], _Dimensions):
        words = [part[1] if isinstance(part, list) and part[0] == "named" else "" for part in parts[2:]]
        if words[0] not in ("C", "F", "A") or not set(words[1:]) <= {"readonly", "nonaligned"}:
            raise ValueError("an array is C, F or A, and perhaps readonly or nonaligned")
        return ["array", parts[0], int(parts[1]), words[0], "readonly" in words, "nonaligned" not in words]
    if kind == "dispatcher" and len(parts) == 1 and isinstance(parts[0], str) and ":" in parts[0]:
        module, _, qualname = parts[0].partition(":")
        return ["dispatcher", [module, qualname, None]]
    if kind in ("literal", "omitted") and len(parts) == 1:
        return [kind, _scalar_tree(parts[0])]
    return [kind, *parts]


# ---------------------------------------------------------------- roots in a few words

LIMIT = 60


class Use(NamedTuple):
    """One reference to a root: as what, by which specialization, and the number of its code instance."""

    role: str
    signature: str
    holder: int


_TYPES = ("argument", "return type")


def root_kind(role: str, tree: Tree) -> str:
    """Return what a root is: "type", "constant", "object", "address", "callee", or the kind of an edge."""
    if role in _TYPES or role == "wrapper":
        return "type"
    if tree[0] == "edge":
        return "overload" if tree[1] == "overload_set" else str(tree[1])
    return {"path": "callee"}.get(role, role)


def root_text(role: str, tree: Tree) -> str:
    """Return a root in at most sixty characters.

    >>> root_text("edge", ["edge", "global", "own", "K", "1f3a", "3"])
    'K = 3'
    """
    if tree[0] == "edge":
        _, _, where, name, _, summary = tree
        text = f"{name if where == 'own' else where + '.' + name} = {summary}"
    elif tree[0] == "path":
        text = path_text(*tree[1:])
    elif role == "constant" and (plain := _scalar_text(tree)) is not None:
        text = plain
    elif tree[0] in ("unknown", "placeholder", "lifted"):
        text = str(tree[1])
    elif tree[0] == "live":
        text = f"{tree[1]} {path_text(*tree[2])}"
    elif tree[0] == "exception":
        text = f"{tree[1][2]}, raised" if tree[1] and tree[1][0] == "class" else "an exception, raised again"
    else:
        text = type_text(tree)
    return text if len(text) <= LIMIT else text[: LIMIT - 3] + "..."


def path_text(kind: str, where: str = "", name: str = "", steps: Any = ()) -> str:
    """Return a path to an object as code spells it.

    >>> path_text("global", "settings", "TABLE", [0])
    'settings.TABLE[0]'
    """
    start = f"argument {int(name) + 1}" if kind == "arg" else name if where == "own" else f"{where}.{name}"
    return start + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def unlikeness(stored: Sequence[str], asked: Sequence[str]) -> tuple[int, float]:
    """Return how far apart two lists of argument types are: how many differ, then by how much of their texts."""
    import difflib  # a process in which nothing is missed does not need it

    pairs = [(a, b) for a, b in zip(stored, asked, strict=False) if a != b]
    apart = sum(1 - difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() for a, b in pairs)
    return 100 * abs(len(stored) - len(asked)) + len(pairs), apart
