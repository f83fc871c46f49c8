"""Reports: one object with a text face, an HTML face, a frame, a plot and an explorer. pandas only when asked for."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aotnb.core.records import LoadReport, SaveReport, Status
from aotnb.core.words import counted
from aotnb.display import plots
from aotnb.display.page import write_page
from aotnb.display.render import TEXT_ROWS, html_lines, html_table, text_table, without_empty_columns
from aotnb.image.contents import code_sizes
from aotnb.reports import changes, tables
from aotnb.reports.changes import Invalidations
from aotnb.reports.differences import Side, diff_table
from aotnb.reports.explain import cure, sentence
from aotnb.reports.frames import frame
from aotnb.reports.parcels import parcels_table
from aotnb.reports.question import Explanation, arguments_table, compile_times
from aotnb.reports.shelf import images_table
from aotnb.reports.stragglers import stragglers_table
from aotnb.reports.tables import Table, TraceLike

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from aotnb.core.records import ImageFile, Parcel, Straggler
    from aotnb.display.explorer import Rows


_NOTHING_NEW = "whatever jitted functions it called were compiled before, or there are none"
_MAY_BE_MISSING = ("seconds", "seconds_a", "seconds_b", "jit_seconds")


class Report:
    """What a magic or a public function returns: a table with faces.

    ``frame`` is *the* table. For short, ``report["column"]`` and ``report.columns`` ask the frame, ``len(report)`` counts
    its rows and iteration gives them as tuples.

    Attributes
    ----------
    record
        The data behind the report: a trace, a ``SaveReport``, a ``LoadReport``, a ``Status`` or a pair of traces.
    frame
        All rows as a pandas frame; the faces show the most important columns and rows only.
    """

    def __init__(
        self,
        record: Any,
        lines: list[str],
        table: Callable[[], Table],
        shown: Callable[[Table], Table | None] | None = None,
        *,
        title: str,
        plot: Callable[[], Figure],
        extra: Table | None = None,
        more: str = "see .frame",
    ) -> None:
        self.record = record
        self._lines = lines
        self._table = table
        self._shown = shown
        self.title = title
        self._plot = plot
        self._extra = extra  # a short table that is shown first
        self._more = more  # where the rows are that there is no room for

    @property
    def frame(self) -> pd.DataFrame:
        """All rows as a pandas frame."""
        table = self._table()
        return frame(table).astype({name: float for name in _MAY_BE_MISSING if name in table.columns})

    @property
    def columns(self) -> pd.Index[str]:
        """The columns of the frame."""
        return self.frame.columns

    def __getitem__(self, column: Any) -> Any:
        return self.frame[column]

    def __len__(self) -> int:
        return len(self._table().rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._table().rows)

    def __bool__(self) -> bool:
        return True

    def plot(self) -> Figure:
        """Draw the record: a matplotlib Figure. What each means is in the page on plots."""
        return self._plot()

    def explore(self) -> Rows:
        """Open the rows in widgets: filter, sort, and look at one after the other."""
        from aotnb.display.explorer import Rows

        return Rows(self.title, self._table())

    def to_html(self, file: str | os.PathLike[str]) -> Path:
        """Write one HTML file with all rows and the plot, which loads nothing from anywhere, and return its path.

        Raises
        ------
        AotError
            If the file cannot be written.
        """
        return write_page(file, self.title, self._lines, self._table(), self.plot, self._extra)

    def _views(self) -> list[Table]:
        view = self._shown(self._table()) if self._shown is not None else None
        return [without_empty_columns(table) for table in (self._extra, view) if table is not None and table.rows]

    def text(self, limit: int = TEXT_ROWS) -> str:
        """Return the text face with at most *limit* rows of a table."""
        return "\n\n".join(["\n".join(self._lines), *(text_table(view, limit, more=self._more) for view in self._views())])

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return html_lines(self._lines) + "".join(html_table(view, more=self._more) for view in self._views())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return both faces. IPython swallows errors raised here, so they are made into a warning."""
        try:
            return {"text/plain": repr(self), "text/html": self._repr_html_()}
        except Exception as error:  # noqa: BLE001
            warnings.warn(f"an aotnb report could not be shown: {type(error).__name__}: {error}", stacklevel=2)
            return {"text/plain": "\n".join(self._lines)}


def report(record: Any) -> Report:
    """Return the report on a record that a public function gave."""
    if isinstance(record, SaveReport):
        return save_report(record)
    if isinstance(record, LoadReport):
        return load_report(record)
    if isinstance(record, Status):
        return status_report(record)
    if isinstance(record, Invalidations):
        return invalidations_report(record)
    return trace_report(record)


