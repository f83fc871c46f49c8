"""Numba's own tests as the torture rack: ``python tests/numba_suite/run.py [--out DIR] [MODULE ...]``.

Each module is run three times in fresh processes: plain, recording, and with the recorded image loaded. Every test has to
end in the same way all three times, apart from those that look at compilation itself, which ``LOOKS_AT_COMPILATION`` lists
with the reason. Exit status 1 if another test differs or a process crashed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from exceptions import LOOKS_AT_COMPILATION, MODULES, PARTS  # noqa: E402 - the tests are no package

MODES = ("plain", "record", "load")


def run_module(module: str, out: Path, limit: float) -> dict[str, dict[str, Any]]:
    """Run *module* in the three modes; return the rows by mode."""
    found = {}
    image = out / f"{module}.aot"
    image.unlink(missing_ok=True)
    for mode in MODES:
        if mode == "load" and not image.exists():
            found[mode] = {"tests": {}, "summary": None, "crash": "there is no image to load"}
            continue
        rows = out / f"{module}.{mode}.jsonl"
        rows.unlink(missing_ok=True)
        names = [f"numba.tests.{module}{'.' + part if part else ''}" for part in PARTS.get(module, [""])]
        environment = os.environ | {
            "AOTNB_HOME": str(out / "home"),
            "NUMBA_CACHE_DIR": str(out / "cache" / f"{module}-{mode}"),
            "PYTHONHASHSEED": "0",
        }
        command = [sys.executable, "-X", "faulthandler", str(HERE / "child.py"), mode, str(image), str(rows), *names]
        with open(out / f"{module}.{mode}.log", "w") as log:
            try:
                done = subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=limit, check=False)
                status: Any = done.returncode
            except subprocess.TimeoutExpired:
                status = "timeout"
        found[mode] = read(rows, status)
    return found


def read(rows: Path, status: Any) -> dict[str, Any]:
    """Return what a child wrote down: verdicts by test, the summary, and where it crashed if so."""
    tests: dict[str, dict[str, Any]] = {}
    summary, open_test = None, None
    for line in rows.read_text().splitlines() if rows.exists() else ():
        row = json.loads(line)
        if "begin" in row:
            open_test = row["begin"]
        elif "summary" in row:
            summary = row
        else:
            tests[row["test"]] = row
            open_test = None
    crash = None if summary is not None and status == 0 else f"status {status} in {open_test or 'no test'}"
    return {"tests": tests, "summary": summary, "crash": crash}


def compare(found: dict[str, dict[str, Any]]) -> tuple[int, int, list[tuple[str, str, list[str]]]]:
    """Return the number of tests, of equal verdicts, and the tests that differ: (test, excused, verdicts)."""
    names = dict.fromkeys(name for mode in MODES for name in found[mode]["tests"])
    different = []
    for name in names:
        verdicts = [found[mode]["tests"].get(name, {}).get("verdict", "missing") for mode in MODES]
        if len(set(verdicts)) > 1:
            different.append((name, LOOKS_AT_COMPILATION.get(name.removeprefix("numba.tests."), ""), verdicts))
    return len(names), len(names) - len(different), different


def main() -> int:
    """Run the modules and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--out", type=Path, default=Path("numba-suite"))
    parser.add_argument("--limit", type=float, default=3600, help="seconds for each process")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    bad = False
    header = f"{'module':28}{'tests':>6}{'equal':>6}{'excused':>8}{'plain':>7}{'record':>7}{'image':>7}{'served':>8}  crash"
    print(header, flush=True)
    for module in args.modules:
        found = run_module(module, out, args.limit)
        count, equal, different = compare(found)
        excused = sum(bool(reason) for _, reason, _ in different)
        runs = [(found[mode]["summary"] or {}).get("compilations") for mode in MODES]
        share = f"{1 - runs[2] / runs[0]:.1%}" if runs[0] and runs[2] is not None else "-"
        crash = "; ".join(f"{mode}: {found[mode]['crash']}" for mode in MODES if found[mode]["crash"])
        columns = "".join(f"{'-' if number is None else number:>7}" for number in runs)
        print(f"{module:28}{count:6}{equal:6}{excused:8}{columns}{share:>8}  {crash}", flush=True)
        for name, reason, verdicts in different:
            if not reason:
                print(f"    {name}: {' / '.join(verdicts)}", flush=True)
        bad |= bool(crash) or len(different) > excused
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
