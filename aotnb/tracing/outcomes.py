"""Attempts of the compiler that led to no code: what was tried, and what it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aotnb.bridge import extensions
from aotnb.bridge.typing_errors import subject_of
from aotnb.tracing.instance import Instance
from aotnb.tracing.paths import is_unnamed, where_read


@dataclass(frozen=True, slots=True)
class Subject:
    """An object that an error may name or quote, and how a later process finds it, from an instance that it has looked at."""

    value: Any
    instance: Instance
    path: tuple[str, ...]  # ("function",), ("read", kind, where, name) or ("overload",)

    def recipe(self) -> list[str]:
        """Return the way to the object as an image holds it."""
        return ["overload", *extensions.overload_identity(self.value)] if self.path == ("overload",) else [*self.path]


def tried_in_vain(instance: Instance) -> list[Instance]:
    """Return an attempt and all attempts inside it that led to nothing."""
    return _reached(instance, lambda found: found.in_vain)


def subjects(instance: Instance) -> Iterator[Subject]:
    """Yield what the error of an attempt may name: the functions that it looked at, what these read, and overloads."""
    reached = _reached(instance, lambda found: True)
    for found in reached:
        if not is_unnamed(found):
            yield Subject(found.func, found, ("function",))
    for found in reached:
        for read in found.reads.values():
            if (where := where_read(found, read)) is not None:
                yield Subject(subject_of(read.value), found, ("read", read.kind, where, read.name))
    for func in extensions.overload_functions():
        yield Subject(func, instance, ("overload",))


def _reached(instance: Instance, wanted: Callable[[Instance], bool]) -> list[Instance]:
    found, seen = [instance], {id(instance)}
    for current in found:
        for callee in current.callees:
            if id(callee.instance) not in seen and wanted(callee.instance):
                seen.add(id(callee.instance))
                found.append(callee.instance)
    return found
