"""The explorer in a real front end: by mouse and by keyboard, with what goes wrong told in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import CONTRAST, DEFINE, pictures

pytestmark = pytest.mark.browser

CELLS = (
    "%load_ext aotnb",
    DEFINE,
    "%%aot_trace explored\ndouble(20), double(1.5)",
    "def helper(x):\n    return x + 2\nhelper = numba.njit(helper)",
    "double(20)",
    "import aotnb\naotnb.explore()",
)
EXPLORER = ".jp-OutputArea-output > .widget-vbox, .jp-OutputArea-output .jupyter-widgets.widget-vbox"
NAMELESS = """
() => [...document.querySelectorAll('.jupyter-widgets input, .jupyter-widgets select, .jupyter-widgets button, .jupyter-widgets [role=slider]')]
  .filter(e => e.offsetParent && !(e.labels?.length && e.labels[0].textContent.trim()) && !e.textContent.trim()
    && !e.title && !e.getAttribute('aria-label') && !e.closest('[aria-label], [title]')
    && !e.closest('.widget-inline-hbox')?.querySelector('label')?.textContent.trim())
  .map(e => e.outerHTML.slice(0, 120))
"""


def control(page: Any, label: str, kind: str) -> Any:
    """Return the control of the widget with this label."""
    return (
        page.locator(".jupyter-widgets.widget-inline-hbox:visible", has=page.locator(f"label:text-is('{label}')"))
        .locator(kind)
        .first
    )


def test_everything_is_reached_by_mouse_and_keyboard(open_notebook: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    notebook = open_notebook("explorer.ipynb", *CELLS)
    assert notebook.run_all(), notebook.outputs()
    page = notebook.page
    page.get_by_role("button", name="Save", exact=True).wait_for()
    # an error stands where the button is, and the explorer goes on
    image = control(page, "Image", "input")
    image.fill("none/explored.aot")
    image.press("Enter")
    page.get_by_role("button", name="Load", exact=True).click()
    page.locator("[role=status]", has_text="none").wait_for()
    image.fill("explored.aot")
    image.press("Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("[role=status]", has_text="saved explored.aot").wait_for()
    # filter, choose, look into the panes
    words = control(page, "Filter", "input")
    words.fill("helper")
    words.press("Tab")  # not by mouse alone
    methods = control(page, "Method", "select")
    page.wait_for_function("e => e.options.length == 1 && e.options[0].text.includes('helper')", arg=methods.element_handle())
    for pane, found in (("LLVM IR", "define "), ("Assembly", ".globl"), ("Source", "def helper")):
        control(page, "Show", "select").select_option(label=pane)
        page.locator(f"pre[aria-label='{pane}']", has_text=found).wait_for()
    pictures(page, tmp_path, f"explorer-{server.front_end.command}", EXPLORER)
    assert page.evaluate(NAMELESS) == []
    # the tabs of the reports
    for tab, found in (("Invalidations", "helper"), ("Roots", "int64"), ("Stragglers", "")):
        page.get_by_role("tab", name=tab).click()
        rows = control(page, "Rows", "select")
        rows.wait_for()
        text = "([e, text]) => [...e.options].some(o => o.text.includes(text)) || !text"
        page.wait_for_function(text, arg=[rows.element_handle(), found])
    pictures(page, tmp_path, f"explorer-rows-{server.front_end.command}", EXPLORER)
    for theme in ("Light", "Dark"):
        page.evaluate(f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        page.wait_for_timeout(500)
        assert page.evaluate(CONTRAST) == []
