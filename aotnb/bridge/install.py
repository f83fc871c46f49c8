"""Put code of an image behind a dispatcher as if Numba had just compiled it, without waking the compiler."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import llvmlite.binding as ll
from numba import _dynfunc
from numba.core import serialize, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import compile_result
from numba.core.dispatcher import LiftedLoop
from numba.core.environment import Environment
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.typing import signature
from numba.np.ufunc.wrappers import _wrapper_info

from aotnb.bridge.generators import add_generator
from aotnb.bridge.irtext import module_texts, name_in_place
from aotnb.bridge.served import ServedAnnotation, ServedDescriptor, metadata

# Numba imports it with the compiler, which nothing may have woken: it tells the types of C callbacks that Python passes
importlib.import_module("numba.experimental.function_type")

_alive: list[Any] = []  # whatever mapped code points at lives as long as the process


class _PickleBuffer(ctypes.Structure):
    """Numba's record of a pickled constant: data, its length, its hash, and two members for exceptions made at run time."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_int32),
        ("digest", ctypes.c_void_p),
        ("unwrap", ctypes.c_void_p),
        ("runtime_args", ctypes.c_int32),
    ]


PICKLE_BUFFER_SIZE = ctypes.sizeof(_PickleBuffer)


class ImageLibrary(JITCodeLibrary):
    """A code library whose code lies in an image; its IR is read only when a caller is compiled.

    ``entry`` is (image, number of the code instance); *parts* are the names of the library and of those of its wrappers;
    *place* is the number of the place where the code is mapped, see :func:`~aotnb.bridge.irtext.name_in_place`.
    """

    def __init__(
        self,
        codegen: Any,
        parts: list[str],
        entry: Any,
        addresses: dict[str, int],
        texts: Callable[[list[str]], list[str]],
        place: int,
    ) -> None:
        # not the parent's __init__: it would parse an empty module
        self._codegen = codegen
        self._name, self._parts = parts[0], parts
        self._linking_libraries: list[Any] = []
        self._dynamic_globals: list[str] = []
        self._reload_init: set[Any] = set()
        self._finalized = True
        self._disable_inspection = False
        self._object_caching_enabled = False
        self._shared_module: Any = None
        self._module: Any = None
        self._addresses = addresses
        self._texts = texts
        self._place = place
        self.entry = entry
        self.verdict: Any = None  # what was found when the code was allowed to be used

    @property
    def _final_module(self) -> Any:
        if self._module is None:
            self._module = self._link()
        return self._module

    def _link(self) -> Any:
        # whoever links this generates code, perhaps without a pipeline that would have started Numba's runtime
        rtsys.initialize(cpu_target.target_context)
        module = rtsys.library._get_module_for_linking().clone()
        module.triple = ll.get_process_triple()
        module.data_layout = self._codegen._data_layout
        for text in self._texts(self._parts):
            for part in module_texts(text):
                other = ll.parse_assembly(part.replace("external hidden global", "external global"))
                other.triple = module.triple
                other.data_layout = module.data_layout
                module.link_in(other)
        return module

    def rename(self, name: str) -> str:
        """Return the name by which other code of this process knows what the image calls *name*."""
        return name_in_place(name, self._place)

    def part(self, name: str) -> ImageLibrary:
        """Return another library of the same image, such as the loop around this kernel."""
        return ImageLibrary(self._codegen, [name], self.entry, self._addresses, self._texts, self._place)

    def _get_compiled_object(self) -> bytes:
        # only the disassembler asks; the image's own object holds more than this one function
        return bytes(self._codegen._tm.emit_object(self._final_module))

    def get_pointer_to_function(self, name: str) -> int:
        """Return the address of a function of the image, 0 if it has none of this name."""
        return self._addresses.get(name, 0)


def keep_alive(obj: Any) -> None:
    """Keep *obj* for as long as the process lives: mapped code holds its address."""
    _alive.append(obj)


def make_environment(namespace: dict[str, Any], consts: list[Any], name: str) -> Any:
    """Return a runtime environment that lives as long as the process."""
    env = Environment(namespace)
    env.consts[:] = consts
    env.env_name = name
    _alive.append(env)
    return env


