"""What a value that compiled code has read may change by without being replaced: contents, and what a function reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

from aotnb.bridge.values import by_address, is_fixed_module, is_installed_module, live_ids, module_of, state_digest
from aotnb.core.digest import nested_names

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

    The same places as in :func:`~aotnb.bridge.values.deep_function_tree`.
    """
    yield from _leaves(value, set())


def _leaves(value: Any, seen: set[int]) -> Iterator[Leaf]:
    if isinstance(value, tuple):
        for item in value:
            yield from _leaves(item, seen)
    elif isinstance(value, _Intrinsic):
        yield from _function(value._defn, seen)
    elif isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, Dispatcher) and (seen or value.targetoptions.get("inline", "never") != "never"):
        yield from _function(value.py_func, seen)


def _function(func: FunctionType, seen: set[int]) -> Iterator[Leaf]:
    if id(func) in seen or is_fixed_module(module_of(func)) or is_installed_module(module_of(func)):
        return
    seen.add(id(func))
    for name in ("__code__", "__defaults__", "__kwdefaults__"):
        yield ("function", id(func), name), functools.partial(getattr, func), name
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
        yield ("cell", id(cell)), functools.partial(cell_value, cell), name
        yield from _leaves(cell_value(cell, name, None), seen)
    names = nested_names(func.__code__)
    for name in sorted(names & func.__globals__.keys()):
        yield from _item(func.__globals__, name, names, seen)


def _item(namespace: dict[str, Any], name: str, names: set[str], seen: set[int]) -> Iterator[Leaf]:
    yield ("item", id(namespace), name), namespace.get, name
    value = namespace[name]
    if isinstance(value, ModuleType):
        if id(value) in seen or is_fixed_module(value.__name__) or is_installed_module(value.__name__):
            return
        seen.add(id(value))
        for attribute in sorted(names & vars(value).keys()):
            yield from _item(vars(value), attribute, names, seen)
    else:
        yield from _leaves(value, seen)


def cell_value(cell: Any, _name: str, default: Any) -> Any:
    """Return what a closure cell holds, *default* if it is empty."""
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return default
