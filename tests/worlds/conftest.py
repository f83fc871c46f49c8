"""Nurseries for a whole run of tests, and each edit played once for the tests that look at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `from editing import ...`: the tests are no package

from editing import play
from shells import Nurseries

if TYPE_CHECKING:
    from editing import Edit, Stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``edit`` is run for each edit of its module."""
    if "edit" in metafunc.fixturenames:
        edits = metafunc.module.EDITS
        names = [edit.name for edit in edits]
        assert len(set(names)) == len(names), "two edits have one name"
        metafunc.parametrize("edit", edits, ids=names, scope="module")


@pytest.fixture(scope="session")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nurseries]:
    """Shells on demand."""
    if not hasattr(__import__("os"), "fork"):
        pytest.skip("shells are made by fork")
    nurseries = Nurseries(tmp_path_factory.mktemp("shells"))
    yield nurseries
    nurseries.close()


@pytest.fixture(scope="module")
def played(edit: Edit, nurseries: Nurseries) -> dict[str, Stage]:
    """The stages of an edit. What they said is compared with the oracle on the way."""
    return play(edit, nurseries)
