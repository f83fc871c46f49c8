"""The quickstart as a user sees it: trace, save, restart the kernel, load, call; in both front ends, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import DEFINE, THEMES, complaints, gallery, pictures, set_theme

pytestmark = pytest.mark.browser

TRACE = ("%load_ext aotnb", DEFINE, "%%aot_trace quickstart\ndouble(20)", "%aot_save -q quickstart.aot", "%aot_status")
LOAD = (
    "%load_ext aotnb\n%aot_load quickstart.aot",
    DEFINE,
    "double(20)",
    "import aotnb\nprint(aotnb.status().compilations, 'compiled')",
)
REPORTS = ("%aot_explain double(1.5)", "%aot_roots double", "%aot_stragglers")
GALLERY = (
    "%load_ext aotnb\nimport aotnb",
    DEFINE,
    "%%aot_trace first\ndouble(20), double(1.5)",
    "def helper(x):\n    return x + 3\nhelper = numba.njit(helper)",
    "%%aot_trace second\ndouble(20), double(1.5)",
    "%aot_save first.aot --trace first",
    "%aot_save second.aot --trace second",
    "%aot_load first.aot",
    "double(1j)",
    *("%aot_status", "%aot_stragglers", "%aot_invalidations", "%aot_roots", "%aot_roots --growth", "%aot_parcel", "%aot_list"),
    *("%aot_diff first second", "%aot_roots --merge first.aot second.aot", "%aot_explain double([1])"),
    "aotnb.last_trace().plot()",
    "aotnb.roots(growth=True).plot()",
    "aotnb.invalidations().plot()",
    "aotnb.load('second.aot').plot()",
    "aotnb.diff('first', 'second').plot()",
)


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


def test_every_report_and_plot(open_notebook: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    """All of them in one notebook: shown, within the page when it is narrow, and clear in both themes."""
    notebook = open_notebook("gallery.ipynb", *GALLERY)
    assert notebook.run_all(), notebook.outputs()
    page = notebook.page
    page.set_viewport_size({"width": 1280, "height": 9000})
    page.locator(".jp-OutputArea-output svg[role=img]").nth(4).wait_for()
    gallery(page, tmp_path, f"gallery-{server.front_end.command}")
    page.set_viewport_size({"width": 1280, "height": 9000})
    for theme in THEMES:
        set_theme(page, theme)
        assert complaints(page, ".jp-OutputArea-output") == [], theme


def test_a_failing_traced_cell_stops_run_all(open_notebook: Callable[..., Any]) -> None:
    notebook = open_notebook("fails.ipynb", "%load_ext aotnb", "%%aot_trace\n1 / 0", "print('went on')")
    assert not notebook.run_all()
    shown = "\n".join(notebook.outputs())
    assert "ZeroDivisionError" in shown
    assert "went on" not in shown
