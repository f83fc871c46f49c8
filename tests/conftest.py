"""Options of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("aotnb", deadline=None)  # how long an example takes is up to what else the machine does
settings.load_profile("aotnb")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--verify",
        action="store_true",
        help="run the served processes of the edit suite under the oracle: every hit is compiled as well and compared",
    )
