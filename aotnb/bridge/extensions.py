"""What others taught the compiler: overloads, typings, lowerings, data models and boxing, by the name of what they are for.

Such code runs inside the compiler, so what it decides is part of the code that is compiled. Everything from outside Numba
that a compilation could have asked is found here under its name, with digests in depth. A name is that of a function, an
operator or an attribute that was resolved, or "type" and the name of a class of types that the code handles.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any

from numba.core import entrypoints, types
from numba.core.datamodel.registry import default_manager
from numba.core.imputils import builtin_registry as lowering_registry
from numba.core.pythonapi import _boxers, _reflectors, _unboxers
from numba.core.typing.templates import _OverloadAttributeTemplate, _OverloadFunctionTemplate, builtin_registry

from aotnb.bridge.deep import class_functions, function_digest, installed_modules
from aotnb.bridge.inspect import absolute, cell_content, key_name
from aotnb.bridge.typeparts import all_types
from aotnb.bridge.values import is_extension, is_fixed_module, module_of
from aotnb.core.digest import digest
from aotnb.errors import NotRelocatable

CONVERSION = "conversion"  # of one type into another, which any code may need
_TYPE = "type "
_LOCAL = "<locals>"

_scanned = [0] * 8
_overloads: dict[str, list[Any]] = {}  # templates of @overload and its kin
_others: dict[str, list[tuple[Any, Any]]] = {}  # key, function or typing class
_of_classes: dict[type, list[tuple[str, Any]]] = {}  # class of types -> (key, function or typing class) for such types
_names: set[str] = set()  # those of the first two
_news: list[str] = []  # the names of what came by other means than @overload, in order of registration


def load_extensions() -> None:
    """Let installed libraries teach the compiler, as Numba does before it compiles for the first time."""
    entrypoints.init_all()


def external_template(template: Any) -> bool:
    """Return whether an overload template was registered from outside Numba."""
    return not is_fixed_module(module_of(template._overload_func))


def external_overloads() -> dict[str, list[Any]]:
    """Return the overload templates registered from outside Numba, by the name of what they overload.

    In order of registration; the registries only grow, so only their new ends are read.
    """
    _scan_registries()
    return _overloads


def registered_otherwise() -> list[str]:
    """Return the names of what was registered by other means than ``@overload``; the list only grows."""
    _scan_registries()
    return _news


def extended_names() -> set[str]:
    """Return the names of the functions, operators and attributes for which anything is registered from outside Numba."""
    _scan_registries()
    return _names


def is_extended(name: str) -> bool:
    """Return whether anything from outside Numba is registered under *name*."""
    return name in extended_names() or bool(_classes_of(name))


def other_digest(name: str) -> str:
    """Return the digest of all that is registered for *name* from outside Numba but overloads; empty if there is nothing.

    Raises
    ------
    NotRelocatable
        If something that decides has no encoding.
    """
    found: list[Any] = list(dict.fromkeys(map(_implementation_digest, _implementations(name))))
    classes = list(dict.fromkeys(digest(class_tree(cls)) for cls in _classes_of(name)))
    if len(classes) > 1:
        raise NotRelocatable(f"there are several classes {name.removeprefix(_TYPE)}")
    found += classes
    return digest(found) if found else ""


def is_numbas(template: Any) -> bool:
    """Return whether Numba itself registered a typing template, overloads among them."""
    home = module_of(template._overload_func) if hasattr(template, "_overload_func") else _template_module(template)
    return is_fixed_module(home)


def registered_sizes() -> list[int]:
    """Return how much has been registered so far, by Numba and others; the numbers only grow."""
    _scan_registries()
    return list(_scanned)


def overload_digest(template: Any) -> str:
    """Return the digest of what an overload template decides: its function, in depth, and the options of the decorator."""
    from aotnb.bridge.methods import option_tree

    names = ("_jit_options", "_strict", "_inline", "prefer_literal", "metadata")
    options = {name: getattr(template, name, None) for name in names}
    return digest([function_digest(template._overload_func), option_tree(options)])


def overload_functions() -> Iterator[FunctionType]:
    """Yield the overload functions from outside Numba."""
    for templates in external_overloads().values():
        yield from (template._overload_func for template in templates if isinstance(template._overload_func, FunctionType))


def overload_identity(func: FunctionType) -> list[str]:
    """Return module, qualified name and digest of an overload function: see :func:`overloads_like`."""
    return [module_of(func) or "", func.__qualname__, function_digest(func)]


def overloads_like(module: str, qualname: str, content: str) -> list[FunctionType]:
    """Return the overload functions of this name and definition."""
    named = [func for func in overload_functions() if (module_of(func) or "", func.__qualname__) == (module, qualname)]
    return [func for func in named if function_digest(func) == content]


def cells_of_overloads() -> Iterator[tuple[Any, str, Any]]:
    """Yield (template, name, content) of the closure cells of overload functions from outside Numba."""
    for templates in external_overloads().values():
        for template in templates:
            func = template._overload_func
            for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
                yield template, name, cell_content(cell)


def overload_place(template: Any, name: str) -> list[str]:
    """Return how a later process finds a closure cell of an overload function again: see :func:`overload_cell`."""
    func = template._overload_func
    return [func.__module__ or "", func.__qualname__, overload_digest(template), name]


def overload_cell(module: str, qualname: str, content: str, name: str, read: Iterable[Any] = ()) -> Any:
    """Return what the overload function of this definition holds in a closure cell; None where there is no such, or several.

    Of several, those count whose overloaded object is among what was *read*, if there are such.
    """
    found: dict[int, Any] = {}
    chosen: dict[int, Any] = {}
    keys = {id(value) for value in read}
    for template, cell, value in cells_of_overloads():
        func = template._overload_func
        if (func.__module__ or "", func.__qualname__, cell) == (module, qualname, name) and overload_digest(template) == content:
            found[id(value)] = value
            if id(template.key) in keys:
                chosen[id(value)] = value
    found = chosen or found
    return next(iter(found.values())) if len(found) == 1 else None


def functions_behind(name: str) -> Iterator[FunctionType]:
    """Yield the functions from outside Numba that the compiler may run under *name*."""
    for template in external_overloads().get(name, ()):
        yield template._overload_func
    for value in _implementations(name):
        yield from _functions_of(value)
    for cls in _classes_of(name):
        for value in (cls, *(value for _, value in _handlers(cls))):
            yield from _functions_of(value)


def _implementations(name: str) -> list[Any]:
    """Return what is registered for *name* otherwise than by overloads, but for what is for an earlier object of this name."""
    found = _others.get(name, ())
    live = {id(key) for key, _ in found if _is_found_by_name(key)}
    return [value for key, value in found if not live or id(key) in live]


def modules_behind(name: str) -> set[str]:
    """Return the modules of :func:`functions_behind` and of what those read: the versions of their distributions matter."""
    return set().union(*map(_modules_of, functions_behind(name)))


def modules_of_overload(module: str, qualname: str) -> set[str]:
    """Return the modules of what the overloads of this name read: the versions of their distributions matter."""
    found = {id(template): template._overload_func for group in external_overloads().values() for template in group}
    named = (func for func in found.values() if (module_of(func), getattr(func, "__qualname__", "")) == (module, qualname))
    return set().union(*map(_modules_of, named))


def _modules_of(func: Any) -> set[str]:
    module = module_of(func)
    return installed_modules(func) | (set() if module is None else {module})


# ---------------------------------------------------------------- classes of types


_names_of: weakref.WeakKeyDictionary[Any, frozenset[str]] = weakref.WeakKeyDictionary()


def is_type_name(name: str) -> bool:
    """Return whether *name* is that of a class of types."""
    return name.startswith(_TYPE)


def names_of_types(found: Iterable[Any]) -> set[str]:
    """Return the names of the classes from outside Numba that *found*, and the types inside them, are made by."""
    if not any(map(is_extension, default_manager._handlers)):
        return set()  # there are no such types: one without a data model cannot be compiled
    names: set[str] = set()
    for typ in found:
        if not isinstance(typ, types.Type):
            continue
        if typ not in _names_of:
            inner = all_types(typ)
            known = frozenset(_type_name(type(part)) for part in inner if is_extension(type(part)))
            if any(isinstance(part, types.DeferredType) for part in inner):
                names |= known
                continue
            _names_of[typ] = known
        names |= _names_of[typ]
    return names


def _type_name(cls: type) -> str:
    return f"{_TYPE}{cls.__module__}:{cls.__qualname__}"


def names_of_local_types(found: Iterable[Any]) -> set[str]:
    """Return the names, as :func:`names_of_types` has them, of the classes that were defined inside a function."""
    return {name for name in names_of_types(found) if _LOCAL in name}


def _classes_of(name: str) -> list[type]:
    """Return the class that a name of a class of types leads to now, if there is one; local ones may share a name."""
    if not is_type_name(name):
        return []
    module, _, rest = name.removeprefix(_TYPE).partition(":")
    if _LOCAL in rest:
        # one without a data model cannot be compiled
        return [cls for cls in default_manager._handlers if (cls.__module__, cls.__qualname__) == (module, rest)]
    found = absolute(module, rest)
    return [found] if isinstance(found, type) and is_extension(found) else []


def _handlers(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield (key, function or class) of all that is registered for types of class *cls*."""
    for base in cls.__mro__:
        yield from _of_classes.get(base, ())
        for kind, handlers in (("box", _boxers), ("unbox", _unboxers), ("reflect", _reflectors)):
            if base in handlers.functions and (is_extension(base) or not _is_numbas(handlers.functions[base])):
                yield kind, handlers.functions[base]
    model = default_manager._handlers.get(cls)
    if model is not None:
        yield "model", model


