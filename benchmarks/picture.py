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

NAMES = {"stumpy_stump": "stumpy: matrix profile", "umap_fit": "UMAP: fit and transform", "kernels": "kernels of a notebook"}
BARS = (
    ("cold_first_s", "no cache", "#8b8f98"),
    ("shipped_first_s", "Numba's cache", "#c98a2b"),
    ("image_first_s", "aotnb image", "#2f7fd1"),
)
WIDTH, LABEL, RIGHT, BAR, GAP = 820, 120, 70, 20, 4
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}"
)


def draw(results: list[dict[str, Any]]) -> str:
    """Return the picture: seconds of the first call, a group of bars per workload."""
    longest = max(result[key] for result in results for key, _, _ in BARS)
    scale = (WIDTH - LABEL - RIGHT) / longest
    parts, y = [], 0
    for result in results:
        y += 24
        parts.append(f'<text class="t" x="0" y="{y}">{escape(NAMES.get(result["workload"], result["workload"]))}</text>')
        y += 10
        for key, name, colour in BARS:
            seconds = result[key]
            width = max(2.0, seconds * scale)
            parts.append(f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3" fill="{colour}"/>')
            parts.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + 15}">{seconds:.3g} s</text>')
            y += BAR + GAP
    y += 24
    parts.append(f'<text x="0" y="{y}">Seconds of the first call in a fresh process. Less is better.</text>')
    told = [
        f"{NAMES.get(r['workload'], r['workload'])} {r['cold_first_s']:.1f} s cold, {r['image_first_s']:.2f} s with an image"
        for r in results
    ]
    title = "First calls with and without aotnb: " + "; ".join(told)
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
