"""Compile again what a trace file names, in a process of its own: the statements of ``--trace-compile``, and workloads."""

from __future__ import annotations

import importlib
import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aotnb import mainscript, session, workload
from aotnb.bridge.replay import compile_for, function_named, type_from
from aotnb.building.packages import distribution_named, top_modules
from aotnb.core.records import Replay, Skipped
from aotnb.core.statements import Statement, Unreadable, read_statements
from aotnb.errors import AotError, BuildError


def precompile(function: Any, args: Iterable[Any], *, returns: Any = None) -> bool:
    """Compile *function* for argument types now, as a call would, so that the next save takes it along.

    Parameters
    ----------
    function
        A jitted function or ufunc, or its name as "module:name".
    args
        Types, as Numba's or as text: ``numba.int64`` or "int64", "array(float64, 1d, C)".
    returns
        The return type of an explicit signature, if wanted.

    Returns
    -------
    bool
        Whether anything was compiled; False where the code was there or came from a loaded image.

    Raises
    ------
    AotError
        If there is no such function or type, or if Numba refuses it.
    """
    session.activate()
    before = len(session.recorded())
    found = function_named(function) if isinstance(function, str) else function
    compile_for(found, tuple(map(type_from, args)), None if returns is None else type_from(returns))
    return len(session.recorded()) > before


def replay(paths: Iterable[str | Path], modules: Iterable[str] = ()) -> Replay:
    """Carry out the statements of trace files and the workloads of *modules*; what cannot be done is skipped, with the reason.

    Raises
    ------
    AotError
        If a trace file cannot be read.
    """
    texts = [_read(Path(path)) for path in paths]
    session.activate()
    skipped: list[Skipped] = []
    done = 0
    workload.enter_build()
    try:
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  one module must not cost the others
                skipped.append(Skipped(name, f"importing it raised {_said(error)}"))
        for item in (item for text in texts for item in read_statements(text)):
            if isinstance(item, Unreadable):
                skipped.append(Skipped(f"line {item.line}: {item.text[:80]}", item.why))
                continue
            try:
                _carry_out(item)
                done += 1
            except AotError as error:
                skipped.append(Skipped(str(item), str(error)))
    finally:
        workload.leave_build()
    return Replay(done, tuple(skipped))


def run_packages(packages: Iterable[str], scripts: Iterable[str | Path]) -> None:
    """Import installed packages with their workloads, and run scripts, so that what is compiled can become a base image.

    Raises
    ------
    BuildError
        If the files of a package may change without being installed again, or if a package or a script fails.
    """
    found = [distribution_named(name) for name in packages]
    session.activate()
    workload.enter_build()
    try:
        for name in (name for distribution in found for name in top_modules(distribution)):
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  whatever a package may raise
                raise BuildError(f"importing {name} raised {_said(error)}") from None
        for script in scripts:
            try:
                runpy.run_path(str(script), run_name="__main__")
            except OSError as error:
                raise BuildError(f"cannot run the workload {script}: {error.strerror or error}") from None
            except Exception as error:  # noqa: BLE001
                raise BuildError(f"the workload {script} raised {_said(error)}") from None
    finally:
        workload.leave_build()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _carry_out(statement: Statement) -> None:
    if statement.function.startswith("__main__:"):
        if not statement.script:
            raise AotError("it belongs to a script or a notebook that the statement does not name")
        mainscript.define(statement.script)
    precompile(statement.function, statement.args, returns=statement.returns or None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise AotError(f"{path} is no trace file") from None
    except OSError as error:
        raise AotError(f"cannot read the trace file {path}: {error.strerror or error}") from None
