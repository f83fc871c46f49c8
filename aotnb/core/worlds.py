"""Worlds: which compiled code is valid when, and what a change invalidates. Standard library only.

Glossary: the *world* is a counter that each change of something compiled code has read moves on by one. A *code node* is
compiled code in one place (a specialization behind one live function); it is valid in the worlds ``[min_world,
max_world]``. Its *edges* lead to the code it links, its *backedges* to the code that links it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class CodeNode:
    """Compiled code in one place; *payload* belongs to the layer above. Compared by identity."""

    label: str
    payload: Any = None
    callees: list[CodeNode] = field(default_factory=list)
    callers: dict[CodeNode, None] = field(default_factory=dict)
    min_world: int = 0
    max_world: int | None = None  # None: still valid

    def link(self, callee: CodeNode) -> None:
        """Note that this code links *callee*."""
        if callee is not self and self not in callee.callers:
            self.callees.append(callee)
            callee.callers[self] = None


@dataclass(frozen=True, slots=True)
class Cause:
    """What changed: a kind ("global", "closure", "attribute", "overload", "array"), a name, and both contents in a few words."""

    kind: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Victim:
    """A node that a cause invalidated; *chain* leads from the node that read what changed to this one."""

    node: CodeNode
    cause: Cause
    chain: tuple[CodeNode, ...]

    @property
    def depth(self) -> int:
        """How many calls lie between what changed and this code."""
        return len(self.chain) - 1


class MethodTable:
    """The valid code of a session, by key, and the world counter.

    >>> table = MethodTable()
    >>> f, g = table.add("f", CodeNode("f")), table.add("g", CodeNode("g"))
    >>> f.link(g)
    >>> [victim.node.label for victim in table.invalidate({g: Cause("global", "K", "1", "2")})]
    ['g', 'f']
    >>> table.world, f.max_world
    (2, 1)
    """

    def __init__(self) -> None:
        self.world = 1
        self._nodes: dict[Hashable, CodeNode] = {}
        self._keys: dict[CodeNode, Hashable] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, key: Hashable) -> CodeNode | None:
        """Return the valid node with this key."""
        return self._nodes.get(key)

    def add(self, key: Hashable, node: CodeNode) -> CodeNode:
        """Make *node* valid from this world on."""
        node.min_world = self.world
        self._nodes[key] = node
        self._keys[node] = key
        return node

    def nodes(self) -> list[CodeNode]:
        """Return the valid nodes in the order in which they were added."""
        return list(self._nodes.values())

    def invalidate(self, hit: Mapping[CodeNode, Cause]) -> list[Victim]:
        """Start a new world in which the nodes in *hit*, and all code that links them, are no longer valid.

        Returns the victims, nearest first; code that calls itself in a circle falls together. Each victim counts once,
        with the shortest chain. Nothing happens if *hit* is empty.
        """
        if not hit:
            return []
        victims: dict[CodeNode, Victim] = {node: Victim(node, cause, (node,)) for node, cause in hit.items()}
        queue = deque(victims.values())
        while queue:
            victim = queue.popleft()
            for caller in victim.node.callers:
                if caller not in victims:
                    victims[caller] = Victim(caller, victim.cause, (*victim.chain, caller))
                    queue.append(victims[caller])
        for node in victims:
            node.max_world = self.world
            self._take_out(node)
        self.world += 1
        return list(victims.values())

    def remove(self, node: CodeNode) -> None:
        """Forget a node without a new world: its code goes on as another node, or nobody can reach it."""
        self._take_out(node)
        for caller in list(node.callers):
            caller.callees.remove(node)
        node.callers.clear()

    def release(self, node: CodeNode, is_held: Callable[[CodeNode], bool]) -> list[CodeNode]:
        """Forget *node*, and what only it linked, unless it is held or a caller still needs it; return what was forgotten."""
        gone: list[CodeNode] = []
        stack = [node]
        while stack:
            current = stack.pop()
            if current.callers or is_held(current) or current not in self._keys:
                continue
            gone.append(current)
            stack.extend(current.callees)
            self._take_out(current)
        return gone

    def _take_out(self, node: CodeNode) -> None:
        key = self._keys.pop(node, None)
        if key is not None and self._nodes.get(key) is node:
            del self._nodes[key]
        for callee in node.callees:
            callee.callers.pop(node, None)
