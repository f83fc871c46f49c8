"""The image file: what was written is read back; what is damaged, foreign or no image is refused before it is used."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aotnb.core.targets import Target
from aotnb.errors import AotError, BuildError, ImageRejected
from aotnb.image.format import MAGIC, PARTS, ImageFile, dump_json, publish
from aotnb.image.reader import ImageReader, describe, trust, verify
from aotnb.image.trust import key_path, user_key

KEY = b"k" * 32
INDEX = {
    "image_id": "0" * 32,
    "process": dict.fromkeys(["numba", "llvmlite", "llvm", "numpy", "python", "os", "machine"], "1"),
    "targets": [Target("generic", "x86-64", "", ()).tree()],
    "clones": {},
    "table": [],
    "slots": {},
    "linked": "in-process",
    "imports": [],
    "frozen": {},
    "summaries": {},
    "bases": [],
    "created_by": "a test",
    "units": 0,
    "instances": [],
    "dropped": [],
}
SMALL = {
    "native": b"\x7fELF" + bytes(range(60)),
    "objects": b"",
    "units": b"\x02" + bytes(7) + b"[]",
    "code": b"c" * 40,
    "index": dump_json(INDEX),
    "instances": b"[]",
    "roots": b"{}",
}
TRAILER = 96  # bytes


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key of this test's own."""
    monkeypatch.setenv("AOTNB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small image that the holder of KEY made."""
    path = tmp_path_factory.mktemp("image") / "small.aot"
    assert publish(path, SMALL, KEY) == path.stat().st_size
    return path.read_bytes()


def accepted(path: Path) -> dict[str, bytes] | None:
    """Return every part of the image if it is accepted as made by KEY, None if it is refused in the documented way."""
    try:
        file = ImageFile(path)
        if not file.signed_by(KEY):
            return None
        return {name: bytes(file.part(name)) for name in PARTS}
    except ImageRejected:
        return None


# ---- round trip -----------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.fixed_dictionaries({name: st.binary(max_size=300) for name in PARTS}))
def test_parts_are_read_as_written(tmp_path: Path, parts: dict[str, bytes]) -> None:
    path = tmp_path / "some.aot"
    size = publish(path, parts, KEY)
    assert accepted(path) == parts
    sizes = ImageFile(path).sizes()
    assert {name: sizes[name] for name in PARTS} == {name: len(data) for name, data in parts.items()}
    assert sum(sizes.values()) == path.stat().st_size == size
    assert path.read_bytes().startswith(parts["native"])  # mapped as it is, from offset 0
    assert os.listdir(tmp_path) == ["some.aot"]


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        publish(tmp_path / name, SMALL, KEY)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_file_that_was_opened_does_not_change_under_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "small.aot"
    publish(path, SMALL, KEY)
    file = ImageFile(path)
    publish(path, SMALL | {"code": b"other"}, KEY)
    assert bytes(file.part("code")) == SMALL["code"]
    assert bytes(ImageFile(path).part("code")) == b"other"


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        publish(tmp_path / "small.aot", SMALL, KEY)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "small.aot").stat().st_mode) == 0o640


# ---- damage ---------------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_truncated_image_is_refused(tmp_path: Path, image: bytes, data: st.DataObject) -> None:
    path = tmp_path / "short.aot"
    path.write_bytes(image[: data.draw(st.integers(0, len(image) - 1))])
    with pytest.raises(ImageRejected) as caught:
        ImageFile(path)
    assert caught.value.reason in ("malformed", "checksum")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200))
def test_an_image_with_something_behind_it_is_refused(tmp_path: Path, image: bytes, rest: bytes) -> None:
    path = tmp_path / "long.aot"
    path.write_bytes(image + rest)
    with pytest.raises(ImageRejected):
        ImageFile(path)


def test_every_flipped_bit_is_refused(tmp_path: Path, image: bytes) -> None:
    """Each byte counts, the padding in the trailer included, and nothing but ImageRejected may be raised."""
    path = tmp_path / "flipped.aot"
    for offset in range(len(image)):
        path.write_bytes(image[:offset] + bytes([image[offset] ^ (1 << offset % 8)]) + image[offset + 1 :])
        assert accepted(path) is None, f"byte {offset} was changed, and the image is accepted"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(min_size=TRAILER, max_size=TRAILER))
def test_any_trailer_is_survived(tmp_path: Path, image: bytes, trailer: bytes) -> None:
    path = tmp_path / "trailer.aot"
    whole = MAGIC + struct.pack("<I", 1) + trailer[12:]
    for end in (trailer, whole):
        path.write_bytes(image[:-TRAILER] + end)
        assert accepted(path) is None


def test_a_directory_that_was_written_anew_needs_the_key(tmp_path: Path, image: bytes) -> None:
    """Whoever can compute checksums can change a part; only the seal tells."""
    path = tmp_path / "forged.aot"
    publish(path, SMALL | {"native": b"evil"}, b"another key" * 3)
    assert bytes(ImageFile(path).part("native")) == b"evil"
    assert not ImageFile(path).signed_by(KEY)


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_part_is_named(tmp_path: Path, part: str) -> None:
    path = tmp_path / "small.aot"
    parts = SMALL | {"objects": b"not empty"}
    publish(path, parts, user_key())
    sizes = ImageFile(path).sizes()
    offset = sum(sizes[name] for name in PARTS[: PARTS.index(part)])
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    problems = verify(path)
    assert len(problems) == 1
    assert f"part {part} does not match" in problems[0]


