"""``forbid_compilation`` and ``explain``, in fresh processes with a real image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LIBRARY = """
import numba, numpy as np
K = {k}
@numba.njit
def inner(x):
    return x + K
@numba.njit
def f(x, y=1):
    return inner(x) * y
@numba.njit
def many(*xs):
    return len(xs)
@numba.njit
def literally(x):
    return numba.literally(x) + 1
@numba.njit("int64(int64)")
def explicit(x):
    return x + 1
@numba.vectorize
def kernel(x):
    return x * 2
"""


def script(folder: Path, code: str, **environment: str) -> str:
    """Run a script with the library beside it and return what it prints."""
    (folder / "script.py").write_text(code)
    env = {key: value for key, value in os.environ.items() if not key.startswith("AOTNB_")}
    env |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{env.get('PYTHONPATH', '')}", "AOTNB_HOME": str(folder / "home")} | environment
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library and an image of some of its calls."""
    found = tmp_path_factory.mktemp("guards")
    (found / "lib.py").write_text(LIBRARY.format(k=10))
    script(
        found,
        "import aotnb, numpy as np; aotnb.activate(); import lib\n"
        "with aotnb.trace():\n"
        "    lib.f(1); lib.f(np.ones(3)); lib.many(1, 2.0); lib.literally(3); lib.explicit(1)\n"
        "aotnb.save('lib.aot')\n",
    )
    return found


def test_what_would_be_compiled_is_named_with_its_reason(folder: Path) -> None:
    script(
        folder,
        """
import aotnb, threading, pytest
aotnb.load('lib.aot')
import lib, numpy as np
from aotnb.errors import CompilationForbidden

def forbidden(call, reason, *words):
    before = aotnb.status().compilations
    with pytest.raises(CompilationForbidden) as raised:
        call()
    error = raised.value
    assert error.reason == reason, error
    assert all(word in str(error) for word in words), error
    assert aotnb.status().compilations == before
    return error

with aotnb.forbid_compilation():
    assert lib.f(1) == 11                                   # from the image
    found = forbidden(lambda: lib.f(1.5), "not_traced", "lib.f(float64, omitted(default=1))", "traced cell")
    assert (found.function, found.module, found.arguments) == ("f", "lib", "(float64, omitted(default=1))")
    forbidden(lambda: lib.kernel(np.ones(2)), "not_traced", "lib.kernel")
    with aotnb.forbid_compilation():
        pass
    forbidden(lambda: lib.f(1j), "not_traced")              # the outer block is still open
    others = []
    thread = threading.Thread(target=lambda: others.append(lib.f(np.float32(1))))
    thread.start(); thread.join()
    assert others == [11.0]                                 # another thread may compile
assert lib.f(1.5) == 11.5                                   # nothing was left behind
with aotnb.forbid_compilation(all_threads=True):
    errors = []
    def work():
        try:
            lib.f(np.int8(1))
        except CompilationForbidden as error:
            errors.append(error)
    thread = threading.Thread(target=work)
    thread.start(); thread.join()
    assert len(errors) == 1
    lib.f(1.5)
lib.inner.recompile  # a dispatcher like any other
lib.K = 11
aotnb.check()
with aotnb.forbid_compilation():
    forbidden(lambda: lib.f(np.ones(3)), "global_changed", "K")
""",
    )


def test_a_compilation_inside_a_compilation_is_forbidden_too(tmp_path: Path) -> None:
    script(
        tmp_path,
        """
import aotnb, numba, numba.extending, pytest
aotnb.activate()
from aotnb.errors import CompilationForbidden

@numba.njit
def late(x):
    return x + 1
def helper(x): ...
@numba.extending.overload(helper)
def ov(x):
    with aotnb.forbid_compilation():
        late.compile((numba.int64,))
    return lambda x: x
@numba.njit
def outer(x):
    return helper(x)
with pytest.raises(CompilationForbidden, match="late"):
    outer(1)
assert late(1) == 2
""",
    )


