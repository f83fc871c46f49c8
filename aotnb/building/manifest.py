"""Collects what goes into an image, each thing once: roots by method, code instances by content, libraries by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from aotnb.core.digest import canonical, digest
from aotnb.core.roots import RootReference, RootsTable
from aotnb.errors import NotRelocatable
from aotnb.image.model import (
    CodeInstance,
    Library,
    Manifest,
    code_libraries,
    library_of,
    method_key,
    move_roots,
    root_indexes,
    spelled_roots,
    stored,
)
from aotnb.image.reader import ImageReader

SELF_KEY = "self"  # stands for the id of the image that is being made


class ManifestBuilder:
    """Grows a :class:`~aotnb.image.model.Manifest`; adding the same content twice gives the same index.

    Entries of the images with the ids *bases* are left to these: what is taken over of them is no entry here.
    """

    def __init__(self, bases: Collection[str] = ()) -> None:
        self._bases = frozenset(bases)
        self.instances: list[CodeInstance] = []
        self.libraries: dict[str, Library] = {}
        self.switches: dict[str, dict[str, str]] = {}
        self._tables: dict[str, RootsTable] = {}
        self._by_id: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._imported: dict[tuple[str, int], int] = {}

    def root(self, method: str, tree: Any) -> int:
        """Return the index of the root *tree* in the table of *method*; one of unknown origin is refused."""
        if tree[0] == "unknown":
            raise NotRelocatable(f"root of unknown origin: {tree[1]}")
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

    def import_instance(self, image: ImageReader, number: int) -> int:
        """Take over a code instance of another image with everything it depends on; return its index here."""
        known = self._imported.get((image.image_id, number))
        if known is not None:
            return known
        old = image.instance(number)
        if image.image_id in self._bases:
            native = {kind: symbol for kind, symbol in old.symbols.items() if library_of(symbol) == old.library}
            old = replace(old, entry=False, symbols=native)
        if (same := self.find(old.id)) is not None:
            self._imported[image.image_id, number] = same
            if old.entry:
                # the same code, but Python calls it only there: its wrappers come from there as well
                here = self.instances[same]
                here.symbols, here.entry = {**old.symbols, **here.symbols}, True
                here.extra = {**(old.extra or {}), **(here.extra or {})} or None
                self._import_libraries(image, code_libraries(old))
            return same
        table = method_key(old)

        def moved(index: int) -> int:
            return self.root(table, image.root(old, index))

        resolved = [self.name(image.index["names"][i]) for i in old.resolved]
        record = replace(old, resolved=resolved, edges=list(old.edges), callees=[])
        move_roots(record, moved)
        index = self._imported[image.image_id, number] = self.reserve(record)
        self._by_id.setdefault(record.id, index)
        record.callees = [[self.import_instance(image, callee), path] for callee, path in old.callees]
        if record.refusal is not None:
            record.refusal[1] = [self.import_instance(image, quoted) for quoted in record.refusal[1]]
        if old.config in image.index["switches"]:
            self.switches[old.config] = image.index["switches"][old.config]
        self._import_libraries(image, code_libraries(old))
        return index

    def _import_libraries(self, image: ImageReader, names: list[str]) -> None:
        for name in names:
            if name in self.libraries:
                continue
            _, _, uses, slots = image.index["code"][name]
            library = self.libraries[name] = Library(name, image.library_text(name), {}, uses)
            for slot, (kind, owner, root) in slots.items():
                if owner < 0:
                    library.slots[slot] = [kind, -1, -1]
                    continue
                here = self.import_instance(image, owner)
                instance = image.instance(owner)
                index = -1 if root < 0 else self.root(method_key(instance), image.root(instance, root))
                library.slots[slot] = [kind, here, index]
            self._import_libraries(image, uses)

    def finish(self, process: dict[str, Any], dropped: list[dict[str, str]]) -> Manifest:
        """Return the manifest, in an order that does not depend on the order of compilation."""
        order, position = self._ordered()
        names = sorted(self._names)
        renamed = {self._names[text]: new for new, text in enumerate(names)}
        tables, moved = self._sorted_tables(order)
        for instance in (self.instances[index] for index in order):
            roots = moved.get(method_key(instance), {})
            move_roots(instance, roots.__getitem__)
            if instance.refusal is not None:
                instance.refusal[1] = [position[i] for i in instance.refusal[1]]
            instance.resolved = sorted(renamed[i] for i in instance.resolved)
            callees = {canonical([position[i], path]): [position[i], path] for i, path in instance.callees}
            instance.callees = [callees[text] for text in sorted(callees)]
            instance.edges.sort(key=lambda edge: (edge.kind, edge.where, edge.name, edge.digest))
        for library in self.libraries.values():
            for slot, (kind, owner, root) in library.slots.items():
                if owner >= 0:
                    table = moved[method_key(self.instances[owner])] if root >= 0 else {}
                    library.slots[slot] = [kind, position[owner], table.get(root, -1)]
        return Manifest(
            process=process,
            instances=[self.instances[old] for old in order],
            methods=tables,
            names=names,
            switches=dict(sorted(self.switches.items())),
            dropped=sorted(dropped, key=canonical),
        )

    def _ordered(self) -> tuple[list[int], dict[int, int]]:
        """Return what is saved in the order of its content, the same content once, and the place of each instance in it."""
        names = list(self._names)
        contents = {index: self._content(self.instances[index], names) for index in self._reachable()}
        first: dict[str, int] = {}
        for index in sorted(contents):
            kept = first.setdefault(contents[index], index)
            self.instances[kept].entry |= self.instances[index].entry
        places = {text: place for place, text in enumerate(sorted(first))}
        return [first[text] for text in places], {index: places[text] for index, text in contents.items()}

    def _content(self, instance: CodeInstance, names: list[str]) -> str:
        """Return a text that two instances share only if it does not matter which of them is used."""
        table = method_key(instance)

        def tree(index: int | None) -> Any:
            return None if index is None else self._tables[table].resolve(RootReference(SELF_KEY, index))

        roots = (*instance.args, instance.return_type, instance.explicit_return, *instance.consts)
        callees = sorted(canonical([self.instances[callee].id, path]) for callee, path in instance.callees)
        resolved = sorted(names[number] for number in instance.resolved)
        rest = [instance.kind, instance.signature, instance.symbols, instance.extra, instance.literals, instance.globals_module]
        if instance.refusal is not None:
            rest += [tree(instance.refusal[0]), [self.instances[quoted].id for quoted in instance.refusal[1]]]
        return canonical([instance.id, table, [tree(index) for index in roots], callees, resolved, rest])

    def _reachable(self) -> set[int]:
        """Return what the entries depend on; parts of functions that were left out in the end are not saved."""
        stack = [index for index, instance in enumerate(self.instances) if instance.entry]
        stack += [owner for library in self.libraries.values() for _, owner, _ in library.slots.values() if owner >= 0]
        seen: set[int] = set()
        while stack:
            index = stack.pop()
            if index not in seen:
                seen.add(index)
                stack.extend(callee for callee, _ in self.instances[index].callees)
        return seen

    def _sorted_tables(self, kept: list[int]) -> tuple[dict[str, list[Any]], dict[str, dict[int, int]]]:
        """Return the roots that the *kept* instances refer to, by method, and where each index has moved to.

        They are ordered by content, so that the bytes of the image do not tell the order of compilation.
        """
        used: dict[str, dict[str, Any]] = {}
        origin: dict[str, dict[int, str]] = {}

        def use(method: str, index: int) -> None:
            if index not in origin.setdefault(method, {}):
                tree = self._tables[method].resolve(RootReference(SELF_KEY, index))
                origin[method][index] = text = canonical(tree)
                used.setdefault(method, {})[text] = tree

        for instance in (self.instances[index] for index in kept):
            method = method_key(instance)
            for index in root_indexes(instance):
                use(method, index)
            used.setdefault(method, {}).update((canonical(tree), tree) for tree in spelled_roots(instance))
        for library in self.libraries.values():
            for _, owner, root in library.slots.values():
                if root >= 0:
                    use(method_key(self.instances[owner]), root)
        tables, moved = {}, {}
        for method in sorted(used):
            texts = sorted(used[method])
            position = {text: number for number, text in enumerate(texts)}
            tables[method] = [used[method][text] for text in texts]
            moved[method] = {old: position[text] for old, text in origin.get(method, {}).items()}
        return tables, moved


def stored_instances(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Yield what the file holds of each instance of a finished manifest."""
    positions: dict[str, dict[str, int]] = {}
    for instance in manifest.instances:
        method = method_key(instance)
        if method not in positions:
            positions[method] = {canonical(tree): number for number, tree in enumerate(manifest.methods.get(method, ()))}
        known = positions[method]
        yield stored(instance, lambda tree, known=known: known[canonical(tree)])  # type: ignore[misc]


def instance_id(instance: CodeInstance, instances: list[CodeInstance]) -> str:
    """Return the id that follows from what an instance is and read; a callee that is not sealed yet counts by its method."""
    callees = [[instances[i].id or method_key(instances[i]), path] for i, path in instance.callees]
    edges = [[edge.kind, edge.where, edge.name, edge.digest] for edge in instance.edges]
    return digest([instance.key, method_key(instance), instance.library, sorted(edges), sorted(callees, key=canonical)])
