"""Patches that let aotnb watch and answer Numba: installed once, removed without a trace.

Each patch only reports to an :class:`Observer` or asks it; what is done with the answers is decided above. The recorder
must not compile, print or import.
"""

from __future__ import annotations

import contextlib
import functools
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Protocol

from numba.core import (
    base,
    caching,
    ccallback,
    codegen,
    compiler,
    dispatcher,
    errors,
    interpreter,
    ir,
    lowering,
    pythonapi,
    types,
    untyped_passes,
    withcontexts,
)
from numba.core.compiler_lock import global_compiler_lock
from numba.core.typing import context as typing_context
from numba.core.typing import templates
from numba.experimental.jitclass import boxing
from numba.np.ufunc import parallel, ufuncbuilder
from numba.stencils.stencil import StencilFunc

from aotnb.bridge.extensions import names_of_local_types, names_of_types
from aotnb.bridge.served import ServedDescriptor
from aotnb.bridge.stencils import python_call, reads_of


class Observer(Protocol):
    """What the layer above answers. All calls come with Numba's global compiler lock held."""

    def dispatch(self, disp: Any, sig: Any, compile_: Callable[[], Any]) -> Any: ...
    def renew(self, disp: Any, sig: Any, compile_: Callable[[], Any]) -> Any: ...
    def stencil_dispatch(self, stencil: Any, args: Any, flags: Any, compile_: Callable[[], Any]) -> Any: ...
    def cfunc_dispatch(self, disp: Any, sig: Any, compile_: Callable[[], Any]) -> Any: ...
    def apart(self, make: Callable[[], Any]) -> Any: ...
    def ufunc_dispatch(self, disp: Any, sig: Any, flags: Any, compile_: Callable[[], Any]) -> Any: ...
    def wrapper(self, kind: str, cres: Any, extra: Any, build: Callable[[], Any]) -> Any: ...
    def compile_started(self, state: Any) -> Any: ...
    def compile_finished(self, frame: Any, result: Any, error: BaseException | None) -> None: ...
    def pass_timed(self, state: Any, name: str, seconds: float) -> None: ...
    def function_made(self, func: Any) -> None: ...
    def interpreted(self, func: Any, reads: list[tuple[str, str, Any]]) -> None: ...
    def pruned(self, func: Any, names: set[tuple[str, str]]) -> None: ...
    def lifted(self, func: Any, names: set[tuple[str, str]]) -> None: ...
    def lifted_compile(self, disp: Any, compile_: Callable[[], Any]) -> Any: ...
    def loop_dispatch(self, loop: Any, sig: Any, compile_: Callable[[], Any]) -> Any: ...
    def module_attribute(self, module: Any, attr: str) -> None: ...
    def resolved(self, key: Any) -> int: ...
    def answered(self, key: Any, args: Any, kws: Any) -> None: ...
    def unanswered(self, key: Any, failure: Any, mark: int) -> None: ...
    def template_entered(self, template: Any) -> None: ...
    def template_left(self, template: Any) -> None: ...
    def template_used(self, template: Any) -> None: ...
    def recursed(self, disp: Any, args: tuple[Any, ...]) -> None: ...
    def dynamic_address(self, address: int, info: str) -> None: ...
    def serialized(self, obj: Any, name: str) -> None: ...
    def overload_added(self, disp: Any, cres: Any, insert: Callable[[], None]) -> None: ...
    def compile_disabled(self, disp: Any) -> None: ...
    def disk_cache_enabled(self) -> bool: ...


_observer: Observer | None = None
_originals: list[tuple[Any, str, Any]] = []

RAW = "_aotnb_raw"  # attribute of a code library: its modules before any optimisation, as compressed text


def installed() -> bool:
    """Return whether the patches are in place."""
    return _observer is not None


