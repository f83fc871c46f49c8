"""Collects what goes into an image, each thing once: roots by method, code instances by content, libraries by name."""

from __future__ import annotations

from typing import Any

from aotnb.core.digest import canonical, digest
from aotnb.core.roots import RootsTable
from aotnb.image.model import CodeInstance, Library, Manifest, method_key

SELF_KEY = "self"  # stands for the id of the image that is being made


class ManifestBuilder:
    """Grows a :class:`~aotnb.image.model.Manifest`; adding the same content twice gives the same index."""

    def __init__(self) -> None:
        self.instances: list[CodeInstance] = []
        self.libraries: dict[str, Library] = {}
        self.switches: dict[str, dict[str, str]] = {}
        self.overloads: dict[str, list[str]] = {}
        self._tables: dict[str, RootsTable] = {}
        self._by_id: dict[str, int] = {}
        self._names: dict[str, int] = {}

    def root(self, method: str, tree: Any) -> int:
        """Return the index of the root *tree* in the table of *method*."""
        reference, _ = self._tables.setdefault(method, RootsTable()).add(tree, SELF_KEY)
        return reference.index

    def name(self, text: str) -> int:
        """Return the index of *text* in the table of names."""
        return self._names.setdefault(text, len(self._names))

    def reserve(self, instance: CodeInstance) -> int:
        """Give *instance* an index before its callees are known (they may lead back to it)."""
        self.instances.append(instance)
        return len(self.instances) - 1

    def seal(self, index: int) -> None:
        """Compute the id of a complete instance."""
        instance = self.instances[index]
        instance.id = instance_id(instance, self.instances)
        self._by_id.setdefault(instance.id, index)

    def find(self, identity: str) -> int | None:
        """Return the index of the instance with this id."""
        return self._by_id.get(identity)

    def roots_of(self, method: str) -> list[Any]:
        """Return the roots of a method in order of their index."""
        table = self._tables.get(method)
        return [] if table is None else table.owned(SELF_KEY)

    def finish(self, process: dict[str, Any], cpu: str, features: str, dropped: list[dict[str, str]]) -> Manifest:
        """Return the manifest, in an order that does not depend on the order of compilation."""
        order = sorted(range(len(self.instances)), key=lambda index: (self.instances[index].id, index))
        position = {old: new for new, old in enumerate(order)}
        names = sorted(self._names)
        renamed = {self._names[text]: new for new, text in enumerate(names)}
        tables, moved = self._sorted_tables()
        for instance in self.instances:
            roots = moved[method_key(instance)] if method_key(instance) in moved else {}
            instance.args = [roots[i] for i in instance.args]
            instance.consts = [roots[i] for i in instance.consts]
            instance.return_type = None if instance.return_type is None else roots[instance.return_type]
            instance.explicit_return = None if instance.explicit_return is None else roots[instance.explicit_return]
            instance.resolved = sorted(renamed[i] for i in instance.resolved)
            instance.callees = sorted(([position[i], path] for i, path in instance.callees), key=canonical)
            instance.edges.sort(key=lambda edge: (edge.kind, edge.where, edge.name, edge.digest))
        for library in self.libraries.values():
            for slot, (kind, owner, root) in library.slots.items():
                if owner >= 0:
                    table = moved[method_key(self.instances[owner])] if root >= 0 else {}
                    library.slots[slot] = [kind, position[owner], table.get(root, -1)]
        return Manifest(
            process=process,
            cpu=cpu,
            features=features,
            instances=[self.instances[old] for old in order],
            methods=tables,
            names=names,
            switches=dict(sorted(self.switches.items())),
            overloads=dict(sorted(self.overloads.items())),
            dropped=sorted(dropped, key=canonical),
        )

    def _sorted_tables(self) -> tuple[dict[str, list[Any]], dict[str, dict[int, int]]]:
        """Order the roots of each method by content, so that the bytes of the image do not tell the order of compilation."""
        tables, moved = {}, {}
        for method in sorted(self._tables):
            trees = self.roots_of(method)
            order = sorted(range(len(trees)), key=lambda i: canonical(trees[i]))
            tables[method] = [trees[i] for i in order]
            moved[method] = {old: new for new, old in enumerate(order)}
        return tables, moved


def instance_id(instance: CodeInstance, instances: list[CodeInstance]) -> str:
    """Return the id that follows from what an instance is and read; a callee that is not sealed yet counts by its method."""
    callees = [[instances[i].id or method_key(instances[i]), path] for i, path in instance.callees]
    edges = [[edge.kind, edge.where, edge.name, edge.digest] for edge in instance.edges]
    return digest([instance.key, method_key(instance), instance.library, sorted(edges), sorted(callees, key=canonical)])
