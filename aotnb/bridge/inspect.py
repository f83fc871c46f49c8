"""Small questions about live Numba objects that the layers above ask, so that they need not know Numba."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from numba.core import bytecode, compiler, errors, ir, sigutils, targetconfig, types
from numba.core.dispatcher import Dispatcher, ObjModeLiftedWith
from numba.core.extending import _Intrinsic
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc

from aotnb.bridge.deep import installed_modules
from aotnb.bridge.irtext import DATA_PREFIX
from aotnb.bridge.stencils import is_stencil, kernel_reads
from aotnb.bridge.typeparts import members, type_of_class, walk
from aotnb.bridge.typeparts import types_of_objects as _types_of_objects
from aotnb.bridge.values import by_address, c_address, is_fixed_module
from aotnb.core.digest import digest

ForceLiteralArg = errors.ForceLiteralArg
TypingError = errors.TypingError


def normalize(sig: Any) -> tuple[tuple[Any, ...], Any]:
    """Return (argument types, explicit return type or None) of anything that ``Dispatcher.compile`` accepts."""
    args, return_type = sigutils.normalize_signature(sig)
    return tuple(args), return_type


def resolved_flags(disp: Any) -> Any:
    """Return the flags that a compilation of *disp* started now would use, inherited ones included."""
    flags = compiler.Flags()
    disp.targetdescr.options.parse_as_flags(flags, disp.targetoptions)
    return flags


def flags_of_python() -> Any:
    """Return the flags under which Numba compiles what Python asks for: no caller has any to hand down."""
    flags = compiler.Flags()
    flags.nrt, flags.error_model = True, "python"
    return flags


def under(flags: Any) -> Any:
    """Return a context in which Numba compiles as for a caller with these flags."""
    return targetconfig.ConfigStack().enter(flags)


def inherits_flags(disp: Any, flags: Any) -> bool:
    """Return whether *flags*, of code of *disp*, are others than Python would get: a caller handed some down."""
    with under(flags_of_python()):
        return flags_digest(resolved_flags(disp)) != flags_digest(flags)


def cfunc_flags(disp: Any) -> Any:
    """Return the flags under which the compiler of a C callback works."""
    return disp._customize_flags(resolved_flags(disp))


def flags_inherit() -> bool:
    """Return whether a caller is being compiled whose flags a callee would inherit."""
    return bool(targetconfig.ConfigStack())


_flags: dict[tuple[tuple[str, str], ...], str] = {}


def flags_digest(flags: Any) -> str:
    """Return the digest of all flag values, whether set or default; "" for None, where something else stands for them."""
    from aotnb.bridge.methods import option_tree

    if flags is None:
        return ""
    values = flags.values()
    key = tuple((name, str(value)) for name, value in values.items())  # of this process only
    found = _flags.get(key)
    if found is None:
        found = _flags[key] = digest([[name, option_tree(value)] for name, value in sorted(values.items())])
    return found


def is_dispatcher(obj: Any) -> bool:
    """Return whether *obj* is a function decorated with jit or njit."""
    return isinstance(obj, Dispatcher)


def live_dispatcher(value: Any) -> Any:
    """Return the dispatcher behind a value found by name, which may be that of the kernel of a ufunc; None for anything else."""
    if isinstance(value, Dispatcher):
        return value
    if isinstance(value, DUFunc | GUFunc):
        return value._dispatcher
    return None


def is_dispatcher_of(value: Any, func: Any) -> bool:
    """Return whether *value*, found by name, is the dispatcher of this very function."""
    disp = live_dispatcher(value)
    return disp is not None and disp.py_func is func


def dispatchers_in_value(value: Any) -> Iterator[tuple[list[Any], Any]]:
    """Yield (steps, dispatcher) of the dispatchers that *value* is or holds; :func:`take_steps` goes the same way.

    A step is a position in a tuple, or the name of a closure cell of a function that is inlined into its caller.
    """
    found = live_dispatcher(value)
    if found is not None:
        yield [], found
        if found.targetoptions.get("inline", "never") != "never":
            func = found.py_func
            for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
                for steps, disp in dispatchers_in_value(cell_content(cell)):
                    yield [name, *steps], disp
    elif (typ := type_of_class(value)) is not None or isinstance(value, types.Type):
        yield from dispatchers_in_type(value if typ is None else typ)
    elif is_stencil(value):
        for _, name, item in kernel_reads(value):
            for steps, disp in dispatchers_in_value(item):
                yield [name, *steps], disp
    elif isinstance(value, tuple):
        for position, item in enumerate(value):
            for steps, disp in dispatchers_in_value(item):
                yield [position, *steps], disp


def take_steps(value: Any, steps: list[Any]) -> Any:
    """Return the dispatcher at the end of *steps* from *value*, or None."""
    if (typ := type_of_class(value)) is not None or isinstance(value, types.Type):
        return dispatcher_at(value if typ is None else typ, steps)
    for step in steps:
        if is_stencil(value):
            value = next((item for _, name, item in kernel_reads(value) if name == step), None)
        elif isinstance(step, int):
            value = value[step] if isinstance(value, tuple) and step < len(value) else None
        else:
            found = live_dispatcher(value)
            names = () if found is None else found.py_func.__code__.co_freevars
            value = cell_content(found.py_func.__closure__[names.index(step)]) if step in names else None
    return live_dispatcher(value)


def cell_content(cell: Any) -> Any:
    """Return what a closure cell holds, None if it is empty."""
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return None


def dispatchers_in_type(typ: Any) -> Iterator[tuple[list[Any], Any]]:
    """Yield (steps, dispatcher) of the dispatchers that a value of type *typ* passes, and of the methods of its classes."""
    for steps, inner in walk(typ):
        if isinstance(inner, types.Dispatcher):
            yield steps, inner.dispatcher
        elif isinstance(inner, types.ClassType):
            for step, disp in members(inner):
                yield [*steps, step], disp
        elif isinstance(inner, types.Omitted):
            for path, disp in dispatchers_in_value(inner.value):
                yield [*steps, *path], disp


def dispatcher_at(typ: Any, steps: list[Any]) -> Any:
    """Return the dispatcher at the end of *steps* from a type, or None."""
    return next((disp for found, disp in dispatchers_in_type(typ) if found == steps), None)


def bound_objects(value: Any) -> Iterator[tuple[list[Any], str, int]]:
    """Yield (steps, what, number) of all in a value, or in the type of an argument, that code is bound to by its identity.

    That are functions that are called, and addresses of arrays and C functions. Jitclasses are told apart by their types.
    """
    if isinstance(value, types.Type):
        for steps, disp in dispatchers_in_type(value):
            if not any(isinstance(step, str) and ":" in step for step in steps):
                yield steps, "function", id(disp)
    elif by_address(value):
        yield [], "array", id(value)
        yield [], "block of memory", int(value.ctypes.data)
    elif (address := c_address(value)) is not None:
        yield [], "C function", address
    elif type_of_class(value) is None:
        for steps, disp in dispatchers_in_value(value):
            yield steps, "function", id(disp)


def types_of_objects(value: Any) -> Iterator[Any]:
    """Yield the types that only a live object stands for in *value*: a jitclass, or a type."""
    typ = type_of_class(value)
    if typ is not None or isinstance(value, types.Type):
        yield from _types_of_objects(value if typ is None else typ)
    elif isinstance(value, tuple):
        for item in value:
            yield from types_of_objects(item)


def passed_dispatchers(args: Iterable[Any]) -> list[Any]:
    """Return the dispatchers that values of the types *args* pass, as far as they are alive."""
    found = []
    for arg in args:
        try:
            found += [disp for _, disp in dispatchers_in_type(arg)]
        except ReferenceError:
            continue
    return found


def namespace_module(namespace: dict[str, Any]) -> str | None:
    """Return the name of the loaded module that this namespace belongs to, or None."""
    name = namespace.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    return name if isinstance(module, ModuleType) and vars(module) is namespace else None


def key_name(key: Any) -> str:
    """Return a name for a function type, an operator, or an attribute that call resolution looked up."""
    if isinstance(key, str):
        return key
    if isinstance(key, tuple):
        return ".".join(str(part) for part in key)
    typing_key = getattr(key, "typing_key", None)
    if typing_key is not None:
        key = typing_key
    module, name = getattr(key, "__module__", None), getattr(key, "__qualname__", None) or getattr(key, "__name__", None)
    return f"{module}.{name}" if name else type(key).__qualname__


def is_runtime_library(library: Any) -> bool:
    """Return whether *library* is Numba's own runtime, which every image brings for itself."""
    return library.name == "nrt"


