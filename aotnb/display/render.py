"""Tables as text and as HTML, written by hand so that showing a report needs no pandas. Standard library only."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aotnb.reports.tables import Table

TEXT_ROWS = 20
HTML_ROWS = 200
TEXT_WIDTH = 48
PROSE_WIDTH = 110
_PROSE = ("detail", "difference", "what_to_do")

_STYLE = "max-height: 24em; overflow: auto"


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


def text_table(table: Table, limit: int = TEXT_ROWS, width: int = TEXT_WIDTH) -> str:
    """Return the first ``limit`` rows under a header, columns aligned, long cells shortened in the middle."""
    allowed = [PROSE_WIDTH if name in _PROSE else width for name in table.columns]
    rows = [[_shorten(cell(value), most) for value, most in zip(row, allowed, strict=True)] for row in table.rows[:limit]]
    numeric = [_numeric(table, column) for column in range(len(table.columns))]
    widths = [max(len(text) for text in column) for column in zip(table.columns, *rows, strict=True)]
    lines = [_line(table.columns, widths, numeric), *(_line(row, widths, numeric) for row in rows)]
    if len(table.rows) > limit:
        lines.append(f"... and {len(table.rows) - limit} more, see .frame")
    return "\n".join(lines)


def html_table(table: Table, limit: int = HTML_ROWS, caption: str = "") -> str:
    """Return the first ``limit`` rows as an HTML table in a box that scrolls, by keyboard too. Jupyter styles ``dataframe``."""
    numeric = [_numeric(table, column) for column in range(len(table.columns))]
    head = "".join(
        f'<th scope="col" style="text-align: {_side(right)}">{escape(name.replace("_", " "))}</th>'
        for name, right in zip(table.columns, numeric, strict=True)
    )
    body = "".join(f"<tr>{_html_cells(row, numeric)}</tr>" for row in table.rows[:limit])
    more = f"<p>... and {len(table.rows) - limit} more, see <code>.frame</code></p>" if len(table.rows) > limit else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    whole = f'<table class="dataframe">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="{_STYLE}" tabindex="0" role="group" aria-label="{escape(caption or "rows")}">{whole}</div>{more}'


def _html_cells(row: tuple[Any, ...], numeric: list[bool]) -> str:
    return "".join(
        f'<td style="text-align: {_side(right)}">{escape(cell(value))}</td>' for value, right in zip(row, numeric, strict=True)
    )


def _side(right: bool) -> str:
    return "right" if right else "left"


def _numeric(table: Table, column: int) -> bool:
    return any(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in table.rows)


def _line(cells: Any, widths: list[int], numeric: list[bool]) -> str:
    parts = [text.rjust(n) if right else text.ljust(n) for text, n, right in zip(cells, widths, numeric, strict=True)]
    return "  ".join(parts).rstrip()


def _shorten(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    half = (width - 3) // 2
    return f"{text[: width - 3 - half]}...{text[-half:]}"
