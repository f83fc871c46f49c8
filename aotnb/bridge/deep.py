"""What decides what code does that runs *inside* the compiler: functions, encoded with everything that they may read.

Such code is plain Python: overloads, intrinsics, lowerings, and what they call. Nothing tells what it really reads, so all
that its names lead to counts: functions in depth, values and containers by content, attributes of modules and classes by the
names that the code mentions. Of installed distributions the version stands for what is behind a function.
"""

from __future__ import annotations

import builtins
import ctypes
import dis
import enum
import functools
import importlib.util
import sys
import weakref
from _thread import _local
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

import llvmlite.ir as llvm_ir
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

from aotnb.bridge.contents import container_tree, instance_tree, is_container, reduced_tree
from aotnb.bridge.methods import dispatcher_tree, function_tree
from aotnb.bridge.typeparts import type_of_class
from aotnb.bridge.values import has_no_rule, is_extension, is_fixed_module, is_installed_module, module_of, unreadable, value_tree
from aotnb.core.digest import digest, nested_names
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

Tree = Any
Names = frozenset[str]


def is_by_version(func: FunctionType) -> bool:
    """Return whether the version of Python, Numba, NumPy or of an installed distribution stands for what a function reads.

    One of the user that only took over the name of such a function is none.
    """
    return _is_at_home(func, is_fixed_module) or _is_at_home(func, is_installed_module)


def _is_at_home(func: FunctionType, belongs: Callable[[str | None], bool]) -> bool:
    home = func.__globals__.get("__name__")
    return belongs(module_of(func)) and (home is None or belongs(home))


def deep_function_tree(func: FunctionType) -> Tree:
    """Encode a Python function that runs during compilation, with everything that it may read."""
    return _Walk().function(func)


def deep_tree(value: Any, names: Names) -> Tree:
    """Encode a value that such a function reads, which mentions *names*."""
    return _Walk().value(value, names)


def deep_class_tree(cls: type) -> Tree:
    """Encode a class that the compiler meets, with what its methods do."""
    return _Walk().class_(cls, frozenset())


def installed_modules(value: Any) -> set[str]:
    """Return the modules of installed distributions that :func:`deep_tree` of *value* leaves to their versions."""
    walk = _Walk()
    try:
        walk.value(value, frozenset())
    except NotRelocatable:
        pass  # code that depends on it is not saved
    return walk.installed


_installed: weakref.WeakKeyDictionary[FunctionType, tuple[Any, str]] = weakref.WeakKeyDictionary()


def function_digest(func: Any) -> str:
    """Return the digest of :func:`deep_function_tree`, remembered for installed functions, whose globals do not count.

    What the compiler calls may be another object than a function, too.
    """
    if not isinstance(func, FunctionType):
        return digest(deep_tree(func, frozenset()))
    cells = tuple(cell_value(cell, "", ...) for cell in func.__closure__ or ())
    simple = all(isinstance(cell, FunctionType | type | str | int) for cell in cells)
    if not simple or not _is_at_home(func, is_installed_module):
        return digest(deep_function_tree(func))
    definition = (func.__code__, func.__defaults__, func.__kwdefaults__, cells)
    known = _installed.get(func)
    if known is None or known[0] != definition:
        known = _installed[func] = (definition, digest(deep_function_tree(func)))
    return known[1]


def cell_value(cell: Any, _name: str, default: Any) -> Any:
    """Return what a closure cell holds, *default* if it is empty."""
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return default


def class_functions(cls: type) -> list[tuple[str, FunctionType]]:
    """Return the functions that the body of a class defines, by name: methods, properties, static and class methods."""
    found = []
    for name, value in sorted(vars(cls).items()):
        parts = (value.fget, value.fset, value.fdel) if isinstance(value, property) else (getattr(value, "__func__", value),)
        found += [(name, part) for part in parts if isinstance(part, FunctionType)]
        if isinstance(value, functools.cached_property):
            found.append((name, cast(FunctionType, value.func)))
    return found


def mentioned_names(func: FunctionType) -> Names:
    """Return all names by which the code of *func* may reach something, as texts for ``getattr`` among them."""
    return frozenset(nested_names(func.__code__) | set(filter(str.isidentifier, _texts(func.__code__))))


