"""How compiled code reaches what it uses: the Python names that lead to a value or to a dispatcher, from the function itself."""

from __future__ import annotations

from typing import Any

from aotnb.bridge import extensions
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.inspect import bound_objects, dispatchers_in_type, dispatchers_in_value
from aotnb.bridge.values import is_fixed_module
from aotnb.core.digest import canonical
from aotnb.tracing.instance import Instance, Read


def is_unnamed(instance: Instance) -> bool:
    """Return whether no Python name leads to this function: the compiler or an overload made it."""
    return instance.dispatcher is None or instance.kind in ("overload", "inner")


def dispatcher_path(caller: Instance, dispatcher: Any) -> Any:
    """Return the path to a dispatcher that *caller* read or was given, or None."""
    for read in caller.reads.values():
        where = where_read(caller, read)
        if where is None:
            continue
        for positions, found in dispatchers_in_value(read.value):
            if found is dispatcher:
                return [read.kind, where, read.name, positions]
    for number, arg in enumerate(() if is_unnamed(caller) else caller.args):
        for positions, found in dispatchers_in_type(arg):
            if found is dispatcher:
                return ["arg", "own", str(number), positions]
    func = dispatcher.py_func
    if numba_facts.absolute(func.__module__, func.__qualname__) is dispatcher:
        return ["absolute", func.__module__, func.__qualname__, []]
    return _path_from_overload(dispatcher)


def _path_from_overload(dispatcher: Any) -> Any:
    """Return the path to what an overload function holds in a closure cell, and its implementations call."""
    for template, name, content in extensions.cells_of_overloads():
        for positions, found in dispatchers_in_value(content):
            if found is dispatcher:
                module, qualname, *place = extensions.overload_place(template, name)
                return ["overload", module, qualname, [place, positions]]
    return None


def shared_objects(instance: Instance) -> list[tuple[str, list[Any]]]:
    """Return what the code of *instance* is bound to under several names, each with the paths that lead to it."""
    found: dict[tuple[str, int], list[Any]] = {}
    for read in instance.reads.values():
        if (where := where_read(instance, read)) is not None:
            for steps, what, number in bound_objects(read.value):
                found.setdefault((what, number), []).append([read.kind, where, read.name, steps])
    for position, arg in enumerate(() if is_unnamed(instance) else instance.args):
        for steps, what, number in bound_objects(arg):
            found.setdefault((what, number), []).append(["arg", "own", str(position), steps])
    # one array is one block of memory as well
    groups = {canonical(paths): (what, sorted(paths, key=canonical)) for (what, _), paths in reversed(found.items())}
    return [(what, paths) for what, paths in groups.values() if len(paths) > 1]


def where_read(instance: Instance, read: Read) -> str | None:
    """Return "own" or the module through which the loader repeats a read; None for what it need not repeat."""
    if read.own and not is_unnamed(instance):
        return "own"
    if (
        read.module is None
        or (read.kind != "attribute" and is_fixed_module(read.module))
        or (read.kind == "free" and is_unnamed(instance))
    ):
        return None
    return read.module
