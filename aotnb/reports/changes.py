"""What became invalid, and why: rows, and a tree with the largest losses first. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aotnb.core.faces import Faces
from aotnb.reports.frames import frame
from aotnb.reports.tables import Table

if TYPE_CHECKING:
    import pandas as pd

    from aotnb.core.records import Invalidation

COLUMNS = (
    "world", "cause_kind", "cause", "before", "after", "victim", "module", "argument_types", "chain", "depth", "seconds", "note",
)  # fmt: skip


class Invalidations(Faces, tuple["Invalidation", ...]):
    """What was invalidated in this process, oldest first; a tuple of records that also knows its frame and its tree."""

    __slots__ = ()

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each victim.

        Columns
        -------
        world : int
            The world that began with the change.
        cause_kind, cause, before, after : str
            "global", "closure", "attribute", "array", "function", "overload" or "callee"; its name; both contents, shortened.
        victim, module, argument_types : str
            The function whose code is no longer valid, for these argument types.
        chain : str
            The functions from the one that read what changed to the victim.
        depth : int
            How many calls lie between them.
        seconds : float
            Compile time that is lost; zero for code from an image.
        note : str
            Where something could not be replaced: what to do.
        """
        return frame(invalidations_table(self))

    def tree(self) -> str:
        """Return the causes with their victims below them, as they call each other; the largest losses first."""
        return "\n".join(tree_lines(self))

    def __repr__(self) -> str:
        return self.tree() if self else "nothing was invalidated"


def invalidations_table(rows: Iterable[Invalidation]) -> Table:
    """Return one row for each victim."""
    return Table(
        COLUMNS,
        [
            (
                row.world, row.kind, row.cause, row.before, row.after, row.function, row.module,
                row.signature.partition(" -> ")[0], " -> ".join(row.chain), row.depth, row.seconds, row.note,
            )
            for row in rows
        ],
    )  # fmt: skip


def tree_lines(rows: Iterable[Invalidation]) -> list[str]:
    """Return the lines of the tree."""
    groups: dict[tuple[int, str, str], list[Invalidation]] = {}
    for row in rows:
        groups.setdefault((row.world, row.kind, row.cause), []).append(row)
    lines: list[str] = []
    for (world, kind, cause), group in sorted(groups.items(), key=lambda item: -_lost(item[1])):
        before, after = group[0].before, group[0].after
        lines.append(f"world {world}: {kind} {cause}: {before} -> {after} ({len(group)} invalidated, {_lost(group):.2f} s)")
        shown: set[tuple[str, ...]] = set()
        for row in sorted(group, key=lambda row: (row.chain, row.signature)):
            for depth in range(row.depth):  # functions on the way that are no victims: replaced already, or made by the compiler
                if row.chain[: depth + 1] not in shown:
                    shown.add(row.chain[: depth + 1])
                    lines.append(f"{'  ' * (depth + 1)}({row.chain[depth]})")
            shown.add(row.chain)
            note = f" [{row.note}]" if row.note else ""
            types = row.signature.partition(" -> ")[0]
            lines.append(f"{'  ' * (row.depth + 1)}{row.chain[-1]}{types} {row.seconds:.2f} s{note}")
    return lines


def _lost(rows: list[Invalidation]) -> float:
    return sum(row.seconds for row in rows)