def _is_numbas(func: Any) -> bool:
    return is_fixed_module(getattr(func, "__module__", None))


def class_tree(cls: type) -> Any:
    """Encode a class of types, in depth, with all that is registered for it."""
    handlers = dict.fromkeys((key, _implementation_digest(value)) for key, value in _handlers(cls))
    return [_implementation_digest(cls), [list(item) for item in handlers]]


# ---------------------------------------------------------------- digests


def _implementation_digest(value: Any) -> str:
    """Return the digest of a function or class that the compiler runs, in depth."""
    if isinstance(value, FunctionType):
        return function_digest(value)
    if not isinstance(value, type):
        raise NotRelocatable(f"an implementation of type {type(value).__qualname__} has no encoding")
    functions = [[name, function_digest(func)] for cls in _template_classes(value) for name, func in class_functions(cls)]
    return digest([_template_module(value), value.__qualname__, functions])


def _functions_of(value: Any) -> Iterator[FunctionType]:
    if isinstance(value, FunctionType):
        yield value
        for cell in value.__closure__ or ():  # Numba wraps what reads an attribute
            inner = cell_content(cell)
            if isinstance(inner, FunctionType):
                yield inner
    elif isinstance(value, type):
        for cls in _template_classes(value):
            for _, func in class_functions(cls):
                yield func


