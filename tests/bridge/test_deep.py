"""What code reads that runs inside the compiler: whatever its names lead to tells two such functions apart."""

from __future__ import annotations

import sys
from textwrap import dedent
from types import ModuleType

import pytest

from aotnb.bridge.deep import function_digest
from aotnb.errors import NotRelocatable

SETTINGS = "aotnb_test_settings"

# (source with {}, two texts for it)
STATES = {
    "dictionary": ("table = {{'a': {}}}\ndef f(): return table['a']", "1", "2"),
    "list": ("table = [{}]\ndef f(): return table[0]", "1", "2"),
    "set": ("table = {{1, {}}}\ndef f(): return 2 in table", "2", "3"),
    "tuple of lists": ("table = ([{}],)\ndef f(): return table[0]", "1", "2"),
    "mapping proxy": ("import types\ntable = types.MappingProxyType({{'a': {}}})\ndef f(): return table['a']", "1", "2"),
    "namespace": ("import types\nconfig = types.SimpleNamespace(k={})\ndef f(): return config.k", "1", "2"),
    "fraction": ("import fractions\nk = fractions.Fraction({}, 3)\ndef f(): return k", "1", "2"),
    "pattern": ("import re\nk = re.compile('{}')\ndef f(): return k", "1", "2"),
    "partial": ("import functools\ndef g(a): return a\nh = functools.partial(g, {})\ndef f(): return h()", "1", "2"),
    "cached function": ("import functools\n@functools.lru_cache\ndef g(): return {}\ndef f(): return g()", "1", "2"),
    "bound builtin": ("get = {{'a': {}}}.get\ndef f(): return get('a')", "1", "2"),
    "array of objects": ("import numpy as np\nk = np.array([{}, None], dtype=object)\ndef f(): return k[0]", "1", "2"),
    "limits of a dtype": ("import numpy as np\nk = np.iinfo({})\ndef f(): return k.bits", "np.int8", "np.int16"),
    "type of LLVM": ("from llvmlite import ir\nt = ir.IntType({})\ndef f(): return t", "8", "16"),
    "attribute of an object": ("class C: pass\nk = C()\nk.x = {}\ndef f(): return k.x", "1", "2"),
    "attribute of a class": ("class C:\n    k = {}\ndef f(): return C.k", "1", "2"),
    "attribute of a base class": ("class B:\n    k = {}\nclass C(B): pass\ndef f(): return C.k", "1", "2"),
    "attribute by its text": ("class C:\n    k = {}\ndef f(): return getattr(C, 'k')", "1", "2"),
    "attribute of a function": ("def g(): pass\ng.k = {}\ndef f(): return g.k", "1", "2"),
    "second attribute of a module": (
        f"import {SETTINGS} as s\ns.a, s.b = 1, {{}}\ndef g(): return s.a\ndef f(): return g() + s.b",
        "1",
        "2",
    ),
    "module imported inside": (
        f"import {SETTINGS} as s\ns.b = {{}}\ndef f():\n    from {SETTINGS} import b\n    return b",
        "1",
        "2",
    ),
    "function under another's name": (
        "import functools, numpy as np\nk = {}\n@functools.wraps(np.sum)\ndef g(): return k\ndef f(): return g()",
        "1",
        "2",
    ),
}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, SETTINGS, ModuleType(SETTINGS))


def digest_in(source: str) -> str:
    namespace = {"__name__": "aotnb_test_user"}
    exec(dedent(source), namespace)
    return function_digest(namespace["f"])


@pytest.mark.parametrize(("source", "old", "new"), STATES.values(), ids=STATES)
def test_state_counts(source: str, old: str, new: str) -> None:
    assert digest_in(source.format(old)) == digest_in(source.format(old))
    assert digest_in(source.format(old)) != digest_in(source.format(new))


@pytest.mark.parametrize(
    "source",
    [
        "import threading\nk = threading.local()\ndef f(): return k.x",
        "k = (i for i in (1, 2))\ndef f(): return next(k)",
    ],
    ids=["of a thread", "generator"],
)
def test_state_that_cannot_be_described_is_refused(source: str) -> None:
    with pytest.raises(NotRelocatable):
        digest_in(source)


def test_a_container_may_hold_itself_and_a_lock_says_nothing() -> None:
    source = "import threading\nlock = threading.Lock()\ntable = {}\ntable['me'] = table\ndef f():\n    with lock: return table"
    assert digest_in(source) == digest_in(source)
