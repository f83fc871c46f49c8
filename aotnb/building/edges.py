"""The edges of a live code instance: what a later process has to find unchanged."""

from __future__ import annotations

import functools
import importlib.metadata
import re
from typing import Any

from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.values import is_fixed_module
from aotnb.image.model import Edge
from aotnb.tracing.instance import Instance
from aotnb.tracing.paths import where_read


def edges_of(instance: Instance) -> list[Edge]:
    """Return what *instance* read, the overloads it was compiled with, and the versions of the libraries that it came from."""
    return [*read_edges(instance), *_versions(instance)]


def read_edges(instance: Instance) -> list[Edge]:
    """Return the edges that are no versions: those take a look into every installed distribution."""
    edges = []
    for read in instance.reads.values():
        where = where_read(instance, read)
        if where is None:
            continue
        edges.append(Edge(read.kind, where, read.name, read.digest, stable_text(read.summary)))
    for module, qualname, content, name in instance.templates.values():
        edges.append(Edge("overload", module, qualname, content, name))
    for name, content in instance.overload_sets.items():
        edges.append(Edge("overload_set", "own", name, content, f"overloads of {name}"))
    return edges


def _versions(instance: Instance) -> list[Edge]:
    modules = {instance.module, *(module for module, _, _, _ in instance.templates.values())}
    for read in instance.reads.values():
        modules |= numba_facts.modules_of_value(read.value)
    found = sorted({found for name in modules for found in distributions_of(name)})
    return [Edge("version", "own", dist, version, version) for dist, version in found]


@functools.cache
def _packages() -> Any:
    return importlib.metadata.packages_distributions()


def distributions_of(module: str | None) -> list[tuple[str, str]]:
    """Return (name, version) of the installed distributions that a module belongs to."""
    top = (module or "").partition(".")[0]
    if not top or is_fixed_module(top) or top == "__main__":
        return []
    return sorted({(name, importlib.metadata.version(name)) for name in _packages().get(top, ())})


def stable_text(text: str) -> str:
    """Take addresses out of a text that only people read."""
    return re.sub(r"0x[0-9a-f]+", "0x", text)
