"""Run each batch of scenarios once, however many workers and tests ask for it."""

from __future__ import annotations

import os
import pickle
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `from harness import ...`: the tests are no package

from harness import LIMIT, Batch, Runs, Scenario, run_batch


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``scenario`` is run for each scenario of the batches of its module."""
    if "scenario" in metafunc.fixturenames:
        cases = [(batch, scenario) for batch in metafunc.module.BATCHES for scenario in batch.scenarios]
        names = [scenario.name for _, scenario in cases]
        assert len(set(names)) == len(names), "two scenarios have one name"
        metafunc.parametrize(("batch", "scenario"), cases, ids=names)


@pytest.fixture
def runs(batch: Batch, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Runs:
    """The processes of the scenario's batch."""
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent  # shared by the workers of pytest-xdist
    batch = replace(batch, verify=request.config.getoption("--verify"))
    return once(batch, base / f"{request.module.__name__.rpartition('.')[2]}-{batch.name}")[scenario.name]


_known: dict[Path, dict[str, Runs] | str] = {}


def once(batch: Batch, folder: Path) -> dict[str, Runs]:
    """Run *batch* in *folder* unless this or another worker did; wait for the one that does."""
    if folder not in _known:
        result, lock = folder.with_suffix(".pickle"), folder.with_suffix(".lock")
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            deadline = time.monotonic() + 5 * LIMIT
            while not result.exists():
                assert time.monotonic() < deadline, f"the worker that runs {batch.name} does not come back"
                time.sleep(0.1)
        else:
            found: dict[str, Runs] | str = "interrupted"
            try:
                found = run_batch(batch, folder)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            finally:
                draft = result.with_suffix(".draft")
                draft.write_bytes(pickle.dumps(found))
                draft.replace(result)
        _known[folder] = pickle.loads(result.read_bytes())
    found = _known[folder]
    assert not isinstance(found, str), f"the processes of {batch.name} could not be run: {found}"
    return found
