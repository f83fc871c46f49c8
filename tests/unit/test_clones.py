"""What is cloned for further CPU targets: loops, fast-math and vectors where the CPU gains for them, and their callers."""

from __future__ import annotations

from aotnb.building.clones import cloned_libraries, traits_of
from aotnb.core.targets import parse_targets
from aotnb.image.model import Library

STRAIGHT = """define i32 @f(i32 %x) {
v0:
  %v1 = icmp eq i32 %x, 0
  br i1 %v1, label %v2, label %v3
v2:
  br label %v3
v3:
  ret i32 %x
}
"""
LOOP = STRAIGHT.replace("  ret i32 %x", "  br label %v2")


def test_traits_of_raw_ir() -> None:
    straight, loop = traits_of(STRAIGHT), traits_of(LOOP)
    assert not straight.loop
    assert loop.loop
    assert not straight.vector
    assert traits_of(STRAIGHT.replace("icmp eq i32", "fadd fast double")).math
    assert traits_of(STRAIGHT.replace("icmp eq i32", "add <4 x i32>")).vector


def test_clones_are_what_has_loops_and_what_calls_it_but_no_wrapper() -> None:
    texts = {"loop": (LOOP, ["helper"]), "helper": (STRAIGHT, []), "top": (STRAIGHT, ["loop"]), "wrapper": (STRAIGHT, ["top"])}
    texts["math"] = (STRAIGHT.replace("icmp eq i32", "fadd fast double"), [])
    libraries = {name: Library(name, text, {}, uses) for name, (text, uses) in texts.items()}
    traits = {name: traits_of(library.text) for name, library in libraries.items()}

    def clones(text: str) -> list[set[str]]:
        targets = parse_targets(text, ("any", ""), "x86_64")
        return cloned_libraries(libraries, traits, {"wrapper"}, targets)

    everything = set(libraries)
    assert clones("generic") == [everything]
    assert clones("generic;x86-64-v2;x86-64-v3") == [everything, {"loop", "top"}, {"loop", "top", "math"}]
    # what the base has already is no reason
    assert clones("generic;x86-64-v3,clone_all;x86-64-v4,base(1)") == [everything, everything, {"loop", "top"}]
