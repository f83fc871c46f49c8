"""Edits between two processes: record an image, edit the sources, run again with the image, compare with plain Numba.

A *scenario* is a folder of small sources and one edit. A *batch* is scenarios that share their processes: each is a
package of its own under one root, imported by one runner under a heading of its own. A batch is run five times:

    plain_before    python run.py                               what Numba says
    recorded        python -m aotnb run --record --image F      the same, and the image is made
                    (the edit)
    plain_after     python run.py                               what Numba says now: the oracle
    replayed        python -m aotnb run --image F               must say the same; the report tells misses and hits
                    (the edit is undone)
    restored        python -m aotnb run --image F               must say what plain_before said, and compile nothing

With ``pytest --verify`` the last two run under the oracle (AOTNB_VERIFY=1): what would be served is compiled as well, and
code that differs from the stored code raises, so that the answers differ.

Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

Edit = Callable[[Path], None]

REPOSITORY = Path(__file__).resolve().parents[2]
PRELUDE = "import numpy as np\nfrom numba import njit\n\n"
LIMIT = 600  # seconds for one process

PACKAGES = '''\
"""Import the main module of each scenario under its heading; an exception is part of what it says."""
import importlib, sys

for name in sys.argv[1:]:
    print("==", name, flush=True)
    try:
        importlib.import_module(name + ".main")
    except Exception as error:
        print("raised", type(error).__name__, str(error).partition("\\n")[0])
'''

CELLS = '''\
"""Run the cells of each scenario in __main__ as a kernel does: file names hold the process id and the cell's text."""
import os, sys, zlib

for name in sys.argv[1:]:
    print("==", name, flush=True)
    with open(name + "/main.py") as file:
        cells = file.read().split("# %%\\n")
    for cell in cells:
        try:
            exec(compile(cell, f"/tmp/ipykernel_{os.getpid()}/{zlib.crc32(cell.encode())}.py", "exec"), globals())
        except Exception as error:
            print("raised", type(error).__name__, str(error).partition("\\n")[0])
