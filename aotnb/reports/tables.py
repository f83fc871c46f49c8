"""Records of the session as plain tables: named columns and rows. Standard library only; both frames and displays start here.

The columns are part of the public face. Seconds are floats; ``detail`` is one sentence for people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aotnb.reports.explain import cure

if TYPE_CHECKING:
    from aotnb.core.records import Compilation, Miss, SaveReport, Served, Status


class TraceLike(Protocol):
    """What a table needs of a trace."""

    name: str

    @property
    def compilations(self) -> tuple[Compilation, ...]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def served(self) -> Sequence[Served]: ...
    def roots_growth(self) -> Sequence[tuple[int, str, int, int, int]]: ...


class Table(NamedTuple):
    """Columns and rows of equal length."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


STAGES = ("bytecode", "inference", "rewriting", "lowering", "other_passes")

# Numba's passes by what they do. LLVM's own time lies in the lowering passes, which end with the machine code.
_STAGE_OF_PASS = {
    **dict.fromkeys(
        (
            "extract_bytecode", "translate_bytecode", "fixup_args", "ir_processing", "with_lifting", "rewrite_semantic_constants",
            "dead_branch_prune", "inline_closure_likes", "generic_rewrites", "inline_inlinables", "find_literally",
            "canonicalize_loop_exit", "canonicalize_loop_entry", "make_function_op_code_to_jit_function",
            "transform_literal_unroll_const_list_to_tuple", "mixed_container_unroller", "iter_loop_canonicalisation",
            "PropagateLiterals", "LiteralPropagation", "literal_unroll", "simplify_cfg", "reconstruct_ssa",
            "Rewrite dynamic raises",
        ),
        "bytecode",
    ),
    **dict.fromkeys(("nopython_type_inference", "partial_type_inference", "annotate_types"), "inference"),
    **dict.fromkeys(
        (
            "nopython_rewrites", "inline_overloads", "pre_parfor_pass", "parfor_pass", "parfor_fusion_pass",
            "parfor_prelowering_pass", "dead_code_elimination", "strip_phis", "ir_legalization", "preserve_ir",
            "nopython_supported_feature_validation", "dump_parfor_diagnostics",
        ),
        "rewriting",
    ),
    **dict.fromkeys(("native_lowering", "native_parfor_lowering", "nopython_backend"), "lowering"),
}  # fmt: skip

COMPILATION_COLUMNS = (
    "function", "module", "signature", "kind", "depth", "seconds", "own_seconds", *STAGES,
    "new_roots", "saved", "reason", "detail",
)  # fmt: skip


def compilations_table(trace: TraceLike) -> Table:
    """Return one row for each compilation, in the order in which they began."""
    return Table(COMPILATION_COLUMNS, [_compilation_row(item) for item in trace.compilations])


def _compilation_row(item: Compilation) -> tuple[Any, ...]:
    stages = dict.fromkeys(STAGES, 0.0)
    for name, seconds in item.timings.items():
        stages[_STAGE_OF_PASS.get(name, "other_passes")] += seconds
    depth = "nested" if item.depth else "top-level"
    return (
        item.function, item.module, item.signature, item.kind, depth, item.seconds, item.own_seconds, *stages.values(),
        item.new_roots, item.saveable, item.reason or "", item.detail,
    )  # fmt: skip


def roots_growth_table(trace: TraceLike) -> Table:
    """Return one row for each compilation that has a roots table: how the table of its method grew."""
    functions = {item.index: f"{item.function}{item.signature}" for item in trace.compilations}
    rows = [(index, functions.get(index, ""), *rest) for index, *rest in trace.roots_growth()]
    return Table(("compilation", "function", "method", "total_roots", "new_roots", "shared_roots"), rows)


def misses_table(misses: Iterable[Miss]) -> Table:
    """Return one row for each question that the loaded images could not answer, with what to do about it."""
    rows = [(m.function, m.module, m.signature, m.reason, m.detail, cure(m.reason, m.detail)) for m in misses]
    return Table(("function", "module", "signature", "reason", "detail", "what_to_do"), rows)


def dropped_table(report: SaveReport) -> Table:
    """Return one row for each compilation that a save left out, with what to do about it."""
    rows = [(d.function, d.module, d.signature, d.reason, d.detail, cure(d.reason, d.detail)) for d in report.dropped]
    return Table(("function", "module", "signature", "reason", "detail", "what_to_do"), rows)


def status_table(status: Status) -> Table:
    """Return one row for each loaded image: what it holds and how many questions it answered."""
    answered: dict[str, int] = defaultdict(int)
    for served in status.served:
        answered[served.image_id] += 1
    columns = ("image", "entries", "functions", "served", "linked", "target", "milliseconds", "jit_seconds", "image_id")
    rows = [
        (i.path, i.entries, i.functions, answered[i.image_id], i.linked, i.target, i.milliseconds, i.jit_seconds, i.image_id)
        for i in status.images
    ]
    return Table(columns, rows)
