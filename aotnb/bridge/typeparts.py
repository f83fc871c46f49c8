"""What a type is made of: the types inside it, and the functions that it carries, each reached by steps from the type.

A step is the position of an item, or a text: the name of an attribute of the type, or "field:x", "method:x", "get:x",
"set:x" and "static:x" of a jitclass or a struct.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numba.core import types
from numba.core.types import misc
from numba.experimental.jitclass.base import JitClassType

from aotnb.bridge.names import is_local

Step = int | str
# attributes of types that hold another type
_INNER = ("dtype", "item_type", "key_type", "value_type", "type", "instance_type", "container", "iterable", "parent")
_OF_OBJECTS = (types.ClassType, types.ClassInstanceType, misc.ClassDataType, types.DeferredType, types.Generator)


def parts(typ: Any) -> Iterator[tuple[Step, Any]]:
    """Yield (step, type) of the types right inside *typ*."""
    if isinstance(typ, types.BaseTuple):
        yield from enumerate(typ)
    elif isinstance(typ, types.ClassInstanceType | misc.ClassDataType):
        yield "class_type", typ.class_type
    elif isinstance(typ, types.ClassType):
        yield from ((f"field:{name}", field) for name, field in typ.struct.items())
    elif isinstance(typ, types.StructRef):
        yield from ((f"field:{name}", field) for name, field in typ.field_dict.items())
    elif isinstance(typ, types.DeferredType):
        if typ._define is not None:
            yield "defined", typ._define
    else:
        for name in _INNER:
            inner = getattr(typ, name, None)
            if isinstance(inner, types.Type):
                yield name, inner


def walk(typ: Any) -> Iterator[tuple[list[Step], Any]]:
    """Yield (steps, type) of *typ* and all types inside it; one that refers to itself is entered once."""
    stack: list[tuple[list[Step], Any, tuple[int, ...]]] = [([], typ, ())]
    seen: set[int] = set()
    while stack:
        steps, current, around = stack.pop()
        yield steps, current
        if id(current) in around:
            continue
        if isinstance(current, types.ClassType | types.DeferredType):
            if id(current) in seen:
                continue
            seen.add(id(current))
        stack += [([*steps, step], inner, (*around, id(current))) for step, inner in parts(current)]


def all_types(typ: Any) -> list[Any]:
    """Return *typ* and all types among its attributes and theirs, each once."""
    found = [typ]
    seen = {id(typ)}
    for current in found:  # grows
        for inner in _types_in(list(vars(current).values())):
            if id(inner) not in seen:
                seen.add(id(inner))
                found.append(inner)
    return found


def _types_in(value: Any) -> Iterator[Any]:
    if isinstance(value, types.Type):
        yield value
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _types_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _types_in(item)


def members(typ: Any) -> Iterator[tuple[str, Any]]:
    """Yield (step, dispatcher) of the methods and properties of a jitclass."""
    yield from ((f"method:{name}", disp) for name, disp in typ.jit_methods.items())
    yield from ((f"static:{name}", disp) for name, disp in typ.jit_static_methods.items())
    yield from ((f"{kind}:{name}", disp) for name, found in typ.jit_props.items() for kind, disp in found.items())


def types_of_objects(typ: Any) -> Iterator[Any]:
    """Yield the types in *typ* that only a live object stands for: jitclasses, their instances, deferred types, local classes."""
    for _, inner in walk(typ):
        if isinstance(inner, _OF_OBJECTS) or is_local(type(inner)):
            yield inner
        if isinstance(inner, types.ClassType):
            yield inner.instance_type


def type_of_class(value: Any) -> Any:
    """Return the Numba type of a class made by ``@jitclass``, None for anything else."""
    return value.class_type if isinstance(value, JitClassType) else None
