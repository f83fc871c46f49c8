"""Trace files between real processes: written while a script runs, replayed in another, used in a third."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from harness import clean_environment

from aotnb.core.statements import RECOMPILE, Statement, read_statements

LIB = """
import numpy as np
from numba import guvectorize, njit, vectorize

@njit
def helper(x):
    return x + 1

@njit
def f(x):
    return helper(x) * 2

@njit
def g(x, y=3):
    return x * y

@njit
def total(a):
    return a.sum()

@njit
def call(function, x):
    return function(x)

@vectorize
def twice(x):
    return x * 2

@guvectorize("(n)->()")
def first(a, out):
    out[0] = a[0]

@njit("float64(float64)")
def eager(x):
    return x

def make(k):
    @njit
    def inner(x):
        return x + k
    return inner
"""

SCRIPT = """
import numpy as np
import lib
from numba import njit

K = 7

@njit
def mine(x):
    return lib.f(x) + K

def use():
    out = np.zeros(1)
    lib.first(np.ones((1, 3)), out)
    return [lib.f(1), lib.f(1.5), lib.g(1), lib.g(2, 2), lib.total(np.ones(3)), lib.total(np.ones((2, 2))[:, ::2]),
            lib.call(lib.helper, 1), list(lib.twice(np.arange(3.0))), float(out[0]), lib.eager(1.0), mine(1), lib.f(2)]

if __name__ == "__main__":
    print(use())
"""


def python(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=clean_environment(folder) | env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def lay_out(folder: Path) -> Path:
    (folder / "lib.py").write_text(LIB)
    (folder / "script.py").write_text(SCRIPT)
    return folder


def script(folder: Path, source: str, **env: str) -> Any:
    """Run a script that prints one JSON value last; return the value."""
    lay_out(folder)
    (folder / "own.py").write_text(dedent(source))
    done = python(folder, "own.py", **env)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def statements(path: Path) -> list[Statement]:
    found = list(read_statements(path.read_text()))
    assert all(isinstance(item, Statement) for item in found), found
    return found  # type: ignore[return-value]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trace files of a script, the image that was built from one, and what the script printed."""
    folder = lay_out(tmp_path_factory.mktemp("made"))
    done = python(folder, "-m", "aotnb", "run", "--trace-compile", "compiled", "--trace-dispatch", "asked", "script.py")
    assert done.returncode == 0, done.stderr
    (folder / "printed").write_text(done.stdout)
    built = python(folder, "-m", "aotnb", "precompile", "compiled", "-o", "image.aot")
    assert built.returncode == 0, built.stderr
    (folder / "built").write_text(built.stdout + built.stderr)
    return folder


def test_one_statement_for_each_specialization(made: Path) -> None:
    found = statements(made / "compiled")
    main = str(made / "script.py")
    assert set(found) == {
        Statement("lib:eager", ("float64",), returns="float64"),
        Statement("lib:first", ("array(float64, 1d, A)", "array(float64, 1d, A)"), returns="none", kind="ufunc"),
        Statement("lib:f", ("int64",)),
        Statement("lib:f", ("float64",)),
        Statement("lib:g", ("int64", "omitted(3)")),
        Statement("lib:g", ("int64", "int64")),
        Statement("lib:total", ("array(float64, 1d, C)",)),
        Statement("lib:total", ("array(float64, 2d, A)",)),
        Statement("lib:call", ('dispatcher("lib:helper")', "int64")),
        Statement("lib:twice", ("float64",), kind="ufunc"),
        Statement("__main__:mine", ("int64",), script=main),
    }
    lines = (made / "compiled").read_text().splitlines()
    assert lines[1::2] == [str(statement) for statement in found]
    for comment in lines[::2]:
        mark, seconds, unit = comment.split()
        assert (mark, unit) == ("#", "ms")
        assert float(seconds) > 0
    ast.parse((made / "compiled").read_text())
    assert statements(made / "asked") == found


