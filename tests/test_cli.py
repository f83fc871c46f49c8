"""The command line in real processes: a script runs as under python, and a user's mistake is one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LIMIT_S = 120
Run = Callable[..., "subprocess.CompletedProcess[str]"]

FUNCTION = """
import numba
@numba.njit
def double(x):
    return x * 2
"""
JOB = FUNCTION + "print(double(21))\n"


def environment(folder: Path) -> dict[str, str]:
    package = Path(__import__("aotnb").__file__).parents[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AOTNB_")}
    return kept | {"AOTNB_HOME": str(folder / "home"), "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def aotnb(tmp_path: Path) -> Run:
    """Run ``aotnb ARGS`` in the test's folder."""

    def run(*args: str, plain: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *([] if plain else ["-m", "aotnb"]), *args]
        env = environment(tmp_path) | variables
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=tmp_path, env=env, check=False)

    return run


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound image of one function, with the key that signed it beside it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "job.py").write_text(JOB)
    command = [sys.executable, "-m", "aotnb", "run", "--image", "job.aot", "--record", "job.py"]
    subprocess.run(command, cwd=folder, env=environment(folder), check=True, timeout=LIMIT_S, capture_output=True)
    return folder / "job.aot"


@pytest.fixture
def job(tmp_path: Path, image: Path) -> Path:
    """A folder with the script, its image, and the key."""
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "job.aot").write_bytes(image.read_bytes())
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "image.key").write_bytes((image.parent / "home" / "image.key").read_bytes())
    (tmp_path / "home" / "image.key").chmod(0o600)
    return tmp_path


def one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode in (1, 2), done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("aotnb")
    for word in words:
        assert word in lines[0]


def test_list_and_prune(aotnb: Run, job: Path) -> None:
    old, foreign, journal = job / "old" / "old.aot", job / "foreign.aot", job / "old" / "old.aot.journal"
    old.parent.mkdir()
    old.write_bytes((job / "job.aot").read_bytes())
    os.utime(old, (1e9, 1e9))
    journal.touch()
    (job / "text.aot").write_text("no image")
    foreign.write_bytes(old.read_bytes()[:-1] + bytes([old.read_bytes()[-1] ^ 1]))  # the last byte is one of the seal

    listed = json.loads(aotnb("list", "--json").stdout)
    assert {(Path(row["path"]).name, row["reason"]) for row in listed} == {
        ("job.aot", ""), ("old.aot", ""), ("text.aot", "malformed"), ("foreign.aot", "untrusted"),
    }  # fmt: skip
    assert listed[-1]["path"] == "old/old.aot" and listed[-1]["entries"] == 1 and listed[-1]["size"] == old.stat().st_size
    shown = aotnb("list").stdout
    assert shown.startswith("4 images, ") and "2 can be loaded here" in shown.splitlines()[0] and "2001-09-09" in shown

    one_sentence(aotnb("prune"), "nothing says which")
    one_sentence(aotnb("prune", "--max-size", "much"), "no size")
    one_sentence(aotnb("prune", "nowhere", "--refused"), "no folder nowhere")
    assert "would be removed: 1 image" in aotnb("prune", "--older-than", "30", "-n").stdout and old.exists()
    assert "removed: 0 images" in aotnb("prune", "--refused").stdout  # what is no image, or another's, is not ours to remove
    assert "removed: 1 image" in aotnb("prune", "--max-size", str(old.stat().st_size)).stdout
    assert not old.exists() and not journal.exists() and (job / "job.aot").exists()
    assert "removed: 1 image" in aotnb("prune", "--refused", NUMBA_CPU_NAME="generic").stdout  # made for this machine's CPU
    assert sorted(path.name for path in job.rglob("*.aot")) == ["foreign.aot", "text.aot"]


# ---- run ------------------------------------------------------------------------------------------------------------


def test_record_then_run_without_compiling(aotnb: Run, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    first = aotnb("run", "--image", "job.aot", "--record", "--report", "first.json", "job.py")
    assert (first.returncode, first.stdout, first.stderr) == (0, "42\n", "")
    second = aotnb("run", "--image", "job.aot", "--report", "second.json", "job.py")
    assert (second.returncode, second.stdout, second.stderr) == (0, "42\n", "")
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("first.json", "second.json"))
    assert (one["compilations"], one["saved"]["entries"]) == (1, 1)
    assert (two["compilations"], len(two["served"]), two["saved"], two["error"]) == (0, 1, None, None)


def test_what_a_failing_script_compiled_is_saved(aotnb: Run, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB + "1 / 0\n")
    done = aotnb("run", "--image", "job.aot", "--record", "job.py")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("aotnb: the script failed; what it had compiled was saved to")
    assert aotnb("verify", "job.aot").returncode == 0


