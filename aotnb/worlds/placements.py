"""Compiled code in its places: nodes of the method table, made from what was compiled, found again, or served from an image."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.dispatchers import holds
from aotnb.core.worlds import CodeNode, MethodTable
from aotnb.tracing.instance import Callee, Instance, Read
from aotnb.worlds.bindings import LiveRead, OverloadRead

_ADDRESS = re.compile(r"_?0x[0-9a-f]+")  # Numba names what it makes for itself by an address


@dataclass(eq=False, slots=True)
class Placement:
    """What a code node stands for: code behind one live function, what it read, and the dispatchers that hold it."""

    function: str
    module: str
    signature: str
    seconds: float
    func: FunctionType | None  # kept alive with the reads that go through it
    reads: list[LiveRead | OverloadRead]
    resolved: frozenset[str]  # names of everything that was resolved
    keep: Any = None  # whose ids are in the key of the node
    # what was put behind dispatchers: one function may have several, and an image makes an instance for each answer
    holders: list[tuple[Instance, weakref.ref[Any]]] = field(default_factory=list)

    def hold(self, instance: Instance, disp: Any) -> bool:
        """Note that *instance* was put behind *disp*; return whether that was not known."""
        self.holders = [(known, ref) for known, ref in self.holders if ref() is not None]
        if any(known is instance and ref() is disp for known, ref in self.holders):
            return False
        self.holders.append((instance, weakref.ref(disp)))
        return True

    def is_held(self) -> bool:
        """Return whether a dispatcher that was given this code is still alive."""
        return any(ref() is not None for _, ref in self.holders)

    def held(self) -> list[tuple[Instance, Any]]:
        """Return the dispatchers that have this code, each with the instance that it was given."""
        pairs = ((instance, ref()) for instance, ref in self.holders)
        return [(instance, disp) for instance, disp in pairs if disp is not None and holds(disp, instance.result.library)]


def label(placement: Placement) -> str:
    """Return the name of a code node for people."""
    name = _ADDRESS.sub("", placement.function)
    return f"{placement.module}.{name}" if placement.module else name


class Placements:
    """Makes the node of code in a place, with the nodes of all that it links, unless they are there already."""

    def __init__(
        self,
        table: MethodTable,
        added: Callable[[CodeNode], None],
        held: Callable[[CodeNode, Any], None],
        owner: Callable[[Any], Instance | None],
    ) -> None:
        self.table = table
        self.added = added
        self.held = held  # by a dispatcher
        self.owner = owner  # of a code library

    def placed(self, instance: Instance, disp: Any, moved: dict[tuple[int, int], Any]) -> CodeNode:
        """Return the node of *instance* behind *disp*.

        *moved* tells which dispatcher stands, here, for the one that a callee was reached through when it was compiled:
        (id of the calling function, id of the old dispatcher) -> live dispatcher.
        """
        nodes: dict[tuple[int, int], CodeNode] = {}
        start: CodeNode | None = None
        stack: list[tuple[Instance, Any, CodeNode | None]] = [(instance, disp, None)]
        while stack:
            instance, disp, caller = stack.pop()
            func = instance.func if disp is None else disp.py_func
            key = (id(instance), id(func))
            node = nodes.get(key) or self.table.get(key)
            fresh = node is None and instance.from_image is None
            if node is None and fresh:
                node = self._node(key, instance, func)
            elif node is None:
                node = self.served(instance, disp, instance.result.library.verdict)
            if instance.result is not None:  # else it was tried in vain, and no dispatcher has it
                self._hold(node, instance, disp)
            nodes[key] = node
            start = start or node
            if caller is not None:
                caller.link(node)
            if fresh:
                stack += [(c.instance, self._live(func, c, moved), node) for c in instance.callees]
        assert start is not None
        return start

    def _live(self, func: Any, callee: Callee, moved: dict[tuple[int, int], Any]) -> Any:
        return moved.get((id(func), id(callee.dispatcher)), callee.dispatcher)

    def _hold(self, node: CodeNode, instance: Instance, disp: Any) -> None:
        if disp is not None and node.payload.hold(instance, disp):
            self.held(node, disp)

    def _node(self, key: tuple[int, int], instance: Instance, func: Any) -> CodeNode:
        addresses = instance.addresses.keys()
        placement = Placement(
            function=instance.qualname,
            module=instance.module,
            signature=instance.signature,
            seconds=instance.seconds,
            func=func,
            reads=[
                *(LiveRead(read, func, addresses) for read in instance.reads.values()),
                *(OverloadRead(name, content) for name, content in instance.overload_sets.items()),
            ],
            resolved=frozenset(numba_facts.key_name(name) for name in instance.resolved),
            keep=(instance, func),
        )
        return self._add(key, placement)

    def _add(self, key: Any, placement: Placement) -> CodeNode:
        node = self.table.add(key, CodeNode(label(placement), placement))
        self.added(node)
        return node

    def served(self, instance: Instance, disp: Any, verdict: Any) -> CodeNode:
        """Return the node of code that an image gave to *disp*, after its edges were found to hold."""
        image, _ = instance.from_image
        nodes: list[CodeNode] = []
        for visit in verdict.visits:
            record = visit.record or image.reader.instance(visit.number)
            key = (id(image), visit.number, id(visit.func))
            node = self.table.get(key)
            if node is None:
                node = self._add(key, self._served(image, record, visit))
            nodes.append(node)
        self._hold(nodes[0], instance, disp)  # also where it was known only as part of another entry
        for caller, callee in verdict.links:
            nodes[caller].link(nodes[callee])
        for caller, via, library in verdict.linked:
            known = self.owner(library)
            if known is not None:
                nodes[caller].link(self.placed(known, via, {}))
        return nodes[0]

    def _served(self, image: Any, record: Any, visit: Any) -> Placement:
        reads: list[LiveRead | OverloadRead] = []
        for edge, value in visit.values:
            own = edge.where == "own"
            module = record.module if own else edge.where
            read = Read(edge.kind, edge.name, module, own and visit.func is not None, value, edge.digest, edge.summary)
            reads.append(LiveRead(read, visit.func))
        reads += [OverloadRead(edge.name, edge.digest) for edge in record.edges if edge.kind == "overload_set"]
        names = image.reader.index["names"]
        return Placement(
            function=record.qualname,
            module=record.module,
            signature=record.signature,
            seconds=0.0,
            func=visit.func,
            reads=reads,
            resolved=frozenset(names[n] for n in record.resolved),
            keep=(image, visit.func),
        )
