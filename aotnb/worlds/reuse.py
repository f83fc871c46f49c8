"""Code that this process compiled, found again: for an equal function, where all that it read holds here and now.

So an edit that is taken back, a cell that is run again unchanged, and a closure that a library builds afresh on every call
cost no compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aotnb.bridge import inspect as numba_facts
from aotnb.bridge import overload_sets
from aotnb.bridge.dispatchers import put_behind
from aotnb.bridge.environment import switches_digest
from aotnb.bridge.methods import method_tree, own_digest
from aotnb.bridge.typecodec import TypeDecoder, encode_type, encode_types
from aotnb.bridge.values import is_fixed_module, live_ids
from aotnb.core.digest import canonical, digest
from aotnb.core.worlds import Cause
from aotnb.errors import NotRelocatable
from aotnb.tracing.instance import ABSENT, Callee, Instance
from aotnb.tracing.paths import dispatcher_path, is_unnamed
from aotnb.tracing.recorder import current_value
from aotnb.worlds.bindings import LiveRead

Moved = dict[tuple[int, int], Any]


class Refused(Exception):
    """Stored code does not fit; *cause* says what differs."""

    def __init__(self, cause: Cause) -> None:
        self.cause = cause


class Store:
    """All code that this process compiled, by the question that it answers."""

    def __init__(self, instances: list[Instance]) -> None:
        self._instances = instances  # grows
        self._indexed = 0
        self._by_name: dict[tuple[str, str], list[Instance]] = {}
        self._keys: dict[int, str | None] = {}

    def candidates(self, kind: str, disp: Any, args: tuple[Any, ...], return_type: Any, flags: Any) -> list[Instance]:
        """Return code for equal functions and equal types, compiled under equal switches; the newest first."""
        while self._indexed < len(self._instances) and (instance := self._instances[self._indexed]).finished:
            self._indexed += 1  # the first that is not finished holds back what is nested in it
            if instance.kind in ("function", "ufunc") and instance.dispatcher is not None and instance.from_image is None:
                self._by_name.setdefault((instance.module, instance.qualname), []).append(instance)
        named = self._by_name.get((disp.py_func.__module__ or "", disp.py_func.__qualname__))
        if not named:
            return []
        try:
            content = numba_facts.flags_digest(flags if flags is not None else numba_facts.resolved_flags(disp))
            asked = _key(kind, disp, args, return_type, content, switches_digest()[0])
        except NotRelocatable:
            return []
        return [instance for instance in reversed(named) if instance.result is not None and self._key_of(instance) == asked]

    def _key_of(self, instance: Instance) -> str | None:
        if id(instance) not in self._keys:
            try:
                flags = numba_facts.flags_digest(instance.flags)
                key: str | None = _key(
                    instance.kind, instance.dispatcher, instance.args, instance.return_type, flags, instance.config
                )
                if instance.definition not in ("", own_digest(instance.dispatcher)):
                    key = None  # a default value has changed in place since
            except NotRelocatable:
                key = None
            self._keys[id(instance)] = key
        return self._keys[id(instance)]


def _key(kind: str, disp: Any, args: tuple[Any, ...], return_type: Any, flags: str, config: str) -> str:
    explicit = None if return_type is None else encode_type(return_type)
    classes = [live_ids(arg) for arg in args]  # jitclasses of one definition are two classes all the same
    return digest([kind, method_tree(disp), encode_types(args), classes, explicit, flags, config])


def check(instance: Instance, disp: Any, args: tuple[Any, ...], image_holds: Callable[[Instance], bool]) -> Moved:
    """Return which dispatchers take the place of those that *instance* was compiled with, if it may stand behind *disp*.

    *image_holds* tells whether code that an image gave to a callee is still valid where it was put.

    Raises
    ------
    Refused
        If compiling for *disp* now would read anything else.
    """
    moved: Moved = {}
    nameless: list[tuple[Any, Callee]] = []  # of functions that call each other, each links what the others call
    reached: dict[tuple[int, int], set[Any]] = {}  # code and dispatcher it was compiled with -> those that have its place
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[Instance, Any, tuple[Any, ...] | None]] = [(instance, disp, args)]
    while stack:
        instance, disp, args_here = stack.pop()
        func = instance.func if disp is None else disp.py_func
        if (id(instance), id(func)) in seen:
            continue
        seen.add((id(instance), id(func)))
        if instance.from_image is not None:
            if not image_holds(instance):
                raise Refused(Cause("callee", instance.qualname, "what its code was compiled with", "something else"))
            continue
        if instance.result is not None and (instance.result.objectmode or instance.result.lifted):
            # the interpreter is handed the very objects that were found then
            raise Refused(Cause("callee", instance.qualname, "the objects that its object mode code uses", "perhaps others"))
        here = _reads(instance, func, args_here)
        resolved = map(numba_facts.key_name, instance.resolved)
        for name, content in overload_sets.to_check(instance.overload_sets.items(), resolved):
            if not overload_sets.holds(name, content):
                raise Refused(Cause("overload", name, "the overloads that were used", "others"))
        for callee in instance.callees:
            if callee.instance.maker is not None:
                # it may have a path of its own to what the function around it has read
                raise Refused(Cause("callee", callee.instance.qualname, "the inner function it was compiled with", "another one"))
            if is_unnamed(callee.instance):
                stack.append((callee.instance, None, None))
                continue
            live = here.get(id(callee.dispatcher)) or _by_name(instance, callee.dispatcher)
            if live is None:
                nameless.append((func, callee))
                continue
            if own_digest(live) != own_digest(callee.dispatcher):
                raise Refused(Cause("callee", callee.instance.qualname, "the function it was compiled with", "another one"))
            if live is not callee.dispatcher:
                if callee.instance.from_image is not None:
                    raise Refused(Cause("callee", callee.instance.qualname, "the function that an image serves", "another one"))
                _require_no_other_code(live, callee.instance)
                moved[id(func), id(callee.dispatcher)] = live
            reached.setdefault((id(callee.instance), id(callee.dispatcher)), set()).add(live)
            stack.append((callee.instance, live, None))
    for func, callee in nameless:
        found = reached.get((id(callee.instance), id(callee.dispatcher)), set())
        if len(found) != 1:
            raise Refused(Cause("callee", callee.instance.qualname, "the function it was compiled with", "another one"))
        (live,) = found
        if live is not callee.dispatcher:
            moved[id(func), id(callee.dispatcher)] = live
    return moved


def _reads(instance: Instance, func: Any, args: tuple[Any, ...] | None) -> dict[int, Any]:
    """Compare what *instance* read with what *func* would read now; return live dispatchers by id of the old ones."""
    live: dict[int, Any] = {}

    def meet(old: Any, new: Any) -> None:
        if live.setdefault(id(old), new) is not new:
            raise Refused(Cause("callee", old.py_func.__qualname__, "one function under two names", "two functions"))

    for read in instance.reads.values():
        found = LiveRead(read, func, instance.addresses)
        if not found.holds():
            raise Refused(Cause(read.kind, read.name, found.before(), found.after()))
        value = current_value(func, read)
        if value is not ABSENT:
            new = dict(_hashable(numba_facts.dispatchers_in_value(value)))
            for steps, old in _hashable(numba_facts.dispatchers_in_value(read.value)):
                meet(old, new.get(steps, old))
    if args is not None:
        for asked, compiled in zip(args, instance.args, strict=True):
            new = dict(_hashable(numba_facts.dispatchers_in_type(asked)))
            for steps, old in _hashable(numba_facts.dispatchers_in_type(compiled)):
                meet(old, new.get(steps, old))
    return live


def _hashable(items: Any) -> list[tuple[tuple[Any, ...], Any]]:
    return [(tuple(steps), disp) for steps, disp in items]


def _by_name(caller: Instance, disp: Any) -> Any:
    """Return the live dispatcher where no read leads to *disp*: it was passed in, belongs to a library, or has a public name."""
    path = dispatcher_path(caller, disp)
    if path is not None and path[0] == "absolute":
        return numba_facts.live_dispatcher(numba_facts.absolute(path[1], path[2]))
    return disp if path is not None or is_fixed_module(disp.py_func.__module__) or is_unnamed(caller) else None


def _require_no_other_code(disp: Any, callee: Instance) -> None:
    """Refuse if *disp* has code of its own for the same arguments: a caller compiled now would link that."""
    wanted = [canonical(tree) for tree in encode_types(callee.args)]
    for args, library in numba_facts.compiled_overloads(disp):
        if callee.result is not None and library is callee.result.library:
            continue
        try:
            same = [canonical(tree) for tree in encode_types(args)] == wanted
        except NotRelocatable:
            continue
        if same:
            raise Refused(Cause("callee", callee.qualname, "the code it was compiled with", "code of its own"))


def place(instance: Instance, disp: Any, args: tuple[Any, ...]) -> Any:
    """Put the code of *instance* behind *disp*; return the compile result that is there now."""
    if instance.kind == "ufunc":
        disp.overloads[instance.result.signature] = instance.result
        return instance.result
    return_type = instance.result.signature.return_type
    if tuple(instance.args) != args:
        scope = {canonical(encode_type(arg)): arg for arg in numba_facts.nested_types(args)}
        return_type = TypeDecoder(scope).decode(encode_type(return_type))
    return put_behind(disp, instance.result, args, return_type)


def find_again(
    candidates: list[Instance], disp: Any, args: tuple[Any, ...], image_holds: Callable[[Instance], bool], *, put: bool
) -> tuple[Any, Instance, Moved] | None:
    """Return a compile result from the first of *candidates* that fits, whose code it is, and which dispatchers moved.

    Without *put* the code is not put behind *disp*, and the result is None.
    """
    for instance in candidates:
        if any(reason in ("incoherent", "compiled_before_hooks") for reason, _ in instance.problems):
            continue
        try:
            moved = check(instance, disp, args, image_holds)
            cres = place(instance, disp, args) if put else None
        except (Refused, NotRelocatable, LookupError):
            continue
        return cres, instance, moved
    return None
