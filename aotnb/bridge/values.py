"""The closed codec of values that compiled code reads: digests for edges, and trees that can be turned back for roots.

Each kind has a declared rule (by content, by name, or by live address); a kind without a rule raises
:class:`~aotnb.errors.NotRelocatable`. Never guess.
"""

from __future__ import annotations

import ctypes
import enum
import os
import sys
import sysconfig
import weakref
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, ModuleType, WrapperDescriptorType
from typing import Any

import numpy as np
from numba.core import errors, types
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic
from numba.core.typing.ctypes_utils import make_function_type
from numba.core.typing.templates import Signature, builtin_registry
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc
from numba.stencils.stencil import StencilFunc

from aotnb.bridge.methods import dispatcher_tree, function_tree, method_tree
from aotnb.bridge.names import described, is_local, lookup, name_tree
from aotnb.bridge.stencils import kernel_reads
from aotnb.bridge.typeparts import all_types, type_of_class, types_of_objects
from aotnb.core.digest import digest, digest_bytes, nested_names, number_from, number_text
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

Tree = Any

ADDRESS_LIMIT = 10**6  # bytes; Numba takes larger global arrays, and non-contiguous ones, by address


def value_tree(value: Any) -> Tree:
    """Return the tree of *value*; equal trees mean that a compiler would read the same thing."""
    encode = _rule(type(value))
    return (encode or _object)(value)


def _object(value: Any) -> Tree:
    """Encode an object of a class without a rule; it may raise what it likes when it is asked for anything."""
    try:
        return _named_object(value)
    except NotRelocatable:
        raise
    except Exception as error:
        raise unreadable(value, error) from None


def unreadable(value: Any, error: Exception) -> NotRelocatable:
    """Return the refusal of a value that raised *error* when it was looked at."""
    return NotRelocatable(f"{refusal('value', type=type(value).__qualname__)}: {type(error).__name__}")


def _named_object(value: Any) -> Tree:
    if _is_cffi(value):
        return _c_function(value)
    if (function := _module_function(value)) is not None:
        return function
    if (found := _module_constant(value)) is not None:
        return ["builtin", *found]
    if is_fixed_module(getattr(value, "__module__", None)) and is_fixed_module(type(value).__module__):
        # such as np.dot, an object of a NumPy class that its public name leads to
        return ["builtin", *name_tree(value)]
    if _is_overloaded(value):
        return ["builtin", *name_tree(value)]
    raise NotRelocatable(refusal("value", type=f"{type(value).__module__}.{type(value).__qualname__}"))


def _is_overloaded(value: Any) -> bool:
    """Return whether implementations are registered for this very object, such as a multimethod of SciPy: it is but a key."""
    return any(known is value for known, _ in builtin_registry.globals)


def _module_function(value: Any) -> Tree:
    """Encode a method of an object that a module keeps, such as np.random.rand or random.random, or return None.

    Cython decides of which kind those of NumPy are.
    """
    name = getattr(value, "__name__", None)
    if not isinstance(name, str):
        return None
    for module in ("numpy.random", type(getattr(value, "__self__", None)).__module__):
        if is_fixed_module(module) and getattr(sys.modules.get(module), name, None) == value:
            return ["builtin", module, name]
    return None


def _module_constant(value: Any) -> tuple[str, str] | None:
    """Return module and name of an object that Numba itself keeps in a module, such as ``numba.objmode``."""
    module = type(value).__module__
    if module.startswith("numba.") and isinstance(sys.modules.get(module), ModuleType):
        for name, item in vars(sys.modules[module]).items():
            if item is value:
                return module, name
    return None


_rule_of: weakref.WeakKeyDictionary[type, Callable[[Any], Tree] | None] = weakref.WeakKeyDictionary()


def _rule(cls: type) -> Callable[[Any], Tree] | None:
    """Return the rule for values of a class; the tests of Numba's abstract classes cost too much to repeat for each value."""
    if cls not in _rule_of:
        _rule_of[cls] = next((encode for kinds, encode in _RULES if issubclass(cls, kinds)), None)
    return _rule_of[cls]


def has_no_rule(cls: type) -> bool:
    """Return whether values of a class have no encoding of their own."""
    return _rule(cls) is None


