"""The statement that started it: whatever the order of compiling, saving and merging, each function finds its own objects.

A *specialization* here is a list of roots. Compiling it in a session turns the list into references; saving an image
takes the roots that the image owns, and translates the references; loading it appends those roots in a block of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aotnb.core.roots import RootReference, RootsTable, UnresolvedRoot

ROOTS = st.builds(lambda number: ["int", str(number)], st.integers(0, 9))
SPECIALIZATION = st.lists(ROOTS, max_size=6)
SPECIALIZATIONS = st.lists(SPECIALIZATION, min_size=1, max_size=5)

Code = list[RootReference]


@dataclass(frozen=True)
class Image:
    """What an image holds of one method: its key, the roots it owns, and for each specialization its references."""

    key: str
    roots: tuple[Any, ...]
    code: tuple[tuple[int, Code], ...]  # number of the specialization, references


class Session:
    """One process: a table of roots, and the code it compiled or loaded, by number of the specialization."""

    def __init__(self, key: str) -> None:
        self.key, self.table = key, RootsTable()
        self.code: dict[int, Code] = {}
        self.loaded: set[str] = set()

    def compile(self, number: int, roots: Sequence[Any]) -> None:
        if number not in self.code:
            self.code[number] = [self.table.add(root, self.key)[0] for root in roots]

    def save(self, key: str) -> Image:
        """Write everything under the key of the new image, as the builder does: by content."""
        table, code = RootsTable(), []
        for number, references in sorted(self.code.items()):
            code.append((number, [table.add(self.table.resolve(reference), key)[0] for reference in references]))
        return Image(key, tuple(table.owned(key)), tuple(code))

    def load(self, image: Image) -> None:
        if image.key in self.loaded:
            return
        self.loaded.add(image.key)
        for root in image.roots:
            self.table.append(root, image.key)
        for number, references in image.code:
            self.code.setdefault(number, references)

    def objects(self, number: int) -> list[Any]:
        return [self.table.resolve(reference) for reference in self.code[number]]


def holds(session: Session, wanted: Iterable[tuple[int, Sequence[Any]]]) -> None:
    for number, roots in wanted:
        assert session.objects(number) == list(roots)


# ---- the order of compiling -----------------------------------------------------------------------------------------


@given(SPECIALIZATIONS)
@settings(max_examples=40)
def test_every_order_of_compiling_resolves_to_the_same_objects(wanted: list[list[Any]]) -> None:
    for order in permutations(range(len(wanted))):
        session = Session("here")
        for number in order:
            session.compile(number, wanted[number])
        holds(session, enumerate(wanted))
        later = Session("later")
        later.load(session.save("image"))
        holds(later, enumerate(wanted))
        assert sorted(map(str, later.table)) == sorted({str(root) for roots in wanted for root in roots})


@given(SPECIALIZATIONS, st.randoms(use_true_random=False))
def test_several_sessions_and_images_in_any_order(wanted: list[list[Any]], chance: random.Random) -> None:
    """Each specialization is compiled in one of three sessions, perhaps in several; all images go into each new one."""
    images = []
    for name in "PQR":
        session = Session(f"session {name}")
        some = [number for number in range(len(wanted)) if chance.random() < 0.6]
        for image in chance.sample(images, chance.randint(0, len(images))):
            session.load(image)
        for number in chance.sample(some, len(some)):
            session.compile(number, wanted[number])
        images.append(session.save(name))
    there = {number for image in images for number, _ in image.code}
    for order in permutations(images):
        merged = Session("merged")
        for image in order:
            merged.load(image)
        holds(merged, ((number, wanted[number]) for number in there))
        saved = Session("again")
        saved.load(merged.save("all"))
        holds(saved, ((number, wanted[number]) for number in there))


# ---- two images -----------------------------------------------------------------------------------------------------


@given(SPECIALIZATIONS, SPECIALIZATIONS, SPECIALIZATIONS, st.randoms(use_true_random=False))
def test_two_images_into_a_session_with_roots_of_its_own(
    of_p: list[list[Any]], of_q: list[list[Any]], own: list[list[Any]], chance: random.Random
) -> None:
    """P then Q, Q then P, and anything of one's own before, between and after: nobody's references move."""
    maker_p, maker_q = Session("maker of P"), Session("maker of Q")
    for number, roots in enumerate(of_p):
        maker_p.compile(number, roots)
    for number, roots in enumerate(of_q):
        maker_q.compile(100 + number, roots)
    images = {"P": maker_p.save("P"), "Q": maker_q.save("Q")}
    owned = {}
    for order in ("PQ", "QP"):
        session = Session("live")
        actions = [*order, *range(len(own))]
        for action in sorted(
            actions, key=lambda action: (chance.random(), str(action)) if isinstance(action, int) else (0.5, "")
        ):
            if isinstance(action, str):
                session.load(images[action])
            else:
                session.compile(200 + action, own[action])
        holds(session, enumerate(of_p))
        holds(session, enumerate(of_q, 100))
        holds(session, enumerate(own, 200))
        owned[order] = {key: session.table.owned(key) for key in "PQ"}
        assert owned[order] == {key: list(images[key].roots) for key in "PQ"}


@given(st.lists(st.tuples(st.sampled_from("PQ"), ROOTS), max_size=40), st.randoms(use_true_random=False))
def test_interleaved_growth_of_two_owners(growth: list[tuple[str, Any]], chance: random.Random) -> None:
    """Two owners add to one table in turns; whatever the turns, each owner's roots keep their numbers."""
    tables = []
    for _ in range(3):
        table = RootsTable()
        waiting = {key: [root for owner, root in growth if owner == key] for key in "PQ"}
        while any(waiting.values()):
            key = chance.choice([key for key, roots in waiting.items() if roots])
            table.append(waiting[key].pop(0), key)
        tables.append(table)
    for key in "PQ":
        wanted = [root for owner, root in growth if owner == key]
        assert [table.owned(key) for table in tables] == [wanted] * 3
        for table in tables:
            assert [table.resolve(RootReference(key, index)) for index in range(len(wanted))] == wanted