def install(observer: Observer) -> None:
    """Put the patches in place; *observer* gets every call from now on."""
    global _observer
    if _observer is not None:
        raise RuntimeError("the hooks are already installed")
    _observer = observer
    with global_compiler_lock:
        for owner, name, make in PATCHES:
            original = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
            _originals.append((owner, name, original))
            setattr(owner, name, functools.wraps(original)(make(original)))


def uninstall() -> None:
    """Put Numba's own functions back. Functions that another tool patched on top of ours stay as they are."""
    global _observer
    with global_compiler_lock:
        while _originals:
            owner, name, original = _originals.pop()
            setattr(owner, name, original)
        _observer = None


def renew(disp: Any, sig: Any, compile_: Callable[[], Any]) -> None:
    """Ask for code of a dispatcher that may not compile by itself any more; *compile_* is the way to the compiler."""
    with global_compiler_lock:
        if _observer is None:
            compile_()
        else:
            _observer.renew(disp, sig, compile_)


def apart(make: Callable[[], Any]) -> Any:
    """Let *make* compile what is no part of the function at hand, if any is being compiled."""
    return make() if _observer is None else _observer.apart(make)


def _dispatcher_compile(original: Any) -> Any:
    @global_compiler_lock
    def compile(self: Any, sig: Any) -> Any:
        if _observer is None:
            return original(self, sig)
        return _observer.dispatch(self, sig, lambda: original(self, sig))

    return compile


def _add_overload(original: Any) -> Any:
    def add_overload(self: Any, cres: Any) -> None:
        if _observer is None:
            original(self, cres)
        else:
            _observer.overload_added(self, cres, lambda: original(self, cres))

    return add_overload


def _disable_compile(original: Any) -> Any:
    def disable_compile(self: Any, val: bool = True) -> None:
        original(self, val)
        if _observer is not None:
            _observer.compile_disabled(self)

    return disable_compile


def _ufunc_compile(original: Any) -> Any:
    @global_compiler_lock
    def _compile_core(self: Any, sig: Any, flags: Any, locals: Any) -> Any:
        if _observer is None:
            return original(self, sig, flags, locals)
        return _observer.ufunc_dispatch(self, sig, flags, lambda: original(self, sig, flags, locals))

    return _compile_core


def _cfunc_compile(original: Any) -> Any:
    def _compile_uncached(self: Any) -> Any:
        if _observer is None:
            return original(self)
        return _observer.cfunc_dispatch(self._compiler, self._sig, lambda: original(self))

    return _compile_uncached


def _specialize_box(original: Any) -> Any:
    @global_compiler_lock
    def _specialize_box(typ: Any) -> Any:
        # the getters of the Python class are compiled here, while code that returns an object is being lowered
        return apart(lambda: original(typ))

    return _specialize_box


def _stencil_call(original: Any) -> Any:
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        observer = _observer
        if observer is None or kwargs.keys() - {"out"} or not _fits(self.neighborhood, args):
            return original(self, *args, **kwargs)
        return python_call(self, args, kwargs, lambda *question: observer.stencil_dispatch(self, *question))

    return __call__


def _fits(neighborhood: Any, args: Any) -> bool:
    return bool(args) and hasattr(args[0], "ndim") and (neighborhood is None or len(neighborhood) == args[0].ndim)


def _ufunc_wrapper(original: Any) -> Any:
    def build_ufunc_wrapper(library: Any, context: Any, fname: str, signature: Any, objmode: bool, cres: Any) -> Any:
        def build() -> Any:
            return original(library, context, fname, signature, objmode, cres)

        return build() if _observer is None else _observer.wrapper("ufunc", cres, signature, build)

    return build_ufunc_wrapper


def _gufunc_wrapper(kind: str, original: Any) -> Any:
    def build_gufunc_wrapper(py_func: Any, cres: Any, sin: Any, sout: Any, cache: Any, is_parfors: bool) -> Any:
        def build() -> Any:
            return original(py_func, cres, sin, sout, cache=cache, is_parfors=is_parfors)

        return build() if _observer is None or is_parfors else _observer.wrapper(kind, cres, (sin, sout), build)

    return build_gufunc_wrapper


