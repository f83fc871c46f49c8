"""Functions of equal content that hold different objects, such as two closures of one factory over two big arrays.

Their code is the same but for the objects that it is bound to, so one copy of it may stand for all of them in an image. Not where
one function calls several: each needs a copy, and a number that tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aotnb.bridge.methods import method_tree
from aotnb.bridge.typecodec import encode_types
from aotnb.bridge.values import live_ids
from aotnb.core.digest import digest
from aotnb.tracing.instance import Instance
from aotnb.tracing.paths import is_unnamed


def number_twins(entries: Iterable[Instance]) -> dict[int, int]:
    """Return, by ``id``, the numbers of code instances that only the objects they hold tell apart in the code of some entry."""
    numbers: dict[int, int] = {}
    held: dict[str, list[Any]] = {}  # content -> what the instances with it hold
    for entry in entries:
        for namesakes in _namesakes(entry):
            alike: dict[str, list[Instance]] = {}
            for instance in namesakes:
                alike.setdefault(_content(instance), []).append(instance)
            for content, twins in alike.items():
                holdings = [_holdings(twin) for twin in twins]
                if all(other == holdings[0] for other in holdings):
                    continue
                known = held.setdefault(content, [])
                known += [holding for number, holding in enumerate(holdings) if holding not in (*known, *holdings[:number])]
                numbers.update((id(twin), known.index(holding)) for twin, holding in zip(twins, holdings, strict=True))
    return numbers


def _namesakes(entry: Instance) -> Iterator[list[Instance]]:
    """Yield the code instances of the same name that an entry is made of, where there are several."""
    named: dict[tuple[str, str, str], list[Instance]] = {}
    seen: set[int] = set()
    stack = [entry]
    while stack:
        instance = stack.pop()
        if id(instance) in seen:
            continue
        seen.add(id(instance))
        if instance.result is not None and instance.from_image is None:
            named.setdefault((instance.module, instance.qualname, instance.kind), []).append(instance)
        stack.extend(callee.instance for callee in reversed(instance.callees))
    yield from (found for found in named.values() if len(found) > 1)


def _content(instance: Instance) -> str:
    """Return the digest of all that tells the code of an instance from others, but for the objects that it holds."""
    method = None if is_unnamed(instance) else [method_tree(instance.dispatcher), encode_types(instance.args)]
    reads = sorted([read.kind, read.module or "", read.name, read.digest] for read in instance.reads.values())
    return digest([instance.module, instance.qualname, instance.kind, method, reads])


def _holdings(instance: Instance) -> Any:
    """Return what stands for the live objects that the code of an instance is bound to."""
    reads = sorted((read.kind, read.module or "", read.name, live_ids(read.value)) for read in instance.reads.values())
    consts = [live_ids(const) for const in instance.result.environment.consts or ()]
    return id(getattr(instance.func, "__globals__", None)), reads, consts, sorted(instance.addresses)
