"""Settings: where they come from, which wins, and what a mistake says."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from aotnb import log, settings
from aotnb.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for setting in settings.SETTINGS.values():
        if setting.variable:
            monkeypatch.delenv(setting.variable, raising=False)
    (tmp_path / "pyproject.toml").write_text("")  # nothing above it is looked at
    monkeypatch.chdir(tmp_path)
    settings.forget()
    yield tmp_path
    settings.forget()


def write(folder: Path, text: str) -> None:
    import os

    path = folder / "pyproject.toml"
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_environment_over_config_over_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.get("link") == "auto"
    write(folder, "[tool.aotnb]\nlink = 'cc'\ncheck = false\nquiet = true\n")
    assert (settings.get("link"), settings.get("check"), settings.get("quiet")) == ("cc", False, True)
    settings.configure("link", "zig")
    assert settings.get("link") == "zig"
    monkeypatch.setenv("AOTNB_LINK", "in-process")
    assert settings.get("link") == "in-process"
    monkeypatch.setenv("AOTNB_WORLDS", "1")
    assert settings.get("check") is True
    monkeypatch.setenv("AOTNB_WORLDS", "0")
    settings.configure("check", True)
    assert settings.get("check") is False


def test_an_image_is_beside_its_project_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "[tool.aotnb]\nimage = 'a.aot'\n")
    (folder / "notebooks").mkdir()
    monkeypatch.chdir(folder / "notebooks")
    assert settings.get("image") == str(folder / "a.aot")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.aotnb]\nimages = 'a'\n", "unknown key 'images'; known are image, link"),
        ("[tool.aotnb]\ncheck = 'no'\n", "check in .tool.aotnb. is 'no'; it must be true or false"),
        ("[tool.aotnb]\nlink = 1\n", "it must be a string"),
        ("[tool.aotnb\n", "cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(folder: Path, text: str, words: str) -> None:
    write(folder, text)
    with pytest.raises(ConfigError, match=words) as raised:
        settings.get("quiet")
    assert "\n" not in str(raised.value)


def test_log_levels_and_files(folder: Path) -> None:
    before = list(log.logger.handlers)
    try:
        log.set_up("info:here.txt")
        logging.getLogger("aotnb").info("a line")
        logging.getLogger("aotnb").debug("no line")
        log.set_up("debug:there.txt")
        logging.getLogger("aotnb").debug("another")
    finally:
        log.set_up("")
    assert (folder / "here.txt").read_text().endswith("INFO a line\n")
    assert (folder / "there.txt").read_text().count("\n") == 1
    assert log.logger.handlers == before
    for wrong in ("loud", "info:/nowhere/at/all"):
        with pytest.raises(ConfigError):
            log.set_up(wrong)
    assert log.logger.handlers == before
