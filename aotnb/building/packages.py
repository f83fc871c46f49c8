"""Installed packages whose files are as their installer recorded them: what a base image may take for granted.

A base image stores, for each entry, one summary of all that the entry and its callees read: each distinct edge once. The
loader compares that instead of walking from callee to callee, as long as the files of the packages are the recorded ones.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aotnb.bridge.values import is_fixed_module
from aotnb.building.edges import distributions_of
from aotnb.errors import BuildError
from aotnb.image.model import CodeInstance, Manifest


def distribution_named(name: str) -> importlib.metadata.Distribution:
    """Return the installed distribution called *name*, or that which the module *name* belongs to.

    Raises
    ------
    BuildError
        If there is none, or if its files may change without being installed again.
    """
    names = [name, *(found for found, _ in distributions_of(name))]
    for candidate in names:
        try:
            found = importlib.metadata.distribution(candidate)
        except importlib.metadata.PackageNotFoundError:
            continue
        if (problem := _problem(found)) is not None:
            raise BuildError(f"no base image can be made for {name}: {problem}")
        return found
    raise BuildError(f"no package {name} is installed here; give the name under which pip knows it")


def top_modules(found: importlib.metadata.Distribution) -> list[str]:
    """Return the modules and packages that a distribution brings."""
    packages = importlib.metadata.packages_distributions()
    return sorted(name for name, owners in packages.items() if found.name in owners and name.isidentifier())


def _problem(found: importlib.metadata.Distribution) -> str | None:
    """Return why the files of a distribution are not frozen, if so."""
    if json.loads(found.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable"):
        return "it is installed as editable, so its files may change at any time; install it without -e"
    if found.read_text("RECORD") is None or not any(file.hash for file in found.files or ()):
        return "its installer recorded no hashes of its files; install it with pip from a wheel"
    for file in found.files or ():
        if file.suffix == ".py" and file.hash is not None:
            try:
                actual = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
            except OSError:
                return f"{file} is missing; install it again"
            if base64.urlsafe_b64encode(actual).rstrip(b"=").decode() != file.hash.value:
                return f"{file} was edited after it was installed; install it again"
    return None


def frozen_tree(modules: Iterable[str]) -> dict[str, Any]:
    """Return what a loader needs to see that *modules*, as far as their distributions are frozen, are what they are now.

    ``modules``: name -> [distribution, place below the installation's folder, SHA-256]; ``records``: distribution ->
    [place of its list of files, SHA-256].
    """
    tree: dict[str, dict[str, Any]] = {"modules": {}, "records": {}}
    for module in sorted(modules):
        file = getattr(sys.modules.get(module), "__file__", None)
        for name, _ in distributions_of(module):
            found = importlib.metadata.distribution(name)
            root = Path(str(found.locate_file("")))
            recorded = {str(Path(str(f.locate()))): str(f) for f in found.files or ()}
            if file is None or file not in recorded or (name not in tree["records"] and _problem(found) is not None):
                continue
            tree["modules"][module] = [name, recorded[file], hashlib.sha256(Path(file).read_bytes()).hexdigest()]
            record = next(f for f in found.files or () if f.name == "RECORD")
            tree["records"][name] = [str(record), hashlib.sha256((root / str(record)).read_bytes()).hexdigest()]
    return tree


def summaries(manifest: Manifest, frozen: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return, by number, what each entry of frozen modules depends on; entries that reach anything else are not among them."""
    found = {}
    for number, instance in enumerate(manifest.instances):
        if instance.entry and instance.is_code:
            summary = _summary(manifest.instances, number, frozen)
            if summary is not None:
                found[number] = summary
    return found


def _summary(instances: list[CodeInstance], start: int, frozen: dict[str, Any]) -> dict[str, Any] | None:
    edges: dict[tuple[str, ...], list[str]] = {}
    callees: dict[int, list[Any]] = {}
    resolved: set[int] = set()
    modules: set[str] = set()
    seen, stack = {start}, [start]
    while stack:
        number = stack.pop()
        instance = instances[number]
        if instance.found:
            return None
        resolved.update(instance.resolved)
        if instance.module in frozen["modules"]:
            modules.add(instance.module)
        elif instance.module and not is_fixed_module(instance.module):
            return None
        for edge in instance.edges:
            where = edge.where
            if edge.kind == "same":
                return None  # its paths begin at the one function
            if edge.kind == "version" and edge.name in frozen["records"]:
                continue  # its list of files stands for it
            if where == "own" and edge.kind in ("global", "free", "attribute"):
                if edge.kind == "free" and number != start and is_fixed_module(instance.module):
                    continue  # a closure that Numba made for itself
                if edge.kind == "free" or not instance.module:
                    return None
                where = instance.module
            # of overloads, one function may have asked more than another
            key = (edge.kind, where, edge.name, edge.digest if edge.kind == "overload_set" else "")
            known = edges.setdefault(key, [edge.kind, where, edge.name, edge.digest, edge.summary])
            if known[3] != edge.digest:
                return None
        for callee, path in instance.callees:
            if path is not None:
                if path[0] not in ("global", "attribute", "absolute") or (path[1] == "own" and not instance.module):
                    return None
                there = [path[0], instance.module if path[1] == "own" else path[1], *path[2:]]
                if callees.setdefault(callee, there) != there:
                    return None
            if callee not in seen:
                seen.add(callee)
                stack.append(callee)
    return {
        "edges": [edges[key] for key in sorted(edges)],
        "callees": [[number, callees[number]] for number in sorted(callees)],
        "resolved": sorted(resolved),
        "modules": sorted(modules),
    }
