"""What the code of a unit looks like: calls of helpers, what is inlined, where loops begin."""

from __future__ import annotations

import llvmlite.binding as ll
import pytest

from aotnb.bridge.codegen import ImageCodegen, UnitSource, aligned_loops, assembly_of, compile_unit
from aotnb.bridge.irtext import looping_functions
from aotnb.core.elf import symbols

HELPERS = """
declare double @hypot(double, double)
declare void @NRT_incref(ptr)
define i64 @"lib.f0"(ptr %p, double %x) {
v0:
  call void @NRT_incref(ptr %p)
  %y = call double @hypot(double %x, double %x)
  %z = fptosi double %y to i64
  ret i64 %z
}
"""
RUNTIME = """
declare void @count(ptr)
define void @NRT_incref(ptr %p) noinline {
v0:
  call void @count(ptr %p)
  ret void
}
"""
LOOP = """
define i64 @"lib.f0"(ptr %p, i64 %n) {
v0:
  %sum = call i64 @"lib.f1"(ptr %p, i64 %n)
  ret i64 %sum
}
define i64 @"lib.f1"(ptr %p, i64 %n) {
v0:
  br label %loop
loop:
  %i = phi i64 [ 0, %v0 ], [ %next, %loop ]
  %s = phi i64 [ 0, %v0 ], [ %t, %loop ]
BODY
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %out
out:
  ret i64 %t
}
"""
STEP = """  %pN = getelementptr i64, ptr %p, i64 %sM
  %xN = load volatile i64, ptr %pN
  %sN = add i64 %sM, %xN"""


def unit(text: str, *helpers: str) -> UnitSource:
    return UnitSource([text], frozenset(["lib.f0"]), frozenset(looping_functions(text)), helpers=frozenset(helpers))


def long_loop() -> str:
    """Return a function with a loop that is too long to be inlined anywhere but into an only caller."""
    steps = [STEP.replace("N", str(n)).replace("M", str(n - 1)) for n in range(1, 100)]
    return (
        LOOP.replace("BODY", "\n".join(steps))
        .replace("%s0", "%s")
        .replace("[ %t,", "[ %s99,")
        .replace("ret i64 %t", "ret i64 %s99")
    )


def test_helpers_are_called_by_the_address_in_their_slot() -> None:
    item = compile_unit(unit(HELPERS, "hypot", "count"), RUNTIME, "x86-64", "")
    found = {symbol.name: symbol for symbol in symbols(item.data)}
    assert {"aotnb.slot.hypot", "aotnb.slot.count"} <= found.keys()
    assert not {"hypot", "count"} & found.keys()
    assert not found["aotnb.slot.hypot"].defined
    # others inline from the IR before that, in which LLVM knows the function by its name
    assert "@hypot(" in str(ll.parse_bitcode(item.bitcode))
    plain = compile_unit(unit(HELPERS), RUNTIME, "x86-64", "")
    assert {"hypot", "count"} <= {symbol.name for symbol in symbols(plain.data)}


def test_no_other_library_can_take_the_place_of_the_runtime() -> None:
    item = compile_unit(unit(HELPERS), RUNTIME, "x86-64", "")
    assert "define linkonce_odr hidden void @NRT_incref(" in str(ll.parse_bitcode(item.bitcode))


def test_a_loop_is_not_inlined_for_having_one_caller() -> None:
    defined = [symbol.name for symbol in symbols(compile_unit(unit(long_loop()), "", "x86-64", "").data) if symbol.is_function]
    assert sorted(defined) == ["lib.f0", "lib.f1"]
    straight = long_loop().replace("br i1 %more, label %loop, label %out", "br label %out")
    straight = straight.replace(", [ %next, %loop ]", "").replace(", [ %s99, %loop ]", "")
    defined = [symbol.name for symbol in symbols(compile_unit(unit(straight), "", "x86-64", "").data) if symbol.is_function]
    assert defined == ["lib.f0"]


def test_loops_begin_at_multiples_of_32_bytes_in_images_alone() -> None:
    if not ll.get_process_triple().startswith("x86_64"):
        pytest.skip("a setting for x86-64")
    bitcode = compile_unit(unit(long_loop()), "", "x86-64", "").bitcode
    with aligned_loops():
        within = assembly_of(bitcode, "x86-64", "")
    assert b".p2align\t5" in within
    assert b".p2align\t5" not in assembly_of(bitcode, "x86-64", "")
    generator = ImageCodegen("x86-64", "")
    assert ".p2align\t5" not in generator._tm.emit_assembly(ll.parse_bitcode(bitcode))


