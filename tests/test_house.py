"""The house rules: what an import may bring along, who may touch Numba, what the environment start costs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "aotnb"
HEAVY = ("IPython", "pandas", "matplotlib", "ipywidgets", "numba", "llvmlite")


def python(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, env=env, check=False)


def loaded_by(statement: str, names: tuple[str, ...]) -> list[str]:
    code = f"{statement}\nimport sys\nprint(*[n for n in {names!r} if n in sys.modules])"
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_aotnb_brings_nothing_heavy() -> None:
    assert loaded_by("import aotnb", HEAVY) == []


def test_pytest_does_not_ask_to_rewrite_us() -> None:
    """With ``AOTNB_IMAGE`` set we are imported before pytest, and it would warn in every run."""
    from _pytest.assertion.rewrite import AssertionRewriter

    assert AssertionRewriter.is_rewrite_disabled(__import__("aotnb").__doc__ or "")


def test_command_line_module_brings_nothing_heavy() -> None:
    assert loaded_by("import aotnb.cli", HEAVY) == []


def test_every_public_name_resolves_and_is_listed() -> None:
    code = "import aotnb; print(*[n for n in aotnb.__all__ if not hasattr(aotnb, n) or n not in dir(aotnb)])"
    done = python("-c", code)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_a_process_that_only_loads_has_no_builder() -> None:
    builder = ["aotnb.building", "aotnb.saving", "cffi.cparser"]
    assert loaded_by("import aotnb; aotnb.activate(); aotnb.status()", builder) == []


def test_import_contracts() -> None:
    pytest.importorskip("importlinter")
    beside = Path(sys.executable).with_name("lint-imports")
    command = str(beside) if beside.exists() else shutil.which("lint-imports")
    assert command is not None
    done = subprocess.run([command, "--no-cache"], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# Private Numba and llvmlite, as it would be spelled in code; prose may speak of them. Tokens are joined by one space.
_PRIVATE = re.compile(
    r"\bnumba \. core\b|\b(?:import|from) llvmlite\b|(?<!\. )\bllvmlite \.|\b_(?:dispatcher|dynfunc|helperlib)\b"
)


def _code_without_text(path: Path) -> str:
    skipped = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    with path.open("rb") as stream:
        return " ".join(token.string for token in tokenize.tokenize(stream.readline) if token.type not in skipped)


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(PACKAGE.rglob("*.py")) if p.relative_to(PACKAGE).parts[0] != "bridge"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_only_the_bridge_touches_private_numba(path: Path) -> None:
    found = _PRIVATE.findall(_code_without_text(path))
    assert found == [], f"{path.relative_to(ROOT)} reaches around aotnb.bridge: {found}"


def test_the_pth_is_one_import_line() -> None:
    lines = (ROOT / "aotnb-autostart.pth").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("import os; ")  # site runs only lines that start with `import`


def test_the_tree_names_no_machine() -> None:
    """Absolute paths of somebody's machine do not belong in the sources."""
    pattern = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w")
    files = [*PACKAGE.rglob("*.py"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    found = [str(path.relative_to(ROOT)) for path in files if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_every_reason_code_has_its_section() -> None:
    from aotnb.reports.explain import REASONS

    text = (ROOT / "docs/reference/reason-codes.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == set(REASONS)
