"""Random notebooks in a kernel with aotnb, beside Python without the JIT: after each step both must say the same.

    python tests/worlds/differential.py --steps 5000 --seed 1

prints how many steps went by without a difference. A difference is shrunk, written as a list of cells to a file, and can
be had again with ``--replay FILE``. Besides the answers it is checked that nothing is compiled twice: code whose every
dependency was there before, in the same session, must be found again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from programs import PRELUDE, Author, Notebook, Part, Step, step_from
from shells import Answer, Died, Nurseries, Shell, run_all

IMAGE = "image.aot"


@dataclass(frozen=True)
class Difference:
    """The first step at which something was not as it should be."""

    kind: str  # "answer", "error", "fresh", "needless", "died"
    position: int
    text: str


@dataclass
class Tally:
    """What was done so far."""

    steps: Counter[str] = field(default_factory=Counter)
    programs: int = 0
    calls: int = 0
    compilations: int = 0
    fresh: int = 0
    rows: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.steps.total()} steps of {self.programs} notebooks, {self.calls} calls, {self.compilations} compilations, "
            f"{self.rows} rows of invalidations, {self.steps['restart']} restarts, {self.fresh} comparisons with a fresh kernel, "
            f"{self.seconds:.0f} s"
        )


class Run:
    """One notebook being run, step by step, in a kernel with aotnb and in the oracle."""

    def __init__(self, nurseries: Nurseries, folder: Path, tally: Tally, fresh_every: int = 50, thrifty: bool = True) -> None:
        self.nurseries, self.folder, self.tally, self.fresh_every = nurseries, folder, tally, fresh_every
        self.thrifty = thrifty
        self.notebook = Notebook()
        self.position = 0
        self.kernels = 0
        self.shells: list[Shell] = []
        self.has: set[tuple[str, str, frozenset[tuple[str, str]]]] = set()  # function, signature, what it depends on
        self.last: Part | None = None
        self._start()

    def _start(self) -> None:
        self.close()
        self.kernels += 1
        (self.folder / "oracle").mkdir(parents=True, exist_ok=True)
        self.shells = [
            self.nurseries.shell("aotnb", self.folder / "kernel"),
            self.nurseries.shell("python", self.folder / "oracle"),
        ]
        run_all(self.shells, PRELUDE)
        self.has.clear()

    def close(self) -> None:
        """End the shells."""
        for shell in self.shells:
            shell.close()
        self.shells = []

    def step(self, step: Step) -> Difference | None:
        """Do one step; return what is wrong, if anything is."""
        self.tally.steps[step.kind] += 1
        self.position += 1
        try:
            difference = self._restart() if step.kind == "restart" else self._cell(step)
            if difference is None and self.tally.steps.total() % self.fresh_every == 0:
                difference = self._compare_with_fresh()
        except Died as died:
            difference = self._difference("died", str(died))
        return difference

    def _wrong(self, cell: str, mine: Answer, right: Answer) -> Difference:
        failed = (
            mine.error is not None and right.error is None
        )  # apart from wrong answers, so that shrinking keeps to one of them
        return self._difference("error" if failed else "answer", wrong(cell, mine, right))

    def _difference(self, kind: str, text: str) -> Difference:
        return Difference(kind, self.position - 1, text)

    def _cell(self, step: Step) -> Difference | None:
        mine, right = run_all(self.shells, step.cell)
        allowed = self._keys(step, mine) if self.thrifty else None
        self._count(step, mine)
        if differ(mine, right):
            return self._wrong(step.cell, mine, right)
        if allowed:
            return self._difference("needless", f"compiled again: {', '.join(allowed)}\nin the cell\n{step.cell}")
        return None

    def _count(self, step: Step, mine: Answer) -> None:
        calls = [call for part in step.parts for call in part.calls]
        self.tally.calls += len(calls)
        self.tally.compilations += mine.compilations
        self.tally.rows += len(mine.invalidations)
        if calls:
            self.last = Part(calls=step.parts[-1].calls)

    def _keys(self, step: Step, mine: Answer) -> list[str]:
        """Take in the step; return the functions that were compiled though their code was there.

        Where a cell edits several times, what was compiled between the edits cannot be told apart by the count, so only
        the cells with one part are held to it; the others teach what is there. In a cell that defines two functions, a ufunc
        over them gets its loops after each.
        """
        for part in step.parts:
            self.notebook.apply(part)
        if len(step.parts) != 1 or mine.error is not None:  # what fails to compile is tried again
            return []
        needless = []
        fresh = set()
        single = step.parts[0].text.count("def ") <= 1
        for function, kind, signature, flags in mine.compiled:
            if kind != "function":  # a ufunc gets loops of its own each time
                continue
            name = function.rpartition(".")[2]
            name = name if name in self.notebook.symbols else f"lib.{name}"
            key = (name, f"{kind}{signature}{flags}", self.notebook.reach([name, *self._arguments(step, name)]))
            if key in self.has or (key in fresh and single):
                needless.append(f"{name} {signature}")
            fresh.add(key)
        self.has |= fresh
        return needless

    def _arguments(self, step: Step, name: str) -> list[str]:
        """Return the functions passed to *name*, whose contents its code depends on as well."""
        return [symbol for part in step.parts for call in part.calls if call.symbols[:1] == [name] for symbol in call.symbols[1:]]

    def _restart(self) -> Difference | None:
        saved = self.shells[0].run(f"%aot_save -q {IMAGE}")
        if saved.error is not None and not saved.error[1].startswith("nothing to save"):
            return self._difference("answer", f"save: {saved.error}\n{saved.printed}")
        self._start()
        if saved.error is None:
            loaded = self.shells[0].run(f"%aot_load -q {IMAGE}")
            if loaded.error is not None:
                return self._difference("answer", f"load: {loaded.error}\n{loaded.printed}")
        for part in self.notebook.restart():
            mine, right = run_all(self.shells, part.text)
            if differ(mine, right):
                return self._wrong(part.text, mine, right)
        return None

    def _compare_with_fresh(self) -> Difference | None:
        """Say the last calls once more, in a new kernel without aotnb that is given the edits but none of the calls."""
        if self.last is None:
            return None
        self.tally.fresh += 1
        mine, right = run_all(self.shells, self.last.source)
        if differ(mine, right):
            return self._wrong(self.last.source, mine, right)
        with self.nurseries.shell("plain", self.folder / "fresh") as fresh:
            fresh.run(PRELUDE)
            for text in self.notebook.history:
                fresh.run(text)
            answer = fresh.run(self.last.source)
        if differ(mine, answer):
            return self._difference("fresh", wrong(self.last.source, mine, answer))
        return None


def differ(mine: Answer, right: Answer) -> bool:
    """Return whether two answers are not the same. Which error ends a cell does not matter: Numba has names of its own."""
    return mine.said != right.said or (mine.error is None) != (right.error is None)


def wrong(cell: str, mine: Answer, right: Answer) -> str:
    """Say what was expected of a cell and what it gave."""
    note = "" if mine.error is None else f"\n  the error of the kernel: {mine.error}"
    return f"expected {right.told}\n  got      {mine.told}{note}\n  in the cell\n{cell}"


def replay(
    steps: Sequence[Step],
    nurseries: Nurseries,
    folder: Path,
    tally: Tally | None = None,
    fresh_every: int = 50,
    thrifty: bool = True,
) -> Difference | None:
    """Run *steps* in new kernels up to the first difference."""
    run = Run(nurseries, folder, tally or Tally(), fresh_every, thrifty)
    try:
        for step in steps:
            difference = run.step(step)
            if difference is not None:
                return difference
        return None
    finally:
        run.close()


def shrink(
    steps: list[Step], difference: Difference, again: Callable[[list[Step]], Difference | None], budget: int = 60
) -> tuple[list[Step], Difference]:
    """Leave out steps as long as a difference of the same kind remains: first what comes after it, then ever smaller runs."""
    steps = steps[: difference.position + 1]
    size = max(1, len(steps) // 2)
    while size >= 1 and budget > 0:
        start = 0
        while start < len(steps) and budget > 0:
            fewer = steps[:start] + steps[start + size :]
            budget -= 1
            found = again(fewer)
            if found is not None and found.kind == difference.kind:
                steps, difference = fewer[: found.position + 1], found
            else:
                start += size
        size //= 2
    return steps, difference


def write_down(path: Path, steps: Sequence[Step], difference: Difference, seed: int) -> None:
    """Write a notebook that makes a difference, for people and for :func:`read_back`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {"seed": seed, "kind": difference.kind, "difference": difference.text, "steps": [step.to_tree() for step in steps]}
    path.write_text(json.dumps(tree, indent=1))


