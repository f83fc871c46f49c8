"""The raw IR of a library as an image keeps it: compressed, with the numbers of variables relative to each other.

In canonical IR the variables of a function are numbered in the order in which they first appear. A new one is stored as a
mark alone, a known one with its distance from the newest, so that equal instructions are equal bytes wherever they stand, and
compress to about half of what they would.
"""

from __future__ import annotations

import re
import zlib

_KNOWN, _NEW = "\x02", "\x03"  # LLVM prints no control characters
_NUMBER = re.compile(r"%v(0(?!\d)|[1-9]\d*)")
_MARKED = re.compile(rf"%v([{_KNOWN}{_NEW}]\d*)")
_FUNCTION = "\ndefine "  # numbers begin anew in each


def pack_text(text: str) -> bytes:
    """Return the text of a canonical library as an image stores it."""
    return zlib.compress(_FUNCTION.join(map(_relative, text.split(_FUNCTION))).encode())


def unpack_text(data: bytes | memoryview) -> str:
    """Return the text that :func:`pack_text` was given."""
    return _FUNCTION.join(map(_absolute, zlib.decompress(data).decode().split(_FUNCTION)))


def _relative(function: str) -> str:
    parts = _NUMBER.split(function)
    newest = -1
    for place in range(1, len(parts), 2):
        distance = newest - int(parts[place])
        if distance >= 0:
            parts[place] = f"%v{_KNOWN}{distance}"
        else:  # the next one nearly always: only a block to which no branch leads before has taken a number of its own
            parts[place] = f"%v{_NEW}" if distance == -1 else f"%v{_NEW}{-distance}"
            newest -= distance
    return "".join(parts)


def _absolute(function: str) -> str:
    parts = _MARKED.split(function)
    newest = -1
    for place in range(1, len(parts), 2):
        mark, number = parts[place][0], parts[place][1:]
        if mark == _NEW:
            newest += int(number or 1)
            number = "0"
        parts[place] = f"%v{newest - int(number)}"
    return "".join(parts)
