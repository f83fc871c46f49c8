"""The environment variables and the start of ``aotnb run``, with a stand-in for Numba and for the session.

The stand-ins keep these tests to milliseconds and to one subject: when aotnb wakes, what it says, what it writes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PTH = Path(__file__).resolve().parents[1] / "aotnb-autostart.pth"
VARIABLES = ("AOTNB_IMAGE", "AOTNB_RECORD", "AOTNB_REPORT")

SITE = """
import os, sys, types
from pathlib import Path
from aotnb.core.records import Compilation, LoadReport, Miss, SaveReport, Served, Status
from aotnb.errors import BuildError, ImageRejected

session = types.ModuleType("aotnb.session")
state = {"active": False, "images": [], "misses": [], "compiled": []}

def activate():
    assert "numba" in sys.modules and sys.modules["numba"].ready
    state["active"] = True
    print("activated")

def load(path):
    print("loaded", Path(path).name)
    text = Path(path).read_text()
    if text != "image":
        raise ImageRejected(text, f"{path} is refused because it is {text}.")
    state["images"].append(LoadReport(path, "id", 1, 1, "dlopen", "generic", 1.0, 2.0))

def save(path, trace=None, **options):
    if not any(c.saveable for c in state["compiled"]):
        raise BuildError("nothing to save: no compilation can be stored")
    Path(path).write_text("image")
    print("saved", Path(path).name, options["append"])
    return SaveReport(path, "id", 1, 1, 1, (), 5, "in-process", "generic", 0.1)

def compile_(saveable=True):
    state["compiled"].append(Compilation(0, "f", "m", "()", "function", 0, None, 1.0, 1.0, saveable=saveable))

def miss(reason):
    state["misses"].append(Miss("f", "m", "(int64,)", reason, "why"))

def status():
    return Status(state["active"], "0", "0", tuple(state["images"]), len(state["compiled"]), (), tuple(state["misses"]))

def compiled():
    return tuple(state["compiled"])

def check_cpu_target():
    if "bad" in os.environ.get("AOTNB_CPU_TARGET", ""):
        raise BuildError("bad is no CPU target")

for value in (activate, load, save, miss, status, compiled, check_cpu_target):
    setattr(session, value.__name__, value)