def _parallel_ufunc_wrapper(original: Any) -> Any:
    def build_ufunc_wrapper(library: Any, context: Any, fname: str, signature: Any, cres: Any) -> Any:
        def build() -> Any:
            return original(library, context, fname, signature, cres)

        return build() if _observer is None else _observer.wrapper("parallel ufunc", cres, signature, build)

    return build_ufunc_wrapper


def _compile_core(original: Any) -> Any:
    def _compile_core(self: Any) -> Any:
        observer = _observer
        if observer is None:
            return original(self)
        frame = observer.compile_started(self.state)
        try:
            result = original(self)
        except BaseException as error:
            observer.compile_finished(frame, None, error)
            raise
        # a type of a local class among the arguments tells by itself what is registered for its class
        for name in names_of_types(_handled_types(self.state)) - names_of_local_types(self.state.args or ()):
            observer.resolved(name)
        observer.compile_finished(frame, result, None)
        return result

    return _compile_core


def _handled_types(state: Any) -> Iterator[Any]:
    """Yield the types of all that the code of a finished compilation handles, some of them more than once."""
    yield from state.args or ()
    yield state.return_type
    yield from (state.typemap or {}).values()
    for signature in (state.calltypes or {}).values():
        if signature is not None:
            yield from (signature.return_type, *signature.args)


def attributes_of(blocks: Any) -> set[tuple[str, str]]:
    """Return ("attribute", name) of every attribute that the IR *blocks* take from anything."""
    found = (inst.value for block in blocks.values() for inst in block.body if isinstance(inst, ir.Assign))
    return {("attribute", expr.attr) for expr in found if isinstance(expr, ir.Expr) and expr.op == "getattr"}


def _interpret(original: Any) -> Any:
    def interpret(self: Any, bytecode: Any) -> Any:
        func_ir = original(self, bytecode)
        if _observer is not None:
            _observer.interpreted(bytecode.func_id.func, reads_of(func_ir.blocks))
        return func_ir

    return interpret


def _made_function(original: Any) -> Any:
    def convert_code_obj_to_function(code_obj: Any, caller_ir: Any) -> Any:
        func = original(code_obj, caller_ir)
        if _observer is not None:
            _observer.function_made(func)
        return func

    return convert_code_obj_to_function


def _prune(original: Any) -> Any:
    def run_pass(self: Any, state: Any) -> Any:
        if _observer is None:
            return original(self, state)
        before = dict(state.func_ir.blocks)
        result = original(self, state)
        gone = {label: block for label, block in before.items() if label not in state.func_ir.blocks}
        if gone:
            kept = {label: block for label, block in before.items() if label not in gone}
            dropped = {read[:2] for read in reads_of(gone)} - {read[:2] for read in reads_of(kept)}
            dropped |= attributes_of(gone) - attributes_of(kept)
            _observer.pruned(state.func_id.func, dropped)
        return result

    return run_pass


def _mutate_with_body(original: Any) -> Any:
    def mutate_with_body(self: Any, func_ir: Any, blocks: Any, blk_start: Any, blk_end: Any, body_blocks: Any, *rest: Any) -> Any:
        if _observer is not None:
            body = {label: block for label, block in blocks.items() if label in body_blocks}
            kept = {label: block for label, block in blocks.items() if label not in body_blocks}
            names = {r[:2] for r in reads_of(body)} - {r[:2] for r in reads_of(kept)}
            _observer.lifted(func_ir.func_id.func, names | (attributes_of(body) - attributes_of(kept)))
            for typ in (rest[1] or {}).get("kwargs", {}).values() if len(rest) > 1 else ():
                _annotation_read(func_ir, typ)
        return original(self, func_ir, blocks, blk_start, blk_end, body_blocks, *rest)

    return mutate_with_body


