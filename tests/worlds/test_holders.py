"""One compiled code behind several dispatchers, or in an image both by itself and as a part of other code: all of them hear of a change."""

from __future__ import annotations

from pathlib import Path

from editing import PRELUDE
from shells import Nurseries


def test_two_dispatchers_of_one_function(nurseries: Nurseries) -> None:
    with nurseries.shell("aotnb") as shell:
        shell.run(PRELUDE)
        shell.run("K = 1\ndef f(x):\n    return x + K\na, b = njit(f), njit(f)")
        first = shell.run("say(a(1), b(1))")
        assert (first.said, first.compilations) == (["int 2 | int 2"], 1)
        edited = shell.run("K = 10")
        assert len(edited.invalidations) == 2
        assert shell.run("say(a(1), b(1))").said == ["int 11 | int 11"]


def test_code_of_an_image_that_is_first_a_part_and_then_asked_for_itself(nurseries: Nurseries, tmp_path: Path) -> None:
    image = tmp_path / "parts.aot"
    functions = "\nG = 19\n@njit\ndef g(x):\n    return x + G\n@njit\ndef f(x):\n    return g(x) + 1\n"
    with nurseries.shell("aotnb", tmp_path) as shell:
        shell.run(PRELUDE + functions)
        shell.run("say(f(1.0), g(1.0))")
        assert shell.run(f"%aot_save -q {image}").error is None
    with nurseries.shell("aotnb", tmp_path) as shell:
        shell.run(PRELUDE + functions + "@njit\ndef new(x):\n    return g(x) + 2")
        assert shell.run(f"%aot_load -q {image}").error is None
        served = shell.run("say(f(1.0))")  # brings g along
        assert (served.said, served.compilations) == (["float 21.0"], 0)
        assert shell.run("say(new(1.0))").said == ["float 22.0"]  # asks the image for g itself
        shell.run("G = 100")
        assert shell.run("say(new(1.0), g(1.0), f(1.0))").said == ["float 103.0 | float 101.0 | float 102.0"]
