"""Map native code into the process: through the system's loader, or by LLVM's in-process linker.

glibc matches libraries by name, so the bytes that were verified are put into an anonymous file of their own; code that
was mapped is never unmapped, because destructors, generators and first-class functions hold its addresses.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import tempfile
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as ll
from numba.core.codegen import initialize_llvm

from aotnb.bridge.codegen import TABLE
from aotnb.core.elf import symbols
from aotnb.errors import ImageRejected

_alive: list[Any] = []


class NativeTable:
    """Addresses of an image's entries and slots, by their position in its table."""

    def __init__(self, address: int, count: int) -> None:
        self._address = address
        self._offsets = (ctypes.c_int64 * count).from_address(address)

    def __getitem__(self, position: int) -> int:
        return self._address + self._offsets[position]


def is_mapped(address: int) -> bool:
    """Return whether memory of this process lies at *address*."""
    with open("/proc/self/maps") as file:
        ranges = (line.split(" ", 1)[0].split("-") for line in file)
        return any(int(start, 16) <= address < int(end, 16) for start, end in ranges)


def map_shared(data: bytes | memoryview, digest: str, count: int) -> NativeTable:
    """Map the shared library *data* with ``dlopen``; raise :class:`OSError` where files may not be executed."""
    kept = os.environ.get("AOTNB_PROFILE")
    path, descriptor = _anonymous_file(data, digest) if not kept else (_kept_file(data, digest, kept), None)
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
    finally:
        if descriptor is None and not kept:
            with contextlib.suppress(OSError):
                os.unlink(path)
    # the descriptor stays open: its number is part of the name under which glibc knows the library
    _alive.append((library, descriptor))
    return NativeTable(ctypes.addressof(ctypes.c_char.in_dll(library, TABLE)), count)


def _anonymous_file(data: bytes | memoryview, digest: str) -> tuple[str, int | None]:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create(f"aotnb-{digest}", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        # not /proc/self: a debugger would look among its own files, and wait for ever if it finds its terminal there
        return f"/proc/{os.getpid()}/fd/{descriptor}", descriptor
    number, path = tempfile.mkstemp(prefix=f"aotnb-{digest}-", suffix=".so")
    with os.fdopen(number, "wb") as file:
        file.write(data)
    return path, None


def _kept_file(data: bytes | memoryview, digest: str, folder: str) -> str:
    """Return a file with *data* that stays, so that a profiler finds the symbols when the process has ended."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(os.path.abspath(folder), f"aotnb-{digest}.so")
    number, draft = tempfile.mkstemp(dir=folder)
    with os.fdopen(number, "wb") as file:
        file.write(data)
    os.replace(draft, path)
    return path


def map_objects(data: bytes | memoryview, count: int) -> NativeTable:
    """Place object files with LLVM's in-process linker; no system linker and no executable file is needed."""
    initialize_llvm()
    target = ll.Target.from_triple(ll.get_process_triple())
    machine = target.create_target_machine(reloc="pic", codemodel="default", jit=True)
    engine = ll.create_mcjit_compiler(ll.parse_assembly(""), machine)
    for body in unpack_objects(data):
        engine.add_object_file(ll.ObjectFileRef.from_data(body))
    engine.finalize_object()
    address = engine.get_global_value_address(TABLE)
    if not address:
        raise ImageRejected("malformed", "the image holds no table of entries; save it again")
    if os.environ.get("AOTNB_PROFILE"):
        _tell_perf(engine, unpack_objects(data))
    _alive.append(engine)
    return NativeTable(address, count)


def _tell_perf(engine: Any, objects: list[bytes]) -> None:
    """Add the functions of *objects* to the file in which perf looks for code that belongs to no file; gdb is told by LLVM."""
    with open(f"/tmp/perf-{os.getpid()}.map", "a") as file:
        for data in objects:
            for symbol in symbols(data):
                if symbol.defined and symbol.is_function and (address := engine.get_function_address(symbol.name)):
                    file.write(f"{address:x} {symbol.size:x} {symbol.name}\n")


def pack_objects(objects: Sequence[bytes]) -> bytes:
    """Return objects as :func:`map_objects` takes them: one after the other, each with its length in front."""
    return b"".join(struct.pack("<Q", len(data)) + data for data in objects)


def unpack_objects(data: bytes | memoryview) -> list[bytes]:
    """The inverse of :func:`pack_objects`."""
    bodies, offset = [], 0
    while offset < len(data):
        (length,) = struct.unpack_from("<Q", data, offset)
        bodies.append(bytes(data[offset + 8 : offset + 8 + length]))
        offset += 8 + length
    return bodies


def write_pointer(address: int, value: int) -> None:
    """Store a pointer into a slot."""
    ctypes.c_void_p.from_address(address).value = value
