"""Two traces or two images side by side: what was added, removed or changed, and by which edge. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from aotnb.core.records import Specialization
from aotnb.core.text import change_text
from aotnb.reports.tables import Table

COLUMNS = (
    "change", "function", "module", "signature", "difference", "roots_added", "roots_removed",
    "seconds_a", "seconds_b", "reason_a", "reason_b",
)  # fmt: skip

# Numba names the loop bodies of parallel functions by an address, another one each time.
_ADDRESS = re.compile(r"_0x[0-9a-f]*$")


class Side(NamedTuple):
    """One side of a comparison and its name for people."""

    name: str
    specializations: list[Specialization]


def diff_table(a: Side, b: Side) -> Table:
    """Compare by function and signature.

    ``change`` is "added" (only in b), "removed" (only in a), "changed" or "same"; ``difference`` says in what: the
    definition, the edges that differ, the number of compilations, or the reason for not saving.
    """
    left, right = _by_signature(a.specializations), _by_signature(b.specializations)
    rows = [_row(key, left.get(key), right.get(key)) for key in dict.fromkeys((*left, *right))]
    order = {"changed": 0, "added": 1, "removed": 2, "same": 3}
    return Table(COLUMNS, sorted(rows, key=lambda row: order[row[0]]))


def _by_signature(items: Iterable[Specialization]) -> dict[tuple[str, str, str], list[Specialization]]:
    groups: dict[tuple[str, str, str], list[Specialization]] = {}
    for item in items:
        groups.setdefault((item.module, _ADDRESS.sub("", item.function), item.signature), []).append(item)
    return groups


def _row(
    key: tuple[str, str, str], left: list[Specialization] | None, right: list[Specialization] | None
) -> tuple[str, str, str, str, str, int, int, float | None, float | None, str, str]:
    difference = ""
    if left is None or right is None:
        change = "added" if left is None else "removed"
    else:
        difference = "; ".join(_differences(left, right))
        change = "changed" if difference else "same"
    before, after = _roots(left), _roots(right)
    module, function, signature = key
    return (
        change, function, module, signature, difference, len(after - before), len(before - after),
        _seconds(left), _seconds(right), _reasons(left), _reasons(right),
    )  # fmt: skip


def _differences(left: list[Specialization], right: list[Specialization]) -> Iterable[str]:
    old, new = left[-1], right[-1]  # of several compilations the last one is in use
    if old.method != new.method:
        yield "the definition"
    for edge in dict.fromkeys((*old.edges, *new.edges)):
        before, after = old.edges.get(edge), new.edges.get(edge)
        if before is None or after is None or before[0] != after[0]:
            kind, where, name = edge
            what = name if where == "own" else f"{where}.{name}"
            yield f"{kind.replace('_', ' ')} {what}: {_found(before)} -> {change_text(_found(before), _found(after))}"
    if len(left) != len(right):
        yield f"compiled {len(left)} and {len(right)} times"
    if _reasons(left) != _reasons(right):
        yield f"saved: {_reasons(left) or 'yes'} -> {_reasons(right) or 'yes'}"
    if old.method == new.method and old.edges == new.edges and old.roots != new.roots:
        yield "roots"


def _found(edge: tuple[str, str] | None) -> str:
    return "not read" if edge is None else "absent" if edge[0] == "absent" else edge[1]


def _roots(items: list[Specialization] | None) -> frozenset[str]:
    return frozenset().union(*(item.roots for item in items or ()))


def _seconds(items: list[Specialization] | None) -> float | None:
    known = [item.seconds for item in items or () if item.seconds is not None]
    return sum(known) if known else None


def _reasons(items: list[Specialization] | None) -> str:
    return ", ".join(sorted({item.reason for item in items or () if item.reason}))
