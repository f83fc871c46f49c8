"""The roots of two images in one process, and what they cost, as tables. Imports the image layer only."""

from __future__ import annotations

import os
from collections.abc import Iterable

from aotnb.image.merge import Merge
from aotnb.image.model import method_name
from aotnb.reports.tables import Table

MERGE_COLUMNS = (
    "method", "image", "key", "index", "position", "kind", "value", "bytes", "references", "shared_with",
)  # fmt: skip
COST_COLUMNS = ("proposal", "roots", "bytes", "bytes_saved", "references", "rewritten_references")


def merge_tables(paths: Iterable[str | os.PathLike[str]]) -> tuple[Table, Table]:
    """Return the re-index of a merge, and what each way of storing the roots of these images costs."""
    merge = Merge(*[os.fspath(path) for path in paths])
    rows = [
        (method_name(r.method), r.image, r.key, r.index, r.position, r.kind, r.value, r.size, r.references, r.shared_with)
        for r in merge.rows()
    ]
    costs = [(p.proposal, p.roots, p.size, p.saved, p.references, p.rewritten) for p in merge.proposals()]
    return Table(MERGE_COLUMNS, rows), Table(COST_COLUMNS, costs)
