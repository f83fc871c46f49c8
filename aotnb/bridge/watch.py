"""What a value that compiled code has read may change by without being replaced: contents, and what a function reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

from aotnb.bridge.deep import cell_value, imported_modules, is_by_version, mentioned_names, state_digest
from aotnb.bridge.values import by_address, is_fixed_module, is_installed_module, live_ids

# how to tell places apart, how to read one, and under which name
Leaf = tuple[tuple[Any, ...], Callable[[str, Any], Any], str]


def content_of(value: Any) -> tuple[bytes, ...] | None:
    """Return what may change in place of *value*, None if nothing can.

    Of arrays that is their form, which can be assigned to, and the content of those that are compiled in by content; of
    containers and other objects, which code reads while it runs during compilation, all that they hold.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return None
        form = f"{value.dtype!r} {value.shape} {value.strides} {value.flags.writeable}".encode()
        return (form,) if by_address(value) else (form, value.tobytes())
    if isinstance(value, tuple):
        parts = [content_of(item) for item in value]
        found = tuple(data for part in parts if part for data in part)
        return found or None
    state = state_digest(value)
    return None if state is None else (state.encode(),)


def needs_identity(value: Any) -> bool:
    """Return whether code that was compiled with *value* is bound to this very object: classes, enum members, big arrays."""
    if type(value) is tuple:
        return any(needs_identity(item) for item in value)
    if isinstance(value, FunctionType | Dispatcher | ModuleType):
        return False
    return bool(live_ids(value))


def deep_leaves(value: Any) -> Iterator[Leaf]:
    """Yield the places that decide what *value* does, where the compiler runs it or takes it over whole.

    The places that :mod:`aotnb.bridge.deep` looks at, but for the contents of containers.
    """
    yield from _leaves(value, frozenset(), set())


def _leaves(value: Any, names: frozenset[str], seen: set[Any]) -> Iterator[Leaf]:
    if isinstance(value, tuple):
        for item in value:
            yield from _leaves(item, names, seen)
    elif isinstance(value, _Intrinsic):
        yield from _function(value._defn, seen)
    elif isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, Dispatcher) and (seen or value.targetoptions.get("inline", "never") != "never"):
        yield from _function(value.py_func, seen)
    elif isinstance(value, ModuleType | type) and seen:
        yield from _attributes(value, names, seen)


def _function(func: FunctionType, seen: set[Any]) -> Iterator[Leaf]:
    if id(func) in seen or is_by_version(func):
        return
    seen.add(id(func))
    for name in ("__code__", "__defaults__", "__kwdefaults__"):
        yield ("function", id(func), name), functools.partial(getattr, func), name
    names = mentioned_names(func)
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
        yield ("cell", id(cell)), functools.partial(cell_value, cell), name
        yield from _leaves(cell_value(cell, name, None), names, seen)
    for name in sorted(names & func.__globals__.keys()):
        yield ("item", id(func.__globals__), name), func.__globals__.get, name
        yield from _leaves(func.__globals__[name], names, seen)
    for module in imported_modules(func):
        yield from _attributes(module, names, seen)


def _attributes(owner: ModuleType | type, names: frozenset[str], seen: set[Any]) -> Iterator[Leaf]:
    """Yield the places of what is read of a module or class by *names*."""
    home = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    if is_fixed_module(home) or is_installed_module(home):
        return
    for name in sorted(names & vars(owner).keys()):
        if (id(owner), name) not in seen:
            seen.add((id(owner), name))
            yield ("item", id(owner), name), vars(owner).get, name
            yield from _leaves(vars(owner)[name], names, seen)
