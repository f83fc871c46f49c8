"""What the demo measures with: a digest of results, and a count of compilations that does not ask aotnb.

The count comes from Numba itself: its event ``numba:compile``, and each run of a compiler pipeline, nested ones and those of
ufuncs included. It looks into Numba's private parts, which is fine for an instrument and for nothing else.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def digest(*results: Any) -> str:
    """Return a short digest of arrays that forgives the last bits of floats, which fast-math leaves open."""
    return hashlib.sha256("|".join(map(_describe, results)).encode()).hexdigest()[:12]


def _describe(result: Any) -> str:
    array = np.asarray(result)
    if array.dtype.kind not in "fc":
        return f"{array.shape}:{hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"
    values = array.astype(np.complex128).view(np.float64).ravel()
    values = values[np.isfinite(values)]
    scale = float(np.sqrt((values**2).sum()))
    slope = float((values * np.linspace(-1.0, 1.0, values.size)).sum()) / scale if scale else 0.0
    return f"{array.shape}:{values.size}:{scale:.4e}:{slope + 0.0:.3f}"


class CompilationCounter:
    """Count what Numba compiles from now on."""

    def __init__(self) -> None:
        from numba.core import event
        from numba.core.compiler import CompilerBase

        self.pipelines: list[str] = []
        self.events: list[str] = []
        counter, original = self, CompilerBase._compile_core

        def _compile_core(self: Any) -> Any:
            func_id = self.state.func_id
            counter.pipelines.append(f"{func_id.modname}.{func_id.func_qualname}" if func_id is not None else "?")
            return original(self)

        class Listener(event.Listener):
            def on_start(self, event: Any) -> None:
                counter.events.append(str(event.data["dispatcher"]))

            def on_end(self, event: Any) -> None:
                pass

        CompilerBase._compile_core = _compile_core
        event.register("numba:compile", Listener())

    @property
    def compiled(self) -> list[str]:
        """Names of what was compiled, by whichever of the two counts found more."""
        return max(self.pipelines, self.events, key=len)

    def __len__(self) -> int:
        return len(self.compiled)

    def __repr__(self) -> str:
        return f"{len(self)} JIT compilations"
