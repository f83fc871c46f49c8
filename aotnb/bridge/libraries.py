"""Facts about a live code library: its raw modules, what it links, and which recursive calls it left open."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Any

from aotnb.bridge.hooks import RAW
from aotnb.bridge.irtext import UNRESOLVED, defined_functions

_UNRESOLVED = re.compile(rf'^@"?{re.escape(UNRESOLVED)}([^"\s]+)"? = ', re.MULTILINE)


@dataclass(slots=True)
class LibraryFacts:
    """What the planner needs to know about a code library."""

    library: Any
    name: str
    texts: list[str]  # its modules as LLVM prints them
    wrappers: list[str]  # those of its wrappers for Python and for C
    links: list[Any]
    wrapper_names: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    missing: bool = False

    def mentions(self, name: str) -> bool:
        """Return whether its own code refers to a function called *name*."""
        return any(f"@{name}" in text or f'@"{name}"' in text for text in self.texts)


def linked_libraries(library: Any) -> list[Any]:
    """Return the code libraries that *library* links directly, each once."""
    return list(dict.fromkeys(library._linking_libraries))


def recorded_bytes(library: Any) -> int:
    """Return how much was recorded of *library*, compressed."""
    return sum(map(len, library.__dict__.get(RAW) or ()))


def library_facts(library: Any) -> LibraryFacts:
    """Describe *library*; its wrappers stand apart, since most callers have no use for them."""
    raw = library.__dict__.get(RAW)
    facts = LibraryFacts(library, library.name, [], [], linked_libraries(library), missing=not raw)
    for data in raw or ():
        # read as text from here on: asking LLVM for each name takes several times as long
        text = zlib.decompress(data).decode()
        names = defined_functions(text)
        if any(name.startswith(("_ZN7cpython", "cfunc.")) for name in names):
            facts.wrappers.append(text)
            facts.wrapper_names += names
        else:
            facts.texts.append(text)
            if UNRESOLVED in text:
                facts.unresolved += _UNRESOLVED.findall(text)
    if _calls_wrappers(facts):
        facts.texts, facts.wrappers, facts.wrapper_names = facts.texts + facts.wrappers, [], []
    return facts


def _calls_wrappers(facts: LibraryFacts) -> bool:
    """Return whether the code needs its own wrappers: a generator in object mode makes the object whose steps Python asks for."""
    return any(map(facts.mentions, facts.wrapper_names))
