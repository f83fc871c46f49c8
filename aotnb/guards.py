"""``with aotnb.forbid_compilation():`` raises where Numba would begin to compile, with the reason why no image helped."""

from __future__ import annotations

import threading
from typing import Any

from aotnb import session
from aotnb.errors import CompilationForbidden, TraceError
from aotnb.reports.explain import cure

_lock = threading.Lock()
_guards: dict[int | None, int] = {}  # thread, or None for all of them -> how many blocks are open


def forbid_compilation(*, all_threads: bool = False) -> Guard:
    """Let nothing be compiled inside the block: what is compiled already, or comes from an image, runs as ever.

    Parameters
    ----------
    all_threads
        Forbid it to every thread of the process, not only to the one that entered the block.

    Raises
    ------
    CompilationForbidden
        From the call that would have been compiled, at that instant. Nothing is compiled and nothing is left behind, so the
        same call works after the block.

    Notes
    -----
    Blocks can nest. A compilation that another one needs counts as well. Under ``AOTNB_VERIFY=1`` what an image serves is
    compiled all the same, to be compared; that is allowed.

    >>> import numba
    >>> @numba.njit
    ... def add(a, b):
    ...     return a + b
    >>> with forbid_compilation():
    ...     add(1, 2)
    Traceback (most recent call last):
        ...
    aotnb.errors.CompilationForbidden: ...
    """
    return Guard(all_threads=all_threads)


class Guard:
    """One ``with`` block of :func:`forbid_compilation`."""

    def __init__(self, *, all_threads: bool) -> None:
        self._all_threads = all_threads
        self._thread: int | None = None
        self._entered = False

    def __enter__(self) -> Guard:
        if self._entered:
            raise TraceError("this forbid_compilation() is in use; make a new one for each block")
        self._thread = None if self._all_threads else threading.get_ident()
        with _lock:
            session.before_compile(_refuse)
            _guards[self._thread] = _guards.get(self._thread, 0) + 1
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        with _lock:
            _guards[self._thread] -= 1
            if not _guards[self._thread]:
                del _guards[self._thread]
            if not _guards:
                session.before_compile(None)


def _refuse(_kind: str, func: Any, args: tuple[Any, ...]) -> None:
    if not (None in _guards or threading.get_ident() in _guards) or session.is_verifying_hit():
        return
    module, name = getattr(func, "__module__", None) or "", getattr(func, "__qualname__", None) or repr(func)
    arguments = f"({', '.join(str(arg) for arg in args)})"
    reason, detail = session.why_compiled(module, name, arguments)
    call = f"{module}.{name}{arguments}" if module else f"{name}{arguments}"
    raise CompilationForbidden(
        f"{call} would be compiled here, in forbid_compilation(): {reason}: {detail.rstrip('.')}. {cure(reason, detail)}",
        function=name,
        module=module,
        arguments=arguments,
        reason=reason,
        detail=detail,
    )
