"""Another process of this interpreter, with the same flags and the same modules, that is sent messages and answers them.

Not multiprocessing: its ways to start a process run the main script again, or fork a kernel that has threads.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from typing import Any

from aotnb.errors import BuildError

_START = "import sys; sys.path[:] = {paths!r}; from {package} import {module}; {module}.serve()"
_OURS = ("AOTNB_IMAGE", "AOTNB_RECORD", "AOTNB_REPORT", "AOTNB_TRACE_COMPILE", "AOTNB_TRACE_DISPATCH")


class Worker:
    """A process that runs ``serve()`` of *module*. It hears no interrupt of the terminal: its owner ends it."""

    def __init__(self, module: str) -> None:
        package, _, name = module.rpartition(".")
        start = _START.format(paths=[path for path in sys.path if path], package=package, module=name)
        command = [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", start]  # type: ignore[attr-defined]
        env = {name: value for name, value in os.environ.items() if name not in _OURS}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, start_new_session=True)

    def send(self, message: Any) -> None:
        """Send a message; raise :class:`BuildError` if the process has ended."""
        assert self._process.stdin is not None
        try:
            _write(self._process.stdin, message)
        except OSError:
            raise self._ended() from None

    def receive(self) -> Any:
        """Return the next message; raise :class:`BuildError` if the process has ended."""
        assert self._process.stdout is not None
        try:
            return _read(self._process.stdout)
        except EOFError:
            raise self._ended() from None

    def _ended(self) -> BuildError:
        status = self._process.wait()
        return BuildError(
            f"a process that compiled a part of the image ended with status {status}; memory may have run out:"
            " set AOTNB_IMAGE_THREADS=1 to compile in one process"
        )

    def terminate(self) -> None:
        """Ask the process to end; it removes what it has half written."""
        self._process.terminate()

    def end(self) -> None:
        """End the process at once; it has nothing to lose."""
        self._process.kill()
        self._process.communicate()

    def close(self) -> None:
        """Wait for a process that has said its last word."""
        self._process.communicate()


def peak_memory() -> int:
    """Return the most memory that this process has taken, in KB."""
    import resource

    try:
        with open("/proc/self/status", encoding="ascii") as file:  # what follows counts the process that started this one as well
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Channel:
    """The other side: what a worker hears, and how it answers."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # whatever prints must not get into the answers
        self._questions = sys.stdin.buffer

    def send(self, message: Any) -> None:
        """Send an answer."""
        _write(self._answers, message)

    def receive(self) -> Any:
        """Return the next message; raise :class:`EOFError` when there will be none."""
        return _read(self._questions)


def _write(stream: Any, message: Any) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def _read(stream: Any) -> Any:
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    (length,) = struct.unpack("<Q", head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)
