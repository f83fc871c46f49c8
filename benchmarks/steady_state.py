"""Code of an image against code of Numba's JIT, in one process: ``python benchmarks/steady_state.py [-k TEXT] [--rounds N]``.

One process records the kernels of workloads/kernels.py and saves them. Another one imports them twice: a copy that the
image serves, and, after the hooks are taken out, a copy that the JIT compiles. Calls of both alternate, in blocks of about
ten milliseconds; the ratio is that of the medians of CPU time. A ratio above 1.02 is measured again, and the median of
all measurements stands. Instructions are counted beside it where the kernel lets a process count its own.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPEATS = 3


def kernels(only: str) -> dict[str, Callable[[], Any]]:
    """Import the kernels afresh and call those that are wanted."""
    found = importlib.import_module("kernels").KERNELS
    wanted = {name: call for name, call in found.items() if only.lower() in name.lower()}
    for call in wanted.values():
        call()
    return wanted


def make(path: str, only: str) -> None:
    """Record the kernels and save the image."""
    import aotnb

    with aotnb.trace():
        kernels(only)
    saved = aotnb.save(path)
    for left in saved.dropped:
        print(f"left out {left.function}{left.signature}: {left.detail}", file=sys.stderr)


def copies(path: str, only: str) -> tuple[dict[str, Callable[[], Any]], dict[str, Callable[[], Any]]]:
    """Return the kernels as the image serves them, and as the JIT compiles them."""
    import aotnb
    from aotnb import session

    aotnb.load(path)
    served = kernels(only)
    if compiled := session.compiled():
        raise SystemExit(f"not served: {', '.join(item.function for item in compiled)}; {aotnb.misses()}")
    session.deactivate()
    del sys.modules["kernels"]
    return served, kernels(only)


def calls_in_a_block(call: Callable[[], Any], seconds: float = 0.01) -> int:
    """Return how many calls take about *seconds*."""
    number = 1
    while True:
        started = time.perf_counter()
        for _ in range(number):
            call()
        if time.perf_counter() - started > seconds / 2:
            return number
        number *= 2


def block(call: Callable[[], Any], number: int) -> float:
    """Return the CPU seconds of *number* calls."""
    started = time.process_time()
    for _ in range(number):
        call()
    return time.process_time() - started


def ratio(image: Callable[[], Any], jit: Callable[[], Any], number: int, rounds: int) -> tuple[float, float]:
    """Return the ratio of the medians, and the median CPU seconds of one call of the JIT's code."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 else (1, 0):
            times[side].append(block((image, jit)[side], number))
    of_image, of_jit = map(statistics.median, times)
    return of_image / of_jit, of_jit / number


class Counter:
    """Instructions that this thread retires, in user mode; None where the kernel or the machine does not count them."""

    def __init__(self) -> None:
        # struct perf_event_attr: type hardware, size, instructions retired, and the bits exclude_kernel and exclude_hv
        attributes = struct.pack("<IIQQQQQ", 0, 64, 1, 0, 0, 0, 1 << 5 | 1 << 6) + bytes(16)
        libc = ctypes.CDLL(None, use_errno=True)
        system_call = {"x86_64": 298, "aarch64": 241}.get(os.uname().machine, -1)
        self._file = libc.syscall(system_call, attributes, 0, -1, -1, 0)

    def count(self, call: Callable[[], Any]) -> int | None:
        """Return the instructions of one call."""
        if self._file < 0:
            return None
        before = struct.unpack("<Q", os.read(self._file, 8))[0]
        call()
        return int(struct.unpack("<Q", os.read(self._file, 8))[0]) - int(before)


def measure(path: str, only: str, rounds: int) -> None:
    """Print one JSON object for each kernel."""
    served, compiled = copies(path, only)
    counter = Counter()
    for name, image in served.items():
        jit = compiled[name]
        number = calls_in_a_block(jit)
        found = [ratio(image, jit, number, rounds)]
        while found[-1][0] > 1.02 and len(found) < REPEATS:
            found.append(ratio(image, jit, number, rounds))
        counts = [counter.count(call) for call in (image, jit)]
        instructions = None if None in counts else counts[0] / max(1, counts[1])  # type: ignore[operator, type-var]
        row = {
            "kernel": name,
            "ratio": statistics.median(value for value, _ in found),
            "seconds": found[0][1],
            "measured": len(found),
            "instructions": instructions,
        }
        print(json.dumps(row), flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Speed of image code against JIT code.")
    parser.add_argument("-k", dest="only", default="", metavar="TEXT", help="only kernels whose name has this text")
    parser.add_argument("--rounds", type=int, default=31, help="blocks of either side in one measurement")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sys.path.insert(0, str(HERE / "workloads"))
    if args.step:
        make(args.step[1], args.only) if args.step[0] == "make" else measure(args.step[1], args.only, args.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "kernels.aot")
        words = [sys.executable, __file__, "-k", args.only, "--rounds", str(args.rounds), "--step"]
        subprocess.run([*words, "make", image], check=True)
        out = subprocess.run([*words, "measure", image], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    print(f"{'kernel':32} {'JIT, us':>10} {'image/JIT':>10} {'instructions':>13} {'measured':>9}")
    for row in rows:
        instructions = "" if row["instructions"] is None else f"{row['instructions']:.3f}"
        print(f"{row['kernel']:32} {row['seconds'] * 1e6:10.1f} {row['ratio']:10.3f} {instructions:>13} {row['measured']:9}")
    mean = math.exp(statistics.fmean(math.log(row["ratio"]) for row in rows))
    print(f"geometric mean {mean:.3f}, highest {max(row['ratio'] for row in rows):.3f}, {len(rows)} kernels")


if __name__ == "__main__":
    main()
