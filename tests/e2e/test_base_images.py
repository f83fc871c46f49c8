"""Base images: of installed packages with recorded hashes, taken for granted only while nothing has been touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from harness import clean_environment

CORE = """
from numba import njit
from . import config

LIMIT = 10

@njit
def helper(x):
    return x * config.factor + LIMIT

@njit
def f(x):
    return helper(x) + 1

@njit
def deep(x, words):
    if x < 0:
        raise ValueError("negative", words)
    found = config.factor
    for word in words.split(","):
        found += len(word) * helper(x)
    return found
"""
WORKLOAD = "import frozenlib.core\nprint(frozenlib.core.f(2), frozenlib.core.deep(2, 'a,bc'))\n"
METADATA = "Metadata-Version: 2.1\nName: frozenlib\nVersion: 1.0\n"
PRELUDE = """
import json, sys, aotnb

def tell(**values):
    status = aotnb.status()
    print(json.dumps(dict(values, compiled=[c.function for c in aotnb.session.compiled()],
          misses=[[m.function, m.reason] for m in status.misses], served=[[s.function, s.image_id] for s in status.served])))
"""


class Site:
    """A folder of installed packages with one of them, in the processes that see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = folder / "site-packages"

    def install(self) -> None:
        """Write what pip would have written."""
        import base64
        import hashlib

        files = {"frozenlib/__init__.py": "", "frozenlib/config.py": "factor = 3\n", "frozenlib/core.py": CORE}
        files |= {"frozenlib-1.0.dist-info/METADATA": METADATA, "frozenlib-1.0.dist-info/top_level.txt": "frozenlib\n"}
        listing = []
        for name, text in files.items():
            path = self.packages / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            content = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            listing.append(f"{name},sha256={content},{len(text)}\n")
        listing.append("frozenlib-1.0.dist-info/RECORD,,\n")
        (self.packages / "frozenlib-1.0.dist-info/RECORD").write_text("".join(listing))
        (self.folder / "workload.py").write_text(WORKLOAD)

    def command(self, *words: str, fails: bool = False) -> str:
        done = self._start(["-m", "aotnb", *words])
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    def make(self, name: str = "base.aot") -> str:
        words = ["--package", "frozenlib", "--workload", "workload.py", "--cpu-target", "generic;native"]
        return self.command("precompile", *words, "-o", name)

    def run(self, script: str) -> dict[str, Any]:
        done = self._start(["-c", PRELUDE + dedent(script)])
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    def _start(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        env = clean_environment(self.folder)
        env["PYTHONPATH"] = os.pathsep.join([env.get("PYTHONPATH", ""), str(self.packages)])
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        return subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and its base image."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.install()
    assert site.make().splitlines()[-1].startswith("base.aot: 2 entries")
    assert json.loads(site.command("inspect", "--json", "base.aot"))["target"].startswith("generic;")
    return site.folder


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Site:
    shutil.copytree(made, tmp_path / "copy")
    return Site(tmp_path / "copy")


USE = """
aotnb.load("base.aot")
import frozenlib.core
tell(answer=frozenlib.core.f(2), summaries=list(aotnb.session.loaded()[0].reader.index["summaries"]))
"""


def test_a_base_image_serves_the_package(site: Site) -> None:
    found = site.run(USE)
    assert (found["answer"], found["compiled"], found["misses"]) == (17, [], [])
    assert [name for name, _ in found["served"]] == ["f"]
    assert found["summaries"]


def test_what_it_spares_is_what_its_calls_took(site: Site) -> None:
    """Nested compilations included, those of Numba's own functions as well, which belong to no package."""
    found = site.run(
        """
        report = aotnb.load("base.aot")
        import frozenlib.core
        frozenlib.core.f(2), frozenlib.core.deep(2, "a,bc")
        tell(spared=report.jit_seconds, parts=[served.jit_seconds for served in aotnb.status().served])
        """
    )
    assert len(found["parts"]) == 2
    assert found["spared"] == pytest.approx(sum(found["parts"]))


def test_nothing_is_asked_of_the_callees_while_the_files_are_as_recorded(site: Site) -> None:
    found = site.run(
        """
        import frozenlib.core
        aotnb.load("base.aot")
        frozenlib.core.f(2)
        image = aotnb.session.loaded()[0]
        from aotnb.loading.validate import Validator
        from numba import int64
        number = next(n for n in range(len(image.reader)) if image.reader.instance(n).entry)
        short = Validator(image.reader, (int64,), lambda *_: False, image.frozen).check(number, frozenlib.core.f.py_func)
        full = Validator(image.reader, (int64,), lambda *_: False, None).check(number, frozenlib.core.f.py_func)
        tell(reasons=[short.reason, full.reason], visits=[len(short.visits), len(full.visits)],
             edges=[sorted(e.name for v in verdict.visits for e, _ in v.values) for verdict in (short, full)])
        """
    )
    assert found["reasons"] == [None, None]
    assert found["visits"][0] == 1 < found["visits"][1]
    assert found["edges"][0] == sorted(set(found["edges"][1]))


EDIT = "from pathlib import Path\nfile = Path('site-packages/frozenlib/core.py')\n"


@pytest.mark.parametrize(
    ("change", "answer", "reason"),
    [
        ("import frozenlib.config; frozenlib.config.factor = 5", 21, "global_changed"),
        ("import frozenlib.core as c; c.LIMIT = 100", 107, "global_changed"),
        ("import numba, frozenlib.core as c; c.helper = numba.njit(lambda x: x)", 3, "callee_changed"),
        (EDIT + "file.write_text(file.read_text().replace('LIMIT = 10', 'LIMIT = 20'))", 27, "global_changed"),
        (EDIT + "file.write_text(file.read_text().replace('+ LIMIT', '- LIMIT'))", -3, "callee_changed"),
        (EDIT + "file.write_text(file.read_text().replace('+ 1', '+ 2'))", 18, "method_changed"),
        # the file is edited and put back while the edited one is in use
        (
            EDIT + "text = file.read_text(); file.write_text(text.replace('+ LIMIT', '- LIMIT')); import frozenlib.core; "
            "file.write_text(text)",
            -3,
            "callee_changed",
        ),
    ],
    ids=["attribute set", "global bound", "function replaced", "global edited", "callee edited", "edited", "edited and restored"],
)
@pytest.mark.parametrize("first", ["load", "change"])
def test_what_was_changed_is_compiled_afresh(site: Site, change: str, answer: int, reason: str, first: str) -> None:
    steps = ['aotnb.load("base.aot")', change]
    text = "\n".join(steps if first == "load" else reversed(steps))
    found = site.run(text + "\nimport frozenlib.core\ntell(answer=frozenlib.core.f(2))\n")
    assert found["answer"] == answer
    assert ["f", reason] in found["misses"]
    assert found["served"] == []


def test_a_change_that_does_not_matter_leaves_the_entries_valid(site: Site) -> None:
    """The files are others then, so each callee is validated by itself."""
    file = site.packages / "frozenlib/core.py"
    file.write_text("# a comment\n" + file.read_text())
    assert site.run(USE)["compiled"] == []


def test_another_version_of_the_package(site: Site) -> None:
    folder = site.packages / "frozenlib-1.0.dist-info"
    (folder / "METADATA").write_text(METADATA.replace("1.0", "1.1"))
    (folder / "RECORD").write_text((folder / "RECORD").read_text() + "frozenlib/more.py,,\n")
    folder.rename(site.packages / "frozenlib-1.1.dist-info")
    found = site.run(USE)
    assert (found["answer"], found["misses"]) == (17, [["f", "version_changed"]])


# ---- what can become a base image -----------------------------------------------------------------------------------


def test_packages_whose_files_may_change_are_refused_in_one_sentence(site: Site) -> None:
    info = site.packages / "frozenlib-1.0.dist-info"
    words = ["precompile", "--package", "frozenlib", "--workload", "workload.py", "-o", "other.aot"]
    said = [site.command("precompile", "--package", "nosuch", "-o", "other.aot", fails=True)]
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    said.append(site.command(*words, fails=True))
    (info / "direct_url.json").unlink()
    file = site.packages / "frozenlib/core.py"
    text = file.read_text()
    file.write_text(text + "\n")
    said.append(site.command(*words, fails=True))
    file.write_text(text)
    (info / "RECORD").unlink()
    said.append(site.command(*words, fails=True))
    for sentence, part in zip(said, ["no package nosuch", "editable", "was edited after", "no hashes"], strict=True):
        assert part in sentence
        assert sentence.count("\n") == 1
    assert not (site.folder / "other.aot").exists()


def test_a_package_that_compiles_nothing_is_said_to(site: Site) -> None:
    said = site.command("precompile", "--package", "frozenlib", "-o", "other.aot", fails=True)
    assert "nothing was compiled: importing frozenlib compiles nothing; give a script with --workload" in said
    (site.folder / "bad.py").write_text("1 / 0\n")
    said = site.command("precompile", "--package", "frozenlib", "--workload", "bad.py", "-o", "other.aot", fails=True)
    assert "the workload bad.py raised ZeroDivisionError" in said


# ---- images on base images ------------------------------------------------------------------------------------------

NOTEBOOK = """
from numba import njit
aotnb.load("base.aot")
import frozenlib.core

@njit
def own(x):
    return x - 1

frozenlib.core.f(2), own(3)
saved = aotnb.save("own.aot")
tell(entries=saved.entries)
"""
AGAIN = """
from numba import njit
try:
    aotnb.load("own.aot")
except aotnb.errors.ImageRejected as error:
    print(json.dumps(dict(reason=error.reason, detail=str(error))))
    raise SystemExit
import frozenlib.core

@njit
def own(x):
    return x - 1

tell(answers=[frozenlib.core.f(2), own(3)], images=[i.path for i in aotnb.status().images])
"""


def test_an_image_builds_on_the_base_image_it_was_made_with(site: Site) -> None:
    made = site.run(NOTEBOOK)
    assert (made["entries"], made["compiled"]) == (1, ["own"])
    inside = json.loads(site.command("inspect", "own.aot", "--json"))
    assert [entry["function"] for entry in inside["entries"]] == ["own"]
    found = site.run(AGAIN)
    assert (found["answers"], found["compiled"]) == ([17, 2], [])
    assert len({image for _, image in found["served"]}) == 2
    assert [Path(path).name for path in found["images"]] == ["base.aot", "own.aot"]
    # the base image is found beside the image, too, and it need not be loaded twice
    other = site.folder / "other"
    other.mkdir()
    for name in ("base.aot", "own.aot"):
        (site.folder / name).rename(other / name)
    moved = site.run(AGAIN.replace("own.aot", "other/own.aot"))
    assert (moved["answers"], moved["compiled"]) == ([17, 2], [])
    twice = site.run(AGAIN.replace('    aotnb.load("own.aot")', '    aotnb.load("other/base.aot"); aotnb.load("other/own.aot")'))
    assert (len(twice["images"]), twice["compiled"]) == (2, [])


def test_an_image_without_its_base_image_is_refused(site: Site) -> None:
    site.run(NOTEBOOK)
    base = site.folder / "base.aot"
    base.rename(site.folder / "away.aot")
    found = site.run(AGAIN)
    assert found["reason"] == "base_missing"
    assert str(base) in found["detail"]
    (site.folder / "workload.py").write_text(WORKLOAD + "frozenlib.core.f(2.5)\n")
    site.make()
    assert site.run(AGAIN)["reason"] == "base_changed"
    base.write_bytes(base.read_bytes()[:-200])
    assert site.run(AGAIN)["reason"] == "malformed"


CALLS = """
from numba import njit
aotnb.load("%s")
import frozenlib.core as core

@njit
def own(x, words):
    return core.f(x) + core.deep(x, words)

def raised():
    try:
        own(-1, "a,bc")
    except ValueError as error:
        return list(error.args)

%s
answers = [own(2, 'a,bc'), raised()]
%s
tell(answers=answers)
"""


def test_functions_of_the_base_image_are_called_there(site: Site) -> None:
    """What is inlined is in the image; of what is called there is no copy, and it finds its objects bound."""
    first = "core.f(2), core.deep(2, 'a,bc')"
    made = site.run(CALLS % ("base.aot", first, "aotnb.save('own.aot', cpu_target='generic;native,clone_all')"))
    assert made["answers"] == [68, ["negative", "a,bc"]]
    inside = json.loads(site.command("inspect", "own.aot", "--json"))
    assert not {"deep", "f", "helper"} & {row["function"] for row in inside["functions"] if row["role"] != "copy"}
    assert any(row["function"] == "own" and row["bytes"] for row in inside["functions"])
    lent = [slot["name"] for slot in inside["slots"] if slot["kind"] == "function of a base image"]
    assert [name.partition("(")[0] for name in lent] == ["aotnb.base.frozenlib.core.deep"]
    found = site.run(CALLS % ("own.aot", "", ""))
    assert (found["answers"], found["compiled"], found["misses"]) == (made["answers"], [], [])
    # the image adds to itself in a process that never saw the base image, and still has no copy
    added = CALLS % (
        "own.aot",
        "twice = njit(lambda x: 2 * x)\ntwice(3)",
        "aotnb.save('own.aot', append=True, link='in-process')",
    )
    assert site.run(added)["compiled"] == ["<lambda>"]
    again = json.loads(site.command("inspect", "own.aot", "--json"))
    assert len(again["entries"]) == 2
    assert [slot["name"] for slot in again["slots"] if slot["kind"] == "function of a base image"] == lent
    assert site.run(CALLS % ("own.aot", "", ""))["compiled"] == []
    # an edited package is no longer what the base image has: nothing is served of either
    file = site.packages / "frozenlib/core.py"
    file.write_text(file.read_text().replace("LIMIT = 10", "LIMIT = 20"))
    edited = site.run(CALLS % ("own.aot", "", ""))
    assert (edited["answers"][0], edited["served"]) == (108, [])
