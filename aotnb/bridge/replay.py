"""Compile what a statement of a trace file names: names to live objects, texts to types, and one question to Numba."""

from __future__ import annotations

import sys
from typing import Any

from numba.core import errors, types
from numba.core.typing import signature
from numba.np.ufunc.dufunc import DUFunc

from aotnb.bridge.inspect import live_dispatcher
from aotnb.bridge.names import lookup
from aotnb.bridge.typecodec import TypeDecoder
from aotnb.core.text import parse_type
from aotnb.errors import AotError, NotRelocatable

Tree = Any


class CannotCompile(AotError):
    """A statement that this process cannot carry out: one sentence on why."""


class _ByName(TypeDecoder):
    """Finds functions and modules by their names, whatever their definition is now."""

    def decode(self, tree: Tree) -> types.Type:
        if tree[0] == "dispatcher":
            module, qualname, *_ = tree[1]
            found = live_dispatcher(lookup(module, qualname))
            if found is None:
                raise LookupError(f"{module}.{qualname} is no jitted function")
            return types.Dispatcher(found)
        if tree[0] == "module":
            lookup(tree[1], "__name__")
            return types.Module(sys.modules[tree[1]])
        return super().decode(tree)


def type_from(text: Any) -> types.Type:
    """Return the type of a text; a type of Numba stays what it is."""
    if isinstance(text, types.Type):
        return text
    try:
        return _ByName().decode(parse_type(text))
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise CannotCompile(f"{text!r} is no type here: {error}") from None
    except (LookupError, NotRelocatable) as error:
        raise CannotCompile(str(error)) from None


def function_named(name: str) -> Any:
    """Return the jitted function or ufunc of a "module:name"; its module is imported."""
    module, _, qualname = name.partition(":")
    try:
        return lookup(module, qualname)
    except LookupError as error:
        raise CannotCompile(str(error)) from None
    except Exception as error:
        raise CannotCompile(f"importing {module} raised {type(error).__name__}: {_line(error)}") from None


def compile_for(func: Any, args: tuple[Any, ...], returns: Any) -> None:
    """Have *func* compiled for these argument types, as a call from Python would; nothing happens if it is already."""
    builder = getattr(func, "gufunc_builder", None)
    try:
        if builder is not None:
            func.add(signature(types.none if returns is None else returns, *args))
            func.build_ufunc()
        elif isinstance(func, DUFunc):
            func.add(args if returns is None else signature(returns, *args))
        elif live_dispatcher(func) is not None:
            func.compile(args if returns is None else signature(returns, *args))
        else:
            raise CannotCompile("it is not compiled by Numba any more")
    except errors.ForceLiteralArg:
        return  # that is what Numba finds out about this signature; the literal ones have statements of their own
    except CannotCompile:
        raise
    except Exception as error:
        raise CannotCompile(f"Numba refused it: {type(error).__name__}: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
