"""Attempts of the compiler that led to no code: what was tried, and what it looked at."""

from __future__ import annotations

from collections.abc import Callable

from aotnb.tracing.instance import Instance
from aotnb.tracing.paths import is_unnamed


def tried_in_vain(instance: Instance) -> list[Instance]:
    """Return an attempt and all attempts inside it that led to nothing."""
    return _reached(instance, lambda found: found.in_vain)


def named_instances(instance: Instance) -> list[Instance]:
    """Return an attempt and what it looked at, as far as a name leads to it."""
    return [found for found in _reached(instance, lambda found: True) if not is_unnamed(found)]


def _reached(instance: Instance, wanted: Callable[[Instance], bool]) -> list[Instance]:
    found, seen = [instance], {id(instance)}
    for current in found:
        for callee in current.callees:
            if id(callee.instance) not in seen and wanted(callee.instance):
                seen.add(id(callee.instance))
                found.append(callee.instance)
    return found
