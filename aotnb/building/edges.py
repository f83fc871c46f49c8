"""The edges of a live code instance: what a later process has to find unchanged."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import re
from importlib.metadata import Distribution

from aotnb.bridge import extensions
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.values import is_fixed_module
from aotnb.core.digest import canonical
from aotnb.core.text import path_text
from aotnb.image.model import Edge
from aotnb.tracing.instance import Instance
from aotnb.tracing.paths import shared_objects, where_read


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
    for what, paths in shared_objects(instance):
        names = ", ".join(path_text(*path) for path in paths)
        edges.append(Edge("same", "own", names, canonical([what, paths]), f"one {what}"))
    for module, qualname, content, name in instance.templates.values():
        edges.append(Edge("overload", module, qualname, content, name))
    for name, content in instance.overload_sets.items():
        edges.append(Edge("overload_set", "own", name, content, f"overloads of {name}"))
    return edges


def _versions(instance: Instance) -> list[Edge]:
    modules = {instance.module}
    for module, name, _, _ in instance.templates.values():
        modules |= {module, *extensions.modules_of_overload(module, name)}
    for name in instance.overload_sets:
        modules |= extensions.modules_behind(name)
    for read in instance.reads.values():
        modules |= numba_facts.modules_of_value(read.value)
    found = sorted({found for name in modules for found in distributions_of(name)})
    return [Edge("version", "own", dist, version, version) for dist, version in found]


@functools.cache
def _packages() -> dict[str, list[Distribution]]:
    """Return the installed distributions by the top-level modules they bring.

    As ``importlib.metadata.packages_distributions``, which parses the metadata of each and makes an object of each file.
    """
    found: dict[str, list[Distribution]] = {}
    for distribution in importlib.metadata.distributions():
        for name in _top_levels(distribution):
            found.setdefault(name, []).append(distribution)
    return found


def _top_levels(distribution: Distribution) -> set[str]:
    declared = distribution.read_text("top_level.txt")
    if declared:
        return set(declared.split())
    listed = distribution.read_text("RECORD")
    paths = [line.lstrip('"') for line in listed.splitlines()] if listed else map(str, distribution.files or ())
    found = set()
    for path in paths:
        folder, inside, _ = path.partition("/")
        name = folder if inside else inspect.getmodulename(path.partition(",")[0])
        if name is not None and name.isidentifier():
            found.add(name)
    return found


@functools.cache
def distributions_of(module: str | None) -> list[tuple[str, str]]:
    """Return (name, version) of the installed distributions that a module belongs to."""
    top = (module or "").partition(".")[0]
    if not top or is_fixed_module(top) or top == "__main__":
        return []
    return sorted({(found.metadata["Name"], found.version) for found in _packages().get(top, ())})


def stable_text(text: str) -> str:
    """Take addresses out of a text that only people read."""
    return re.sub(r"0x[0-9a-f]+", "0x", text)
