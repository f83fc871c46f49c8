"""An image with a journal, in real processes: what others compiled is served, a killed writer costs nothing, compaction is exact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from harness import clean_environment

LIBRARY = """
from numba import njit

@njit
def half(x):
    return x / 2

@njit
def twice(x):
    return x * 2

@njit
def sums(x):
    return half(x) + twice(x)

@njit
def less(x):
    return x - 1
"""
PRELUDE = """
import json, sys
import aotnb

def told(**values):
    status = aotnb.status()
    values["compiled"] = [c.function for c in aotnb.session.compiled()]
    values["served"] = [s.function for s in status.served]
    print(json.dumps(values))

import aotnb.session
"""


class Folder:
    """A folder with the library, in which scripts and commands run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, script: str, *words: str) -> subprocess.Popen[str]:
        return self._popen(["-c", PRELUDE + dedent(script), *words])

    def run(self, script: str) -> dict[str, Any]:
        process = self.start(script)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err[-3000:]
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def command(self, *words: str, status: int = 0) -> str:
        process = self._popen(["-m", "aotnb", *words])
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, err
        return out if status == 0 else err

    def _popen(self, words: list[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        env = clean_environment(self.path)
        return subprocess.Popen([sys.executable, *words], cwd=self.path, env=env, stdout=pipe, stderr=pipe, text=True)

    @property
    def files(self) -> list[str]:
        return sorted(name for name in os.listdir(self.path) if name.startswith("nb.aot"))


USE_ALL = """
loaded = aotnb.load("nb.aot")
import lib
told(answers=[lib.half(3), lib.twice(3), lib.twice(1.5), lib.sums(2.0), lib.less(9)], records=len(loaded.journal),
     problems=loaded.journal_problems)
"""
ANSWERS = [1.5, 6, 3.0, 5.0, 8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder with an image of ``half``, and a journal to which two processes added at once, and a third later."""
    folder = Folder(tmp_path_factory.mktemp("journal"))
    (folder.path / "lib.py").write_text(LIBRARY)
    folder.run("with aotnb.trace():\n    import lib\n    lib.half(3)\naotnb.save('nb.aot')\ntold()")
    adds = """
    aotnb.load("nb.aot")
    import lib
    for word in sys.argv[1:]:
        eval(word, vars(lib))
        saved = aotnb.save("nb.aot", journal=True)
    told(path=saved.path, entries=saved.entries)
    """
    both = [folder.start(adds, "half(3), twice(3)", "twice(1.5)"), folder.start(adds, "less(9)")]
    said = [json.loads(process.communicate(timeout=300)[0].splitlines()[-1]) for process in both]
    assert said[0] == {"path": "nb.aot.journal", "entries": 1, "compiled": ["twice", "twice"], "served": ["half"]}
    assert said[1] == {"path": "nb.aot.journal", "entries": 1, "compiled": ["less"], "served": []}
    process = folder.start(adds, "sums(2.0)")  # calls one function of a record, and one that is nowhere for this type
    last = json.loads(process.communicate(timeout=300)[0].splitlines()[-1])
    # twice comes along from another record, so that this one is whole without it
    assert last == {"path": "nb.aot.journal", "entries": 2, "compiled": ["sums", "half"], "served": []}
    return folder


def copy_of(folder: Folder, path: Path) -> Folder:
    for name in (*folder.files, "lib.py"):
        (path / name).write_bytes((folder.path / name).read_bytes())
    os.symlink(folder.path / "home", path / "home")  # with the key of the user
    return Folder(path)


def test_what_all_processes_compiled_is_served(folder: Folder) -> None:
    found = folder.run(USE_ALL)
    assert found == {"answers": ANSWERS, "records": 4, "problems": [], "compiled": [], "served": found["served"]}
    assert sorted(found["served"]) == ["half", "less", "sums", "twice", "twice"]


def test_the_commands_read_the_journal(folder: Folder) -> None:
    described = json.loads(folder.command("inspect", "--json", "nb.aot"))
    assert [[entry["function"] for entry in record["entries"]] for record in described["journal"]].count(["twice"]) == 2
    assert "of its journal: 1 entry" in folder.command("inspect", "nb.aot")
    assert folder.command("verify", "nb.aot") == "nb.aot is sound\n"


def test_compaction_gives_one_smaller_file_with_the_same_answers(folder: Folder, tmp_path: Path) -> None:
    own = copy_of(folder, tmp_path)
    before = sum((own.path / name).stat().st_size for name in own.files)
    said = own.command("compact", "nb.aot")
    assert said.startswith("nb.aot: 5 entries, ")
    assert own.files == ["nb.aot"]
    assert (own.path / "nb.aot").stat().st_size < before
    found = own.run(USE_ALL)
    assert (found["answers"], found["records"], found["compiled"]) == (ANSWERS, 0, [])


def test_a_killed_writer_costs_nothing_that_was_there(folder: Folder, tmp_path: Path) -> None:
    own = copy_of(folder, tmp_path)
    journal = own.path / "nb.aot.journal"
    journal.write_bytes(journal.read_bytes()[:-7])  # of the last record, sums, 7 bytes had not reached the disk
    found = own.run(USE_ALL)
    assert (found["answers"], found["records"], found["problems"], found["compiled"]) == (ANSWERS, 3, [], ["sums", "half"])


def test_a_damaged_record_is_told_and_the_rest_is_served(folder: Folder, tmp_path: Path) -> None:
    own = copy_of(folder, tmp_path)
    journal = own.path / "nb.aot.journal"
    data = bytearray(journal.read_bytes())
    data[200] ^= 1
    journal.write_bytes(data)
    found = own.run(USE_ALL)
    assert (found["answers"], found["records"]) == (ANSWERS, 3)
    assert found["problems"] == ["nb.aot.journal is damaged: the record at byte 0 does not match its checksum"]
    assert "does not match its checksum" in own.command("verify", "nb.aot", status=1)


def test_a_save_in_place_of_the_image_ends_its_journal(folder: Folder, tmp_path: Path) -> None:
    own = copy_of(folder, tmp_path)
    own.run("with aotnb.trace():\n    import lib\n    lib.half(3)\naotnb.save('nb.aot')\ntold()")
    assert own.files == ["nb.aot"]
    assert own.run(USE_ALL)["compiled"] != []


def test_an_edit_ends_a_record_as_it_ends_an_entry(folder: Folder, tmp_path: Path) -> None:
    own = copy_of(folder, tmp_path)
    (own.path / "lib.py").write_text(LIBRARY.replace("x * 2", "x * 3"))
    found = own.run(USE_ALL)
    assert found["answers"] == [1.5, 9, 4.5, 7.0, 8]
    assert sorted(found["served"]) == ["half", "less"]


def test_bad_input_is_one_sentence(folder: Folder, tmp_path: Path) -> None:
    said = folder.run(
        """
        from aotnb.errors import AotError
        said = []
        def attempt(act):
            try:
                act()
            except AotError as error:
                said.append(str(error))
        attempt(lambda: aotnb.save("none.aot", journal=True))
        attempt(lambda: aotnb.compact("none.aot"))
        aotnb.load("nb.aot")
        attempt(lambda: aotnb.save("nb.aot", journal=True))
        told(said=said)
        """
    )["said"]
    assert [text.partition(";")[0].partition(":")[0] for text in said] == [
        "there is no image none.aot to which a journal could belong",
        "there is no image none.aot",
        "there is nothing to add to nb.aot.journal",
    ]
    assert folder.files == ["nb.aot", "nb.aot.journal"]
    assert "there is no image" in folder.command("compact", "none.aot", status=1)


def test_processes_that_record_to_one_path_at_once_lose_nothing(tmp_path: Path) -> None:
    """Without an image at first: whoever ends later adds to what the others wrote."""
    own = Folder(tmp_path)
    (own.path / "lib.py").write_text(LIBRARY)
    env = clean_environment(own.path) | {"AOTNB_IMAGE": "nb.aot", "AOTNB_RECORD": "1"}
    wake = "import aotnb.autostart as start\nstart.start_from_environment()\nimport numba, lib\n"
    calls = ["lib.half(3)", "lib.twice(3), lib.twice(1.5)", "lib.less(9), lib.sums(2.0)"]
    processes = [subprocess.Popen([sys.executable, "-c", wake + call], cwd=own.path, env=env) for call in calls]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    assert own.files == ["nb.aot"]
    found = own.run(USE_ALL)
    assert (found["answers"], found["compiled"]) == (ANSWERS, [])
