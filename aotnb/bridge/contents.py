"""What an object holds that code reads while it runs during compilation: containers, objects of Python's library, instances.

Each function takes *encode*, which encodes a part. Standard library only.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from aotnb.core.digest import canonical
from aotnb.errors import NotRelocatable

Tree = Any
Encode = Callable[[Any], Tree]

_POINTER = tuple.__itemsize__
# what a tool keeps for itself decides nothing: of an instance of these, only what is asked of it by name counts
_TOOLS = frozenset({("unittest.case", "TestCase")})


def is_container(value: Any) -> bool:
    """Return whether *value* is a plain container: no subclass, which may hold more."""
    return type(value) in (tuple, list, dict, set, frozenset, MappingProxyType)


def container_tree(value: Any, encode: Encode) -> Tree:
    """Encode a plain container by its items, in their order where they have one."""
    return [type(value).__name__, _items(value, encode)]


def _items(value: Any, encode: Encode) -> Tree:
    if isinstance(value, dict | MappingProxyType):
        return _pairs(value.items(), encode)
    items = [encode(item) for item in value]
    return sorted(items, key=canonical) if isinstance(value, set | frozenset) else items


def _pairs(items: Iterable[tuple[Any, Any]], encode: Encode) -> Tree:
    return [[encode(key), encode(item)] for key, item in items]


def reduced_tree(value: Any, encode: Encode) -> Tree | None:
    """Encode an object of Python's library by what pickle would make it of; None for one that says nothing, such as a lock."""
    if hasattr(value, "__wrapped__"):
        return ["wrapper", encode(value.__wrapped__)]
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        found = value.__reduce_ex__(2) if reduce is None else reduce(value)
    except Exception:  # any class may raise what it likes
        return None
    if isinstance(found, str):
        return ["named", found]
    make, args, state, items, pairs = (*found, None, None, None)[:5]
    parts = [_items(args, encode), encode(state), [encode(item) for item in items or ()], _pairs(pairs or (), encode)]
    return ["reduced", encode(make), *parts]


def instance_tree(value: Any, names: set[str], encode: Encode) -> Tree:
    """Encode an instance of a class that Python code defines: its class and its attributes, and its items if it is a container.

    *names* are those that the code which reads it mentions. State that Python does not see is refused.
    """
    cls = type(value)
    if is_tool(cls):
        return ["tool", encode(cls), _pairs(((name, item) for name, item in _attributes(value) if name in names), encode)]
    kind = next((base for base in (list, dict, set, frozenset, tuple) if issubclass(cls, base)), None)
    if kind is None and not _is_all_python(value):
        raise NotRelocatable(f"a value of type {cls.__module__}.{cls.__qualname__}, which has a state that Python does not see")
    items = [] if kind is None else _items(kind(value), encode)
    return ["instance", encode(cls), items, _pairs(sorted(_attributes(value), key=itemgetter(0)), encode)]


def is_tool(cls: type) -> bool:
    """Return whether instances of a class help whoever wrote the code, such as a test with its assertions."""
    return any((base.__module__, base.__name__) in _TOOLS for base in cls.__mro__)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for name in _slots(type(value)):
        if hasattr(value, name):
            yield name, getattr(value, name)


def _slots(cls: type) -> list[str]:
    found = []
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        found += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _is_all_python(value: Any) -> bool:
    cls = type(value)
    if not hasattr(value, "__dict__") and not any("__slots__" in vars(base) for base in cls.__mro__):
        return False
    room = object.__basicsize__ + (2 + len(_slots(cls))) * _POINTER  # for the attributes and for weak references
    return cls.__itemsize__ == 0 and cls.__basicsize__ <= room