def _texts(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _texts(constant)
        elif isinstance(constant, str):
            yield constant


def imported_modules(func: FunctionType) -> Iterator[ModuleType]:
    """Yield the loaded modules that the code of *func* imports where it runs, the packages around them first.

    But for what the environment key fixes: whether that is loaded already makes no difference.
    """
    for name, level in _imports(func.__code__):
        full = name
        if level:
            package = func.__globals__.get("__package__") or ""
            try:
                full = importlib.util.resolve_name("." * level + name, package)
            except ImportError:
                continue
        parts = full.split(".")
        for count in range(1, len(parts) + 1):
            module = sys.modules.get(".".join(parts[:count]))
            if isinstance(module, ModuleType) and not is_fixed_module(module.__name__):
                yield module


def _imports(code: CodeType) -> Iterator[tuple[str, int]]:
    """Yield (name, level) of each import statement in *code* and in the functions nested in it."""
    constants: list[Any] = [0, 0]
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield instruction.argval, constants[-2]
        elif instruction.opname.startswith("LOAD_CONST") or instruction.opname == "LOAD_SMALL_INT":
            constants.append(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant)


class _Walk:
    """One walk from a function to all that it reads; each thing is described where it is met first."""

    def __init__(self) -> None:
        self.installed: set[str] = set()
        self._met: dict[tuple[int, str], Any] = {}  # (id, name of an attribute or "") -> the object, kept alive
        self._open: set[int] = set()  # ids of what is being encoded

    def _is_new(self, value: Any, attribute: str = "") -> bool:
        key = id(value), attribute
        if key in self._met:
            return False
        self._met[key] = value
        return True

    def _is_installed(self, module: str | None) -> bool:
        if module is None or not is_installed_module(module):
            return False
        self.installed.add(module)
        return True

    def function(self, func: FunctionType) -> Tree:
        """Encode a Python function: code, defaults, closure, and each global that its names reach."""
        head = [func.__module__, func.__qualname__]
        if not self._is_new(func):
            return ["recursive", *head]
        fixed = _is_at_home(func, is_fixed_module)
        if fixed and "<locals>" not in func.__qualname__:
            return ["fixed", *head]
        names = mentioned_names(func)
        cells = []
        for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
            try:
                cells.append([name, self.value(cell.cell_contents, names)])
            except ValueError:  # the cell is still empty
                cells.append([name, None])
        if fixed or _is_at_home(func, self._is_installed):
            return ["installed", *head, function_tree(func), cells]
        reads = []
        for name in sorted(names):
            if name in func.__globals__:
                reads.append([name, self.value(func.__globals__[name], names)])
            elif hasattr(builtins, name):
                reads.append([name, ["builtin"]])
        for module in imported_modules(func):
            if not self._is_installed(module.__name__):
                reads.append(["import", self._module(module, names)])
        return ["function", *head, function_tree(func), cells, reads]

    def value(self, value: Any, names: Names) -> Tree:
        """Encode a value that a function reads, which mentions *names*."""
        if isinstance(value, FunctionType):
            return self._named(value, self.function(value), vars(value), names)
        if isinstance(value, Dispatcher):
            return ["dispatcher", dispatcher_tree(value)[2:], self.function(value.py_func)]
        if isinstance(value, ModuleType):
            return self._module(value, names)
        if isinstance(value, _Intrinsic):
            return ["intrinsic", self.function(value._defn)]
        if isinstance(value, type) and not issubclass(value, enum.Enum | tuple) and type_of_class(value) is None:
            return self.class_(value, names)
        if is_container(value):
            return self._once(value, lambda: container_tree(value, lambda item: self.value(item, names)))
        if isinstance(value, MethodType) and not isinstance(value.__self__, type):
            return ["method", self.value(value.__self__, names), self.value(value.__func__, names)]
        try:
            return value_tree(value)
        except NotRelocatable:
            return self._once(value, lambda: self._object(value, names))

    def _once(self, value: Any, encode: Callable[[], Tree]) -> Tree:
        """Encode an object that may hold itself, and raise what it likes."""
        if id(value) in self._open:
            return ["recursive", type(value).__module__, type(value).__qualname__]
        self._open.add(id(value))
        try:
            return encode()
        except NotRelocatable:
            raise
        except Exception as error:
            raise unreadable(value, error) from None
        finally:
            self._open.discard(id(value))

    def _object(self, value: Any, names: Names) -> Tree:
        """Encode an object that no rule knows by its state; of a helper of Numba's, such as a type registry, its class counts."""
        cls = type(value)
        if is_extension(cls):
            if not is_installed_module(cls.__module__):
                own = filter(is_extension, cls.__mro__)
                names = names.union(*(nested_names(func.__code__) for base in own for _, func in class_functions(base)))
            return instance_tree(value, set(names), lambda item: self.value(item, names))
        head = ["object", cls.__module__, cls.__qualname__]
        if isinstance(value, llvm_ir.Type | llvm_ir.Value):
            return [*head, str(value)]
        if isinstance(value, ctypes.CDLL):
            return [*head, value._name]
        if cls.__module__.partition(".")[0] in _WITHOUT_CONTENT and cls is not _local:
            return head
        tree = reduced_tree(value, lambda item: self.value(item, names))
        if tree is None:
            raise NotRelocatable(refusal("value", type=f"{cls.__module__}.{cls.__qualname__}"))
        return tree

    def _module(self, module: ModuleType, names: Names) -> Tree:
        head = ["module", module.__name__]
        if is_fixed_module(module.__name__) or self._is_installed(module.__name__):
            return head
        return self._named(module, head, vars(module), names)

    def _named(self, owner: Any, head: list[Any], found: Mapping[str, Any], names: Names) -> Tree:
        """Add to *head* what is *found* under *names* among the attributes of *owner*, and was not met there before."""
        used = [name for name in sorted(names & found.keys()) if self._is_new(owner, name)]
        return [*head, [[name, self.value(found[name], names)] for name in used]] if used else head

    def class_(self, cls: type, names: Names) -> Tree:
        """Encode a class that the compiler meets, such as one of types: its name, its methods, and what is read of it."""
        head: list[Any] = ["class", cls.__module__, cls.__qualname__]
        if not is_extension(cls) or self._is_installed(cls.__module__):
            return head
        if self._is_new(cls):
            head += [[self.class_(base, names) for base in cls.__bases__]]
            head += [[[name, self._method(func)] for name, func in class_functions(cls)]]
        functions = {name for name, _ in class_functions(cls)}
        return self._named(cls, head, vars(cls), names - functions)

    def _method(self, func: FunctionType) -> Tree:
        try:
            return self.function(func)
        except NotRelocatable:  # the compiler calls few methods of a class, if any
            return function_tree(func)


# parts of the compiler, caches, locks
_WITHOUT_CONTENT = frozenset({"numba", "llvmlite", "weakref", "_thread"})


def state_digest(value: Any) -> str | None:
    """Return the digest of what an object that no rule knows holds, all of which may change in place; None for all else."""
    cls = type(value)
    unruled = has_no_rule(cls) and cls.__module__.partition(".")[0] not in ("numba", "llvmlite", "numpy")
    if cls is tuple or not (is_container(value) or unruled):
        return None
    try:
        return digest(deep_tree(value, frozenset()))
    except NotRelocatable:
        return None
