"""Several CPU targets, one and two shards: the same bytes, the same answers, and the target that fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import REPOSITORY

from aotnb.core.elf import symbols
from aotnb.image.contents import code_sizes
from aotnb.image.reader import ImageReader, describe, verify

SOURCE = """
import numpy as np
from numba import njit, prange, vectorize

@njit
def helper(x):
    return x * 3 + 1

@njit
def scalar(x):
    if x < 0:
        raise ValueError("negative")
    return helper(x)

@njit(fastmath=True)
def total(a):
    found = 0.0
    for x in a:
        found += helper(x) * np.sqrt(x)
    return found

@njit
def top(a):
    return [total(a), total(a[::2])]

@njit
def many(a, b, c, d, e, f, g, h):  # the name of its symbol is shortened
    found = 0.0
    for i in range(len(a)):
        found += a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i] + h[i]
    return found

@vectorize(["float64(float64)"])
def twice(x):
    return 2 * x

a = np.arange(1000.0)
print(scalar(3), round(total(a), 3), [round(x, 3) for x in top(a)], twice(a)[:3], many(a, a, a, a, a, a, a, a))
try:
    scalar(-1)
except ValueError as error:
    print(error)
"""
pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the targets are those of x86-64")
TARGETS = "generic;x86-64-v2;native"


def run(folder: Path, *options: str, **environment: str) -> tuple[str, dict]:
    report = folder / "report.json"
    command = [sys.executable, "-m", "aotnb", "run", *options, "--report", str(report), "script.py"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(report.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script and images made by one and by two processes."""
    folder = tmp_path_factory.mktemp("targets")
    (folder / "script.py").write_text(SOURCE)
    for count in ("1", "2"):
        said, _ = run(folder, "--record", "--image", f"{count}.aot", AOTNB_IMAGE_THREADS=count, AOTNB_CPU_TARGET=TARGETS)
        (folder / f"said{count}").write_text(said)
    return folder


def test_any_number_of_shards_gives_the_same_bytes(folder: Path) -> None:
    assert (folder / "1.aot").read_bytes() == (folder / "2.aot").read_bytes()
    assert verify(folder / "1.aot") == []


def test_the_target_for_this_cpu_answers_everything(folder: Path) -> None:
    said, report = run(folder, "--image", "2.aot")
    assert said == (folder / "said1").read_text()
    assert not report["compiled"]
    assert report["images"][0]["target"] == report["images"][0]["targets"][2]


def test_masked_features_get_the_code_that_fits(folder: Path) -> None:
    said, report = run(folder, "--image", "1.aot", NUMBA_CPU_NAME="generic")
    assert said == (folder / "said1").read_text()
    assert not report["compiled"]
    assert report["images"][0]["target"] == "generic"
    assert len(report["images"][0]["rejected"]) == 2


def test_no_target_fits_and_the_jit_runs(folder: Path) -> None:
    run(folder, "--record", "--image", "native.aot", AOTNB_CPU_TARGET="native")
    said, report = run(folder, "--image", "native.aot", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="+sse2")
    assert said == (folder / "said1").read_text()
    assert report["compiled"]
    assert not report["images"]
    assert "target 0 (" in report["error"]


def test_wrappers_and_scalar_helpers_are_shared(folder: Path) -> None:
    reader = ImageReader(folder / "1.aot")
    entries = [entry for entry in map(reader.instance, range(len(reader))) if entry.entry]
    native = {entry.qualname: entry.symbols["native"] for entry in entries}
    python = {entry.qualname: entry.symbols["python"] for entry in entries if "python" in entry.symbols}
    clones = reader.index["clones"]
    assert native["total"] in clones
    assert native["top"] in clones
    assert native["scalar"] not in clones
    assert python
    assert not clones.keys() & set(python.values())
    assert [target["name"] for target in describe(folder / "1.aot")["targets"]][:2] == ["generic", "x86-64-v2"]


def test_every_function_has_weight_and_bytes_for_its_targets(folder: Path) -> None:
    image = describe(folder / "2.aot")
    rows = image["functions"]
    assert len({(row["symbol"], row["target"]) for row in rows if row["role"] != "helper"}) == len(
        [row for row in rows if row["role"] != "helper"]
    )
    native = {row["function"]: row for row in rows if row["role"] == "native" and row["target"] == 0 and row["slot"] is not None}
    assert {"scalar", "total", "top", "many", "twice"} <= native.keys()
    assert native["total"]["signature"].startswith("(array(float64, 1d, C")
    table = {slot["slot"]: slot for slot in image["slots"]}
    assert all(table[row["slot"]]["kind"] == "function" for row in native.values())
    # what is cloned has code for every target, in a slot of its own; what is shared has one
    total = [row for row in rows if row["symbol"] == native["total"]["symbol"]]
    assert [row["target"] for row in sorted(total, key=lambda row: row["target"])] == [0, 1, 2]
    assert len({row["slot"] for row in total}) == 3
    assert len({row["weight"] for row in total}) == 1
    assert all(row["bytes"] > 0 for row in total)
    assert [row["target"] for row in rows if row["symbol"] == native["scalar"]["symbol"]] == [0]
    assert {"environment", "object", "helper"} <= {slot["kind"] for slot in image["slots"]}
    labels = [target["label"] for target in image["targets"]]
    sizes = [(target, size) for function, target, size in code_sizes(folder / "2.aot") if function.endswith(".scalar")]
    assert sum(size for _, size in sizes) == sum(row["bytes"] for row in rows if row["function"] == "scalar")
    assert [target for target, _ in sizes] == [
        labels[row["target"]] for row in rows if row["function"] == "scalar" and row["bytes"]
    ]
    reader = ImageReader(folder / "2.aot")
    if reader.index["linked"] != "dlopen":  # without a linker the image has objects
        return
    # the linked library has just these functions, but for the forwarding stubs of the table
    linked = {symbol.name: symbol.size for symbol in symbols(reader.file.part("native")) if symbol.is_function and symbol.defined}
    for row in (*total, native["scalar"]):
        assert linked[table[row["slot"]]["name"]] == row["bytes"]


def test_inspect_shows_the_functions(folder: Path) -> None:
    command = [sys.executable, "-m", "aotnb", "inspect", "--functions", "1.aot"]
    said = subprocess.check_output(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, text=True)
    sums = [line for line in said.splitlines() if " functions, weight " in line]
    assert [line.partition(":")[0] for line in sums][:2] == ["generic", "x86-64-v2"]
    rows = describe(folder / "1.aot")["functions"]
    assert sums[0].endswith(f" {sum(row['bytes'] for row in rows if row['target'] == 0)} bytes")
