"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--verify",
        action="store_true",
        help="run the served processes of the edit suite under the oracle: every hit is compiled as well and compared",
    )