def fill_pickle_buffer(address: int, obj: Any, data: bytes) -> None:
    """Point the record at *address* to *data*, and let Numba find the live *obj* when its code unpickles it."""
    digest = hashlib.sha1(data, usedforsecurity=False).digest()
    buffers = ctypes.create_string_buffer(data, len(data)), ctypes.create_string_buffer(digest, len(digest))
    _alive.append((buffers, obj))
    record = _PickleBuffer.from_address(address)
    record.data, record.length = ctypes.addressof(buffers[0]), len(data)
    record.digest, record.unwrap, record.runtime_args = ctypes.addressof(buffers[1]), None, 0
    serialize._unpickled_memo[ctypes.addressof(buffers[0]), digest] = obj


class _LiftedBlock:
    """Stands for the dispatcher of a block in object mode: its code is there already."""

    def __init__(self, entry: Any) -> None:
        self._entry = entry

    def compile(self, argtypes: Any) -> Any:
        """Return the function that Python calls."""
        return self._entry


def lifted_block(name: str, address: int, env: Any) -> Any:
    """Return what code that leaves for object mode unpickles and compiles: a dispatcher and argument types."""
    entry = _dynfunc.make_function(ModuleType("<dynamic>"), name, f"block in object mode of {name!r}", address, env, ())
    return _LiftedBlock(entry), ()


def make_result(
    disp: Any,
    args: tuple[Any, ...],
    return_type: Any,
    library: ImageLibrary,
    symbols: dict[str, str],
    env: Any,
    loops: Sequence[Any] = (),
) -> Any:
    """Return a compile result for code of an image; *symbols* are the names in *library* of its functions, by kind.

    *loops* are those that code in object mode leaves to functions of their own.
    """
    func = disp.py_func
    descriptor = ServedDescriptor(func, symbols, args, return_type, env.env_name)
    entry_point = None
    if python := library.get_pointer_to_function(symbols.get("python", "")):
        module = sys.modules.get(func.__module__) or ModuleType("<dynamic>")
        entry_point = _dynfunc.make_function(
            module, func.__name__, f"compiled wrapper for {func.__qualname__!r}", python, env, (library,)
        )
    typing_context, target_context = contexts(disp)
    return compile_result(
        typing_context=typing_context,
        target_context=target_context,
        entry_point=entry_point,
        typing_error=None,
        type_annotation=ServedAnnotation(func, args, return_type),
        signature=signature(return_type, *args),
        objectmode=return_type == types.pyobject,
        lifted=tuple(loops),
        fndesc=descriptor,
        library=library,
        call_helper=None,
        environment=env,
        metadata=metadata(func),
        reload_init=[],
        referenced_envs=(),
    )


def contexts(disp: Any) -> tuple[Any, Any]:
    """Return the typing and the target context of a dispatcher, or of a loop in object mode."""
    if isinstance(disp, LiftedLoop):
        return disp.typingctx, disp.targetctx
    return disp.targetdescr.typing_context, disp.targetdescr.target_context


def add_to_loop(loop: Any, cres: Any) -> None:
    """Register *cres* exactly as ``LiftedLoop.compile`` does."""
    loop.add_overload(cres)
    _alive.append(cres)


def add_to_dispatcher(disp: Any, cres: Any, symbols: dict[str, str]) -> None:
    """Register *cres* exactly as ``Dispatcher.compile`` does."""
    add_generator(cres, symbols)
    disp.targetctx.insert_user_function(cres.entry_point, cres.fndesc, [cres.library])
    disp.add_overload(cres)
    _alive.append(cres)


def wrapper_info(library: ImageLibrary, env: Any, name: str) -> Any:
    """Return what Numba's ufunc builders return for a loop around a kernel."""
    return _wrapper_info(library=library, env=env, name=name)


def define_symbol(name: str, address: int) -> None:
    """Let code that is compiled later find *name*."""
    ll.add_symbol(name, address)


def slot_buffer() -> Any:
    """Return memory for a slot of any kind."""
    return _PickleBuffer()


def buffer_address(buffer: Any) -> int:
    """Return the address of :func:`slot_buffer`."""
    return ctypes.addressof(buffer)
