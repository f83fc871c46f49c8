"""The magics in a shell of this process: what they return, complete, refuse, and take away again."""

from __future__ import annotations

import builtins
import itertools
import logging
import sys
from pathlib import Path
from typing import Any

import numba
import pytest
from IPython.core.error import UsageError
from IPython.utils.capture import capture_output

from aotnb import session, settings
from aotnb.display.bundle import Report
from aotnb.errors import AotError
from aotnb.magics.cells import transform
from aotnb.reports.merges import MERGE_COLUMNS
from aotnb.reports.roots import GROWTH_COLUMNS, ROOT_COLUMNS

# Images stay loaded as long as the process lives, so each test has a function of its own.
NUMBERS = itertools.count(1)
FUNCTIONS = """
import numba
@numba.njit
def helper(x):
    return x + {number}
@numba.njit
def double(x):
    return helper(x) * 2
"""


def run(shell: Any, code: str) -> Any:
    result = shell.run_cell(code)
    result.raise_error()
    return result.result


def define(shell: Any) -> int:
    number = next(NUMBERS)
    run(shell, FUNCTIONS.format(number=number))
    return number


@pytest.fixture
def traced(shell: Any) -> Any:
    define(shell)
    with capture_output():
        run(shell, "%%aot_trace first\ndouble(3)")
    return shell


@pytest.fixture
def named(shell: Any) -> Any:
    run(shell, "%%aot_trace -q first\n1 + 1")
    return shell


def test_trace_shows_a_report_and_leaves_no_names(shell: Any) -> None:
    number = define(shell)
    before = set(shell.user_ns)
    with capture_output() as captured:
        result = run(shell, "%%aot_trace first\nanswer = double(3)\nanswer")
    assert result == (3 + number) * 2
    assert {name for name in set(shell.user_ns) - before if not name.startswith("_")} == {"answer"}
    (shown,) = captured.outputs
    assert "2 compilations (1 top-level)" in shown.data["text/plain"]
    trace = session.last_trace()
    assert trace is not None
    assert trace.name == "first"
    assert [item.function for item in trace.compilations] == ["double", "helper"]


def test_line_form_traces_the_rest_of_the_cell(shell: Any) -> None:
    define(shell)
    with capture_output():
        run(shell, "helper(1)\n%aot_trace rest -q\nhelper(1.5)")
    assert [item.signature for item in session.traces()["rest"].compilations] == ["(float64) -> float64"]


def test_quiet_shows_nothing(traced: Any) -> None:
    with capture_output() as captured:
        run(traced, "%%aot_trace -q silent\nx = double(2.5)")
        run(traced, "%aot_save quiet.aot --trace silent -q")
        run(traced, "%aot_load quiet.aot -q")
    assert not captured.outputs
    assert not captured.stdout


def test_save_load_status(traced: Any) -> None:
    saved = run(traced, "%aot_save 'with space.aot' --trace first --link in-process")
    assert isinstance(saved, Report)
    assert saved.record.linker == "in-process"
    assert Path("with space.aot").stat().st_size == saved.record.size
    loaded = run(traced, "%aot_load 'with space.aot'")
    assert loaded.record.image_id == saved.record.image_id
    status = run(traced, "%aot_status")
    assert saved.record.image_id in [image.image_id for image in status.record.images]


def test_append_keeps_what_is_there(traced: Any) -> None:
    run(traced, "%aot_save both.aot --trace first -q")
    define(traced)
    with capture_output():
        run(traced, "%%aot_trace more\ndouble(3)")
    assert run(traced, "%aot_save alone.aot --trace more").record.entries == 1
    assert run(traced, "%aot_save both.aot --trace more --append").record.entries == 2


def test_save_in_the_background(traced: Any) -> None:
    with capture_output() as captured:
        save = run(traced, "%aot_save later.aot --trace first --background")
        assert repr(save).startswith(("building ", "saved "))
        entries = save.wait().entries
    assert (entries, Path("later.aot").exists()) == (1, True)
    assert "\nsaved later.aot: 1 entry" in captured.stdout  # the notice


