"""Linkers: what they are called with, what an object may leave open, and what a loader does about a name that is nowhere."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aotnb.bridge.codegen import TABLE, emit_text, table_text
from aotnb.bridge.environment import host_cpu
from aotnb.building.link import LINKERS, choose, find_linkers, link_with
from aotnb.cli.main import LINKS
from aotnb.core.elf import open_names, symbols
from aotnb.errors import BuildError, ImageRejected, LinkError
from aotnb.image.format import PARTS, ImageFile, dump_json, publish
from aotnb.image.reader import ImageReader
from aotnb.image.trust import user_key


@pytest.fixture(scope="module", autouse=True)
def hooks() -> Iterator[None]:
    """Take the hooks out again, if these tests put them in."""
    from aotnb import session

    active = session.is_active()
    yield
    if not active:
        session.deactivate()


CALLS = """
declare double @{name}(double)
define hidden double @f(double %x) {{
  %y = call double @{name}(double %x)
  ret double %y
}}
"""


def objects(name: str) -> list[bytes]:
    """A function that calls *name*, and the table of an image with that one entry."""
    cpu, features = host_cpu()
    return [emit_text(CALLS.format(name=name), cpu, features), emit_text(table_text([], {}, ["f"], ["f"]), cpu, features)]


def test_an_object_tells_what_it_leaves_open() -> None:
    unit, table = objects("nowhere")
    assert {s.name: (s.defined, s.is_function) for s in symbols(unit) if s.name in ("f", "nowhere")} == {
        "f": (True, True),
        "nowhere": (False, False),
    }
    assert open_names([unit, table]) == ["nowhere"]
    assert open_names([table]) == ["f"]
    with pytest.raises(ValueError, match="ELF"):
        list(symbols(b"\x7fELF\x01\x01" + bytes(100)))


@pytest.mark.parametrize("linker", LINKERS)
def test_a_name_that_is_nowhere_is_an_error_of_the_build(linker: str) -> None:
    with pytest.raises(BuildError, match="the code calls nowhere, which neither"):
        link_with(objects("nowhere"), [linker])


@pytest.mark.parametrize("linker", [name for name in LINKERS if name != "in-process"])
def test_a_linked_library_needs_what_the_code_calls_and_shows_only_its_table(linker: str) -> None:
    if linker not in find_linkers():
        pytest.skip(f"there is no {linker} here")
    linked = link_with(objects("cbrt"), [linker])
    found = list(symbols(linked.native, dynamic=True))
    assert linked.imports == [s.name for s in found if not s.defined] == ["cbrt"]
    assert [s.name for s in found if s.defined and s.size] == [TABLE]
    assert linked.linker == linker
    assert "-shared" in linked.command
    assert Path(linked.command.split()[0]).exists()
    # names of hidden functions stay for those who look at running code
    assert [s.name for s in symbols(linked.native) if s.is_function and s.defined] == ["f"]


def test_what_auto_means_is_for_the_environment_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LINKS == ("auto", *LINKERS)
    assert choose("auto") == [*find_linkers(), "in-process"]
    monkeypatch.setenv("AOTNB_LINK", "in-process")
    assert choose("auto") == ["in-process"]
    monkeypatch.setenv("AOTNB_LINK", "gold")
    with pytest.raises(LinkError, match="AOTNB_LINK asks for unknown linker 'gold'; choose one of auto, cc"):
        choose("auto")
    assert choose("in-process") == ["in-process"]
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("AOTNB_LINK", "ld.lld")
    with pytest.raises(LinkError, match=r"AOTNB_LINK asks for ld\.lld, which is not there; install"):
        choose("auto")


def test_the_command_is_shown_on_request(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    linker = next(iter(find_linkers()), None)
    if linker is None:
        pytest.skip("there is no linker here")
    link_with(objects("cbrt"), [linker])
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("AOTNB_VERBOSE_LINKING", "1")
    linked = link_with(objects("cbrt"), [linker])
    assert capfd.readouterr().err == linked.command + "\n"


def changed(image: Path, **parts: bytes) -> Path:
    """*image* with other parts, under a seal of its own."""
    file = ImageFile(image)
    publish(image, {name: parts.get(name, bytes(file.part(name))) for name in PARTS}, user_key())
    return image


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image for the in-process linker, and its key."""
    import numba

    import aotnb

    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AOTNB_HOME", str(folder / "home"))
        with aotnb.trace() as trace:
            numba.njit(lambda x: x + 1)(1)
        aotnb.save(folder / "image.aot", trace, link="in-process")
    return folder


@pytest.fixture
def image(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AOTNB_HOME", str(made / "home"))
    return Path(shutil.copy(made / "image.aot", tmp_path))


def test_objects_that_need_what_this_process_lacks_are_refused_before_they_are_placed(image: Path) -> None:
    import aotnb

    index = ImageReader(image).index
    unit, _ = objects("nowhere")
    changed(image, index=dump_json({**index, "imports": ["nowhere"]}), objects=len(unit).to_bytes(8, "little") + unit)
    with pytest.raises(ImageRejected, match="needs nowhere, which this process does not provide") as refused:
        aotnb.load(image)
    assert refused.value.reason == "symbol_missing"


def test_a_library_that_needs_what_this_process_lacks_is_refused_as_a_whole(image: Path, tmp_path: Path) -> None:
    """Also where the linker would have left the name to the first call."""
    import aotnb

    if shutil.which("cc") is None:
        pytest.skip("there is no cc here")
    for name, data in zip(("unit.o", "table.o"), objects("nowhere"), strict=True):
        (tmp_path / name).write_bytes(data)
    subprocess.run(["cc", "-nostdlib", "-shared", "-Wl,-z,lazy", "-o", "lazy.so", "unit.o", "table.o"], cwd=tmp_path, check=True)
    index = ImageReader(image).index
    changed(image, index=dump_json({**index, "linked": "dlopen"}), native=(tmp_path / "lazy.so").read_bytes())
    with pytest.raises(ImageRejected, match="nowhere") as refused:
        aotnb.load(image)
    assert refused.value.reason == "symbol_missing"
