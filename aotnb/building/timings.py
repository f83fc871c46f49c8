"""``AOTNB_IMAGE_TIMINGS=1``: where the time of a build went, and how the work was shared."""

from __future__ import annotations

import os
import warnings

from aotnb.core.records import SaveReport
from aotnb.errors import AotWarning


def timings_wanted() -> bool:
    """Return whether ``AOTNB_IMAGE_TIMINGS`` asks for the report; anything but 0, 1, false and true is warned about."""
    value = os.environ.get("AOTNB_IMAGE_TIMINGS", "").lower()
    if value not in ("", "0", "1", "false", "true"):
        text = f"invalid value {value!r} for AOTNB_IMAGE_TIMINGS: expected 0, 1, false or true; it is ignored"
        warnings.warn(text, AotWarning, stacklevel=2)
    return value in ("1", "true")


def timings_text(report: SaveReport) -> str:
    """Return the stages of a build, and a row for each shard; times in seconds, memory in megabytes."""
    lines = [f"{name:<10} {seconds:8.3f} s" for name, seconds in report.timings.items()]
    lines += ["", f"{'shard':>5} {'units':>6} {'weight':>9} {'optimise':>9} {'emit':>8} {'total':>8} {'peak':>7}"]
    for number, shard in enumerate(report.shards):
        peak = f"{shard.peak / 1024:.0f}" if shard.peak else "-"
        row = f"{number:>5} {len(shard.units):>6} {shard.weight:>9} {shard.optimise:>9.3f} {shard.emit:>8.3f} {shard.total:>8.3f}"
        lines.append(f"{row} {peak:>7}")
    share = 100 * report.reused / report.units if report.units else 0
    lines += [
        "",
        f"Partition weights: [{', '.join(str(shard.weight) for shard in report.shards)}]",
        f"stored units reused: {report.reused}/{report.units} ({share:.1f}%)",
        f"added {report.units - report.reused} units, {report.size} bytes in all",
    ]
    return "\n".join(lines)
