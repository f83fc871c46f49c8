"""Frames, sentences, faces and progress from plain records: no Numba, no kernel, and a clock that we turn."""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import dataclass

import pytest

from aotnb import reports
from aotnb.core.records import Compilation, Dropped, LoadReport, Miss, SaveReport, Served, Specialization, Status
from aotnb.display import bundle, plots
from aotnb.display.progress import DELAY, Display, Silent, TerminalLine, Watched, for_stream
from aotnb.display.render import html_table, text_table
from aotnb.reports.differences import Side, diff_table
from aotnb.reports.explain import REASONS
from aotnb.reports.stragglers import stragglers_table, straggling
from aotnb.reports.tables import COMPILATION_COLUMNS, Table

INT, FLOAT = "(int64) -> int64", "(float64) -> float64"


@dataclass
class FakeTrace:
    name: str
    compilations: tuple[Compilation, ...] = ()
    growth: tuple[tuple[int, str, int, int, int], ...] = ()
    seconds: float = 2.0
    served: tuple[Served, ...] = ()

    def roots_growth(self) -> list[tuple[int, str, int, int, int]]:
        return list(self.growth)


def compilation(index: int, function: str, signature: str = INT, **changes: object) -> Compilation:
    given = {"kind": "function", "depth": 0, "parent": None, "seconds": 1.0, "own_seconds": 0.25} | changes
    return Compilation(index=index, function=function, module="m", signature=signature, **given)  # type: ignore[arg-type]


TRACE = FakeTrace(
    "one",
    (
        compilation(0, "f", timings={"nopython_type_inference": 0.5, "native_lowering": 0.25, "a_new_pass": 0.125}, new_roots=3),
        compilation(1, "g", depth=1, parent=0, seconds=0.5, saveable=False, reason="not_relocatable", detail="K: a file"),
    ),
    ((0, "m.f", 3, 3, 1), (1, "m.g", 2, 2, 0), (2, "m.f", 5, 2, 3)),
)
STATUS = Status(
    active=True,
    numba="0.68.1",
    llvmlite="0.50.0",
    images=(LoadReport("nb.aot", "id1", 3, 2, "dlopen", "generic", 4.0, 31.0),),
    compilations=1,
    served=(Served("f", "m", "(int64)", "id1", 0.5),),
    misses=(Miss("g", "m", "(int64)", "callee_changed", "h in module m"),),
)
SAVED = SaveReport("nb.aot", "id1", 1, 2, 1, (Dropped("g", "m", INT, "incoherent", "K"),), 23552, "cc", "generic", 0.5)


def test_compilations_frame() -> None:
    frame = reports.compilations(TRACE)
    assert tuple(frame.columns) == COMPILATION_COLUMNS
    assert list(frame["depth"]) == ["top-level", "nested"]
    assert list(frame["saved"]) == [True, False]
    assert list(frame["reason"]) == ["", "not_relocatable"]
    first = frame.iloc[0]
    assert (first["inference"], first["lowering"], first["bytecode"], first["other_passes"]) == (0.5, 0.25, 0.0, 0.125)
    assert frame["seconds"].dtype == float


def test_frames_of_an_empty_trace_keep_their_columns() -> None:
    empty = FakeTrace("none")
    assert tuple(reports.compilations(empty).columns) == COMPILATION_COLUMNS
    assert len(reports.roots_growth(empty)) == 0
    assert compared([], []) == {}


def test_roots_growth() -> None:
    growth = reports.roots_growth(TRACE)
    assert list(growth["new_roots"]) == [3, 2, 2]
    assert list(growth["function"]) == [f"f{INT}", f"g{INT}", ""]


def specialization(function: str, signature: str = INT, **changes: object) -> Specialization:
    given = {"kind": "function", "method": "d1", "edges": {}, "roots": frozenset(), "seconds": 1.0} | changes
    return Specialization(function, "m", signature, **given)  # type: ignore[arg-type]