def test_a_function_that_nothing_calls_any_more_is_no_loss() -> None:
    """LLVM's linker leaves out what may be merged and has no caller, such as the destructor of a list that was optimised away."""
    text = HELPERS + '\ndefine linkonce_odr void @"lib.f1"(ptr %p) {\nv0:\n  ret void\n}\n'
    item = compile_unit(unit(text), RUNTIME, "x86-64", "")
    assert "lib.f0" in {symbol.name for symbol in symbols(item.data) if symbol.defined}


USER = """
declare i64 @"lib.f0"(i64)
declare i64 @"lib.f1"(i64)
define i64 @"user.f0"(i64 %x) {
v0:
  %y = call i64 @"lib.f0"(i64 %x)
  %z = call i64 @"lib.f1"(i64 %y)
  ret i64 %z
}
"""


def straight(name: str, steps: int, attributes: str = "") -> str:
    """Return a function of about 2 x *steps* instructions that no pass makes shorter."""
    lines = [f"  %x{n} = mul i64 %y{n}, %x\\n  %y{n + 1} = xor i64 %x{n}, {n * 77}" for n in range(steps)]
    body = "\n".join(lines).replace("\\n", "\n").replace("%y0,", "%x,")
    return f'define i64 @"{name}"(i64 %x) {attributes} {{\nv0:\n{body}\n  ret i64 %y{steps}\n}}\n'


@pytest.mark.parametrize(("attributes", "inlined"), [("", False), ("alwaysinline", True)])
def test_large_functions_are_not_offered_for_inlining(attributes: str, inlined: bool) -> None:
    text = straight("lib.f0", 3) + straight("lib.f1", 300, attributes)
    item = compile_unit(UnitSource([text], frozenset(["lib.f0", "lib.f1"]), offered=True), RUNTIME, "x86-64", "")
    assert item.inlinable is not None
    assert ("define available_externally hidden i64 @lib.f1(" in item.inlinable) is inlined
    assert ("declare hidden i64 @lib.f1(" in item.inlinable) is False  # no offered function calls it
    user = compile_unit(UnitSource([USER], frozenset(["user.f0"])), RUNTIME, "x86-64", "", lambda: [item.inlinable])
    left_open = {symbol.name for symbol in symbols(user.data) if not symbol.defined}
    assert left_open == (set() if inlined else {"lib.f1"})


DEBUG = """
!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}
!0 = !{i32 2, !"Debug Info Version", i32 3}
!1 = distinct !DICompileUnit(language: DW_LANG_C_plus_plus, file: !2, emissionKind: FullDebug)
!2 = !DIFile(filename: "lib.py", directory: "")
!3 = distinct !DISubprogram(name: "f1", file: !2, line: 1, type: !4, spFlags: DISPFlagDefinition, unit: !1)
!4 = !DISubroutineType(types: !{null})
"""


def test_what_is_offered_calls_what_is_not() -> None:
    calls = 'define i64 @"lib.f0"(i64 %x) {\nv0:\n  %y = call i64 @"lib.f1"(i64 %x)\n  ret i64 %y\n}\n'
    text = calls + straight("lib.f1", 300, "!dbg !3") + DEBUG
    item = compile_unit(UnitSource([text], frozenset(["lib.f0", "lib.f1"]), offered=True), RUNTIME, "x86-64", "")
    assert item.inlinable is not None
    assert "declare hidden i64 @lib.f1(" in item.inlinable
    user = compile_unit(UnitSource([USER], frozenset(["user.f0"])), RUNTIME, "x86-64", "", lambda: [item.inlinable])
    assert {symbol.name for symbol in symbols(user.data) if not symbol.defined} == {"lib.f1"}
    nothing = compile_unit(UnitSource([straight("lib.f1", 300)], frozenset(["lib.f1"]), offered=True), RUNTIME, "x86-64", "")
    assert nothing.inlinable == ""
    assert compile_unit(unit(HELPERS), RUNTIME, "x86-64", "").inlinable is None


def test_what_the_cpu_has_an_instruction_for_is_not_called() -> None:
    if not ll.get_process_triple().startswith("x86_64"):
        pytest.skip("instructions of x86-64")
    text = HELPERS.replace("@hypot(double, double)", "@floor(double) memory(none)\ndeclare double @sqrt(double) memory(none)")
    text = text.replace("@hypot(double %x, double %x)", "@sqrt(double %x)").replace("fptosi double %y", "fptosi double %w")
    text = text.replace("  %z =", "  %w = call double @floor(double %y)\n  %z =")
    left_open = {}
    for cpu in ("x86-64", "x86-64-v2"):
        item = compile_unit(unit(text, "sqrt", "floor"), RUNTIME, cpu, "")
        left_open[cpu] = {symbol.name for symbol in symbols(item.data) if not symbol.defined and symbol.name != "count"}
    assert left_open == {"x86-64": {"floor"}, "x86-64-v2": set()}  # which can round, and the older one has to ask libm