def test_another_process_builds_the_image_and_a_third_compiles_nothing(made: Path) -> None:
    assert (made / "built").read_text().startswith("11 of 11 carried out\n")
    arguments = ["--image", "image.aot", "--trace-compile", "nothing", "--trace-dispatch", "again", "--report", "report.json"]
    done = python(made, "-m", "aotnb", "run", *arguments, "script.py")
    assert done.stdout == (made / "printed").read_text()
    report = json.loads((made / "report.json").read_text())
    assert [item["function"] for item in report["compiled"]] == []
    assert (made / "nothing").read_text() == ""
    assert statements(made / "again") == statements(made / "asked")


def test_the_files_of_all_packages_together_give_the_same_set(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("from numba import njit\nimport lib\n\n@njit\ndef root(x):\n    return lib.f(x) - 1\n")
    use = """
    import json, aotnb
    aotnb.load("all.aot") if LOAD else aotnb.activate()
    import lib, other
    def use():
        return [other.root(1), lib.g(1), lib.total(lib.np.ones(3)), lib.make(2)(1)]
    """
    wrote = script(
        tmp_path,
        use.replace("LOAD", "False")
        + """
    with aotnb.trace("named") as trace:
        answers = use()
    report = aotnb.parcel(write="parcels")
    frame = report.frame.set_index("package")
    again = aotnb.parcel("named").frame.set_index("package")
    own = sum(c.own_seconds for c in aotnb.session.compiled())
    counts = frame[["functions", "compilations", "asked", "statements", "saved"]].T.to_dict("list")
    print(json.dumps([answers, counts, bool(abs(own - frame.seconds.sum()) < 1e-9), bool(abs(frame.share.sum() - 1) < 1e-9),
                      again.loc[["lib", "other"], "asked"].tolist(), frame.file.to_dict(), repr(report)]))
    """,
    )
    answers, counts, seconds_add_up, shares_add_up, traced, files, shown = wrote
    assert seconds_add_up
    assert shares_add_up
    # f and helper are compiled as parts of root, which is another package's; the closure has no name
    assert counts["other"] == [1, 1, 1, 1, 1]
    functions, _, asked, named, _ = counts["lib"]
    assert functions == 6
    assert (asked, named) == (4, 3)  # eager by its decorator; by the calls g, total and the closure
    assert traced == [3, 1]
    assert {Path(file).name for file in files.values() if file} == {"lib.trace", "other.trace"}
    assert "1 specialization cannot be named" in shown
    assert statements(tmp_path / "parcels/other.trace") == [Statement("other:root", ("int64",))]
    paths = ["parcels/lib.trace", "parcels/other.trace"]
    done = python(tmp_path, "-m", "aotnb", "precompile", *paths, "-o", "all.aot")
    assert done.stdout.startswith("4 of 4 carried out\n"), done.stdout + done.stderr
    served = script(
        tmp_path,
        use.replace("LOAD", "True")
        + """
    print(json.dumps([use(), [c.function for c in aotnb.session.compiled() if c.called]]))
    """,
    )
    assert served == [answers, ["make.<locals>.inner"]]
    (tmp_path / "taken").write_text("")
    sentence = script(
        tmp_path,
        """
        import json, aotnb, lib
        lib.f(1)
        said = []
        for wrong in ({"write": "taken"}, {"trace": "no such"}):
            try:
                aotnb.parcel(**wrong)
            except aotnb.errors.AotError as error:
                said.append(str(error))
        print(json.dumps(said))
        """.replace("aotnb,", "aotnb.errors,"),
    )
    assert "cannot write trace files to taken: File exists; give a folder" in sentence[0]
    assert sentence[1].startswith("there is no trace 'no such'")


def test_what_names_nothing_any_more_is_skipped_counted_and_named(made: Path, tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "lib.py").write_text(LIB.replace("def g(", "def renamed("))
    (tmp_path / "broken.py").write_text("1 / 0")
    trace = [
        'precompile("lib:f", ("int64",))',
        'precompile("lib:f", ("int64",))  # recompile',
        'precompile("lib:g", ("int64",))',
        'precompile("no_such_module:f", ("int64",))',
        'precompile("broken:f", ("int64",))',
        'precompile("lib:f", ("no_such_type",))',
        'precompile("lib:f", ("unicode_type",))',
        'precompile("lib:make", ("int64",))',
        'precompile("__main__:cell", ("int64",))',
        '__import__("os").abort()',
        'precompile("lib:total", ("array(floa',
    ]
    (tmp_path / "trace").write_text("\n".join(trace))
    done = python(tmp_path, "-m", "aotnb", "precompile", "trace", "-o", "image.aot")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 of 10 carried out, 9 skipped\n")
    lines = done.stderr.splitlines()
    assert [line.startswith("aotnb: skipped ") for line in lines] == [True] * 9
    told = [
        "module lib has no g",
        "no_such_module cannot be imported",
        "importing broken raised ZeroDivisionError",
        "'no_such_type'",
        "Numba refused it: TypingError",
        "not compiled by Numba",
        "script or a notebook",
        "no precompile(...) statement",
        "not complete",
    ]
    for line, why in zip(lines, told, strict=True):
        assert why in line
    (tmp_path / "trace").write_text("\n".join(trace[3:5]))
    done = python(tmp_path, "-m", "aotnb", "precompile", "trace", "-o", "none.aot")
    assert done.returncode == 1
    assert "nothing to save" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "none.aot").exists()