# ---- what is no image of ours ---------------------------------------------------------------------------------------


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(ImageRejected) as caught:
        ImageReader(path)
    assert caught.value.__context__ is None or caught.value.__suppress_context__  # one sentence, no chain of tracebacks
    return caught.value.reason, str(caught.value)


def test_missing(tmp_path: Path) -> None:
    reason, text = refusal(tmp_path / "none.aot")
    assert reason == "missing_file"
    assert "there is no image" in text
    assert str(tmp_path / "none.aot") in text


def test_missing_folder_and_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "none" / "x.aot")[0] == "missing_file"
    assert refusal(tmp_path / "file" / "x.aot")[0] in ("missing_file", "malformed")


def test_directory(tmp_path: Path) -> None:
    reason, text = refusal(tmp_path)
    assert reason == "malformed"
    assert "is a folder" in text


@pytest.mark.parametrize("content", [b"", b"x", b"print('hello')\n" * 100, b"\0" * 4096, MAGIC, MAGIC * 100])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.aot"
    path.write_bytes(content)
    assert refusal(path)[0] in ("malformed", "format_version", "checksum")


def test_another_format_version_is_told_before_anything_is_read(tmp_path: Path, image: bytes) -> None:
    path = tmp_path / "future.aot"
    path.write_bytes(b"whatever" + MAGIC + struct.pack("<I", 99) + b"?" * (TRAILER - 12))
    reason, text = refusal(path)
    assert reason == "format_version"
    assert "format 99" in text
    assert "save it again" in text


def test_an_image_of_somebody_else_until_it_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "theirs.aot"
    publish(path, SMALL, KEY)
    assert describe(path)["trusted"] is False
    (problem,) = verify(path)
    assert f"aotnb trust {path}" in problem
    trust(path)
    assert describe(path)["trusted"] is True
    assert verify(path) == []
    assert {name: bytes(ImageFile(path).part(name)) for name in PARTS} == SMALL


def test_a_damaged_image_cannot_be_trusted(tmp_path: Path, image: bytes) -> None:
    path = tmp_path / "theirs.aot"
    damaged = b"X" + image[1:]
    path.write_bytes(damaged)
    with pytest.raises(ImageRejected, match="part native"):
        trust(path)
    assert path.read_bytes() == damaged


# ---- writing that fails ---------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(BuildError, match=r"cannot write .*choose a folder"):
        publish(tmp_path / "file" / "small.aot", SMALL, KEY)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    target = tmp_path / "small.aot"
    target.mkdir()
    with pytest.raises(BuildError):
        publish(target, SMALL, KEY)
    assert os.listdir(tmp_path) == ["small.aot"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from aotnb.errors import BuildError
from aotnb.image.format import PARTS, publish
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    publish(Path(sys.argv[1]), {name: b"x" * 3000 for name in PARTS}, b"k" * 32)
except BuildError as error:
    print(error)
"""


def test_the_old_image_survives_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "small.aot"
    publish(path, SMALL, KEY)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {path}: File too large")
    assert accepted(path) == SMALL
    assert os.listdir(tmp_path) == ["small.aot"]  # nothing is left behind


# ---- the key --------------------------------------------------------------------------------------------------------


def test_the_key_is_for_this_user_only(home: Path) -> None:
    key = user_key()
    assert key_path() == home / "image.key"
    assert stat.S_IMODE(key_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert len(key) == 32
    assert user_key() == key
    assert os.listdir(home) == ["image.key"]


def test_the_key_lies_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AOTNB_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert key_path() == tmp_path / "data" / "aotnb" / "image.key"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_path() == tmp_path / ".local" / "share" / "aotnb" / "image.key"


@pytest.mark.parametrize("content", [b"", b"k" * 31, b"k" * 33])
def test_a_damaged_key_is_no_key(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "image.key").write_bytes(content)
    with pytest.raises(AotError, match="is damaged; remove it"):
        user_key()


@pytest.mark.parametrize(
    "obstacle",
    [
        "file",
        "file/below",
        "folder",
    ],
)
def test_a_key_that_can_be_neither_read_nor_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "image.key").mkdir(parents=True)
    monkeypatch.setenv("AOTNB_HOME", str(tmp_path / obstacle))
    with pytest.raises(AotError, match="AOTNB_HOME"):
        user_key()


def test_processes_that_make_the_key_at_once_agree(home: Path) -> None:
    """Each waits until its standard input is closed, so that all of them start together."""
    script = "import sys; from aotnb.image.trust import user_key; sys.stdin.read(); print(user_key().hex())"
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    keys = {process.stdout.read().strip() for process in processes if process.stdout is not None}
    assert all(process.wait(60) == 0 for process in processes)
    assert keys == {user_key().hex()}
    assert os.listdir(home) == ["image.key"]