def compared(a: list[Specialization], b: list[Specialization]) -> dict[tuple[str, str], dict[str, object]]:
    table = diff_table(Side("a", a), Side("b", b))
    return {(row[1], row[3]): dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_diff_finds_every_kind_of_change() -> None:
    before = [specialization("f"), specialization("g", reason="not_relocatable", seconds=0.5), specialization("old")]
    after = [specialization("f", seconds=3.0), specialization("g", seconds=0.5), specialization("f", FLOAT)]
    rows = compared(before, after)
    assert {key: row["change"] for key, row in rows.items()} == {
        ("f", FLOAT): "added",
        ("old", INT): "removed",
        ("g", INT): "changed",
        ("f", INT): "same",
    }
    assert next(iter(rows)) == ("g", INT)  # what changed comes first
    assert (rows["f", INT]["seconds_a"], rows["f", INT]["seconds_b"]) == (1.0, 3.0)
    assert (rows["f", FLOAT]["seconds_a"], rows["old", INT]["seconds_b"]) == (None, None)
    assert rows["g", INT]["difference"] == "saved: not_relocatable -> yes"


def test_diff_names_the_edge_that_differs() -> None:
    k = ("global", "own", "K")
    old = specialization("f", edges={k: ("1", "3"), ("attribute", "lib", "x"): ("2", "5")}, roots=frozenset("abc"))
    new = specialization("f", edges={k: ("9", "4"), ("free", "own", "y"): ("absent", "")}, roots=frozenset("bcde"))
    (row,) = compared([old], [new]).values()
    assert row["difference"] == "global K: 3 -> 4; attribute lib.x: 5 -> not read; free y: not read -> absent"
    assert (row["roots_added"], row["roots_removed"]) == (2, 1)
    (row,) = compared([specialization("f")], [specialization("f", method="d2")]).values()
    assert row["difference"] == "the definition"


def test_repeated_compilations_of_one_signature_add_up() -> None:
    (row,) = compared([specialization("f")], [specialization("f"), specialization("f")]).values()
    assert (row["difference"], row["seconds_a"], row["seconds_b"]) == ("compiled 1 and 2 times", 1.0, 2.0)


def test_loop_bodies_named_by_an_address_are_the_same() -> None:
    a, b = (specialization(f"__numba_parfor_gufunc_0x7f{name}0") for name in "ab")
    assert [row["change"] for row in compared([a], [b]).values()] == ["same"]


def test_stragglers_are_what_was_missed_and_what_no_save_takes() -> None:
    difference = "argument 2 is array(float32, 2d, A); stored: array(float32, 2d, C)"
    misses = [Miss("f", "m", "(int64)", "not_traced", "f was not traced", "(float64) -> float64", difference)] * 2
    compiled = [
        compilation(0, "f", called=True, seconds=2.0),
        compilation(1, "f", called=True, seconds=1.0),
        compilation(2, "g", called=True, seconds=4.0, saveable=False, reason="not_relocatable", detail="K: a file"),
        compilation(3, "g", depth=1, saveable=False, reason="not_relocatable"),
    ]
    rows = straggling(misses, compiled, [Dropped("g", "m", INT, "incoherent", ""), Dropped("h", "m", INT, "incoherent", "K")])
    assert [(row.what, row.function, row.seconds) for row in rows] == [
        ("not saved", "g", 4.0),
        ("compiled", "f", 2.0),
        ("compiled", "f", 1.0),
        ("not saved", "h", None),
    ]
    table = stragglers_table(rows)
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert (row["difference"], row["what_to_do"]) == (difference, reports.cure("not_traced"))
    assert "2 stragglers compiled in 3.00 s, 2 cannot be saved" in repr(bundle.stragglers_report(rows))


def test_misses_dropped_and_status_frames() -> None:
    miss = reports.misses(STATUS).iloc[0]
    assert (miss["reason"], miss["what_to_do"]) == ("callee_changed", reports.cure("callee_changed"))
    assert reports.dropped(SAVED).iloc[0]["reason"] == "incoherent"
    assert reports.status(STATUS).iloc[0][["entries", "served"]].tolist() == [3, 1]


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_is_whole_sentences(code: str) -> None:
    for text in REASONS[code]:
        assert text[0].isupper()
        assert text.endswith(".")
    assert reports.sentence(code, "why.").endswith("(why).")


def test_an_unknown_reason_is_no_error() -> None:
    assert "report it" in reports.cure("from_the_future")


def test_text_and_html_of_a_report() -> None:
    report = bundle.trace_report(TRACE)
    faces = report._repr_mimebundle_()
    assert set(faces) == {"text/plain", "text/html"}
    assert "trace 'one': 2 compilations (1 top-level), 1.00 s of 2.00 s; 1 can be saved" in faces["text/plain"]
    assert "1 not_relocatable" in faces["text/plain"]
    assert '<table class="dataframe"' in faces["text/html"]
    assert "-&gt;" in faces["text/html"]
    assert len(report.frame) == 2
    assert report.record is TRACE


def test_lines_keep_their_indentation_and_a_second_table_comes_first() -> None:
    costs = Table(("proposal", "bytes"), [("owner blocks", 12)])
    rows = Table(("method", "value"), [("m.f", None)])
    report = bundle.Report(
        None, ["a", "  b"], lambda: rows, lambda all_: all_, title="one", plot=lambda: plots.compile_time([]), extra=costs
    )
    assert repr(report).split("\n\n") == ["a\n  b", "proposal      bytes\nowner blocks     12", "method\nm.f"]
    html = report._repr_html_()
    assert "a\n\N{EM SPACE}b" in html and html.index("owner blocks") < html.index("m.<wbr>f") and "value" not in html


def test_one_line_reports() -> None:
    assert repr(bundle.load_report(STATUS.images[0])) == (
        "loaded nb.aot: 3 entries of 2 functions ready for generic in 4.0 ms; JIT time avoided: 31.0 s; refused at save: 0"
    )
    saved = repr(bundle.save_report(SAVED)).splitlines()
    assert saved[0].startswith("saved nb.aot: 1 entry, 2 code instances in 1 unit, 23 KB for generic, linked by cc")
    assert saved[1] == "left out: 1"
    assert bundle.save_report(SAVED).frame.iloc[0]["function"] == "g"


def test_status_report() -> None:
    text = repr(bundle.status_report(STATUS))
    assert "1 image loaded, 1 first call served from images, 1 JIT compilation" in text
    assert "callee_changed" in text
    off = Status(False, "0.68.1", "0.50.0", (), 0, (), ())
    assert repr(bundle.status_report(off)) == "aotnb is not active (Numba 0.68.1, llvmlite 0.50.0)"


def test_a_report_that_cannot_be_shown_warns_and_shows_its_line() -> None:
    def fail(table: Table) -> Table:
        raise RuntimeError("no")

    report = bundle.Report(
        None, ["the line"], lambda: Table(("a",), [(1,)]), fail, title="one", plot=lambda: plots.compile_time([])
    )
    with pytest.warns(UserWarning, match="could not be shown: RuntimeError: no"):
        assert report._repr_mimebundle_() == {"text/plain": "the line"}


def test_showing_a_report_needs_no_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    report = bundle.trace_report(TRACE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "text/html" in report._repr_mimebundle_()
    with pytest.raises(Exception, match="pip install pandas"):
        _ = report.frame


def test_tables_are_cut_and_escaped() -> None:
    table = Table(("name", "n"), [(f"<{'x' * 100}>", number) for number in range(30)])
    lines = text_table(table, limit=5, width=20).splitlines()
    assert lines[0].split() == ["name", "n"]
    assert lines[-1] == "... and 25 more, see .frame"
    assert max(map(len, lines)) < 40
    assert "<x" not in html_table(table)


class Surface:
    def __init__(self) -> None:
        self.shown: list[tuple[str, int, int]] = []
        self.cleared = 0

    def show(self, stage: str, done: int, total: int, seconds: float) -> None:
        self.shown.append((stage, done, total))

    def clear(self) -> None:
        self.cleared += 1


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_silent_at_first_and_wiped_off_at_the_end() -> None:
    surface, clock = Surface(), Clock()
    with Watched(surface, clock) as progress:
        progress("plan", 0, 1)
        assert surface.shown == []
        clock.now += DELAY
        progress("compile", 0, 3)
        progress("compile", 1, 3)  # too soon after the last
        clock.now += 1
        progress("compile", 2, 3)
        progress("link", 0, 1)  # another stage is shown at once
    assert surface.shown == [("compile", 0, 3), ("compile", 2, 3), ("link", 0, 1)]
    assert surface.cleared == 1


def test_short_work_shows_and_clears_nothing() -> None:
    surface = Surface()
    with Watched(surface, Clock()) as progress:
        progress("plan", 0, 1)
    assert (surface.shown, surface.cleared) == ([], 0)


def test_terminal_line_is_rewritten_in_place() -> None:
    stream = io.StringIO()
    line = TerminalLine(stream)
    line.show("compile", 10, 20, 1.0)
    line.show("link", 0, 1, 2.0)
    line.clear()
    text = stream.getvalue()
    assert text.count("\r") == 4
    assert "\n" not in text


def test_display_is_published_once_and_then_replaced() -> None:
    published: list[dict[str, str]] = []
    replaced: list[dict[str, str]] = []

    def publish(data: dict[str, str]):
        published.append(data)
        return replaced.append

    surface = Display(publish)
    surface.show("compile", 1, 4, 1.0)
    surface.show("compile", 2, 4, 2.0)
    surface.clear()
    assert len(published) == 1
    assert 'value="1" max="4"' in published[0]["text/html"]
    assert replaced[-1] == {"text/plain": "", "text/html": ""}


def test_no_bar_where_nobody_watches() -> None:
    assert isinstance(for_stream(io.StringIO()), Silent)
