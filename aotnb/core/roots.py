"""The roots table of one method: append-only, content-hashed, in blocks keyed by owner. Standard library only.

Glossary: a *root* is an object that compiled code refers to; its *reference* is ``(key, index)``, where *key* names the
image or live session that added it and *index* counts the roots with that key only, so it never depends on what else was
compiled. The absolute position in the table is private to the process. The *registry* holds the tables of all methods of a
process; a loaded image adds its block to the table of a method when that method is first needed.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aotnb.core.digest import digest

UNKNOWN = "0"  # the key of roots of unknown origin: they mean something in this process only


@dataclass(frozen=True, slots=True, order=True)
class RootReference:
    """Where a root is found: the owner's key and the index among the roots of that owner."""

    key: str
    index: int

    @property
    def relocatable(self) -> bool:
        """Return whether another process can be given this root."""
        return self.key != UNKNOWN


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
        self._indexed = 0  # positions below are in _by_digest; a block is digested only when somebody adds to the table
        self._duplicates = 0
        self._unknown: set[int] = set()
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
        """Add the encoded root *tree* for owner *key* unless its content is known; return its reference and whether it is new.

        Roots of unknown origin are all different: what they look like does not tell what they are.
        """
        if key == UNKNOWN:
            return self.append(tree, key), True
        content = digest(tree)
        self._digest_all()
        position = self._by_digest.get(content)
        if position is not None:
            return self.reference(position), False
        reference = self.append(tree, key)
        self._by_digest[content] = self._indexed
        self._indexed += 1
        return reference, True

    def _digest_all(self) -> None:
        while self._indexed < len(self._trees):
            if self._indexed not in self._unknown:
                first = self._by_digest.setdefault(digest(self._trees[self._indexed]), self._indexed)
                self._duplicates += first != self._indexed
            self._indexed += 1

    @property
    def duplicates(self) -> int:
        """How many roots have the content of an earlier one, as two images may bring the same."""
        self._digest_all()
        return self._duplicates

    def find(self, tree: Any) -> int | None:
        """Return the absolute position of the first root with the content of *tree*."""
        self._digest_all()
        return self._by_digest.get(digest(tree))

    def append(self, tree: Any, key: str) -> RootReference:
        """Append *tree* in the block of *key*, even if its content is known under another owner."""
        position = len(self._trees)
        if key == UNKNOWN:
            self._unknown.add(position)
        if not self._keys or self._keys[-1] != key:
            blocks, offsets = self._blocks_of.setdefault(key, ([], []))
            blocks.append(len(self._keys))
            offsets.append(self._counts.get(key, 0))
            self._keys.append(key)
            self._starts.append(position)
            self._offsets.append(self._counts.get(key, 0))
        self._trees.append(tree)
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


class RootsRegistry:
    """The roots tables of all methods of a process, by method.

    >>> registry = RootsRegistry()
    >>> registry.add_block("m:f", "image", lambda: [["int", "1"]])
    >>> registry.resolve("m:f", RootReference("image", 0))
    ['int', '1']
    """

    def __init__(self) -> None:
        self._tables: dict[str, RootsTable] = {}
        self._blocks: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def table(self, method: str) -> RootsTable:
        """Return the table of *method*, an empty one at first."""
        known = self._tables.get(method)
        if known is not None:
            return known
        with self._lock:
            return self._tables.setdefault(method, RootsTable())

    def methods(self) -> list[str]:
        """Return the methods that have a table, in the order in which they came."""
        return list(self._tables)

    def add_block(self, method: str, key: str, read: Callable[[], list[Any]]) -> None:
        """Append the roots that the image *key* stores for *method*; *read* is asked only the first time."""
        if (method, key) in self._blocks:
            return
        trees = read()
        table = self.table(method)
        with self._lock:
            if (method, key) not in self._blocks:
                for tree in trees:
                    table.append(tree, key)
                self._blocks.add((method, key))

    def resolve(self, method: str, reference: RootReference) -> Any:
        """Return the encoded root of *reference* in the table of *method*, or raise :class:`UnresolvedRoot`."""
        table = self._tables.get(method)
        if table is None:
            raise UnresolvedRoot(f"{method} has no roots here")
        return table.resolve(reference)
