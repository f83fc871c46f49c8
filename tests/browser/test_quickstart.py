"""The quickstart as a user sees it: trace, save, restart the kernel, load, call; in both front ends, light and dark."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

DEFINE = """
import numba
@numba.njit
def helper(x):
    return x + 1
@numba.njit
def double(x):
    return helper(x) * 2
"""
TRACE = ("%load_ext aotnb", DEFINE, "%%aot_trace quickstart\ndouble(20)", "%aot_save -q quickstart.aot", "%aot_status")
LOAD = (
    "%load_ext aotnb\n%aot_load quickstart.aot",
    DEFINE,
    "double(20)",
    "import aotnb\nprint(aotnb.status().compilations, 'compiled')",
)
REPORTS = ("%aot_explain double(1.5)", "%aot_roots double", "%aot_stragglers")


def pictures(page: Any, folder: Path, name: str) -> None:
    """Take screenshots, wide and narrow, light and dark; into ``AOTNB_SCREENSHOTS`` where somebody wants to look at them."""
    target = Path(os.environ.get("AOTNB_SCREENSHOTS") or folder)
    target.mkdir(parents=True, exist_ok=True)
    for theme in ("Light", "Dark"):
        page.evaluate(f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        for size, width in (("wide", 1280), ("narrow", 640)):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(300)
            page.screenshot(path=target / f"{name}-{theme.lower()}-{size}.png")
    page.set_viewport_size({"width": 1280, "height": 900})


CONTRAST = """
() => {
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0.5) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll('.jp-OutputArea-output th, .jp-OutputArea-output td, .jp-OutputArea-output div')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([e.textContent.trim().slice(0, 40), ratio]);
  }
  return poor;
}
"""


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
    for theme in ("Light", "Dark"):
        page.evaluate(f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        page.wait_for_timeout(500)
        assert page.evaluate(CONTRAST) == [], theme


def test_a_failing_traced_cell_stops_run_all(open_notebook: Callable[..., Any]) -> None:
    notebook = open_notebook("fails.ipynb", "%load_ext aotnb", "%%aot_trace\n1 / 0", "print('went on')")
    assert not notebook.run_all()
    shown = "\n".join(notebook.outputs())
    assert "ZeroDivisionError" in shown
    assert "went on" not in shown
