"""What the table of CPU features says of LLVM, asked of LLVM."""

from __future__ import annotations

import llvmlite.binding as ll
import pytest

from aotnb.bridge.codegen import ImageCodegen
from aotnb.core.targets import parse_targets

CODE = {
    "fma": (
        "define double @f(double %a) {\n %r = call double @llvm.fma.f64(double %a, double %a, double %a)\n ret double %r\n}",
        "vfmadd",
    ),
    "f16c": ("define half @f(float %a) {\n %r = fptrunc float %a to half\n ret half %r\n}", "vcvtps2ph"),
    "avx2": ("define <8 x i32> @f(<8 x i32> %a) {\n %r = add <8 x i32> %a, %a\n ret <8 x i32> %r\n}", "vpaddd\t%ymm"),
}


@pytest.mark.parametrize(
    "text", ["generic", "generic,+avx", "generic,+fma", "generic,+avx2", "generic,+avx512f", "x86-64-v3,-avx", "x86-64-v3,-fma"]
)
@pytest.mark.parametrize("feature", CODE)
def test_code_for_a_target_uses_no_feature_that_it_does_not_need(text: str, feature: str) -> None:
    if not ll.get_process_triple().startswith("x86_64"):
        pytest.skip("features of x86-64")
    (target,) = parse_targets(text, ("generic", ""), "x86_64")
    source, instruction = CODE[feature]
    generator = ImageCodegen(target.cpu, target.features)
    module = ll.parse_assembly(source + "\ndeclare double @llvm.fma.f64(double, double, double)\n")
    module.triple = ll.get_process_triple()
    used = instruction in generator._tm.emit_assembly(module)
    assert used == (feature in target.needs)