session.compile = compile_
sys.modules["aotnb.session"] = sys.modules["aotnb.saving"] = session
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run a script in a fresh process that has the stand-ins, the .pth line and the given variables."""
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("ready = True\n")
    (tmp_path / "stand_in.py").write_text(SITE)
    package = str(Path(find_spec("aotnb").origin or "").parents[1])  # type: ignore[union-attr]

    def run(script: str, *, before: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        env |= variables | {"PYTHONPATH": os.pathsep.join([str(tmp_path), package])}
        lines = [before or PTH.read_text().strip(), "import sys", "if 'aotnb' in sys.modules: import stand_in", script]
        return subprocess.run(
            [sys.executable, "-S", "-c", "\n".join(lines)],
            capture_output=True,
            text=True,
            timeout=60,
            env=env,
            cwd=tmp_path,
            check=False,
        )

    return run


def sentences(text: str) -> list[str]:
    assert "Traceback" not in text
    return [line for line in text.splitlines() if line]


def test_nothing_is_imported_when_unset() -> None:
    env = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import sys; print(*[n for n in sys.modules if n.startswith('aotnb')])"],
        capture_output=True,
        text=True,
        env=env,
        check=True,
    )
    assert done.stdout.split() == []
    # an editable install's own path hook may carry the project's name; modules of the package may not appear
    assert not re.search(r"\|\s*aotnb", done.stderr)


def test_the_installed_pth_wakes_a_process_only_when_set(tmp_path: Path) -> None:
    """For the environment that runs the tests, be it an editable or an ordinary install."""
    script = "import sys; print('aotnb.autostart' in sys.modules, 'numba' in sys.modules)"
    env = os.environ | {"AOTNB_IMAGE": str(tmp_path / "none.aot")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["True", "False"], "is aotnb installed (pip install -e .) in this environment?"
    assert done.stderr == ""


def test_a_process_without_numba_stays_asleep(run, tmp_path: Path) -> None:
    done = run("print('aotnb.autostart' in sys.modules)", AOTNB_IMAGE="none.aot", AOTNB_REPORT="r.json")
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(
    "statement", ["import numba", "from numba import ready", "import importlib; importlib.import_module('numba')"]
)
def test_engages_right_after_numba(run, tmp_path: Path, statement: str) -> None:
    (tmp_path / "i.aot").write_text("image")
    done = run(
        f"{statement}\nprint('script')\nimport numba; print(type(numba.__loader__).__name__, len([f for f in sys.meta_path if 'aotnb' in type(f).__module__]))",
        AOTNB_IMAGE="i.aot",
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["activated", "loaded i.aot", "script", "SourceFileLoader 0"]


def test_start_after_numba_engages_at_once_and_once(run, tmp_path: Path) -> None:
    (tmp_path / "i.aot").write_text("image")
    done = run(
        "import aotnb, stand_in, numba\nfrom aotnb import autostart\n"
        "autostart.start('i.aot')\nautostart.start('i.aot')\nprint(autostart.finish() is autostart.finish())",
        before="pass",
    )
    assert done.stdout.split("\n")[:3] == [
        "activated",
        "loaded i.aot",
        "activated",
    ]  # activate is idempotent, load is not repeated
    assert done.stdout.splitlines()[-1] == "True"


def test_a_failed_import_of_numba_can_be_tried_again(run, tmp_path: Path) -> None:
    (tmp_path / "numba" / "__init__.py").write_text(
        "import os\nif os.environ.pop('BROKEN', ''): raise ImportError('no')\nready = True\n"
    )
    done = run(
        "try: import numba\nexcept ImportError: print('failed')\nimport numba",
        AOTNB_RECORD="1",
        AOTNB_IMAGE="x.aot",
        BROKEN="1",
    )
    assert done.stdout.splitlines() == ["failed", "activated"]


def test_record_writes_at_exit_and_reports(run, tmp_path: Path) -> None:
    script = "import os, numba\nfrom aotnb import session\nos.mkdir('elsewhere'); os.chdir('elsewhere')\nsession.compile()"
    done = run(script, AOTNB_IMAGE="n.aot", AOTNB_RECORD="1", AOTNB_REPORT="r.json")
    assert done.stderr == ""
    assert (tmp_path / "n.aot").read_text() == "image"  # relative to the directory at the start
    report = json.loads((tmp_path / "r.json").read_text())
    assert list(report) == ["active", "images", "compilations", "compiled", "served", "misses", "saved", "error"]
    assert report["saved"]["entries"] == 1
    assert report["compiled"][0]["function"] == "f"
    assert report["error"] is None


@pytest.mark.parametrize("value", ["", "0", "false", "off"])
def test_record_can_be_said_off(run, tmp_path: Path, value: str) -> None:
    run("import numba\nfrom aotnb import session\nsession.compile()", AOTNB_IMAGE="n.aot", AOTNB_RECORD=value)
    assert not (tmp_path / "n.aot").exists()


def test_nothing_new_leaves_the_file_alone(run, tmp_path: Path) -> None:
    (tmp_path / "i.aot").write_text("image")
    before = (tmp_path / "i.aot").stat().st_mtime_ns
    done = run("import numba\nfrom aotnb import session\nsession.compile(saveable=False)", AOTNB_IMAGE="i.aot", AOTNB_RECORD="1")
    assert done.stderr == ""
    assert (tmp_path / "i.aot").stat().st_mtime_ns == before


@pytest.mark.parametrize("reason", ["malformed", "untrusted", "checksum"])
def test_what_is_no_image_of_ours_is_never_overwritten(run, tmp_path: Path, reason: str) -> None:
    (tmp_path / "i.aot").write_text(reason)
    done = run(
        "import numba\nfrom aotnb import session\nsession.compile()\nprint('ran')",
        AOTNB_IMAGE="i.aot",
        AOTNB_RECORD="1",
        AOTNB_REPORT="r.json",
    )
    assert done.returncode == 0
    assert "ran" in done.stdout
    assert len(sentences(done.stderr)) == 1
    assert reason in done.stderr
    assert (tmp_path / "i.aot").read_text() == reason
    assert reason in json.loads((tmp_path / "r.json").read_text())["error"]


def test_an_image_of_another_version_is_replaced_when_recording(run, tmp_path: Path) -> None:
    (tmp_path / "i.aot").write_text("version_changed")
    done = run("import numba\nfrom aotnb import session\nsession.compile()", AOTNB_IMAGE="i.aot", AOTNB_RECORD="1")
    assert len(sentences(done.stderr)) == 1
    assert (tmp_path / "i.aot").read_text() == "image"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AOTNB_IMAGE": "missing.aot"}, "there is no image"),
        ({"AOTNB_IMAGE": "numba"}, "is a directory"),
        ({"AOTNB_IMAGE": "no/such/i.aot", "AOTNB_RECORD": "1"}, "does not exist"),
        ({"AOTNB_RECORD": "1"}, "nothing to record to"),
    ],
    ids=["missing", "directory", "folder", "no image"],
)
def test_a_mistake_is_one_sentence_and_the_script_runs(run, variables: dict[str, str], words: str) -> None:
    done = run("import numba; print('ran')", **variables)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "ran"
    (sentence,) = sentences(done.stderr)
    assert sentence.startswith("aotnb: ")
    assert words in sentence


def test_a_mistake_in_the_cpu_target_is_told_before_anything_is_compiled(run, tmp_path: Path) -> None:
    script = "import numba\nprint('ran')\nfrom aotnb import session\nsession.compile()"
    done = run(script, AOTNB_IMAGE="n.aot", AOTNB_RECORD="1", AOTNB_CPU_TARGET="bad")
    assert done.returncode == 0 and "ran" in done.stdout
    assert sentences(done.stderr) == ["aotnb: bad is no CPU target"]
    assert not (tmp_path / "n.aot").exists()


def test_a_failed_save_is_one_sentence(run, tmp_path: Path) -> None:
    done = run("import numba\nfrom aotnb import session\nsession.compile(saveable=False)", AOTNB_IMAGE="n.aot", AOTNB_RECORD="1")
    assert sentences(done.stderr) == ["aotnb: nothing to save: no compilation can be stored"]
    assert not (tmp_path / "n.aot").exists()


def test_a_report_that_cannot_be_written_is_one_sentence(run) -> None:
    done = run("import numba", AOTNB_REPORT="no/such/r.json")
    assert done.returncode == 0
    assert len(sentences(done.stderr)) == 1


def test_misses_are_counted_in_one_line_or_listed(run, tmp_path: Path) -> None:
    (tmp_path / "i.aot").write_text("image")
    script = "import numba\nfrom aotnb import autostart, session\n[session.miss(r) for r in ('not_traced', 'global_changed', 'callee_changed', 'global_changed')]"
    done = run(script, AOTNB_IMAGE="i.aot")
    assert sentences(done.stderr) == [
        "aotnb: stored code was refused and compiled afresh: callee_changed 1, global_changed 2 (aotnb run -v lists them)"
    ]
    assert run("import numba\nfrom aotnb import session\nsession.miss('not_traced')", AOTNB_IMAGE="i.aot").stderr == ""
    done = run(script + "\nautostart.start(verbose=True)", AOTNB_IMAGE="i.aot")
    assert len(sentences(done.stderr)) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_nothing(run, tmp_path: Path) -> None:
    script = (
        "import os, numba\nfrom aotnb import session\nsession.compile()\npid = os.fork()\n"
        "if pid: os.waitpid(pid, 0); print('child done', os.path.exists('n.aot'), os.path.exists('r.json'))"
    )
    done = run(script, AOTNB_IMAGE="n.aot", AOTNB_RECORD="1", AOTNB_REPORT="r.json")
    assert "child done False False" in done.stdout
    assert (tmp_path / "n.aot").exists()
    assert done.stdout.count("saved") == 1


def test_a_spawned_child_loads_by_itself(run, tmp_path: Path) -> None:
    (tmp_path / "i.aot").write_text("image")
    # the child gets the .pth line as an ordinary interpreter would; -S keeps the installed one out of this test
    child = "exec(open('start.py').read()); import stand_in, numba"
    (tmp_path / "start.py").write_text(PTH.read_text())
    done = run(
        f"import subprocess\nsubprocess.run([sys.executable, '-S', '-c', {child!r}], check=True)\nprint('parent', 'numba' in sys.modules)",
        AOTNB_IMAGE="i.aot",
    )
    assert done.stdout.splitlines() == ["activated", "loaded i.aot", "parent False"]


def test_explicit_settings_win_over_the_environment(run, tmp_path: Path) -> None:
    (tmp_path / "a.aot").write_text("image")
    (tmp_path / "b.aot").write_text("image")
    done = run("from aotnb import autostart\nautostart.start('b.aot')\nimport numba", AOTNB_IMAGE="a.aot")
    assert done.stdout.splitlines() == ["activated", "loaded b.aot"]