def _annotation_read(func_ir: Any, expression: Any) -> None:
    """Report the attribute of a module by which a block in object mode names the type of a result."""
    if isinstance(expression, ir.Expr) and expression.op == "getattr":
        with contextlib.suppress(errors.ConstantInferenceError):
            owner = func_ir.infer_constant(expression.value)
            if isinstance(owner, ModuleType) and _observer is not None:
                _observer.module_attribute(owner, expression.attr)


def _lifted_compile(original: Any) -> Any:
    @global_compiler_lock
    def compile(self: Any, sig: Any) -> Any:
        if _observer is None:
            return original(self, sig)
        return _observer.lifted_compile(self, lambda: original(self, sig))

    return compile


def _loop_compile(original: Any) -> Any:
    @global_compiler_lock
    def compile(self: Any, sig: Any) -> Any:
        if _observer is None:
            return original(self, sig)
        return _observer.loop_dispatch(self, sig, lambda: original(self, sig))

    return compile


def _resolve_getattr(original: Any) -> Any:
    def resolve_getattr(self: Any, typ: Any, attr: str) -> Any:
        if _observer is not None:
            if isinstance(typ, types.Module):
                _observer.module_attribute(typ.pymod, attr)
            else:
                _observer.resolved((type(typ).__name__, attr))
        return original(self, typ, attr)

    return resolve_getattr


def _resolve_function_type(original: Any) -> Any:
    def resolve_function_type(self: Any, func: Any, args: Any, kws: Any) -> Any:
        if _observer is None:
            return original(self, func, args, kws)
        observer = _observer
        mark = observer.resolved(func)
        answer = None
        try:
            answer = original(self, func, args, kws)
        finally:
            if answer is None:
                # Numba remembers the failure here for as long as it compiles, and repeats it
                observer.unanswered(func, self.callstack.lookup_resolve_cache(func, args, kws), mark)
            else:
                observer.answered(func, args, kws)
        return answer

    return resolve_function_type


def _build_impl(original: Any) -> Any:
    def _build_impl(self: Any, cache_key: Any, args: Any, kws: Any) -> Any:
        observer = _observer
        if observer is None:
            return original(self, cache_key, args, kws)
        observer.template_entered(self)
        try:
            return original(self, cache_key, args, kws)
        finally:
            observer.template_left(self)

    return _build_impl


def _template_generic(original: Any) -> Any:
    def generic(self: Any, args: Any, kws: Any) -> Any:
        if _observer is not None:
            _observer.template_used(self)
        return original(self, args, kws)

    return generic


def _add_dynamic_addr(original: Any) -> Any:
    def add_dynamic_addr(self: Any, builder: Any, intaddr: int, info: str) -> Any:
        if _observer is not None:
            _observer.dynamic_address(intaddr, info)
        return original(self, builder, intaddr, info)

    return add_dynamic_addr


def _serialize_object(original: Any) -> Any:
    def serialize_object(self: Any, obj: Any) -> Any:
        variable = original(self, obj)
        if _observer is not None:
            _observer.serialized(obj, variable.name)
        return variable

    return serialize_object


def _add_llvm_module(original: Any) -> Any:
    def add_llvm_module(self: Any, ll_module: Any) -> None:
        if _observer is not None:
            self.__dict__.setdefault(RAW, []).append(zlib.compress(str(ll_module).encode(), 1))
        original(self, ll_module)

    return add_llvm_module


def _load_overload(original: Any) -> Any:
    def load_overload(self: Any, sig: Any, target_context: Any) -> Any:
        if _observer is not None and not _observer.disk_cache_enabled():
            return None
        return original(self, sig, target_context)

    return load_overload


def _save_overload(original: Any) -> Any:
    def save_overload(self: Any, sig: Any, data: Any) -> None:
        if _observer is None or _observer.disk_cache_enabled():
            original(self, sig, data)

    return save_overload


