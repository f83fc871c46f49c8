"""The roots table: a reference (key, index) means one object, whatever else was compiled, in whatever order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aotnb.core import roots
from aotnb.core.roots import RootReference, RootsTable, UnresolvedRoot

KEYS = st.sampled_from(["A", "B", "C"])
TREES = st.builds(lambda number: ["int", str(number)], st.integers(0, 12))
ADDITIONS = st.lists(st.tuples(TREES, KEYS), max_size=60)


def filled(additions: list[tuple[Any, str]]) -> tuple[RootsTable, list[RootReference]]:
    table = RootsTable()
    return table, [table.add(tree, key)[0] for tree, key in additions]


# ---- append-only ----------------------------------------------------------------------------------------------------


@given(ADDITIONS, ADDITIONS)
def test_a_reference_never_changes_its_meaning(before: list[tuple[Any, str]], after: list[tuple[Any, str]]) -> None:
    table, references = filled(before)
    meant = [table.resolve(reference) for reference in references]
    assert meant == [tree for tree, _ in before]
    for tree, key in after:
        table.add(tree, key)
    assert [table.resolve(reference) for reference in references] == meant


@given(ADDITIONS)
def test_the_table_only_grows_and_keeps_each_content_once(additions: list[tuple[Any, str]]) -> None:
    table = RootsTable()
    for tree, key in additions:
        before = list(table)
        reference, new = table.add(tree, key)
        assert new == (tree not in before)
        assert list(table) == [*before, tree] if new else list(table) == before
        assert table.add(tree, key) == (reference, False)


@given(ADDITIONS)
def test_known_content_keeps_its_first_owner(additions: list[tuple[Any, str]]) -> None:
    _, references = filled(additions)
    first: dict[str, str] = {}
    for (tree, key), reference in zip(additions, references, strict=True):
        assert reference.key == first.setdefault(tree[1], key)


@pytest.mark.parametrize(
    ("one", "other"),
    [(["int", "1"], ["float", "1.0"]), (["int", "1"], ["bool", "True"]), (["float", "0.0"], ["float", "-0.0"])],
    ids=["int or float", "int or bool", "sign of zero"],
)
def test_roots_that_compile_differently_are_different_roots(one: Any, other: Any) -> None:
    table = RootsTable()
    assert table.add(one, "A")[0] != table.add(other, "A")[0]
    assert list(table) == [one, other]


# ---- blocks ---------------------------------------------------------------------------------------------------------


def test_julias_example_of_interleaved_packages() -> None:
    """PkgA adds roots to ``push!`` before *and* after PkgB is loaded, which adds some as well: no group gets mixed."""
    table = RootsTable()
    a0, a1 = table.append("A first", "PkgA"), table.append("A second", "PkgA")
    b0, b1 = table.append("B first", "PkgB"), table.append("B second", "PkgB")
    a2 = table.append("A third", "PkgA")
    assert table.blocks() == [("PkgA", 0), ("PkgB", 2), ("PkgA", 4)]
    assert [a0.index, a1.index, a2.index, b0.index, b1.index] == [0, 1, 2, 0, 1]
    assert table.owned("PkgA") == ["A first", "A second", "A third"]
    assert table.owned("PkgB") == ["B first", "B second"]
    assert table.owned("PkgC") == []


@given(ADDITIONS)
def test_blocks_are_runs_of_one_key(additions: list[tuple[Any, str]]) -> None:
    table = RootsTable()
    for tree, key in additions:
        table.append(tree, key)
    blocks = table.blocks()
    assert all(one[0] != after[0] and one[1] < after[1] for one, after in pairwise(blocks))
    ends = [start for _, start in blocks[1:]] + [len(table)][: len(blocks)]
    spelled_out = [key for (key, start), end in zip(blocks, ends, strict=True) for _ in range(start, end)]
    assert spelled_out == [key for _, key in additions]


@given(ADDITIONS)
def test_the_index_counts_within_its_key_across_blocks(additions: list[tuple[Any, str]]) -> None:
    table = RootsTable()
    references = [table.append(tree, key) for tree, key in additions]
    for key in "ABC":
        own = [tree for tree, owner in additions if owner == key]
        assert [reference.index for reference in references if reference.key == key] == list(range(len(own)))
        assert (table.owned(key), table.count(key)) == (own, len(own))
    assert [table.reference(position) for position in range(len(table))] == references
    assert [table.resolve(reference) for reference in references] == list(table)


@given(st.lists(TREES, unique_by=str), st.randoms(use_true_random=False), ADDITIONS)
def test_what_others_add_and_when_does_not_change_a_reference(
    trees: list[Any], random: Any, others: list[tuple[Any, str]]
) -> None:
    alone, mixed = RootsTable(), RootsTable()
    expected = [alone.append(tree, "mine") for tree in trees]
    found = []
    for tree in trees:
        for other, key in random.sample(others, min(2, len(others))):
            mixed.append(other, key)
        found.append(mixed.append(tree, "mine"))
    assert found == expected
    assert alone.owned("mine") == mixed.owned("mine")


@given(st.lists(TREES, unique_by=str), st.randoms(use_true_random=False))
def test_the_same_set_in_any_order_resolves_to_equal_objects(trees: list[Any], random: Any) -> None:
    shuffled = random.sample(trees, len(trees))
    one, _ = filled([(tree, "A") for tree in trees])
    other, _ = filled([(tree, "A") for tree in shuffled])
    for tree in trees:
        assert one.resolve(one.add(tree, "later")[0]) == other.resolve(other.add(tree, "later")[0]) == tree
    assert len(one) == len(other) == len(trees)


# ---- references that lead nowhere -----------------------------------------------------------------------------------


@given(ADDITIONS, st.sampled_from(["A", "B", "C", "unknown"]), st.integers())
def test_a_reference_is_satisfied_by_its_own_root_or_refused(additions: list[tuple[Any, str]], key: str, index: int) -> None:
    table, _ = filled(additions)
    if 0 <= index < table.count(key):
        assert table.resolve(RootReference(key, index)) == table.owned(key)[index]
    else:
        with pytest.raises(UnresolvedRoot, match=f"no root {index} of owner {key}"):
            table.resolve(RootReference(key, index))


@pytest.mark.parametrize("position", [-1, 2, 10**9])
def test_a_position_outside_of_the_table_is_refused(position: int) -> None:
    table, _ = filled([("x", "A"), ("y", "B")])
    with pytest.raises(UnresolvedRoot, match="the table holds 2"):
        table.reference(position)


# ---- cost -----------------------------------------------------------------------------------------------------------


def instructions(work: Callable[[], object]) -> int:
    """Count the instructions of the roots module that *work* executes: the same on a busy machine."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != roots.__file__:
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(previous)
    return count


def test_insertions_are_linear() -> None:
    """Owners alternate, which is the worst case for blocks; every tenth root is known already."""

    def insert(table: RootsTable, start: int, count: int) -> None:
        for number in range(start, start + count):
            table.add(["int", str(number - number % 10 // 9)], "AB"[number % 2])

    table = RootsTable()
    first = instructions(lambda: insert(table, 0, 1000))
    insert(table, 1000, 18_000)
    last = instructions(lambda: insert(table, 19_000, 1000))
    assert len(table) == 18_000
    assert last <= first * 1.01


def test_reading_back_is_linear() -> None:
    def read(count: int) -> int:
        table, references = filled([(["int", str(number)], "AB"[number % 2]) for number in range(count)])
        return instructions(lambda: [table.resolve(reference) for reference in references])

    assert read(400) <= read(200) * 2.2
