"""The roots of what this process compiled, in the tables of their methods, under the key of the session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aotnb.bridge.methods import method_tree
from aotnb.bridge.typecodec import encode_type
from aotnb.bridge.values import value_tree
from aotnb.building.edges import edges_of, read_edges, stable_text
from aotnb.building.plan import first_problems
from aotnb.core.digest import digest
from aotnb.core.records import Specialization
from aotnb.core.roots import UNKNOWN, RootReference, RootsRegistry
from aotnb.core.text import Use
from aotnb.errors import NotRelocatable
from aotnb.image.model import edge_root, method_name, path_root
from aotnb.tracing.instance import Instance
from aotnb.tracing.paths import dispatcher_path, is_unnamed


@dataclass(frozen=True, slots=True)
class Added:
    """What one compilation did to the table of its method."""

    method: str
    references: tuple[tuple[str, RootReference], ...]  # role, reference
    new: int
    total: int
    duplicates: int


class SessionRoots:
    """Adds the roots of compilations to the registry, in the order of compilation, when somebody asks.

    Nothing happens while Numba compiles. Exceptions and addresses in the code itself, and the versions of libraries, are
    found only when it is saved: they are roots of the image.
    """

    def __init__(self, registry: RootsRegistry) -> None:
        self.registry = registry
        self.key = f"session-{os.urandom(4).hex()}"
        self.added: dict[int, Added] = {}  # by index of the compilation

    def update(self, instances: list[Instance]) -> None:
        """Add what is finished and not there yet."""
        for instance in instances:
            if instance.finished and instance.index not in self.added:
                self.added[instance.index] = self._add(instance)

    def _add(self, instance: Instance) -> Added:
        method = method_of(instance)
        table = self.registry.table(method)
        references, new = [], 0
        for role, tree in _roots(instance):
            reference, fresh = table.add(tree, UNKNOWN if tree[0] == "unknown" else self.key)
            references.append((role, reference))
            new += fresh
        return Added(method, tuple(references), new, len(table), table.duplicates)

    def uses(self, instances: list[Instance]) -> dict[tuple[str, RootReference], list[Use]]:
        """Return which compilations of this process refer to each root of each method."""
        found: dict[tuple[str, RootReference], list[Use]] = {}
        for instance in instances:
            added = self.added.get(instance.index)
            if added is not None:
                for role, reference in added.references:
                    use = Use(role, stable_text(instance.signature), instance.index)
                    found.setdefault((added.method, reference), []).append(use)
        return found


def method_of(instance: Instance) -> str:
    """Return the name of the roots table of a live instance's method, as images name it."""
    if is_unnamed(instance):
        return f"{instance.module}:{instance.qualname}:"
    try:
        return ":".join(method_tree(instance.dispatcher))
    except NotRelocatable:
        return f"{instance.module}:{instance.qualname}:unknown"


def _roots(instance: Instance) -> Iterator[tuple[str, Any]]:
    result = instance.result
    for typ in instance.args:
        yield "argument", _encoded(encode_type, typ)
    if result is not None:
        yield "return type", _encoded(encode_type, result.signature.return_type)
        for value in (result.environment.consts if result.environment is not None else None) or ():
            yield "constant", _encoded(value_tree, value)
    for edge in read_edges(instance):
        yield "edge", edge_root(edge) if edge.digest else ["unknown", f"{edge.name} = {edge.summary}"]
    for callee in instance.callees:
        if callee.dispatcher is not None and (path := dispatcher_path(instance, callee.dispatcher)) is not None:
            yield "path", path_root(path)


def _encoded(encode: Any, obj: Any) -> Any:
    try:
        return encode(obj)
    except NotRelocatable:
        return ["unknown", stable_text(str(obj))[:60]]


def roots_growth(instances: list[Instance]) -> list[tuple[int, str, int, int, int]]:
    """Return (compilation index, method, total roots, new roots, shared roots) for each instance, in tables of their own."""
    tables = SessionRoots(RootsRegistry())
    tables.update(instances)
    found = [(index, tables.added[index]) for index in (i.index for i in instances) if index in tables.added]
    return [(index, method_name(a.method), a.total, a.new, len(a.references) - a.new) for index, a in found]


def specializations(instances: list[Instance]) -> list[Specialization]:
    """Return live instances as comparisons see them."""
    tables = SessionRoots(RootsRegistry())
    tables.update(instances)
    problems = first_problems(instances)
    found = []
    for instance in instances:
        added = tables.added.get(instance.index)
        if added is None:
            continue
        trees = [tables.registry.resolve(added.method, reference) for _, reference in added.references]
        problem = problems.get(id(instance))
        found.append(
            Specialization(
                function=instance.qualname,
                module=instance.module,
                signature=instance.signature,
                kind=instance.kind,
                method=added.method.rpartition(":")[2],
                edges={(edge.kind, edge.where, edge.name): (edge.digest, edge.summary) for edge in edges_of(instance)},
                roots=frozenset(map(digest, trees)),
                seconds=instance.seconds,
                reason=problem[0] if problem is not None else "" if instance.result is not None else "failed",
            )
        )
    return found