def absolute(module: str | None, qualname: str) -> Any:
    """Return the live object of a qualified name, or None."""
    found: Any = sys.modules.get(module or "")
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def module_namespace(name: str) -> dict[str, Any]:
    """Return the namespace of a loaded module, an empty one if it is not loaded."""
    module = sys.modules.get(name)
    return {} if module is None else vars(module)


def data_symbols(text: str) -> set[str]:
    """Return the data symbols that the text of a canonical library loads."""
    return set(re.findall(re.escape(DATA_PREFIX) + r"\w+", text))


def force_literal(positions: frozenset[int], disp: Any) -> BaseException:
    """Return the exception by which Numba asks for literal arguments."""
    error = errors.ForceLiteralArg(set(positions))
    return error.bind_fold_arguments(lambda args, kws: disp._compiler.fold_argument_types(args, kws)[1])  # type: ignore[no-any-return]


def nested_types(args: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the types among *args*, and inside their tuples, that only a live object stands for."""
    for arg in args:
        if isinstance(arg, types.BaseTuple):
            yield from nested_types(tuple(arg))
        elif isinstance(arg, types.Dispatcher | types.Function | types.Module):
            yield arg


def type_of_dispatcher(disp: Any) -> Any:
    """Return the Numba type of a dispatcher."""
    return types.Dispatcher(disp)


def follow(path: Any, func: Any, module: str) -> Any:
    """Return the live object at the end of a path, or None."""
    kind, where, name, positions = path
    if kind == "absolute":
        value = absolute(where, name)
    elif kind == "free":
        names = func.__code__.co_freevars if func is not None else ()
        value = func.__closure__[names.index(name)].cell_contents if name in names else None
    elif kind in ("arg", "overload"):
        return None
    else:
        namespace = (
            func.__globals__ if where == "own" and func is not None else module_namespace(module if where == "own" else where)
        )
        value = namespace.get(name)
    return take_steps(value, positions) if positions else value


def compiled_overloads(disp: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return (argument types, code library) of everything that a dispatcher has compiled or been given."""
    return [(tuple(cres.signature.args), cres.library) for cres in disp.overloads.values()]


def lifted_dispatcher(obj: Any) -> Any:
    """Return the dispatcher of a block in object mode if *obj* is what a caller pickles of it, else None."""
    return obj[0] if isinstance(obj, tuple) and len(obj) == 2 and isinstance(obj[0], ObjModeLiftedWith) else None


def is_undefined(value: Any) -> bool:
    """Return whether the interpreter found no such name yet: a recursive function that is compiled by its decorator."""
    return value is ir.UNDEFINED


def image_entry(library: Any) -> Any:
    """Return (image, number of the code instance) if the code of *library* lies in a loaded image, else None."""
    return getattr(library, "entry", None)


def c_function_name(func: Any, address: int) -> str | None:
    """Return the global of *func* that holds a ctypes function with this address."""
    for name in func.__code__.co_names:
        value = func.__globals__.get(name)
        if isinstance(value, ctypes._CFuncPtr) and c_address(value) == address:  # type: ignore[attr-defined]
            return str(name)
    return None


def modules_of_value(value: Any) -> set[str]:
    """Return the modules whose code *value* stands for: their versions matter to whoever read it."""
    if isinstance(value, tuple):
        return set().union(*(modules_of_value(item) for item in value))
    if isinstance(value, ModuleType):
        return {value.__name__}
    inlined = isinstance(value, Dispatcher) and value.targetoptions.get("inline", "never") != "never"
    found = installed_modules(value) if inlined or isinstance(value, FunctionType | _Intrinsic) else set()
    module = getattr(value._defn if isinstance(value, _Intrinsic) else value, "__module__", None)
    return {module, *found} if isinstance(module, str) else found


def is_compiler_module(name: str | None) -> bool:
    """Return whether a module is part of the compiler, which the environment key fixes as a whole."""
    return (name or "").partition(".")[0] in ("numba", "llvmlite") and is_fixed_module(name)


def is_intrinsic(value: Any) -> bool:
    """Return whether *value* was made by ``@intrinsic``."""
    return isinstance(value, _Intrinsic)


def call_types(disp: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return name, type and value of each argument as a call from Python has them; raise TypeError for one that does not fit."""
    signature = disp._compiler.pysig
    bound = signature.bind(*args, **kwargs).arguments
    found = []
    for name, parameter in signature.parameters.items():
        value = bound.get(name, () if parameter.kind is parameter.VAR_POSITIONAL else parameter.default)
        omitted = name not in bound and parameter.kind is not parameter.VAR_POSITIONAL
        found.append((name, types.Omitted(value) if omitted else disp.typeof_pyval(value), value))
    return found


def literal(value: Any, typ: Any) -> Any:
    """Return the literal type of a value, as Numba takes it where code asks for literals; *typ* where it has none."""
    try:
        return types.literal(value)
    except errors.LiteralTypingError:
        return typ


def compilations_begun() -> int:
    """Return how many compilations this process has begun so far, watched or not: the number that Numba gives to each."""
    return int(re.sub(r"\D", "", repr(bytecode.FunctionIdentity._unique_ids))) - 1


def may_compile(disp: Any) -> bool:
    """Return whether a call with new argument types would be compiled; not so after explicit signatures."""
    return bool(disp._can_compile)
