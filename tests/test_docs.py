"""The reference names everything that is there: magics and their options, commands, variables, settings, columns, public names."""

from __future__ import annotations

import argparse
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import aotnb

ROOT = Path(__file__).resolve().parents[1]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_every_variable_is_on_its_page() -> None:
    read = re.compile(r"""(?:environ(?:\.get)?[\[(]|\bvariable=|, )["'](AOTNB_[A-Z_]+)["']""")
    used = {name for path in (ROOT / "aotnb").rglob("*.py") for name in read.findall(path.read_text(encoding="utf-8"))}
    assert {"AOTNB_IMAGE", "AOTNB_LOG", "AOTNB_HOME", "AOTNB_VERIFY"} <= used
    documented = set(re.findall(r"AOTNB_[A-Z_]+", page("environment.md")))
    assert used - documented == set()
    assert documented - used == set()


def test_every_magic_and_option_is_on_its_page() -> None:
    pytest.importorskip("IPython")
    from aotnb.magics.magics import AotMagics

    text = page("magics.md")
    for kind, names in AotMagics.magics.items():
        for name in names:
            parser = getattr(AotMagics, name).parser
            entry = re.search(rf"^`%%?{name}\b.*?(?=^`%|\Z)", text, re.MULTILINE | re.DOTALL)
            assert entry is not None, (kind, name)
            options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
            told = set(OPTION.findall(entry[0]))
            assert options - told - {"--help", "--quiet"} == set(), name
            assert told - options == set(), name


def test_every_command_and_option_is_on_its_page() -> None:
    from aotnb.cli.main import build_parser

    (commands,) = [action.choices for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    sections = dict(re.findall(r"^## aotnb ([\w, ]+?)$(.*?)(?=^## |\Z)", page("command-line.md"), re.MULTILINE | re.DOTALL))
    told = {name.removeprefix("aotnb ").strip(): text for names, text in sections.items() for name in names.split(",")}
    assert set(told) == set(commands)
    for name, parser in commands.items():
        options = {option for action in parser._actions for option in action.option_strings}
        assert {option for option in options if option.startswith("--")} - set(OPTION.findall(told[name])) == {"--help"}, name
        synopsis = re.search(r"```\n(.*?)```", told[name], re.DOTALL)
        assert synopsis is not None, name
        # what follows the script or the file in an example belongs to that
        assert set(OPTION.findall(synopsis[1])) - options == set(), name


def test_every_reason_is_on_its_page() -> None:
    from aotnb.reports.explain import REASONS

    assert set(re.findall(r"^### (\w+)$", page("reason-codes.md"), re.MULTILINE)) == set(REASONS)


def _described(text: str) -> set[str]:
    """Return the names of columns in a docstring: ``a, b : type`` lines."""
    lines = re.findall(r"^ *(\w+(?:, \w+)*) : \w", text, re.MULTILINE)
    return {name for line in lines for name in line.split(", ")}


@pytest.mark.parametrize(
    ("function", "columns"),
    [
        ("aotnb.display.asked.stragglers", "aotnb.reports.stragglers.COLUMNS"),
        ("aotnb.display.asked.parcel", "aotnb.reports.parcels.COLUMNS"),
        ("aotnb.display.asked.images", "aotnb.reports.shelf.COLUMNS"),
        ("aotnb.display.asked.diff", "aotnb.reports.differences.COLUMNS"),
        ("aotnb.display.asked.roots", "aotnb.reports.roots.ROOT_COLUMNS"),
        ("aotnb.reports.changes.Invalidations.frame", "aotnb.reports.changes.COLUMNS"),
        ("aotnb.reports.frames.compilations", "aotnb.reports.tables.COMPILATION_COLUMNS"),
    ],
)
def test_every_column_is_described(function: str, columns: str) -> None:
    found = pkgutil.resolve_name(function)
    assert _described(found.__doc__) == set(pkgutil.resolve_name(columns))
    assert function in page("frames.md")


def test_every_setting_is_on_its_page() -> None:
    from aotnb.magics.magics import AotMagics
    from aotnb.settings import SETTINGS

    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", page("settings.md"), re.MULTILINE))
    assert set(rows) == set(SETTINGS) == set(AotMagics.class_own_traits(config=True))
    for name, setting in SETTINGS.items():
        assert setting.variable is None or setting.variable in rows[name]


def test_every_public_name_is_on_its_page() -> None:
    text = page("python.md")
    assert [name for name in aotnb.__all__ if not re.search(rf"`{name}\(", text)] == []
    assert set(re.findall(r"^\.\. autofunction:: (\w+)$", page("api.md"), re.MULTILINE)) == set(aotnb.__all__)


def test_the_parameters_told_are_those_of_the_function() -> None:
    told = re.findall(r"^((?:`\w+\([^`]*\)`(?:, )?)+)$", page("python.md"), re.MULTILINE)
    told = {name: given for line in told for name, given in re.findall(r"`(\w+)\(([^`]*)\)`", line)}
    assert set(told) == set(aotnb.__all__)
    for name, given in told.items():
        parameters = inspect.signature(getattr(aotnb, name)).parameters
        assert re.findall(r"(?:^|, )\*{0,2}(\w+)", re.sub(r"\([^()]*\)", "", given)) == list(parameters), name


def test_every_case_is_in_the_table() -> None:
    cases = {path.stem for path in (ROOT / "tests" / "numba_cases" / "cases").glob("*.py")}
    assert set(re.findall(r"^\| ([a-z]\d\d_\w+) \|", page("numba-cache.md"), re.MULTILINE)) == cases


def test_the_tests_that_pages_name_are_there() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*/*.md")]
    named = {match for text in pages for match in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)}
    assert len(named) > 40
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not (ROOT / path).is_file() or f"def {name}" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_page_is_in_the_contents() -> None:
    docs = ROOT / "docs"
    pages = {str(path.relative_to(docs).with_suffix("")) for path in docs.glob("*/*.md") if path.parent.name != "_build"}
    listed = set()
    for contents in (docs / "index.md", docs / "examples.md", *docs.glob("*/index.md")):
        folder = contents.parent.relative_to(docs)
        listed |= {str(folder / line) for line in contents.read_text(encoding="utf-8").splitlines() if line}
    assert pages - listed == set()