def read_back(path: Path) -> list[Step]:
    """Return the steps of a file of :func:`write_down`."""
    return [step_from(tree) for tree in json.loads(path.read_text())["steps"]]


def explore(
    count: int,
    seed: int,
    nurseries: Nurseries,
    folder: Path,
    *,
    length: int = 80,
    fresh_every: int = 50,
    thrifty: bool = True,
    tell: Callable[[Tally], None] = lambda tally: None,
    tally: Tally | None = None,
) -> tuple[Tally, list[Step], Difference | None, int]:
    """Make up notebooks and run them for *count* steps in all; return at the first difference, with its steps and seed."""
    tally = tally or Tally()
    started = time.monotonic() - tally.seconds
    while tally.steps.total() < count:
        author = Author(seed)
        tally.programs += 1
        run = Run(nurseries, folder / f"notebook{seed}", tally, fresh_every, thrifty)
        steps: list[Step] = []
        waiting = author.opening()
        try:
            while len(steps) < length and tally.steps.total() < count:
                step = waiting.pop(0) if waiting else author.step()
                steps.append(step)
                difference = run.step(step)
                tally.seconds = time.monotonic() - started
                if difference is not None:
                    return tally, steps, difference, seed
        finally:
            run.close()
        tell(tally)
        seed += 1
    return tally, [], None, seed


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; the status is 0 if there was no difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="how many steps in all")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first notebook; the next ones count up")
    parser.add_argument("--length", type=int, default=80, help="steps of one notebook")
    parser.add_argument("--fresh-every", type=int, default=50, help="compare with a fresh kernel every so many steps")
    parser.add_argument("--answers-only", action="store_true", help="let code be compiled twice")
    parser.add_argument("--keep-going", action="store_true", help="after a difference go on with the next notebook")
    parser.add_argument("--shrink", type=int, default=60, metavar="RUNS", help="how many runs may go into making it shorter")
    parser.add_argument("--out", type=Path, default=Path("differences"), help="folder for what makes a difference")
    parser.add_argument("--replay", type=Path, help="run the steps of this file instead")
    options = parser.parse_args(arguments)
    thrifty = not options.answers_only
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        nurseries = Nurseries(folder / "shells")
        try:
            if options.replay is not None:
                found = replay(read_back(options.replay), nurseries, folder / "replay", None, options.fresh_every, thrifty)
                print("no difference" if found is None else f"step {found.position + 1}, {found.kind}: {found.text}")
                return int(found is not None)
            return _explore(options, nurseries, folder, thrifty)
        finally:
            nurseries.close()


def _explore(options: argparse.Namespace, nurseries: Nurseries, folder: Path, thrifty: bool) -> int:
    tally, seed, found = Tally(), options.seed, 0
    while tally.steps.total() < options.steps:
        tally, steps, difference, seed = explore(
            options.steps,
            seed,
            nurseries,
            folder,
            length=options.length,
            fresh_every=options.fresh_every,
            thrifty=thrifty,
            tell=lambda tally: print(tally, flush=True),
            tally=tally,
        )
        if difference is None:
            break
        found += 1
        print(f"a difference after {tally}", flush=True)
        tries = iter(range(10**6))

        def again(steps: list[Step]) -> Difference | None:
            every = len(steps) if difference.kind == "fresh" else options.fresh_every
            return replay(steps, nurseries, folder / f"shrink{seed}-{next(tries)}", None, every, thrifty)

        steps, difference = shrink(steps, difference, again, options.shrink)
        path = options.out / f"{difference.kind}-{seed}.json"
        write_down(path, steps, difference, seed)
        print(f"{path}: seed {seed}, {len(steps)} steps, {difference.kind}: {difference.text}", flush=True)
        if not options.keep_going:
            break
        seed += 1
    print(f"{tally}; {'no difference' if not found else f'{found} differences'}", flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
