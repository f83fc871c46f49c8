"""The container: native library first, then the other parts, then a directory, then a trailer of fixed size.

=========  ==========================================================================================================
part       content
=========  ==========================================================================================================
native     linked shared library, from offset 0, so that it can be mapped as it is (empty when linked at load)
objects    object files for the in-process linker, each with its length in front (empty when linked ahead)
units      compiled units by key, for later saves that add to the image, and their functions; read by no load
code       raw IR of every library, each by itself (see :mod:`aotnb.image.code`): read only when a caller compiles
index      JSON: environment, questions and where their answers are; all that a load reads
instances  JSON of each code instance by itself: read when its entry is first asked for
roots      JSON of the roots of each method by itself
directory  JSON: offset, length and SHA-256 of each part
trailer    magic, format version, offset and length of the directory, its SHA-256, and an HMAC over all of these
=========  ==========================================================================================================

A reader decides on magic and version before it reads anything else. A part is checked when it is first read.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from aotnb.errors import BuildError, ImageRejected
from aotnb.image.model import FORMAT_VERSION

MAGIC = b"AOTNBIMG"
_TRAILER = struct.Struct("<8sI4xQQ32s32s")
PARTS = ("native", "objects", "units", "code", "index", "instances", "roots")


def dump_json(tree: Any) -> bytes:
    """Return the one serialisation of *tree* that images use."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()


def sealed(parts: dict[str, bytes], key: bytes) -> bytes:
    """Return an image with these parts and the seal of *key*, as the bytes of its file."""
    directory, offset = {}, 0
    for name in PARTS:
        data = parts[name]
        directory[name] = [offset, len(data), hashlib.sha256(data).hexdigest()]
        offset += len(data)
    listing = dump_json(directory)
    return b"".join([*(parts[name] for name in PARTS), listing, _seal(offset, listing, key)])


def publish(path: Path, parts: dict[str, bytes], key: bytes) -> int:
    """Write an image: temporary file beside *path*, fsync, rename. Return its size; on failure nothing is left behind."""
    image = sealed(parts, key)
    try:
        with replacing(path) as file:
            file.write(image)
    except OSError as error:
        raise BuildError(f"cannot write {path}: {error.strerror or error}; choose a folder that can be written to") from None
    return len(image)


def _seal(offset: int, listing: bytes, key: bytes) -> bytes:
    checksum = hashlib.sha256(listing).digest()
    head = struct.pack("<8sI4xQQ32s", MAGIC, FORMAT_VERSION, offset, len(listing), checksum)
    return _TRAILER.pack(MAGIC, FORMAT_VERSION, offset, len(listing), checksum, hmac.digest(key, head, "sha256"))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside *path* that takes its place when all went well, and is removed otherwise."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class ImageFile:
    """An image that has been opened: its bytes are read once, so what was verified is what is used.

    *data* is the image itself where it is a record of the journal at *path*.
    """

    def __init__(self, path: Path, data: bytes | None = None) -> None:
        self.path = path
        self.image = path if data is None else path.with_suffix("")  # what to name to a user
        self._data = memoryview(_read(path) if data is None else data)
        if len(self._data) < _TRAILER.size:
            raise ImageRejected(
                "malformed", f"{path} is not an aotnb image; give a file that %aot_save or `aotnb run --record` wrote"
            )
        magic, version, offset, length, checksum, seal = _TRAILER.unpack(self._data[-_TRAILER.size :])
        if magic != MAGIC:
            raise ImageRejected(
                "malformed", f"{path} is not a whole aotnb image; give a file that %aot_save or `aotnb run --record` wrote"
            )
        if version != FORMAT_VERSION:
            raise ImageRejected(
                "format_version", f"{path} has format {version}, this aotnb reads format {FORMAT_VERSION}; save it again"
            )
        listing = self._data[offset : offset + length]
        if offset + length + _TRAILER.size != len(self._data) or hashlib.sha256(listing).digest() != checksum:
            raise ImageRejected("checksum", f"{path} is damaged (its directory does not match its checksum); save it again")
        self._directory: dict[str, list[Any]] = json.loads(bytes(listing))
        self._head, self._seal = bytes(self._data[-_TRAILER.size : -32]), seal
        self._checked: set[str] = set()

    def signed_by(self, key: bytes) -> bool:
        """Return whether the holder of *key* made this image."""
        return hmac.compare_digest(hmac.digest(key, self._head, "sha256"), self._seal)

    def part(self, name: str) -> memoryview:
        """Return a part after checking its checksum (once)."""
        offset, length, checksum = self._directory[name]
        data = self._data[offset : offset + length]
        if name not in self._checked:
            if hashlib.sha256(data).hexdigest() != checksum:
                raise ImageRejected(
                    "checksum", f"{self.path} is damaged (part {name} does not match its checksum); save it again"
                )
            self._checked.add(name)
        return data

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each part, directory and trailer included; the sum is the size of the file."""
        sizes = {name: entry[1] for name, entry in self._directory.items()}
        sizes["directory"] = len(self._data) - _TRAILER.size - sum(sizes.values())
        sizes["trailer"] = _TRAILER.size
        return sizes

    def checksums(self) -> dict[str, str]:
        """Return the SHA-256 of each part as the directory has it."""
        return {name: entry[2] for name, entry in self._directory.items()}

    def parts(self) -> dict[str, bytes]:
        """Return all parts, each checked."""
        return {name: bytes(self.part(name)) for name in PARTS}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageRejected(
            "missing_file", f"there is no image {path}; make one with %aot_save or `aotnb run --record`"
        ) from None
    except IsADirectoryError:
        raise ImageRejected("malformed", f"{path} is a folder; give the image file") from None
    except OSError as error:
        raise ImageRejected("missing_file", f"{path} cannot be read: {error.strerror or error}") from None
