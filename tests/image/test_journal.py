"""The write-ahead log as bytes: whole records survive whatever happens to the last one, and to other writers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aotnb.errors import BuildError
from aotnb.image.journal import append, framed, journal_of, keep_only, locked, read_journal


def write(image: Path, *records: bytes) -> None:
    for record in records:
        with locked(image) as file:
            append(file, journal_of(image), record)


def test_records_come_back_in_their_order(tmp_path: Path) -> None:
    image = tmp_path / "nb.aot"
    write(image, b"one", b"", b"three")
    journal = read_journal(image)
    assert (journal.records, journal.problems) == ([b"one", b"", b"three"], [])
    assert journal.end == journal.path.stat().st_size


def test_no_journal_has_no_records(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "nb.aot").records == []


@settings(max_examples=60)
@given(records=st.lists(st.binary(max_size=40), min_size=1, max_size=4), data=st.data())
def test_a_tear_costs_what_was_torn_and_the_next_record_follows(
    records: list[bytes], data: st.DataObject, tmp_path_factory
) -> None:
    """A writer is killed after any number of bytes: the records before are whole, and the next writer goes on from there."""
    image = tmp_path_factory.mktemp("torn") / "nb.aot"
    whole = b"".join(map(framed, records))
    cut = data.draw(st.integers(0, len(whole)))
    journal_of(image).write_bytes(whole[:cut])
    ends = [sum(len(framed(record)) for record in records[: n + 1]) for n in range(len(records))]
    kept = records[: sum(end <= cut for end in ends)]
    assert (read_journal(image).records, read_journal(image).problems) == (kept, [])
    write(image, b"next")
    assert read_journal(image).records == [*kept, b"next"]


def test_zeros_after_a_power_failure_are_a_tear(tmp_path: Path) -> None:
    image = tmp_path / "nb.aot"
    journal_of(image).write_bytes(framed(b"one") + bytes(500))
    assert (read_journal(image).records, read_journal(image).problems) == ([b"one"], [])
    write(image, b"two")
    assert read_journal(image).records == [b"one", b"two"]


def test_a_damaged_record_is_told_and_costs_itself_only(tmp_path: Path) -> None:
    image = tmp_path / "nb.aot"
    write(image, b"one", b"two", b"three")
    data = bytearray(journal_of(image).read_bytes())
    data[data.index(b"two")] ^= 1
    journal_of(image).write_bytes(data)
    journal = read_journal(image)
    assert journal.records == [b"one", b"three"]
    assert journal.problems == [
        f"{journal.path} is damaged: the record at byte {len(framed(b'one'))} does not match its checksum"
    ]


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    image = tmp_path / "nb.aot"
    text = b"my notes, which are longer than the head of a record would be, all of it text\n"
    journal_of(image).write_bytes(text)
    assert "no record begins there" in read_journal(image).problems[0]
    with pytest.raises(BuildError, match="move it away or remove it"):
        write(image, b"one")
    assert journal_of(image).read_bytes() == text


def test_an_empty_journal_is_removed(tmp_path: Path) -> None:
    image = tmp_path / "nb.aot"
    with locked(image):
        assert journal_of(image).exists()
    assert not journal_of(image).exists()
    write(image, b"one", b"two")
    with locked(image) as file:
        keep_only(file, journal_of(image), [b"two"])
    assert read_journal(image).records == [b"two"]
    with locked(image) as file:
        keep_only(file, journal_of(image), [])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(BuildError, match=r"cannot write .*nb\.aot\.journal: No such file or directory"),
        locked(tmp_path / "no" / "nb.aot"),
    ):
        pass


WRITER = """
import sys
from pathlib import Path
from aotnb.image.journal import append, journal_of, locked
image, mark = Path(sys.argv[1]), sys.argv[2]
for number in range(int(sys.argv[3])):
    with locked(image) as file:
        append(file, journal_of(image), f"{mark}{number}".encode() * 1000)
"""
COMPACTOR = """
import sys
from pathlib import Path
from aotnb.image.journal import journal_of, keep_only, locked, read_journal
image, taken = Path(sys.argv[1]), 0
while taken < int(sys.argv[2]):
    with locked(image) as file:
        records = read_journal(image).records
        with open(image, "ab") as out:
            for record in records:
                out.write(record[: len(record) // 1000] + b"\\n")
        keep_only(file, journal_of(image), [])
    taken += len(records)
"""


def test_writers_and_a_compaction_at_once_lose_nothing(tmp_path: Path) -> None:
    image = tmp_path / "nb.aot"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(image), mark, "40"]) for mark in "abc"]
    compactor = subprocess.Popen([sys.executable, "-c", COMPACTOR, str(image), "120"])
    assert [process.wait(120) for process in (*writers, compactor)] == [0, 0, 0, 0]
    assert sorted(image.read_bytes().split()) == sorted(f"{mark}{number}".encode() for mark in "abc" for number in range(40))
    assert not journal_of(image).exists()


def test_a_writer_that_is_killed_costs_its_own_record_at_most(tmp_path: Path) -> None:
    image = tmp_path / "nb.aot"
    for mark in "abcd":
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(image), mark, "100000"])
        while sum(record.startswith(mark.encode()) for record in read_journal(image).records) < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    write(image, b"last")
    journal = read_journal(image)
    assert journal.problems == [] and journal.records[-1] == b"last"
    for mark in "abcd":
        own = [record for record in journal.records if record.startswith(mark.encode())]
        assert own == [f"{mark}{number}".encode() * 1000 for number in range(len(own))] and len(own) >= 5
