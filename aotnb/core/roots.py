"""The roots table of one method: append-only, content-hashed, in blocks keyed by owner. Standard library only.

Glossary: a *root* is an object that compiled code refers to; its *reference* is ``(key, index)``, where *key* names the
image or live session that added it and *index* counts the roots with that key only, so it never depends on what else was
compiled. The absolute position in the table is private to the process.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aotnb.core.digest import digest


@dataclass(frozen=True, slots=True, order=True)
class RootReference:
    """Where a root is found: the owner's key and the index among the roots of that owner."""

    key: str
    index: int


class UnresolvedRoot(LookupError):
    """A reference that the table cannot satisfy; never answered by a stray object."""


class RootsTable:
    """Roots of one method: ``hash -> index -> object`` with O(1) insertion.

    >>> table = RootsTable()
    >>> table.add(["int", "1"], key="image")
    (RootReference(key='image', index=0), True)
    >>> table.add(["int", "1"], key="session")  # known content keeps its first owner
    (RootReference(key='image', index=0), False)
    """

    def __init__(self) -> None:
        self._trees: list[Any] = []
        self._by_digest: dict[str, int] = {}
        # run-length blocks: _keys[i] owns the positions from _starts[i] to the next start
        self._keys: list[str] = []
        self._starts: list[int] = []
        self._counts: dict[str, int] = {}
        self._offsets: list[int] = []  # index, within its key, of each block's first root
        self._blocks_of: dict[str, tuple[list[int], list[int]]] = {}  # key -> its blocks, and their offsets

    def __len__(self) -> int:
        return len(self._trees)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._trees)

    def add(self, tree: Any, key: str) -> tuple[RootReference, bool]:
        """Add the encoded root *tree* for owner *key* unless its content is known; return its reference and whether it is new."""
        content = digest(tree)
        position = self._by_digest.get(content)
        if position is not None:
            return self.reference(position), False
        return self.append(tree, key, content), True

    def append(self, tree: Any, key: str, content: str | None = None) -> RootReference:
        """Append *tree* in the block of *key*, even if its content is known under another owner."""
        position = len(self._trees)
        if not self._keys or self._keys[-1] != key:
            blocks, offsets = self._blocks_of.setdefault(key, ([], []))
            blocks.append(len(self._keys))
            offsets.append(self._counts.get(key, 0))
            self._keys.append(key)
            self._starts.append(position)
            self._offsets.append(self._counts.get(key, 0))
        self._trees.append(tree)
        self._by_digest.setdefault(content or digest(tree), position)
        index = self._counts.get(key, 0)
        self._counts[key] = index + 1
        return RootReference(key, index)

    def reference(self, position: int) -> RootReference:
        """Translate an absolute position into a reference."""
        if not 0 <= position < len(self._trees):
            raise UnresolvedRoot(f"no root at position {position}; the table holds {len(self._trees)}")
        block = bisect_right(self._starts, position) - 1
        return RootReference(self._keys[block], self._offsets[block] + position - self._starts[block])

    def resolve(self, reference: RootReference) -> Any:
        """Return the encoded root of *reference*, or raise :class:`UnresolvedRoot`."""
        if 0 <= reference.index < self._counts.get(reference.key, 0):
            blocks, offsets = self._blocks_of[reference.key]
            block = blocks[bisect_right(offsets, reference.index) - 1]
            return self._trees[self._starts[block] + reference.index - self._offsets[block]]
        raise UnresolvedRoot(f"no root {reference.index} of owner {reference.key}; it has {self._counts.get(reference.key, 0)}")

    def count(self, key: str) -> int:
        """Return how many roots *key* owns."""
        return self._counts.get(key, 0)

    def owned(self, key: str) -> list[Any]:
        """Return the roots of *key* in the order of their indexes: what an image stores for this method."""
        return [self.resolve(RootReference(key, index)) for index in range(self.count(key))]

    def blocks(self) -> list[tuple[str, int]]:
        """Return the run-length table as (key, start position) pairs."""
        return list(zip(self._keys, self._starts, strict=True))
