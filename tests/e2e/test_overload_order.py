"""Extensions that register themselves early or late: before Numba has loaded its own implementations for arrays, or after."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness import clean_environment

EXTENSION = """
import operator
from numba.core import types
from numba.extending import overload

class Own(types.Opaque):
    pass

@overload(operator.add)
def ol_add(a, b):
    if {claim}:
        return lambda a, b: "own"

for function in (operator.eq, len):
    @overload(function)
    def ol_own(a, *rest):
        if isinstance(a, Own):
            return lambda a, *rest: 1
"""
PROGRAM = """
import json, sys, aotnb, aotnb.session
import numpy as np
from numba import njit
early, image = sys.argv[1:]
if image:
    aotnb.load(image)
else:
    aotnb.activate()
if early == "early":
    import extension
@njit("int64(int64)")
def eager(x):
    return x
if early == "late":
    import extension
@njit
def f(a):
    return (a + a)[0] + len(a) + (a[0] == 2)
@njit
def g(text):
    return text + text
said = [float(f(np.arange(1.0, 3.0))), g("x")]
if not image:
    aotnb.save("image.aot")
print(json.dumps([said, [m.reason for m in aotnb.misses()], [c.function for c in aotnb.session.compiled() if c.called]]))
"""


def run(folder: Path, when: str, image: str = "", claim: str = "isinstance(a, Own)") -> list[list[object]]:
    """Run the program; return what it said, the reasons of its misses, and what was compiled."""
    (folder / "extension.py").write_text(EXTENSION.format(claim=claim))
    (folder / "program.py").write_text(PROGRAM)
    command = [sys.executable, "program.py", when, image]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(folder), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[list[object]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("recorded", ["early", "late"])
def test_an_extension_that_declined_may_come_at_any_time_or_not_at_all(tmp_path: Path, recorded: str) -> None:
    said, _, compiled = run(tmp_path, recorded)
    assert said == [4.0, "xx"]
    assert compiled == ["eager", "f", "g"]
    for when in ("early", "late", "never"):
        assert run(tmp_path, when, "image.aot") == [said, [], []], when


def test_an_extension_that_claims_what_numba_has_counts_where_it_is_asked_first(tmp_path: Path) -> None:
    claim = "a == b == types.unicode_type"
    assert run(tmp_path, "never")[0] == [4.0, "xx"]
    said, reasons, compiled = run(tmp_path, "early", "image.aot", claim)
    assert said == [4.0, "own"]
    assert set(reasons) == {"overload_changed"}
    assert "g" in compiled
    said, _, compiled = run(tmp_path, "early", claim=claim)  # recorded anew
    assert (said, compiled) == ([4.0, "own"], ["eager", "f", "g"])
    assert run(tmp_path, "early", "image.aot", claim) == [said, [], []]
    assert run(tmp_path, "never", "image.aot", claim)[0] == [4.0, "xx"]
