"""The journal of an image: a write-ahead log beside it, to which processes append what they compiled after the load.

``F.aot.journal`` holds records, each a whole small image with its own seal. Appending writes one record at the end under a
lock and never touches what is there, so several processes may append, and a killed one costs at most its own record.
The next load takes the image and then the records; compaction folds them into the image and removes the file.

======  ==========================================
bytes   content of a record
======  ==========================================
8       ``AOTNBLOG``
8       length of the image that follows
32      its SHA-256
length  the image, as :mod:`aotnb.image.format` has it
======  ==========================================

A reader looks at the journal first and at the image second: if a compaction comes between the two, it has the records
twice, which does no harm.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from aotnb.errors import BuildError
from aotnb.image.format import replacing

MAGIC = b"AOTNBLOG"
_HEAD = struct.Struct("<8sQ32s")


@dataclass(slots=True)
class Journal:
    """What a journal holds: the images in it, where the last whole record ends, and a sentence for each damage."""

    path: Path
    records: list[bytes] = field(default_factory=list)
    end: int = 0
    problems: list[str] = field(default_factory=list)
    broken: bool = False  # what stands after the last record is none


def journal_of(image: Path) -> Path:
    """Return where the journal of *image* is, or would be."""
    return Path(f"{image}.journal")


def read_journal(image: Path) -> Journal:
    """Read the journal of *image*; one that is not there has no records.

    A record whose bytes are damaged is left out and told; an incomplete one at the end, of a writer that was killed or
    is still at work, is no damage.
    """
    path = journal_of(image)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Journal(path)
    except OSError as error:
        return Journal(path, problems=[f"the journal {path} cannot be read: {error.strerror or error}"])
    return _parse(path, data)


def _parse(path: Path, data: bytes) -> Journal:
    journal = Journal(path)
    while len(data) - journal.end >= _HEAD.size:
        magic, length, checksum = _HEAD.unpack_from(data, journal.end)
        start = journal.end + _HEAD.size
        if magic != MAGIC:
            journal.broken = any(data[journal.end :])  # zeros are what a machine that lost its power may leave of a write
            if journal.broken:
                journal.problems.append(f"{path} is damaged from byte {journal.end} on: no record begins there")
            break
        if length > len(data) - start:
            break
        record = data[start : start + length]
        if hashlib.sha256(record).digest() == checksum:
            journal.records.append(record)
        else:
            journal.problems.append(f"{path} is damaged: the record at byte {journal.end} does not match its checksum")
        journal.end = start + length
    return journal


@contextlib.contextmanager
def locked(image: Path) -> Iterator[BinaryIO]:
    """Hold the journal of *image* against all other writers of either; a journal without records is removed at the end.

    Raises
    ------
    BuildError
        If it cannot be made or opened.
    """
    path = journal_of(image)
    while True:
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        except OSError as error:
            raise _cannot_write(path, error) from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, path):  # it was removed or replaced while this process waited
                continue
            try:
                yield file
            finally:
                if _is_at(file, path) and os.fstat(file.fileno()).st_size == 0:
                    path.unlink()
            return


def _is_at(file: BinaryIO, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def append(file: BinaryIO, path: Path, record: bytes) -> None:
    """Write *record* after the last whole one of a :func:`locked` journal, and have it on the disk."""
    file.seek(0)
    journal = _parse(path, file.read())
    if journal.broken:
        raise BuildError(f"{journal.problems[-1]}; move it away or remove it")
    try:
        file.truncate(journal.end)
        file.seek(journal.end)
        file.write(framed(record))
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            file.truncate(journal.end)
        raise _cannot_write(path, error) from None


def framed(record: bytes) -> bytes:
    """Return *record* with its head."""
    return _HEAD.pack(MAGIC, len(record), hashlib.sha256(record).digest()) + record


def keep_only(file: BinaryIO, path: Path, records: Sequence[bytes]) -> None:
    """Make *records* all that a :func:`locked` journal holds."""
    if not records:
        file.truncate(0)
        return
    with replacing(path) as new:
        new.writelines(framed(record) for record in records)


def _cannot_write(path: Path, error: OSError) -> BuildError:
    return BuildError(f"cannot write {path}: {error.strerror or error}; choose a folder that can be written to")
