"""Numba's cache beside aotnb, case by case: ``python tests/numba_cases/table.py [--write FILE] [CASE ...]``.

A case is a script that is run in two fresh processes (``PHASE`` 1 and 2) with one private ``WORK`` folder; it prints RESULT, and
EXPECT, which is what Python's own semantics give. Each case is run twice: with Numba's ``cache=True`` as its decorators ask for, and with
aotnb, recording in phase 1 and serving in phase 2. Exit status 1 if aotnb gives a wrong answer or crashes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*.py"))

# what the case does to the files of Numba's cache has no meaning for aotnb, whose own files the tests of the format damage
ABOUT_CACHE_FILES = ("e24", "f01", "f02", "f03", "f04", "f10")

EXTENSION = "c = get_config()\nc.InteractiveShellApp.extensions = ['aotnb']\nc.InteractiveShellApp.exec_lines = []\n"


class Outcome(NamedTuple):
    """What one process of a case did."""

    status: int
    result: list[str]
    expected: list[str]
    compilations: int
    hits: int
    warnings: list[str]
    report: dict[str, Any]
    error: str


def run(case: Path, phase: int, folder: Path, *, aotnb: bool) -> Outcome:
    """Run one phase of a case in a fresh process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "AOTNB_"))}
    inherited = environment.get("PYTHONPATH")
    environment |= {
        "PHASE": str(phase),
        "WORK": str(folder / "work"),
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "XDG_CACHE_HOME": str(folder / "xdg"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": os.pathsep.join([str(HERE / "site"), str(folder / "work"), *([inherited] if inherited else [])]),
        "CASE_PROBE": str(folder / f"probe{phase}"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AOTNB_HOME": str(folder / "home"),
    }
    if aotnb:
        environment |= {"AOTNB_IMAGE": str(folder / "case.aot")} | ({"AOTNB_RECORD": "1"} if phase == 1 else {})
        environment["AOTNB_REPORT"] = str(folder / f"report{phase}")
    text = case.read_text()
    for key, value in re.findall(rf"^# env{phase}: (\w+)=(.*)$", text, re.MULTILINE):
        if value == "<unset>":
            environment.pop(key, None)
        else:
            environment[key] = value.replace("$TMP", str(folder))
    try:
        done = subprocess.run(
            [sys.executable, str(case)], env=environment, text=True, capture_output=True, timeout=600, cwd=folder, check=False
        )
        status, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        status, out, err = -1, "", "timeout"
    counts = Counter[str]()
    for file in folder.glob(f"probe{phase}.*"):
        counts.update(json.loads(file.read_text()))
    report = folder / f"report{phase}"
    errors = [line for line in err.splitlines() if re.match(r"^[\w.]*(Error|Exception)\b", line)]
    return Outcome(
        status,
        re.findall(r"^RESULT (.*)$", out, re.MULTILINE),
        re.findall(r"^EXPECT (.*)$", out, re.MULTILINE),
        counts["compilations"],
        counts["hits"],
        sorted(set(re.findall(r"Numba\w*Warning: .*", err))),
        json.loads(report.read_text()) if report.exists() else {},
        errors[-1][:150] if errors else err[-150:] if status else "",
    )


def is_wrong(outcome: Outcome) -> str:
    """Return what went wrong in a process, empty if nothing did."""
    if outcome.status < 0 or outcome.status == 139:
        return "CRASH"
    if not outcome.result or outcome.result == ["error"]:
        return "ERROR"
    return "" if outcome.result == outcome.expected else "WRONG ANSWER"


def numba_verdict(outcome: Outcome) -> str:
    """Say in a few words what Numba's cache made of the second process."""
    if wrong := is_wrong(outcome):
        return f"**{wrong}**"
    if any("Cannot cache" in warning for warning in outcome.warnings):
        return "refused"
    if not outcome.compilations:
        return "hit"
    return "partial hit" if outcome.hits else "compiled again"


def aotnb_verdict(outcome: Outcome) -> tuple[str, str]:
    """Say in a few words what aotnb made of the second process, and why it compiled if it did."""
    reasons = Counter(miss["reason"] for miss in outcome.report.get("misses", ()))
    why = ", ".join(f"`{reason}`" for reason, _ in reasons.most_common())
    if wrong := is_wrong(outcome):
        return f"**{wrong}**", outcome.error or why
    if not outcome.compilations:
        return "served", ""
    served = len(outcome.report.get("served", ()))
    return ("served in part" if served else "compiled afresh"), why


def row(case: Path) -> tuple[str, str, str, str, str]:
    """Run a case both ways and return its row of the table."""
    what = case.read_text().split('"""')[1].strip().splitlines()[0]
    found = []
    for aotnb in (False, True):
        with tempfile.TemporaryDirectory(prefix="case") as name:
            folder = Path(name)
            (folder / "work").mkdir()
            if aotnb:
                profile = folder / "ipython" / "profile_default"
                profile.mkdir(parents=True)
                (profile / "ipython_config.py").write_text(EXTENSION)
            run(case, 1, folder, aotnb=aotnb)
            found.append(run(case, 2, folder, aotnb=aotnb))
    if case.stem.startswith(ABOUT_CACHE_FILES):
        return case.stem, what, numba_verdict(found[0]), "does not apply", "about the files of Numba's cache"
    return case.stem, what, numba_verdict(found[0]), *aotnb_verdict(found[1])


def _cell(text: str) -> str:
    """Return a text for a cell of the table, the same in every run: one line, and no path of a temporary folder."""
    folder = re.escape(tempfile.gettempdir())
    return re.sub(rf"{folder}/case\w{{8}}/", "", " ".join(text.split())).replace("|", "/")


def main() -> int:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="beginnings of names of cases; all if none is given")
    parser.add_argument("--write", type=Path, help="write the page of the documentation, too")
    args = parser.parse_args()
    lines = ["| Case | What | Numba's cache | aotnb | Why not served |", "|---|---|---|---|---|"]
    print("\n".join(lines))
    for case in CASES:
        if args.cases and not case.stem.startswith(tuple(args.cases)):
            continue
        lines.append("| " + " | ".join(_cell(text) for text in row(case)) + " |")
        print(lines[-1], flush=True)
    if args.write:
        args.write.write_text(INTRODUCTION + "\n".join(lines) + "\n")
    return int(any("**" in line.split("|")[4] for line in lines[2:]))


INTRODUCTION = """# Numba's cache beside aotnb

What the second of two processes gets, case by case. The cases are scripts in `tests/numba_cases/cases`; this page was written by
`python tests/numba_cases/table.py --write`. Both columns are runs, not claims.

*hit*, *served*: nothing was compiled. *compiled again*, *compiled afresh*: the answer is right, and the time was spent. *refused*: Numba says
that it cannot store it. *c09* crashes wherever it is compiled: the second process has no such function. aotnb does not serve it, with the
reason `not_relocatable`, and then Numba compiles.

"""

if __name__ == "__main__":
    sys.exit(main())
