"""Canonical digests of plain data and of code objects. Standard library only.

A digest never depends on the file name, on line numbers, on object identity or on the hash seed of the process.
"""

from __future__ import annotations

import hashlib
import json
import struct
from types import CodeType
from typing import Any


def canonical(tree: Any) -> str:
    """Return the one JSON text of *tree* (lists, strings, integers, booleans, None, and dictionaries with string keys)."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(tree: Any) -> str:
    """Return the 32 hexadecimal digits that stand for *tree* everywhere."""
    return hashlib.sha256(canonical(tree).encode()).hexdigest()[:32]


def digest_bytes(data: bytes | memoryview) -> str:
    """Return the digest of raw bytes."""
    return hashlib.sha256(data).hexdigest()[:32]


def constant_tree(value: Any) -> Any:
    """Encode a constant that the Python compiler may put into a code object.

    The type is part of the encoding: ``1``, ``1.0`` and ``True`` compile to different machine code.
    """
    if value is None or value is Ellipsis:
        return [repr(value)]
    if isinstance(value, bool | int | float | complex):
        return [type(value).__name__, number_text(value)]
    if isinstance(value, str):
        return ["str", value]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, tuple):
        return ["tuple", [constant_tree(item) for item in value]]
    if isinstance(value, frozenset):
        return ["frozenset", sorted(canonical(constant_tree(item)) for item in value)]
    if isinstance(value, CodeType):
        return ["code", code_tree(value)]
    raise TypeError(f"a code object holds a constant of type {type(value).__name__}, which Python does not produce")


def number_text(value: complex) -> str:
    """Return a text that tells every two numbers apart: ``repr`` round-trips and knows -0.0, but not the bits of a NaN."""
    if isinstance(value, float) and value != value:
        return struct.pack("<d", value).hex()
    if isinstance(value, complex) and value != value:
        return struct.pack("<dd", value.real, value.imag).hex()
    kind = next((kind for kind in (float, complex) if isinstance(value, kind)), None)
    return repr(value) if kind is None else kind.__repr__(value)  # whatever a class that is derived from it calls its values


def number_from(kind: str, text: str) -> complex:
    """Return the number of :func:`number_text`; *kind* is the name of its type."""
    if kind == "float" and len(text) == 16 and _is_nan(text):
        return float(struct.unpack("<d", bytes.fromhex(text))[0])
    if kind == "complex" and "j" not in text:
        return complex(*struct.unpack("<dd", bytes.fromhex(text)))
    return float(text) if kind == "float" else complex(text)


def _is_nan(text: str) -> bool:
    # a NaN in little endian ends in 7f or ff; a decimal number never does
    return text.endswith(("7f", "ff")) and all(char in "0123456789abcdef" for char in text)


def code_tree(code: CodeType) -> Any:
    """Encode what a code object does: instructions, constants and names, but neither file name nor line numbers."""
    return {
        "code": code.co_code.hex(),
        "consts": [constant_tree(const) for const in code.co_consts],
        "names": list(code.co_names),
        "varnames": list(code.co_varnames),
        "freevars": list(code.co_freevars),
        "cellvars": list(code.co_cellvars),
        "flags": code.co_flags,
        "args": [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount],
        "exceptions": getattr(code, "co_exceptiontable", b"").hex(),
    }


def nested_names(code: CodeType) -> set[str]:
    """Return every name that *code* or a function nested in it may look up as a global or an attribute."""
    names = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            names |= nested_names(const)
    return names


def line_index(code: CodeType, line: int) -> int:
    """Return the position of *line* among the distinct lines of *code*, so that blank lines and moves do not matter."""
    lines = _lines(code)
    return max((index for index, known in enumerate(lines) if known <= line), default=0)


def line_at(code: CodeType, index: int) -> int:
    """Return the line number that has position *index* in *code*; the inverse of :func:`line_index`."""
    lines = _lines(code)
    return lines[min(index, len(lines) - 1)]


def _lines(code: CodeType) -> list[int]:
    lines = {code.co_firstlineno}
    lines.update(line for _, _, line in code.co_lines() if line is not None)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            lines.update(_lines(const))
    return sorted(lines)


def question_key(kind: str, method: list[str], args: list[Any], explicit_return: Any, flags: str, config: str) -> str:
    """Return the digest that a question to a dispatcher and its stored answer share."""
    return digest([kind, method, args, explicit_return, flags, config])
