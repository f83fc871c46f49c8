"""What happens to roots when two images are loaded into one process, and what other ways of storing them would cost.

Nothing is renumbered: each image has a block of its own in the table of each method, and a reference is (key, index). The
costs are those of the proposals that were made for Julia before it settled on that.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aotnb.core.digest import canonical
from aotnb.core.roots import RootReference, RootsRegistry
from aotnb.core.text import root_kind, root_text
from aotnb.image.contents import root_uses
from aotnb.image.reader import ImageReader

KEY_BYTES, START_BYTES, DIGEST_BYTES = 16, 4, 16  # of a block: its key and its start; of an entry in a hash table


@dataclass(frozen=True, slots=True)
class MergedRoot:
    """One root after a merge. ``shared_with`` = the reference of the root with the same content in the other image."""

    method: str
    image: str
    key: str
    index: int
    position: int
    kind: str
    value: str
    size: int
    references: int
    shared_with: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one way of storing roots costs for two images: stored bytes, and references that a load has to rewrite."""

    proposal: str
    roots: int
    size: int
    saved: int  # bytes against private tables
    references: int
    rewritten: int


class Merge:
    """Two images loaded one after the other, or one image alone."""

    def __init__(self, *paths: str | Path) -> None:
        self.registry = RootsRegistry()
        self.paths = [str(path) for path in paths]
        self.readers = [ImageReader(path, self.registry) for path in paths]
        self.uses = [root_uses(reader) for reader in self.readers]
        self.methods = sorted({method for reader in self.readers for method in reader.index["roots"]})
        for method in self.methods:
            for reader in self.readers:
                self.registry.add_block(method, reader.image_id, functools.partial(reader.method_roots, method))

    def _roots(self, method: str) -> list[tuple[int, RootReference, Any]]:
        """Return (number of the image, reference, tree) of each root of a method, in the order of the table."""
        keys = {reader.image_id: number for number, reader in enumerate(self.readers)}
        table = self.registry.table(method)
        references = [table.reference(position) for position in range(len(table))]
        return [(keys[r.key], r, tree) for r, tree in zip(references, table, strict=True)]

    def rows(self) -> list[MergedRoot]:
        """Return one row for each root of each image."""
        found = []
        for method in self.methods:
            roots = self._roots(method)
            owners: dict[str, dict[int, RootReference]] = {}
            for image, reference, tree in roots:
                owners.setdefault(canonical(tree), {}).setdefault(image, reference)
            for position, (image, reference, tree) in enumerate(roots):
                uses = self.uses[image].get((method, reference.index), [])
                role = uses[0].role if uses else "object"
                others = [r for other, r in owners[canonical(tree)].items() if other != image]
                found.append(
                    MergedRoot(
                        method=method,
                        image=self.paths[image],
                        key=reference.key,
                        index=reference.index,
                        position=position,
                        kind=root_kind(role, tree),
                        value=root_text(role, tree),
                        size=len(canonical(tree)),
                        references=len(uses),
                        shared_with=", ".join(f"({other.key}, {other.index})" for other in others),
                    )
                )
        return found

    def proposals(self) -> list[Proposal]:
        """Return what each proposal costs. Rewritten references count every mention of a root whose index changes."""
        private = copies = distinct = distinct_bytes = every = every_bytes = blocks = 0
        references = hashed = renumbered = 0
        for method in self.methods:
            roots = self._roots(method)
            merged: dict[str, int] = {}
            blocks += len({image for image, _, _ in roots})
            for position, (image, reference, tree) in enumerate(roots):
                text = canonical(tree)
                uses = self.uses[image].get((method, reference.index), [])
                holders = len({use.holder for use in uses})
                copies += holders
                private += len(text) * holders
                every += 1
                every_bytes += len(text)
                references += len(uses)
                renumbered += len(uses) if position != reference.index else 0
                hashed += len(uses) if merged.setdefault(text, len(merged)) != reference.index else 0
            distinct += len(merged)
            distinct_bytes += sum(map(len, merged))
        rows = [
            ("private tables", copies, private, 0),
            ("one hashed table", distinct, distinct_bytes + DIGEST_BYTES * distinct, hashed),
            ("renumbering at load", every, every_bytes, renumbered),
            ("owner blocks", every, every_bytes + blocks * (KEY_BYTES + START_BYTES), 0),
        ]
        return [Proposal(name, roots, size, private - size, references, rewritten) for name, roots, size, rewritten in rows]
