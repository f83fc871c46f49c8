"""The functions and slots of an image: names, signatures, weights, CPU targets, bytes. Runs nothing of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aotnb.image.model import library_of

if TYPE_CHECKING:
    from aotnb.image.reader import ImageReader

LENGTH = struct.Struct("<Q")


def unit_rows(part: bytes | memoryview) -> tuple[list[list[Any]], int]:
    """Return the rows of the part "units", and where its body begins.

    A row is [key, exported functions, bytes of the object, bytes of the IR, CPU target, functions], and a function is
    [symbol of the raw IR, weight, bytes].
    """
    (length,) = LENGTH.unpack_from(part)
    return json.loads(bytes(part[LENGTH.size : LENGTH.size + length])), LENGTH.size + length


def functions_of(reader: ImageReader) -> list[dict[str, Any]]:
    """Return a row for each function of an image and each CPU target that has code for it, in the order of the units.

    ``bytes`` is 0 where all calls are inlined. ``slot`` is the place in the table of entries, None for what Python cannot
    call. Of the helpers of Numba's runtime each unit has those that it calls, and a linker keeps one of each.
    """
    owners = _owners(reader)
    position = {name: number for number, name in enumerate(reader.index["table"])}
    clones = reader.index["clones"]
    rows = []
    for unit, (*_, target, functions) in enumerate(unit_rows(reader.file.part("units"))[0]):
        for symbol, weight, size in functions:
            entry = f"{symbol}.{target}" if target and target in clones.get(symbol, ()) else symbol
            function, module, signature, roles = owners.get(library_of(symbol), ("", "", "", {}))
            rows.append(
                {
                    "symbol": symbol,
                    "function": function,
                    "module": module,
                    "signature": signature,
                    "role": roles.get(symbol) or _inner_role(symbol, weight, function),
                    "slot": position.get(entry),
                    "unit": unit,
                    "target": target,
                    "weight": weight,
                    "bytes": size,
                }
            )
    return rows


def _inner_role(symbol: str, weight: int, function: str) -> str:
    """Return the role of what the loader does not bind; what has no raw IR in its unit was copied there by inlining."""
    if not function:
        return "helper"
    return "inner" if weight else "copy"


def slots_of(reader: ImageReader) -> list[dict[str, Any]]:
    """Return a row for each slot of the table: what the loader fills in, or the entry that it finds there."""
    return [{"slot": number, "name": name, "kind": _kind(reader, number)} for number, name in enumerate(reader.index["table"])]


_KINDS = {"env": "environment", "obj": "object", "dyn": "address", "base": "function of a base image"}
_PREFIXES = {"aotnb.clone.": "clone", "aotnb.slot.": "helper", "aotnb.data.": "data"}


def _kind(reader: ImageReader, number: int) -> str:
    record = reader.index["slots"].get(str(number))
    if record is not None:
        return _KINDS.get(record[0], str(record[0]))
    name = reader.index["table"][number]
    return next((kind for prefix, kind in _PREFIXES.items() if name.startswith(prefix)), "function")


def _owners(reader: ImageReader) -> dict[str, tuple[str, str, str, dict[str, str]]]:
    """Return for each library whose it is: function, module, signature, and what its symbols are for."""
    found: dict[str, tuple[str, str, str, dict[str, str]]] = {}
    for number in range(len(reader)):
        tree = reader.stored(number)
        roles = {symbol: role for role, symbol in tree["symbols"].items()}
        for library in _libraries(tree):
            known = found.setdefault(library, (tree["qualname"], tree["module"], tree["signature"], {}))
            known[3].update(roles)
    return found


def _libraries(tree: dict[str, Any]) -> Iterator[str]:
    if tree["library"]:
        yield tree["library"]
    yield from map(library_of, tree["symbols"].values())
