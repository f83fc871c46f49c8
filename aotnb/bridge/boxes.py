"""The Python classes of the objects that Python sees of a jitclass: made when the first code that returns one is compiled."""

from __future__ import annotations

from typing import Any

from numba.core.targetconfig import ConfigStack
from numba.experimental.jitclass import boxing


def box_type(address: int) -> Any:
    """Return the type whose objects have the Python class at *address*, or None."""
    for typ, box in boxing._cache_specialized_box.items():
        if id(box) == address:
            return typ
    return None


def box_class(typ: Any, flags: Any) -> Any:
    """Return the Python class for objects of *typ*; its getters are compiled as part of code that has these *flags*."""
    with ConfigStack().enter(flags):
        return boxing._specialize_box(typ)
