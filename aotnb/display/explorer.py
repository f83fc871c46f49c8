"""The explorer: plain ipywidgets, which work offline in every front end and by keyboard; imported in functions only.

Whatever is long comes in pages, and a text is made only when its pane is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from aotnb import session
from aotnb.display.items import PANES, Item, items, pane
from aotnb.display.page import write_page
from aotnb.display.render import cell, html_table
from aotnb.errors import AotError
from aotnb.reports.changes import invalidations_table
from aotnb.reports.roots import roots_table
from aotnb.reports.stragglers import stragglers, stragglers_table
from aotnb.reports.tables import Table

PAGE = 50
PANE_LINES = 2000
STATIC_ROWS = 200
_CODE_COLUMNS = ("method", "signature", "kind", "state", "seconds")
_WIDE = {"width": "100%"}
_NARROW = {"width": "auto"}
_SHARE = {"flex": "1 1 20em", "min_width": "0"}  # of a row, or a row of its own where that is narrow


class Widgets:
    """A widget with a static twin: ``widget`` for a live front end, ``to_html`` and the HTML face for all others."""

    title: str
    widget: Any

    def table(self) -> Table:
        """Return what the static twin shows."""
        raise NotImplementedError

    def to_html(self, file: str | os.PathLike[str]) -> Path:
        """Write the static twin with all rows as one self-contained file, and return its path."""
        return write_page(file, self.title, [], self.table(), None)

    def __repr__(self) -> str:
        return f"{self.title}: {len(self.table().rows)} rows; widgets need a notebook, .to_html(file) writes a page"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        live = self.widget._repr_mimebundle_() or {}
        return {**live, "text/plain": repr(self), "text/html": html_table(self.table(), STATIC_ROWS, caption=self.title)}


class Pages:
    """A list in pages of :data:`PAGE`: a ``Select`` with the number of its page below it."""

    def __init__(self, label: str, chosen: Callable[[Any], None], layout: dict[str, str] = _WIDE) -> None:
        import ipywidgets

        self._entries: Sequence[tuple[str, Any]] = ()
        self._chosen = chosen
        self._quiet = False
        self.select = ipywidgets.Select(description=label, rows=10, layout=_WIDE)
        self.page = ipywidgets.BoundedIntText(value=1, min=1, max=1, description="Page")
        self.count = ipywidgets.Label()
        self.select.observe(self._pick, "value")
        self.page.observe(lambda _: self._show(), "value")
        self.turn = ipywidgets.HBox([self.page, self.count])
        self.widget = ipywidgets.VBox([self.select, self.turn], layout=layout)

    def fill(self, entries: Sequence[tuple[str, Any]]) -> None:
        """Show other entries, from the first page on."""
        self._entries = entries
        pages = max(1, -(-len(entries) // PAGE))
        self._quiet = True
        self.page.value = 1
        self.page.max = pages
        self._quiet = False
        self.count.value = f"of {pages}, {len(entries)} in all"
        self.turn.layout.display = None if pages > 1 else "none"
        self.select.rows = min(10, max(3, len(entries)))
        self._show()

    def _show(self) -> None:
        if self._quiet:
            return
        start = (self.page.value - 1) * PAGE
        shown = self._entries[start : start + PAGE]
        self._quiet = True  # the numbers make equal labels different, and the values small
        self.select.options = [(label, start + offset) for offset, (label, _) in enumerate(shown)]
        self.select.value = start if shown else None
        self._quiet = False
        self._chosen(shown[0][1] if shown else None)

    def _pick(self, change: Any) -> None:
        if not self._quiet and change["new"] is not None:
            self._chosen(self._entries[change["new"]][1])


class Rows(Widgets):
    """The rows of one report: filter, sort, pages, and every column of the row that is selected."""

    def __init__(self, title: str, table: Table, label: Sequence[str] = ()) -> None:
        import ipywidgets

        self.title, self._table = title, table
        # the columns by which the list tells rows apart
        self._label = [table.columns.index(name) for name in label or table.columns[:4]]
        self.filter = ipywidgets.Text(description="Filter", placeholder="part of any column", continuous_update=False)
        self.sort = ipywidgets.Dropdown(description="Sort by", options=[("as recorded", -1), *_numbered(table.columns)])
        self.descending = ipywidgets.Checkbox(description="largest first", value=True, indent=False, layout=_NARROW)
        self.detail = ipywidgets.HTML()
        self.pages = Pages("Rows", self._look)
        for control in (self.filter, self.sort, self.descending):
            control.observe(lambda _: self.refresh(), "value")
        controls = ipywidgets.HBox([self.filter, self.sort, self.descending], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([controls, self.pages.widget, self.detail])
        self.refresh()

    def table(self) -> Table:
        """Return all rows."""
        return self._table

    def refresh(self) -> None:
        """Filter and sort anew."""
        wanted = self.filter.value.casefold()
        rows = [row for row in self._table.rows if wanted in " ".join(map(str, row)).casefold()]
        if (column := self.sort.value) >= 0:
            rows.sort(
                key=lambda row: (row[column] is not None, row[column] or 0 if _is_number(row[column]) else 0, str(row[column]))
            )
            rows = rows[::-1] if self.descending.value else rows
        self.pages.fill([(" | ".join(cell(row[place]) for place in self._label), row) for row in rows])

    def _look(self, row: tuple[Any, ...] | None) -> None:
        if row is None:
            self.detail.value = "<p>Nothing fits.</p>"
            return
        lines = "".join(
            f'<tr><th scope="row">{escape(name.replace("_", " "))}</th>'
            f'<td style="text-align: left">{escape(cell(value))}</td></tr>'
            for name, value in zip(self._table.columns, row, strict=True)
        )
        self.detail.value = f"<table>{lines}</table>"


class Code(Widgets):
    """Method, its specializations, the code instances of one of them, and what a pane tells of it."""

    def __init__(self) -> None:
        import ipywidgets

        self.title = "Code instances"
        self.filter = ipywidgets.Text(description="Filter", placeholder="part of name, types or state", continuous_update=False)
        self.sort = ipywidgets.Dropdown(description="Sort by", options=["compile time", "name"])
        self.only = ipywidgets.Checkbox(description="only what was valid in this world", indent=False, layout=_NARROW)
        self.world = ipywidgets.IntSlider(description="World", min=1, max=1, continuous_update=False)
        self.show = ipywidgets.Dropdown(description="Show", options=PANES)
        self.text = ipywidgets.HTML()
        self.methods = Pages("Method", self._take_method, _SHARE)
        self.specializations = Pages("Types", self._take_specialization, _SHARE)
        self.instances = Pages("Code", self._take_instance, _SHARE)
        self._item: Item | None = None
        self._items: list[Item] = []
        for control in (self.filter, self.sort, self.only, self.world):
            control.observe(lambda _: self._fill(), "value")
        self.show.observe(lambda _: self._look(), "value")
        controls = ipywidgets.HBox([self.filter, self.sort, self.world, self.only], layout={"flex_flow": "row wrap"})
        lists = [self.methods.widget, self.specializations.widget, self.instances.widget]
        tree = ipywidgets.HBox(lists, layout={"flex_flow": "row wrap", "width": "100%"})
        self.widget = ipywidgets.VBox([controls, tree, self.show, self.text])
        self.refresh()

    def refresh(self) -> None:
        """Take in what was compiled or loaded meanwhile."""
        self._items = items()
        newest = self.world.value == self.world.max
        self.world.max = session.world()
        self.world.value = self.world.max if newest else self.world.value
        self._fill()

    def table(self) -> Table:
        """Return one row for each code instance."""
        return Table(_CODE_COLUMNS, [(i.method, i.signature, i.kind, i.state, i.seconds) for i in self._items])

    def _fill(self) -> None:
        wanted = self.filter.value.casefold()
        shown = [item for item in self._items if wanted in f"{item.method}{item.signature} {item.state}".casefold()]
        if self.only.value:
            valid = {(s.module, s.function, s.signature) for s in session.valid_in(self.world.value)}
            shown = [item for item in shown if (item.module, item.function, item.signature) in valid]
        groups: dict[str, list[Item]] = {}
        for item in shown:
            groups.setdefault(item.method, []).append(item)
        by_cost = self.sort.value == "compile time"
        order = sorted(groups.items(), key=lambda pair: (-_seconds(pair[1]) if by_cost else 0.0, pair[0]))
        self.methods.fill([(f"{name} ({len(group)}, {_seconds(group):.2f} s)", group) for name, group in order])

    def _take_method(self, group: list[Item] | None) -> None:
        types: dict[str, list[Item]] = {}
        for item in group or ():
            types.setdefault(item.arguments, []).append(item)
        self.specializations.fill(list(types.items()))

    def _take_specialization(self, group: list[Item] | None) -> None:
        self.instances.fill([(f"{item.signature}, {item.state}", item) for item in group or ()])

    def _take_instance(self, item: Item | None) -> None:
        self._item = item
        self._look()

    def _look(self) -> None:
        if self._item is None:
            self.text.value = "<p>Nothing fits.</p>"
            return
        lines = pane(self._item, self.show.value).splitlines()
        more = f"<p>... and {len(lines) - PANE_LINES} more lines</p>" if len(lines) > PANE_LINES else ""
        text = escape("\n".join(lines[:PANE_LINES]))
        self.text.value = (
            f'<pre tabindex="0" role="region" aria-label="{escape(self.show.value)}" '
            f'style="max-height: 30em; overflow: auto; line-height: 1.3; color: inherit">{text}</pre>{more}'
        )


class Explorer(Widgets):
    """Everything of this process in tabs, with buttons to save, to load and to compact."""

    def __init__(self) -> None:
        import ipywidgets

        self.title = "aotnb explorer"
        self.code = Code()
        self.file = ipywidgets.Text(description="Image", value="notebook.aot")
        self.save = ipywidgets.Button(description="Save", tooltip="Compile what was recorded into this image", layout=_NARROW)
        self.load = ipywidgets.Button(description="Load", tooltip="Use the code of this image from now on", layout=_NARROW)
        self.compact = ipywidgets.Button(description="Compact", tooltip="Fold the journal of this image into it", layout=_NARROW)
        self.again = ipywidgets.Button(description="Refresh", tooltip="Take in what was compiled meanwhile", layout=_NARROW)
        self.progress = ipywidgets.IntProgress(description="", min=0, max=1, layout={"display": "none"})
        self.status = ipywidgets.HTML()
        self.tabs = ipywidgets.Tab()
        self._actions = {self.save: self._save, self.load: self._load, self.compact: self._compact, self.again: lambda: ""}
        for button, action in self._actions.items():
            button.on_click(lambda _, action=action: self._do(action))
        actions = ipywidgets.HBox([self.file, *self._actions, self.progress], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([actions, self.status, self.tabs])
        self.refresh()

    def refresh(self) -> None:
        """Take in what was compiled, loaded or invalidated meanwhile."""
        chosen = self.tabs.selected_index
        self.code.refresh()
        self.rows = {
            "Stragglers": Rows("Stragglers", stragglers_table(stragglers()), ("function", "signature", "reason")),
            "Invalidations": Rows(
                "Invalidations", invalidations_table(session.invalidations()), ("world", "cause", "victim", "argument_types")
            ),
            "Roots": Rows("Roots", roots_table(), ("method", "kind", "value", "added_by")),
        }
        self.tabs.children = [self.code.widget, *(rows.widget for rows in self.rows.values())]
        self.tabs.titles = ["Code", *self.rows]
        self.tabs.selected_index = chosen or 0

    def table(self) -> Table:
        """Return one row for each code instance."""
        return self.code.table()

    def _do(self, action: Callable[[], str]) -> None:
        for button in self._actions:
            button.disabled = True
        try:
            said = action()
            self.refresh()
        except (AotError, OSError) as error:
            said = f"{type(error).__name__}: {error}"
        except KeyboardInterrupt:
            said = "interrupted; nothing was written"
        finally:
            self.progress.layout.display = "none"
            for button in self._actions:
                button.disabled = False
        self.status.value = f'<div role="status">{escape(said)}</div>'

    def _save(self) -> str:
        from aotnb import saving

        report = saving.save(self.file.value, progress=self._advance)
        return f"saved {report.path}: {report.entries} entries, {report.size / 1024:.0f} KB, left out: {len(report.dropped)}"

    def _compact(self) -> str:
        from aotnb import saving

        report = saving.compact(self.file.value, progress=self._advance)
        return f"compacted {report.path}: {report.entries} entries, {report.size / 1024:.0f} KB"

    def _load(self) -> str:
        report = session.load(self.file.value)
        return f"loaded {report.path}: {report.entries} entries in {report.milliseconds:.1f} ms"

    def _advance(self, stage: str, done: int, total: int) -> None:
        self.progress.layout.display = None
        self.progress.max, self.progress.value, self.progress.description = max(total, 1), done, stage


def explore() -> Explorer:
    """Return the explorer of this process; showing it opens it.

    What is compiled, loaded or invalidated later appears with the button Refresh. Where no widgets can be shown, its HTML face is
    a table of the code instances, and ``to_html(file)`` writes it as a page.
    """
    return Explorer()


def _numbered(names: Sequence[str]) -> list[tuple[str, int]]:
    return [(name.replace("_", " "), place) for place, name in enumerate(names)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _seconds(group: list[Item]) -> float:
    return sum(item.seconds or 0.0 for item in group)
