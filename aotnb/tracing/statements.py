"""Writes trace files: what was compiled at run time, and what was asked for at run time, as replayable statements."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.typecodec import encode_type, encode_types
from aotnb.core.statements import RECOMPILE, Statement
from aotnb.core.text import type_text
from aotnb.errors import AotError, NotRelocatable
from aotnb.tracing.instance import Instance


class TraceFile:
    """A file that statements are appended to, each in one write, so that a killed process leaves whole lines."""

    def __init__(self, path: str, *, fresh: bool) -> None:
        self.path = path
        self._pid = os.getpid()
        if path == "stderr":
            self._file: TextIO | None = None
            return
        try:
            self._file = open(path, "w" if fresh else "a", encoding="utf-8", buffering=1)  # noqa: SIM115  open as long as the process
        except OSError as error:
            raise AotError(f"cannot write the trace file {path}: {error.strerror or error}") from None

    def write(self, text: str) -> None:
        """Append whole lines; a forked child writes nothing."""
        if os.getpid() != self._pid:
            return
        try:
            file = sys.stderr if self._file is None else self._file
            file.write(text)
            file.flush()
        except (OSError, ValueError):  # a full disk must not fail the computation
            pass


class Statements:
    """Turns the questions of Python into statements: for the files, and for the traces of a session."""

    def __init__(self) -> None:
        self.compile_files: list[TraceFile] = []
        self.dispatch_files: list[TraceFile] = []
        self._dispatched: set[str] = set()
        self._compiled: set[str] = set()

    def asked(self, kind: str, disp: Any, args: tuple[Any, ...], return_type: Any, compiled: list[Instance]) -> None:
        """Write down one answered question of Python; *compiled* is what it made Numba compile."""
        top = next((i for i in compiled if i.depth == 0 and i.finished and not i.in_vain), None)
        line = line_of(kind, disp, args, return_type)
        if top is not None:
            mark = RECOMPILE if line in self._compiled else ""
            for file in self.compile_files:
                file.write(timed(top.seconds, line + mark))
        self._compiled.add(line)  # also what came from an image: compiling it later is compiling it again
        if line not in self._dispatched:
            self._dispatched.add(line)
            for file in self.dispatch_files:
                file.write(f"{line}\n")


def line_of(kind: str, disp: Any, args: tuple[Any, ...], return_type: Any) -> str:
    """Return the line for a question: a statement, or a comment that says why no other process could repeat it."""
    try:
        return str(statement_of(kind, disp, args, return_type))
    except NotRelocatable as error:
        return f"# not replayable ({' '.join(str(error).split())}): {Statement(_name(disp), tuple(map(str, args)), kind=kind)}"


def statement_of(kind: str, disp: Any, args: tuple[Any, ...], return_type: Any) -> Statement:
    """Return the statement that repeats a question; raise :class:`NotRelocatable` where no other process could."""
    if kind == "stencil":
        raise NotRelocatable("a stencil is compiled by its call")
    name = _name(disp)
    module, _, qualname = name.partition(":")
    if "<" in qualname:
        raise NotRelocatable("no name leads to a local function")
    found = numba_facts.absolute(module, qualname)
    # a decorator that compiles is asked before the name is bound, or while it is bound to an earlier definition
    method = disp if found is None else numba_facts.live_dispatcher(found)
    if method is None or _name(method) != name:
        raise NotRelocatable(f"{module}.{qualname} is another object")
    script = ""
    if module == "__main__":
        script = os.path.abspath(getattr(sys.modules["__main__"], "__file__", None) or "")
        if disp.py_func.__code__.co_filename not in (script, getattr(sys.modules["__main__"], "__file__", None)):
            raise NotRelocatable("it was defined in a notebook or an interactive session; save an image there")
    returns = "" if return_type is None else type_text(encode_type(return_type))
    return Statement(name, tuple(map(type_text, encode_types(args))), returns, kind, script)


def statements_of(instances: list[Instance]) -> dict[str, float]:
    """Return the lines that repeat what Python asked to be compiled among *instances*, in that order, each with its seconds.

    What cannot be repeated is a comment. The seconds are those of the first time, nested compilations included.
    """
    found: dict[str, float] = {}
    for i in instances:
        if not i.depth and i.dispatcher is not None and i.python_called:
            found.setdefault(line_of(i.kind, i.dispatcher, i.args, i.return_type), i.seconds)
    return found


def timed(seconds: float, line: str) -> str:
    """Return the lines of a trace file for one statement: the time that it took, as a comment, in front."""
    return f"# {seconds * 1000:.1f} ms\n{line}\n"


def _name(disp: Any) -> str:
    func = disp.py_func
    return f"{func.__module__ or ''}:{func.__qualname__}"
