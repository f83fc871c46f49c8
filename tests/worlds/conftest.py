"""Nurseries for a whole run of tests, and a test for each edit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `from editing import ...`: the tests are no package

from shells import Nurseries


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``edit`` is run for each edit of its module."""
    if "edit" in metafunc.fixturenames:
        edits = metafunc.module.EDITS
        names = [edit.name for edit in edits]
        assert len(set(names)) == len(names), "two edits have one name"
        metafunc.parametrize("edit", edits, ids=names)


@pytest.fixture(scope="session")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nurseries]:
    """Shells on demand."""
    if not hasattr(os, "fork"):
        pytest.skip("shells are made by fork")
    nurseries = Nurseries(tmp_path_factory.mktemp("shells"))
    yield nurseries
    nurseries.close()
