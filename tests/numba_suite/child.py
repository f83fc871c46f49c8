"""Run a part of Numba's own tests in this process, and write each verdict down at once: ``child.py MODE IMAGE OUT PATTERNS TEST ...``.

MODE is "plain" (aotnb is not even imported), "record" (an image is written at the end), "load" (the image answers, if there was
anything to save) or "verify" (AOTNB_VERIFY is set: what the image would answer is compiled and compared).
PATTERNS, separated by commas, choose tests by name; an empty text chooses all.
OUT gets one JSON object a line: the verdict of each test as it ends, so that a crash shows where, and a summary at the end.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import sys
import time
import traceback
import unittest
import uuid
import warnings
from typing import Any

import numpy as np


class Verdicts(unittest.TestResult):
    """Writes a line for each test; tests that fail do not stop the run."""

    def __init__(self, out: Any, count: Any) -> None:
        super().__init__()
        self.out, self.count = out, count
        self.verdict, self.why = "passed", ""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        random.seed(1)
        np.random.seed(1)
        names = random.Random(1)  # of modules that a test makes: one of a user has the same name in each process
        uuid.uuid4 = lambda: uuid.UUID(int=names.getrandbits(128), version=4)
        self.verdict, self.why, self.before, self.began = "passed", "", self.count(), time.perf_counter()
        self.write({"begin": test.id()})

    def write(self, row: dict[str, Any]) -> None:
        self.out.write(json.dumps(row) + "\n")
        self.out.flush()

    def stopTest(self, test: unittest.TestCase) -> None:
        seconds = time.perf_counter() - self.began
        compilations = self.count() - self.before
        row = {"test": test.id(), "verdict": self.verdict, "compilations": compilations, "seconds": round(seconds, 3)}
        self.write(row | ({"why": self.why[-1500:]} if self.why else {}))
        super().stopTest(test)

    def _note(self, verdict: str, err: Any) -> None:
        self.verdict = verdict
        self.why = err if isinstance(err, str) else "".join(traceback.format_exception(*err))

    def addError(self, test: Any, err: Any) -> None:
        self._note("error", err)
        if not hasattr(self, "began") or not isinstance(test, unittest.TestCase):
            self.write({"test": str(test), "verdict": "error", "compilations": 0, "seconds": 0.0, "why": self.why[-1500:]})

    def addFailure(self, test: Any, err: Any) -> None:
        self._note("failed", err)

    def addSkip(self, test: Any, reason: str) -> None:
        self._note("skipped", reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self.verdict = "expected failure"

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.verdict = "unexpected success"

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._note("failed" if issubclass(err[0], test.failureException) else "error", err)


def noted_mismatches() -> list[str]:
    """Return a list that the oracle's complaints will be in: a test may expect an error, and take this one for it."""
    from aotnb.errors import VerifyMismatch

    found: list[str] = []
    init = VerifyMismatch.__init__

    def noting(self: Any, *args: Any) -> None:
        found.append(str(args[0]))
        init(self, *args)

    VerifyMismatch.__init__ = noting  # type: ignore[method-assign]
    return found


def _askers() -> set[Any]:
    """Return the code of those functions of Numba that compile for a function, a ufunc or a stencil."""
    from numba.core import dispatcher
    from numba.np.ufunc import ufuncbuilder
    from numba.stencils import stencil

    functions = (
        dispatcher._FunctionCompiler._compile_core, dispatcher.LiftedCode.compile, dispatcher.ObjModeLiftedWith.compile,
        ufuncbuilder.UFuncDispatcher._compile_core, stencil.StencilFunc.__call__,
    )  # fmt: skip
    return {inspect.unwrap(function).__code__ for function in functions}


def _is_asked_for(askers: set[Any]) -> bool:
    """Return whether the outermost compilation under way, which the one that begins here is for, is for one of them."""
    asked = False
    frame = sys._getframe(1)
    counted = frame.f_code
    while frame is not None:
        if frame.f_code in askers or frame.f_code is counted:
            asked = frame.f_code is not counted
        frame = frame.f_back  # type: ignore[assignment]
    return asked


def _in_module(name: str) -> str:
    """Return a class or method of a module without the module's name."""
    rest: list[str] = []
    while name not in sys.modules:
        name, _, part = name.rpartition(".")
        rest.insert(0, part)
    return ".".join(rest)


def main() -> None:
    """Run the tests and write the summary."""
    mode, image, out, patterns, *names = sys.argv[1:]
    warnings.simplefilter("ignore")
    sys.argv = [sys.argv[0]]
    session = None
    if mode != "plain":
        from aotnb import saving, session

        session.activate()
        if mode in ("load", "verify") and os.path.exists(image):
            session.load(image)
    mismatches = noted_mismatches() if mode == "verify" else []
    from numba.core import compiler

    # all but the next; those that Numba gave up with an error: they leave nothing that could be stored; those that a test runs
    # by itself, past every function, ufunc and stencil: nobody asks an image for them
    runs = [0, 0, 0]
    compile_core = compiler.CompilerBase._compile_core
    askers = _askers()

    def counted(self: Any) -> Any:
        if not _is_asked_for(askers):
            runs[2] += 1
            return compile_core(self)
        runs[0] += 1
        try:
            return compile_core(self)
        except BaseException:
            runs[1] += 1
            raise

    compiler.CompilerBase._compile_core = counted
    loader = unittest.defaultTestLoader
    if patterns:
        loader.testNamePatterns = [text if "*" in text else f"*{text}*" for text in patterns.split(",")]
    suite = loader.loadTestsFromNames(names)
    if loader.errors:
        sys.exit(str(loader.errors[0]))  # there is no such test, which would fail alike in all modes
    at_import = runs[0] - runs[1]
    with open(out, "w") as file:
        result = Verdicts(file, lambda: runs[0] - runs[1])
        suite.run(result)
        summary: dict[str, Any] = {
            "summary": True,
            "compilations": runs[0] - runs[1],
            "given_up": runs[1],
            "own": runs[2],
            "at_import": at_import,
            "part": patterns.split(",") if patterns else [_in_module(name) for name in names if name not in sys.modules],
        }
        if session is not None:
            status = session.status()
            reasons: dict[str, int] = {}
            for miss in status.misses:
                reasons[miss.reason] = reasons.get(miss.reason, 0) + 1
            summary |= {"served": len(status.served), "misses": reasons}
            summary |= {"verified": session.active().verified, "mismatches": mismatches}
            summary["missed"] = [[m.module, m.function, m.signature[:200], m.reason, m.detail[:300]] for m in status.misses]
        if mode == "record":
            began = time.perf_counter()
            try:
                saved = saving.save(image, link="in-process")
                summary |= {"entries": saved.entries, "save_seconds": round(time.perf_counter() - began, 1)}
                summary["dropped"] = [[d.module, d.function, d.signature[:200], d.reason, d.detail[:300]] for d in saved.dropped]
            except Exception as error:
                summary["save_error"] = f"{type(error).__name__}: {error}"
        result.write(summary)


if __name__ == "__main__":
    main()
