"""First-call times in fresh processes: cold, with Numba's cache as the library ships it, with an image, steady state.

    python benchmarks/first_call.py [--repeat 3] [--json FILE] [WORKLOAD ...]

Each workload is a script in ``workloads/`` that prints one JSON object {import_s, first_s, second_s, digest}. Every number is
the median over fresh processes; *cold* starts from an empty Numba cache folder, *shipped* from the one that a cold run
left, *image* from an image that one recording run made. The results also have the CPU seconds of whole processes, second
call included. The steady state is the second call with the image. Exits with 1 if the
image run compiled anything or a digest differs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WORKLOADS = Path(__file__).parent / "workloads"
OURS = ("AOTNB_IMAGE", "AOTNB_RECORD", "AOTNB_REPORT", "AOTNB_VERIFY")


def run(script: Path, cache: Path, **variables: str | Path) -> dict[str, Any]:
    """Run *script* in a fresh process with the given AOTNB_* variables; return what it printed."""
    env = {key: value for key, value in os.environ.items() if key not in OURS} | {"NUMBA_CACHE_DIR": str(cache)}
    env |= {f"AOTNB_{key.upper()}": str(value) for key, value in variables.items()}
    before = cpu_seconds()
    done = subprocess.run([sys.executable, str(script)], env=env, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result | {"cpu_s": cpu_seconds() - before}


def cpu_seconds() -> float:
    """Return the CPU seconds of all processes that have ended: what a busy machine changes least."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(script: Path, repeat: int, folder: Path) -> dict[str, Any]:
    """Return the medians of one workload, the compilations of the image runs and whether all digests are equal."""
    image, report, caches = folder / "image.aot", folder / "report.json", [folder / f"cache{i}" for i in range(repeat)]
    say(f"{script.stem}: cold")
    cold = [run(script, cache) for cache in caches]
    say(f"{script.stem}: Numba's cache as shipped")
    shipped = [run(script, cache) for cache in caches]
    say(f"{script.stem}: recording")
    recorded = run(script, folder / "record", image=image, record="1")
    if not image.exists():
        sys.exit(f"{script.stem}: the recording run saved no image")
    say(f"{script.stem}: image")
    served, compilations, load_ms = [], 0, []
    for _ in range(repeat):
        served.append(run(script, folder / "serve", image=image, report=report))
        told = json.loads(report.read_text(encoding="utf-8"))
        compilations = max(compilations, told["compilations"])
        load_ms += [loaded["milliseconds"] for loaded in told["images"]]
    return {
        "workload": script.stem,
        "cold_s": median(cold, "import_s", "first_s"),
        "shipped_s": median(shipped, "import_s", "first_s"),
        "image_s": median(served, "import_s", "first_s"),
        "cold_first_s": median(cold, "first_s"),
        "shipped_first_s": median(shipped, "first_s"),
        "image_first_s": median(served, "first_s"),
        "recording_cpu_s": recorded["cpu_s"],
        **cpu_seconds_of(cold=cold, shipped=shipped, image=served),
        "steady_s": median(served, "second_s"),
        "load_ms": statistics.median(load_ms) if load_ms else None,
        "image_bytes": image.stat().st_size,
        "compilations": compilations,
        "equal": len({run["digest"] for run in [*cold, *shipped, recorded, *served]}) == 1,
    }


def cpu_seconds_of(**modes: list[dict[str, Any]]) -> dict[str, float]:
    """Return medians of the CPU seconds of whole processes, and of the parts that a workload has measured."""
    return {
        f"{mode}_{key}": median(runs, key)
        for mode, runs in modes.items()
        for key in ("cpu_s", "import_cpu_s", "first_cpu_s", "second_cpu_s")
        if key in runs[0]
    }


def median(runs: list[dict[str, Any]], *keys: str) -> float:
    return statistics.median(sum(run[key] for key in keys) for run in runs)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure first calls in fresh processes.")
    parser.add_argument("workloads", nargs="*", default=sorted(path.stem for path in WORKLOADS.glob("*.py")))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for name in options.workloads:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(WORKLOADS / f"{name}.py", options.repeat, Path(folder)))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("| workload | cold | Numba's cache as shipped | image | steady state | load | compilations | results |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        load = "-" if row["load_ms"] is None else f"{row['load_ms']:.1f} ms"
        print(
            f"| {row['workload']} | {row['cold_s']:.2f} s | {row['shipped_s']:.2f} s | {row['image_s']:.2f} s "
            f"(call {row['image_first_s']:.3f} s) | {row['steady_s']:.4f} s | {load} | {row['compilations']} "
            f"| {'equal' if row['equal'] else 'DIFFER'} |"
        )
    print("\nSeconds of import and first call together; in brackets the first call alone.")
    return 0 if all(row["equal"] and not row["compilations"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
