"""Shells in processes of their own, fed cell by cell: one with aotnb, the oracle beside it, and fresh kernels."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 120  # for one cell; only a deadlock takes so long


@dataclass(frozen=True)
class Answer:
    """What one cell did. Everything but ``said`` and ``error`` is known only of a shell with aotnb."""

    said: list[str]
    error: list[str] | None
    printed: str
    seconds: float
    compilations: int = 0
    compiled: list[list[str]] = field(default_factory=list)  # function, kind, signature, compiler flags
    invalidations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def told(self) -> tuple[list[str], str | None]:
        """What must be the same in every shell: the values, and which error ended the cell."""
        return self.said, None if self.error is None else self.error[0]

    @property
    def functions(self) -> list[str]:
        """The user's functions that were compiled, by the last part of their names; the compiler's own are left out."""
        return sorted(name.rpartition(".")[2] for name, kind, *_ in self.compiled if kind in ("function", "ufunc", "gufunc"))


class Died(Exception):
    """A shell ended in the middle of a cell."""


class Shell:
    """The near end of a shell; cells can be sent ahead of their answers, so that two shells work at the same time."""

    def __init__(self, path: str, folder: Path, mode: str) -> None:
        self.mode, self.cells = mode, []  # type: str, list[str]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(LIMIT_S)
        self._socket.connect(path)
        self._stream = self._socket.makefile("rw", encoding="utf-8", newline="\n")
        folder.mkdir(parents=True, exist_ok=True)
        self._write({"folder": str(folder)})
        self._pid = int(self._stream.readline())

    def _write(self, message: dict[str, Any]) -> None:
        try:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()
        except OSError as error:
            raise Died(f"the {self.mode} shell is gone: {error}") from None

    def send(self, cell: str) -> None:
        """Start a cell."""
        self.cells.append(cell)
        self._write({"cell": cell})

    def receive(self) -> Answer:
        """Wait for the end of the cell that was sent."""
        try:
            line = self._stream.readline()
        except OSError as error:
            raise Died(f"the {self.mode} shell does not answer ({error}) in the cell:\n{self.cells[-1]}") from None
        if not line:
            raise Died(f"the {self.mode} shell died in the cell:\n{self.cells[-1]}")
        return Answer(**json.loads(line))

    def run(self, cell: str) -> Answer:
        """Run one cell to its end."""
        self.send(cell)
        return self.receive()

    def close(self) -> None:
        """End the process behind this shell, whatever its threads are at."""
        try:
            os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            self._stream.close()
        except OSError:
            pass
        self._socket.close()

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Nurseries:
    """The processes that shells come from, one for each mode, started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sockets = tempfile.TemporaryDirectory(prefix="aotnb")  # the path of a socket must be short
        self._running: dict[str, tuple[subprocess.Popen[str], str]] = {}
        self._count = 0

    def shell(self, mode: str, folder: Path | None = None) -> Shell:
        """Return a fresh shell; without a *folder* it works in an empty one."""
        if mode not in self._running:
            self._running[mode] = self._start(mode)
        self._count += 1
        return Shell(self._running[mode][1], folder or self.folder / f"{mode}{self._count}", mode)

    def _start(self, mode: str) -> tuple[subprocess.Popen[str], str]:
        path = os.path.join(self._sockets.name, mode)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "AOTNB_", "PYTHON"))}
        self.folder.mkdir(parents=True, exist_ok=True)
        env = kept | {
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "NUMBA_CACHE_DIR": str(self.folder / "cache"),
            "NUMBA_NUM_THREADS": "2",
            "AOTNB_HOME": str(self.folder / "home"),
            "IPYTHONDIR": str(self.folder / "ipython"),
        }
        if mode == "python":
            env["NUMBA_DISABLE_JIT"] = "1"
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py")), mode, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=self.folder,
        )
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise Died(f"the nursery of {mode} shells does not start")
        return process, path

    def close(self) -> None:
        """End the nurseries; shells end with their connections."""
        for process, _ in self._running.values():
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.wait()
            process.stdout.close()
        self._running.clear()
        self._sockets.cleanup()


def run_all(shells: Sequence[Shell], cell: str) -> list[Answer]:
    """Run *cell* in several shells at the same time."""
    for shell in shells:
        shell.send(cell)
    return [shell.receive() for shell in shells]


def feed(shell: Shell, cells: Iterable[str]) -> Answer:
    """Run *cells*, of which only the last may fail; return its answer."""
    answer = None
    for cell in cells:
        if answer is not None and answer.error is not None:
            raise AssertionError(f"{answer.error} before the cell\n{cell}")
        answer = shell.run(cell)
    assert answer is not None
    return answer
