"""Overloads from outside Numba that are defined anew: the new definition takes the place of the old one.

Numba asks the templates of a function in the order of their registration and takes the first that answers, so without
this a redefined ``@overload`` would never be heard.
"""

from __future__ import annotations

from typing import Any

from numba.core.extending import _Intrinsic
from numba.core.typing.templates import _OverloadAttributeTemplate, _OverloadFunctionTemplate, builtin_registry

from aotnb.bridge.extensions import external_template, registered_otherwise
from aotnb.bridge.inspect import key_name
from aotnb.bridge.values import module_of

# what the decorators set on a template class, apart from what it is for
_DEFINITION = ("_inline", "_jit_options", "_strict", "prefer_literal", "metadata")


def registered() -> tuple[int, int, int]:
    """Return how many templates of functions and of attributes there are, and other implementations; they only grow."""
    return len(builtin_registry.functions), len(builtin_registry.attributes), len(registered_otherwise())


def supersede(since: tuple[int, int, int]) -> set[str]:
    """Let the overloads that were registered after *since* replace earlier ones of the same name for the same function.

    Returns the names of all that was registered since, overloads or otherwise. A function called ``_`` has no name and
    replaces nothing.
    """
    changed = set(registered_otherwise()[since[2] :])
    for templates, mark in ((builtin_registry.functions, since[0]), (builtin_registry.attributes, since[1])):
        for number in range(mark, len(templates)):
            new = templates[number]
            if not _is_overload(new):
                continue
            changed.add(_target_name(new))
            if getattr(new._overload_func, "__name__", "_") == "_":
                continue
            older = [old for old in templates[:mark] if _is_overload(old) and _identity(old) == _identity(new)]
            older = [old for old in older if old._overload_func is not new._overload_func]
            for old in older:
                _redirect(old, new)
    return changed


def forget_choices(value: Any) -> None:
    """Let templates ask an overload function or an intrinsic again: what it decided may have changed with what it reads."""
    for template in (*builtin_registry.functions, *builtin_registry.attributes):
        if getattr(template, "_overload_func", None) is value or (isinstance(value, _Intrinsic) and template.key is value):
            for cache in ("_impl_cache", "_overload_cache", "_inline_overloads", "_compiled_overloads"):
                getattr(template, cache, {}).clear()


def _is_overload(template: Any) -> bool:
    known = _OverloadFunctionTemplate in template.__mro__ or _OverloadAttributeTemplate in template.__mro__
    return known and external_template(template)


def _identity(template: Any) -> tuple[Any, ...]:
    func = template._overload_func
    is_function = _OverloadFunctionTemplate in template.__mro__
    # a function that was itself defined anew is another one, whose overloads begin anew
    target = id(template.key) if is_function else template.key
    return module_of(func), getattr(func, "__qualname__", ""), _target_name(template), is_function, target


def _target_name(template: Any) -> str:
    """Return the name of what a template overloads, as :func:`~aotnb.bridge.inspect.external_overloads` has it."""
    if _OverloadFunctionTemplate in template.__mro__:
        return key_name(template.key)
    owner = template.key if isinstance(template.key, type) else type(template.key)
    return key_name((owner.__name__, template._attr))


def _redirect(old: Any, new: Any) -> None:
    """Give the older template, which is asked first, the definition of the newer one."""
    old._overload_func = staticmethod(new._overload_func)
    for name in _DEFINITION:
        if hasattr(new, name):
            setattr(old, name, staticmethod(value) if callable(value := getattr(new, name)) else value)
    forget_choices(new._overload_func)
