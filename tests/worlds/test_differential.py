"""A short stretch of the differential test on every run, and the machinery of the long one: replaying and shrinking."""

from __future__ import annotations

from pathlib import Path

import pytest
from differential import Difference, Tally, explore, read_back, replay, shrink, write_down
from programs import Author, Part, Step
from shells import Nurseries

SEED = 20_261_123


def test_a_hundred_random_steps(nurseries: Nurseries, tmp_path: Path) -> None:
    tally, steps, difference, seed = explore(100, SEED, nurseries, tmp_path, length=50, fresh_every=25)
    kept = tmp_path / "difference.json"
    if difference is not None:
        write_down(kept, steps, difference, seed)
    assert difference is None, f"step {difference.position + 1}, {difference.kind}: {difference.text}\nkept in {kept}"
    assert tally.steps.total() == 100
    assert tally.calls > 20 and tally.fresh == 4


def test_a_seed_makes_one_notebook() -> None:
    def cells(seed: int) -> list[str]:
        author = Author(seed)
        return [step.cell for step in [*author.opening(), *(author.step() for _ in range(200))]]

    assert cells(7) == cells(7) != cells(8)


def test_steps_are_written_and_read_back(tmp_path: Path) -> None:
    author = Author(3)
    steps = [*author.opening(), *(author.step() for _ in range(100))]
    write_down(tmp_path / "steps.json", steps, Difference("answer", 0, ""), 3)
    assert read_back(tmp_path / "steps.json") == steps


def test_a_difference_is_found_and_shrunk(nurseries: Nurseries, tmp_path: Path) -> None:
    """Where the two really differ, that is said, and what has nothing to do with it is left out."""

    def step(text: str) -> Step:
        return Step("edit", [Part(text)])

    needed = [step("import os\nhere = len(os.environ.get('NUMBA_DISABLE_JIT', ''))"), step("say(here)")]
    idle = [step(f"x{number} = {number}") for number in range(6)]
    steps = [*idle[:3], needed[0], *idle[3:], needed[1], *idle]
    tries = iter(range(100))

    def again(steps: list[Step]) -> Difference | None:
        return replay(steps, nurseries, tmp_path / str(next(tries)))

    difference = again(steps)
    assert difference == Difference("answer", 7, difference.text if difference else "")
    assert "expected (['int 1'], None)" in difference.text and "got      (['int 0'], None)" in difference.text
    assert shrink(steps, difference, again)[0] == needed


@pytest.mark.slow
def test_two_thousand_random_steps(nurseries: Nurseries, tmp_path: Path) -> None:
    tally, _, difference, seed = explore(2000, SEED + 1, nurseries, tmp_path, tally=Tally())
    assert difference is None, f"seed {seed}, step {difference.position + 1}, {difference.kind}: {difference.text}"
    assert tally.steps.total() == 2000
