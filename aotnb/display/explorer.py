"""The explorer: plain ipywidgets, which work offline in every front end and by keyboard; imported in functions only.

Whatever is long comes in pages, and a text is made only when its pane is looked at.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aotnb import session, settings
from aotnb.core.words import counted
from aotnb.display.items import PANES, Item, items, pane
from aotnb.display.page import write_page
from aotnb.display.render import cell, html_table
from aotnb.errors import AotError
from aotnb.reports.changes import invalidations_table
from aotnb.reports.roots import roots_table
from aotnb.reports.stragglers import stragglers, stragglers_table
from aotnb.reports.tables import Table

if TYPE_CHECKING:
    from aotnb.building.background import BackgroundSave

PAGE = 50
PANE_LINES = 2000
STATIC_ROWS = 200
_CODE_COLUMNS = ("method", "signature", "kind", "state", "seconds")
_WIDE = {"width": "100%"}
_NARROW = {"width": "auto"}
_OPEN, _CLOSED = "\N{BLACK DOWN-POINTING SMALL TRIANGLE} ", "\N{BLACK RIGHT-POINTING SMALL TRIANGLE} "
_SHARE = {"flex": "1 1 20em", "min_width": "0"}  # of a row, or a row of its own where that is narrow


class Widgets:
    """A widget with a static twin: ``widget`` for a live front end, ``to_html`` and the HTML face for all others."""

    title: str
    widget: Any
    is_watched: Callable[[], bool] = staticmethod(lambda: True)  # the magics know better: nobody looks while nbconvert runs

    def table(self) -> Table:
        """Return what the static twin shows."""
        raise NotImplementedError

    def to_html(self, file: str | os.PathLike[str]) -> Path:
        """Write the static twin with all rows as one self-contained file, and return its path."""
        return write_page(file, self.title, [], self.table(), None)

    def __repr__(self) -> str:
        return f"{self.title}: {len(self.table().rows)} rows; widgets need a notebook, .to_html(file) writes a page"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        live = (self.widget._repr_mimebundle_() or {}) if Widgets.is_watched() else {}
        return {**live, "text/plain": repr(self), "text/html": html_table(self.table(), STATIC_ROWS, caption=self.title)}


class Pages:
    """A list in pages of :data:`PAGE`: a ``Select`` with the number of its page below it.

    Jupyter takes the arrow keys for its cells even where the list has the focus, hence buttons that go up and down.
    """

    _rows = 10  # how many it shows at a time

    def __init__(self, label: str, chosen: Callable[[Any], None], layout: dict[str, str] = _WIDE) -> None:
        import ipywidgets

        self._entries: Sequence[tuple[str, Any]] = ()
        self._chosen = chosen
        self._quiet = False
        self.select = ipywidgets.Select(description=label, rows=10, style={"description_width": "initial"}, layout=_NARROW)
        self.page = ipywidgets.BoundedIntText(value=1, min=1, max=1, description="Page")
        self.count = ipywidgets.Label()
        self.select.observe(self._pick, "value")
        self.page.observe(lambda _: self._show(), "value")
        self.up = ipywidgets.Button(icon="arrow-up", tooltip="Row above", layout=_NARROW)
        self.down = ipywidgets.Button(icon="arrow-down", tooltip="Row below", layout=_NARROW)
        self.up.on_click(lambda _: self._step(-1))
        self.down.on_click(lambda _: self._step(1))
        self.turn = ipywidgets.HBox([self.page, self.count])
        below = ipywidgets.HBox([self.up, self.down, self.turn], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([self.select, below], layout=layout)

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
        self._show()

    def _show(self) -> None:
        if self._quiet:
            return
        start = (self.page.value - 1) * PAGE
        shown = self._entries[start : start + PAGE]
        self._list([label for label, _ in shown], 0)
        self._chosen(shown[0][1] if shown else None)

    def _list(self, labels: Sequence[str], chosen: int) -> None:
        self._quiet = True  # the numbers make equal labels different, and the values small
        self.select.options = [(label, number) for number, label in enumerate(labels)]
        self.select.value = chosen if labels else None
        self.select.rows = min(self._rows, max(3, len(labels)))
        self._quiet = False

    def _pick(self, change: Any) -> None:
        if not self._quiet and change["new"] is not None:
            self._choose(change["new"])

    def _step(self, by: int) -> None:
        """Go to the next row, at the end of a page to the first one of the next page."""
        place = -1 if self.select.value is None else self.select.value + by
        if 0 <= place < len(self.select.options):
            self.select.value = place
        else:
            self.page.value += by

    def _choose(self, place: int) -> None:
        self._chosen(self._entries[(self.page.value - 1) * PAGE + place][1])


class Node:
    """A row of a :class:`Tree`: its label, what it stands for, and the rows below it."""

    __slots__ = ("above", "below", "label", "value")

    def __init__(self, label: str, value: Any, below: Sequence[Node] = ()) -> None:
        self.label, self.value, self.below = label, value, below
        self.above: Node | None = None
        for node in below:
            node.above = self


class Tree(Pages):
    """A list whose rows have rows below them. What is chosen is open, so the arrow keys walk through all of it."""

    _rows = 16

    def __init__(self, label: str, chosen: Callable[[Any], None], layout: dict[str, str] = _WIDE) -> None:
        super().__init__(label, chosen, layout)
        self._shown: list[Node | None] = []
        self._open: list[Node] = []

    def _show(self) -> None:
        if self._quiet:
            return
        start = (self.page.value - 1) * PAGE
        self._roots = [node for _, node in self._entries[start : start + PAGE]]
        if self._roots:
            self._go(self._roots[0])
        else:
            self._list([], 0)
            self._chosen(None)

    def _choose(self, place: int) -> None:
        node = self._shown[place]
        if node is None:
            return
        if node.below or node.above not in self._open:
            self._go(node)
        else:
            self._chosen(node.value)

    def _go(self, node: Node) -> None:
        self._open = [node]
        while (above := self._open[-1].above) is not None:
            self._open.append(above)
        rows = list(self._lines(self._roots, 0))
        self._shown = [found for _, found in rows]
        self._list([text for text, _ in rows], self._shown.index(node))
        self._chosen(node.value)

    def _lines(self, nodes: Sequence[Node], depth: int) -> Iterator[tuple[str, Node | None]]:
        indent = "\N{EM SPACE}" * depth
        for node in nodes[:PAGE] if depth else nodes:
            opened = node in self._open
            mark = "" if not node.below else _OPEN if opened else _CLOSED
            yield f"{indent}{mark}{node.label}", node
            if opened:
                yield from self._lines(node.below, depth + 1)
        if depth and len(nodes) > PAGE:
            yield f"{indent}... and {len(nodes) - PAGE} more; the filter finds them", None


class Rows(Widgets):
    """The rows of one report: filter, sort, pages, and every column of the row that is selected."""

    def __init__(self, title: str, table: Table, label: Sequence[str] = (), none: str = "There are no rows.") -> None:
        import ipywidgets

        self.title, self._table, self._none = title, table, none
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
            self.detail.value = f"<p>{escape('Nothing fits the filter.' if self._table.rows else self._none)}</p>"
            return
        lines = "".join(
            f'<tr><th scope="row" style="text-align: left; padding-right: 1em">{escape(name.replace("_", " "))}</th>'
            f'<td style="text-align: left">{escape(cell(value))}</td></tr>'
            for name, value in zip(self._table.columns, row, strict=True)
        )
        self.detail.value = f'<table style="line-height: 1.4">{lines}</table>'


class Code(Widgets):
    """Method, its specializations, their code instances, and what a pane tells of the one that is chosen."""

    def __init__(self) -> None:
        import ipywidgets

        self.title = "Code instances"
        self.filter = ipywidgets.Text(description="Filter", placeholder="part of name, types or state", continuous_update=False)
        self.sort = ipywidgets.Dropdown(description="Sort by", options=["compile time", "name"])
        self.only = ipywidgets.Checkbox(description="only what was valid in this world", indent=False, layout=_NARROW)
        self.world = ipywidgets.IntSlider(description="World", min=1, max=1, continuous_update=False)
        self.show = ipywidgets.Dropdown(description="Show", options=PANES, style={"description_width": "initial"})
        self.text = ipywidgets.HTML()
        self.tree = Tree("Code", self._take, _SHARE)
        self._item: Item | None = None
        self._items: list[Item] = []
        for control in (self.filter, self.sort, self.only, self.world):
            control.observe(lambda _: self._fill(), "value")
        self.show.observe(lambda _: self._look(), "value")
        controls = ipywidgets.HBox([self.filter, self.sort, self.world, self.only], layout={"flex_flow": "row wrap"})
        told = ipywidgets.VBox([self.show, self.text], layout=_SHARE)
        both = ipywidgets.HBox([self.tree.widget, told], layout={"flex_flow": "row wrap", "width": "100%", "grid_gap": "0 1em"})
        self.widget = ipywidgets.VBox([controls, both])
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
            shown = [item for item in shown if item.is_valid_in(self.world.value)]
        groups: dict[str, dict[str, list[Item]]] = {}
        for item in shown:
            groups.setdefault(item.method, {}).setdefault(item.arguments, []).append(item)
        nodes = [_method_node(name, types) for name, types in groups.items()]
        by_cost = self.sort.value == "compile time"
        nodes.sort(key=lambda node: (-_seconds(groups[node.value.method].values()) if by_cost else 0.0, node.label))
        self.tree.fill([(node.label, node) for node in nodes])

    def _take(self, item: Item | None) -> None:
        self._item = item
        self._look()

    def _look(self) -> None:
        item = self._item
        if item is None:
            self.text.value = f"<p>{'Nothing fits the filter.' if self._items else 'Nothing was compiled or loaded yet.'}</p>"
            return
        lines = pane(item, self.show.value).splitlines()
        more = f"<p>... and {len(lines) - PANE_LINES} more lines</p>" if len(lines) > PANE_LINES else ""
        text = escape("\n".join(lines[:PANE_LINES]))
        self.text.value = (
            f'<div style="overflow-wrap: anywhere; line-height: 1.4"><b>{escape(item.method)}</b>{escape(item.signature)}</div>'
            f'<pre tabindex="0" role="group" aria-label="{escape(self.show.value)}" '
            f'style="max-height: 30em; overflow: auto; line-height: 1.3; color: inherit">{text}</pre>{more}'
        )


def _method_node(name: str, types: dict[str, list[Item]]) -> Node:
    """Return a method with its specializations below it, and their code instances below those; the costliest stands for all."""
    below = [
        Node(
            f"{arguments}, {counted(len(group), 'code instance')}" if len(group) > 1 else arguments,
            group[-1],
            [Node(f"{item.returns}: {item.story}", item) for item in group],
        )
        for arguments, group in types.items()
    ]
    below.sort(key=lambda node: -(node.value.seconds or 0.0))
    every = [item for group in types.values() for item in group]
    return Node(f"{name}, {counted(len(every), 'code instance')}, {_seconds([every]):.2f} s", below[0].value, below)


class Explorer(Widgets):
    """Everything of this process in tabs, with buttons to save, to compact and to load.

    What builds does so in a process of its own, so that the explorer and the notebook go on, and Cancel is heard.
    """

    def __init__(self) -> None:
        import ipywidgets

        self.title = "aotnb explorer"
        self.code = Code()
        self.building: BackgroundSave | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.file = ipywidgets.Text(description="Image", value=settings.get("image") or "notebook.aot")
        self.save = ipywidgets.Button(description="Save", tooltip="Compile what was recorded into this image", layout=_NARROW)
        self.load = ipywidgets.Button(description="Load", tooltip="Use the code of this image from now on", layout=_NARROW)
        self.compact = ipywidgets.Button(description="Compact", tooltip="Fold the journal of this image into it", layout=_NARROW)
        self.again = ipywidgets.Button(description="Refresh", tooltip="Take in what was compiled meanwhile", layout=_NARROW)
        self.progress = ipywidgets.IntProgress(description="", min=0, max=1)
        self.cancel = ipywidgets.Button(description="Cancel", tooltip="Stop; the old file stays as it is", layout=_NARROW)
        self.going = ipywidgets.HBox([self.progress, self.cancel], layout={"display": "none"})
        self.status = ipywidgets.HTML()
        self.tabs = ipywidgets.Tab()
        actions = {self.save: self._save, self.load: self._load, self.compact: self._compact, self.again: lambda: ""}
        self._buttons = list(actions)
        for button, action in actions.items():
            button.on_click(lambda _, action=action: self._do(action))
        self.cancel.on_click(lambda _: self._stop())
        row = ipywidgets.HBox([self.file, *self._buttons, self.going], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([row, self.status, self.tabs])
        self.refresh()

    def refresh(self) -> None:
        """Take in what was compiled, loaded or invalidated meanwhile."""
        chosen = self.tabs.selected_index
        self.code.refresh()
        self.rows = {
            "Stragglers": Rows(
                "Stragglers",
                stragglers_table(stragglers()),
                ("function", "signature", "reason"),
                "No stragglers: what was called came from an image, or there is no image loaded, and a save takes all of it.",
            ),
            "Invalidations": Rows(
                "Invalidations",
                invalidations_table(session.invalidations()),
                ("world", "cause", "victim", "argument_types"),
                "Nothing was invalidated: no redefinition or rebinding concerned compiled code.",
            ),
            "Roots": Rows("Roots", roots_table(), ("method", "kind", "value", "added_by"), "No compiled code refers to objects."),
        }
        self.tabs.children = [self.code.widget, *(rows.widget for rows in self.rows.values())]
        self.tabs.titles = ["Code", *self.rows]
        self.tabs.selected_index = chosen or 0

    def table(self) -> Table:
        """Return one row for each code instance."""
        return self.code.table()

    def _do(self, action: Callable[[], str | BackgroundSave]) -> None:
        self._busy(True)
        try:  # of a notebook: what a build tells at its end waits for the running cell there
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        try:
            said = action()
        except (AotError, OSError) as error:
            said = _told(error)
        if isinstance(said, str):
            self._end(said)
        else:
            self.building = said

    def _save(self) -> BackgroundSave:
        from aotnb import saving

        self._advance("starting", 0, 1)
        return saving.save_in_background(self.file.value, progress=self._advance, tell=self._built)

    def _compact(self) -> BackgroundSave:
        from aotnb import saving

        self._advance("starting", 0, 1)
        return saving.compact_in_background(self.file.value, progress=self._advance, tell=self._built)

    def _load(self) -> str:
        report = session.load(self.file.value)
        return f"loaded {report.path}: {counted(report.entries, 'entry', 'entries')} in {report.milliseconds:.1f} ms"

    def _stop(self) -> None:
        if self.building is not None:
            self.building.cancel()

    def _advance(self, stage: str, done: int, total: int) -> None:
        """Show how far a build is, and the button to stop it; called in the thread that listens to it, too."""
        self.going.layout.display = None
        self.progress.max, self.progress.value, self.progress.description = max(total, 1), done, stage

    def _built(self, save: BackgroundSave) -> None:
        """Tell how a build ended; called in the thread that listened to it."""
        report = save.report
        if report is None:
            said = _told(save.error)
        else:
            holds = f"{counted(report.entries, 'entry', 'entries')}, {report.size / 1024:.0f} KB"
            said = f"saved {report.path}: {holds}; left out: {len(report.dropped)}"
        if self._loop is None:
            self._end(said)
        else:
            self._loop.call_soon_threadsafe(self._end, said)

    def _end(self, said: str) -> None:
        self.building = None
        self.going.layout.display = "none"
        self.refresh()
        self._busy(False)
        self.status.value = f'<div role="status" style="line-height: 1.4; overflow-wrap: anywhere">{escape(said)}</div>'

    def _busy(self, busy: bool) -> None:
        for button in self._buttons:
            button.disabled = busy
        if busy:
            self.status.value = ""


def _told(error: Exception | None) -> str:
    return f"Not done: {error}"


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


def _seconds(groups: Iterable[Sequence[Item]]) -> float:
    return sum(item.seconds or 0.0 for group in groups for item in group)
