"""Plots: each takes plain data and returns a matplotlib Figure. No global state is touched; a notebook shows what it is given."""

from __future__ import annotations

import functools
import io
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aotnb.display.page import svg
from aotnb.display.render import shorten
from aotnb.errors import AotError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aotnb.core.records import Compilation, Invalidation
    from aotnb.reports.tables import Table

# Okabe and Ito's colours: told apart by colour-blind readers, and clear of white and of black.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#999999"
TARGET_COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#d55e00", GREY)
NEARLY_BLACK = "#111111"  # black itself follows the text around a figure: see aotnb.display.page.svg
MOST_LETTERS = 44  # of a name beside a bar
MOST = 40  # bars; a page of more is not read


def compile_time(compilations: Sequence[Compilation]) -> Figure:
    """Draw where the compile time went: an icicle, seconds to the right, nested compilations below what asked for them."""
    figure, axes = _axes("Where the compile time went", "seconds since the first compilation", "")
    if not compilations:
        return _nothing(axes, "nothing was compiled")
    first = min(item.started for item in compilations)
    depth = 0
    whole = max(item.started - first + item.seconds for item in compilations)
    for item in compilations:
        depth = max(depth, item.depth)
        bar = axes.barh(item.depth, item.seconds, left=item.started - first, height=0.9, align="center")[0]
        bar.set(facecolor=BLUE if item.saveable else ORANGE, edgecolor="white", linewidth=0.4, gid=f"compilation-{item.index}")
        bar.set_label(f"_{item.function}{item.signature}")
        if item.seconds > whole / 12:
            name, left = item.function.rpartition(".")[2], item.started - first + whole / 200
            ink = "white" if item.saveable else NEARLY_BLACK
            axes.text(left, item.depth, name, va="center", color=ink, size=8, clip_on=True).set_clip_path(bar)
    axes.set_ylim(depth + 0.5, -0.5)
    axes.set_yticks(range(depth + 1), ["asked for by Python", *(f"nested {level}" for level in range(1, depth + 1))])
    _legend(figure, (BLUE, "can be saved"), (ORANGE, "cannot be saved"))
    return figure


def roots_growth(table: Table) -> Figure:
    """Draw how the roots tables grew in the order of compilation: new, shared and duplicate roots, each summed up."""
    figure, axes = _axes("Growth of the roots tables", "compilation", "roots, summed up")
    if not table.rows:
        return _nothing(axes, "no compilation has roots")
    columns = {name: [row[place] for row in table.rows] for place, name in enumerate(table.columns)}
    duplicates = columns.get("duplicate_roots", [0] * len(table.rows))
    # Shared and duplicate roots exclude each other in the bands, so that the height is the number of references.
    shared = [max(0, all_ - both) for all_, both in zip(columns["shared_roots"], duplicates, strict=True)]
    bands = [_running(columns["new_roots"]), _running(shared), _running(duplicates)]
    axes.stackplot(
        range(1, len(table.rows) + 1), *bands, colors=(BLUE, GREEN, ORANGE), labels=("new", "shared", "duplicate"), step="mid"
    )
    axes.legend(loc="upper left")
    return figure


def invalidation_tree(rows: Iterable[Invalidation]) -> Figure:
    """Draw what was invalidated by what: causes at the left, each victim to the right of the function it depends on."""
    figure, axes = _axes("What was invalidated by what", "calls from what changed", "")
    places: dict[tuple[Any, ...], tuple[int, int]] = {}
    for row in sorted(rows, key=lambda row: (row.world, row.kind, row.cause, row.chain)):
        cause = (row.world, row.kind, row.cause)
        steps = [cause, *((*cause, *row.chain[: depth + 1]) for depth in range(len(row.chain)))]
        for depth, step in enumerate(steps):
            if step in places:
                continue
            places[step] = (depth, len(places))
            if depth:
                (x, y), (above, left) = places[step], places[steps[depth - 1]]
                axes.plot([above, above, x], [left, y, y], color=GREY, linewidth=1, zorder=1)
            lost = row.seconds if step == steps[-1] else 0.0
            name = f"world {row.world}: {row.kind} {row.cause}" if not depth else row.chain[depth - 1]
            axes.scatter([depth], [places[step][1]], color=BLUE if depth else ORANGE, s=30 + 30 * min(lost, 10.0), zorder=2)
            axes.annotate(name, (depth, places[step][1]), xytext=(8, 0), textcoords="offset points", va="center", size=8)
    if not places:
        return _nothing(axes, "nothing was invalidated")
    figure.set_figheight(max(1.6, min(20.0, 0.28 * len(places) + 1)))
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(-0.2, max(depth for depth, _ in places.values()) + 1.5)
    axes.set_yticks([])
    return figure


