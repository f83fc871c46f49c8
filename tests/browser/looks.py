"""What the browser tests share: a notebook to look at, screenshots, and what is hard to see or to use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

DEFINE = """
import numba
@numba.njit
def helper(x):
    return x + 1
@numba.njit
def double(x):
    return helper(x) * 2
"""


def snapshot(page: Any, folder: Path, name: str, part: str | None = None) -> None:
    """Take one screenshot; it is put into ``AOTNB_SCREENSHOTS`` where somebody wants to look at it."""
    target = Path(os.environ.get("AOTNB_SCREENSHOTS") or folder)
    target.mkdir(parents=True, exist_ok=True)
    (page if part is None else page.locator(part).first).screenshot(path=target / f"{name}.png")


def pictures(page: Any, folder: Path, name: str, part: str | None = None) -> None:
    """Take screenshots of the page or of a *part*, wide and narrow, light and dark."""
    for theme in THEMES:
        set_theme(page, theme)
        for size, width in (("wide", 1280), ("narrow", 480)):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(300)
            snapshot(page, folder, f"{name}-{theme.lower()}-{size}", part)
    page.set_viewport_size({"width": 1280, "height": 900})


def gallery(page: Any, folder: Path, name: str) -> None:
    """Take a screenshot of the output of each cell, wide and narrow, light and dark; in a narrow page nothing sticks out."""
    for theme in THEMES:
        set_theme(page, theme)
        for size, width in (("wide", 1280), ("narrow", 480)):
            page.set_viewport_size({"width": width, "height": 9000})
            page.evaluate("() => document.querySelectorAll('.jp-WindowedPanel-outer').forEach(e => { e.scrollTop = 0; })")
            page.wait_for_timeout(300)
            outputs = page.locator(".jp-Cell-outputWrapper:visible")
            for number in range(outputs.count()):
                snapshot(outputs.nth(number), folder, f"{name}-{number:02d}-{theme.lower()}-{size}")
            wide = page.evaluate(
                "() => [...document.querySelectorAll('.jp-OutputArea-output')].filter(e => e.scrollWidth > e.clientWidth)"
                ".map(e => e.innerText.slice(0, 200))"
            )
            assert wide == [], (theme, size)
    page.set_viewport_size({"width": 1280, "height": 900})


THEMES = ("Light", "Dark")


def set_theme(page: Any, theme: str) -> None:
    """Change to the light or the dark theme of the front end, and wait until its colours stand."""
    page.evaluate(f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
    page.wait_for_selector(f"body[data-jp-theme-name='JupyterLab {theme}']", state="attached")
    page.evaluate("() => Promise.all(document.getAnimations().map(a => a.finished.catch(() => {})))")


def complaints(page: Any, part: str | None = None) -> list[str]:
    """Return what axe finds hard to use in the page, or in a part: names of controls, contrast, headings, tables, focus.

    The handle of the slider of ipywidgets has no name, and no way to give it one; the label stands before it.
    """
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=part).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found
        for node in rule["nodes"]
        if "noUi-handle" not in node["html"]
    ]