# ---- Julia's cases --------------------------------------------------------------------------------------------------


def spelled_out(blocks: Sequence[tuple[str, int]], length: int) -> list[tuple[str, int]]:
    """Return the (key, index) of each position, from the run-length table alone: Julia's rule, written down naively."""
    counts: dict[str, int] = {}
    found = []
    for position in range(length):
        key = [key for key, start in blocks if start <= position][-1]
        found.append((key, counts.get(key, 0)))
        counts[key] = counts.get(key, 0) + 1
    return found


@pytest.mark.parametrize(
    "runs",
    [
        [("77", 2), ("88", 3), ("77", 4)],
        [("0", 3), ("77", 1), ("88", 3), ("77", 2)],
        [("77", 1)],
        [("a", 1), ("b", 1)] * 5,
        [],
    ],
    ids=["explicit first block", "roots of unknown origin first", "one", "alternating", "none"],
)
def test_run_length_round_trip(runs: list[tuple[str, int]]) -> None:
    check_round_trip(runs)


def check_round_trip(runs: list[tuple[str, int]]) -> None:
    table, number = RootsTable(), 0
    for key, length in runs:
        for _ in range(length):
            table.append(["root", number], key)
            number += 1
    references = [table.reference(position) for position in range(len(table))]
    assert [(r.key, r.index) for r in references] == spelled_out(table.blocks(), len(table))
    assert [table.resolve(reference) for reference in references] == [["root", position] for position in range(number)]
    for key in {key for key, _ in runs}:
        for index in (-1, table.count(key), table.count(key) + 1):
            with pytest.raises(UnresolvedRoot):
                table.resolve(RootReference(key, index))
    with pytest.raises(UnresolvedRoot):
        table.resolve(RootReference("99", 0))


@given(st.lists(st.tuples(st.sampled_from(["0", "77", "88"]), st.integers(1, 4)), max_size=12))
def test_run_length_round_trip_of_anything(runs: list[tuple[str, int]]) -> None:
    check_round_trip(runs)


def test_a_package_that_adds_before_and_after_another_was_loaded() -> None:
    """Julia's PkgA and PkgB: ``push!`` gets roots from both, in turns; after loading each finds its own group."""
    maker_b = Session("PkgB while it is precompiled")
    maker_b.compile(10, [["B", "first"], ["shared"]])
    image_b = maker_b.save("PkgB")
    maker_a = Session("PkgA while it is precompiled")
    maker_a.compile(0, [["A", "first"], ["A", "second"]])
    maker_a.load(image_b)
    maker_a.compile(1, [["A", "third"], ["shared"]])
    image_a = maker_a.save("PkgA")
    for order in permutations([image_a, image_b]):
        session = Session("user")
        session.compile(99, [["mine"], ["shared"]])
        for image in order:
            session.load(image)
        assert session.objects(0) == [["A", "first"], ["A", "second"]]
        assert session.objects(1) == [["A", "third"], ["shared"]]
        assert session.objects(10) == [["B", "first"], ["shared"]]
        assert session.objects(99) == [["mine"], ["shared"]]