def first_results(measured: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw the time to the first result of each function, on a logarithmic scale.

    Parameters
    ----------
    measured
        Function -> {"cold": seconds, "cache": seconds, "image": seconds}; what was not measured may be missing.
    """
    figure, axes = _axes("Time to the first result", "seconds", "")
    names = list(measured)[:MOST]
    kinds = [
        (kind, colour)
        for kind, colour in (("cold", ORANGE), ("cache", GREEN), ("image", BLUE))
        if any(kind in measured[n] for n in names)
    ]
    if not kinds:
        return _nothing(axes, "nothing was measured")
    height = 0.8 / len(kinds)
    for place, (kind, colour) in enumerate(kinds):
        with_it = [(number, measured[name][kind]) for number, name in enumerate(names) if kind in measured[name]]
        label = "Numba's cache" if kind == "cache" else kind
        axes.barh([n + place * height for n, _ in with_it], [s for _, s in with_it], height=height, color=colour, label=label)
    _name_bars(figure, axes, names, offset=height * (len(kinds) - 1) / 2)
    axes.set_xscale("log")
    figure.legend(loc="outside lower right", ncols=len(kinds), frameon=False)
    return figure


def benchmark_results(file: str | os.PathLike[str]) -> dict[str, dict[str, float]]:
    """Return what ``benchmarks/first_call.py --json FILE`` measured, for :func:`first_results`: seconds from the import on.

    Raises
    ------
    AotError
        If *file* cannot be read, or is no such file.
    """
    keys = {"cold": "cold_s", "cache": "shipped_s", "image": "image_s"}
    try:
        rows = json.loads(Path(file).read_text(encoding="utf-8"))
        return {row["workload"]: {kind: float(row[key]) for kind, key in keys.items() if key in row} for row in rows}
    except OSError as error:
        raise AotError(f"cannot read {os.fspath(file)}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise AotError(
            f"{os.fspath(file)} holds no results of benchmarks/first_call.py; write it with its option --json"
        ) from None


def bars(title: str, unit: str, rows: Iterable[tuple[str, float]]) -> Figure:
    """Draw one bar for each name, the longest at the top; names that come more than once are added up."""
    figure, axes = _axes(title, unit, "")
    sums: Counter[str] = Counter()
    for name, value in rows:
        sums[name] += value  # type: ignore[assignment]
    shown = sums.most_common(MOST)
    if not any(value for _, value in shown):
        return _nothing(axes, f"no {unit} to show")
    axes.barh(range(len(shown)), [value for _, value in shown], color=BLUE)
    _name_bars(figure, axes, [name for name, _ in shown])
    return figure


def image_map(rows: Iterable[tuple[str, str, int]]) -> Figure:
    """Draw the bytes of machine code in an image: a bar for each function, the largest at the top, a part for each CPU target.

    Parameters
    ----------
    rows
        (function, CPU target, bytes), as :func:`aotnb.image.contents.code_sizes` gives them.
    """
    figure, axes = _axes("Machine code in the image", "bytes", "")
    sizes: dict[str, Counter[str]] = {}
    for function, target, size in rows:
        sizes.setdefault(target, Counter())[function] += size
    names = [name for name, _ in sum(sizes.values(), Counter[str]()).most_common(MOST)]
    if not names:
        return _nothing(axes, "no machine code to show")
    left = [0] * len(names)
    for (target, of), colour in zip(sizes.items(), itertools.cycle(TARGET_COLOURS), strict=False):
        widths = [of[name] for name in names]
        axes.barh(range(len(names)), widths, left=left, color=colour, label=target)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    _name_bars(figure, axes, names)
    figure.legend(title="CPU target", loc="outside right upper", frameon=False)
    return figure


@functools.cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Plot(Figure):
        """A figure that notebooks show as it is: no ``%matplotlib inline``, and readable on light and dark."""

        def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
            title = self.axes[0].get_title()
            png = io.BytesIO()
            self.savefig(png, format="png")
            text = f"Figure {title!r}; .savefig(FILE) writes it"
            return {"text/html": svg(self, title), "image/png": png.getvalue(), "text/plain": text}

    return Plot


def _axes(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = _figure_class()(figsize=(8, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=across, ylabel=up)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _nothing(axes: Axes, why: str) -> Figure:
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)
    axes.set(xticks=[], yticks=[], xlabel="", ylabel="")
    return axes.figure  # type: ignore[return-value]


def _legend(figure: Figure, *entries: tuple[str, str]) -> None:
    """Put a legend below the axes, where it covers nothing."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=label) for colour, label in entries]
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False)


def _name_bars(figure: Figure, axes: Axes, names: list[str], offset: float = 0.0) -> None:
    shown = [shorten(name.replace("<locals>.", ""), MOST_LETTERS) for name in names]
    axes.set_yticks([number + offset for number in range(len(names))], shown, size=8)
    axes.invert_yaxis()
    figure.set_figheight(max(1.6, 0.28 * len(names) + 1.2))


def _running(numbers: Iterable[int]) -> list[int]:
    sums, total = [], 0
    for number in numbers:
        total += number
        sums.append(total)
    return sums