SCRIPTS = {
    "identity": "import sys\nprint(__name__, __file__, __spec__, __package__, __doc__, sys.argv, sys.path[0])\nprint(sorted(globals()))",
    "main module": "import sys\nprint(sys.modules['__main__'].__dict__ is globals())",
    "docstring and future": '"""About."""\nfrom __future__ import annotations\nx: nowhere = 1\nprint(__doc__)',
    "traceback": "def inner():\n    raise KeyError('gone')\n\ndef outer():\n    inner()\n\nouter()",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('two') from e",
    "syntax error": "x = = 1",
    "exit status": "import sys\nsys.exit(7)",
    "exit message": "import sys\nsys.exit('over')",
    "exit nothing": "raise SystemExit",
    "exit handlers": "import atexit\natexit.register(print, 'at exit')\nprint('end')",
    "own excepthook": "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__)\n1 / 0",
    "threads": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()\nprint('end')",
    "thread pool": "from concurrent.futures import ThreadPoolExecutor as P\np = P(2)\nprint(p.submit(sum, [1, 2]).result())",
    "pickle": "import pickle\nclass Mine: pass\nprint(pickle.loads(pickle.dumps(Mine)) is Mine)",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "spawn": (
        "import multiprocessing\ndef work(x):\n    return x + 1\n"
        "if __name__ == '__main__':\n    with multiprocessing.get_context('spawn').Pool(1) as p:\n        print(p.map(work, [1, 2]))"
    ),
    "encoding": "# -*- coding: latin-1 -*-\nprint(len('\xe9'))",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_as_under_python(aotnb: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    script = tmp_path / "folder" / "script.py"
    script.write_text(SCRIPTS[name], encoding="latin-1" if name == "encoding" else "utf-8")
    plain = aotnb("folder/script.py", "--image", "-v", plain=True)
    ours = aotnb("run", "folder/script.py", "--image", "-v")
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_an_interrupt_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("import time\nprint('on', flush=True)\ntime.sleep(3600)\n")
    # a shell that runs the tests in the background has its children ignore interrupts: hear them again
    hear = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from aotnb.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", hear, "run", "job.py"]
    env = environment(tmp_path)
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, cwd=tmp_path, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("KeyboardInterrupt")
    assert "aotnb/" not in errors


# ---- bad input ------------------------------------------------------------------------------------------------------

BAD_IMAGES = {
    "missing file": lambda path: path.unlink(),
    "directory": lambda path: (path.unlink(), path.mkdir()),
    "text file": lambda path: path.write_text("some notes, certainly no image\n" * 20),
    "empty file": lambda path: path.write_bytes(b""),
    "truncated image": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "flipped byte": lambda path: path.write_bytes(flipped(path.read_bytes())),
}


def flipped(data: bytes) -> bytes:
    """Change one byte of the last part, which holds the directory."""
    place = len(data) - 150
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("command", ["run", "inspect", "verify"])
@pytest.mark.parametrize("damage", BAD_IMAGES)
def test_a_bad_image_is_one_sentence(aotnb: Run, job: Path, damage: str, command: str) -> None:
    BAD_IMAGES[damage](job / "job.aot")
    before = content(job)
    done = aotnb("run", "--image", "job.aot", "job.py") if command == "run" else aotnb(command, "job.aot")
    one_sentence(done, "job.aot")
    assert done.stdout == ""
    assert content(job) == before


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("damage", ["directory", "text file", "truncated image"])
def test_recording_never_overwrites_what_is_no_image(aotnb: Run, job: Path, damage: str) -> None:
    BAD_IMAGES[damage](job / "job.aot")
    before = content(job)
    one_sentence(aotnb("run", "--image", "job.aot", "--record", "job.py"), "job.aot")
    assert content(job) == before


def test_an_image_of_somebody_else_needs_trust(aotnb: Run, job: Path) -> None:
    (job / "home" / "image.key").write_bytes(bytes(32))
    one_sentence(aotnb("run", "--image", "job.aot", "job.py"), "trust")
    one_sentence(aotnb("verify", "job.aot"), "trust")
    assert "not trusted" in aotnb("inspect", "job.aot").stdout
    assert aotnb("trust", "job.aot").returncode == 0
    assert aotnb("run", "--image", "job.aot", "job.py").stdout == "42\n"
    assert aotnb("verify", "job.aot").returncode == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused_before_the_script_runs(aotnb: Run, job: Path) -> None:
    (job / "kept").mkdir(mode=0o555)
    one_sentence(aotnb("run", "--image", "kept/x.aot", "--record", "job.py"), "not writable")


def test_a_target_that_cannot_be_written_is_refused_before_the_script_runs(aotnb: Run, job: Path) -> None:
    done = aotnb("run", "--image", "nowhere/x.aot", "--record", "job.py")
    one_sentence(done, "nowhere")
    assert done.stdout == ""
    one_sentence(aotnb("run", "--report", "nowhere/r.json", "job.py"), "nowhere")


def test_nothing_to_save_is_one_sentence_and_keeps_the_old_file(aotnb: Run, job: Path) -> None:
    (job / "idle.py").write_text("import numba\nprint('ran')\n")
    before = (job / "job.aot").read_bytes()
    done = aotnb("run", "--image", "job.aot", "--record", "idle.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    assert (job / "job.aot").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "--fly", "job.py"],
        ["run", "--image"],
        ["run", "--record", "job.py"],
        ["run", "no_such_script.py"],
        ["run", "."],
        ["inspect"],
        ["inspect", "job.aot", "--fly"],
        ["verify", "job.aot", "other.aot"],
        ["trust", "no_such_image.aot"],
        ["doctor", "--fly"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_sentence(aotnb: Run, job: Path, arguments: list[str]) -> None:
    done = aotnb(*arguments)
    one_sentence(done)
    assert done.stdout == ""


# ---- the other commands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", "run", "inspect", "verify", "trust", "doctor", "demo"])
def test_help(aotnb: Run, command: str) -> None:
    done = aotnb(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: aotnb")


def test_version(aotnb: Run) -> None:
    assert aotnb("--version").stdout == f"aotnb {__import__('aotnb').__version__}\n"


def test_inspect(aotnb: Run, job: Path) -> None:
    text = aotnb("inspect", "job.aot").stdout
    assert "1 entry" in text
    assert "double" in text
    assert ", trusted" in text
    explained = aotnb("inspect", "job.aot", "--explain").stdout
    assert "is used while its definition has the digest" in explained
    data = json.loads(aotnb("inspect", "job.aot", "--json").stdout)
    assert [entry["function"] for entry in data["entries"]] == ["double"]
    assert sum(data["sections"].values()) == (job / "job.aot").stat().st_size


def test_the_cpus_of_a_recording(aotnb: Run, job: Path) -> None:
    assert aotnb("run", "--image", "two.aot", "--record", "--cpu-target", "generic;native", "job.py").returncode == 0
    assert json.loads(aotnb("inspect", "two.aot", "--json").stdout)["target"].startswith("generic;")
    one_sentence(aotnb("run", "--image", "job.aot", "--cpu-target", "generic", "job.py"), "give --record, too")


def test_inspect_into_a_closed_pipe(job: Path) -> None:
    command = f"{sys.executable} -m aotnb inspect job.aot | head -0"
    done = subprocess.run(command, shell=True, cwd=job, env=environment(job), capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_verify(aotnb: Run, job: Path) -> None:
    done = aotnb("verify", "job.aot")
    assert (done.returncode, done.stdout, done.stderr) == (0, "job.aot is sound\n", "")


def test_doctor(aotnb: Run, job: Path) -> None:
    done = aotnb("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("python", "numba", "llvmlite", "cpu", "linker", "key"):
        assert f"\n{name} " in done.stdout
    facts = json.loads(aotnb("doctor", "--json").stdout)
    assert facts["problems"] == []
    (job / "home" / "image.key").chmod(0o644)
    one_sentence(aotnb("doctor"), "chmod 600")
    (job / "home" / "image.key").write_bytes(b"short")
    assert aotnb("doctor").returncode == 1


@pytest.mark.parametrize("words", [["precompile", "trace", "-o", "x.aot"], ["precompile", "-p", "numpy", "-o", "x.aot"]])
def test_a_wrong_cpu_target_is_refused_before_anything_is_compiled(aotnb: Run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "loud.py").write_text("print('imported')\n" + FUNCTION)
    (tmp_path / "trace").write_text('precompile("loud:double", ("int64",))\n')
    done = aotnb(*words, "--cpu-target", "generic;pentium9")
    assert (done.returncode != 0, done.stdout, len(done.stderr.splitlines())) == (True, "", 1)
    assert "position 9: no CPU 'pentium9' is known; accepted: native" in done.stderr


@pytest.mark.parametrize("option", [True, False])
def test_a_wrong_cpu_target_is_told_when_numba_is_imported(aotnb: Run, tmp_path: Path, option: bool) -> None:
    (tmp_path / "job.py").write_text("import sys\n" + JOB + "print('the end', file=sys.stderr)\n")
    words = ["--cpu-target", "pentium9"] if option else []
    done = aotnb("run", "--image", "x.aot", "--record", *words, "job.py", AOTNB_CPU_TARGET="native" if option else "pentium9")
    assert (done.returncode, done.stdout) == (1, "42\n")
    first, *_, last = done.stderr.splitlines()
    assert "position 1: no CPU 'pentium9' is known" in first
    assert last == "the end"
    assert not (tmp_path / "x.aot").exists()
