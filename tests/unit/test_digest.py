"""Digests of code: what a function does counts, where and how it is written down does not."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from textwrap import dedent
from types import CodeType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aotnb.core.digest import canonical, code_tree, constant_tree, digest, digest_bytes, line_at, line_index, nested_names


def function_code(source: str, filename: str = "<cell>") -> CodeType:
    """Return the code object of the only function in *source*."""
    module = compile(dedent(source), filename, "exec")
    (code,) = [const for const in module.co_consts if isinstance(const, CodeType)]
    return code


BASE = """
def f(x, limit=3):
    def inner(y):
        return y + limit
    if x > limit:
        raise ValueError("too large")
    return inner(x) * 1.5
"""


def digest_of(source: str, filename: str = "<cell>") -> str:
    return digest(code_tree(function_code(source, filename)))


# ---- what does not matter -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "\n\n\n" + BASE,
        BASE.replace("    if x", "\n\n    if x"),
        BASE.replace("    if x", "    # a comment\n    if x"),
        BASE.replace("x > limit:", "x > limit:  # at the end of a line"),
        BASE.replace("inner(x) * 1.5", "(\n        inner(x)\n        * 1.5\n    )"),
        BASE.replace("y + limit", "y  +  limit"),
        BASE.replace("limit=3", "limit=4"),  # defaults belong to the function, not to its code
        BASE.replace("(x, limit", "(x: int, limit: int"),
    ],
    ids=["moved", "blank lines", "comment", "comment at the end", "line breaks", "spaces", "default", "annotations"],
)
def test_the_way_it_is_written_does_not_matter(source: str) -> None:
    assert digest_of(source) == digest_of(BASE)


def test_the_file_name_does_not_matter() -> None:
    assert digest_of(BASE, "/tmp/ipykernel_1/2.py") == digest_of(BASE, "/tmp/ipykernel_3/4.py")


# ---- what matters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.5", "2.5"),
        ("1.5", "2"),
        ("y + limit", "y - limit"),
        ('"too large"', '"too big"'),
        ("ValueError", "TypeError"),
        ("x > limit", "x >= limit"),
        ("f(x, limit=3)", "f(x, *, limit=3)"),
        ("f(x, limit=3)", "f(x, /, limit=3)"),
        ("f(x, limit=3)", "f(x, limit=3, *rest)"),
        ("inner(x)", "inner(limit)"),
    ],
)
def test_every_change_of_the_code_matters(old: str, new: str) -> None:
    assert digest_of(BASE.replace(old, new)) != digest_of(BASE)


def test_the_range_of_a_try_matters() -> None:
    """Exception tables are part of the code; the instructions alone may be the same."""
    narrow = "def f(x):\n    try:\n        g(x)\n    except E:\n        return 1\n    h(x)\n"
    wide = "def f(x):\n    try:\n        g(x)\n        h(x)\n    except E:\n        return 1\n"
    assert digest_of(narrow) != digest_of(wide)


CONSTANTS = [
    "1",
    "1.0",
    "True",
    "(1,)",
    "(1.0,)",
    "(True,)",
    "0.0",
    "-0.0",
    "0j",
    "-0j",
    "complex(0.0, -0.0)",
    "'1'",
    "b'1'",
    "None",
    "...",
    "()",
]
CONSTANTS += [
    "frozenset()",
    "frozenset({1})",
    "frozenset({1.0})",
    "float('nan')",
    "float('inf')",
    "('a', 'b')",
    "(('a',), 'b')",
    "'a'",
    "('a',)",
]


def test_constants_that_compare_equal_are_told_apart() -> None:
    values = {text: eval(text) for text in CONSTANTS}
    # -0j is complex(-0.0, -0.0); it stays its own value through repr
    found = {canonical(constant_tree(value)) for value in values.values()}
    assert len(found) == len(values)


def test_a_constant_of_another_type_is_an_error() -> None:
    with pytest.raises(TypeError, match="type list"):
        constant_tree([1])


SCRIPT = """
from aotnb.core.digest import code_tree, digest
def f(x):
    return x in {"alpha", "beta", "gamma", "delta", 1, 2.5, None, ("a", "b"), b"c", True}
print(digest(code_tree(f.__code__)), list(f.__code__.co_consts[-1]) if f.__code__.co_consts else "")
"""


def test_the_hash_seed_does_not_matter() -> None:
    """The order of a frozenset differs between processes, as the second word printed shows; its digest does not."""
    runs = []
    for seed in ("0", "1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        runs.append(done.stdout.strip().partition(" "))
    assert len({order for _, _, order in runs}) > 1, "the seeds do not reorder the set, so this proves nothing"
    assert len({found for found, _, _ in runs}) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_one_tree_has_one_text(tree: Any) -> None:
    text = canonical(tree)
    assert text.isascii()
    assert canonical(ast.literal_eval(repr(tree))) == text
    if isinstance(tree, dict):
        assert canonical(dict(reversed(tree.items()))) == text


@given(JSON)
def test_the_text_tells_all_of_the_tree(tree: Any) -> None:
    assert json.loads(canonical(tree)) == tree


def test_digests_of_bytes() -> None:
    assert digest_bytes(b"abc") == digest_bytes(memoryview(b"xabc")[1:]) != digest_bytes(b"abd")
    assert len(digest_bytes(b"")) == len(digest(None)) == 32


def test_names_of_nested_functions_are_found() -> None:
    code = function_code("def f(x):\n    return [g(y.attr) for y in h(lambda: CONST)]\n")
    assert nested_names(code) == {"g", "attr", "h", "CONST"}


# ---- lines ----------------------------------------------------------------------------------------------------------


def lines_of(code: CodeType) -> set[int]:
    lines = {line for _, _, line in code.co_lines() if line is not None}
    return lines.union(*[lines_of(const) for const in code.co_consts if isinstance(const, CodeType)])


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_line_is_found_again_after_blank_lines_were_added(blanks: list[int]) -> None:
    """Exceptions remember the position of their line among the lines of the function, so moves do not invalidate code."""
    before = BASE.strip().splitlines()
    after = [line for count, text in zip(blanks, before, strict=True) for line in [""] * count + [text]]
    old, new = function_code("\n".join(before)), function_code("\n".join(after))
    for line in lines_of(old):
        moved = line_at(new, line_index(old, line))
        assert after[moved - 1] == before[line - 1]


@given(st.integers(0, 200))
def test_line_at_inverts_line_index(offset: int) -> None:
    code = function_code("\n" * offset + BASE)
    for line in lines_of(code):
        assert line_at(code, line_index(code, line)) == line


def test_lines_outside_of_the_code_are_clamped() -> None:
    code = function_code(BASE)
    first, last = min(lines_of(code)), max(lines_of(code))
    assert line_at(code, line_index(code, first - 1)) == first
    assert line_at(code, line_index(code, last + 5)) == last
    assert line_at(code, 10**6) == last
