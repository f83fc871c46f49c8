"""Draw the picture of the README from what ``first_call.py --json`` measured.

    python benchmarks/picture.py RESULTS.json OUT.svg

Plain SVG: readable on light and on dark pages, and without a library to draw it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

NAMES = {"stumpy_stump": "stumpy: matrix profile", "umap_fit": "UMAP: embedding", "kernels": "kernels of a notebook"}
BARS = (("cold", "no cache", "#8b8f98"), ("shipped", "Numba's cache", "#c98a2b"), ("image", "aotnb image", "#2f7fd1"))
WIDTH, LABEL, RIGHT, BAR, GAP = 820, 120, 150, 20, 4
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}"
)


def draw(results: list[dict[str, Any]]) -> str:
    """Return the picture: seconds of import (pale) and first call, a group of bars per workload."""
    longest = max(result[f"{key}_s"] for result in results for key, _, _ in BARS)
    scale = (WIDTH - LABEL - RIGHT) / longest
    parts, y = [], 0
    for result in results:
        y += 24
        parts.append(f'<text class="t" x="0" y="{y}">{escape(NAMES.get(result["workload"], result["workload"]))}</text>')
        y += 10
        for key, name, colour in BARS:
            whole, call = result[f"{key}_s"], result[f"{key}_first_s"]
            paid, width = (whole - call) * scale, max(2.0, call * scale)
            parts.append(f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{paid:.1f}" height="{BAR}" fill="{colour}" opacity="0.4"/>')
            parts.append(f'<rect x="{LABEL + paid:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
            parts.append(f'<text x="{LABEL + paid + width + 6:.1f}" y="{y + 15}">{whole - call:.2g} + {call:.2g} s</text>')
            y += BAR + GAP
    y += 24
    parts.append(f'<text x="0" y="{y}">Seconds of import (pale) + first call in a fresh process. Less is better.</text>')
    told = [
        f"{NAMES.get(r['workload'], r['workload'])} {r['cold_s']:.1f} s cold, {r['image_s']:.1f} s with an image" for r in results
    ]
    title = "Import and first call with and without aotnb: " + "; ".join(told)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 12}" role="img" aria-label="{escape(title)}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def main() -> None:
    """Read the results, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.write_text(draw(json.loads(args.results.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
