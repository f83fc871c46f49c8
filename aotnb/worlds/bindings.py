"""What compiled code has read, watched: a name in a namespace, a closure cell, the code of a function.

Comparing identities is all that happens while nothing changes. Only what may change in place (small arrays, whose
content Numba compiles in; containers and objects that an overload reads) is compared by content.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any

from aotnb.bridge import extensions, overload_sets
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.deep import cell_value
from aotnb.bridge.values import summary, value_tree
from aotnb.bridge.watch import Leaf, content_of, deep_leaves, needs_identity
from aotnb.core.digest import digest
from aotnb.core.worlds import CodeNode
from aotnb.errors import NotRelocatable
from aotnb.tracing.instance import ABSENT, Read
from aotnb.tracing.recorder import current_value

_KINDS = {"item": "global", "cell": "closure", "function": "function"}


class Binding:
    """One place that a value is read from. ``get(name, default)`` reads it; *value* is what the last check found."""

    __slots__ = ("before", "content", "get", "kind", "name", "readers", "text", "value")

    def __init__(self, kind: str, get: Callable[[str, Any], Any], name: str) -> None:
        self.kind, self.get, self.name = kind, get, name
        self.before = ""  # what was found before the last change, in a few words
        self.value = get(name, ABSENT)
        self.content = content_of(self.value)
        self.text = self._described()
        self.readers: dict[CodeNode, list[LiveRead | OverloadRead]] = {}

    def after(self) -> str:
        """Describe what was found at the last check."""
        return "absent" if self.value is ABSENT else summary(self.value)

    def _described(self) -> str:
        """Describe what may change in place while that can still be done."""
        return "" if self.content is None else self.after()

    def renew(self) -> None:
        """Take what is found now as the known state."""
        self.before = self.text or self.after()
        self.value = self.get(self.name, ABSENT)
        self.content = content_of(self.value)
        self.text = self._described()


class LiveRead:
    """A read of one code node: what was found when it was compiled, and how to find it again."""

    __slots__ = ("addresses", "find", "kind", "name", "read", "title")

    def __init__(self, read: Read, func: FunctionType | None, addresses: Iterable[int] = ()) -> None:
        self.read, self.kind, self.name = read, read.kind, read.name
        self.title = f"{read.module}.{read.name}" if read.kind == "attribute" else read.name
        self.find = functools.partial(current_value, func, read)
        # objects whose address is part of the code; that of a function is compiled in where it is mentioned, and not used
        self.addresses = frozenset(() if numba_facts.live_dispatcher(read.value) is not None else addresses)

    def holds(self) -> bool:
        """Return whether compiling now would read the same thing."""
        return read_holds(self.read, self.find(), self.addresses)

    def is_untouched(self) -> bool:
        """Return whether the very same object is found that cannot have changed in place."""
        value = self.find()
        return value is self.read.value and content_of(value) is None and next(deep_leaves(value), None) is None

    def before(self) -> str:
        """Describe what the code was compiled with."""
        return self.read.summary

    def after(self) -> str:
        """Describe what is found now."""
        value = self.find()
        return "absent" if value is ABSENT else summary(value)


class OverloadRead:
    """The overloads, from outside Numba, of one name that a code node has asked for."""

    __slots__ = ("content", "kind", "name")

    def __init__(self, name: str, content: str | None) -> None:
        self.kind, self.name, self.content = "overload", name, content

    def holds(self) -> bool:
        """Return whether compiling now would ask the same overloads."""
        try:
            return overload_sets.holds(self.name, self.content)
        except NotRelocatable:
            return False

    def is_untouched(self) -> bool:
        """Return False: what an overload reads is only known by asking."""
        return False

    def before(self) -> str:
        """Describe what the code was compiled with."""
        return "as compiled"

    def after(self) -> str:
        """Describe what is found now."""
        return "redefined" if extensions.is_extended(self.name) else "absent"

    def leaves(self) -> Iterator[Leaf]:
        """Yield the places that the functions read while they choose and implement."""
        for func in extensions.functions_behind(self.name):
            yield from deep_leaves(func)


def read_holds(read: Read, value: Any, addresses: frozenset[int]) -> bool:
    """Return whether *value*, found now, gives the code that was compiled with what *read* found.

    Within a process more than content counts: code is bound to classes, and to objects whose address it holds.
    """
    if value is ABSENT or read.value is ABSENT:
        return value is read.value
    if value is not read.value and (id(read.value) in addresses or needs_identity(value) or needs_identity(read.value)):
        return False
    if not read.digest:  # no encoding: only the very same object is the same
        return value is read.value
    try:
        return digest(value_tree(value)) == read.digest
    except NotRelocatable:
        return False


class Bindings:
    """All watched places, each once; answers "what changed since the last check?" quickly."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Binding] = {}
        self._of: dict[CodeNode, list[tuple[tuple[Any, ...], Binding]]] = {}
        self._quick: list[tuple[Callable[[str, Any], Any], str, Any, Binding]] | None = None
        self._arrays: list[Binding] = []
        self.names: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def array_bytes(self) -> int:
        """How many bytes of arrays each check of contents compares."""
        self._prepare()
        return sum(len(part) for binding in self._arrays for part in binding.content or ())

    def watch(self, node: CodeNode, live: LiveRead | OverloadRead, func: FunctionType | None) -> None:
        """Watch the place of a read, and all that the value found there reads in turn while a compiler runs it."""
        if isinstance(live, OverloadRead):
            for leaf in live.leaves():
                self._add(node, live, leaf)
            return
        for leaf in _places(live.read, func):
            self._add(node, live, leaf)
        if live.read.value is not ABSENT:
            for leaf in deep_leaves(live.read.value):
                self._add(node, live, leaf)

    def _add(self, node: CodeNode, live: LiveRead | OverloadRead, leaf: Leaf) -> None:
        key, get, name = leaf
        binding = self._known.get(key)
        if binding is None:
            binding = self._known[key] = Binding(_KINDS[key[0]], get, name)
            self._quick = None
        readers = binding.readers.setdefault(node, [])
        if live not in readers:
            readers.append(live)
            self._of.setdefault(node, []).append((key, binding))

    def forget(self, node: CodeNode) -> None:
        """Watch no longer for *node*."""
        for key, binding in self._of.pop(node, ()):
            binding.readers.pop(node, None)
            if not binding.readers and self._known.get(key) is binding:
                del self._known[key]
                self._quick = None

    def _prepare(self) -> list[tuple[Callable[[str, Any], Any], str, Any, Binding]]:
        if self._quick is None:
            self._quick = [(b.get, b.name, b.value, b) for b in self._known.values()]
            self._arrays = [b for b in self._known.values() if b.content]
            self.names = frozenset(b.name for b in self._known.values())
        return self._quick

    def changed(self, *, contents: bool = True) -> list[Binding]:
        """Return the bindings where something else is found than at the last check, and make that the known state."""
        found = [binding for get, name, value, binding in self._prepare() if get(name, ABSENT) is not value]
        if contents:
            found += [b for b in self._arrays if b not in found and content_of(b.value) != b.content]
        for binding in found:
            binding.renew()
        if found:
            self._quick = None
        return found


def _places(read: Read, func: FunctionType | None) -> list[Leaf]:
    """Return the place that *read* looks at, through the live function *func* where it is the function's own."""
    if read.kind == "free":
        if func is None or read.name not in func.__code__.co_freevars:
            return []
        cell = (func.__closure__ or ())[func.__code__.co_freevars.index(read.name)]
        return [cell_leaf(cell, read.name)]
    if read.own and func is not None:
        return [item_leaf(func.__globals__, read.name)]
    module = sys.modules.get(read.module or "")
    if module is None:
        return [item_leaf(sys.modules, read.module or "")]
    return [item_leaf(vars(module), read.name)]


def item_leaf(namespace: dict[str, Any], name: str) -> Leaf:
    """Return the place *name* of a namespace."""
    return ("item", id(namespace), name), namespace.get, name


def cell_leaf(cell: Any, name: str) -> Leaf:
    """Return the place that is a closure cell."""
    return ("cell", id(cell)), functools.partial(cell_value, cell), name