def trace_report(trace: TraceLike) -> Report:
    """Return the report on a traced cell: what was compiled, for how long, and whether a save takes it."""
    compilations = trace.compilations
    top = [item for item in compilations if not item.depth]
    saved = sum(item.saveable for item in compilations)
    count = counted(len(compilations), "compilation")
    if not compilations:
        served = counted(len(trace.served), "first call") + " served from images" if trace.served else _NOTHING_NEW
        line = f"trace {trace.name!r}: nothing was compiled in {trace.seconds:.2f} s; {served}"
    else:
        spent = sum(item.seconds for item in top)
        times = f"{spent:.2f} s of {trace.seconds:.2f} s"
        line = f"trace {trace.name!r}: {count} ({len(top)} top-level), {times}; {saved} can be saved"
    reasons = Counter(item.reason for item in compilations if not item.saveable)
    return Report(
        trace,
        [line, *_reason_lines(reasons)],
        lambda: tables.compilations_table(trace),
        _main_columns,
        title=f"Trace {trace.name}",
        plot=lambda: plots.compile_time(compilations),
        more=f"see report.frame after report = %aot_report {trace.name}",
    )


def _main_columns(table: Table) -> Table:
    wanted = ("function", "module", "signature", "depth", "seconds", "own_seconds", "new_roots", "saved", "reason")
    seconds = table.columns.index("seconds")
    return _select(Table(table.columns, sorted(table.rows, key=lambda row: -row[seconds])), wanted)


def _select(table: Table, wanted: tuple[str, ...]) -> Table:
    places = [table.columns.index(name) for name in wanted]
    return Table(wanted, [tuple(row[place] for place in places) for row in table.rows])


def save_report(report: SaveReport) -> Report:
    """Return the report on a saved image."""
    holds = f"{_entries(report.entries)}, {counted(report.code_instances, 'code instance')} in {counted(report.units, 'unit')}"
    made = f"{report.size / 1024:.0f} KB for {report.target}, linked by {report.linker}, {report.seconds:.2f} s"
    lines = [f"saved {_nice(report.path)}: {holds}, {made}"]
    if report.dropped:
        lines.append(f"left out: {len(report.dropped)}")
        lines += _reason_lines(Counter(item.reason for item in report.dropped))
    lines += [f"{item.module}.{item.function}: {item.detail}" for item in report.unexplained]
    return Report(
        report,
        lines,
        lambda: tables.dropped_table(report),
        title=f"Saved image {_nice(report.path)}",
        plot=lambda: image_map(report.path),
    )


def load_report(report: LoadReport) -> Report:
    """Return the one line on a loaded image."""
    spared = "unknown" if report.jit_seconds is None else f"{report.jit_seconds:.1f} s"
    holds = f"{_entries(report.entries)} of {counted(report.functions, 'function')} ready"
    target = f"{report.target} ({report.why})" if report.why else report.target
    reasons = Counter(item.reason for item in report.left_out)
    why = f" ({', '.join(f'{count} {code}' for code, count in reasons.most_common())})" if reasons else ""
    line = f"loaded {_nice(report.path)}: {holds} for {target} in {report.milliseconds:.1f} ms; JIT time avoided: {spared}"
    line += f"; refused at save: {len(report.left_out)}{why}"
    if report.journal:
        held = _entries(sum(record.entries for record in report.journal))
        line += f"; with {held} from {counted(len(report.journal), 'record')} of its journal"
    columns = ("image", "entries", "functions", "linked", "target", "why", "milliseconds", "jit_seconds", "image_id")
    row = (
        report.path, report.entries, report.functions, report.linked, report.target, report.why, report.milliseconds,
        report.jit_seconds, report.image_id,
    )  # fmt: skip
    return Report(
        report,
        [line, *report.journal_problems],
        lambda: Table(columns, [row]),
        title=f"Loaded image {_nice(report.path)}",
        plot=lambda: image_map(report.path),
    )


def status_report(status: Status) -> Report:
    """Return the report on this process: images, calls served, compilations and misses with reasons."""
    versions = f"(Numba {status.numba}, llvmlite {status.llvmlite})"
    if not status.active:
        lines = [f"aotnb is not active {versions}"]
    else:
        did = f"{counted(len(status.served), 'first call')} served from images, {counted(status.compilations, 'JIT compilation')}"
        lines = [f"aotnb is active {versions}: {counted(len(status.images), 'image')} loaded, {did}"]
    lines += [
        f"  {_nice(image.path)}: {_entries(image.entries)}, loaded in {image.milliseconds:.1f} ms ({image.linked})"
        for image in status.images
    ]
    if status.served:
        spared, spent = sum(item.jit_seconds or 0.0 for item in status.served), sum(image.milliseconds for image in status.images)
        answered = sum(item.milliseconds for item in status.served)
        lines.append(f"JIT time avoided: {spared:.1f} s, for {spent:.1f} ms of loading and {answered:.1f} ms of checking")
    if status.misses:
        lines += ["not served:", *_reason_lines(Counter(miss.reason for miss in status.misses))]
    shown = ("function", "module", "signature", "reason", "detail")
    return Report(
        status,
        lines,
        lambda: tables.misses_table(status.misses),
        lambda table: _select(table, shown) if status.misses else None,
        title="Status",
        plot=lambda: _served_plot(status),
    )


