"""Shells on demand: one process imports what a kernel imports, and gives birth to a fresh shell for each connection.

    python nursery.py MODE SOCKET

MODE is ``aotnb`` (IPython, Numba and ``%load_ext aotnb``), ``plain`` (the same without the extension: what a fresh kernel
gives) or ``python`` (the JIT is off: the oracle). A fork of a process that has imported Numba, and compiled nothing, is
as good as a new kernel and a hundred times quicker. The extension is loaded after the fork, so sessions differ.

A shell reads one JSON line per cell and answers with one JSON line. Cells see three names that no notebook has:
``say(...)`` notes values in a form in which Python's and Numba's agree, ``write(name, text)`` writes a file as an editor
would, ``frames(error)`` names the functions of a traceback.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

MODE = sys.argv[1] if __name__ == "__main__" else "python"


# ---- values ---------------------------------------------------------------------------------------------------------


def text_of(value: Any) -> str:
    """Write *value* so that a NumPy scalar and the Python number it holds read the same, and two floats of other bits differ."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return f"array({value.dtype}, {value.shape}, {text_of(value.tolist())})"
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        value = value.item()
    if type(value) in (tuple, list):
        return ("({})" if type(value) is tuple else "[{}]").format(", ".join(map(text_of, value)))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(key)}: {text_of(item)}" for key, item in value.items()) + "}"
    return f"{type(value).__name__} {value!r}"


def write(name: str, text: str) -> None:
    """Write a file of the working folder; each time looks later than the last, however quick the cells come."""
    import importlib

    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    when = 1_700_000_000 + 10 * next(_times)
    os.utime(path, (when, when))
    importlib.invalidate_caches()


_times = itertools.count()


def frames(error: BaseException) -> list[str]:
    """Return the names of the functions in the traceback of *error*."""
    import traceback

    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


# ---- Numba without the JIT ------------------------------------------------------------------------------------------


def vectorize(*args: Any, **options: Any) -> Any:
    """Stand in for ``numba.vectorize``, which compiles even where the JIT is off."""
    import numpy as np

    def wrap(func: Any) -> Any:
        return np.vectorize(func)

    return wrap(args[0]) if args and callable(args[0]) else wrap


def guvectorize(*args: Any, **options: Any) -> Any:
    """Stand in for ``numba.guvectorize`` with the layout ``(n)->(n)`` or ``(n)->()``, over one dimension."""

    def wrap(func: Any) -> Any:
        return func

    return wrap


def without_jit() -> None:
    import numba

    numba.vectorize, numba.guvectorize = vectorize, guvectorize


# ---- a shell --------------------------------------------------------------------------------------------------------


def new_shell() -> Any:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.InteractiveShell.colors = "nocolor"
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    return InteractiveShell.instance(config=config)


class Shell:
    """One shell of this process, and what it tells about each cell."""

    def __init__(self, shell: Any, mode: str) -> None:
        self.shell, self.mode = shell, mode
        self.said: list[str] = []
        self.rows = 0
        self.compilations = 0
        shell.push({"say": self.say, "write": write, "frames": frames}, interactive=False)

    def say(self, *values: Any) -> None:
        self.said.append(" | ".join(map(text_of, values)))

    def run(self, cell: str) -> dict[str, Any]:
        """Run one cell; what it prints is not looked at."""
        self.said.clear()
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
            result = self.shell.run_cell(cell, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        answer: dict[str, Any] = {
            "said": list(self.said),
            "error": None if error is None else [type(error).__name__, str(error)],
            "printed": printed.getvalue(),
            "seconds": time.perf_counter() - started,
        }
        if self.mode == "aotnb":
            answer |= self.report()
        return answer

    def report(self) -> dict[str, Any]:
        """Return what aotnb has to say on the last cell."""
        import aotnb
        from aotnb import session

        before, self.compilations = self.compilations, aotnb.status().compilations
        fresh = session.compiled()[before:] if self.compilations > before else ()
        rows = invalidations()
        old, self.rows = self.rows, len(rows)
        return {
            "compilations": self.compilations - before,
            "compiled": [[item.function, item.kind, item.signature, flags_of(item)] for item in fresh],
            "invalidations": rows[old:],
        }


def flags_of(item: Any) -> str:
    """Return what stands for the compiler flags: code that a ufunc calls divides as NumPy does, and is other code."""
    from aotnb import session
    from aotnb.bridge.inspect import flags_digest

    return flags_digest(session.active().recorder.instances[item.index].flags)


def invalidations() -> list[dict[str, Any]]:
    """Return the rows of ``aotnb.invalidations()`` as plain dictionaries."""
    import aotnb

    return [dataclasses.asdict(row) for row in aotnb.invalidations()]


def serve(shell: Any, mode: str, connection: socket.socket) -> None:
    """Be the shell behind one connection until it is closed. The first line says in which folder to work."""
    stream = connection.makefile("rw", encoding="utf-8", newline="\n")
    folder = json.loads(stream.readline())["folder"]
    stream.write(f"{os.getpid()}\n")
    stream.flush()
    os.chdir(folder)
    sys.path.insert(0, folder)
    here = Shell(shell, mode)
    if mode == "aotnb":
        shell.run_line_magic("load_ext", "aotnb")
    for line in stream:
        cell = json.loads(line)["cell"]
        if mode != "aotnb" and cell.startswith(("%load_ext aotnb", "%aot_")):
            answer: dict[str, Any] = {"said": [], "error": None, "printed": "", "seconds": 0.0}
        else:
            answer = here.run(cell)
        stream.write(json.dumps(answer) + "\n")
        stream.flush()


# ---- the nursery ----------------------------------------------------------------------------------------------------


def prepare(mode: str) -> Any:
    """Import what a kernel imports, let Numba fill its registries, compile nothing."""
    sys.dont_write_bytecode = True
    shell = new_shell()
    import numba
    from numba.core.registry import cpu_target

    if mode == "python":
        assert numba.config.DISABLE_JIT
        without_jit()
        return shell
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    if mode == "aotnb":
        pass
    return shell


def main(mode: str, path: str) -> None:
    """Fork a shell for each connection, until standard input is closed."""
    shell = prepare(mode)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(8)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            status = 0
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sys.stdin.close()
            sys.stdin = open(os.devnull)
            try:
                serve(shell, mode, connection)
            except BaseException:
                import traceback

                traceback.print_exc()
                status = 1
            sys.stderr.flush()
            os._exit(status)
        connection.close()


if __name__ == "__main__":
    main(MODE, sys.argv[2])