'''


# ---- edits ----------------------------------------------------------------------------------------------------------


def swap(old: str, new: str, file: str = "main.py") -> Edit:
    """Replace *old*, which must be there, by *new*."""

    def edit(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text, f"{old!r} is not in {file}"
        (folder / file).write_text(text.replace(old, new))

    return edit


def write(file: str, text: str) -> Edit:
    """Write *file* anew."""
    return lambda folder: make_file(folder / file, text)


def touch(file: str = "main.py") -> Edit:
    """Give *file* another time of modification."""
    return lambda folder: os.utime(folder / file, (1, 1))


def several(*edits: Edit) -> Edit:
    """Apply some edits one after the other."""

    def edit(folder: Path) -> None:
        for one in edits:
            one(folder)

    return edit


def no_edit(folder: Path) -> None:
    """Leave everything as it is."""


def make_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((PRELUDE if path.suffix == ".py" else "") + dedent(text))


# ---- what is run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """One edit and what it must lead to; names of functions are the last part of their qualified names.

    ``miss``: functions that must be compiled again, with the reason code (or several, "a|b", where the design leaves
    it open). ``hit``: functions that must be served; where ``miss`` is empty, nothing of the scenario may be compiled.
    ``changes``: whether plain Numba's output differs after the edit (None: may or may not). ``restored``: whether the
    first variant, restored, must be served without compiling. ``dropped``: functions whose code, as recorded, must not
    be saved, with the reason code.
    """

    name: str
    main: str
    files: Mapping[str, str] = field(default_factory=dict)
    edit: Edit = no_edit
    miss: Mapping[str, str] = field(default_factory=dict)
    hit: Sequence[str] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)
    changes: bool | None = True
    restored: bool = True

    def lay_out(self, root: Path) -> None:
        """Write the sources as the package ``name`` under *root*; a file name that starts with "/" is below *root*."""
        for file, text in {"__init__.py": "", "main.py": self.main, **self.files}.items():
            make_file(root / file[1:] if file.startswith("/") else root / self.name / file, text)


@dataclass(frozen=True)
class Process:
    """How a process of a batch is started; without a script, the runner of the batch with the names of the scenarios."""

    script: str | None = None
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Scenarios that share their processes."""

    name: str
    scenarios: Sequence[Scenario]
    runner: str = PACKAGES
    before: Process = Process()
    after: Process = Process()
    verify: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one process printed, by scenario, and what aotnb reported at its exit (None: it ran without, or died)."""

    said: dict[str, str]
    status: int
    errors: str
    report: dict[str, Any] | None

    def rows(self, kind: str, scenario: Scenario, function: str | None = None) -> list[dict[str, Any]]:
        """Return the records of a scenario: *kind* is ``compiled``, ``served`` or ``misses``."""
        assert self.report is not None, f"no report; status {self.status}\n{self.errors}"
        return [
            row for row in self.report[kind] if self.belongs(row, scenario) and function in (None, last_part(row["function"]))
        ]

    def belongs(self, row: dict[str, Any], scenario: Scenario) -> bool:
        package = row["module"].partition(".")[0]
        named = last_part(row["function"]) in {*scenario.miss, *scenario.hit, *scenario.dropped}
        return len(self.said) == 1 or package == scenario.name or (package in ("__main__", "") and named)


@dataclass(frozen=True)
class Runs:
    """The five processes of a batch."""

    plain_before: Outcome
    recorded: Outcome
    plain_after: Outcome
    replayed: Outcome
    restored: Outcome
    verified: bool = False

    def died(self) -> bool:
        """Return whether a process with aotnb ended badly, so that scenarios spoil each other."""
        return any(outcome.status != 0 or outcome.report is None for outcome in (self.recorded, self.replayed, self.restored))


def last_part(qualname: str) -> str:
    return qualname.rpartition(".")[2]


# ---- running --------------------------------------------------------------------------------------------------------


def run_batch(batch: Batch, folder: Path) -> dict[str, Runs]:
    """Run the five processes; after a crash run each half of the scenarios alone, so that one does not hide the others."""
    folder.mkdir(parents=True)
    runs, middle = _run_together(batch, folder), len(batch.scenarios) // 2
    if runs.died() and middle:
        halves = {"first": batch.scenarios[:middle], "second": batch.scenarios[middle:]}
        first, second = (run_batch(replace(batch, scenarios=half), folder / name) for name, half in halves.items())
        return first | second
    return {scenario.name: runs for scenario in batch.scenarios}


def _run_together(batch: Batch, folder: Path) -> Runs:
    root = folder / "root"
    root.mkdir(parents=True)
    (root / "run.py").write_text(batch.runner)
    for scenario in batch.scenarios:
        scenario.lay_out(root)
    before = snapshot(root)
    plain_before = _start(batch, batch.before, root)
    recorded = _start(batch, batch.before, root, "recorded", "--record")
    for scenario in batch.scenarios:
        scenario.edit(root / scenario.name)
    plain_after = _start(batch, batch.after, root, cache="fresh")
    replayed = _start(batch, batch.after, root, "replayed")
    restore(root, before)
    restored = _start(batch, batch.before, root, "restored")
    return Runs(plain_before, recorded, plain_after, replayed, restored, batch.verify)


def _start(
    batch: Batch, process: Process, root: Path, report: str | None = None, *options: str, cache: str = "shared"
) -> Outcome:
    """Start one process of *batch*, with aotnb if a *report* is wanted.

    Numba's own disk cache is filled by the first plain process and left in the way of the recorded and replayed ones;
    the oracle has a fresh one, since that cache does not see edited callees.
    """
    names = [scenario.name for scenario in batch.scenarios]
    command = [str(root / (process.script or "run.py")), *(process.args if process.script else names)]
    report_path = root.parent / f"{report}.json"
    if report is not None:
        image = root.parent / "image.aot"
        if report != "recorded" and not image.exists():
            options = ("--record",)  # nothing could be saved; without the option a missing image is an error
        command = ["-m", "aotnb", "run", "--image", str(image), *options, "--report", str(report_path), *command]
    oracle = {"AOTNB_VERIFY": "1"} if batch.verify and report not in (None, "recorded") else {}
    done = subprocess.run(
        [sys.executable, *command],
        env=clean_environment(root.parent, cache) | oracle | process.env,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    found = json.loads(report_path.read_text()) if report is not None and report_path.exists() else None
    return Outcome(by_heading(done.stdout, names), done.returncode, done.stderr, found)


def clean_environment(folder: Path, cache: str = "shared") -> dict[str, str]:
    """Return an environment with nothing of the caller's switches, and everything that is written below *folder*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "AOTNB_", "PYTHON"))}
    return kept | {
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONDONTWRITEBYTECODE": "1",  # an edit within the same second, of the same length, would go unnoticed
        "NUMBA_CACHE_DIR": str(folder / cache),
        "AOTNB_HOME": str(folder / "home"),
    }


def by_heading(text: str, names: Sequence[str]) -> dict[str, str]:
    """Split what a runner printed; a script that prints no headings is one scenario."""
    if len(names) == 1 and not text.startswith("== "):
        return {names[0]: text}
    said = dict.fromkeys(names, "")
    for part in ("\n" + text).split("\n== ")[1:]:
        name, _, rest = part.partition("\n")
        said[name] = rest.strip("\n")
    return said


def snapshot(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def restore(root: Path, files: Mapping[Path, bytes]) -> None:
    for path in set(snapshot(root)) - set(files):
        path.unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# ---- what must hold -------------------------------------------------------------------------------------------------


def check_answers(scenario: Scenario, runs: Runs) -> None:
    """No process with aotnb says anything but what plain Numba says."""
    name = scenario.name
    if scenario.changes is not None:
        changed = runs.plain_before.said[name] != runs.plain_after.said[name]
        assert changed == scenario.changes, f"the edit itself is not as meant; Numba says {runs.plain_after.said[name]!r}"
    for outcome, oracle in [
        (runs.recorded, runs.plain_before),
        (runs.replayed, runs.plain_after),
        (runs.restored, runs.plain_before),
    ]:
        assert outcome.said[name] == oracle.said[name], tail(outcome.errors)
        error = (outcome.report or {}).get("error") or ""
        assert outcome.status == oracle.status or error.startswith("nothing to save"), tail(outcome.errors)

    saved = (runs.recorded.report or {}).get("saved") or {"unexplained": []}
    assert not [row for row in saved["unexplained"] if runs.recorded.belongs(row, scenario)], saved["unexplained"]


def check_reasons(scenario: Scenario, runs: Runs) -> None:
    """What the edit invalidated is compiled again, for the right reason; all else is served."""
    for function, reason in scenario.dropped.items():
        found = {row["reason"] for row in runs.recorded.rows("compiled", scenario, function)}
        assert reason in found, f"{function} should not be saved: {reason}; {explain(runs, scenario)}"
    replayed = runs.replayed
    for function, reasons in scenario.miss.items():
        found = {row["reason"]: row["detail"] for row in replayed.rows("misses", scenario, function)}
        assert found.keys() & set(reasons.split("|")), f"{function} should miss with {reasons}; {explain(runs, scenario)}"
        assert replayed.rows("compiled", scenario, function), f"{function} was not compiled again"
    check_served(replayed, scenario, scenario.hit, runs)
    if scenario.hit and not scenario.miss and not runs.verified:
        assert not replayed.rows("compiled", scenario), explain(runs, scenario)


def check_restored(scenario: Scenario, runs: Runs) -> None:
    """After the edit is undone the image holds again, entirely."""
    if scenario.restored:
        check_served(runs.restored, scenario, [*scenario.miss, *scenario.hit], runs)
        assert runs.verified or not runs.restored.rows("compiled", scenario), explain(runs, scenario)


def check_served(outcome: Outcome, scenario: Scenario, functions: Iterable[str], runs: Runs) -> None:
    for function in functions:
        compiled = outcome.rows("compiled", scenario, function)
        if runs.verified:
            assert compiled, f"{function} was not compared; {explain(runs, scenario)}"
            if all(row["depth"] for row in compiled):
                continue  # compiled, and compared, as a part of its caller: Python's own call asks nothing any more
        assert outcome.rows("served", scenario, function), f"{function} was not served; {explain(runs, scenario)}"


def explain(runs: Runs, scenario: Scenario) -> str:
    """Return what the reports say on a scenario: what was recorded as not saveable, missed, compiled, served."""

    def listed(outcome: Outcome, kind: str, *keys: str) -> str:
        rows = outcome.rows(kind, scenario) if outcome.report else []
        return "; ".join(" ".join(str(row[key]) for key in keys) for row in rows) or "none"

    return "\n".join(
        [
            "reports:",
            f"  recorded.compiled  {listed(runs.recorded, 'compiled', 'function', 'signature', 'reason', 'detail')}",
            f"  replayed.misses    {listed(runs.replayed, 'misses', 'function', 'signature', 'reason', 'detail')}",
            f"  replayed.compiled  {listed(runs.replayed, 'compiled', 'function', 'signature')}",
            f"  replayed.served    {listed(runs.replayed, 'served', 'function', 'signature')}",
            f"  restored.misses    {listed(runs.restored, 'misses', 'function', 'signature', 'reason', 'detail')}",
            f"  errors             {runs.recorded.report and runs.recorded.report['error']}",
        ]
    )


def tail(text: str, lines: int = 15) -> str:
    return "\n".join(text.splitlines()[-lines:])
