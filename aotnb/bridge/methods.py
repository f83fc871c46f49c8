"""Identity of a method: module, qualified name and the digest of its *own* definition; nothing transitive."""

from __future__ import annotations

import contextlib
import operator
import weakref
from types import FunctionType
from typing import Any

from numba.core import types
from numba.core.compiler import Compiler
from numba.core.dispatcher import LiftedLoop

from aotnb.bridge.loops import loop_digest
from aotnb.bridge.stencils import StencilMethod
from aotnb.core.digest import code_tree, digest
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

Tree = Any

# by dispatcher: code and defaults, what may change in place (what these hold, the options), and the digest
_own: weakref.WeakKeyDictionary[Any, tuple[tuple[Any, ...], Any, str]] = weakref.WeakKeyDictionary()


def method_tree(dispatcher: Any) -> list[str]:
    """Return ``[module, qualified name, own digest]`` of a dispatcher or of a ufunc dispatcher."""
    func = dispatcher.py_func
    return [func.__module__ or "", func.__qualname__, own_digest(dispatcher)]


def dispatcher_tree(dispatcher: Any, *, frozen: bool | None = None) -> list[str]:
    """Return what a caller depends on: the method and, where nothing is compiled any more, the digest of the signatures.

    To one of those the arguments of a call are converted, and the result is of its type. *frozen* tells it of the kernel of a
    ufunc, which does not know.
    """
    if frozen is None:
        frozen = not getattr(dispatcher, "_can_compile", True)
    return [*method_tree(dispatcher), *([_signatures_digest(dispatcher)] if frozen else [])]


# what is known of frozen dispatchers: the signatures and their digest
_frozen: weakref.WeakKeyDictionary[Any, tuple[list[Any], str]] = weakref.WeakKeyDictionary()


def _signatures_digest(dispatcher: Any) -> str:
    """Return the digest of all signatures that a dispatcher has code for, in their order."""
    from aotnb.bridge.typecodec import encode_type, encode_types

    signatures = [cres.signature for cres in dispatcher.overloads.values()]
    known = _frozen.get(dispatcher)
    if known is None or known[0] != signatures:
        trees = [[encode_types(signature.args), encode_type(signature.return_type)] for signature in signatures]
        known = _frozen[dispatcher] = (signatures, digest(trees))
    return known[1]


def own_digest(dispatcher: Any) -> str:
    """Return the digest of what the author of this one function wrote: code, defaults and jit options."""
    func = dispatcher.py_func
    if isinstance(dispatcher, StencilMethod):
        # with what the kernel read: that was frozen by the decorator
        from aotnb.bridge.values import value_tree

        return digest(value_tree(dispatcher.stencil))
    if isinstance(dispatcher, LiftedLoop):
        return loop_digest(dispatcher)
    known, content = _own.get(dispatcher), (default_content(func), dict(dispatcher.targetoptions))
    definition = func.__code__, func.__defaults__, func.__kwdefaults__
    if known is not None and all(map(operator.is_, known[0], definition)) and known[1] == content:
        return known[2]
    value = digest({**function_tree(func), **_options_tree(dispatcher)})
    _own[dispatcher] = (definition, content, value)
    return value


def remember_options(dispatcher: Any) -> None:
    """Make the digest of a method before it is compiled, for Numba then empties the dictionary of ``parallel={...}``."""
    if any(isinstance(value, dict) for value in getattr(dispatcher, "targetoptions", {}).values()):
        with contextlib.suppress(NotRelocatable):  # told when it is to be saved
            own_digest(dispatcher)


def default_content(func: FunctionType) -> tuple[bytes, ...] | None:
    """Return what may change in place of the default values of a function: arrays. None where there are none."""
    if not func.__defaults__ and not func.__kwdefaults__:
        return None
    from aotnb.bridge.watch import content_of

    return content_of((*(func.__defaults__ or ()), *(func.__kwdefaults__ or {}).values()))


def function_tree(func: FunctionType) -> Tree:
    """Encode the definition of a Python function: its code and its default values."""
    from aotnb.bridge.values import value_tree

    return {
        "code": code_tree(func.__code__),
        "defaults": [value_tree(value) for value in func.__defaults__ or ()],
        "kwdefaults": [[name, value_tree(value)] for name, value in sorted((func.__kwdefaults__ or {}).items())],
    }


def _options_tree(dispatcher: Any) -> Tree:
    from aotnb.bridge.typecodec import encode_type
    from aotnb.bridge.values import is_fixed_module

    compiler = getattr(dispatcher, "_compiler", dispatcher)  # that of a C callback asks for itself
    pipeline = getattr(compiler, "pipeline_class", Compiler)
    if not is_fixed_module(pipeline.__module__):
        raise NotRelocatable(refusal("pipeline", name=f"{pipeline.__module__}.{pipeline.__qualname__}"))
    return {
        "options": [[name, option_tree(value)] for name, value in sorted(dispatcher.targetoptions.items())],
        # while it compiles, Numba adds its own versions of the variables ("x.1") to this dictionary
        "locals": [[name, encode_type(typ)] for name, typ in sorted(dispatcher.locals.items()) if name.isidentifier()],
        "pipeline": [pipeline.__module__, pipeline.__qualname__],
    }


def option_tree(value: Any) -> Tree:
    """Encode the value of a jit option or of a compiler flag."""
    from aotnb.bridge.deep import deep_function_tree

    if value is None or isinstance(value, bool | int | float | str):
        return [type(value).__name__, repr(value)]
    if isinstance(value, set | frozenset):
        return ["set", sorted(str(item) for item in value)]
    if isinstance(value, dict):
        return ["dict", sorted([str(key), option_tree(item)] for key, item in value.items())]
    if isinstance(value, tuple | list):
        return ["list", [option_tree(item) for item in value]]
    if isinstance(value, FunctionType):
        return ["function", deep_function_tree(value)]
    if isinstance(value, types.Type):
        from aotnb.bridge.typecodec import encode_type

        return ["type", encode_type(value)]
    # Numba's option objects (FastMathOptions, ParallelOptions, InlineOptions) hold plain values only
    if type(value).__module__.startswith("numba."):
        slots = getattr(type(value), "__slots__", None) or sorted(vars(value))
        names = [slots] if isinstance(slots, str) else list(slots)
        return [type(value).__name__, [[name, option_tree(getattr(value, name, None))] for name in names if name != "__dict__"]]
    raise NotRelocatable(f"the option value {value!r} has no encoding")