def invalidations_report(rows: Invalidations) -> Report:
    """Return what was invalidated, as a tree; all columns are in the frame."""
    spent, worlds = sum(row.seconds for row in rows), len({row.world for row in rows})
    line = f"{counted(len(rows), 'specialization')} invalidated by {counted(worlds, 'change')}, {spent:.2f} s"
    return Report(
        rows,
        [line, *changes.tree_lines(rows)] if rows else ["nothing was invalidated so far"],
        lambda: changes.invalidations_table(rows),
        title="Invalidations",
        plot=lambda: plots.invalidation_tree(rows),
    )


def diff_report(a: Side, b: Side) -> Report:
    """Return the comparison of two traces or two images."""
    table = diff_table(a, b)
    counts = Counter(row[0] for row in table.rows)
    changes = ", ".join(f"{counts.get(change, 0)} {change}" for change in ("added", "removed", "changed", "same"))
    line = f"from {a.name} to {b.name}: {changes}"
    wanted = ("change", "function", "module", "signature", "difference", "roots_added", "roots_removed", "reason_b")
    different = Table(table.columns, [row for row in table.rows if row[0] != "same"])
    return Report(
        (a, b),
        [line],
        lambda: table,
        lambda _: _select(different, wanted),
        title=f"From {a.name} to {b.name}",
        plot=lambda: plots.bars(
            "Seconds of compilation that differ",
            "seconds",
            [(row[1], abs((row[8] or 0.0) - (row[7] or 0.0))) for row in different.rows],
        ),
    )


def roots_report(table: Table, func: str | None) -> Report:
    """Return the roots of this process, or of one function: who added each, and who uses it."""
    columns = {name: [row[place] for row in table.rows] for place, name in enumerate(table.columns)}
    methods, owners = len(set(columns["method"])), Counter(columns["owner"])
    of = f" of {func}" if func else ""
    line = f"{counted(len(table.rows), 'root')}{of} in {counted(methods, 'method')}, {sum(columns['bytes'])} bytes"
    lines = [line, *(f"  {count} of {owner}" for owner, count in owners.most_common())]
    wanted = ("method", "owner", "index", "kind", "value", "bytes", "added_by", "users")
    return Report(
        func,
        lines,
        lambda: table,
        lambda shown: _select(shown, wanted),
        title=f"Roots{of}",
        plot=lambda: plots.bars("Roots", "bytes", zip(columns["method"], columns["bytes"], strict=True)),
    )


def growth_report(table: Table) -> Report:
    """Return how the roots tables grew in the order of compilation."""
    new, shared, duplicates = (sum(row[place] for row in table.rows) for place in (4, 5, 6))
    line = f"{counted(len(table.rows), 'compilation')}: {new} new roots, {shared} shared with earlier ones"
    line += f"; {duplicates} brought by more than one owner" if duplicates else ""
    return Report(
        None,
        [line],
        lambda: table,
        lambda shown: shown,
        title="Growth of the roots tables",
        plot=lambda: plots.roots_growth(table),
    )


def merge_report(rows: Table, costs: Table, files: list[str]) -> Report:
    """Return the re-index of a merge, under what each way of storing the roots would cost."""
    shared = sum(bool(row[-1]) for row in rows.rows)
    found = f"{counted(len(rows.rows), 'root')}, {shared} in both, no reference rewritten"
    line = f"{' and '.join(map(_nice, files))} in one process: {found}"
    return Report(
        files,
        [line],
        lambda: rows,
        _merged_view,
        title="Merged roots",
        plot=lambda: _costs_plot(costs),
        extra=costs,
    )


def _merged_view(table: Table) -> Table:
    """Return the re-index with files in place of keys."""
    wanted = ("method", "image", "index", "position", "kind", "value", "references", "shared_with")
    place, key = table.columns.index("image"), table.columns.index("key")
    files = {row[key]: os.path.basename(row[place]) for row in table.rows}
    rows = []
    for method, image, *rest, shared in _select(table, wanted).rows:
        for identity, file in files.items():
            shared = shared.replace(identity, file)
        rows.append((method, os.path.basename(image), *rest, shared))
    return Table(wanted, rows)


