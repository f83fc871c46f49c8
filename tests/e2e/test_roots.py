"""Roots of images in real processes: one table for each method, references that lead nowhere, and what has no origin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from harness import clean_environment

from aotnb.image.merge import Merge, MergedRoot
from aotnb.image.model import references
from aotnb.image.reader import ImageReader, verify

LIB = """
from numba import njit

K = 3
SCALE = 2.5

@njit
def helper(x):
    return x * K

@njit
def f(x):
    return helper(x) * SCALE + K

@njit
def other(x):
    return x - K
"""

PRELUDE = """
import json, sys
import aotnb

def report(**values):
    with open("report.json", "w") as file:
        json.dump(values, file)

def use():
    import lib
    return [lib.f(2), lib.f(2.5), lib.f(1j).real, lib.other(5)]
"""

SAVE = """
with aotnb.trace():
    answers = use()
aotnb.save("image.aot")
report(answers=answers)
"""

LOAD = """
aotnb.load("image.aot")
answers = use()
status = aotnb.status()
report(answers=answers, served=[s.function + s.signature for s in status.served], misses=[[m.function + m.signature, m.reason]
    for m in status.misses], again=use())
"""


def start(folder: Path, script: str) -> dict[str, Any]:
    (folder / "lib.py").write_text(LIB)
    (folder / "script.py").write_text(PRELUDE + dedent(script))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=clean_environment(folder), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """A folder with an image, and what the functions in it returned."""
    folder = tmp_path_factory.mktemp("made")
    return folder, start(folder, SAVE)["answers"]


def test_specializations_share_the_roots_of_their_method(made: tuple[Path, list[float]]) -> None:
    reader = ImageReader(made[0] / "image.aot")
    stored = [reader.stored(number) for number in range(len(reader)) if reader.instance(number).qualname == "f"]
    assert len(stored) == 3
    shared = set.intersection(*({index for role, index in references(tree) if role == "edge"} for tree in stored))
    method = f"lib:f:{stored[0]['method']}"
    assert {tuple(reader.method_root(method, index)[1:4]) for index in shared} >= {
        ("global", "own", "K"),
        ("global", "own", "SCALE"),
        ("global", "own", "helper"),
    }
    trees = reader.method_roots(method)
    assert len({json.dumps(tree) for tree in trees}) == len(trees)
    ours = {number for number in range(len(reader)) if reader.instance(number).qualname == "f"}
    slots = {root for _, _, _, slots in reader.index["code"].values() for _, owner, root in slots.values() if owner in ours}
    assert {index for tree in stored for _, index in references(tree)} | slots - {-1} == set(range(len(trees)))


def test_a_load_reads_no_roots_until_a_method_is_needed(made: tuple[Path, list[float]], tmp_path: Path) -> None:
    for name in ("image.aot", "home"):
        subprocess.run(["cp", "-r", made[0] / name, tmp_path], check=True)
    found = start(
        tmp_path,
        """
        def methods():
            return sorted(method.rpartition(":")[0] for method in aotnb.session.roots().registry.methods())

        import aotnb.session
        aotnb.load("image.aot")
        seen = [methods()]
        import lib
        seen.append(methods())
        lib.other(5)
        seen.append(methods())
        lib.f(2)
        seen.append(methods())
        report(seen=seen, misses=len(aotnb.misses()))
        """,
    )
    assert found == {"seen": [[], [], ["lib:other"], ["lib:f", "lib:helper", "lib:other"]], "misses": 0}


def test_a_root_of_unknown_origin_is_shown_and_costs_the_entry(tmp_path: Path) -> None:
    found = start(
        tmp_path,
        """
        aotnb.activate()
        import lib
        import numpy as np
        from numba import njit

        class Own(np.ndarray):
            pass

        TABLE = np.arange(3).view(Own)

        @njit
        def look(x):
            return TABLE[x]

        look(1)
        lib.f(1)
        saved = aotnb.save("image.aot")
        rows = aotnb.roots("look")
        unknown = rows[rows["key"] == "0"]
        stragglers = aotnb.stragglers()
        report(
            owners=sorted(set(unknown["owner"])),
            values=list(unknown["value"]),
            left_out=[[d.function, d.reason] for d in saved.dropped],
            listed=stragglers[["what", "function", "reason"]].values.tolist(),
            detail=list(stragglers["detail"]),
            keys=sorted({key.partition("-")[0] for key in aotnb.roots("f")["key"]}),
        )
        """,
    )
    assert found["owners"] == ["unknown origin: not saved"]
    assert any("TABLE" in value for value in found["values"])
    assert found["left_out"] == [["look", "not_relocatable"]]
    assert found["listed"] == [["not saved", "look", "not_relocatable"]]
    assert "TABLE" in found["detail"][0]
    assert found["keys"] == ["session"]


def corrupt(signature: str, role: str, index: int) -> str:
    """Return a script that gives the first reference of *role* in an entry of ``f`` another index, under good checksums."""
    return f"""
    import json
    from pathlib import Path
    from aotnb.image.format import ImageFile, PARTS, dump_json, publish
    from aotnb.image.trust import user_key
    file = ImageFile(Path("image.aot"))
    parts = {{name: bytes(file.part(name)) for name in PARTS}}
    listing, bodies, places = json.loads(parts["index"]), b"", []
    for offset, length in listing["instances"]:
        tree = json.loads(parts["instances"][offset : offset + length])
        if tree["qualname"] == "f" and tree["signature"].startswith({signature!r}):
            if {role!r} == "callees":
                tree["callees"][0][1] = {index}
            elif {role!r} == "return_type":
                tree["return_type"] = {index}
            else:
                tree[{role!r}][0] = {index}
        data = dump_json(tree)
        places.append([len(bodies), len(data)])
        bodies += data
    listing["instances"] = places
    publish(Path("image.aot"), parts | {{"index": dump_json(listing), "instances": bodies}}, user_key())
    """


@pytest.mark.parametrize(("role", "index"), [("edges", 99), ("edges", -1), ("callees", 99), ("return_type", 99), ("edges", 0)])
def test_a_reference_that_leads_nowhere_costs_one_entry(
    made: tuple[Path, list[float]], tmp_path: Path, role: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("image.aot", "home"):
        subprocess.run(["cp", "-r", made[0] / name, tmp_path], check=True)
    if index == 0:  # a root that is there, but is no edge
        reader = ImageReader(tmp_path / "image.aot")
        first = next(i for i in (reader.stored(n) for n in range(len(reader))) if i["qualname"] == "f")
        trees = reader.method_roots(f"lib:f:{first['method']}")
        index = next(number for number, tree in enumerate(trees) if tree[0] != "edge")
    start(tmp_path, corrupt("(float64)", role, index) + "\n    report()")
    monkeypatch.setenv("AOTNB_HOME", str(tmp_path / "home"))
    assert any("wrong reference" in problem or "root" in problem for problem in verify(tmp_path / "image.aot"))
    found = start(tmp_path, LOAD)
    assert found["answers"] == found["again"] == made[1]
    assert found["misses"] == [["f(float64)", "malformed"]]
    assert found["served"] == ["f(int64)", "f(complex128)", "other(int64)"]


@pytest.fixture(scope="module")
def pair(made: tuple[Path, list[float]]) -> tuple[Path, Path]:
    """Two images of the same functions: the second was made with another value of K, and holds one more specialization."""
    folder = made[0]
    start(
        folder,
        """
        aotnb.activate()
        import lib
        lib.K = 4
        with aotnb.trace():
            lib.f(2), lib.f(True), lib.other(5)
        aotnb.save("second.aot")
        report()
        """,
    )
    return folder / "image.aot", folder / "second.aot"


def test_a_merge_puts_blocks_one_behind_the_other(pair: tuple[Path, Path]) -> None:
    readers = [ImageReader(path) for path in pair]
    for order in (pair, pair[::-1]):
        rows = Merge(*order).rows()
        by_method: dict[str, list[MergedRoot]] = {}
        for row in rows:
            by_method.setdefault(row.method, []).append(row)
        for method, found in by_method.items():
            assert [row.position for row in found] == list(range(len(found)))
            for path in order:
                reader = readers[pair.index(path)]
                mine = [row for row in found if row.image == str(path)]
                # nothing is renumbered: each image finds its own roots under its own key, wherever they are now
                assert [row.index for row in mine] == list(range(len(reader.method_roots(method))))
                assert {row.key for row in mine} <= {reader.image_id}
        shared = {(row.method, row.key, row.index): row.shared_with for row in rows if row.shared_with}
        assert shared
        for (method, key, index), other in shared.items():
            other_key, _, other_index = other.strip("()").partition(", ")
            assert shared[method, other_key, int(other_index)] == f"({key}, {index})"
        values = {row.value for row in rows if row.shared_with}
        assert "K = 3" not in values
        assert "SCALE = 2.5" in values


def test_what_each_proposal_costs(pair: tuple[Path, Path]) -> None:
    merge = Merge(*pair)
    costs = {row.proposal: row for row in merge.proposals()}
    rows = merge.rows()
    assert costs["owner blocks"].roots == costs["renumbering at load"].roots == len(rows)
    assert costs["one hashed table"].roots == len(rows) - sum(bool(row.shared_with) for row in rows) // 2
    assert costs["renumbering at load"].size == sum(row.size for row in rows) < costs["owner blocks"].size
    assert costs["private tables"].size > costs["owner blocks"].size
    assert all(row.saved == costs["private tables"].size - row.size for row in costs.values())
    assert {row.references for row in costs.values()} == {sum(row.references for row in rows)}
    moved = sum(row.references for row in rows if row.position != row.index)
    assert [costs[name].rewritten for name in ("private tables", "owner blocks", "renumbering at load")] == [0, 0, moved]
    assert 0 < costs["one hashed table"].rewritten


def test_inspect_compares_and_merges(pair: tuple[Path, Path]) -> None:
    def inspect(option: str) -> str:
        command = [sys.executable, "-m", "aotnb", "inspect", "image.aot", option, "second.aot"]
        done = subprocess.run(
            command, cwd=pair[0].parent, env=clean_environment(pair[0].parent), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    text = inspect("--roots")
    assert [line.split("  ")[0] for line in text.splitlines()[:5]] == [
        "proposal", "private tables", "one hashed table", "renumbering at load", "owner blocks",
    ]  # fmt: skip
    text = inspect("--diff")
    assert "global K: 3 -> 4" in text
    assert any(line.startswith("added") and "(bool)" in line for line in text.splitlines())
    assert any(line.startswith("removed") and "(complex128)" in line for line in text.splitlines())