def test_a_killed_process_leaves_a_trace_that_can_be_built_from(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "killed.py").write_text("import lib, os, signal\nlib.f(1)\nos.kill(os.getpid(), signal.SIGKILL)\n")
    done = python(tmp_path, "-m", "aotnb", "run", "--trace-compile", "trace", "killed.py")
    assert done.returncode == -signal.SIGKILL
    assert Statement("lib:f", ("int64",)) in statements(tmp_path / "trace")
    assert python(tmp_path, "-m", "aotnb", "precompile", "trace", "-o", "image.aot").returncode == 0
    found = script(
        tmp_path,
        """
        import json, aotnb
        aotnb.load("image.aot")
        import lib
        lib.f(1)
        print(json.dumps([s.function for s in aotnb.status().served]))
        """,
    )
    assert "f" in found


def test_the_environment_appends_and_marks_recompilations(tmp_path: Path) -> None:
    source = """
    import json, threading, aotnb, lib
    from numba import njit
    lib.f(1)
    @njit
    def other(x):
        return x + 5
    lib.helper = other
    aotnb.check()
    lib.f(1)
    ready = threading.Barrier(8)
    def race():
        ready.wait()
        lib.total(lib.np.ones(3))
    threads = [threading.Thread(target=race) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    lib.make(2)(1)
    print(json.dumps(lib.f(1)))
    """
    activated = "import aotnb.autostart; aotnb.autostart.start_from_environment()\n" + dedent(source)
    assert script(tmp_path, activated, AOTNB_TRACE_COMPILE="trace") == 12
    lines = [line for line in (tmp_path / "trace").read_text().splitlines() if " ms" not in line]
    asked = 'precompile("lib:f", ("int64",))'
    assert [line for line in lines if "lib:f" in line] == [asked, asked + RECOMPILE]
    assert len([line for line in lines if "lib:total" in line]) == 1
    (local,) = [line for line in lines if "inner" in line]
    assert local.startswith("# not replayable (no name leads to a local function): ")
    assert [line for line in lines if line.endswith(RECOMPILE)] == [asked + RECOMPILE]
    script(
        tmp_path,
        "import aotnb.autostart; aotnb.autostart.start_from_environment()\nimport lib\nlib.g(1)\nprint(0)",
        AOTNB_TRACE_COMPILE="trace",
    )
    assert (tmp_path / "trace").read_text().splitlines()[-1] == 'precompile("lib:g", ("int64", "omitted(3)"))'
    assert asked in (tmp_path / "trace").read_text()


WORKLOADS = """
import aotnb
import lib

with aotnb.setup_workload():
    data = lib.f(1)
    lib.g(5)
    with aotnb.compile_workload():
        lib.total(lib.np.ones(data))
        lib.f(2.5)
    lib.twice(2.5)
"""