def test_the_report_can_be_had_as_an_object(traced: Any) -> None:
    run(traced, "report = %aot_report first")
    assert list(traced.user_ns["report"].frame["function"]) == ["double", "helper"]
    assert traced.user_ns["report"].record is session.traces()["first"]
    run(traced, "%aot_report first --html first.html")
    assert "<td" in Path("first.html").read_text() and "double" in Path("first.html").read_text()


def test_packages_and_their_statements(traced: Any, tmp_path: Path) -> None:
    shown = run(traced, f"%aot_parcel first --write {tmp_path}")
    assert [(row[0], row[2]) for row in shown] == [("__main__", 2)]
    written = (tmp_path / "__main__.trace").read_text().splitlines()
    assert written[0].endswith(" ms")
    assert "not replayable (it was defined in a notebook" in written[1]
    assert run(traced, "%aot_parcel").frame["seconds"].sum() > 0
    with pytest.raises(AotError, match=r"there is no trace 'none'; known: .*first"):
        run(traced, "%aot_parcel none")


def test_roots_and_diff(traced: Any) -> None:
    with capture_output():
        run(traced, "%%aot_trace second\ndouble(2.5)")
    growth = run(traced, "%aot_roots --growth").frame
    assert tuple(growth.columns) == GROWTH_COLUMNS
    assert {"double(int64) -> int64", "helper(float64) -> float64"} <= set(growth["function"])
    roots = run(traced, "%aot_roots double").frame
    assert tuple(roots.columns) == ROOT_COLUMNS
    assert set(roots["method"]) == {"__main__.double"}
    assert {"int64", "float64", "helper"} <= set(roots["value"])
    diff = run(traced, "%aot_diff first second").frame
    assert sorted(diff["change"]) == ["added", "added", "removed", "removed"]
    assert set(run(traced, "%aot_diff first first").frame["change"]) == {"same"}


def test_images_are_compared_and_merged(traced: Any) -> None:
    with capture_output():
        run(traced, "%%aot_trace second\ndouble(2.5)")
        run(traced, "%aot_save one.aot --trace first")
        run(traced, "%aot_save two.aot --trace second")
    assert sorted(run(traced, "%aot_diff one.aot two.aot").frame["change"]) == ["added", "removed"]
    report = run(traced, "%aot_roots --merge one.aot two.aot")
    assert tuple(report.frame.columns) == MERGE_COLUMNS
    assert "owner blocks" in repr(report)
    shared = report.frame[report.frame["shared_with"] != ""]
    assert "helper" in set(shared["value"])
    assert set(report.frame["image"]) == {"one.aot", "two.aot"}


def test_stragglers_say_what_is_nearest(traced: Any) -> None:
    with capture_output():
        run(traced, "@numba.njit\ndef halve(x):\n    return x / 2")
        run(traced, "%%aot_trace halved\nhalve(3)")
        run(traced, "%aot_save one.aot --trace halved")
        run(traced, "%aot_load one.aot")
        run(traced, "halve(2.5)")
    frame = run(traced, "%aot_stragglers").frame
    rows = frame[(frame["what"] == "compiled") & (frame["function"] == "halve") & (frame["signature"] == "(float64)")]
    assert list(rows["difference"]) == ["argument 1 is float64; stored: int64"]
    assert list(rows["nearest"]) == ["(int64) -> float64"]
    assert (rows["seconds"] > 0).all()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("%aot_load missing.aot", "there is no image"),
        ("%aot_load .", "folder"),
        ("%aot_load text.aot", "aotnb image; give"),
        ("%aot_load", "no image is named"),
        ("%aot_load --bogus x.aot", "--bogus"),
        ("%aot_load 'open", "quotation"),
        ("%aot_save no_such_folder/x.aot", "no_such_folder"),
        ("%aot_save .", "folder"),
        ("%aot_save x.aot --trace nobody", "'nobody'"),
        ("%aot_save x.aot --link magic", "magic"),
        ("%aot_save x.aot --trace first", "nothing to save"),
        ("%aot_diff first nobody", "'nobody'"),
        ("%aot_diff first", "B"),
        ("%aot_roots nobody", "'nobody'"),
        ("%aot_roots --merge missing.aot text.aot", "there is no image"),
        ("%aot_roots double --merge text.aot text.aot", "neither"),
        ("%aot_list nowhere", "no folder nowhere"),
        ("%aot_prune", "nothing says which"),
        ("%aot_stragglers x", "unrecognized arguments: x; %aot_stragglers? shows"),
        ("%aot_save x.aot --lnk cc", "did you mean --link?"),
        ("%aot_explain missing(1)", "name 'missing' is not defined; run the cell"),
        ("%%aot_trace --bogus\n1", "--bogus"),
        ("%%aot_trace outer\n%aot_trace inner", "still open"),
    ],
)
def test_mistakes_are_one_sentence_and_fail_the_cell(named: Any, code: str, says: str) -> None:
    Path("text.aot").write_text("no image, but long enough to hold a trailer if it were one. " * 5)
    with capture_output() as captured:
        result = named.run_cell(code)
    assert not result.success
    lines = (captured.stdout + captured.stderr).strip().splitlines()
    assert len(lines) == 1, lines
    assert says in lines[0]
    assert not Path("x.aot").exists()


