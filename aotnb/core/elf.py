"""The symbols of an ELF object or shared library, as its own table has them. Standard library only.

What LLVM's code generator calls on its own account (a division of wide integers, a conversion) shows in no IR, so the
names that an object leaves open are read from the object itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SYMBOL_TABLE, _DYNAMIC_SYMBOLS = 2, 11
_UNDEFINED = 0
_FUNCTION = 2


@dataclass(frozen=True, slots=True)
class Symbol:
    """One named symbol; ``value`` is its address in a linked library, its offset in the section in an object."""

    name: str
    defined: bool
    is_function: bool
    value: int
    size: int


def symbols(data: bytes | memoryview, *, dynamic: bool = False) -> Iterator[Symbol]:
    """Yield the named symbols of 64-bit little-endian ELF; with *dynamic* those that the system's loader resolves.

    Raises
    ------
    ValueError
        If *data* is nothing of that kind.
    """
    if bytes(data[:6]) != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [_SECTION.unpack_from(data, table + size * number) for number in range(count)]
    wanted = _DYNAMIC_SYMBOLS if dynamic else _SYMBOL_TABLE
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != wanted:
            continue
        names, names_end = sections[link][4], sections[link][4] + sections[link][5]
        strings = bytes(data[names:names_end])
        for place in range(offset, offset + length, _SYMBOL.size):
            name, info, _, section, value, extent = _SYMBOL.unpack_from(data, place)
            if name:
                text = strings[name : strings.index(b"\0", name)].decode()
                yield Symbol(text, section != _UNDEFINED, info & 0xF == _FUNCTION, value, extent)


def open_names(objects: list[bytes]) -> list[str]:
    """Return the names that *objects* use and none of them defines, sorted."""
    defined = {"_GLOBAL_OFFSET_TABLE_"}  # by whoever links
    used: set[str] = set()
    for data in objects:
        for symbol in symbols(data):
            (defined if symbol.defined else used).add(symbol.name)
    return sorted(used - defined)
