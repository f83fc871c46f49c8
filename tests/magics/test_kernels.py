"""Real kernels: save in one, load in another; errors, ``await`` and interrupts as without aotnb."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Kernel

pytest.importorskip("ipykernel")
pytestmark = pytest.mark.notebook

FUNCTIONS = """
import numba
@numba.njit
def helper(x):
    return x + 1
@numba.njit
def double(x):
    return helper(x) * 2
"""
COUNT = "print(aotnb.status().compilations, len(aotnb.status().served))"


def notebook(*cells: str):
    import nbformat

    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return made


def execute(cells: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Execute a notebook in a fresh kernel; return the text of each cell."""
    from nbclient import NotebookClient

    package = Path(__import__("aotnb").__file__).parents[1]
    monkeypatch.setenv("AOTNB_HOME", str(folder / "home"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(package), prepend=":")
    done = NotebookClient(
        notebook(*cells), timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return ["".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs) for cell in done.cells]


def test_save_in_one_kernel_load_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = execute(("%load_ext aotnb", FUNCTIONS, "%%aot_trace\nprint(double(20))", "%aot_save nb.aot"), tmp_path, monkeypatch)
    assert first[2].startswith("42\n")
    assert "2 compilations (1 top-level)" in first[2]
    assert "saved nb.aot: 1 entry" in first[3]
    second = execute(
        (
            "%load_ext aotnb",
            "import aotnb\n%aot_load nb.aot",
            FUNCTIONS,
            "print(double(20))\n" + COUNT,
            "@numba.njit\ndef helper(x):\n    return x + 2\n",
            "@numba.njit\ndef double(x):\n    return helper(x) * 2\nprint(double(20))\n" + COUNT,
            "%aot_status",
        ),
        tmp_path,
        monkeypatch,
    )
    assert "loaded nb.aot: 1 entry" in second[1]
    assert second[3] == "42\n0 1\n"
    assert second[5] == "44\n2 1\n"
    assert "callee_changed" in second[6]


def test_a_failing_cell_gives_one_plain_traceback_and_stops_run_all(new_kernel: Callable[[], Kernel]) -> None:
    kernel = new_kernel()
    kernel.run("%load_ext aotnb")
    untraced = kernel.run("# a line\nx = 1\nx / 0")
    traced = kernel.run("%%aot_trace failing\nx = 1\nx / 0")
    assert (untraced.status, traced.status) == ("error", "error")
    assert len(traced.errors) == 1
    assert traced.shown == []
    assert traced.errors[0].count("Traceback") == 1
    assert "aotnb/" not in traced.errors[0]
    assert "line 3" in traced.errors[0]
    assert kernel.run("import aotnb; print(aotnb.last_trace().name, aotnb.last_trace().closed)").text == "failing True\n"


def test_run_all_stops_at_a_failing_traced_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient.exceptions import CellExecutionError

    marker = tmp_path / "went_on"
    with pytest.raises(CellExecutionError):
        execute(("%load_ext aotnb", "%%aot_trace\n1 / 0", f"open({str(marker)!r}, 'w')"), tmp_path, monkeypatch)
    assert not marker.exists()


@pytest.mark.parametrize("mistake", ["%aot_load missing.aot", "%aot_load --bogus"])
def test_run_all_stops_at_a_mistake_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError):
        execute(("%load_ext aotnb", mistake), tmp_path, monkeypatch)


def test_mistakes_await_and_interrupts(new_kernel: Callable[[], Kernel]) -> None:
    """One kernel for several: starting one costs more than all of them."""
    kernel = new_kernel()
    kernel.run("%load_ext aotnb\nimport aotnb, asyncio, time")

    refused = kernel.run("%aot_load missing.aot")
    assert refused.status == "error"
    assert len(refused.errors) == 1
    assert len(refused.errors[0].splitlines()) == 1
    assert refused.reply["ename"] == "ImageRejected"
    misused = kernel.run("%aot_load --bogus")
    assert (misused.status, misused.errors) == ("error", [])
    assert len(misused.text.strip().splitlines()) == 1

    waited = kernel.run("%%aot_trace waiting\nawait asyncio.sleep(0.01)\nprint('back')")
    assert (waited.status, waited.text) == ("ok", "back\n")
    assert "nothing was compiled" in waited.shown[0]

    # ipykernel hears an interrupt between two steps of its loop only, hence the short waits
    for body in ("time.sleep(60)", "for _ in range(600): await asyncio.sleep(0.1)"):
        message = kernel.send(f"%%aot_trace stopped\nprint('on', flush=True)\n{body}")
        time.sleep(1.0)
        kernel.manager.interrupt_kernel()
        stopped = kernel.finish(message)
        assert stopped.status == "error", body
        assert stopped.shown == []
        closed = kernel.run("print(aotnb.last_trace().name, aotnb.last_trace().closed)\n%aot_trace after -q")
        assert (closed.status, closed.text) == ("ok", "stopped True\n"), body


