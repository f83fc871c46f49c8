"""The compiled units that an image keeps, so that a later save need not compile what has not changed.

The part is a length, a JSON list with one row for each unit (see :func:`aotnb.image.functions.unit_rows`), then the bytes of
the rows one after the other, each compressed: the object (none where the image has its objects for the in-process linker
anyway), then what others may inline of it, as text (none where no other unit asks for that).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from aotnb.bridge.codegen import UnitObject
from aotnb.bridge.native import unpack_objects
from aotnb.image.format import ImageFile, dump_json
from aotnb.image.functions import LENGTH, unit_rows

FunctionRow = tuple[str, int, int]  # symbol, weight, bytes


def pack_units(
    keys: Sequence[str],
    units: Sequence[UnitObject],
    functions: Sequence[tuple[int, Sequence[FunctionRow]]],
    inlined: frozenset[int],
    *,
    linked: bool,
) -> bytes:
    """Return the part; *functions* gives the CPU target and the functions of each unit, *inlined* whose IR others need."""
    rows: list[list[Any]] = []
    body = b""
    for number, (key, unit, told) in enumerate(zip(keys, units, functions, strict=True)):
        data = zlib.compress(unit.data) if linked else b""
        optimised = zlib.compress((unit.inlinable or "").encode()) if number in inlined else b""
        rows.append([key, sorted(unit.exported), len(data), len(optimised), *told])
        body += data + optimised
    head = dump_json(rows)
    return LENGTH.pack(len(head)) + head + body


def stored_units(file: ImageFile) -> dict[str, UnitObject]:
    """Return the compiled units of an image by their keys."""
    part, objects = file.part("units"), unpack_objects(file.part("objects"))
    rows, place = unit_rows(part)
    found = {}
    for number, (key, exported, data_size, optimised_size, *_) in enumerate(rows):
        data = zlib.decompress(part[place : place + data_size]) if data_size else objects[number]
        place += data_size
        inlinable = zlib.decompress(part[place : place + optimised_size]).decode() if optimised_size else None
        place += optimised_size
        found[key] = UnitObject(data, frozenset(exported), inlinable)
    return found
