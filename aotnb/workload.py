"""Blocks of code that run only while an image is made: ``compile_workload`` and ``setup_workload``.

For libraries: the block is a toy example of everything that shall be fast, at the top level of a module::

    with aotnb.setup_workload():
        data = np.random.rand(100)
        with aotnb.compile_workload():
            analyse(data)

A plain import skips both. They run in ``aotnb precompile`` and inside an open trace. What the compile block has compiled is
saved, in whichever library it lies; what only the setup block asked for is not. Imports nothing heavy: a library may use it
at import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_building = 0  # how many image builds and traces are under way
begin_setup: Callable[[], Any] | None = None  # set by the session: leave out what is asked for from now on ...
end_setup: Callable[[], Any] | None = None  # ... until now


def enter_build() -> None:
    """Let workloads run from now on."""
    global _building
    _building += 1


def leave_build() -> None:
    """Undo :func:`enter_build`."""
    global _building
    _building -= 1


def running() -> bool:
    """Return whether workloads run: an image is being made, and ``AOTNB_WORKLOADS`` is not 0."""
    return _building > 0 and os.environ.get("AOTNB_WORKLOADS", "1") != "0"


class _Skipped(BaseException):
    """Raised at the first instruction of a block that is skipped; the block itself swallows it."""


class _Block:
    """A ``with`` block that may be skipped."""

    def __enter__(self) -> _Block:
        self._tracing: tuple[Any, ...] | None = None
        if running():
            self._begin()
        else:
            frame = sys._getframe(1)
            self._tracing = sys.gettrace(), frame, frame.f_trace, frame.f_trace_opcodes
            frame.f_trace, frame.f_trace_opcodes = _raise_skipped, True
            sys.settrace(_trace_nothing_new)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if self._tracing is None:
            self._end()
            return False
        # a debugger or a coverage tool is put back; the interpreter itself drops a trace function that has raised
        before, frame, local, opcodes = self._tracing
        self._tracing = None
        frame.f_trace, frame.f_trace_opcodes = local, opcodes
        sys.settrace(before)
        return kind is _Skipped

    def _begin(self) -> None: ...

    def _end(self) -> None: ...


class compile_workload(_Block):  # noqa: N801  used like a statement
    """Run the block only while an image is made; everything that it has compiled is saved."""

    def _begin(self) -> None:
        self._inside = _setup_depth > 0
        if self._inside and end_setup is not None:
            end_setup()

    def _end(self) -> None:
        if self._inside and begin_setup is not None:
            begin_setup()


class setup_workload(_Block):  # noqa: N801
    """Run the block only while an image is made, to prepare data; what only this block asked for is not saved."""

    def _begin(self) -> None:
        global _setup_depth
        _setup_depth += 1
        if _setup_depth == 1 and begin_setup is not None:
            begin_setup()

    def _end(self) -> None:
        global _setup_depth
        _setup_depth -= 1
        if _setup_depth == 0 and end_setup is not None:
            end_setup()


_setup_depth = 0


def _raise_skipped(frame: FrameType, event: str, argument: Any) -> Any:
    raise _Skipped


def _trace_nothing_new(frame: FrameType, event: str, argument: Any) -> None: ...
