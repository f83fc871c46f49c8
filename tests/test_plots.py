"""Plots by their data, and the HTML files: plain records, no Numba and no kernel."""

from __future__ import annotations

import html.parser
from pathlib import Path

import pytest

from aotnb.core.records import Compilation, Invalidation, LoadReport, Straggler
from aotnb.display import bundle, plots
from aotnb.display.explorer import PAGE, Rows
from aotnb.errors import AotError
from aotnb.image.costs import Costs, costs_path, question, read_costs, write_costs
from aotnb.reports.changes import Invalidations
from aotnb.reports.roots import GROWTH_COLUMNS
from aotnb.reports.tables import Table

LOST = Invalidation(2, "global", "K", "1", "2", "f", "m", "(int64) -> int64", ("g", "f"), 1, 0.5)
LATE = Straggler("compiled", "f", "m", "(int64)", "callee_changed", "<g> & co", "", "", 1.5)


def compilation(index: int, started: float, seconds: float, depth: int, *, saveable: bool = True) -> Compilation:
    given = {"index": index, "function": f"f{index}", "module": "m", "signature": "(int64)", "kind": "function", "parent": None}
    return Compilation(**given, depth=depth, seconds=seconds, own_seconds=seconds, started=started, saveable=saveable)  # type: ignore[arg-type]


def texts(figure) -> list[str]:  # type: ignore[no-untyped-def]
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_icicle_has_nested_compilations_below_and_within_what_asked_for_them() -> None:
    figure = plots.compile_time([compilation(0, 10.0, 3.0, 0), compilation(1, 11.0, 1.0, 1, saveable=False)])
    bars = {bar.get_gid(): bar for bar in figure.axes[0].patches}
    outer, inner = bars["compilation-0"], bars["compilation-1"]
    assert (outer.get_x(), outer.get_width()) == (0.0, 3.0)
    assert (inner.get_x(), inner.get_width()) == (1.0, 1.0)
    assert inner.get_y() > outer.get_y() and figure.axes[0].yaxis_inverted()
    assert inner.get_facecolor() != outer.get_facecolor()


def test_the_bands_of_the_roots_add_up_to_the_references() -> None:
    rows = [(0, "f", "m.f", 3, 3, 1, 0), (1, "g", "m.g", 5, 2, 4, 3)]
    figure = plots.roots_growth(Table(GROWTH_COLUMNS, rows))
    tops = [max(band.get_paths()[0].vertices[:, 1]) for band in figure.axes[0].collections]
    assert tops == [5, 5 + 2, 5 + 2 + 3]


def test_the_tree_has_the_victim_to_the_right_of_what_it_depends_on() -> None:
    figure = plots.invalidation_tree([LOST])
    places = {note.get_text(): note.xy for note in figure.axes[0].texts}
    assert [places[name][0] for name in ("world 2: global K", "g", "f")] == [0, 1, 2]


def test_first_results_leave_out_what_was_not_measured() -> None:
    figure = plots.first_results({"f": {"cold": 2.0, "image": 0.01}, "g": {"cold": 1.0, "cache": 0.2}})
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in figure.axes[0].containers}
    assert widths == {"cold": [2.0, 1.0], "Numba's cache": [0.2], "image": [0.01]}


def test_results_of_the_benchmark_are_drawn(tmp_path: Path) -> None:
    measured = plots.benchmark_results(Path(__file__).parents[1] / "benchmarks" / "first_call.json")
    assert set(measured) == {"stumpy_stump", "umap_fit"}
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in plots.first_results(measured).axes[0].containers}
    assert set(widths) == {"cold", "Numba's cache", "image"}
    assert all(cold > image for cold, image in zip(widths["cold"], widths["image"], strict=True))
    (tmp_path / "other.json").write_text("[1]", encoding="utf-8")
    for name, words in (("other.json", "holds no results"), ("none.json", "cannot read")):
        with pytest.raises(AotError, match=words):
            plots.benchmark_results(tmp_path / name)


def test_bars_are_added_up_and_sorted() -> None:
    figure = plots.bars("Roots", "bytes", [("a", 1), ("b", 5), ("a", 2)])
    assert [bar.get_width() for bar in figure.axes[0].patches] == [5, 3]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "a"]


