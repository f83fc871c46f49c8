"""Take compiled code out of a dispatcher, and put it behind another one, in a process where other threads may be calling."""

from __future__ import annotations

import copy
import sys
import weakref
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from operator import methodcaller
from types import ModuleType
from typing import Any

from numba import _dynfunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher, _DispatcherBase
from numba.core.registry import cpu_target
from numba.core.typing import signature
from numba.np.ufunc import ufuncbuilder
from numba.np.ufunc._internal import _DUFunc
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc

from aotnb.bridge import hooks

compiler_lock = global_compiler_lock
_retired: list[Any] = []  # threads may still run what was taken out
Again = tuple[tuple[Any, ...], Callable[[], None]]


def forget_failures(dispatchers: Collection[Any]) -> None:
    """Let the compiler try again what has failed: Numba remembers the error of each signature for good."""
    for disp in dispatchers:
        getattr(getattr(disp, "_compiler", None), "_failed_cache", {}).clear()


def holds(disp: Any, library: Any) -> bool:
    """Return whether *disp* answers some call with the code in *library*."""
    return any(cres.library is library for cres in list(disp.overloads.values()))


def arguments_of(disp: Any, libraries: Collection[Any]) -> set[tuple[Any, ...]]:
    """Return the argument types that *disp* answers with the code in *libraries*."""
    found = [cres for cres in disp.overloads.values() if any(cres.library is library for library in libraries)]
    return {tuple(cres.signature.args) for cres in found}


def drop(disp: Any, code: Collection[tuple[Any, Any]], waiting: Collection[tuple[Any, ...]] = ()) -> list[Again]:
    """Take code out of *disp*; its other signatures stay, and a thread that calls meanwhile finds them.

    *code* is (library, the return type that was asked for or None) of what goes. *waiting* are argument types whose code is
    known but not in the C table yet; they stay so. A dispatcher that may not compile any more (explicit signatures), and
    the kernel of a ufunc, would have no code then. For those the return value says what to call, once all that is invalid
    has been taken out everywhere, to compile anew as the decorator did: (argument types, function without arguments).
    Until then such a dispatcher answers Python, but not the compiler, with what it had.
    """
    with global_compiler_lock:
        asked = {id(library): return_type for library, return_type in code}
        gone = [cres for cres in disp.overloads.values() if id(cres.library) in asked]
        if not gone:
            return []
        _retired.append(gone)
        questions = [(tuple(cres.signature.args), asked[id(cres.library)]) for cres in gone]
        if not isinstance(disp, _DispatcherBase):
            return [again for ufunc in ufuncs_over(disp) for again in _without_loops(disp, ufunc, gone, questions)]
        for args, _ in questions:
            del disp.overloads[args]
        if disp._can_compile:
            _renew_table(disp, waiting)
            return []
        return [(args, partial(_compile_again, disp, args, asked_for)) for args, asked_for in questions]


def _renew_table(disp: Any, waiting: Collection[tuple[Any, ...]] = ()) -> None:
    """Make the C table of a dispatcher hold what ``overloads`` holds, in one step.

    The table can only be cleared as a whole. No other thread runs in between, since no bytecode is evaluated: ``map`` and
    ``deque`` call the C functions one after the other.
    """
    calls = [disp._clear]
    for args, cres in disp.overloads.items():
        if args not in waiting:
            calls.append(partial(disp._insert, [arg._code for arg in args], cres.entry_point, cres.objectmode))
    deque(map(methodcaller("__call__"), calls), maxlen=0)


def _question(args: tuple[Any, ...], return_type: Any) -> Any:
    return args if return_type is None else signature(return_type, *args)


def _compile_again(disp: Any, args: tuple[Any, ...], return_type: Any) -> None:
    # not by Dispatcher.compile: it would have to be allowed for a while, and then calls that need a conversion would
    # ask for a compilation of their own
    def compile_() -> Any:
        forget_failures([disp])
        with disp._compiling_counter:
            cres = disp._compiler.compile(args, return_type)
        disp.add_overload(cres)
        return cres.entry_point

    try:
        hooks.renew(disp, _question(args, return_type), compile_)
    finally:
        _renew_table(disp)


