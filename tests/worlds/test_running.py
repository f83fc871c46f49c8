"""Code that runs while it is redefined, other threads, the off switch, and the extension taken out and put in again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from editing import PRELUDE
from shells import Nurseries, Shell


@pytest.fixture
def shell(nurseries: Nurseries) -> Iterator[Shell]:
    with nurseries.shell("aotnb") as shell:
        shell.run(PRELUDE)
        yield shell


def said(shell: Shell, cell: str) -> list[str]:
    answer = shell.run(cell)
    assert answer.error is None, answer.printed
    return answer.said


WAITING = """
import ctypes, threading, time
pause = ctypes.CDLL(None).usleep  # the compiler cannot know what it does to the flags
pause.argtypes, pause.restype = [ctypes.c_uint], ctypes.c_int
@njit
def g(x):
    return x + 1
@njit(nogil=True)
def f(x, flag):
    while flag[0] == 0:
        flag[1] = 1
        pause(100)
    return g(x)
f(10, np.array([1, 0]))
flag, results = np.zeros(2, np.int64), []
def start(*args):
    thread = threading.Thread(target=lambda: results.append(f(*args)))
    thread.start()
    return thread
"""


def test_a_running_call_finishes_in_its_old_world(shell: Shell) -> None:
    said(shell, WAITING)
    said(shell, "thread = start(10, flag)\nwhile flag[1] == 0:\n    time.sleep(0.001)")
    said(shell, "@njit\ndef g(x):\n    return x + 100")
    assert said(shell, "say(f(10, np.array([1, 0])))") == ["int 110"]
    assert said(shell, "flag[0] = 1\nthread.join()\nsay(results)") == ["[int 11]"]


def test_threads_that_call_all_the_time_see_the_old_answer_or_the_new_one(shell: Shell) -> None:
    """No call fails, and no call that begins after the cell that edits gives an older answer. Answers only grow."""
    said(
        shell,
        """
import threading, time
K = 0
@njit
def g(x):
    return x + K
@njit
def f(x):
    return g(x) * 2
f(1)
stop, seen, errors, settled = threading.Event(), set(), [], 0
def work():
    while not stop.is_set():
        begun = settled
        try:
            seen.add((begun, f(1)))
        except BaseException as error:
            errors.append(repr(error))
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
""",
    )
    right, added = {0: 2}, 0
    for value in range(1, 13):
        if value % 3 == 0:
            added = 1000 * value
            said(shell, f"@njit\ndef g(x):\n    return x + K + {added}")
            right[value] = (1 + value - 1 + added) * 2
        else:
            said(shell, f"K = {value}")
            right[value] = (1 + value + added) * 2
        assert said(shell, f"settled = {value}\nsay(f(1))\ntime.sleep(0.02)") == [f"int {right[value]}"]
    found = said(shell, "stop.set()\nfor thread in threads:\n    thread.join()\nsay(len(errors), errors[:1])\nsay(sorted(seen))")
    assert found[0] == "int 0 | []"
    pairs = eval(found[1].replace("int ", ""))
    assert {begun for begun, _ in pairs} == set(right)
    assert [(begun, value) for begun, value in pairs if value < right[begun] or value not in right.values()] == []


def test_two_threads_recompile_one_function_once(shell: Shell) -> None:
    said(shell, "import threading\nK = 1\n@njit\ndef f(x):\n    return x + K\nf(1)")
    said(shell, "K = 2")
    answer = shell.run(
        "results = []\nthreads = [threading.Thread(target=lambda: results.append(f(1))) for _ in range(8)]\n"
        "for thread in threads:\n    thread.start()\nfor thread in threads:\n    thread.join()\nsay(results)"
    )
    assert answer.said == ["[" + ", ".join(["int 3"] * 8) + "]"]
    assert answer.functions == ["f"]


def test_old_code_that_somebody_holds_stays_callable(shell: Shell) -> None:
    """The old entry point is memory that must not go away: generators, first-class functions and futures hold it."""
    said(
        shell,
        "K = 1\n@njit\ndef gen(n):\n    for i in range(n):\n        yield i + K\nrunning = gen(5)\nsay(next(running))",
    )
    said(shell, "K = 100")
    assert said(shell, "import gc\ngc.collect()\nsay(list(running))\nsay(list(gen(3)))") == [
        "[int 2, int 3, int 4, int 5]",
        "[int 100, int 101, int 102]",
    ]


def test_unloading_leaves_numba_as_it_was(shell: Shell) -> None:
    said(shell, "K = 1\n@njit\ndef f(x):\n    return x + K\nsay(f(1))")
    said(shell, "%unload_ext aotnb")
    assert said(shell, "K = 2\nsay(f(1))") == ["int 2"]  # plain Numba again: frozen
    said(shell, "%load_ext aotnb")
    said(shell, "@njit\ndef h(x):\n    return x + K\nsay(h(1))")
    assert said(shell, "K = 5\nsay(h(1))\nsay(K)") == ["int 6", "int 5"]


def test_recursion_is_edited_while_it_runs(shell: Shell) -> None:
    """A cell run from a callback in object mode edits a function that is on the stack."""
    said(
        shell,
        """
from numba import objmode
K = 1
def edit():
    get_ipython().run_cell("K = 50")
@njit
def g(x):
    return x + K
@njit
def f(x):
    a = g(x)
    with objmode():
        edit()
    return a, g(x)
""",
    )
    assert said(shell, "say(f(10))") == ["(int 11, int 11)"]  # the running call stays in its world
    assert said(shell, "say(f(10), g(10))") == ["(int 60, int 60) | int 60"]
