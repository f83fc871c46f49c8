"""A second opinion on what a compilation read: names in the code that stand in no recorded read and in no pruned branch.

The recorder learns of reads from the compiler; this walk looks at the bytecode alone. A name that only the walk finds is
either a defect of the recorder or code that the compiler never looked at for a reason that we do not know yet.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.values import is_fixed_module
from aotnb.tracing.instance import Instance
from aotnb.tracing.paths import is_unnamed

_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_FREE = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_CLOSURE"})
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
# Instructions that stand between a module and the attribute that is taken from it, without touching the stack's top
_NOTHING = frozenset({"CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL"})

_UNKNOWN = object()


def unexplained_names(instance: Instance) -> list[str]:
    """Return the names, such as ``K`` or ``module.K``, that the code of *instance* mentions and its compilation did not read.

    Builtins, and what belongs to modules that the environment key fixes, do not count. Only functions with a name are
    looked at: the others were made by the compiler. Code in object mode looks its names up while it runs; what a stencil
    read when it was defined is part of its method; a loop of a function in object mode is a part of that function.
    """
    func, result = instance.func, instance.result
    if is_unnamed(instance) or instance.kind in ("stencil", "loop") or result is None or result.objectmode:
        return []
    if is_fixed_module(numba_facts.namespace_module(func.__globals__)):
        return []
    reads, pruned = _known(instance)
    missing = []
    for kind, name, module in dict.fromkeys(_mentioned(func, func.__code__, pruned)):
        if (kind, name) in pruned or (kind, name, module) in reads:
            continue
        missing.append(name if module is None else f"{module}.{name}")
    return missing


def _known(instance: Instance) -> tuple[set[tuple[str, str, str | None]], set[tuple[str, str]]]:
    """Return what the compilation read and pruned, with that of the functions that the compiler made out of its code."""
    reads: set[tuple[str, str, str | None]] = set()
    pruned: set[tuple[str, str]] = set()
    seen: set[int] = set()
    stack = [instance]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        reads |= current.reads.keys()
        pruned |= current.pruned
        stack += [
            callee.instance for callee in current.callees if is_unnamed(callee.instance) or callee.instance.kind == "lifted"
        ]
    return reads, pruned


def _mentioned(func: Any, code: CodeType, pruned: set[tuple[str, str]]) -> Iterator[tuple[str, str, str | None]]:
    """Yield (kind, name, module) as the recorder does: globals and closure cells of *func*, attributes of modules.

    Attributes of a module that was *pruned* are not looked at: nothing was taken from it.
    """
    value: Any = _UNKNOWN  # what lies on top of the stack, as far as it was reached by names alone
    for instruction in dis.get_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation in _GLOBAL:
            value = _UNKNOWN if ("global", name) in pruned else func.__globals__.get(name, _UNKNOWN)
            if name in func.__globals__ or not hasattr(builtins, name):
                yield "global", name, None
        elif operation in _FREE and name in func.__code__.co_freevars:
            value = _cell(func, name)
            yield "free", name, None
        elif operation in _ATTRIBUTE and isinstance(value, ModuleType):
            module, value = value, getattr(value, name, _UNKNOWN)
            if not is_fixed_module(module.__name__):
                yield "attribute", name, module.__name__
        elif operation not in _NOTHING:
            value = _UNKNOWN
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _mentioned(func, constant, pruned)


def _cell(func: Any, name: str) -> Any:
    try:
        return func.__closure__[func.__code__.co_freevars.index(name)].cell_contents
    except ValueError:  # still empty
        return _UNKNOWN
