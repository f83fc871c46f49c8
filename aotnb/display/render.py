"""Tables as text and as HTML, written by hand so that showing a report needs no pandas. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from aotnb.reports.tables import Table

TEXT_ROWS = 20
HTML_ROWS = 200
TEXT_WIDTH = 48
PROSE_WIDTH = 110
_PROSE = ("detail", "difference", "what_to_do")

_STYLE = "max-height: 32em; overflow: auto"
_LINES_STYLE = "padding: 0.2em 0.6em; line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere"
_ARROW = '<span style="white-space: nowrap">-&gt;</span>'  # else it is broken after the hyphen
_NARROWEST, _NARROWEST_PROSE = 14, 28  # characters of a column where there is no room; front ends break words anywhere
_CELL_STYLE = "padding: 0.3em 0.6em"  # front ends have other ideas, down to none
# the header stays in sight while the rows scroll; each front end has a name of its own for the colour behind it
_HEAD_STYLE = (
    f"{_CELL_STYLE}; position: sticky; top: 0; overflow-wrap: normal; background: "
    "var(--jp-layout-color0, var(--vscode-editor-background, var(--pst-color-background, Canvas)))"
)


def cell(value: Any) -> str:
    """Return one value as people read it.

    >>> [cell(v) for v in (True, 0.12345, 7, None, "x")]
    ['yes', '0.123', '7', '', 'x']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def text_table(table: Table, limit: int = TEXT_ROWS, width: int = TEXT_WIDTH, more: str = "see .frame") -> str:
    """Return the first ``limit`` rows under a header, columns aligned, long cells shortened in the middle."""
    allowed = [PROSE_WIDTH if name in _PROSE else width for name in table.columns]
    rows = [[shorten(cell(value), most) for value, most in zip(row, allowed, strict=True)] for row in table.rows[:limit]]
    numeric = [_numeric(table, column) for column in range(len(table.columns))]
    widths = [max(len(text) for text in column) for column in zip(table.columns, *rows, strict=True)]
    lines = [_line(table.columns, widths, numeric), *(_line(row, widths, numeric) for row in rows)]
    if len(table.rows) > limit:
        lines.append(f"... and {len(table.rows) - limit} more, {more}")
    return "\n".join(lines)


def html_lines(lines: Iterable[str]) -> str:
    """Return the lines of a report as HTML; two spaces at the beginning are one step to the right."""
    text = "\n".join(lines)
    indented = re.sub("^(?:  )+", lambda found: "\N{EM SPACE}" * (len(found[0]) // 2), text, flags=re.MULTILINE)
    return f'<div style="{_LINES_STYLE}">{escape(indented)}</div>'


def html_table(table: Table, limit: int = HTML_ROWS, caption: str = "", more: str = "see .frame") -> str:
    """Return the first ``limit`` rows as an HTML table in a box that scrolls, by keyboard too. Jupyter styles ``dataframe``."""
    numeric = [_numeric(table, column) for column in range(len(table.columns))]
    head = "".join(
        f'<th scope="col" style="text-align: {_side(right)}; min-width: {_narrowest(table, column)}ch; {_HEAD_STYLE}">'
        f"{escape(table.columns[column].replace('_', ' '))}</th>"
        for column, right in enumerate(numeric)
    )
    body = "".join(f"<tr>{_html_cells(row, numeric)}</tr>" for row in table.rows[:limit])
    rest = f"<p>... and {len(table.rows) - limit} more, {escape(more)}</p>" if len(table.rows) > limit else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    rows = f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    whole = f'<table class="dataframe" style="overflow-wrap: anywhere">{rows}</table>'
    return f'<div style="{_STYLE}" tabindex="0" role="group" aria-label="{escape(caption or "rows")}">{whole}</div>{rest}'


def _narrowest(table: Table, column: int) -> int:
    longest = max((len(cell(row[column])) for row in table.rows), default=0)
    return min(longest, _NARROWEST_PROSE if table.columns[column] in _PROSE else _NARROWEST)


def without_empty_columns(table: Table) -> Table:
    """Leave out the columns in which no row has anything.

    >>> without_empty_columns(Table(("name", "reason"), [("f", ""), ("g", None)]))
    Table(columns=('name',), rows=[('f',), ('g',)])
    """
    kept = [place for place in range(len(table.columns)) if any(row[place] not in ("", None) for row in table.rows)]
    return Table(tuple(table.columns[place] for place in kept), [tuple(row[place] for place in kept) for row in table.rows])


def _html_cells(row: tuple[Any, ...], numeric: list[bool]) -> str:
    return "".join(
        f'<td style="text-align: {_side(right)}; {_CELL_STYLE}">{_breakable(cell(value))}</td>'
        for value, right in zip(row, numeric, strict=True)
    )


def _breakable(text: str) -> str:
    """Return a text as HTML that may be broken behind the dots of a name, and not within an arrow."""
    return re.sub(r"\.(?=[^\W\d]|&lt;)", ".<wbr>", escape(text)).replace("-&gt;", _ARROW)


def _side(right: bool) -> str:
    return "right" if right else "left"


def _numeric(table: Table, column: int) -> bool:
    return any(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in table.rows)


def _line(cells: Any, widths: list[int], numeric: list[bool]) -> str:
    parts = [text.rjust(n) if right else text.ljust(n) for text, n, right in zip(cells, widths, numeric, strict=True)]
    return "  ".join(parts).rstrip()


def shorten(text: str, width: int) -> str:
    """Leave out the middle of a long text."""
    if len(text) <= width:
        return text
    half = (width - 3) // 2
    return f"{text[: width - 3 - half]}...{text[-half:]}"