def _without_loops(kernel: Any, ufunc: Any, gone: list[Any], questions: list[tuple[Any, Any]]) -> list[Again]:
    """Take code out of the kernel of a ufunc; what to call then gives the ufunc its loops again, in their order."""
    loops = [
        (cres, next((q for q, g in zip(questions, gone, strict=True) if g is cres), None)) for cres in kernel.overloads.values()
    ]
    for key in [key for key, cres in kernel.overloads.items() if any(cres is other for other in gone)]:
        del kernel.overloads[key]
    args = questions[0][0] if questions else ()
    if isinstance(ufunc, DUFunc):
        return [(args, partial(_rebuild_loops, ufunc, loops))]
    builder = ufunc.gufunc_builder
    for sig in [sig for sig, cres in builder._cres.items() if any(cres is other for other in gone)]:
        builder._sigs.remove(sig)
        del builder._cres[sig]
    return [(args, partial(_add_general_loop, ufunc, *question)) for question in questions]


def _rebuild_loops(ufunc: Any, loops: list[tuple[Any, Any]]) -> None:
    """Make a ufunc anew, in place: NumPy keeps loops for good, and explicit signatures freeze a ufunc for good."""
    frozen, kernel = ufunc._frozen, ufunc._dispatcher
    kept = dict(kernel.overloads)
    kernel.overloads.clear()
    _DUFunc.__init__(ufunc, kernel, identity=ufuncbuilder.parse_identity(_identity(ufunc)))
    ufunc._lower_me.libs.clear()
    try:
        for cres, question in loops:
            if question is not None:
                ufunc._compile_for_argtys(*question)
                continue
            kernel.overloads.update({key: known for key, known in kept.items() if known is cres})
            numbers, address, env = ufuncbuilder._build_element_wise_ufunc_wrapper(cres, cres.signature)
            ufunc._add_loop(int(address), numbers)
            ufunc._keepalive.append((address, cres.library, env))
            ufunc._lower_me.libs.append(cres.library)
    finally:
        if frozen:
            ufunc._frozen = True


def _identity(ufunc: Any) -> Any:
    if ufunc.identity is None:  # NumPy says None for both
        return "reorderable" if ufunc.reorderable else None
    return ufunc.identity


def _add_general_loop(ufunc: Any, args: tuple[Any, ...], return_type: Any) -> None:
    ufunc.gufunc_builder.add(_question(args, return_type))
    ufunc.build_ufunc()


def ufuncs_over(kernel: Any) -> list[Any]:
    """Return the ufuncs that were built over the scalar kernel *kernel* and are known to Numba's typing."""
    found = []
    for key in list(cpu_target.typing_context._globals):
        ufunc = key() if isinstance(key, weakref.ref) else key
        if isinstance(ufunc, DUFunc | GUFunc) and ufunc._dispatcher is kernel:
            found.append(ufunc)
    return found


def kernel_of(value: Any) -> Any:
    """Return the dispatcher that *value* is, or that lies behind it if it is a ufunc; None for anything else."""
    return value if isinstance(value, Dispatcher) else value._dispatcher if isinstance(value, DUFunc | GUFunc) else None


def is_frozen(disp: Any) -> bool:
    """Return whether all code of *disp* was compiled by explicit signatures: Numba compiles nothing more for it."""
    if isinstance(disp, _DispatcherBase):
        return not disp._can_compile
    return all(getattr(ufunc, "_frozen", False) for ufunc in ufuncs_over(disp))


def is_replaceable(kernel: Any) -> bool:
    """Return whether code of *kernel* can be taken out of everything that uses it: not out of a plain NumPy ufunc."""
    return isinstance(kernel, _DispatcherBase) or bool(ufuncs_over(kernel))


def put_behind(disp: Any, cres: Any, args: tuple[Any, ...], return_type: Any) -> Any:
    """Register code that was compiled for an equal function behind *disp*, with an entry point of its own.

    Of its own, since Numba forgets the definition behind an entry point as soon as one dispatcher with it dies.
    """
    func = disp.py_func
    address = cres.library.get_pointer_to_function(cres.fndesc.llvm_cpython_wrapper_name)
    module = sys.modules.get(func.__module__) or ModuleType("<dynamic>")
    entry_point = _dynfunc.make_function(
        module, func.__name__, f"compiled wrapper for {func.__qualname__!r}", address, cres.environment, (cres.library,)
    )
    descriptor = cres.fndesc
    if tuple(descriptor.argtypes) != args:  # types of equal functions that are other objects
        descriptor = copy.copy(descriptor)
        descriptor.argtypes, descriptor.restype = args, return_type
    placed = cres._replace(entry_point=entry_point, signature=signature(return_type, *args), fndesc=descriptor)
    disp.targetctx.insert_user_function(placed.entry_point, placed.fndesc, [placed.library])
    disp.add_overload(placed)
    return placed
