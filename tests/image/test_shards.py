"""How units are dealt out to processes, and what these processes give back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aotnb.bridge import codegen
from aotnb.building import shards
from aotnb.building.functions import UnitCode
from aotnb.building.shards import Crew, UnitJob, compile_all, deal, image_threads, urgency, weight_of
from aotnb.errors import AotWarning, BuildError

SQUARE = """
define hidden i64 @"square.f0"(i64 %x) {
entry:
  %y = mul i64 %x, %x
  ret i64 %y
}
"""
USER = """
declare i64 @"square.f0"(i64)
define i64 @"user%d.f0"(i64 %%x) {
entry:
  %%y = call i64 @"square.f0"(i64 %%x)
  %%z = add i64 %%y, %d
  ret i64 %%z
}
"""


def job(text: str, available: list[int], exported: str, clones: int = 0) -> UnitJob:
    return UnitJob(UnitCode([text]), available, frozenset([exported]), "x86-64", "", clones)


def some_jobs() -> list[UnitJob]:
    return [job(SQUARE, [], "square.f0"), *(job(USER % (n, n), [0], f"user{n}.f0") for n in range(5))]


def silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setattr(shards, "MIN_WEIGHT", 1)
    return lambda value: monkeypatch.setenv("AOTNB_IMAGE_THREADS", value)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=60), st.integers(1, 8))
def test_dealing(weights: list[int], count: int) -> None:
    dealt = deal(weights, count)
    assert sorted(unit for shard in dealt for unit in shard) == list(range(len(weights)))
    loads = [sum(weights[unit] for unit in shard) for shard in dealt]
    assert max(loads) <= sum(weights) / count + max(weights)  # no shard waits longer for another than for one unit


def test_weight() -> None:
    assert weight_of(job(SQUARE, [], "square.f0")) == 1 + 2 + 1  # the function, its instructions, its blocks
    assert weight_of(job(SQUARE, [], "square.f0", clones=2)) == 3 * 4


def test_what_others_wait_for_is_urgent() -> None:
    jobs = some_jobs()
    weights = {number: weight_of(item) for number, item in enumerate(jobs)}
    urgent = urgency(jobs, weights)
    assert urgent[0] == sum(weights.values())
    assert urgent[3] == weights[3]


def test_number_of_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(12)), raising=False)
    monkeypatch.delenv("AOTNB_IMAGE_THREADS", raising=False)
    assert image_threads(100_000, 100) == 6  # half of the CPUs
    assert image_threads(100_000, 4) == 2
    monkeypatch.setenv("AOTNB_IMAGE_THREADS", "9")
    assert (image_threads(100_000, 100), image_threads(100_000, 3), image_threads(999, 100)) == (9, 3, 1)
    monkeypatch.setenv("AOTNB_IMAGE_THREADS", "many")
    with pytest.warns(AotWarning, match="invalid value 'many' for AOTNB_IMAGE_THREADS"):
        assert image_threads(100_000, 100) == 6


def test_equal_objects_for_any_number_of_shards(threads: Callable[[str], None]) -> None:
    found = []
    for count in (1, 2, 5):
        threads(str(count))
        compiled = compile_all(some_jobs(), "", silent)
        assert len(compiled.shards) == count
        assert sorted(unit for shard in compiled.shards for unit in shard.units) == list(range(6))
        found.append([(item.data, item.bitcode, item.inlinable) for item in compiled.objects])
    assert found[0] == found[1] == found[2]


def test_one_unit_for_several_targets_is_simplified_once(threads: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    code = UnitCode([SQUARE], targets=2)
    kinds = (("x86-64", ""), ("haswell", ".1"))
    jobs = [UnitJob(code, [], frozenset(["square.f0"]), cpu, "", suffix=suffix) for cpu, suffix in kinds]
    jobs += some_jobs()[1:]
    apart = [UnitJob(UnitCode([SQUARE], targets=2), [], job.exported, job.cpu, "", suffix=job.suffix) for job in jobs[:2]]
    threads("2")
    found = [(item.data, item.inlinable) for item in compile_all(jobs, "", silent).objects]
    linked: list[str] = []
    link = codegen._link

    def watched(library: object, texts: Iterable[str]) -> frozenset[str]:
        linked.extend(texts)
        return link(library, texts)

    monkeypatch.setattr(codegen, "_link", watched)
    threads("1")
    assert [(item.data, item.inlinable) for item in compile_all(jobs, "", silent).objects] == found
    assert linked.count(SQUARE) == 1
    assert [item.data for item in compile_all(apart, "", silent).objects] == [data for data, _ in found[:2]]


def test_a_unit_is_begun_while_another_process_makes_what_it_inlines() -> None:
    jobs = some_jobs()
    board = shards._Board(jobs, {}, [[0, 1], [2, 3, 4, 5]], silent)
    assert (board.next_of(0), board.next_of(1)) == (0, 2)
    board.optimised(0, SQUARE)
    assert board.inlined(2) == [SQUARE]
    assert [board.next_of(0) for _ in range(5)] == [1, 3, 4, 5, None]


def test_processes_are_started_early_for_what_is_large(threads: Callable[[str], None]) -> None:
    threads("2")
    with Crew.early(9) as crew:
        assert crew.workers == []
    with Crew.early(10) as crew:
        (worker,) = crew.workers
        compiled = compile_all(some_jobs(), "", silent, crew=crew)
        assert len(compiled.shards) == 2
        assert not _is_running(worker._process.pid)


def test_what_is_known_is_not_compiled(threads: Callable[[str], None]) -> None:
    threads("1")
    first = compile_all(some_jobs(), "", silent)
    again = compile_all(some_jobs(), "", silent, {number: first.objects[number] for number in (0, 2, 3)})
    assert again.shards[0].units == [1, 4, 5]
    assert [item.data for item in again.objects] == [item.data for item in first.objects]


def test_a_mistake_in_a_shard_is_told(threads: Callable[[str], None]) -> None:
    threads("2")
    with pytest.raises(BuildError, match="LLVM refused"):
        compile_all([*some_jobs(), job("define i64 @broken(", [], "broken")], "", silent)


def test_a_shard_that_dies(threads: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    threads("2")
    started: list[int] = []
    send = shards.Worker.send

    def watched(worker: shards.Worker, message: object) -> None:
        send(worker, message)
        started.append(worker._process.pid)
        if len(started) == 2:  # the settings, and its first unit: how many more it takes is a matter of time
            os.kill(started[-1], signal.SIGKILL)

    monkeypatch.setattr(shards.Worker, "send", watched)
    with pytest.raises(BuildError, match="set AOTNB_IMAGE_THREADS=1"):
        compile_all(some_jobs(), "", silent)
    assert all(not _is_running(pid) for pid in started)


def test_an_interrupt_ends_the_shards(threads: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    threads("2")
    started: list[int] = []
    send = shards.Worker.send
    monkeypatch.setattr(shards.Worker, "send", lambda worker, item: (started.append(worker._process.pid), send(worker, item)))

    def interrupted(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_all(some_jobs(), "", interrupted)
    assert len(set(started)) == 1
    assert all(not _is_running(pid) for pid in started)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
