"""The explorer in a real front end: by mouse and by keyboard alone, over a restart, with what goes wrong told in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import DEFINE, THEMES, complaints, pictures, set_theme, snapshot

pytestmark = pytest.mark.browser

CELLS = (
    "%load_ext aotnb",
    DEFINE,
    "%%aot_trace explored\ndouble(20), double(1.5)",
    "def helper(x):\n    return x + 2\nhelper = numba.njit(helper)",
    "double(20)",
    "import aotnb\naotnb.explore()",
)
AGAIN = ("%load_ext aotnb\nimport aotnb\naotnb.explore()", DEFINE, "double(20)", "print(aotnb.status().compilations, 'compiled')")
EXPLORER = ".jp-OutputArea-output:has(.jupyter-widgets)"


def control(page: Any, label: str, kind: str) -> Any:
    """Return the control of the widget with this label."""
    return (
        page.locator(".jupyter-widgets.widget-inline-hbox:visible", has=page.locator(f"label:text-is('{label}')"))
        .locator(kind)
        .first
    )


def press(page: Any, name: str) -> None:
    """Click the button with this name, once it takes clicks."""
    page.get_by_role("button", name=name, exact=True).click()


def says(page: Any, text: str) -> None:
    """Wait until the explorer says this of what it was told to do."""
    page.locator("[role=status]", has_text=text).wait_for()


def cancel(page: Any) -> None:
    """Begin a build and cancel it; try again where the build was quicker than the mouse."""
    for _ in range(10):
        press(page, "Save")
        page.get_by_role("button", name="Cancel", exact=True).evaluate("button => button.click()")
        page.locator("[role=status]:not(:empty)").wait_for()
        if "was cancelled; what was there before is unchanged" in page.locator("[role=status]").inner_text():
            return
    raise AssertionError("no build was cancelled")


def type_into(field: Any, text: str) -> None:
    """Type into a field, again where the front end took the focus for the cell that has just ended."""
    for _ in range(10):
        field.press("Control+a")
        field.page.keyboard.type(text)
        if field.input_value() == text:
            return
        field.page.wait_for_timeout(200)
    raise AssertionError(f"{text} does not get into the field")


def named(page: Any, file: str) -> None:
    """Name the image."""
    image = control(page, "Image", "input")
    image.fill(file)
    image.press("Enter")


def has_row(page: Any, label: str, *texts: str) -> None:
    """Wait until a row of the list has all of these texts."""
    rows = control(page, label, "select")
    rows.wait_for()
    test = "([e, texts]) => [...e.options].some(o => texts.every(text => o.label.replaceAll('\\xa0', ' ').includes(text)))"
    page.wait_for_function(test, arg=[rows.element_handle(), list(texts)])


def tab_to(page: Any, test: str) -> None:
    """Press Tab until the focus is on what passes the test."""
    for _ in range(40):
        if page.evaluate(f"() => ({test})(document.activeElement)"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {test}")


def looks_good(page: Any, folder: Path, name: str) -> None:
    pictures(page, folder, name, EXPLORER)
    for theme in THEMES:
        set_theme(page, theme)
        assert complaints(page, EXPLORER) == [], theme


def test_by_mouse(open_notebook: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    notebook = open_notebook("explorer.ipynb", *CELLS)
    assert notebook.run_all(), notebook.outputs()
    page = notebook.page
    # an error stands where the button is, and the explorer goes on
    named(page, "none/explored.aot")
    for button in ("Load", "Save", "Compact"):
        press(page, button)
        says(page, "none")
    named(page, "explored.aot")
    press(page, "Save")
    says(page, "saved explored.aot")
    cancel(page)
    # filter, open, look into the panes
    control(page, "Filter", "input").fill("double")
    control(page, "Filter", "input").press("Enter")
    has_row(page, "Code", "double, 3 code instances")
    tree = control(page, "Code", "select")
    tree.select_option(index=1)
    has_row(page, "Code", "int64: compiled", "valid in world 1")
    for pane, found in (("LLVM IR", "define "), ("Assembly", ".globl"), ("Edges", ""), ("Source", "def double")):
        control(page, "Show", "select").select_option(label=pane)
        page.locator(f"pre[aria-label='{pane}']", has_text=found).wait_for()
    looks_good(page, tmp_path, f"explorer-{server.front_end.command}")
    # the world slider
    page.get_by_text("only what was valid in this world").click()
    has_row(page, "Code", "double, 1 code instance")
    handle, track = page.locator(".noUi-handle:visible"), page.locator(".noUi-target:visible").bounding_box()
    handle.drag_to(page.locator(".noUi-target:visible"), target_position={"x": 1, "y": track["height"] / 2})
    has_row(page, "Code", "double, 2 code instances")
    # the tabs of the reports
    for tab, texts in (("Invalidations", ["helper"]), ("Roots", ["int64"])):
        page.get_by_role("tab", name=tab).click()
        has_row(page, "Rows", *texts)
        looks_good(page, tmp_path, f"explorer-{tab.lower()}-{server.front_end.command}")


def test_restart_and_load_by_keyboard(open_notebook: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    """Not one click: Tab to what is there, type, Enter, arrow keys."""
    notebook = open_notebook("before.ipynb", "%load_ext aotnb", DEFINE, "%%aot_trace\ndouble(20)", "%aot_save -q kept.aot")
    assert notebook.run_all(), notebook.outputs()
    notebook = open_notebook("after.ipynb", AGAIN[0])
    assert notebook.run_all(), notebook.outputs()
    page = notebook.page
    image = control(page, "Image", "input")
    type_into(image, "kept.aot")
    image.press("Tab")
    tab_to(page, "e => e.textContent.trim() == 'Load'")
    assert (
        page.evaluate(
            "() => getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).boxShadow"
        )
        != "nonenone"
    )
    page.keyboard.press("Enter")
    says(page, "loaded kept.aot: 1 entry")
    tab_to(page, "e => e.title == 'Row below'")
    page.keyboard.press("Enter")  # opens the specialization
    has_row(page, "Code", "int64: ", "kept.aot")
    page.keyboard.press("Enter")
    tab_to(page, "e => e.tagName == 'SELECT' && e.options[0].label == 'Summary'")
    page.keyboard.press("Space")  # opens the list of panes
    page.wait_for_function("() => document.activeElement.matches(':open')")  # until then the arrow keys are those of the notebook
    for _ in ("Source", "LLVM IR"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("pre[aria-label='LLVM IR']", has_text="define ").wait_for()
    tab_to(page, "e => e.tagName == 'PRE'")


def test_restart_while_it_is_open(open_notebook: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    """Save in the explorer, restart, and load in the explorer that the same cell shows then."""
    notebook = open_notebook("restarted.ipynb", *AGAIN)
    assert notebook.run_all(), notebook.outputs()
    assert "2 compiled" in "\n".join(notebook.outputs())
    page = notebook.page
    press(page, "Refresh")  # the cell that compiled came after the one that opened the explorer
    has_row(page, "Code", "double, 1 code instance")
    named(page, "restarted.aot")
    press(page, "Save")
    says(page, "saved restarted.aot: 1 entry")
    notebook.restart()
    snapshot(page, tmp_path, f"explorer-restarted-{server.front_end.command}")
    assert notebook.run(0), notebook.outputs()
    page.get_by_text("Nothing was compiled or loaded yet").wait_for()  # the new explorer, not what is left of the old one
    named(page, "restarted.aot")
    press(page, "Load")
    says(page, "loaded restarted.aot: 1 entry")
    assert all(notebook.run(number) for number in (1, 2, 3)), notebook.outputs()
    assert "0 compiled" in notebook.outputs()[-1]
    press(page, "Refresh")
    has_row(page, "Code", "double, 1 code instance")
    control(page, "Code", "select").select_option(index=1)
    has_row(page, "Code", "int64: ", "restarted.aot")


def test_pages_stand_alone(browser: Any, tmp_path: Path) -> None:
    """The HTML files: no request, readable by day and by night, wide and narrow."""
    import numpy as np
    from numba import njit

    import aotnb

    with aotnb.trace("pages") as trace:
        njit(lambda x: x + 1)(1)
        njit(lambda x: x.sum() + 1)(np.ones(3))
    pages = [trace.to_html(tmp_path / "trace.html"), aotnb.explore().to_html(tmp_path / "explorer.html")]
    reports = {
        "roots": aotnb.roots(),
        "growth": aotnb.roots(growth=True),
        "stragglers": aotnb.stragglers(),
        "status": aotnb.status(),
    }
    pages += [report.to_html(tmp_path / f"{name}.html") for name, report in reports.items()]
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        abroad: list[str] = []
        context.on("request", lambda request: abroad.append(request.url) if not request.url.startswith("file:") else None)
        page = context.new_page()
        for path in pages:
            page.goto(path.as_uri())
            for size, width in (("wide", 1280), ("narrow", 480)):
                page.set_viewport_size({"width": width, "height": 900})
                snapshot(page, tmp_path, f"page-{path.stem}-{scheme}-{size}")
                assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), path.stem
            assert complaints(page) == [], (path.stem, scheme)
        context.close()
        assert abroad == []