def test_the_map_of_an_image_has_a_part_for_each_target() -> None:
    rows = [("m.f", "generic", 100), ("m.g", "generic", 30), ("m.f", "generic", 20), ("m.g", "haswell", 200)]
    axes = plots.image_map(rows).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["m.g", "m.f"]
    parts = {bars.get_label(): [(bar.get_x(), bar.get_width()) for bar in bars] for bars in axes.containers}
    assert parts == {"generic": [(0, 30), (0, 120)], "haswell": [(30, 200), (120, 0)]}


def test_a_plot_shows_itself_without_matplotlib_inline() -> None:
    shown = plots.compile_time([compilation(0, 0.0, 1.0, 0)])._repr_mimebundle_()
    assert shown["image/png"].startswith(b"\x89PNG") and "'Where the compile time went'" in shown["text/plain"]
    page = Page(shown["text/html"])
    assert page.tags[0] == "svg" and page.loads == [] and "currentColor" in shown["text/html"]


def test_no_data_is_said_in_words() -> None:
    assert texts(plots.compile_time([])) == ["nothing was compiled"]
    assert texts(plots.invalidation_tree([])) == ["nothing was invalidated"]
    assert texts(plots.roots_growth(Table(GROWTH_COLUMNS, []))) == ["no compilation has roots"]
    assert texts(plots.first_results({})) == ["nothing was measured"]
    assert texts(plots.bars("Stragglers", "seconds", [])) == ["no seconds to show"]
    assert texts(plots.image_map([])) == ["no machine code to show"]


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.scopes: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.loads += [
            v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "data") and v and not v.startswith("#")
        ]
        if tag == "th":
            self.scopes.append(given.get("scope"))


@pytest.mark.parametrize("report", [bundle.stragglers_report([LATE]), Invalidations([LOST]), Invalidations([])])
def test_a_file_is_whole_and_loads_nothing(report, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    text = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.loads == [] and "url(http" not in text and "@import" not in text
    assert {"html", "header", "main", "h1", "svg"} <= set(page.tags) and "script" not in page.tags
    assert all(scope == "col" for scope in page.scopes)
    assert "<g> & co" not in text


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AotError, match="cannot write"):
        bundle.stragglers_report([LATE]).to_html(tmp_path / "nowhere" / "report.html")


def test_a_record_shows_itself() -> None:
    shown = LoadReport("nb.aot", "id", 1, 1, "dlopen", "generic", 4.0, None)._repr_mimebundle_()
    assert "JIT time avoided: unknown" in shown["text/plain"] and "unknown" in shown["text/html"]


def test_a_report_is_short_for_its_frame() -> None:
    report = bundle.stragglers_report([LATE])
    assert list(report["seconds"]) == [1.5] and len(report) == 1 and list(report.columns) == list(report.frame.columns)
    assert [row[1] for row in report] == ["f"]


def test_thousands_of_rows_come_in_pages() -> None:
    rows = Rows("many", Table(("name", "seconds"), [(f"f{number}", float(number)) for number in range(2000)]))
    assert len(rows.pages.select.options) == PAGE and rows.pages.page.max == 2000 // PAGE
    rows.sort.value = 1
    assert "f1999" in rows.pages.select.options[0][0] and "f1999" in rows.detail.value
    rows.pages.page.value = 2
    assert "f1949" in rows.pages.select.options[0][0] and len(rows.pages.select.options) == PAGE
    rows.pages.select.value = rows.pages.select.options[1][1]
    assert "f1948" in rows.detail.value
    rows.filter.value = "f77"
    assert [label.split(" |")[0] for label, _ in rows.pages.select.options][:2] == ["f779", "f778"]
    rows.filter.value = "no such"
    assert rows.pages.select.options == () and "Nothing fits" in rows.detail.value


def test_costs_are_kept_beside_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AOTNB_HOME", str(tmp_path))
    costs = Costs(1.5, {question("m", "f", "(int64) -> int64"): 1.5})
    assert read_costs("one") is None
    write_costs("one", costs)
    assert read_costs("one") == costs
    costs_path("one").write_text("[]", encoding="utf-8")
    assert read_costs("one") is None
