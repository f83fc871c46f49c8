"""The functions of a unit: what each weighs before it is compiled, and the bytes it has afterwards."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aotnb.bridge.codegen import declarations
from aotnb.bridge.irtext import looping_functions
from aotnb.core.digest import digest
from aotnb.core.elf import symbols

_NAME = re.compile(r'[^@]*@("[^"]*"|[\w.$-]+)\(')


@dataclass
class UnitCode:
    """The raw IR of a unit's libraries, and what is read from it, once for all CPU targets."""

    texts: list[str]
    targets: int = 1  # how many have code of their own for it

    @functools.cached_property
    def weights(self) -> dict[str, int]:
        """The weight of each function."""
        return function_weights(self.texts)

    @functools.cached_property
    def declared(self) -> frozenset[str]:
        """The functions that are called and not defined in the same module."""
        return frozenset(name for text in self.texts for name in declarations(text))

    @functools.cached_property
    def looping(self) -> frozenset[str]:
        """The functions that have a loop."""
        return frozenset().union(*map(looping_functions, self.texts))

    @functools.cached_property
    def digest(self) -> str:
        """The digest of the texts."""
        return digest(self.texts)


def function_weights(texts: Iterable[str]) -> dict[str, int]:
    """Return 1 + instructions + blocks of each function that is defined in the *texts* of libraries."""
    found: dict[str, int] = {}
    for text in texts:
        for function in f"\n{text}".split("\ndefine ")[1:]:
            # an instruction is indented by two, what goes on in a further line by more; the name of a block ends with a colon
            if (match := _NAME.match(function)) is not None:
                instructions = function.count("\n  ") - function.count("\n   ")
                found[match[1].strip('"')] = 1 + instructions + function.count(":\n")
    return found


def function_rows(code: UnitCode, names: Mapping[str, str], suffix: str, data: bytes) -> list[tuple[str, int, int]]:
    """Return (symbol, weight, bytes) of the functions of a unit, by symbol.

    *data* is its object, *names* gives the names that functions have there where these are not those of the *code*; those of
    some others end with *suffix*. What the object holds beyond the code (helpers, copies of inlined functions' callees) has no
    weight.
    """
    sizes = {symbol.name: symbol.size for symbol in symbols(data) if symbol.defined and symbol.is_function}
    rows = []
    for name, weight in code.weights.items():
        there = next((found for found in (names.get(name, name), name + suffix) if found in sizes), "")
        rows.append((name, weight, sizes.pop(there, 0)))
    return sorted([*rows, *((name, 0, size) for name, size in sizes.items())])