def _template_classes(value: type) -> list[type]:
    """Return the classes of a class of types, a typing class or a data model that are not Numba's own; at least the first."""
    return [cls for number, cls in enumerate(value.__mro__) if number == 0 or is_extension(cls)]


def _template_module(template: Any) -> str:
    """Return the module of a typing template; one made by ``@type_callable`` has that of the decorated function.

    ``infer_global`` derives a class of its own, in Numba, from the one that it is given.
    """
    generic = getattr(template, "generic", None)
    for cell in getattr(generic, "__closure__", None) or ():
        if isinstance(cell_content(cell), FunctionType):
            return module_of(cell_content(cell)) or "numba"
    modules = [str(cls.__module__) for cls in template.__mro__[:2]]
    return next((module for module in modules if not is_fixed_module(module)), modules[0])


# ---------------------------------------------------------------- the registries


def _scan_registries() -> None:
    """Sort in what was registered since the last time; Numba's registries only grow."""
    typing, lowering = builtin_registry, lowering_registry
    parts = (
        typing.functions, typing.attributes, typing.globals,
        lowering.functions, lowering.getattrs, lowering.setattrs, lowering.casts, lowering.constants,
    )  # fmt: skip
    sizes = [len(part) for part in parts]
    if sizes == _scanned:
        return
    news = [part[seen:] for part, seen in zip(parts, _scanned, strict=True)]
    _scanned[:] = sizes
    for template in news[0]:
        _add_typing(template)
    for template in news[1]:
        _add_attribute(template)
    for _, typ in news[2]:
        for template in getattr(typ, "templates", ()):
            _add_typing(template, overloads=False)
    for implementation, key, signature in news[3]:
        _add_lowering(key_name(key), implementation, signature, getattr(implementation, "__module__", None), key)
    for part in news[4:6]:
        for implementation, attr, signature in part:
            # Numba wraps it in a function of its own
            inner = (cell_content(cell) for cell in implementation.__closure__ or ())
            module = next((module_of(func) for func in inner if isinstance(func, FunctionType)), None)
            owner = _class_in(signature[0])
            _add_lowering(key_name((owner.__name__, attr)), implementation, signature[:1], module)
    for implementation, signature in (*news[6], *news[7]):
        _add_lowering(CONVERSION, implementation, signature, getattr(implementation, "__module__", None))
    _names.update(_overloads, _others)


