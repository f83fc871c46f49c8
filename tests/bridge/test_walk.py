"""The static walk at save: which names of the code count, and which of them are explained."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aotnb.tracing.instance import Instance, Read
from aotnb.tracing.walk import unexplained_names

K = 1
L = 2


def plain(x: Any) -> Any:
    return x + K + len(x) + np.sum(x) + math.pi


def nested(x: Any) -> Any:
    def inner(y: Any) -> Any:
        return y + K

    return inner(x) + L


def chained(x: Any) -> Any:
    return settings.inner.depth + settings.width + np.linalg.norm(x)


def missing(x: Any) -> Any:
    return x + nowhere  # noqa: F821


def factory() -> Any:
    offset, scale = 1, 2

    def closure(x: Any) -> Any:
        def inner(y: Any) -> Any:
            return y + offset

        return inner(x) + scale

    return closure


def instance(func: Any, *reads: tuple[str, str, str | None], pruned: Any = ()) -> Instance:
    """Return an instance as the recorder leaves it after a compilation that read *reads*."""
    made = Instance(
        index=0, func=func, dispatcher=object(), kind="function", args=(), return_type=None, flags=None, config="",
        switches={}, passed=[], depth=0, parent=None, result=SimpleNamespace(objectmode=False),
    )  # fmt: skip
    for kind, name, module in reads:
        made.reads[kind, name, module] = Read(kind, name, module or __name__, module is None, None, "", "")
    made.pruned = set(pruned)
    return made


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found, inner = ModuleType("own_settings"), ModuleType("own_settings.inner")
    found.inner, inner.depth, found.width = inner, 1, 2  # type: ignore[attr-defined]
    monkeypatch.setitem(chained.__globals__, "settings", found)
    return found


NUMPY = [("global", "np", None), ("global", "math", None)]


def test_builtins_and_attributes_of_fixed_modules_do_not_count() -> None:
    assert unexplained_names(instance(plain, ("global", "K", None), *NUMPY)) == []


def test_a_global_that_was_not_read_is_named() -> None:
    assert unexplained_names(instance(plain, *NUMPY)) == ["K"]


def test_a_pruned_name_is_explained() -> None:
    assert unexplained_names(instance(plain, *NUMPY, pruned=[("global", "K")])) == []


def test_a_name_that_does_not_exist_counts() -> None:
    assert unexplained_names(instance(missing)) == ["nowhere"]


def test_nested_code_counts() -> None:
    assert unexplained_names(instance(nested)) == ["L", "K"]


def test_closure_cells_are_found_through_nested_code() -> None:
    cells = [("free", "offset", None), ("free", "scale", None)]
    assert unexplained_names(instance(factory(), *cells)) == []
    assert sorted(unexplained_names(instance(factory()))) == ["offset", "scale"]


def test_attributes_of_modules_are_followed(settings: ModuleType) -> None:
    root = [("global", "settings", None), ("global", "np", None)]
    assert unexplained_names(instance(chained, *root)) == ["own_settings.inner", "own_settings.inner.depth", "own_settings.width"]
    first = ("attribute", "inner", "own_settings")
    assert unexplained_names(instance(chained, *root, first, pruned=[("attribute", "width")])) == ["own_settings.inner.depth"]


def test_nothing_is_taken_from_a_pruned_module(settings: ModuleType) -> None:
    assert unexplained_names(instance(chained, ("global", "np", None), pruned=[("global", "settings")])) == []


def test_what_a_function_read_that_the_compiler_made_of_the_code_counts() -> None:
    from aotnb.tracing.instance import Callee

    made = instance(sys.modules[__name__].plain, *NUMPY)
    body = instance(plain, ("global", "K", None))
    body.dispatcher = None
    made.callees.append(Callee(body, None))
    assert unexplained_names(made) == []
