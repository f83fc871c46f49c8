"""The grain of object code: an entry with what only it reaches; what several entries share is a unit of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aotnb.image.model import CodeInstance, Library, Manifest, library_of


@dataclass(slots=True)
class Unit:
    """Libraries that are compiled into one object; *available* are the earlier units whose functions it may inline."""

    libraries: list[str]
    available: list[int]
    exported: frozenset[str]
    borrowed: bool = False  # its libraries are left to a base image
    wrapper: bool = False  # its libraries are shared by all targets, and call what is cloned


def closure(libraries: dict[str, Library], starts: list[str]) -> list[str]:
    """Return the names of all libraries that *starts* use, themselves included, sorted."""
    seen: set[str] = set()
    stack = list(starts)
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            stack.extend(libraries[name].uses)
    return sorted(seen)


def entry_symbols(manifest: Manifest) -> list[str]:
    """Return the functions that the loader binds, sorted; tools hand the bare native function of an entry to C."""
    return sorted({name for i in manifest.instances if is_bound(i) for name in i.symbols.values()})


def is_bound(instance: CodeInstance) -> bool:
    """Return whether the loader binds the code of *instance* itself: an entry, or a block in object mode of one."""
    return instance.entry or instance.kind == "lifted"


def plan_units(
    manifest: Manifest,
    libraries: dict[str, Library],
    *,
    cloned: Sequence[set[str]] = (),
    wrappers: Collection[str] = (),
    borrowed: Collection[str] = (),
) -> list[Unit]:
    """Split the libraries of an image into units, each after those it uses.

    All libraries of a unit are members of the same sets of *cloned*; where these leave something out, *wrappers* have
    units of their own, since they reach what is cloned through a slot; and so have those that are *borrowed* from base images.
    """
    partial = [members for members in cloned if len(members) < len(libraries)]
    symbols = entry_symbols(manifest)
    entry_of: dict[str, str] = {}
    for instance in manifest.instances:
        for symbol in instance.symbols.values() if is_bound(instance) else ():
            entry_of.setdefault(symbol, instance.id)
    reached_by: dict[str, set[str]] = {name: set() for name in libraries}
    for symbol in symbols:
        for name in closure(libraries, [library_of(symbol)]):
            reached_by[name].add(entry_of[symbol])
    groups: dict[tuple[tuple[str, ...], bool, bool, tuple[bool, ...]], list[str]] = {}
    for name in sorted(libraries):
        if reached_by[name]:
            kind = name not in borrowed, bool(partial) and name in wrappers, tuple(name in members for members in partial)
            groups.setdefault((tuple(sorted(reached_by[name])), *kind), []).append(name)
    # what more entries reach comes first: a unit uses only units that are reached by all that reach itself, and others;
    # what calls something that is cloned is cloned as well, or a wrapper
    ordered = sorted(groups.items(), key=lambda item: (-len(item[0][0]), *item[0][:3], sum(item[0][3]), item[0][3]))
    owner = {name: number for number, (_, group) in enumerate(ordered) for name in group}
    called = {used for name in owner for used in libraries[name].uses if owner[used] != owner[name]}
    units = []
    for number, ((_, own, wrapper, _), group) in enumerate(ordered):
        # later ones are called through Python
        used = {owner[other] for name in group for other in libraries[name].uses if owner[other] < number}
        exported = {symbol for symbol in symbols if owner[library_of(symbol)] == number}
        exported |= {function for name in group if name in called for function in declared_functions(libraries[name])}
        units.append(Unit(group, sorted(used), frozenset(exported), not own, wrapper))
    return units


def declared_functions(library: Library) -> list[str]:
    """Return the functions of *library* that other libraries may call."""
    return re.findall(rf'^define (?!internal|private)[^@]*@"?({re.escape(library.name)}\.f\d+)"?\(', library.text, re.MULTILINE)
