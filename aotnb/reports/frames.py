"""Records of the session as pandas frames. May import the tables; pandas only when a frame is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aotnb.errors import AotError
from aotnb.reports import tables

if TYPE_CHECKING:
    import pandas as pd

    from aotnb.core.records import SaveReport, Status


def frame(table: tables.Table) -> pd.DataFrame:
    """Return a table as a frame; say what to install where pandas is missing."""
    try:
        import pandas as pd
    except ImportError:
        raise AotError("frames need pandas, which is not installed; run pip install pandas") from None
    return pd.DataFrame(table.rows, columns=list(table.columns))


def compilations(trace: tables.TraceLike) -> pd.DataFrame:
    """Return what a trace recorded, one row for each compilation, in the order in which they began.

    Columns
    -------
    function, module, signature : str
        What was compiled; the signature holds argument types and return type.
    kind : str
        "function", "overload", "inner", "ufunc", "gufunc", "cfunc", "parfor" or "internal".
    depth : str
        "top-level" where Python asked for it, "nested" where another compilation did.
    seconds, own_seconds : float
        With and without nested compilations.
    bytecode, inference, rewriting, lowering, other_passes : float
        Seconds in Numba's passes by what they do, nested compilations included. Lowering includes LLVM.
    new_roots : int
        Objects that this compilation added to the roots table of its method.
    saved : bool
        Whether a save takes it.
    reason, detail : str
        Otherwise why not: a reason code and a sentence; empty when it is saved.
    """
    return frame(tables.compilations_table(trace))


def roots_growth(trace: tables.TraceLike) -> pd.DataFrame:
    """Return how the roots table of each method grew: compilation, function, method, total_roots, new_roots, shared_roots."""
    return frame(tables.roots_growth_table(trace))


def misses(status: Status) -> pd.DataFrame:
    """Return the questions that ended in the JIT: function, module, signature, reason, detail, what_to_do."""
    return frame(tables.misses_table(status.misses))


def dropped(report: SaveReport) -> pd.DataFrame:
    """Return what a save left out: function, module, signature, reason, detail, what_to_do."""
    return frame(tables.dropped_table(report))


def status(status: Status) -> pd.DataFrame:
    """Return the loaded images: image, entries, functions, served, linked, target, milliseconds, jit_seconds, image_id."""
    return frame(tables.status_table(status))
