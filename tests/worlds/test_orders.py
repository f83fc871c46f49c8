"""Real functions in real images: the order of compiling, saving and loading changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import permutations
from pathlib import Path

from editing import PRELUDE
from shells import Nurseries, Shell

# Each of them keeps objects of its own beside its code: exceptions, dtypes, strings, a closure cell, a circle.
CELLS = {
    "shared": "@njit\ndef shared(x):\n    if x > 100:\n        raise ValueError('too large')\n    return x + 1",
    "a": "@njit\ndef a(x):\n    if x < 0:\n        raise KeyError('a', 1)\n    return shared(x), 'a' * x",
    "b": "@njit\ndef b(x):\n    if x < 0:\n        raise KeyError('b', 2)\n    return np.full(2, shared(x), np.float32)",
    "c": "def make(k):\n    @njit\n    def c(x):\n        return shared(x) + k, np.zeros(1, np.int8)\n    return c\nc = make(7)",
    "ping": "@njit\ndef ping(n):\n    if n <= 0:\n        return 0\n    return pong(n - 1) + 1",
    "pong": "@njit\ndef pong(n):\n    if n <= 0:\n        return 0\n    return ping(n - 1) + 10",
}
CALLS = {name: f"say({name}(3))" for name in CELLS}
CALLS["a"] = (
    "say(a(3))\ntry:\n    a(-1)\nexcept KeyError as error:\n    say(error.args)\ntry:\n    a(101)\nexcept ValueError as e:\n    say(e.args)"
)
CALLS["b"] = "say(b(3))\ntry:\n    b(-1)\nexcept KeyError as error:\n    say(error.args)"


def notebook(nurseries: Nurseries, folder: Path) -> Shell:
    """Return a shell in which everything is defined and nothing compiled."""
    shell = nurseries.shell("aotnb", folder)
    for cell in (PRELUDE, *CELLS.values()):
        assert shell.run(cell).error is None
    return shell


def call(shell: Shell, names: Iterable[str]) -> tuple[dict[str, list[str]], int]:
    """Call functions in this order; return what each said, and how many compilations it took."""
    said, compilations = {}, 0
    for name in names:
        answer = shell.run(CALLS[name])
        assert answer.error is None, answer.printed
        said[name], compilations = answer.said, compilations + answer.compilations
    return said, compilations


def save(
    nurseries: Nurseries, folder: Path, order: Sequence[str], image: Path, load: Sequence[Path] = ()
) -> dict[str, list[str]]:
    with notebook(nurseries, folder) as shell:
        for path in load:
            assert shell.run(f"%aot_load -q {path}").error is None
        said, _ = call(shell, order)
        saved = shell.run(f"%aot_save -q {image}")
        assert saved.error is None, saved.printed
    return said


def test_every_order_of_compiling_gives_the_same_image(nurseries: Nurseries, tmp_path: Path) -> None:
    digests, answers = {}, []
    for order in permutations(("a", "b", "c")):
        image = tmp_path / f"{'-'.join(order)}.aot"
        answers.append(save(nurseries, tmp_path / "maker", order, image))
        digests[order] = hashlib.sha256(image.read_bytes()).hexdigest()[:8]
    assert all(said == answers[0] for said in answers)
    assert len(set(digests.values())) == 1, digests


def test_images_of_several_sessions_in_every_order(nurseries: Nurseries, tmp_path: Path) -> None:
    """Three images that share functions, into a kernel with code of its own: no compilation, and the same answers."""
    wanted = save(nurseries, tmp_path / "p", ["a", "shared"], tmp_path / "p.aot")
    wanted |= save(nurseries, tmp_path / "q", ["b", "a"], tmp_path / "q.aot")
    wanted |= save(nurseries, tmp_path / "r", ["ping", "c", "b"], tmp_path / "r.aot", load=[tmp_path / "q.aot"])
    for number, order in enumerate(permutations(["p.aot", "q.aot", "r.aot"])):
        with notebook(nurseries, tmp_path / f"user{number}") as shell:
            own, _ = call(shell, ["pong"] if number % 2 else ["shared"])  # roots of its own, before
            for image in order:
                assert shell.run(f"%aot_load -q {tmp_path / image}").error is None
            names = sorted(set(wanted) - set(own))
            said, compilations = call(shell, names if number < 3 else reversed(names))
            assert said == {name: wanted[name] for name in names}, order
            assert compilations == 0, order


def test_a_merge_of_merges(nurseries: Nurseries, tmp_path: Path) -> None:
    """Saving what was loaded gives images that say the same, in whatever order they were merged."""
    wanted = save(nurseries, tmp_path / "p", ["a"], tmp_path / "p.aot")
    wanted |= save(nurseries, tmp_path / "q", ["b", "c"], tmp_path / "q.aot")
    for number, order in enumerate(permutations(["p.aot", "q.aot"])):
        merged = tmp_path / f"merged{number}.aot"
        save(nurseries, tmp_path / f"merger{number}", ["ping", *wanted], merged, load=[tmp_path / image for image in order])
        with notebook(nurseries, tmp_path / f"user{number}") as shell:
            assert shell.run(f"%aot_load -q {merged}").error is None
            said, compilations = call(shell, ["ping"])
            assert (said["ping"], compilations) == (["int 12"], 0)
            loaded = shell.run(f"%aot_load -q {tmp_path / 'p.aot'}\n%aot_load -q {tmp_path / 'q.aot'}")
            assert loaded.error is None
            assert call(shell, wanted) == (wanted, 0)


def test_code_compiled_later_calls_into_a_circle_of_an_image(nurseries: Nurseries, tmp_path: Path) -> None:
    """A literal argument makes Numba compile one end anew; it finds the other end served."""
    caller = "@njit\ndef caller(x):\n    return ping(2) * x"
    for first in ("ping", "pong"):
        save(nurseries, tmp_path / first, [first], tmp_path / f"{first}.aot")
        for before in ("", "ping", "pong"):
            with notebook(nurseries, tmp_path / f"{first}-{before}") as shell:
                assert shell.run(f"%aot_load -q {tmp_path / first}.aot").error is None
                call(shell, filter(None, [before]))
                answer = shell.run(f"{caller}\nsay(caller(3))")
                assert (answer.error, answer.said) == (None, ["int 33"]), (first, before)