def test_workloads_run_only_while_an_image_is_made(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "pack.py").write_text(WORKLOADS)
    look = """
    import json, aotnb, sys
    aotnb.activate()
    import pack
    print(json.dumps([hasattr(pack, "data"), [c.function for c in aotnb.session.compiled() if c.depth == 0]]))
    """
    assert script(tmp_path, look.replace("json,", "json, aotnb.session,")) == [False, ["eager"]]
    done = python(tmp_path, "-m", "aotnb", "precompile", "-m", "pack", "-o", "image.aot")
    assert done.returncode == 0, done.stderr
    inspected = json.loads(python(tmp_path, "-m", "aotnb", "inspect", "image.aot", "--json").stdout)
    entries = {(entry["function"], entry["signature"].partition(" -> ")[0]) for entry in inspected["entries"]}
    # compiled by the compile block, and by the import itself; not what only the setup block asked for
    assert entries == {("total", "(array(float64, 1d, C))"), ("f", "(float64)"), ("eager", "(float64)")}
    off = python(tmp_path, "-m", "aotnb", "precompile", "-m", "pack", "-o", "off.aot", AOTNB_WORKLOADS="0")
    assert off.returncode == 0, off.stderr
    assert [
        e["function"] for e in json.loads(python(tmp_path, "-m", "aotnb", "inspect", "off.aot", "--json").stdout)["entries"]
    ] == ["eager"]


def test_recording_does_not_disturb(tmp_path: Path) -> None:
    found = script(
        tmp_path,
        """
        import json, sys
        import lib
        before = {name: len(getattr(lib, name).overloads) for name in ("f", "helper", "g", "eager")}
        import aotnb
        with aotnb.trace("empty") as trace:
            pass
        aotnb.session.write_statements("compiled", "asked")
        with aotnb.trace("also empty") as other:
            import lib as again
        after = {name: len(getattr(lib, name).overloads) for name in before}
        shown = [name for name in ("matplotlib", "pandas", "IPython", "ipywidgets") if name in sys.modules]
        print(json.dumps([before == after, len(trace.compilations), len(trace.statements), len(other.compilations), shown]))
        """,
    )
    assert found == [True, 0, 0, 0, []]
    assert [(tmp_path / name).read_text() for name in ("compiled", "asked")] == ["", ""]


def test_precompile_as_a_function(tmp_path: Path) -> None:
    found = script(
        tmp_path,
        """
        import json, aotnb, numba, lib
        done = [aotnb.precompile(lib.f, (numba.int64,)), aotnb.precompile("lib:f", ("int64",)),
                aotnb.precompile("lib:total", ["array(float64, 1d, C)"])]
        errors = []
        for function, args in (("lib:nothing", ()), (lib.f, ("int65",)), (lib.f, ("unicode_type",)), (3, ("int64",))):
            try:
                aotnb.precompile(function, args)
            except aotnb.errors.AotError as error:
                errors.append(str(error))
        with aotnb.trace() as trace:
            lib.g(1)
        print(json.dumps([done, errors, [str(s) for s in lib.f.signatures], trace.statements]))
        """,
    )
    done, errors, signatures, lines = found
    assert done == [True, False, True]
    assert signatures == ["(int64,)"]
    assert lines == ['precompile("lib:g", ("int64", "omitted(3)"))']
    for said, expected in zip(errors, ("has no nothing", "'int65'", "Numba refused", "not compiled by Numba"), strict=True):
        assert expected in said


def test_mistakes_are_told_before_anything_runs(tmp_path: Path) -> None:
    lay_out(tmp_path)
    os.mkdir(tmp_path / "folder")
    for arguments, says in (
        (["run", "--trace-compile", "folder", "script.py"], "trace file cannot be written"),
        (["run", "--trace-dispatch", "none/x", "script.py"], "trace file cannot be written"),
        (["precompile", "-o", "x.aot"], "nothing to precompile"),
        (["precompile", "missing", "-o", "x.aot"], "cannot read the trace file"),
        (["precompile", "script.py", "-o", "none/x.aot"], "image cannot be written"),
    ):
        done = python(tmp_path, "-m", "aotnb", *arguments)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
