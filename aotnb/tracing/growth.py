"""How the roots tables of methods grow in the order of compilation."""

from __future__ import annotations

from typing import Any

from aotnb.bridge.roots import environment_consts
from aotnb.bridge.typecodec import encode_type
from aotnb.core.roots import RootsTable
from aotnb.errors import NotRelocatable
from aotnb.tracing.instance import Instance


def roots_growth(instances: list[Instance]) -> list[tuple[int, str, int, int, int]]:
    """Return (compilation index, method, total roots, new roots, shared roots) for each instance, in order.

    Roots are the argument and return types, the constants of the environment, and the values that were read.
    """
    tables: dict[str, RootsTable] = {}
    rows = []
    for instance in instances:
        method = f"{instance.module}.{instance.qualname}"
        table = tables.setdefault(method, RootsTable())
        trees = list(_roots(instance))
        new = sum(table.add(tree, "session")[1] for tree in trees)
        rows.append((instance.index, method, len(table), new, len(trees) - new))
    return rows


def _roots(instance: Instance) -> Any:
    types = list(instance.args)
    if instance.result is not None:
        types.append(instance.result.signature.return_type)
    for typ in types:
        try:
            yield encode_type(typ)
        except NotRelocatable:
            continue
    if instance.result is not None and instance.result.environment is not None:
        try:
            yield from environment_consts(instance.result)
        except NotRelocatable:
            pass
    for read in instance.reads.values():
        yield ["read", read.kind, read.digest]
