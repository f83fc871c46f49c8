"""The quickstart as a user sees it: trace, save, restart the kernel, load, call; in both front ends, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import DEFINE, THEMES, complaints, pictures, set_theme

pytestmark = pytest.mark.browser

TRACE = ("%load_ext aotnb", DEFINE, "%%aot_trace quickstart\ndouble(20)", "%aot_save -q quickstart.aot", "%aot_status")
LOAD = (
    "%load_ext aotnb\n%aot_load quickstart.aot",
    DEFINE,
    "double(20)",
    "import aotnb\nprint(aotnb.status().compilations, 'compiled')",
)
REPORTS = ("%aot_explain double(1.5)", "%aot_roots double", "%aot_stragglers")


def test_trace_save_restart_load(open_notebook: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    notebook = open_notebook("trace.ipynb", *TRACE)
    assert notebook.run_all(), notebook.outputs()
    notebook.page.locator(".jp-OutputArea-output table").first.wait_for()
    assert "2 compilations (1 top-level)" in "\n".join(notebook.outputs())
    notebook.restart()
    notebook = open_notebook("load.ipynb", *LOAD, *REPORTS)
    assert notebook.run_all(), notebook.outputs()
    shown = "\n".join(notebook.outputs())
    assert "0 compiled" in shown and "42" in shown, shown
    assert "argument 1 is float64; stored: int64" in shown, shown
    page = notebook.page
    pictures(page, tmp_path, f"reports-{server.front_end.command}")
    for theme in THEMES:
        set_theme(page, theme)
        assert complaints(page, ".jp-OutputArea-output") == [], theme


def test_a_failing_traced_cell_stops_run_all(open_notebook: Callable[..., Any]) -> None:
    notebook = open_notebook("fails.ipynb", "%load_ext aotnb", "%%aot_trace\n1 / 0", "print('went on')")
    assert not notebook.run_all()
    shown = "\n".join(notebook.outputs())
    assert "ZeroDivisionError" in shown
    assert "went on" not in shown
