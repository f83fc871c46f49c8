"""What an image leaves to the base images it builds on: their functions, which it calls through slots that the loader fills.

Inlining stays what it is: a unit of a base image is offered to its callers as any other unit, so a small function of it may
end up inside of its caller, with what it needs, as it would under the JIT. What is called, is called where the base image has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aotnb.bridge.codegen import UnitObject, declarations
from aotnb.building.shards import UnitJob
from aotnb.building.units import closure, entry_symbols
from aotnb.core.elf import symbols
from aotnb.errors import ImageRejected
from aotnb.image.model import Library, Manifest, library_of
from aotnb.image.reader import ImageReader
from aotnb.image.trust import user_key


@dataclass(slots=True)
class Borrowed:
    """Functions that base images provide, and the libraries that are left to these images.

    ``functions`` gives for each symbol the base image and the numbers of its entries that have this code.
    """

    functions: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    libraries: frozenset[str] = frozenset()


def borrowed_from(manifest: Manifest, libraries: dict[str, Library], bases: Iterable[ImageReader]) -> Borrowed:
    """Return what of *libraries* is left to *bases*: what is reached only through entries of theirs."""
    functions: dict[str, tuple[str, list[int]]] = {}
    known: set[str] = set()
    for base in bases:
        shared = libraries.keys() & base.index["code"].keys()
        known |= shared
        for number in sorted({number for numbers in base.index["questions"].values() for number in numbers}):
            native = base.instance(number).symbols.get("native", "")
            if native and library_of(native) in shared:
                image_id, numbers = functions.setdefault(native, (base.image_id, []))
                if image_id == base.image_id:
                    numbers.append(number)
    own = {library_of(symbol) for symbol in entry_symbols(manifest)}
    own.update(libraries.keys() - known)
    stack = sorted(own) if functions else []
    while stack:
        library = libraries[stack.pop()]
        declared = declarations(library.text)
        for used in library.uses:
            called = {name for name in declared if library_of(name) == used}
            if used not in own and not called <= functions.keys():
                own.add(used)
                stack.append(used)
    return Borrowed(functions, frozenset(libraries.keys() - own) if functions else frozenset())


def recorded_bases(images: Iterable[ImageReader], known: Sequence[ImageReader]) -> list[ImageReader]:
    """Return *known* and the base images on which *images* build, as far as they still lie where they lay."""
    found = {base.image_id: base for base in known}
    for image in images:
        for place, image_id in image.index["bases"]:
            if image_id not in found:
                try:
                    base = ImageReader(Path(place))
                except ImageRejected:
                    continue
                if base.image_id == image_id and base.file.signed_by(user_key()):
                    found[image_id] = base
    return [found[image_id] for image_id in sorted(found)]


def units_to_link(jobs: Sequence[UnitJob], objects: Sequence[UnitObject], borrowed: Borrowed) -> list[int]:
    """Return the numbers of the units that the image holds: its own, and those of base images that no entry gives access to.

    The latter are left over where a function was inlined: what it calls is then called from here.
    """
    defined: dict[str, int] = {}
    opened: dict[int, set[str]] = {}
    for number, (job, item) in enumerate(zip(jobs, objects, strict=True)):
        opened[number] = set()
        for symbol in symbols(item.data):
            if not symbol.defined:
                opened[number].add(symbol.name)
        defined.update((job.names.get(name, name), number) for name in job.exported)
    provided = {job.names.get(name, name) for job in jobs for name in job.exported if name in borrowed.functions}
    linked = {number for number, job in enumerate(jobs) if not job.borrowed}
    stack = sorted(linked)
    while stack:
        for name in opened[stack.pop()] - provided:
            provider = defined.get(name)
            if provider is not None and provider not in linked:
                linked.add(provider)
                stack.append(provider)
    return sorted(linked)


def borrowed_slots(borrowed: Borrowed, libraries: dict[str, Library], start: list[str]) -> set[str]:
    """Return the borrowed functions that code of the libraries *start* may call."""
    reached = set(closure(libraries, start))
    return {symbol for symbol in borrowed.functions if library_of(symbol) in reached}
