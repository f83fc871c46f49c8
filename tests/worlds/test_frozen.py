"""Installed libraries that bind the same names anew for each thing they compile, and count on what explicit signatures freeze."""

from __future__ import annotations

from pathlib import Path

from editing import PRELUDE
from shells import Nurseries

LIBRARY = '''
import numpy as np
from numba import njit, vectorize

def make(size):
    """Return a product and a sum of products over the table of one field, as galois does."""
    global TABLE, TIMES
    TABLE = np.arange(size) * 7 % size
    TIMES = vectorize(["int64(int64, int64)"])(times)
    return TIMES, njit("int64(int64[:], int64[:])")(total)

def times(a, b):
    return TABLE[a] + TABLE[b]

def total(a, b):
    found = 0
    for i in range(a.size):
        found += TIMES(a[i], b[i])
    return found
'''
CALLS = """
first_times, first_total = lib.make(11)
a = np.arange(3)
before = first_times(a, 2), first_total(a, a)
second_times, second_total = lib.make(5)
"""
SAY = "say(before, first_times(a, 2), first_total(a, a), second_times(a, 2), second_total(a, a))"


def test_what_a_library_froze_stays_and_is_saved(nurseries: Nurseries, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "lib.py").write_text(LIBRARY)
    start = f"{PRELUDE}\nimport sys\nsys.path.insert(0, {str(site)!r})\nimport lib"
    with nurseries.shell("plain", tmp_path) as shell:
        right = [shell.run(cell) for cell in (start, CALLS, SAY)][-1]
        assert right.error is None
    with nurseries.shell("aotnb", tmp_path) as shell:
        answers = [shell.run(cell) for cell in (start, CALLS, SAY, SAY)]
        assert [answer.said for answer in answers[2:]] == [right.said] * 2
        assert [answer.invalidations for answer in answers] == [[]] * 4
        assert shell.run("import aotnb\nsay(len(aotnb.save('image.aot').dropped))").said == ["int 0"]
    with nurseries.shell("aotnb", tmp_path) as shell:
        answers = [shell.run(cell) for cell in ("%load_ext aotnb", "%aot_load -q image.aot", start, CALLS, SAY)]
        assert (answers[-1].said, sum(answer.compilations for answer in answers)) == (right.said, 0)


def test_a_notebook_hears_of_every_change_of_its_own(nurseries: Nurseries) -> None:
    with nurseries.shell("aotnb") as shell:
        shell.run(f"{PRELUDE}\nK = 1\n@njit('int64(int64)')\ndef f(x):\n    return x + K")
        assert shell.run("say(f(1))").said == ["int 2"]
        shell.run("K = 10")
        assert shell.run("say(f(1))").said == ["int 11"]
