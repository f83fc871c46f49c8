"""Numba's own tests as the torture rack: ``python tests/numba_suite/run.py [--out DIR] [-k PATTERN] [MODULE ...]``.

Each module is run three times in fresh processes: plain, recording, and with the recorded image loaded. Every test has to
end in the same way all three times, apart from those that look at compilation itself, which ``LOOKS_AT_COMPILATION`` lists
with the reason; their compilations do not count either. A fourth run, under AOTNB_VERIFY, compiles all that the image would
have served, and compares. Exit status 1 if another test differs, a process crashed, or stored code differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from exceptions import LOOKS_AT_COMPILATION, MODULES, PARTS  # noqa: E402 - the tests are no package

DOCUMENT = HERE.parents[1] / "docs" / "reference" / "numba-tests.md"
MODES = ("plain", "record", "load")
VERIFY = "verify"


def run_module(module: str, out: Path, limit: float, patterns: list[str]) -> dict[str, dict[str, Any]]:
    """Run *module*, or its tests that match one of *patterns*, in the modes and under the oracle; return the rows by mode."""
    found = {}
    image = out / f"{module}.aot"
    image.unlink(missing_ok=True)
    for mode in (*MODES, VERIFY):
        if mode in ("load", VERIFY) and not image.exists() and not _nothing_to_save(found["record"]):
            found[mode] = {"tests": {}, "summary": None, "crash": "there is no image to load"}
            continue
        rows = out / f"{module}.{mode}.jsonl"
        rows.unlink(missing_ok=True)
        parts = [""] if patterns else PARTS.get(module, [""])
        names = [f"numba.tests.{module}{'.' + part if part else ''}" for part in parts]
        environment = os.environ | {
            "AOTNB_HOME": str(out / "home"),
            "NUMBA_CACHE_DIR": str(out / "cache" / f"{module}-{mode}"),
            "PYTHONHASHSEED": "0",
            "SUBPROC_TEST": "1",  # as test_parfors asks: it starts a process for each test otherwise, where nothing is seen
        }
        if mode == VERIFY:
            environment["AOTNB_VERIFY"] = "1"
        child = [str(HERE / "child.py"), mode, str(image), str(rows), ",".join(patterns), *names]
        command = [sys.executable, "-X", "faulthandler", *child]
        with open(out / f"{module}.{mode}.log", "w") as log:
            try:
                done = subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=limit, check=False)
                status: Any = done.returncode
            except subprocess.TimeoutExpired:
                status = "timeout"
        found[mode] = read(rows, status)
    return found


def _nothing_to_save(recorded: dict[str, Any]) -> bool:
    """Return whether a module compiles nothing that could be saved; it is run with aotnb all the same."""
    return "nothing to save" in ((recorded["summary"] or {}).get("save_error") or "")


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


def compilations(found: dict[str, Any]) -> int | None:
    """Return how often a run compiled, at import and in the tests that do not look at compilation; None if it crashed."""
    if found["summary"] is None:
        return None
    rows = (
        row["compilations"]
        for name, row in found["tests"].items()
        if name.removeprefix("numba.tests.") not in LOOKS_AT_COMPILATION
    )
    return sum(rows, found["summary"]["at_import"])


class Row:
    """What the three runs of a module amount to."""

    def __init__(self, module: str, found: dict[str, dict[str, Any]]) -> None:
        summary = found["load"]["summary"] or {}
        self.module, self.part = module, ", ".join((found["plain"]["summary"] or {}).get("part", []))
        self.tests, self.equal, different = compare(found)
        self.excused = sum(bool(reason) for _, reason, _ in different)
        self.different = [(name, verdicts) for name, reason, verdicts in different if not reason]
        self.compilations = [compilations(found[mode]) for mode in MODES]
        self.crash = "; ".join(f"{mode}: {rows['crash']}" for mode, rows in found.items() if rows["crash"])
        oracle = found[VERIFY]["summary"] or {}
        self.verified, self.mismatches = oracle.get("verified"), oracle.get("mismatches", [])
        self.misses = ", ".join(f"{reason} {number}" for reason, number in sorted(summary.get("misses", {}).items()))

    @property
    def share(self) -> str:
        """Return the share of the compilations that the image made unnecessary."""
        plain, _, image = self.compilations
        return f"{1 - image / plain:.1%}" if plain and image is not None else "-"


def line(row: Row) -> str:
    """Return the line of a module in the table of the page."""
    return (
        f"| `{row.module}` | {row.part} | {row.tests} | {row.equal} | {row.excused} | {len(row.different)} "
        f"| {row.compilations[0]} | {row.compilations[2]} | {row.share} | {_oracle(row)} | {row.misses} |"
    )


def lines_of(text: str) -> dict[str, str]:
    """Return the lines of the table of a page, by module."""
    table = text.partition("\n## ")[0]
    return {found.split("`")[1]: found for found in table.splitlines() if found.startswith("| `")}


def page(lines: dict[str, str]) -> str:
    """Return the page of the documentation from the lines of its modules."""
    table = [lines[module] for module in in_order(lines)]
    excused = [f"| `{name}` | {reason} |" for name, reason in sorted(LOOKS_AT_COMPILATION.items())]
    return PAGE.format(table="\n".join(table), excused="\n".join(excused))


def in_order(modules: Iterable[str]) -> list[str]:
    """Return modules in the order of the list, and then by name."""
    found = set(modules)
    return [module for module in MODULES if module in found] + sorted(found - set(MODULES))


def _oracle(row: Row) -> str:
    return "-" if row.verified is None else f"{row.verified}, {len(row.mismatches)}"


PAGE = """\
# Numba's own tests

