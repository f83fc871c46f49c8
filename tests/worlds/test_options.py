"""One overload function registered twice with other options: equal functions that use it are two."""

from __future__ import annotations

from pathlib import Path

from editing import PRELUDE
from shells import Nurseries

MAKE = """
from numba.extending import overload
def make(strict):
    def own(a, kw=None):
        pass
    overload(own, strict=strict)(types_it)
    @njit
    def foo(a):
        return own(a, kw=11)
    return foo
def types_it(a, **kws):
    def impl(a, kw=10):
        return a
    return impl
"""


def test_what_fails_with_an_option_is_not_given_the_code_of_the_other(nurseries: Nurseries, tmp_path: Path) -> None:
    for load in ("", "%load_ext aotnb\n%aot_load -q image.aot"):
        with nurseries.shell("aotnb", tmp_path) as shell:
            shell.run(load)
            shell.run(PRELUDE + MAKE)
            assert shell.run("say(make(False)(1))").said == ["int 1"]
            failed = shell.run("say(make(True)(1))")
            assert failed.error is not None and failed.error[0] == "TypingError"
            if not load:
                assert shell.run("%aot_save -q image.aot").error is None
