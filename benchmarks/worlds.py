"""What it costs to look for changes when there are none: ``python benchmarks/worlds.py [EDGES]``.

Compiles functions that read EDGES globals (1,000 unless told), then times :func:`aotnb.check`, which compares identities,
and beside it the check of one array of 800 kB by content. The limit is 1 ms for 1,000 edges.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
from numba import njit

import aotnb

PER_FUNCTION = 25


def median_milliseconds(runs: int = 200) -> float:
    """Return the median time of one check in milliseconds."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        aotnb.check()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def main() -> None:
    """Print the cost of a check."""
    edges = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    aotnb.activate()
    namespace: dict[str, object] = {"njit": njit, "__name__": "__main__"}
    names = [f"K{number}" for number in range(edges)]
    namespace.update(dict.fromkeys(names, 1))
    for start in range(0, edges, PER_FUNCTION):
        body = " + ".join(names[start : start + PER_FUNCTION])
        exec(f"@njit\ndef f{start}(x):\n    return x + {body}\nf{start}(1)", namespace)
    aotnb.check()
    print(f"{edges} identity-checked edges: {median_milliseconds():.3f} ms for each check")
    namespace["A"] = np.zeros(100_000)
    exec("@njit\ndef g(i):\n    return A[i]\ng(0)", namespace)
    aotnb.check()
    print(f"... and an array of 800 kB by content: {median_milliseconds():.3f} ms")


if __name__ == "__main__":
    main()
