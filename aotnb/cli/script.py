"""Run a script as ``__main__`` with an image, as plain ``python SCRIPT`` does without one.

The script gets its own module ``__main__`` in ``sys.modules``, so that what it pickles and what multiprocessing's spawn
imports again is found under the same names as without aotnb.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import threading
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType, TracebackType

from aotnb import autostart
from aotnb.errors import AotError, ImageRejected

_replaced: ModuleType | None = None  # our own __main__, kept alive


def run(
    script: str,
    args: list[str],
    image: str | None,
    *,
    record: bool,
    cpu_target: str | None,
    report: str | None,
    verbose: bool,
    trace_compile: str | None = None,
    trace_dispatch: str | None = None,
) -> int:
    """Run ``script``; return its exit status, or 1 if it succeeded but the image could not be written."""
    image = image or os.environ.get("AOTNB_IMAGE") or None
    if cpu_target is not None and not record:
        raise AotError("--cpu-target names the CPUs to compile an image for; give --record, too")
    _check(image, record=record, report=report)
    for path in (trace_compile, trace_dispatch):
        _check_output(path, "trace file") if path != "stderr" else None
    source = _read(script)
    if cpu_target is not None:
        os.environ["AOTNB_CPU_TARGET"] = cpu_target  # read when Numba is there, and by processes that the script starts
    autostart.start(image, record, report, verbose, trace_compile, trace_dispatch)
    status: object = None
    try:
        status = _run_as_main(script, args, source)
    except SystemExit as exit_:
        status = exit_.code
    # Waits for the script's threads as the interpreter would, before its exit handlers: they may still compile.
    threading._shutdown()  # type: ignore[attr-defined]
    outcome = autostart.finish() or {}
    if status not in (None, 0) and outcome.get("saved"):
        print(f"aotnb: the script failed; what it had compiled was saved to {outcome['saved']['path']}", file=sys.stderr)
    if status in (None, 0) and record and outcome.get("error"):
        return 1
    if status is None or isinstance(status, int):
        return status or 0
    raise SystemExit(status)


def _check(image: str | None, *, record: bool, report: str | None) -> None:
    """Refuse before the script runs what would be in vain after it."""
    problem = autostart.problem_with(image, record)
    if problem is not None:
        raise AotError(problem)
    if image is not None and os.path.exists(image):
        _check_file(image)
    _check_output(report, "report")


def _check_output(path: str | None, what: str) -> None:
    if path is not None:
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise AotError(f"the {what} cannot be written to {path}; give a file in a folder that exists and is writable")


def _check_file(image: str) -> None:
    """Refuse a file that is no image of this user; one of another version or CPU is left to the load."""
    from pathlib import Path

    from aotnb.image.format import ImageFile
    from aotnb.image.trust import user_key

    try:
        trusted = ImageFile(Path(image)).signed_by(user_key())
    except ImageRejected as error:
        if error.reason in autostart.REPLACEABLE:
            return
        raise
    if not trusted:
        raise ImageRejected("untrusted", f"{image} was not made by this user; run `aotnb trust {image}` if you trust its maker")


def _read(script: str) -> bytes:
    try:
        with io.open_code(os.path.abspath(script)) as file:
            return file.read()
    except IsADirectoryError:
        raise AotError(f"{script} is a directory; give a Python script") from None
    except OSError as error:
        raise AotError(f"cannot read the script {script}: {error.strerror or error}") from None


def _run_as_main(script: str, args: list[str], source: bytes) -> int | None:
    """Run the source in a fresh ``__main__``; an uncaught exception gives the traceback that python would give."""
    global _replaced
    path = os.path.abspath(script)
    module, ours = ModuleType("__main__"), sys.modules["__main__"]
    module.__dict__.update(__file__=path, __builtins__=builtins, __loader__=SourceFileLoader("__main__", path))
    # what else the interpreter puts into a __main__ differs between versions of Python
    extra: dict[str, object] = {"__package__": None, "__cached__": None, "__annotations__": {}}
    module.__dict__.update({name: value for name, value in extra.items() if name in ours.__dict__})
    _replaced, sys.modules["__main__"] = ours, module
    sys.argv[:] = [script, *args]
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = os.path.dirname(os.path.realpath(script))
    try:
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  shown as the interpreter would
        error.__traceback__ = _without_own_frames(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return None


def _without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback
