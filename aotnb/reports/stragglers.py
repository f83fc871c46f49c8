"""What was compiled although an image was loaded, and what no save can take. Imports the session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from aotnb import session
from aotnb.core.records import Compilation, Dropped, Miss, Straggler
from aotnb.reports.explain import cure
from aotnb.reports.tables import Table

COLUMNS = (
    "what", "function", "module", "signature", "reason", "detail", "nearest", "difference", "seconds", "what_to_do",
)  # fmt: skip


def stragglers() -> list[Straggler]:
    """Return the stragglers of this process, the costliest first."""
    return straggling(session.misses(), session.compiled(), session.dropped())


def straggling(misses: Iterable[Miss], compiled: Iterable[Compilation], dropped: Iterable[Dropped]) -> list[Straggler]:
    """Put together what was missed with what it cost, and what cannot be saved."""
    called = [item for item in compiled if item.called]
    waiting: dict[tuple[str, str, str], list[Compilation]] = defaultdict(list)
    for item in called:
        waiting[_key(item)].append(item)
    rows = []
    for miss in misses:
        compilations = waiting[_key(miss)]
        seconds = compilations.pop(0).seconds if compilations else None  # None: the compiler refused it
        found = (miss.reason, miss.detail, miss.nearest, miss.difference)
        rows.append(Straggler("compiled", miss.function, miss.module, miss.signature, *found, seconds))
    seen = set()
    for item in called:
        if item.reason is not None:
            seen.add(_key(item))
            rows.append(_unsaved(item, item.reason, item.seconds))
    rows += [_unsaved(left, left.reason, None) for left in dropped if _key(left) not in seen]
    return sorted(rows, key=lambda row: -(row.seconds or 0.0))


def _unsaved(item: Compilation | Dropped, reason: str, seconds: float | None) -> Straggler:
    return Straggler("not saved", item.function, item.module, item.signature, reason, item.detail, "", "", seconds)


def _key(item: Compilation | Dropped | Miss) -> tuple[str, str, str]:
    return item.module, item.function, _arguments(item.signature)


def _arguments(signature: str) -> str:
    return signature.partition(" -> ")[0]


def _cure(row: Straggler) -> str:
    return cure(row.reason, row.detail)


def stragglers_table(rows: Iterable[Straggler]) -> Table:
    """Return one row for each straggler, with what to do about it."""
    return Table(
        COLUMNS,
        [
            (
                r.what,
                r.function,
                r.module,
                r.signature,
                r.reason,
                r.detail,
                r.nearest,
                r.difference,
                r.seconds,
                cure(r.reason, r.detail),
            )
            for r in rows
        ],
    )
