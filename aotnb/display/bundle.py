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
from aotnb.reports.differences import Side, diff_table
from aotnb.reports.explain import cure, sentence
from aotnb.reports.frames import frame
from aotnb.reports.question import Explanation, arguments_table
from aotnb.reports.stragglers import stragglers_table
from aotnb.reports.tables import Table, TraceLike

if TYPE_CHECKING:
    import pandas as pd

    from aotnb.core.records import LoadReport, SaveReport, Status, Straggler
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
        self, record: Any, lines: list[str], table: Callable[[], Table], shown: Callable[[Table], Table | None] | None = None
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
    lines += [f"{item.module}.{item.function}: {item.detail}" for item in report.unexplained]
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


def diff_report(a: Side, b: Side) -> Report:
    """Return the comparison of two traces or two images."""
    table = diff_table(a, b)
    counts = Counter(row[0] for row in table.rows)
    changes = ", ".join(f"{counts.get(change, 0)} {change}" for change in ("added", "removed", "changed", "same"))
    line = f"from {a.name} to {b.name}: {changes}"
    wanted = ("change", "function", "module", "signature", "difference", "roots_added", "roots_removed", "reason_b")
    different = Table(table.columns, [row for row in table.rows if row[0] != "same"])
    return Report((a, b), [line], lambda: table, lambda _: _select(different, wanted))


def roots_report(table: Table, func: str | None) -> Report:
    """Return the roots of this process, or of one function: who added each, and who uses it."""
    columns = {name: [row[place] for row in table.rows] for place, name in enumerate(table.columns)}
    methods, owners = len(set(columns["method"])), Counter(columns["owner"])
    of = f" of {func}" if func else ""
    line = f"{_count(len(table.rows), 'root')}{of} in {_count(methods, 'method')}, {sum(columns['bytes'])} bytes"
    lines = [line, *(f"  {count} of {owner}" for owner, count in owners.most_common())]
    wanted = ("method", "key", "index", "kind", "value", "bytes", "added_by", "users")
    return Report(func, lines, lambda: table, lambda shown: _select(shown, wanted))


def growth_report(table: Table) -> Report:
    """Return how the roots tables grew in the order of compilation."""
    new, shared, duplicates = (sum(row[place] for row in table.rows) for place in (4, 5, 6))
    line = f"{_count(len(table.rows), 'compilation')}: {new} new roots, {shared} shared with earlier ones"
    line += f"; {duplicates} brought by more than one owner" if duplicates else ""
    return Report(None, [line], lambda: table, lambda shown: shown)


def merge_report(rows: Table, costs: Table, files: list[str]) -> Report:
    """Return the re-index of a merge, under what each way of storing the roots would cost."""
    shared = sum(bool(row[-1]) for row in rows.rows)
    found = f"{_count(len(rows.rows), 'root')}, {shared} in both, no reference rewritten"
    line = f"{' and '.join(map(_nice, files))} in one process: {found}"
    wanted = ("method", "key", "index", "position", "kind", "value", "references", "shared_with")
    return Report(files, [line, "", *text_table(costs).splitlines()], lambda: rows, lambda shown: _select(shown, wanted))


def stragglers_report(rows: list[Straggler]) -> Report:
    """Return what was compiled although an image was loaded, and what no save can take."""
    compiled = [row for row in rows if row.what == "compiled"]
    spent = sum(row.seconds or 0.0 for row in compiled)
    lines = [f"{_count(len(compiled), 'straggler')} compiled in {spent:.2f} s, {len(rows) - len(compiled)} cannot be saved"]
    lines += _reason_lines(Counter(row.reason for row in rows))
    wanted = ("what", "function", "module", "signature", "reason", "difference", "seconds")
    return Report(rows, lines, lambda: stragglers_table(rows), lambda shown: _select(shown, wanted))


def explanation_report(found: Explanation) -> Report:
    """Return why a call would be served or compiled, and its arguments beside those of the nearest entry."""
    return Report(found, found.lines, lambda: arguments_table(found), lambda table: None if found.served else table)


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