def summary(value: Any) -> str:
    """Describe *value* in a few words for messages."""
    if isinstance(value, np.ndarray):
        return f"array({value.dtype}, shape {value.shape})"
    if isinstance(value, Dispatcher):
        return f"jitted function {value.py_func.__module__}.{value.py_func.__qualname__}"
    if isinstance(value, FunctionType | type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    try:
        text = described(value)
    except Exception:  # whatever it may raise: the compiler does not ask
        text = f"an object of {type(value).__module__}.{type(value).__qualname__}"
    return text if len(text) <= 60 else text[:57] + "..."


# ---------------------------------------------------------------- rules by content


def _scalar(value: Any) -> Tree:
    if isinstance(value, float | complex):
        return [type(value).__name__, number_text(value)]
    # as the compiler sees it, whatever a class that is derived from int or str calls its values
    base: Any = next((base for base in (bool, int, str, bytes) if isinstance(value, base)), type(value))
    return [type(value).__name__, base.__repr__(value)]


def _tuple(value: tuple[Any, ...]) -> Tree:
    fields = getattr(type(value), "_fields", None)
    if fields is not None:
        return ["namedtuple", name_tree(type(value)), list(fields), [value_tree(item) for item in value]]
    if type(value) is not tuple:
        raise NotRelocatable(refusal("value", type=type(value).__qualname__))
    return ["tuple", [value_tree(item) for item in value]]


def _numpy_scalar(value: Any) -> Tree:
    return ["npscalar", dtype_tree(value.dtype), value.tobytes().hex()]


def dtype_tree(dtype: np.dtype[Any]) -> Tree:
    """Encode a dtype with all that matters to compiled code: field names, offsets, titles, item size, alignment."""
    if dtype.hasobject:
        raise NotRelocatable(refusal("value", type=f"numpy.dtype, {dtype}, which holds Python objects,"))
    if dtype.names is None:
        base = [dtype.str, None] if dtype.subdtype is None else [dtype_tree(dtype.subdtype[0]), list(dtype.subdtype[1])]
        return ["dtype", *base]
    assert dtype.fields is not None
    fields = []
    for name in dtype.names:
        field = dtype.fields[name]
        fields.append([name, dtype_tree(field[0]), field[1], field[2] if len(field) > 2 else None])
    return ["struct", fields, dtype.itemsize, dtype.isalignedstruct]


def _array(value: np.ndarray) -> Tree:
    if type(value) is np.recarray:  # an array of records to the compiler
        return ["recarray", _array(value.view(np.ndarray))]
    if type(value) is not np.ndarray:
        raise NotRelocatable(refusal("value", type=f"{type(value).__qualname__}, a subclass of numpy.ndarray,"))
    head = [dtype_tree(value.dtype), list(value.shape), value.flags.writeable, value.flags.aligned]
    contiguous = "C" if value.flags.c_contiguous else "F" if value.flags.f_contiguous else None
    if by_address(value):
        # bound to the live object: content is neither stored nor compared
        return ["livearray", *head, list(value.strides)]
    return ["array", *head, contiguous, list(value.strides), digest_bytes(value.tobytes(order="A"))]


def by_address(value: Any) -> bool:
    """Return whether Numba compiles the address of this array instead of its content."""
    return isinstance(value, np.ndarray) and (
        value.nbytes > ADDRESS_LIMIT or not (value.flags.c_contiguous or value.flags.f_contiguous)
    )


def live_ids(value: Any) -> tuple[int, ...]:
    """Return the ids of the objects in *value* that code is bound to by identity: content alone does not stand for them."""
    if isinstance(value, tuple):
        fields = (id(type(value)),) if type(value) is not tuple else ()
        return fields + tuple(found for item in value for found in live_ids(item))
    if isinstance(value, enum.Enum) or (isinstance(value, type) and is_extension(value)):
        return (id(value),)
    if isinstance(value, ModuleType | FunctionType | Dispatcher | DUFunc) or by_address(value):
        return (id(value),)
    # an address in the code, a class with objects of its own, a kernel that may hold either
    if c_address(value) is not None or type_of_class(value) is not None or isinstance(value, StencilFunc):
        return (id(value),)
    if isinstance(value, types.Type):
        classes = (typ.class_type for typ in types_of_objects(value) if isinstance(typ, types.ClassInstanceType))
        extended = filter(is_extension, map(type, all_types(value)))
        return tuple(map(id, (*classes, *extended)))
    return ()


def _enum(value: enum.Enum) -> Tree:
    return ["enum", name_tree(type(value)), value.name, value_tree(value.value)]


# ---------------------------------------------------------------- rules by name


def _class(value: type) -> Tree:
    if issubclass(value, enum.Enum):
        return ["enumclass", *enum_tree(value)]
    if hasattr(value, "_fields") and issubclass(value, tuple):
        return ["class", *name_tree(value), list(value._fields)]  # type: ignore[attr-defined]
    if (jitclass := type_of_class(value)) is not None:
        return _numba_type(jitclass)
    if issubclass(value, types.StructRef) and value is not types.StructRef:
        from aotnb.bridge.typecodec import structref_class

        return ["class", *structref_class(value)]
    if is_local(value) and not issubclass(value, BaseException):
        return ["local class", value.__module__, value.__qualname__, local_class_digest(value)]
    return ["class", *name_tree(value), None]


def local_class_digest(cls: type) -> str:
    """Return the digest of a class that was defined inside a function, with what is registered for a class of types."""
    from aotnb.bridge.deep import deep_class_tree
    from aotnb.bridge.extensions import class_tree

    return digest([deep_class_tree(cls), class_tree(cls) if issubclass(cls, types.Type) else None])


def enum_tree(cls: type[enum.Enum]) -> Tree:
    """Encode a class of enumerations: its name, and all names of its members with their values, aliases among them."""
    return [name_tree(cls), [[name, value_tree(member.value)] for name, member in cls.__members__.items()]]


def _builtin(value: Any) -> Tree:
    if _is_cffi(value):
        return _c_function(value)
    owner = getattr(value, "__objclass__", None)
    if owner is not None:
        return ["builtin", owner.__module__, value.__qualname__]
    bound = getattr(value, "__self__", None)
    if isinstance(bound, type):
        return ["classmethod", *name_tree(bound), value.__name__]
    if (function := _module_function(value)) is not None:
        return function
    if bound is not None and not isinstance(bound, ModuleType):
        raise NotRelocatable(refusal("value", type="a bound method"))
    return ["builtin", value.__module__ or "builtins", value.__qualname__]


def _c_function(value: Any) -> Tree:
    """Encode a ctypes or cffi function by its types: code holds its address, which is bound to the live object."""
    try:
        typ = make_function_type(value) if isinstance(value, ctypes._CFuncPtr) else _cffi().make_function_type(value)  # type: ignore[attr-defined]
    except (TypeError, errors.NumbaError) as error:
        raise NotRelocatable(f"a C function without types that Numba knows: {error}") from None
    return ["cfunction", *_numba_type(typ)[1][1:]]


def c_address(value: Any) -> int | None:
    """Return the address of a C callback, or of a ctypes or cffi function; None for anything else."""
    if isinstance(value, CFunc):
        return int(value.address or 0)
    if isinstance(value, types.WrapperAddressProtocol):
        return int(value.__wrapper_address__())
    if isinstance(value, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        return ctypes.cast(value, ctypes.c_void_p).value
    return int(_cffi().get_pointer(value)) if _is_cffi(value) else None


def _callback(value: Any) -> Tree:
    return ["callback", method_tree(value._compiler), _signature(value._sig)]


def _wrapped_address(value: Any) -> Tree:
    """Encode an object that tells an address by its signature: the address is asked of the live object."""
    return ["callback", _signature(value.signature())]


def _is_cffi(value: Any) -> bool:
    # a library that cffi compiled has functions of the built-in kind; cffi itself would take a string for C
    possible = type(value).__module__ == "_cffi_backend" or isinstance(value, BuiltinFunctionType)
    return possible and "_cffi_backend" in sys.modules and _cffi().is_cffi_func(value)


def _cffi() -> Any:
    from numba.core.typing import cffi_utils  # brings a parser of C along

    return cffi_utils


def _bound(value: MethodType) -> Tree:
    """Encode a class method, such as the one by which Python is given a struct."""
    if (function := _module_function(value)) is not None:
        return function
    if not isinstance(value.__self__, type):
        raise NotRelocatable(refusal("value", type="a bound method"))
    return ["classmethod", *name_tree(value.__self__), value.__name__]


def _module(value: ModuleType) -> Tree:
    return ["module", value.__name__]


# ---------------------------------------------------------------- rules for code


def is_fixed_module(name: str | None) -> bool:
    """Return whether the environment key fixes this module: Python's own library, Numba, llvmlite and NumPy.

    Numba's tests use the compiler as anybody's code does, and are no part of it.
    """
    top = (name or "").partition(".")[0]
    return (top in _FIXED and not _is_test(name)) or (top in sys.stdlib_module_names and _is_standard(top))


def _is_standard(name: str) -> bool:
    """Return whether the module that is loaded under the name of a standard one is that one, and none of the user's."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is None or (file.startswith(_STANDARD) and not _is_installed_file(file))


_STANDARD = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib"))


def is_extension(cls: type) -> bool:
    """Return whether a class, such as one of types, comes from outside Numba and what the environment key fixes with it."""
    return not is_fixed_module(cls.__module__)


_FIXED = frozenset({"numba", "llvmlite", "numpy"})


def _is_test(name: str | None) -> bool:
    return name is not None and name.startswith("numba.tests.")


def module_of(func: Any) -> str | None:
    """Return the module of a function; one that was wrapped carelessly has only that of its globals."""
    return getattr(func, "__module__", None) or getattr(func, "__globals__", {}).get("__name__")


def is_installed_module(name: str | None) -> bool:
    """Return whether the module lies in an installed distribution, which its version stands for."""
    module = sys.modules.get(name or "")
    return _is_installed_file(getattr(module, "__file__", None) or "")


def _is_installed_file(path: str) -> bool:
    return "site-packages" in path or "dist-packages" in path


def _function(value: FunctionType) -> Tree:
    from aotnb.bridge.deep import deep_function_tree

    if "<locals>" in value.__qualname__ and (overloads := _overloads_of(value)):
        return ["overloaded", value.__module__, value.__qualname__, overloads]
    return deep_function_tree(value)


def _overloads_of(value: FunctionType) -> list[str]:
    """Return the digests of what is registered for this very function, which a factory made as a key: nobody runs it."""
    from aotnb.bridge.extensions import overload_digest

    registered = [typ for known, typ in builtin_registry.globals if known is value]
    templates = [template for typ in registered for template in getattr(typ, "templates", (None,))]
    if not all(hasattr(template, "_overload_func") for template in templates):
        return []
    return [overload_digest(template) for template in templates]


def _dispatcher(value: Dispatcher) -> Tree:
    tree = ["dispatcher", dispatcher_tree(value)]
    if value.targetoptions.get("inline", "never") != "never":
        # inlined into the caller's own IR: its closure is read by the caller
        tree.append(_function(value.py_func))
    return tree


def _dufunc(value: DUFunc) -> Tree:
    return ["dufunc", dispatcher_tree(value._dispatcher, frozen=value._frozen), str(value.identity)]


def _gufunc(value: GUFunc) -> Tree:
    builder = value.gufunc_builder
    layout = [builder.signature, sorted(map(str, builder.writable_args)), str(value._identity)]
    return ["gufunc", dispatcher_tree(value._dispatcher, frozen=value._frozen), layout]


def _ufunc(value: np.ufunc) -> Tree:
    public = value.__name__
    for name in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(name), public, None) is value:
            return ["ufunc", name, public]
    raise NotRelocatable(refusal("ufunc", name=public))


def _stencil(value: Any) -> Tree:
    """Encode a stencil with what its kernel read: that was frozen when it was decorated, whatever the names lead to now."""
    from aotnb.bridge.deep import deep_tree

    func = value.kernel_ir.func_id.func
    names = frozenset(nested_names(func.__code__))
    reads = {(kind, name): deep_tree(item, names) for kind, name, item in kernel_reads(value)}
    options = [[name, value_tree(tuple(o) if isinstance(o, list) else o)] for name, o in sorted(value.options.items())]
    return ["stencil", value.mode, options, function_tree(func), sorted([*key, tree] for key, tree in reads.items())]


def _numba_type(value: types.Type) -> Tree:
    from aotnb.bridge.typecodec import encode_type

    return ["type", encode_type(value)]


def _signature(value: Signature) -> Tree:
    from aotnb.bridge.typecodec import encode_type, encode_types

    return ["signature", encode_type(value.return_type), encode_types(value.args)]


def _intrinsic(value: _Intrinsic) -> Tree:
    return ["intrinsic", _function(value._defn)]


def _slice(value: slice) -> Tree:
    return ["slice", [value_tree(item) for item in (value.start, value.stop, value.step)]]


_RULES: list[tuple[Any, Callable[[Any], Tree]]] = [
    (enum.Enum, _enum),
    (np.generic, _numpy_scalar),
    ((type(None), type(Ellipsis), bool, int, float, complex, str, bytes), _scalar),
    (tuple, _tuple),
    (slice, _slice),
    (np.ndarray, _array),
    (np.dtype, dtype_tree),
    (ModuleType, _module),
    (Dispatcher, _dispatcher),
    (DUFunc, _dufunc),
    (GUFunc, _gufunc),
    (np.ufunc, _ufunc),
    (_Intrinsic, _intrinsic),
    (CFunc, _callback),
    (types.WrapperAddressProtocol, _wrapped_address),
    (StencilFunc, _stencil),
    (types.Type, _numba_type),
    (Signature, _signature),
    (ctypes._CFuncPtr, _c_function),  # type: ignore[attr-defined]
    (MethodType, _bound),
    (type, _class),
    (FunctionType, _function),
    ((BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType), _builtin),
]


# ---------------------------------------------------------------- back to objects


def decode_value(tree: Tree) -> Any:
    """Return the live object of a tree whose rule stores content or a name; the rest can only be compared."""
    try:
        decoder = _DECODERS[tree[0]]
    except KeyError:
        raise NotRelocatable(f"a root of kind {tree[0]} cannot be rebuilt") from None
    return decoder(*tree[1:])


def can_rebuild(tree: Tree) -> bool:
    """Return whether :func:`decode_value` makes the object of *tree* from the tree alone."""
    if tree[0] in ("tuple", "namedtuple"):
        return all(map(can_rebuild, tree[-1]))
    return tree[0] in _DECODERS


def decode_dtype(tree: Tree) -> np.dtype[Any]:
    """Rebuild the dtype of :func:`dtype_tree`."""
    if tree[0] == "dtype":
        base, shape = tree[1:]
        return np.dtype(base) if shape is None else np.dtype((decode_dtype(base), tuple(shape)))
    fields, itemsize, aligned = tree[1:]
    spec: dict[str, Any] = {
        "names": [f[0] for f in fields],
        "formats": [decode_dtype(f[1]) for f in fields],
        "offsets": [f[2] for f in fields],
        "itemsize": itemsize,
    }
    if any(f[3] is not None for f in fields):
        spec["titles"] = [f[3] for f in fields]
    return np.dtype(spec, align=aligned)


def _literal(text: str) -> Any:
    import ast

    return ast.literal_eval(text)


def _decode_namedtuple(name: Tree, fields: list[str], items: Tree) -> Any:
    return lookup(*name)(*[decode_value(item) for item in items])


def _decode_enum(name: Tree, member: str, _value: Tree) -> Any:
    return lookup(*name)[member]


def _decode_type(tree: Tree) -> Any:
    from aotnb.bridge.typecodec import TypeDecoder

    return TypeDecoder().decode(tree)


_DECODERS: dict[str, Callable[..., Any]] = {
    "NoneType": lambda text: None,
    "ellipsis": lambda text: Ellipsis,
    "bool": lambda text: text == "True",
    "int": int,
    "float": lambda text: number_from("float", text),
    "complex": lambda text: number_from("complex", text),
    "str": _literal,
    "bytes": _literal,
    "tuple": lambda items: tuple(decode_value(item) for item in items),
    "namedtuple": _decode_namedtuple,
    "slice": lambda items: slice(*[decode_value(item) for item in items]),
    "npscalar": lambda dtype, data: np.frombuffer(bytes.fromhex(data), decode_dtype(dtype))[0],
    "dtype": lambda *tree: decode_dtype(["dtype", *tree]),
    "struct": lambda *tree: decode_dtype(["struct", *tree]),
    "enum": _decode_enum,
    "enumclass": lambda name, members: lookup(*name),
    "class": lambda module, qualname, fields: lookup(module, qualname),
    "builtin": lookup,
    "classmethod": lambda module, qualname, name: getattr(lookup(module, qualname), name),
    "fixed": lookup,
    "module": lambda name, *rest: sys.modules[name],
    "type": _decode_type,
    "signature": lambda returned, args: _decode_type(returned)(*[_decode_type(arg) for arg in args]),
}