def _add_typing(template: Any, *, overloads: bool = True) -> None:
    if _OverloadFunctionTemplate in template.__mro__:
        if overloads and external_template(template):
            known = _overloads.setdefault(key_name(template.key), [])
            if _is_found_by_name(template.key):  # nobody asks those of an earlier function of this name any more
                known[:] = [other for other in known if other.key is template.key]
            known.append(template)
    elif not is_fixed_module(_template_module(template)):
        _note(key_name(template.key), template.key, template)


def _add_attribute(template: Any) -> None:
    owner = _class_in(template.key)
    if _OverloadAttributeTemplate in template.__mro__:
        if external_template(template):
            _overloads.setdefault(key_name((owner.__name__, template._attr)), []).append(template)
    elif is_extension(owner):
        _of_classes.setdefault(owner, []).append(("attribute", template))
        _news.append(_type_name(owner))
    elif not is_fixed_module(template.__module__):
        for attr in (name.removeprefix("resolve_") for name in vars(template) if name.startswith("resolve_")):
            _note(key_name((owner.__name__, attr)), None, template)


def _add_lowering(name: str, implementation: Any, signature: Any, module: str | None, key: Any = None) -> None:
    """Sort in code for types of *signature*: by the classes of types from outside Numba, or else by its name."""
    owners = {cls for cls in map(_class_in, signature) if is_extension(cls)}
    for owner in owners:
        _of_classes.setdefault(owner, []).append((name, implementation))
        _news.append(_type_name(owner))
    if not owners and not is_fixed_module(module or "numba"):
        _note(name, key, implementation)


def _note(name: str, key: Any, implementation: Any) -> None:
    known = _others.setdefault(name, [])
    if all(other is not implementation for _, other in known):
        known.append((key, implementation))
        _news.append(name)


def _class_in(typ: Any) -> type:
    return typ if isinstance(typ, type) else type(typ)


def _is_found_by_name(value: Any) -> bool:
    name = getattr(value, "__qualname__", None)
    # several functions may be called "_", each of them in use
    return name not in (None, "_") and absolute(getattr(value, "__module__", None), name) is value