def test_help_is_generated_from_the_arguments(shell: Any) -> None:
    for name in ("aot_trace", "aot_report", "aot_save", "aot_load", "aot_status", "aot_roots", "aot_stragglers", "aot_diff"):
        text = shell.object_inspect_text(f"%{name}")
        assert f"%{name}" in text
        assert "::" in text
    assert "--link" in shell.object_inspect_text("%aot_save")
    assert "--quiet" in shell.object_inspect_text("%%aot_trace")


@pytest.mark.filterwarnings("ignore:`Completer.complete`:PendingDeprecationWarning")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%aot_load na", {"nature.aot"}),
        ("aot_load na", {"nature.aot"}),
        ("%aot_load fol", {"folder/"}),
        ("%aot_load folder/", {"folder/deep.aot"}),
        ("%aot_save --li", {"--link"}),
        ("%aot_save x.aot --link in", {"in-process"}),
        ("%aot_save x.aot --trace f", {"first"}),
        ("%aot_diff fi", {"first"}),
        ("%aot_roots --gr", {"--growth"}),
        ("%%aot_trace --q", {"--quiet"}),
        ("report = %aot_report fi", {"first"}),
    ],
)
def test_completion(named: Any, line: str, expected: set[str]) -> None:
    for name in ("nature.aot", "nature.txt", "folder/deep.aot"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    _, found = named.complete(None, line, len(line))
    assert set(found) == expected  # no names of Python, no other files


def test_transform_keeps_the_number_of_lines() -> None:
    cell = ["%%aot_trace a b\n", "\n", "x = 1\n"]
    assert transform(cell) == ["get_ipython().run_line_magic('aot_trace', 'a b')\n", "\n", "x = 1\n"]
    future = ["%%aot_trace\n", "from __future__ import annotations\n", "x: y = 1\n"]
    assert transform(future) == [
        "\n",
        "from __future__ import annotations; get_ipython().run_line_magic('aot_trace', '')\n",
        "x: y = 1\n",
    ]


@pytest.mark.parametrize(
    "cell", [[], ["x = 1\n"], ["%%aot_trace\n"], ["%%aot_trace\n", "%%time\n", "1\n"], ["%%aot_traces\n", "1\n"]]
)
def test_transform_leaves_other_cells_alone(cell: list[str]) -> None:
    assert transform(list(cell)) == cell


def test_a_terminal_waits_for_the_end_of_a_traced_cell(shell: Any) -> None:
    manager = shell.input_transformer_manager
    assert manager.check_complete("%%aot_trace\nx = 1")[0] == "incomplete"
    assert manager.check_complete("%%aot_trace\nx = 1\n\n")[0] == "complete"


def test_future_import_in_a_traced_cell(shell: Any) -> None:
    run(shell, "%%aot_trace -q\nfrom __future__ import annotations\nx: nowhere = 1")
    assert shell.user_ns["x"] == 1


def test_stacked_magics_run_inside_the_trace(shell: Any) -> None:
    define(shell)
    with capture_output():
        run(shell, "%%aot_trace stacked\n%%time\ndouble(3)")
        run(shell, "%%capture out\n%%aot_trace captured\ndouble(2.5)")
        run(shell, "%%time\n%%aot_trace timed\nhelper(2j)")
    assert len(session.traces()["stacked"].compilations) == 2
    assert len(session.traces()["captured"].compilations) == 2
    assert len(session.traces()["timed"].compilations) == 1
    assert "2 compilations" in shell.user_ns["out"].outputs[-1].data["text/plain"]


def test_a_nested_cell_does_not_end_the_trace(shell: Any) -> None:
    define(shell)
    with capture_output():
        run(shell, "%%aot_trace whole\nget_ipython().run_cell('helper(1)')\nhelper(1.5)")
    assert len(session.traces()["whole"].compilations) == 2


def test_called_from_python_a_failing_body_raises(shell: Any) -> None:
    with capture_output() as captured, pytest.raises(Exception, match="traced cell failed"):
        shell.run_cell_magic("aot_trace", "called", "1 / 0")
    assert captured.stdout.count("ZeroDivisionError: division by zero") == 1
    assert session.traces()["called"].closed


def test_a_syntax_error_opens_no_trace(shell: Any) -> None:
    with capture_output():
        assert not shell.run_cell("%%aot_trace broken\nx = = 1").success
    assert "broken" not in session.traces()


def test_unload_leaves_nothing(bare_shell: Any) -> None:
    def state() -> tuple[Any, ...]:
        return (
            {kind: set(names) for kind, names in bare_shell.magics_manager.magics.items()},
            set(bare_shell.magics_manager.registry),
            list(bare_shell.configurables),
            list(bare_shell.input_transformers_cleanup),
            {name: list(functions) for name, functions in bare_shell.events.callbacks.items()},
            list(bare_shell.Completer.custom_matchers),
            list(bare_shell.ast_transformers),
            {name for name in vars(builtins) if "aotnb" in name},
            list(logging.getLogger("aotnb").handlers),
            logging.getLogger("aotnb").level,
            [getattr(numba.core.dispatcher.Dispatcher, name) for name in ("compile", "enable_caching")],
            dict(settings._configured),
            dict(bare_shell.config),
            sys.meta_path[:],
        )

    def sizes() -> list[int]:
        return [len(part) if isinstance(part, list | dict | set) else 0 for part in state()]

    run(bare_shell, "%config")  # makes the magics that IPython has not needed yet
    before = state()
    run(bare_shell, "%load_ext aotnb")
    loaded, size = state(), sizes()
    assert session.is_active()
    run(bare_shell, "%load_ext aotnb")
    assert state() == loaded
    with capture_output():
        run(bare_shell, "%reload_ext aotnb")
        run(bare_shell, "%%aot_trace reloaded\n1")
    assert sizes() == size
    run(bare_shell, "%config AotMagics.log = 'info'")
    run(bare_shell, "%config AotMagics.check = False")
    run(bare_shell, "%unload_ext aotnb")
    assert state() == before
    assert not session.is_active()
    with capture_output():
        assert not bare_shell.run_cell("%aot_status").success


def test_the_statements_behind_unload_run(bare_shell: Any) -> None:
    run(bare_shell, "%load_ext aotnb")
    run(bare_shell, "%unload_ext aotnb\nx = 1\nfor y in range(2):\n    x = y\nx")
    assert not [name for name in vars(builtins) if "aotnb" in name]
    run(bare_shell, "%load_ext aotnb")
    with capture_output():
        run(bare_shell, "%reload_ext aotnb\nx = 2\n%aot_invalidations --off\nx = 3\n%aot_invalidations --on\nx = 4")
        run(bare_shell, "x = 5\nx")
    run(bare_shell, "%unload_ext aotnb")
    assert not [name for name in vars(builtins) if "aotnb" in name]


def test_unload_leaves_hooks_that_were_there_before(bare_shell: Any) -> None:
    session.activate()
    try:
        run(bare_shell, "%load_ext aotnb")
        run(bare_shell, "%unload_ext aotnb")
        assert session.is_active()
    finally:
        session.deactivate()


def test_an_unsupported_numba_is_one_sentence(bare_shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from aotnb.errors import UnsupportedNumba
    from aotnb.magics import extension

    def refuse() -> None:
        raise UnsupportedNumba("Numba 9.9 is not supported")

    monkeypatch.setattr(extension.session, "activate", refuse)
    with pytest.raises(UsageError, match=r"Numba 9\.9"):
        extension.load(bare_shell)
    assert "AotMagics" not in bare_shell.magics_manager.registry


def test_explain_evaluates_arguments_only(shell: Any) -> None:
    number = next(NUMBERS)
    run(shell, FUNCTIONS.format(number=number).replace("double", "lone"))
    run(shell, "numbers = [1, 2]\ncalls = []\ndef argument(x):\n    calls.append(x)\n    return x")
    report = run(shell, "%aot_explain lone(argument(3))")
    assert report.record.state == "to be compiled"
    assert report.record.reason in repr(report) and "argument" in repr(report)
    assert shell.user_ns["calls"] == [3]
    assert not shell.user_ns["lone"].signatures
    run(shell, "lone(3)")
    assert run(shell, "%aot_explain lone(*numbers[:1])").record.state == "compiled"
    assert run(shell, "%aot_explain lone(x=1.5)").record.nearest == ("int64",)
    for mistake, words in [
        ("%aot_explain", "takes a call"),
        ("%aot_explain lone", "takes a call"),
        ("%aot_explain argument(1)", "not a jitted function"),
        ("%aot_explain lone(1, 2)", "does not take"),
    ]:
        with capture_output() as shown:
            assert not shell.run_cell(mistake).success
        assert words in shown.stdout + shown.stderr
        assert "Traceback" not in shown.stdout + shown.stderr


def test_settings_have_effect_in_their_order(shell: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    number = next(NUMBERS)
    run(shell, FUNCTIONS.format(number=number))
    run(shell, "double(1)")
    (tmp_path / "pyproject.toml").write_text('[tool.aotnb]\nimage = "project.aot"\nlink = "in-process"\n')
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    report = run(shell, "%aot_save").record
    assert (Path(report.path), report.linker) == (tmp_path / "project.aot", "in-process")
    run(shell, "%config AotMagics.image = 'configured.aot'")
    assert Path(run(shell, "%aot_save").record.path).name == "configured.aot"
    monkeypatch.setenv("AOTNB_IMAGE", "environment.aot")
    assert Path(run(shell, "%aot_save").record.path).name == "environment.aot"
    assert Path(run(shell, "%aot_save named.aot").record.path).name == "named.aot"
    monkeypatch.delenv("AOTNB_IMAGE")
    assert Path(run(shell, "%aot_load").record.path).name == "configured.aot"
    run(shell, "%config AotMagics.quiet = True")
    assert run(shell, "%aot_save") is None
    run(shell, "%config AotMagics.quiet = False")
    watcher = shell.magics_manager.registry["AotMagics"].watcher
    assert watcher.installed
    run(shell, "%config AotMagics.check = False")
    assert not watcher.installed
    run(shell, "%config AotMagics.check = True")
    assert watcher.installed


def test_the_log_tells_of_saves_loads_misses_and_invalidations(shell: Any, tmp_path: Path) -> None:
    number = next(NUMBERS)
    run(shell, "%config AotMagics.log = 'debug:log.txt'")
    run(shell, FUNCTIONS.format(number=number))
    run(shell, "double(1)\n%aot_save log.aot")
    run(shell, "%aot_load log.aot")
    run(shell, FUNCTIONS.format(number=number))
    run(shell, "double(1.5)")
    run(shell, f"def helper(x):\n    return x + {number} + 1")
    run(shell, "helper = numba.njit(helper)")
    text = (tmp_path / "log.txt").read_text()
    for words in ("INFO saved", "INFO loaded", "INFO miss __main__.double(float64)", "INFO invalidated __main__.double"):
        assert words in text, text
    shell.run_cell("%config AotMagics.log = 'loud'")  # IPython shows the sentence through logging
    assert shell.magics_manager.registry["AotMagics"].log == "debug:log.txt"
    run(shell, "%config AotMagics.log = ''")
    run(shell, "double(2.5)")
    assert (tmp_path / "log.txt").read_text() == text
