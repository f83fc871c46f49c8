"""pytest: the fixture ``forbid_compilation``, and ``--forbid-compilation`` for every test. Imports nothing until it is used.

Installed with aotnb (entry point ``pytest11``), so pytest finds it by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTION = "forbid_compilation"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini setting, both off."""
    text = "fail each test in which Numba would compile (needs an image: AOTNB_IMAGE)"
    parser.getgroup("aotnb").addoption("--forbid-compilation", action="store_true", default=None, dest=_OPTION, help=text)
    parser.addini(_OPTION, type="bool", default=False, help=text)


@pytest.fixture
def forbid_compilation() -> Iterator[None]:
    """Fail the test where Numba would begin to compile, in any thread, with the reason why no image served it."""
    from aotnb.guards import forbid_compilation as guard

    with guard(all_threads=True):
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the fixture to every test where the option, or else the ini setting, asks for it."""
    wanted = config.getoption(_OPTION)
    if wanted or (wanted is None and config.getini(_OPTION)):
        for item in items:
            if isinstance(item, pytest.Function) and _OPTION not in item.fixturenames:
                item.fixturenames.append(_OPTION)