def _enable_caching(original: Any) -> Any:
    def enable_caching(self: Any) -> None:
        try:
            original(self)
        except RuntimeError:  # Numba finds no place for its cache, of a function from exec, say; it would not be used anyhow
            if _observer is None or _observer.disk_cache_enabled():
                raise

    return enable_caching


def _recursive_call(original: Any) -> Any:
    def _lower_call_RecursiveCall(self: Any, fnty: Any, expr: Any, signature: Any) -> Any:
        # another signature of a function that is being compiled: Numba would look for its code under a name that it
        # derives, and code from an image goes by another one
        disp = fnty.dispatcher_type.dispatcher
        if _observer is not None:
            _observer.recursed(disp, tuple(signature.args))
        known = disp.overloads.get(tuple(signature.args))
        if known is None or not isinstance(known.fndesc, ServedDescriptor):
            return original(self, fnty, expr, signature)
        values = self.fold_call_args(fnty, signature, expr.args, expr.vararg, expr.kws)
        self.context.add_linking_libs([known.library])
        return self.context.call_internal(self.builder, known.fndesc, signature, values)

    return _lower_call_RecursiveCall


def _run_pass(original: Any) -> Any:
    def _runPass(self: Any, index: int, pss: Any, internal_state: Any) -> None:
        original(self, index, pss, internal_state)
        if _observer is not None:
            timing = self.exec_times.get(f"{index}_{pss.name()}")
            if timing is not None:
                _observer.pass_timed(internal_state, pss.name(), timing.init + timing.run + timing.finalize)

    return _runPass


PATCHES: list[tuple[Any, str, Callable[[Any], Any]]] = [
    (dispatcher.Dispatcher, "compile", _dispatcher_compile),
    (dispatcher.Dispatcher, "enable_caching", _enable_caching),
    (dispatcher._DispatcherBase, "add_overload", _add_overload),
    (dispatcher._DispatcherBase, "disable_compile", _disable_compile),
    (ccallback.CFunc, "_compile_uncached", _cfunc_compile),
    (boxing, "_specialize_box", _specialize_box),
    (StencilFunc, "__call__", _stencil_call),
    (ufuncbuilder.UFuncDispatcher, "_compile_core", _ufunc_compile),
    (ufuncbuilder.UFuncDispatcher, "enable_caching", _enable_caching),
    (ufuncbuilder, "build_ufunc_wrapper", _ufunc_wrapper),
    (ufuncbuilder, "build_gufunc_wrapper", functools.partial(_gufunc_wrapper, "gufunc")),
    (parallel, "build_ufunc_wrapper", _parallel_ufunc_wrapper),
    (parallel, "build_gufunc_wrapper", functools.partial(_gufunc_wrapper, "parallel gufunc")),
    (compiler.CompilerBase, "_compile_core", _compile_core),
    (interpreter.Interpreter, "interpret", _interpret),
    (untyped_passes, "convert_code_obj_to_function", _made_function),
    (untyped_passes.DeadBranchPrune, "run_pass", _prune),
    (withcontexts._ObjModeContextType, "mutate_with_body", _mutate_with_body),
    (dispatcher.ObjModeLiftedWith, "compile", _lifted_compile),
    (dispatcher.LiftedLoop, "compile", _loop_compile),
    (typing_context.BaseContext, "resolve_getattr", _resolve_getattr),
    (typing_context.BaseContext, "resolve_function_type", _resolve_function_type),
    (templates._OverloadFunctionTemplate, "_build_impl", _build_impl),
    (templates._OverloadFunctionTemplate, "generic", _template_generic),
    (base.BaseContext, "add_dynamic_addr", _add_dynamic_addr),
    (pythonapi.PythonAPI, "serialize_object", _serialize_object),
    (lowering.Lower, "_lower_call_RecursiveCall", _recursive_call),
    (codegen.CPUCodeLibrary, "add_llvm_module", _add_llvm_module),
    (caching.Cache, "load_overload", _load_overload),
    (caching.Cache, "save_overload", _save_overload),
    (compiler.PassManager, "_runPass", _run_pass),
]
