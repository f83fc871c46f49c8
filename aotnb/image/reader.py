"""Read an image without running any of its code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aotnb.core.roots import RootReference, RootsRegistry, UnresolvedRoot
from aotnb.core.targets import Target, target_from
from aotnb.errors import AotError, ImageRejected
from aotnb.image.format import PARTS, ImageFile, publish, sealed
from aotnb.image.functions import functions_of, slots_of
from aotnb.image.journal import journal_of, keep_only, locked, read_journal
from aotnb.image.model import FORMAT_VERSION, CodeInstance, instance_from, method_key, method_name, references
from aotnb.image.trust import user_key


class ImageReader:
    """Typed access to the parts of an image; each part is decoded when it is first asked for.

    Roots are looked up by (image id, index) in *registry*, to which the image adds its block of a method when that method
    is first needed. The loader gives the registry of the process; without one the image has its own. *data* is the image
    itself where it is a record of the journal at *path*.
    """

    def __init__(self, path: str | Path, registry: RootsRegistry | None = None, data: bytes | None = None) -> None:
        self.file = ImageFile(Path(path), data)
        self.index: dict[str, Any] = json.loads(bytes(self.file.part("index")))
        self.image_id: str = self.index["image_id"]
        self.registry = RootsRegistry() if registry is None else registry
        self._instances: dict[int, CodeInstance] = {}

    def stored(self, number: int) -> dict[str, Any]:
        """Return code instance *number* as the file holds it: with indexes in the place of roots."""
        offset, length = self.index["instances"][number]
        tree: dict[str, Any] = json.loads(str(self.file.part("instances")[offset : offset + length], "ascii"))
        return tree

    def instance(self, number: int) -> CodeInstance:
        """Return code instance *number*; one that refers to a root which its method does not have is refused."""
        found = self._instances.get(number)
        if found is None:
            tree = self.stored(number)
            method = f"{tree['module']}:{tree['qualname']}:{tree['method']}"
            try:
                found = instance_from(tree, lambda index: self.method_root(method, index))
            except UnresolvedRoot as error:
                raise self._wrong(method, error) from None
            self._instances[number] = found
        return found

    def summary(self, number: int) -> dict[str, Any] | None:
        """Return what an entry of a base image and its callees depend on, each thing once; None for other entries."""
        place = self.index["summaries"].get(str(number))
        if place is None:
            return None
        tree: dict[str, Any] = json.loads(str(self.file.part("instances")[place[0] : place[0] + place[1]], "ascii"))
        return tree

    def __len__(self) -> int:
        return len(self.index["instances"])

    def root(self, instance: CodeInstance, index: int) -> Any:
        """Return root *index* of the method of *instance*; a reference that the table cannot satisfy is refused."""
        return self.method_root(method_key(instance), index)

    def method_root(self, method: str, index: int) -> Any:
        """Return root *index* of *method*."""
        self.registry.add_block(method, self.image_id, lambda: self.method_roots(method))
        try:
            return self.registry.resolve(method, RootReference(self.image_id, index))
        except UnresolvedRoot as error:
            raise self._wrong(method, error) from None

    def _wrong(self, method: str, error: UnresolvedRoot) -> ImageRejected:
        return ImageRejected("malformed", f"{self.file.path} holds a wrong reference in {method_name(method)}: {error}")

    def method_roots(self, method: str) -> list[Any]:
        """Return the roots that the image stores for *method*, in the order of their indexes."""
        place = self.index["roots"].get(method)
        if place is None:
            return []
        trees: list[Any] = json.loads(str(self.file.part("roots")[place[0] : place[0] + place[1]], "ascii"))
        return trees

    @property
    def targets(self) -> list[Target]:
        """The CPU targets, in the order in which they were given."""
        return [target_from(tree) for tree in self.index["targets"]]

    def library_text(self, name: str) -> str:
        """Return the raw IR of a library."""
        from aotnb.image.code import unpack_text

        offset, length = self.index["code"][name][:2]
        return unpack_text(self.file.part("code")[offset : offset + length])


def describe(path: str | Path) -> dict[str, Any]:
    """Return what an image holds, as plain data: nothing of it is run.

    Raises
    ------
    ImageRejected
        If the file is missing, is no image, or is damaged.
    """
    reader = ImageReader(path)
    journal = read_journal(Path(path))
    records = [ImageReader(journal.path, data=record) for record in journal.records]
    index = reader.index
    entries = [_entry(reader, number) for number in range(len(reader)) if reader.instance(number).entry]
    return {
        "path": str(path),
        "image_id": reader.image_id,
        "format": FORMAT_VERSION,
        "size": sum(reader.file.sizes().values()),
        **{name: index["process"][name] for name in ("numba", "llvmlite", "llvm", "numpy", "python", "os", "machine")},
        "target": ";".join(target.label for target in reader.targets),
        "targets": _targets(reader),
        "clones": index["clones"],
        "linked": index["linked"],
        "created_by": index["created_by"],
        "trusted": reader.file.signed_by(user_key()),
        "sections": reader.file.sizes(),
        "code_instances": len(reader),
        "units": index["units"],
        "entries": entries,
        "functions": functions_of(reader),
        "slots": slots_of(reader),
        "dropped": index["dropped"],
        "journal": [_record(record, len(data)) for record, data in zip(records, journal.records, strict=True)],
    }


def _targets(reader: ImageReader) -> list[dict[str, Any]]:
    return [{**target.tree(), "label": target.label} for target in reader.targets]


def _record(reader: ImageReader, size: int) -> dict[str, Any]:
    entries = [_entry(reader, number) for number in range(len(reader)) if reader.instance(number).entry]
    return {
        "image_id": reader.image_id,
        "size": size,
        "linked": reader.index["linked"],
        "targets": _targets(reader),
        "entries": entries,
        "functions": functions_of(reader),
        "slots": slots_of(reader),
    }


def _entry(reader: ImageReader, number: int) -> dict[str, Any]:
    instance = reader.instance(number)
    roots = {index for _, index in references(reader.stored(number))}
    edges = [{"kind": e.kind, "where": e.where, "name": e.name, "digest": e.digest, "summary": e.summary} for e in instance.edges]
    return {
        "function": instance.qualname,
        "module": instance.module,
        "signature": instance.signature,
        "kind": instance.kind,
        "method_digest": instance.method,
        "id": instance.id,
        "outcome": "code" if instance.is_code else "has no typing" if instance.literals is None else "asks for literals",
        "parallel": instance.parallel,
        "roots": len(roots),
        "edges": edges,
        "callees": len(instance.callees),
    }


def verify(path: str | Path) -> list[str]:
    """Return the problems of an image and its journal: checksums, seals, structure. An empty list means that they are sound."""
    problems = _problems(Path(path), None)
    journal = read_journal(Path(path))
    for record in journal.records:
        problems += _problems(journal.path, record)
    return problems + journal.problems


def _problems(path: Path, data: bytes | None) -> list[str]:
    try:
        reader = ImageReader(path, data=data)
    except ImageRejected as error:
        return [str(error)]
    problems = []
    for part in PARTS:
        try:
            reader.file.part(part)
        except ImageRejected as error:
            problems.append(str(error))
    if problems:
        return problems
    try:
        if not reader.file.signed_by(user_key()):
            problems.append(f"{path} was not made by this user; run `aotnb trust {reader.file.image}` if you trust its maker")
        for number in range(len(reader)):
            instance = reader.instance(number)
            for _, root in references(reader.stored(number)):
                reader.root(instance, root)
            problems.extend(
                f"instance {number} refers to a missing callee" for c, _ in instance.callees if not 0 <= c < len(reader)
            )
    except (AotError, KeyError, ValueError, TypeError) as error:
        problems.append(f"{path} is malformed: {error}")
    return problems


def trust(path: str | Path) -> None:
    """Accept an image that somebody else made, and its journal: check them and put this user's seal on them."""
    where, key = Path(path), user_key()
    publish(where, ImageFile(where).parts(), key)
    if not journal_of(where).exists():
        return
    with locked(where) as file:
        journal = read_journal(where)
        keep_only(file, journal.path, [sealed(ImageFile(journal.path, record).parts(), key) for record in journal.records])
