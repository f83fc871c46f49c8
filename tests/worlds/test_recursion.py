"""A recursive function with an explicit signature: its decorator compiles it before its own name is bound."""

from __future__ import annotations

from pathlib import Path

from editing import PRELUDE
from shells import Nurseries

FACT = '@njit("int64(int64)")\ndef fact(n):\n    return 1 if n < 2 else n * fact(n - 1)'
USE = "@njit\ndef use(n):\n    return fact(n) + 1"
CALL = "say(fact(5), use(5))"


def test_that_its_name_is_bound_afterwards_is_no_change(nurseries: Nurseries, tmp_path: Path) -> None:
    with nurseries.shell("aotnb", tmp_path) as shell:
        shell.run(PRELUDE)
        assert [shell.run(cell).compilations for cell in (FACT, USE)] == [1, 0]
        called = shell.run(CALL)
        assert (called.said, called.functions, called.invalidations) == (["int 120 | int 121"], ["use"], [])
        saved = shell.run("import aotnb\nsay(len(aotnb.save('image.aot').dropped))")
        assert saved.said == ["int 0"]  # the caller is not incoherent either
    with nurseries.shell("aotnb", tmp_path) as shell:
        shell.run(PRELUDE)
        shell.run("%aot_load -q image.aot")
        answers = [shell.run(cell) for cell in (FACT, USE, CALL, CALL)]
        assert answers[-1].said == ["int 120 | int 121"]
        assert [(answer.compilations, answer.invalidations) for answer in answers] == [(0, [])] * 4


def test_another_function_of_its_name_is_one(nurseries: Nurseries) -> None:
    with nurseries.shell("aotnb") as shell:
        for cell in (PRELUDE, FACT, USE, "first = fact", CALL):
            shell.run(cell)
        edited = shell.run(FACT.replace("1 if", "2 if"))
        assert {row["function"] for row in edited.invalidations} >= {"use"}
        assert shell.run(CALL).said == ["int 240 | int 241"]
        # the first one calls, as Python says, what has its name now
        assert shell.run("say(first(5))").said == ["int 240"]


def test_functions_that_call_each_other_are_found_again(nurseries: Nurseries) -> None:
    """The one that is compiled inside the other links what the other calls, under no name of its own."""
    helper = "@njit\ndef helper(x):\n    return x + 0.5"
    pair = (
        "@njit\ndef one(x, n):\n    return helper(x) if n < 1 else other(x, n - 1)\n"
        "@njit\ndef other(x, n):\n    return x if n < 1 else one(x, n - 1)"
    )
    with nurseries.shell("aotnb") as shell:
        for cell in (PRELUDE, pair):
            shell.run(cell)
        assert shell.run(f"{helper}\nsay(one(1.0, 2))").said == ["float 1.5"]
        shell.run(helper)
        again = shell.run("say(one(1.0, 2), other(1.0, 2))")
        assert (again.said, again.compilations) == (["float 1.5 | float 1.0"], 0)
        shell.run(helper.replace("0.5", "0.25"))
        assert shell.run("say(one(1.0, 2), other(1.0, 1))").said == ["float 1.25 | float 1.25"]
