"""Objects by name: classes, functions and modules are stored as (module, qualified name) and bound to the live object."""

from __future__ import annotations

import importlib
import sys
from types import FunctionType
from typing import Any

from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable


def name_tree(obj: Any) -> list[str]:
    """Return ``[module, qualified name]`` of *obj* if that name leads back to it, else raise :class:`NotRelocatable`.

    A class may have a name that its module does not know it by: ``Pair = namedtuple("Point", "x y")``.
    """
    module, qualname = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        raise NotRelocatable(refusal("no_name", object=described(obj)))
    try:
        found = lookup(module, qualname, load=False)
    except LookupError:
        found = None
    if found is obj:
        return [module, qualname]
    names = vars(sys.modules[module]).items() if isinstance(obj, type) and module in sys.modules else ()
    other = min((name for name, value in tuple(names) if value is obj), default=None)
    if other is None:
        raise NotRelocatable(refusal("other_object", module=module, name=qualname))
    return [module, other]


def described(value: Any) -> str:
    """Return the ``repr`` of *value*, or only its class where that would run code of others or compile, as for a typed dict."""
    if _is_printed_by_python(value):
        return repr(value)
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"


def _is_printed_by_python(value: Any) -> bool:
    from aotnb.bridge.values import is_fixed_module

    printer = type(value).__repr__
    if isinstance(printer, FunctionType):
        module = printer.__module__
        if not is_fixed_module(module) or module.startswith("numba.typed."):
            return False
    items = (*value, *value.values()) if isinstance(value, dict) else value
    return not isinstance(value, dict | list | tuple | set | frozenset) or all(map(_is_printed_by_python, items))


def is_local(obj: Any) -> bool:
    """Return whether a class was defined inside a function, so that no name leads to it."""
    return "<locals>" in obj.__qualname__


def lookup(module: str, qualname: str, *, load: bool = True) -> Any:
    """Return the live object of that name; raise :class:`LookupError` where there is none."""
    found = sys.modules.get(module)
    if found is None and load:
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            raise LookupError(f"module {module} cannot be imported: {error}") from None
    if found is None:
        raise LookupError(f"module {module} is not loaded")
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LookupError(f"module {module} has no {qualname}") from None
    return found
