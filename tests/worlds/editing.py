"""Edits inside one kernel: cells, an edit, a call, and what all of it must lead to.

For each edit the same cells go to a shell with aotnb and to the oracle, and the stages are:

    first     the notebook's cells, then the call
    again     the call once more                            nothing is compiled
    rerun     every cell once more, unchanged, the call     nothing is compiled
    edited    the edited cells, then the call               exactly ``compiled`` is compiled; the rows name the cause
    settled   the call once more                            nothing is compiled
    undone    the notebook's cells as at first, the call    nothing is compiled: the code of before holds again
    redone    the edited cells again, the call              nothing is compiled
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from shells import Answer, Nurseries, Shell, feed, run_all

PRELUDE = "import numpy as np\nimport numba\nfrom numba import njit"
STAGES = ("first", "again", "rerun", "edited", "settled", "undone", "redone")


@dataclass(frozen=True)
class Edit:
    """One edit of a notebook.

    ``compiled``: the functions that the call after the edit compiles, no others; None leaves it open. ``cause``: what the
    rows of invalidations must name (a regular expression); empty: no row at all; None: not looked at. ``chain``: for a victim the
    functions on the way to it, from the one that read what was edited to itself. ``oracle``: "python", or "fresh" where Python cannot run it: then a new kernel without
    aotnb runs the notebook as it stands (``notebook``, by default the cells and the edited cells in turn).
    ``stages``: the stages that make sense for this edit; ``free``: those of them that may compile; ``changes``: whether
    the edit changes what the call says.
    """

    name: str
    cells: Sequence[str]
    edit: Sequence[str]
    call: str = "say(f(10))"
    compiled: Sequence[str] | None = ()
    cause: str | None = ""
    kind: str = ""
    chain: Mapping[str, Sequence[str]] = field(default_factory=dict)
    oracle: str = "python"
    notebook: Sequence[str] | None = None
    changes: bool = True
    stages: Sequence[str] = STAGES
    free: Sequence[str] = ()  # stages that may compile

    @property
    def start(self) -> list[str]:
        return [dedent(cell).strip("\n") for cell in self.cells]

    @property
    def edited(self) -> list[str]:
        return [dedent(cell).strip("\n") for cell in self.edit]

    def stage(self, name: str) -> list[str]:
        """Return the cells of a stage; the last one is the call."""
        body = {"first": self.start, "rerun": self.start, "undone": self.start, "edited": self.edited, "redone": self.edited}
        return [*body.get(name, []), self.call]

    def as_it_stands(self, name: str) -> list[str]:
        """Return the notebook at a stage, for a fresh kernel."""
        if name in ("edited", "settled", "redone"):
            whole = self.notebook if self.notebook is not None else [*self.start, *self.edited]
            return [*map(dedent, whole), self.call]
        return [*self.start, self.call]


@dataclass(frozen=True)
class Stage:
    """What a stage gave: the answer to the call, all that was compiled and invalidated on the way, what is right."""

    name: str
    answer: Answer
    compiled: list[str]
    compilations: int
    rows: list[dict[str, Any]]
    right: Answer


def play(edit: Edit, nurseries: Nurseries) -> dict[str, Stage]:
    """Run the stages of *edit* in one kernel, beside its oracle."""
    played: dict[str, Stage] = {}
    with nurseries.shell("aotnb") as shell, nurseries.shell("python") as oracle:
        run_all([shell, oracle], PRELUDE)
        for name in STAGES:
            if name in edit.stages:
                played[name] = _play_stage(edit, name, shell, oracle, nurseries)
    return played


def _play_stage(edit: Edit, name: str, shell: Shell, oracle: Shell, nurseries: Nurseries) -> Stage:
    cells = edit.stage(name)
    answers, right = [], None
    for number, cell in enumerate(cells):
        if edit.oracle == "python":
            one, right = run_all([shell, oracle], cell)
            assert one.told == right.told, f"{name}: {one.told}, should be {right.told}; in\n{cell}\n{one.printed}"
        else:
            one = shell.run(cell)
            assert number == len(cells) - 1 or one.error is None, f"{name}: {one.error} in\n{cell}"
        answers.append(one)
    if right is None:
        with nurseries.shell("plain") as fresh:
            right = feed(fresh, [PRELUDE, *edit.as_it_stands(name)])
        assert answers[-1].told == right.told, f"{name}: {answers[-1].told}, should be {right.told}\n{answers[-1].printed}"
    return Stage(
        name=name,
        answer=answers[-1],
        compiled=sorted(function for answer in answers for function in answer.functions),
        compilations=sum(answer.compilations for answer in answers),
        rows=[row for answer in answers for row in answer.invalidations],
        right=right,
    )


# ---- what must hold -------------------------------------------------------------------------------------------------


def check(edit: Edit, played: Mapping[str, Stage]) -> None:
    """Check all that is below, and say all that is wrong at once."""
    wrong = []
    for one in (check_meaning, check_compilations, check_rows):
        try:
            one(edit, played)
        except AssertionError as error:
            wrong.append(str(error).partition("\nassert")[0])
    assert not wrong, "\n".join(wrong)


def check_meaning(edit: Edit, played: Mapping[str, Stage]) -> None:
    """The edit itself is as meant: it changes what the oracle says, or does not."""
    if "edited" in played:
        changed = played["edited"].right.told != played["first"].right.told
        assert changed == edit.changes, f"the oracle said {played['first'].right.told}, then {played['edited'].right.told}"


def check_compilations(edit: Edit, played: Mapping[str, Stage]) -> None:
    """Only what depends on the edit is compiled again, once; what was compiled before is never compiled twice."""
    for name in ("again", "rerun", "settled", "undone", "redone"):
        if name in played and name not in edit.free:
            stage = played[name]
            assert stage.compilations == 0, f"{name}: compiled {[item[0] for item in stage.answer.compiled]} needlessly"
    if edit.compiled is not None and "edited" in played:
        found, right = played["edited"].compiled, sorted(edit.compiled)
        assert found == right, f"edited: compiled {found}, should be {right}"
        assert right or played["edited"].compilations == 0, "edited: compiled something of the compiler's own"


def check_rows(edit: Edit, played: Mapping[str, Stage]) -> None:
    """The rows of invalidations name the cause and the way from it to the victim."""
    for name in ("first", "again", "settled"):
        early = name == "first" and any("say(" in cell for cell in edit.cells)  # calls before it is complete
        if name in played and not early:
            assert not played[name].rows, f"{name}: nothing was edited, yet {played[name].rows}"
    if "edited" not in played or edit.cause is None:
        return
    rows = played["edited"].rows
    if not edit.cause:
        assert not rows, f"nothing that was compiled depends on the edit, yet {rows}"
        return
    assert rows, "there are no rows of invalidations"
    for row in rows:
        assert re.search(edit.cause, row["cause"]), f"the cause should be {edit.cause}: {row}"
        assert re.search(edit.kind, row["kind"]), f"the kind of cause should be {edit.kind}: {row}"
    for victim, through in edit.chain.items():
        mine = [row for row in rows if last_part(row["function"]) == victim]
        assert mine, f"{victim} is no victim: {rows}"
        assert [last_part(name) for name in mine[0]["chain"]] == through, f"the chain of {victim}: {mine[0]}"
        assert mine[0]["depth"] == len(through) - 1


def last_part(name: str) -> str:
    return name.rpartition(".")[2]
