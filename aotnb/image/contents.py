"""What an image holds, for reports: who uses which root, and its entries as comparisons see them. Runs nothing of it."""

from __future__ import annotations

from pathlib import Path

from aotnb.core.digest import digest
from aotnb.core.records import Specialization
from aotnb.core.text import Use
from aotnb.image.functions import functions_of
from aotnb.image.model import method_key, references
from aotnb.image.reader import ImageReader

_SLOTS = {"obj": "object", "dyn": "address"}


HELPERS = "helpers of Numba's runtime"


def root_uses(reader: ImageReader) -> dict[tuple[str, int], list[Use]]:
    """Return every reference of an image, by (method, index): one for each mention in a code instance or a slot."""
    found: dict[tuple[str, int], list[Use]] = {}
    for number in range(len(reader)):
        tree = reader.stored(number)
        method = f"{tree['module']}:{tree['qualname']}:{tree['method']}"
        for role, index in references(tree):
            found.setdefault((method, index), []).append(Use(role, tree["signature"], number))
    for _, _, _, slots in reader.index["code"].values():
        for kind, owner, root in slots.values():
            if root >= 0:
                tree = reader.stored(owner)
                method = f"{tree['module']}:{tree['qualname']}:{tree['method']}"
                found.setdefault((method, root), []).append(Use(_SLOTS.get(kind, kind), tree["signature"], owner))
    return found


def specializations(path: str | Path) -> list[Specialization]:
    """Return the entries of an image.

    Raises
    ------
    ImageRejected
        If the file is missing, is no image, or is damaged.
    """
    reader = ImageReader(path)
    return [specialization(reader, number) for number in range(len(reader)) if reader.instance(number).entry]


def specialization(reader: ImageReader, number: int) -> Specialization:
    """Return one code instance of an image as comparisons see it."""
    instance = reader.instance(number)
    return Specialization(
        function=instance.qualname,
        module=instance.module,
        signature=instance.signature,
        kind=instance.kind,
        method=instance.method,
        edges={(edge.kind, edge.where, edge.name): (edge.digest, edge.summary) for edge in instance.edges},
        roots=frozenset(digest(reader.method_root(method_key(instance), i)) for _, i in references(reader.stored(number))),
    )


def code_sizes(path: str | Path) -> list[tuple[str, str, int]]:
    """Return (function, CPU target, bytes of machine code) for each function and target; helpers of the runtime are one.

    What is inlined everywhere has no code of its own and is left out.
    """
    reader = ImageReader(path)
    labels = [target.label for target in reader.targets]
    sizes = {  # a linker keeps one of each symbol and target
        (row["symbol"], row["target"]): (f"{row['module']}.{row['function']}" if row["function"] else HELPERS, row["bytes"])
        for row in functions_of(reader)
        if row["bytes"]
    }
    by_target = sorted(sizes.items(), key=lambda item: item[0][1])
    return [(function, labels[target], size) for (_, target), (function, size) in by_target]
