"""Profilers and debuggers show code of an image as the Python function and its argument types."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import clean_environment

from aotnb.core.elf import symbols

LIB = """
import math
import numpy as np
from numba import njit, vectorize

@njit
def total(a, power):
    s = 0.0
    for i in range(a.size):
        s += a[i] ** power + math.sin(a[i])
    return s

@vectorize
def halve(x):
    return x / 2

def use():
    return total(np.arange(9.0), 1.5), total(np.ones((3, 3))[0], 2), float(halve(3.0))
"""
SAVE = "import sys, aotnb\nwith aotnb.trace():\n    import lib\n    lib.use()\naotnb.save('image.aot', link=sys.argv[1])\n"
LOAD = """
import os, sys, aotnb
aotnb.load("image.aot")
import lib
assert lib.use() == lib.use()
assert not aotnb.session.compiled()
print(os.getpid(), flush=True)
sys.stdin.read()
"""
EXPECTED = [
    r"lib\.halve\(float64\)\.\w{20}\.f0",
    r"lib\.halve\(float64\)\.ufunc\.\w{20}\.f0",
    r"lib\.total\(float64\[::1\],float64\)\.\w{20}\.f0",
    r"lib\.total\(float64\[::1\],float64\)\.wrapper\.\w{20}\.f0",
    r"lib\.total\(float64\[::1\],int64\)\.\w{20}\.f0",
]
LINKS = ["in-process", *(["cc"] if shutil.which("cc") else [])]


@pytest.fixture(scope="module", params=LINKS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image, by each linker."""
    folder = tmp_path_factory.mktemp("profile")
    (folder / "lib.py").write_text(LIB)
    subprocess.run(
        [sys.executable, "-c", SAVE, request.param], cwd=folder, env=clean_environment(folder), check=True, timeout=300
    )
    return folder


def missing(found: list[str]) -> list[str]:
    return [pattern for pattern in EXPECTED if not any(re.fullmatch(pattern, name) for name in found)]


def test_symbols_name_the_function_and_its_argument_types(folder: Path) -> None:
    kept = folder / "kept"
    env = clean_environment(folder) | {"AOTNB_PROFILE": str(kept)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=folder, env=env, input="", capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    if kept.exists():  # linked: a profiler reads the file that was mapped
        (library,) = kept.iterdir()
        found = [s.name for s in symbols(library.read_bytes()) if s.defined and s.is_function and s.size]
        assert "pow" in found  # a jump to the version that the JIT would call, not an import of the oldest one
        assert "pow" not in [s.name for s in symbols(library.read_bytes(), dynamic=True)]
    else:  # placed by LLVM: perf reads a list of addresses
        listing = Path(f"/tmp/perf-{done.stdout.strip()}.map")
        rows = [line.split(" ", 2) for line in listing.read_text().splitlines()]
        listing.unlink()
        assert all(int(address, 16) and int(size, 16) for address, size, _ in rows)
        found = [name for _, _, name in rows]
    assert missing(found) == []


@pytest.mark.slow
def test_a_debugger_shows_the_names(folder: Path) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("there is no gdb here")
    start = [sys.executable, "-c", LOAD]
    with subprocess.Popen(start, cwd=folder, env=clean_environment(folder), stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        number = process.stdout.readline().strip()
        asked = ["gdb", "-p", number, "-batch", "-ex", r"info functions ^lib\."]
        told = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        process.stdin.close()
    if "ptrace" in told.stderr:
        pytest.skip("this process may not be debugged")
    assert missing([line.split(" ", 1)[1].strip() for line in told.stdout.splitlines() if line.startswith("0x")]) == []
