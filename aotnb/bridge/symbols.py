"""Addresses that compiled code needs and that no ``dlopen`` could find, from one table."""

from __future__ import annotations

import builtins
import ctypes
import functools
from typing import Any

import llvmlite.binding as ll
from numba import _dynfunc, _helperlib
from numba.core.runtime import _nrt_python

from aotnb.bridge.irtext import DATA_PREFIX

THREADING = "numba.np.ufunc.parallel"  # the module that starts threads
PARALLEL = frozenset(
    {
        "numba_parallel_for", "do_scheduling_signed", "do_scheduling_unsigned", "allocate_sched", "deallocate_sched",
        "get_num_threads", "set_num_threads", "get_thread_id", "get_parallel_chunksize", "set_parallel_chunksize",
        "get_sched_size",
    }
)  # fmt: skip


@functools.cache
def _helpers() -> dict[str, int]:
    table: dict[str, int] = {}
    for helpers in (_helperlib.c_helpers, _dynfunc.c_helpers):
        table.update({f"numba_{name}": address for name, address in helpers.items()})
    for name, address in _nrt_python.c_helpers.items():
        table[name if name.startswith("_") else f"NRT_{name}"] = address
    return table


@functools.cache
def _process() -> ctypes.CDLL:
    return ctypes.CDLL(None)


class _Origin(ctypes.Structure):
    """What ``dladdr`` tells of an address (``Dl_info``)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _file_of(address: int) -> bytes | None:
    """Return the name of the mapped file that *address* lies in."""
    origin = _Origin()
    found = _process().dladdr(ctypes.c_void_p(address), ctypes.byref(origin))
    return origin.file if found else None


@functools.cache
def _files_of_python() -> frozenset[bytes | None]:
    """Return the mapped files that every process of this Python has: those of Python itself, libc and libm."""
    found = map(_exported, ("PyObject_Call", "memcpy", "printf", "cos", "dlsym", "pthread_create"))
    return frozenset(_file_of(address) for address in found if address is not None)


@functools.cache
def in_process(name: str) -> bool:
    """Return whether the system's loader finds *name* by itself in every process of this Python (its C API, libc, libm).

    What another library has made public does not count: a later process maps an image before it loads that library.
    """
    address = _exported(name)
    return address is not None and _file_of(address) in _files_of_python()


@functools.cache
def is_mathematics(name: str) -> bool:
    """Return whether *name* is a function of a libm that stands apart from libc.

    The system's loader gives a library that names no version the oldest one of a function, such as the ``pow`` that sets
    ``errno``; Numba's JIT asks for the newest.
    """
    try:
        return hasattr(ctypes.CDLL("libm.so.6"), name) and not hasattr(ctypes.CDLL("libc.so.6"), name)
    except OSError:  # only glibc has versions
        return False


def is_helper(name: str) -> bool:
    """Return whether *name* must be bound through a slot: Numba's helpers come first, whatever the process exports."""
    known = name.startswith(DATA_PREFIX) or name in _helpers() or name in PARALLEL
    return known or not in_process(name) or is_mathematics(name)


def is_foreign(name: str) -> bool:
    """Return whether a library that is neither Python's nor Numba's has to provide *name*, perhaps when it is imported."""
    return is_helper(name) and not (
        name.startswith(DATA_PREFIX) or name in _helpers() or name in PARALLEL or is_mathematics(name)
    )


def is_provided(name: str) -> bool:
    """Return whether :func:`address_of` will find *name*, without starting threads for that."""
    return name in PARALLEL or address_of(name) is not None


def lack(name: str) -> str | None:
    """Return the sentence on code that calls *name* where nothing provides it, else None."""
    if is_provided(name):
        return None
    return f"the code calls {name}, which neither Numba nor this process provides; please report this"


def address_of(name: str) -> int | None:
    """Return the address for a slot, or None if this process has none."""
    if name.startswith(DATA_PREFIX):
        return _data_address(name[len(DATA_PREFIX) :])
    found = _helpers().get(name)
    if found is not None:
        return found
    if name in PARALLEL:
        launch_threads()
    return ll.address_of_symbol(name) or _exported(name)


def _exported(name: str) -> int | None:
    try:
        return ctypes.cast(getattr(_process(), name), ctypes.c_void_p).value
    except AttributeError:
        return None


def launch_threads() -> None:
    """Start Numba's threading layer, whose symbols exist only afterwards."""
    from numba.np.ufunc.parallel import _launch_threads

    _launch_threads()


def _data_address(name: str) -> int | None:
    if name.startswith("PyExc_"):
        # the object itself, as Numba's JIT has it; libpython exports a pointer variable under this name
        found: Any = getattr(builtins, name[len("PyExc_") :], None)
        return None if found is None else id(found)
    if name.startswith("_numba_hashsecret_"):
        from numba.cpython.hashing import _hashsecret

        for entry in _hashsecret.values():
            if entry.symbol == name:
                return ctypes.addressof(entry.value)
    return ll.address_of_symbol(name) or None