def test_an_interrupted_save_is_one_sentence(new_kernel: Callable[[], Kernel], tmp_path: Path) -> None:
    kernel = new_kernel()
    kernel.run("%load_ext aotnb\nimport _thread, threading\n" + FUNCTIONS + "double(1)\n%aot_save -q whole.aot")
    before = sorted(path.name for path in tmp_path.iterdir())
    stopped = kernel.run("threading.Timer(0.02, _thread.interrupt_main).start()\n%aot_save stopped.aot")
    assert (stopped.status, stopped.shown) == ("error", [])
    assert stopped.errors == ["KeyboardInterrupt: %aot_save was interrupted; no file is left half-written"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert kernel.run("%aot_save -q stopped.aot").status == "ok"


def test_what_came_too_early_is_told(new_kernel: Callable[[], Kernel], tmp_path: Path) -> None:
    kernel = new_kernel()
    (tmp_path / "nb.aot").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.aotnb]\nimage = 'nb.aot'\n")
    kernel.run(FUNCTIONS + "double(1)")
    loaded = kernel.run("%load_ext aotnb")
    assert loaded.text == (
        "aotnb: 2 compilations came before %load_ext aotnb and cannot be saved; restart the kernel and put it first\n"
        f"aotnb: the image {tmp_path / 'nb.aot'} is there; %aot_load loads it\n"
    )
    traced = kernel.run("%%aot_trace\ndouble(1)")
    assert "nothing was compiled" in traced.shown[-1] and "compiled before" in traced.shown[-1]
    assert "begin with %load_ext aotnb" in kernel.run("%aot_save early.aot").errors[0]
    assert kernel.run("%reload_ext aotnb").text == ""  # once in a process


def test_progress_is_shown_to_somebody_and_wiped_off(new_kernel: Callable[[], Kernel]) -> None:
    kernel = new_kernel()
    kernel.run("%load_ext aotnb\nimport aotnb.display.progress as progress\nprogress.DELAY = 0.0\n" + FUNCTIONS)
    kernel.run("%%aot_trace -q\ndouble(1)")
    alone = kernel.run("%aot_save alone.aot")
    assert (len(alone.shown), alone.updates) == (1, [])
    watched = kernel.run("%aot_save watched.aot", watched=True)
    assert "[" in watched.shown[0]
    assert watched.shown[-1].startswith("saved watched.aot")
    assert watched.updates[-1]["text/html"] == ""
    show = "print(sorted(aotnb.explore()._repr_mimebundle_()))"
    kernel.run("import aotnb")
    assert "widget-view" in kernel.run(show, watched=True).text
    assert kernel.run(show).text == "['text/html', 'text/plain']\n"  # in a page that nbconvert makes, widgets would be dead


def test_one_line_keeps_an_image_in_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = (
        "%load_ext aotnb",
        "%aot_auto nb.aot",
        FUNCTIONS,
        "print(double(20))",
        "print(double(1.5))",
        f"import aotnb\n{COUNT}",
    )
    first = execute(cells, tmp_path, monkeypatch)
    assert "nb.aot is not there yet" in first[1]
    assert first[5].split() == ["4", "0"]
    # whatever was not saved after its cell was saved when the kernel was shut down
    second = execute(cells, tmp_path, monkeypatch)
    assert "nb.aot is loaded" in second[1]
    assert second[3:5] == ["42\n", "5.0\n"]
    assert second[5].split() == ["0", "2"]


def test_an_image_that_cannot_be_kept_is_told_and_unharmed(new_kernel: Callable[[], Kernel], tmp_path: Path) -> None:
    (tmp_path / "nb.aot").write_text("no image")
    kernel = new_kernel()
    kernel.run("%load_ext aotnb")
    refused = kernel.run("%aot_auto nb.aot")
    assert refused.status == "error" and refused.errors[0].startswith("ImageRejected: nb.aot")
    assert kernel.run(FUNCTIONS + "print(double(20))").text == "42\n"
    assert (tmp_path / "nb.aot").read_text() == "no image"
    assert "not both" in kernel.run("%aot_auto nb.aot --off").text
    kernel.run("%aot_auto other.aot\ndouble(1.5)\n%aot_auto --off")
    assert kernel.run("import aotnb\nprint(aotnb.load('other.aot').entries)").text == "2\n"
