"""What the table of CPU features says of LLVM, asked of LLVM."""

from __future__ import annotations

import re

import llvmlite.binding as ll
import pytest

from aotnb.bridge.codegen import ImageCodegen
from aotnb.core.targets import CPUS, parse_targets

WIDE = '{ "min-legal-vector-width"="512" "prefer-vector-width"="512" }'
ANY_ORDER = ",".join(f"i32 {(37 * number + 11) % 64}" for number in range(64))


def intrinsic(types: str, name: str, rest: str = "") -> str:
    """Return a function of one argument that calls the intrinsic of that name."""
    words = ", ".join([f"{types} %a", *([rest] if rest else [])])
    kinds = ", ".join([types, *([rest.split(maxsplit=1)[0]] if rest else [])])
    return (
        f"define {types} @f({types} %a) #0 {{\n %r = call {types} @llvm.{name}({words})\n ret {types} %r\n}}\n"
        f"declare {types} @llvm.{name}({kinds})"
    )


def shifted(types: str, name: str, count: str) -> str:
    """Return a function that rotates or shifts a vector through another one."""
    return (
        f"define {types} @f({types} %a, {types} %b) #0 {{\n %r = call {types} @llvm.fshl.{name}({types} %a, {types} {count}, {types} splat (i{name.partition('i')[2]} 3))"
        f"\n ret {types} %r\n}}\ndeclare {types} @llvm.fshl.{name}({types}, {types}, {types})"
    )


def arithmetic(types: str, operation: str) -> str:
    return f"define {types} @f({types} %a, {types} %b) #0 {{\n %r = {operation} {types} %a, %b\n ret {types} %r\n}}"


# feature -> code, and the instruction that LLVM makes of it where the CPU has the feature
CODE = {
    "sse3": (
        (
            "define <2 x double> @f(<2 x double> %a, <2 x double> %b) {\n %s = fsub <2 x double> %a, %b\n"
            " %t = fadd <2 x double> %a, %b\n %r = shufflevector <2 x double> %s, <2 x double> %t, <2 x i32> <i32 0, i32 3>\n"
            " ret <2 x double> %r\n}"
        ),
        "addsubpd",
    ),
    "ssse3": (intrinsic("<4 x i32>", "abs.v4i32", "i1 0"), "pabsd"),
    "sse4.1": (intrinsic("double", "floor.f64"), "roundsd"),
    "sse4.2": (
        (
            "define <2 x i64> @f(<2 x i64> %a, <2 x i64> %b) {\n %c = icmp sgt <2 x i64> %a, %b\n"
            " %r = sext <2 x i1> %c to <2 x i64>\n ret <2 x i64> %r\n}"
        ),
        "pcmpgtq",
    ),
    "popcnt": (intrinsic("i64", "ctpop.i64"), "popcnt"),
    "lzcnt": (intrinsic("i64", "ctlz.i64", "i1 0"), "lzcnt"),
    "bmi": ("define i64 @f(i64 %a, i64 %b) {\n %n = xor i64 %a, -1\n %r = and i64 %n, %b\n ret i64 %r\n}", "andn"),
    "bmi2": (arithmetic("i64", "shl"), "shlx"),
    "movbe": (
        (
            "define i64 @f(ptr %a) {\n %x = load i64, ptr %a\n %r = call i64 @llvm.bswap.i64(i64 %x)\n ret i64 %r\n}\n"
            "declare i64 @llvm.bswap.i64(i64)"
        ),
        "movbe",
    ),
    "cx16": (
        (
            "define i128 @f(ptr %a, i128 %b, i128 %c) {\n %p = cmpxchg ptr %a, i128 %b, i128 %c seq_cst seq_cst\n"
            " %r = extractvalue { i128, i1 } %p, 0\n ret i128 %r\n}"
        ),
        "cmpxchg16b",
    ),
    "prfchw": (
        (
            "define void @f(ptr %a) {\n call void @llvm.prefetch.p0(ptr %a, i32 1, i32 3, i32 1)\n ret void\n}\n"
            "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
        ),
        r"prefetchw\t",
    ),
    "fma": (
        (
            "define double @f(double %a) {\n %r = call double @llvm.fma.f64(double %a, double %a, double %a)\n ret double %r\n}\n"
            "declare double @llvm.fma.f64(double, double, double)"
        ),
        "vfmadd",
    ),
    "f16c": ("define half @f(float %a) {\n %r = fptrunc float %a to half\n ret half %r\n}", "vcvtps2ph"),
    "avx": (arithmetic("<4 x double>", "fadd"), r"vaddpd\t%ymm"),
    "avx2": (arithmetic("<8 x i32>", "add"), r"vpaddd\t%ymm"),
    "gfni": (intrinsic("<16 x i8>", "bitreverse.v16i8"), "gf2p8"),
    "avx512f": (arithmetic("<8 x double>", "fadd"), "%zmm"),
    "avx512bw": (arithmetic("<32 x i16>", "add"), r"vpaddw\t%zmm"),
    "avx512dq": (arithmetic("<8 x i64>", "mul"), "vpmullq"),
    "avx512cd": (intrinsic("<16 x i32>", "ctlz.v16i32", "i1 0"), "vplzcntd"),
    "avx512vl": (shifted("<4 x i32>", "v4i32", "%a"), r"vprold\t\$3, %xmm"),
    "avx512vpopcntdq": (intrinsic("<8 x i64>", "ctpop.v8i64"), "vpopcntq"),
    "avx512bitalg": (intrinsic("<32 x i16>", "ctpop.v32i16"), "vpopcntw"),
    "avx512vbmi": (
        (
            f"define <64 x i8> @f(<64 x i8> %a) #0 {{\n %r = shufflevector <64 x i8> %a, <64 x i8> poison, <64 x i32> <{ANY_ORDER}>\n"
            " ret <64 x i8> %r\n}"
        ),
        "vpermb",
    ),
    "avx512vbmi2": (shifted("<32 x i16>", "v32i16", "%b"), "vpshldw"),
}
TARGETS = ["generic,+avx", "generic,+fma", "generic,+avx2", "generic,+avx512f", "x86-64-v3,-avx", "x86-64-v3,-fma"]


@pytest.mark.parametrize("text", [*CPUS["x86_64"], *TARGETS])
def test_code_for_a_target_uses_just_the_features_that_it_needs(text: str) -> None:
    if not ll.get_process_triple().startswith("x86_64"):
        pytest.skip("features of x86-64")
    (target,) = parse_targets(text, ("generic", ""), "x86_64")
    generator = ImageCodegen(target.cpu, target.features)
    used = set()
    for feature, (source, instruction) in CODE.items():
        module = ll.parse_assembly(f"{source}\nattributes #0 = {WIDE}\n")
        module.triple = ll.get_process_triple()
        if re.search(instruction, generator._tm.emit_assembly(module)):
            used.add(feature)
    assert used == set(target.needs) & CODE.keys()
