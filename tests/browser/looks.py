"""What the browser tests share: a notebook to look at, screenshots, and what is too pale to read."""

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


def pictures(page: Any, folder: Path, name: str, part: str | None = None) -> None:
    """Take screenshots of the page or of a *part*, wide and narrow, light and dark.

    They are put into ``AOTNB_SCREENSHOTS`` where somebody wants to look at them.
    """
    target = Path(os.environ.get("AOTNB_SCREENSHOTS") or folder)
    target.mkdir(parents=True, exist_ok=True)
    for theme in ("Light", "Dark"):
        page.evaluate(f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        for size, width in (("wide", 1280), ("narrow", 640)):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(300)
            seen = page if part is None else page.locator(part).first
            seen.screenshot(path=target / f"{name}-{theme.lower()}-{size}.png")
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
