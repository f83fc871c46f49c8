"""Stencils: kernels whose globals were read when the decorator ran, compiled for a caller or anew at each call from Python."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from numba.core import ir, types, typing
from numba.core.compiler import DEFAULT_FLAGS
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.np import numpy_support
from numba.stencils.stencil import StencilFunc

Reads = list[tuple[str, str, Any]]


def kernel_reads(stencil: Any) -> Reads:
    """Return (kind, name, value) of what the kernel of a stencil read when it was decorated."""
    return reads_of(stencil.kernel_ir.blocks)


def reads_of(blocks: Any) -> Reads:
    """Return (kind, name, value) of every global and free variable that the IR *blocks* mention."""
    return list(_reads(blocks))


def _reads(blocks: Any) -> Iterator[tuple[str, str, Any]]:
    for block in blocks.values():
        for inst in block.body:
            if isinstance(inst, ir.Assign):
                if isinstance(inst.value, ir.Global):
                    yield "global", inst.value.name, inst.value.value
                elif isinstance(inst.value, ir.FreeVar):
                    yield "free", inst.value.name, inst.value.value


class StencilMethod:
    """What Python calls as a stencil, with the attributes by which other functions are known from their dispatchers."""

    targetdescr = cpu_target
    pipeline_class = None

    def __init__(self, stencil: Any) -> None:
        self.stencil = stencil
        self.py_func = stencil.kernel_ir.func_id.func
        self.targetoptions = {"mode": stencil.mode, **stencil.options}
        self.locals: dict[str, Any] = {}
        self.overloads: dict[Any, Any] = {}  # Numba keeps none


_methods: weakref.WeakKeyDictionary[Any, StencilMethod] = weakref.WeakKeyDictionary()


def stencil_method(stencil: Any) -> StencilMethod:
    """Return the one method of a stencil."""
    found = _methods.get(stencil)
    if found is None:
        found = _methods[stencil] = StencilMethod(stencil)
    return found


def python_call(stencil: Any, args: tuple[Any, ...], kwargs: dict[str, Any], ask: Callable[..., Any]) -> Any:
    """Do what ``StencilFunc.__call__`` does, but for the compilation, which is left to ``ask(types, flags, compile)``."""
    result = kwargs.get("out")
    array_types = tuple(typing.typeof.typeof(arg) for arg in args)
    all_types = array_types
    if result is not None:
        layout = numpy_support.map_layout(result)
        all_types += (types.Array(numpy_support.from_dtype(result.dtype), result.ndim, layout),)

    def compile_() -> Any:
        stencil._typingctx.refresh()
        returned, typemap, calltypes = stencil.get_return_type(array_types)
        return stencil._stencil_wrapper(result, None, returned, typemap, calltypes, *all_types)

    with global_compiler_lock:
        cres = ask(all_types, DEFAULT_FLAGS, compile_)
    return cres.entry_point(*args) if result is None else cres.entry_point(*args, result)


def is_stencil(value: Any) -> bool:
    """Return whether *value* was made by ``@stencil``."""
    return isinstance(value, StencilFunc)
