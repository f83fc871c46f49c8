"""One self-contained HTML file: its style is inside, its plot is inline SVG, and it loads nothing from anywhere."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from aotnb.core.words import counted
from aotnb.display.render import html_lines, html_table
from aotnb.errors import AotError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aotnb.reports.tables import Table

_CSS = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem 1.5rem;
  max-width: 80rem; color: CanvasText; background: Canvas; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  vertical-align: top; }
th { text-align: left; }
tr:hover td { background: color-mix(in srgb, currentColor 8%, transparent); }
caption { text-align: left; padding: 0.5rem 0.6rem; }
section > [role=group] { max-height: none !important; }
:focus-visible { outline: 2px solid; outline-offset: 2px; }
"""


def html_page(title: str, lines: Iterable[str], table: Table, figure: Figure | None, extra: Table | None = None) -> str:
    """Return the file: what the report says in words, its plot, a short table if there is one, and all rows."""
    words = html_lines(lines)
    first = "" if extra is None else f'<section aria-label="Summary">{html_table(extra, caption="Summary")}</section>'
    plot = "" if figure is None else f'<section aria-label="Plot">{svg(figure, title)}</section>'
    rows = (
        html_table(table, limit=len(table.rows), caption=counted(len(table.rows), "row"))
        if table.rows
        else "<p>There are no rows.</p>"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_CSS}</style></head>\n<body><header><h1>{escape(title)}</h1></header>\n"
        f'<main>{words}{plot}{first}\n<section aria-label="Rows">{rows}</section></main></body></html>\n'
    )


def write_page(
    file: str | os.PathLike[str],
    title: str,
    lines: Iterable[str],
    table: Table,
    figure: Callable[[], Figure] | None,
    extra: Table | None = None,
) -> Path:
    """Write :func:`html_page` to *file*, with what *figure* draws, and return its path.

    Raises
    ------
    AotError
        If the file cannot be written.
    """
    path = Path(file)
    page = html_page(title, lines, table, None if figure is None else figure(), extra)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise AotError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def svg(figure: Figure, label: str) -> str:
    """Return a figure as inline SVG in the colour of the text around it, so that it is readable on light and dark."""
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "aotnb"}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        for axes in figure.axes:
            axes.patch.set_alpha(0.0)
            if (legend := axes.get_legend()) is not None:
                legend.get_frame().set_alpha(0.0)
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace("#000000", "currentColor").replace(
        "<svg ", f'<svg role="img" aria-label="{escape(label)}" style="max-width: 100%; height: auto" ', 1
    )
    # Matplotlib leaves out black, which is SVG's own colour for text.
    return text.replace("<style type", "<style>text { fill: currentColor; }</style><style type", 1)
