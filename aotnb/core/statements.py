"""Trace files: one replayable ``precompile(...)`` statement a line, read with ``ast``; nothing in them is executed.

Standard library only.

    # 39.1 ms
    precompile("stumpy.core:_mass", ("array(float64, 1d, C)", "int64"))
    precompile("__main__:step", ("float64",), script="/path/to/run.py")  # recompile
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass

RECOMPILE = "  # recompile"
_KEYWORDS = ("returns", "kind", "script")


@dataclass(frozen=True, slots=True)
class Statement:
    """One specialization to compile.

    ``function`` is "module:qualified name", ``args`` are the texts of the argument types. ``returns`` is the return type where
    the signature names one, ``kind`` is "function" or "ufunc", ``script`` the file of a function in ``__main__``.
    """

    function: str
    args: tuple[str, ...]
    returns: str = ""
    kind: str = "function"
    script: str = ""

    def __str__(self) -> str:
        """Return the statement as one line.

        >>> print(Statement("lib:f", ("int64",)))
        precompile("lib:f", ("int64",))
        """
        items = "".join(f"{_quote(arg)}, " for arg in self.args)
        args = f"({items[:-2]}{',' * (len(self.args) == 1)})"
        parts = [_quote(self.function), args]
        defaults = {"returns": "", "kind": "function", "script": ""}
        parts += [f"{name}={_quote(getattr(self, name))}" for name in _KEYWORDS if getattr(self, name) != defaults[name]]
        return f"precompile({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no statement: its number, its text, and why."""

    line: int
    text: str
    why: str


def read_statements(text: str) -> Iterator[Statement | Unreadable]:
    """Yield what each line says, each statement once; comments and empty lines say nothing."""
    seen: set[Statement] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            statement = _statement(line.strip())
        except (SyntaxError, ValueError) as error:
            # a last line that a killed process did not finish is the usual case
            yield Unreadable(number, line.strip(), "it is not complete" if isinstance(error, SyntaxError) else str(error))
            continue
        if statement not in seen:
            seen.add(statement)
            yield statement


def _statement(line: str) -> Statement:
    tree = ast.parse(line)
    call = tree.body[0].value if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "precompile"):
        raise ValueError("it is no precompile(...) statement")
    if len(call.args) != 2 or not isinstance(call.args[1], ast.Tuple | ast.List):
        raise ValueError('it needs a function and its argument types: precompile("module:name", ("int64",))')
    keywords = {}
    for keyword in call.keywords:
        if keyword.arg not in _KEYWORDS:
            raise ValueError(f"{keyword.arg or '**'} is no keyword of it; there are {', '.join(_KEYWORDS)}")
        keywords[keyword.arg] = _text(keyword.value)
    function = _text(call.args[0])
    if not all(function.partition(":")):
        raise ValueError(f"{function!r} is no function; write module:name")
    return Statement(function, tuple(_text(item) for item in call.args[1].elts), **keywords)


def _text(node: ast.expr) -> str:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        raise ValueError("it may hold texts only")
    return node.value


def _quote(text: str) -> str:
    # as Python writes it, but with the quotes that do not clash with those inside the text of a type
    return repr(text) if '"' in text or "\\" in text or not text.isprintable() else json.dumps(text, ensure_ascii=False)
