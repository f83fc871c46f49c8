"""Facts about a live code library: its raw modules, what it links, and which recursive calls it left open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding as ll

from aotnb.bridge.hooks import RAW
from aotnb.bridge.irtext import UNRESOLVED


@dataclass(slots=True)
class LibraryFacts:
    """What the planner needs to know about a code library."""

    library: Any
    name: str
    bitcodes: list[bytes]
    links: list[Any]
    unresolved: list[str] = field(default_factory=list)
    missing: bool = False


def linked_libraries(library: Any) -> list[Any]:
    """Return the code libraries that *library* links directly."""
    return list(dict.fromkeys(library._linking_libraries))


def library_facts(library: Any, with_python: bool = False) -> LibraryFacts:
    """Describe *library*; its wrappers for Python and for C are left out unless asked for."""
    raw = library.__dict__.get(RAW)
    facts = LibraryFacts(library, library.name, [], linked_libraries(library), missing=not raw)
    for bitcode in raw or ():
        module = ll.parse_bitcode(bitcode)
        names = [function.name for function in module.functions if not function.is_declaration]
        is_python = any(name.startswith("_ZN7cpython") for name in names)
        is_c = any(name.startswith("cfunc.") for name in names)
        if (is_python or is_c) and not with_python:
            continue
        facts.bitcodes.append(bitcode)
        for variable in module.global_variables:
            if variable.name.startswith(UNRESOLVED):
                facts.unresolved.append(variable.name[len(UNRESOLVED) :])
    return facts
