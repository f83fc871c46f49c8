"""Which libraries are worth code of their own for each CPU, decided with all of an image in view.

After Julia: what has a loop, vectors or fast-math is cloned, and so is what calls it, up to a fixpoint. Scalar helpers and the
wrappers through which Python calls are shared by all targets.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from aotnb.bridge.irtext import looping_functions
from aotnb.building.functions import UnitCode
from aotnb.building.shards import UnitJob
from aotnb.building.units import entry_symbols, plan_units
from aotnb.core.targets import Target
from aotnb.image.model import Library, Manifest, library_of

_VECTOR = re.compile(r"<\d+ x ")
_MATH = re.compile(r"\b(?:fast|reassoc|contract|afn|arcp) |@llvm\.fma|@llvm\.fmuladd")

STUB = ".reloc"  # ends the name under which shared wrappers call what is cloned


@dataclass(frozen=True, slots=True)
class Traits:
    """What the raw IR of a library says about it."""

    loop: bool
    vector: bool
    math: bool


@dataclass(slots=True)
class Versions:
    """What is to be compiled for all targets.

    ``clones`` gives, for each function in the table, the further targets that have code of their own; ``redirected`` lists
    those that shared wrappers reach through a slot.
    """

    jobs: list[UnitJob]
    clones: dict[str, list[int]]
    redirected: list[str]


def versions_of(
    manifest: Manifest, libraries: dict[str, Library], targets: list[Target], borrowed: Collection[str] = ()
) -> Versions:
    """Decide with everything in view what is cloned, and return the units of each target, each after those it uses.

    *borrowed* are the libraries that are left to base images.
    """
    wrappers = wrapper_libraries(manifest)
    traits = {name: traits_of(library.text) for name, library in libraries.items()} if len(targets) > 1 else {}
    cloned = cloned_libraries(libraries, traits, wrappers, targets)
    partial = [number for number, members in enumerate(cloned) if len(members) < len(libraries)]
    units = plan_units(manifest, libraries, cloned=cloned, wrappers=wrappers, borrowed=borrowed)
    owner = {name: number for number, unit in enumerate(units) for name in unit.libraries}
    place: dict[tuple[int, int], int] = {}
    jobs: list[UnitJob] = []
    redirected: set[str] = set()

    def has(unit: int, target: int) -> bool:
        return units[unit].libraries[0] in cloned[target]

    def provider(unit: int, target: int) -> int:
        return target if has(unit, target) else targets[target].base

    for number, unit in enumerate(units):
        texts = [libraries[name].text for name in unit.libraries]
        code = UnitCode(texts, sum(has(number, target) for target in range(len(targets))))
        called = {owner[used] for name in unit.libraries for used in libraries[name].uses} | {number}
        for target, cpu in enumerate(targets):
            if not has(number, target):
                continue
            names: dict[str, str] = {}
            available = []
            for other in sorted(called):
                if unit.wrapper and other != number and any(has(other, further) for further in partial):
                    behind = units[other].exported & code.declared
                    redirected |= behind
                    names.update((name, name + STUB) for name in behind)
                    continue
                if suffix := _suffix(provider(other, target)):
                    names.update((name, name + suffix) for name in units[other].exported)
                if other in unit.available:
                    available.append(place[other, provider(other, target)])
            place[number, target] = len(jobs)
            suffix = _suffix(target)
            jobs.append(
                UnitJob(
                    code,
                    available,
                    unit.exported,
                    cpu.cpu,
                    cpu.features,
                    size=cpu.size,
                    suffix=suffix,
                    names=names,
                    target=target,
                    borrowed=unit.borrowed,
                )
            )
    clones = {}
    for name in sorted({*entry_symbols(manifest), *redirected}):
        if numbers := [number for number in range(1, len(targets)) if library_of(name) in cloned[number]]:
            clones[name] = numbers
    return Versions(jobs, clones, sorted(redirected))


def _suffix(target: int) -> str:
    return f".{target}" if target else ""


def traits_of(text: str) -> Traits:
    """Return the traits of the text of a library."""
    return Traits(bool(looping_functions(text)), bool(_VECTOR.search(text)), bool(_MATH.search(text)))


def wrapper_libraries(manifest: Manifest) -> set[str]:
    """Return the libraries that hold nothing but the way in from Python or C."""
    found = set()
    for instance in manifest.instances:
        for kind in ("python", "c"):
            if kind in instance.symbols and library_of(instance.symbols[kind]) != instance.library:
                found.add(library_of(instance.symbols[kind]))
    return found


def cloned_libraries(
    libraries: dict[str, Library], traits: dict[str, Traits], wrappers: set[str], targets: list[Target]
) -> list[set[str]]:
    """Return, for each target, the libraries that have code of their own for it. The first target has all."""
    callers: dict[str, list[str]] = {}
    for name, library in libraries.items():
        for used in library.uses:
            callers.setdefault(used, []).append(name)
    found = [set(libraries)]
    for target in targets[1:]:
        if target.clone_all:
            found.append(set(libraries))
            continue
        gained = set(target.needs) - set(targets[target.base].needs)
        vector = any(name.startswith(("sse", "ssse", "avx")) for name in gained)
        math = bool(gained & {"fma", "fma4"})
        chosen = {
            name
            for name, trait in traits.items()
            if name not in wrappers and (trait.loop or (vector and trait.vector) or (math and trait.math))
        }
        stack = list(chosen)
        while stack:
            for caller in callers.get(stack.pop(), ()):
                if caller not in chosen and caller not in wrappers:
                    chosen.add(caller)
                    stack.append(caller)
        found.append(chosen)
    return found