Numba installs its tests with itself. `python tests/numba_suite/run.py MODULE ...` runs a module three times in fresh processes: plain, recording,
and with the recorded image loaded; every test has to end in the same way all three times. A fourth process compiles all that the image would have
served, and compares (`AOTNB_VERIFY=1`). This page was written by the same command with `--write`,
from what it found. With `-k PATTERN` only a part of a module runs, which the second column names.

*Equal*: the same verdict in all three runs. *Excused*: another verdict, and listed below. *Different*: another verdict without an excuse. The
compilations are those of the compiler pipeline that succeed, for a function, ufunc or stencil, in tests that are not listed below (some tests run
a pipeline by themselves, which is no question to an image); *served* is the share that the image made unnecessary.
*Oracle*: how many stored codes were compared with fresh ones, and how many differed.
*Misses* are the questions that the image did not answer, by [reason code](reason-codes.md); those of compilations that fail are among them.

| Module | Part | Tests | Equal | Excused | Different | Compilations, plain | With image | Served | Oracle | Misses |
|---|---|---|---|---|---|---|---|---|---|---|
{table}

## Tests that look at compilation itself

Those may differ. Their compilations do not count.

| Test | What it looks at |
|---|---|
{excused}
"""


def main() -> int:
    """Run the modules and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--out", type=Path, default=Path("numba-suite"))
    parser.add_argument("--limit", type=float, default=3600, help="seconds for each process")
    parser.add_argument(
        "-k", dest="patterns", action="append", default=[], help="only tests whose name matches, as unittest has it"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the page of the documentation from all that is found in --out; lines of other modules stay",
    )
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if args.write and not args.modules:
        found = {module: earlier(module, out) for module in known(out)}
        whole = {module: rows for module, rows in found.items() if all(rows[mode]["summary"] for mode in MODES)}
        lines = lines_of(DOCUMENT.read_text()) | {module: line(Row(module, rows)) for module, rows in whole.items()}
        DOCUMENT.write_text(page(lines))
        return 0
    bad = False
    header = f"{'module':28}{'tests':>6}{'equal':>6}{'excused':>8}{'plain':>7}{'record':>7}{'image':>7}{'served':>8}  {'oracle':10}crash"
    print(header, flush=True)
    for module in args.modules or MODULES:
        row = Row(module, run_module(module, out, args.limit, args.patterns))
        columns = "".join(f"{'-' if number is None else number:>7}" for number in row.compilations)
        print(
            f"{module:28}{row.tests:6}{row.equal:6}{row.excused:8}{columns}{row.share:>8}  {_oracle(row):10}{row.crash}",
            flush=True,
        )
        for name, verdicts in row.different:
            print(f"    {name}: {' / '.join(verdicts)}", flush=True)
        for sentence in row.mismatches:
            print(f"    {sentence}", flush=True)
        bad |= bool(row.crash or row.different or row.mismatches)
    return int(bad)


def known(out: Path) -> set[str]:
    """Return the modules that were run."""
    return {path.name.removesuffix(".load.jsonl") for path in out.glob("*.load.jsonl")}


def earlier(module: str, out: Path) -> dict[str, dict[str, Any]]:
    """Return what an earlier run of *module* wrote down."""
    return {mode: read(out / f"{module}.{mode}.jsonl", 0) for mode in (*MODES, VERIFY)}


if __name__ == "__main__":
    sys.exit(main())
