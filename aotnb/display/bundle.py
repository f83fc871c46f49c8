"""Reports: one object with a text face, an HTML face and a frame. Imports reports; pandas only through ``.frame``."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from aotnb.display.render import html_table, text_table
from aotnb.reports import changes, tables
from aotnb.reports.explain import cure, sentence
from aotnb.reports.frames import frame
from aotnb.reports.tables import Table, TraceLike

if TYPE_CHECKING:
    import pandas as pd

    from aotnb.core.records import LoadReport, SaveReport, Status
    from aotnb.reports.changes import Invalidations


class Report:
    """What a magic returns.

    Attributes
    ----------
    record
        The data behind the report: a trace, a ``SaveReport``, a ``LoadReport``, a ``Status`` or a pair of traces.
    frame
        All rows as a pandas frame; the faces show the most important columns and rows only.
    """

    def __init__(
        self, record: Any, lines: list[str], table: Callable[[], Table], shown: Callable[[Table], Table] | None = None
    ) -> None:
        self.record = record
        self._lines = lines
        self._table = table
        self._shown = shown

    @property
    def frame(self) -> pd.DataFrame:
        """All rows as a pandas frame."""
        return frame(self._table())

    def _view(self) -> Table | None:
        view = self._shown(self._table()) if self._shown is not None else None
        return view if view is not None and view.rows else None

    def __repr__(self) -> str:
        view = self._view()
        return "\n".join([*self._lines, "", text_table(view)] if view is not None else self._lines)

    def _repr_html_(self) -> str:
        view = self._view()
        lines = "<br>".join(escape(line) for line in self._lines)
        return f"<div>{lines}</div>{html_table(view) if view is not None else ''}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return both faces. IPython swallows errors raised here, so they are made into a warning."""
        try:
            return {"text/plain": repr(self), "text/html": self._repr_html_()}
        except Exception as error:  # noqa: BLE001
            warnings.warn(f"an aotnb report could not be shown: {type(error).__name__}: {error}", stacklevel=2)
            return {"text/plain": "\n".join(self._lines)}


def trace_report(trace: TraceLike) -> Report:
    """Return the report on a traced cell: what was compiled, for how long, and whether a save takes it."""
    compilations = trace.compilations
    top = [item for item in compilations if not item.depth]
    saved = sum(item.saveable for item in compilations)
    count = _count(len(compilations), "compilation")
    if not compilations:
        line = f"trace {trace.name!r}: nothing was compiled in {trace.seconds:.2f} s"
    else:
        spent = sum(item.seconds for item in top)
        times = f"{spent:.2f} s of {trace.seconds:.2f} s"
        line = f"trace {trace.name!r}: {count} ({len(top)} top-level), {times}; {saved} can be saved"
    reasons = Counter(item.reason for item in compilations if not item.saveable)
    return Report(trace, [line, *_reason_lines(reasons)], lambda: tables.compilations_table(trace), _main_columns)


def _main_columns(table: Table) -> Table:
    wanted = ("function", "module", "signature", "depth", "seconds", "own_seconds", "new_roots", "saved", "reason")
    seconds = table.columns.index("seconds")
    return _select(Table(table.columns, sorted(table.rows, key=lambda row: -row[seconds])), wanted)


def _select(table: Table, wanted: tuple[str, ...]) -> Table:
    places = [table.columns.index(name) for name in wanted]
    return Table(wanted, [tuple(row[place] for place in places) for row in table.rows])


def save_report(report: SaveReport) -> Report:
    """Return the report on a saved image."""
    holds = f"{_entries(report.entries)}, {report.code_instances} code instances in {_count(report.units, 'unit')}"
    made = f"{report.size / 1024:.0f} KB for {report.target}, linked by {report.linker}, {report.seconds:.2f} s"
    lines = [f"saved {_nice(report.path)}: {holds}, {made}"]
    if report.dropped:
        lines.append(f"left out: {len(report.dropped)}")
        lines += _reason_lines(Counter(item.reason for item in report.dropped))
    return Report(report, lines, lambda: tables.dropped_table(report))


