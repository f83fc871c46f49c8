"""Blocks that are skipped unless an image is being made: in any place, under a tracer, with errors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from aotnb import workload
from aotnb.workload import compile_workload, setup_workload


@pytest.fixture
def building() -> Iterator[None]:
    workload.enter_build()
    yield
    workload.leave_build()


def run_blocks(ran: list[str]) -> str:
    with compile_workload():
        ran.append("alone")
    with compile_workload(): ran.append("on one line")  # fmt: skip  # noqa: E701
    with setup_workload() as block:
        assert block is not None
        ran.append("setup")
        with compile_workload():
            ran.append("inner")
    for number in range(2):
        with compile_workload():
            ran.append(f"loop {number}")
    try:
        raise KeyError
    except KeyError:
        with compile_workload():
            ran.append("handler")
    return "after"


def test_blocks_are_skipped_and_what_follows_runs() -> None:
    ran: list[str] = []
    assert run_blocks(ran) == "after"
    assert ran == []


def test_blocks_run_while_an_image_is_made(building: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    assert run_blocks(ran) == "after"
    assert ran == ["alone", "on one line", "setup", "inner", "loop 0", "loop 1", "handler"]
    monkeypatch.setenv("AOTNB_WORKLOADS", "0")
    assert run_blocks(ran) == "after"
    assert len(ran) == 7


def test_in_a_coroutine() -> None:
    async def main() -> list[str]:
        ran: list[str] = []
        with compile_workload():
            await asyncio.sleep(0)
            ran.append("block")
        await asyncio.sleep(0)
        return ran

    assert asyncio.run(main()) == []


def test_a_tracer_is_put_back() -> None:
    events: list[tuple[str, int]] = []

    def tracer(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code is traced.__code__:
            events.append((event, frame.f_lineno - traced.__code__.co_firstlineno))
        return tracer

    def traced(ran: list[str]) -> None:
        before = 1
        with compile_workload():
            ran.append("block")
        after = before + 1
        ran.append(str(after))

    ran: list[str] = []
    outer = sys.gettrace()
    sys.settrace(tracer)
    try:
        traced(ran)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(outer)
    assert ran == ["2"]
    assert {("line", 1), ("line", 4), ("line", 5)} <= set(events)


def test_errors_of_a_block_that_runs_are_not_hidden(building: None) -> None:
    with pytest.raises(ZeroDivisionError), compile_workload():
        1 / 0
    with pytest.raises(ZeroDivisionError), setup_workload():
        1 / 0


def test_setup_is_told_apart_from_compile(building: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(workload, "begin_setup", lambda: told.append("begin"))
    monkeypatch.setattr(workload, "end_setup", lambda: told.append("end"))
    with setup_workload():
        told.append("data")
        with compile_workload():
            told.append("compile")
        told.append("more")
    with compile_workload():
        told.append("alone")
    assert told == ["begin", "data", "end", "compile", "begin", "more", "end", "alone"]
