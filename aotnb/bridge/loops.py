"""Loops that a function in object mode leaves to functions of their own, which Numba compiles when they are first reached.

Such a loop has no name. It is known by the question that its function answers, and by its number among that function's loops.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from numba.core import utils
from numba.core.dispatcher import LiftedLoop, _DispatcherBase
from numba.core.registry import cpu_target

from aotnb.bridge.stencils import reads_of
from aotnb.core.digest import digest
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

_digests: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def lifted_loops(cres: Any) -> list[Any]:
    """Return the loops that the code of *cres* leaves to functions of their own, in order."""
    return [lifted for lifted in cres.lifted if isinstance(lifted, LiftedLoop)]


def name_loops(loops: Iterable[Any], key: str) -> None:
    """Let the loops of a function be known; *key* is that of the question which the function answers."""
    for number, loop in enumerate(loops):
        _digests[loop] = digest(["loop", key, number])


def loop_digest(loop: Any) -> str:
    """Return the digest that stands for the definition of a loop."""
    if loop not in _digests:
        raise NotRelocatable(refusal("lifted_loops", function=loop.py_func.__qualname__))
    return _digests[loop]


def loop_reads(loop: Any) -> list[tuple[str, str, Any]]:
    """Return (kind, name, value) of the globals and closure cells that a loop mentions: they are frozen with its function."""
    return reads_of(loop.func_ir.blocks)  # type: ignore[no-any-return]


def loop_const(value: Any, cres: Any) -> list[Any] | None:
    """Return the recipe for a constant of the code of *cres* that is one of its loops, else None."""
    return next((["loop", n, loop.func_ir.arg_count] for n, loop in enumerate(lifted_loops(cres)) if loop is value), None)


class ServedLoop(LiftedLoop):  # type: ignore[misc]
    """A loop of a function that an image served. Its IR is made by compiling that function, where the loop has to be compiled."""

    def __init__(self, func: Any, number: int, arg_count: int, key: str) -> None:
        # not the parent's __init__, which takes all from the IR
        self.number = number
        self.function: Any = None  # the dispatcher of the function, and the argument types
        self.lifted_from = None
        self.typingctx, self.targetctx = cpu_target.typing_context, cpu_target.target_context
        self._loop: Any = None
        pysig = utils.pysignature(func)
        _DispatcherBase.__init__(self, arg_count, func, pysig, can_fallback=True, exact_match_required=False)
        _digests[self] = digest(["loop", key, number])

    def __repr__(self) -> str:
        return f"LiftedLoop({self.py_func})"

    def _original(self) -> Any:
        if self._loop is None:
            from aotnb.bridge import hooks

            disp, args = self.function
            cres = hooks.apart(lambda: disp._compiler.compile(args, None))
            self._loop = lifted_loops(cres)[self.number]
        return self._loop

    @property
    def func_ir(self) -> Any:
        """The IR of the loop."""
        return self._original().func_ir

    @property
    def flags(self) -> Any:
        """The compiler flags of the loop."""
        return self._original().flags

    @property
    def locals(self) -> Any:
        """The types of variables that the user gave."""
        return self._original().locals


def served_loops(env: Any) -> list[Any]:
    """Return the loops among the constants of the code with environment *env*, in order."""
    return sorted((const for const in env.consts if isinstance(const, ServedLoop)), key=lambda loop: loop.number)


def adopt(loops: Iterable[Any], disp: Any, args: tuple[Any, ...]) -> None:
    """Tell loops from which dispatcher they come, the first that is served with them."""
    for loop in loops:
        if loop.function is None:
            loop.function = (disp, args)
