"""Archives that standard tools list."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aotnb.building.archive import archive, check_emit
from aotnb.errors import BuildError


def members_of(data: bytes) -> dict[str, bytes]:
    """Read an archive, by the description of the format."""
    assert data[:8] == b"!<arch>\n"
    place, found = 8, {}
    while place < len(data):
        head = data[place : place + 60].decode()
        assert head.endswith("`\n")
        size = int(head[48:58])
        found[head[:16].rstrip().rstrip("/")] = data[place + 60 : place + 60 + size]
        place += 60 + size + size % 2
    return found


@given(st.lists(st.binary(max_size=50), max_size=12))
def test_members_are_read_as_written(bodies: list[bytes]) -> None:
    members = {f"unit{number}.bc": body for number, body in enumerate(bodies)}
    assert members_of(archive(members)) == members


@pytest.mark.skipif(shutil.which("ar") is None, reason="there is no ar here")
def test_ar_lists_them(tmp_path: Path) -> None:
    file = tmp_path / "some.a"
    file.write_bytes(archive({"unit0.s": b"odd", "unit1.s": b"even"}))
    assert subprocess.check_output(["ar", "t", file], text=True).split() == ["unit0.s", "unit1.s"]
    assert subprocess.check_output(["ar", "p", file, "unit0.s"]) == b"odd"


def test_unknown_kinds_are_refused() -> None:
    check_emit(["native", "object", "bitcode", "assembly"])
    with pytest.raises(BuildError, match="'wasm' is nothing that can be emitted; choose among native, object"):
        check_emit(["object", "wasm"])