def test_explain_names_the_nearest(folder: Path) -> None:
    script(
        folder,
        """
import aotnb, pytest
aotnb.load('lib.aot')
import lib, numpy as np
from aotnb.errors import AotError

def check(state, *call, reason="", **kwargs):
    before = aotnb.status()
    found = aotnb.explain(*call, **kwargs)
    after = aotnb.status()
    assert (found.state, found.reason) == (state, reason), found
    assert (after.compilations, after.served, after.misses) == (before.compilations, before.served, before.misses)
    assert str(found)
    return found

assert check("to be served", lib.f, 1).served
assert lib.f.signatures == []                                # asked, not installed
check("to be served", lib.f, np.ones(3))
check("to be served", lib.many, 1, 2.0)
check("to be served", lib.literally, 3)
check("to be compiled", lib.literally, 4, reason="not_traced")
found = check("to be compiled", lib.f, np.ones((2, 2)), reason="not_traced")
assert found.nearest[0] == "array(float64, 1d, C)", found
assert "argument 1 is array(float64, 2d, C)" in found.detail, found
assert list(found.frame["same"]) == [False, True]
assert "Pass" not in str(found)                              # no conversion makes one dimension of two
found = check("to be compiled", lib.f, np.ones(6, dtype=np.float32)[::2], reason="not_traced")
assert "what to do: Pass np.ascontiguousarray(x.astype(np.float64)) if that is what you mean; or" in str(found), found
assert list(found.frame["argument"]) == ["x", "y"]
check("to be compiled", lib.f, x=1, y=2.5, reason="not_traced")
lib.f(1)
check("served", lib.f, 1)
lib.f(2.5)
check("compiled", lib.f, 2.5)
check("served", lib.explicit, 1)                             # it was asked for when the decorator ran
assert check("converted", lib.explicit, 1.5).nearest == ("int64",)
lib.K = 11
found = check("to be compiled", lib.f, np.ones(3), reason="global_changed")
assert "K" in found.detail and "10" in found.detail and "11" in found.detail, found
assert found.nearest[0] == "array(float64, 1d, C)"
for wrong, words in [((len, 1), "not a jitted function"), ((lib.f,), "does not take"), ((lib.f, 1, 2, 3), "does not take")]:
    with pytest.raises(AotError, match=words):
        aotnb.explain(*wrong)
""",
    )


def test_the_fixture_fails_a_test_that_compiles(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text(LIBRARY.format(k=10))
    (tmp_path / "test_it.py").write_text(
        """
import numba, lib
def test_served(forbid_compilation):
    assert lib.f(1) == 11
def test_compiles(forbid_compilation):
    lib.f(1.5)
def test_free():
    lib.f(2j)
"""
    )

    def pytest_run(*options: str, image: bool = True) -> str:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("AOTNB_", "PYTEST_"))}
        env |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "AOTNB_HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
        plugin = ["-p", "aotnb.pytest_plugin"] if not installed() else []
        command = [
            sys.executable,
            "-c",
            f"import aotnb; aotnb.load({str(folder / 'lib.aot')!r}); import pytest, sys; sys.exit(pytest.main())",
        ]
        done = subprocess.run(
            [*command, "-q", "-p", "no:cacheprovider", *plugin, *options, "test_it.py"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout + done.stderr

    out = pytest_run()
    assert "1 failed, 2 passed" in out, out
    assert "CompilationForbidden: lib.f(float64" in out, out
    assert "2 failed, 1 passed" in pytest_run("--forbid-compilation")
    (tmp_path / "pytest.ini").write_text("[pytest]\nforbid_compilation = true\n")
    assert "2 failed, 1 passed" in pytest_run()


def test_the_plugin_costs_nothing_unused(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert 'numba' not in sys.modules and 'aotnb.guards' not in sys.modules\n"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")} | {"PYTHONPATH": str(ROOT)}
    plugin = ["-p", "aotnb.pytest_plugin"] if not installed() else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def installed() -> bool:
    """Return whether aotnb's entry points are known here (they are not where it is only on the path)."""
    from importlib.metadata import entry_points

    return any(point.name == "aotnb" for point in entry_points(group="pytest11"))