def stragglers_report(rows: list[Straggler]) -> Report:
    """Return what was compiled although an image was loaded, and what no save can take."""
    compiled = [row for row in rows if row.what == "compiled"]
    spent = sum(row.seconds or 0.0 for row in compiled)
    found = [f"{counted(len(compiled), 'straggler')} compiled in {spent:.2f} s"] if compiled else []
    found += [f"{unsaved} cannot be saved"] if (unsaved := len(rows) - len(compiled)) else []
    lines = [", ".join(found) if rows else "no stragglers: what was called came from a loaded image, or can be saved into one"]
    lines += _reason_lines(Counter(row.reason for row in rows))
    wanted = ("what", "function", "module", "signature", "reason", "difference", "seconds")
    return Report(
        rows,
        lines,
        lambda: stragglers_table(rows),
        lambda shown: _select(shown, wanted),
        title="Stragglers",
        plot=lambda: plots.bars("Stragglers", "seconds", [(row.function, row.seconds or 0.0) for row in rows]),
    )


def parcel_report(found: list[Parcel], written: dict[str, Path]) -> Report:
    """Return what was compiled of each package, the costliest first."""
    spent, compilations = sum(parcel.seconds for parcel in found), sum(parcel.compilations for parcel in found)
    lines = [f"{counted(compilations, 'compilation')} of {counted(len(found), 'package')} in {spent:.2f} s"]
    if left := sum(len(parcel.statements) - parcel.replayable for parcel in found):
        lines.append(f"{counted(left, 'specialization')} cannot be named in a trace file; the comments there say why")
    lines += [f"  {package}: {_nice(str(file))}" for package, file in written.items()]
    wanted = ("package", "version", "functions", "compilations", "seconds", "share", "asked", "statements", "saved")
    return Report(
        found,
        lines,
        lambda: parcels_table(found, written),
        lambda shown: _select(shown, wanted),
        title="Packages",
        plot=lambda: plots.bars("Compile time by package", "seconds", [(p.package, p.seconds) for p in found]),
    )


def images_report(found: list[ImageFile], said: str = "") -> Report:
    """Return the images of a folder, or those that were removed."""
    here = sum(not image.reason for image in found)
    line = f"{said}{counted(len(found), 'image')}, {sum(image.size for image in found) / 1024:.0f} KB"
    wanted = ("image", "entries", "bytes", "saved", "target", "numba", "python", "reason")
    return Report(
        found,
        [line if said else f"{line}; {here} can be loaded here", *_reason_lines(Counter(i.reason for i in found if i.reason))],
        lambda: images_table(found),
        lambda table: _select(table, wanted),
        title="Images",
        plot=lambda: plots.bars("Images", "bytes", [(image.path, image.size) for image in found]),
    )


def cost_report(costs: Table, files: list[str]) -> Report:
    """Return what each way of storing the roots of some images costs."""
    line = f"storing the roots of {' and '.join(map(_nice, files))}"
    return Report(
        files,
        [line],
        lambda: costs,
        lambda shown: shown,
        title="Costs of merging",
        plot=lambda: _costs_plot(costs),
    )


def _costs_plot(costs: Table) -> Figure:
    return plots.bars("What each way of storing the roots costs", "bytes", [(row[0], row[2]) for row in costs.rows])


def image_map(path: str) -> Figure:
    """Draw how much machine code each function has in an image, for each CPU target."""
    return plots.image_map(code_sizes(path))


def _served_plot(status: Status) -> Figure:
    measured = {
        s.function: {"image": s.milliseconds / 1000, **({} if s.jit_seconds is None else {"cold": s.jit_seconds})}
        for s in status.served
    }
    return plots.first_results(measured)


def explanation_report(found: Explanation) -> Report:
    """Return why a call would be served or compiled, and its arguments beside those of the nearest entry."""
    return Report(
        found,
        found.lines,
        lambda: arguments_table(found),
        lambda table: None if found.served else table,
        title="Explanation",
        plot=lambda: plots.bars(f"What the JIT took for {found.function}", "seconds", compile_times(found)),
    )


def _reason_lines(reasons: Counter[str] | Counter[str | None]) -> Iterable[str]:
    return [f"  {count} {code}: {sentence(code)} {cure(code)}".rstrip() for code, count in reasons.most_common()]


def _entries(number: int) -> str:
    return counted(number, "entry", "entries")


def _nice(path: str) -> str:
    """Return a path relative to the working directory where it lies inside it."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return path if relative.startswith(os.pardir) else relative