def load_report(report: LoadReport) -> Report:
    """Return the one line on a loaded image."""
    spared = f"; compiling them took {report.jit_seconds:.1f} s" if report.jit_seconds else ""
    holds = f"{_entries(report.entries)} of {_count(report.functions, 'function')} for {report.target}"
    line = f"loaded {_nice(report.path)}: {holds} in {report.milliseconds:.1f} ms{spared}"
    columns = ("image", "entries", "functions", "linked", "target", "milliseconds", "jit_seconds", "image_id")
    row = (
        report.path, report.entries, report.functions, report.linked, report.target, report.milliseconds, report.jit_seconds,
        report.image_id,
    )  # fmt: skip
    return Report(report, [line], lambda: Table(columns, [row]))


def status_report(status: Status) -> Report:
    """Return the report on this process: images, calls served, compilations and misses with reasons."""
    versions = f"(Numba {status.numba}, llvmlite {status.llvmlite})"
    if not status.active:
        lines = [f"aotnb is not active {versions}"]
    else:
        did = f"{len(status.served)} served from images, {_count(status.compilations, 'JIT compilation')}"
        lines = [f"aotnb is active {versions}: {_count(len(status.images), 'image')} loaded, {did}"]
    lines += [
        f"  {_nice(image.path)}: {_entries(image.entries)}, loaded in {image.milliseconds:.1f} ms ({image.linked})"
        for image in status.images
    ]
    if not status.misses:
        return Report(status, lines, lambda: tables.misses_table(status.misses))
    lines += ["not served:", *_reason_lines(Counter(miss.reason for miss in status.misses))]
    shown = ("function", "module", "signature", "reason", "detail")
    return Report(status, lines, lambda: tables.misses_table(status.misses), lambda table: _select(table, shown))


def invalidations_report(rows: Invalidations) -> Report:
    """Return what was invalidated, as a tree; all columns are in the frame."""
    if not rows:
        return Report(rows, ["nothing was invalidated so far"], lambda: changes.invalidations_table(rows))
    spent, worlds = sum(row.seconds for row in rows), len({row.world for row in rows})
    line = f"{_count(len(rows), 'specialization')} invalidated by {_count(worlds, 'change')}, {spent:.2f} s"
    return Report(rows, [line, *changes.tree_lines(rows)], lambda: changes.invalidations_table(rows))


def diff_report(a: TraceLike, b: TraceLike) -> Report:
    """Return the comparison of two traces."""
    table = tables.diff_table(a, b)
    counts = Counter(row[0] for row in table.rows)
    changes = ", ".join(f"{counts.get(change, 0)} {change}" for change in ("added", "removed", "changed", "same"))
    line = f"from trace {a.name!r} to trace {b.name!r}: {changes}"
    different = Table(table.columns, [row for row in table.rows if row[0] != "same"])
    return Report((a, b), [line], lambda: table, lambda _: different)


def roots_report(trace: TraceLike, *, growth: bool) -> Report:
    """Return the roots tables of a trace: their sizes, or with ``growth`` how each compilation added to them."""
    make = tables.roots_growth_table if growth else tables.roots_table
    table = make(trace)
    total = sum(row[2] for row in tables.roots_table(trace).rows)
    line = f"trace {trace.name!r}: {_count(total, 'root')} in {_count(len(tables.roots_table(trace).rows), 'method')}"
    return Report(trace, [line], lambda: table, lambda shown: shown)


def _reason_lines(reasons: Counter[str] | Counter[str | None]) -> Iterable[str]:
    return [f"  {count} {code}: {sentence(code)} {cure(code)}".rstrip() for code, count in reasons.most_common()]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _entries(number: int) -> str:
    return _count(number, "entry", "entries")


def _nice(path: str) -> str:
    """Return a path relative to the working directory where it lies inside it."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return path if relative.startswith(os.pardir) else relative
