"""Is a stored code instance what compiling afresh would give, here and now?

Every edge is evaluated at the instant of the question. The answer is about one entry and everything it was compiled
with; functions that call each other in a circle share one verdict.
"""

from __future__ import annotations

import builtins
import importlib.metadata
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

from aotnb.bridge import extensions, overload_sets
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.methods import dispatcher_tree, own_digest
from aotnb.bridge.stencils import is_stencil
from aotnb.bridge.typecodec import TypeDecoder, encode_type, encode_types
from aotnb.bridge.typeparts import type_of_class
from aotnb.bridge.typing_errors import subject_of
from aotnb.bridge.values import is_fixed_module, module_of, summary, value_tree
from aotnb.core.digest import canonical, digest
from aotnb.core.left_out import refusal
from aotnb.core.text import change_text
from aotnb.errors import NotRelocatable
from aotnb.image.model import CodeInstance, Edge
from aotnb.image.reader import ImageReader
from aotnb.loading.frozen import FrozenFiles
from aotnb.tracing.instance import ABSENT


@dataclass(slots=True)
class Visit:
    """A code instance that was looked at: through which live function and dispatcher, and the values found on its edges."""

    number: int
    func: Any
    disp: Any
    values: list[tuple[Edge, Any]] = field(default_factory=list)
    record: CodeInstance | None = None  # stands for the instance and all that it was compiled with


@dataclass(slots=True)
class Verdict:
    """Outcome of a validation: a reason and a sentence, or the live functions by number of their code instance."""

    reason: str | None = None
    detail: str = ""
    live: dict[int, list[Any]] = field(default_factory=dict)
    dispatchers: dict[str, list[Any]] = field(default_factory=dict)  # digest of a method tree -> live dispatchers seen
    types: dict[str, Any] = field(default_factory=dict)  # text of a type's tree -> live type of objects seen
    flags: Any = None  # under which Numba would have compiled the entry
    visits: list[Visit] = field(default_factory=list)  # the entry first
    links: list[tuple[int, int]] = field(default_factory=list)  # caller and callee among the visits
    linked: list[tuple[int, Any, Any]] = field(default_factory=list)  # caller, dispatcher, library: code that was there before
    nested: list[tuple[int, Any]] = field(default_factory=list)  # code instance and dispatcher of the callees without code yet
    found: list[tuple[int, Any]] = field(default_factory=list)  # those that have to be there, under the flags they have

    def add_function(self, number: int, func: Any) -> None:
        """Note a live function whose code is instance *number*; there may be several, of equal content."""
        known = self.live.setdefault(number, [])
        if all(other is not func for other in known):
            known.append(func)

    def function(self, number: int) -> Any:
        """Return the live function whose code is instance *number*, None where the compiler made it for itself."""
        return self.functions(number)[0]

    def functions(self, number: int) -> list[Any]:
        """Return all live functions whose code is instance *number*, [None] where the compiler made it for itself."""
        return self.live.get(number) or [None]

    def objects(self, number: int, kind: str, *place: str) -> list[Any]:
        """Return the live objects that the recipe of an error leads to, from instance *number*: see ``Subject.recipe``."""
        if kind == "overload":
            found = extensions.overloads_like(*place)
        elif kind == "read":
            edges = [pair for visit in self.visits if visit.number == number for pair in visit.values]
            found = [subject_of(value) for edge, value in edges if (edge.kind, edge.where, edge.name) == place]
        else:
            found = self.live.get(number, [])
        return list({id(value): value for value in found}.values())

    def first_functions(self) -> list[Any]:
        """Return the live functions, one for each code instance."""
        return [functions[0] for functions in self.live.values()]

    def scope(self) -> dict[str, Any]:
        """Return the live types that stand for trees which no type can be made from."""
        scope = dict(self.types)
        for dispatchers in self.dispatchers.values():
            for live in dispatchers:
                scope.setdefault(canonical(["dispatcher", dispatcher_tree(live)]), numba_facts.type_of_dispatcher(live))
        return scope


class _Refused(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail


class Validator:
    """One question: evaluates the edges of an entry and of all that it links."""

    def __init__(
        self,
        image: ImageReader,
        args: tuple[Any, ...],
        reads_hold: Callable[[Any, CodeInstance], bool],
        frozen: FrozenFiles | None = None,
    ) -> None:
        self.image = image
        self.frozen = frozen  # the packages of a base image
        self.reads_hold = reads_hold  # did code of this process (a library) read what the stored instance read?
        self.args = args
        self.verdict = Verdict()
        self._equal: set[tuple[int, int]] = set()  # code instance and dispatcher (its id) that has such code of this process
        self._seen: dict[tuple[int, int], int] = {}  # place among the visits, -1 for code that was frozen earlier
        self._overloads = extensions.external_overloads()
        self._extended = extensions.extended_names()
        self._sets: dict[tuple[str, str | None], bool] = {}  # name and what counted of its overloads -> is that so still
        for arg in args:
            for _, disp in numba_facts.dispatchers_in_type(arg):
                self._meet(disp)

    def check(self, number: int, func: Any) -> Verdict:
        """Return the verdict on entry *number*, asked for through the live function *func*."""
        try:
            for arg in self.args:
                self._meet_types(arg)
            summary = self.image.summary(number)
            if summary is None or not self._visit_summary(number, func, summary):
                self._visit(number, func, self.args)
        except _Refused as refused:
            self.verdict.reason, self.verdict.detail = refused.reason, refused.detail
        except NotRelocatable as error:
            self.verdict.reason, self.verdict.detail = "global_changed", str(error)
        return self.verdict

    def _visit(self, number: int, func: Any, args: tuple[Any, ...] | None) -> None:
        # (number, live function, its dispatcher, live argument types if known, was frozen earlier in this process, caller)
        stack: list[tuple[int, Any, Any, Any, bool, int]] = [(number, func, None, args, False, -1)]
        while stack:
            number, func, via, args, frozen, caller = stack.pop()
            place = self._seen.get((number, id(func)))
            if place is not None:
                if not frozen and place >= 0:
                    self.verdict.links.append((caller, place))
                continue
            instance = self.image.instance(number)
            if func is not None:
                self.verdict.add_function(number, func)
            place = self._seen[number, id(func)] = -1 if frozen else len(self.verdict.visits)
            if not frozen:
                self.verdict.visits.append(Visit(number, func, via))
                if caller >= 0:
                    self.verdict.links.append((caller, place))
                for edge in instance.edges:
                    self._edge(edge, instance, func, args)
                self._overload_sets(instance)
            for callee, path in instance.callees:
                if path is None:
                    stack.append((callee, None, None, None, frozen, place))
                    continue
                if path[0] == "same":
                    stack.append((callee, func, None, None, frozen, place))
                    continue
                record = self.image.instance(callee)
                disp = self._callee(instance, func, args, path)
                if disp is None or own_digest(disp) != record.method:
                    if frozen:
                        continue  # the name has been bound anew since; the code in use stays what it was
                    state = "is gone" if disp is None else "has another definition"
                    raise _Refused("callee_changed", f"{record.qualname}, called by {instance.qualname}, {state}")
                self._meet(disp)
                there = None if frozen else self._is_compiled(callee, disp)
                if there is not None:
                    self.verdict.linked.append((place, disp, there))
                elif not frozen and (callee, id(disp)) not in self._equal:
                    kind = self.verdict.found if f"{record.module}:{record.qualname}" in instance.found else self.verdict.nested
                    kind.append((callee, disp))
                stack.append((callee, disp.py_func, disp, None, frozen or there is not None, place))

    def _visit_summary(self, number: int, func: Any, summary: dict[str, Any]) -> bool:
        """Check an entry of a base image and all of its callees at once; False where only a walk from one to the next can tell.

        The files of the packages say what the code of the functions is, but a live function may have been replaced, and
        a value bound anew.
        """
        if self.frozen is None or not self.frozen.hold(summary["modules"]) or not _is_at_home(func):
            return False
        edges = [Edge(*edge) for edge in summary["edges"]]
        record = replace(self.image.instance(number), edges=edges, resolved=summary["resolved"], callees=[])
        functions = [(number, func, None)]
        for callee, path in summary["callees"]:
            known = self.image.instance(callee)
            disp = self._callee(record, func, None, path)
            if disp is None or own_digest(disp) != known.method or not _is_at_home(disp.py_func):
                return False
            functions.append((callee, disp.py_func, disp))
        self.verdict.visits.append(Visit(number, func, None, record=record))
        for place, live, disp in functions:
            self.verdict.add_function(place, live)
            if disp is not None:
                self._meet(disp)
                if numba_facts.compiled_overloads(disp) and (there := self._is_compiled(place, disp)) is not None:
                    self.verdict.linked.append((0, disp, there))
                elif (place, id(disp)) not in self._equal:
                    self.verdict.nested.append((place, disp))
        for edge in edges:
            self._edge(edge, record, func)
        self._overload_sets(record)
        return True

    def _is_compiled(self, number: int, disp: Any) -> Any:
        """Return the library of this very code if *disp* has it already, frozen when it was compiled: a caller links it as it is.

        Other code for the same arguments means that the caller would link that other code.
        """
        existing = numba_facts.compiled_overloads(disp)
        if not existing:
            return None
        callee = self.image.instance(number)
        trees = [canonical(self.image.root(callee, root)) for root in callee.args]
        for args, library in existing:
            try:
                if [canonical(tree) for tree in encode_types(args)] != trees:
                    continue
            except NotRelocatable:
                continue
            if not callee.library:
                raise _Refused("callee_changed", f"{callee.qualname}, which could not be compiled, has code by now")
            entry = numba_facts.image_entry(library)
            if entry is not None and _is_same_code(self.image, number, entry[0].reader, entry[1], set()):
                return library
            if entry is not None or not self.reads_hold(library, callee):
                raise _Refused("callee_changed", f"{callee.qualname} was compiled earlier in this process with other values")
            self._equal.add((number, id(disp)))
            return None
        return None

    # ------------------------------------------------------------ edges

    def _edge(self, edge: Edge, instance: CodeInstance, func: Any, args: tuple[Any, ...] | None = None) -> None:
        if edge.kind == "version":
            found = _version(edge.name)
            if found != edge.digest:
                raise _Refused("version_changed", f"{edge.name} was {edge.digest}, is {found or 'not installed'}")
            return
        if edge.kind == "overload":
            templates = [template for group in self._overloads.values() for template in group]
            if not any(_is_named(t._overload_func, edge) and extensions.overload_digest(t) == edge.digest for t in templates):
                raise _Refused(
                    "overload_changed", f"the overload {edge.where}.{edge.name} used by {instance.qualname} has changed"
                )
            return
        if edge.kind == "overload_set":
            return  # see _overload_sets
        if edge.kind == "same":
            self._is_shared(edge, instance, func, args)
            return
        if edge.kind == "free" and func is None and is_fixed_module(instance.module):
            return  # a closure that Numba made for itself, from what its caller was compiled for
        value = self._value(edge.kind, edge.where, edge.name, instance, func)
        if edge.digest == "absent" and numba_facts.is_dispatcher_of(value, func):
            value = ABSENT  # as current_value has it
        tree = ["absent"] if value is ABSENT else value_tree(value)
        if ("absent" if value is ABSENT else digest(tree)) != edge.digest:
            now = "is gone" if value is ABSENT else f"is {change_text(edge.summary, summary(value))}"
            reason = "overload_changed" if tree[0] == "overloaded" else _reason(edge.kind, value)
            raise _Refused(reason, f"{edge.name} read by {instance.qualname} was {edge.summary}, {now}")
        self.verdict.visits[-1].values.append((edge, value))
        if value is not ABSENT:
            for _, disp in numba_facts.dispatchers_in_value(value):
                self._meet(disp)
            self._meet_types(value)

    def _is_shared(self, edge: Edge, instance: CodeInstance, func: Any, args: tuple[Any, ...] | None) -> None:
        """Refuse code that is bound to one object under several names if these lead to several by now."""
        what, paths = json.loads(edge.digest)
        found: set[int | None] = set()
        for kind, where, name, steps in paths:
            if what == "function":
                found.add(id(self._callee(instance, func, args, [kind, where, name, steps])))
            else:
                value = self._value(kind, where, name, instance, func)
                found.add(next((number for _, same, number in numba_facts.bound_objects(value) if same == what), None))
        if len(found) > 1:
            reason = "callee_changed" if what == "function" else "global_changed"
            raise _Refused(reason, f"{edge.name}, read by {instance.qualname}, were one {what}, are several")

    def _value(self, kind: str, where: str, name: str, instance: CodeInstance, func: Any) -> Any:
        if where == "own" and func is not None:
            if kind == "free":
                return _cell(func, name)
            namespace = func.__globals__
        else:
            module = sys.modules.get(instance.module if where == "own" else where)
            if module is None:
                return ABSENT
            if kind == "attribute":
                return getattr(module, name, ABSENT)
            namespace = vars(module)
        if name in namespace:
            return namespace[name]
        return getattr(builtins, name, ABSENT)

    def _overload_sets(self, instance: CodeInstance) -> None:
        """Compare, for what this instance resolved, what is registered from outside Numba: what was added counts as well."""
        recorded = [(edge.name, edge.digest) for edge in instance.edges if edge.kind == "overload_set"]
        if not recorded and not self._extended:
            return
        names = self.image.index["names"]
        for name, content in overload_sets.to_check(recorded, (names[number] for number in instance.resolved)):
            if not self._set_holds(name, content):
                raise _Refused("overload_changed", f"the implementations of {name}, used by {instance.qualname}, have changed")

    def _set_holds(self, name: str, content: str | None) -> bool:
        if (name, content) not in self._sets:
            try:
                self._sets[name, content] = overload_sets.holds(name, content)
            except NotRelocatable as error:
                raise _Refused("overload_changed", f"an implementation of {name}: {error}") from None
        return self._sets[name, content]

    # ------------------------------------------------------------ callees

    def _callee(self, caller: CodeInstance, func: Any, args: Any, path: Any) -> Any:
        kind, where, name, positions = path
        if kind == "arg":
            disp = self._argument(caller, int(name), positions, args)
        elif kind == "absolute":
            disp = numba_facts.live_dispatcher(numba_facts.absolute(where, name))
        elif kind == "overload":
            (content, cell), steps = positions
            read = (value for visit in self.verdict.visits for _, value in visit.values)
            disp = numba_facts.take_steps(extensions.overload_cell(where, name, content, cell, read), steps)
        else:
            value = self._value(kind, where, name, caller, func)
            disp = numba_facts.take_steps(value, positions)
        return disp

    def _argument(self, caller: CodeInstance, number: int, positions: list[int], args: Any) -> Any:
        if args is not None:
            for found, disp in numba_facts.dispatchers_in_type(args[number]):
                if found == positions:
                    return disp
            return None
        tree = self.image.root(caller, caller.args[number])
        if tree[0] == "dispatcher" and len(self.verdict.dispatchers.get(digest(tree[1]), ())) > 1:
            raise _Refused("not_relocatable", f"several functions could be argument {number} of {caller.qualname}")
        try:
            return numba_facts.dispatcher_at(TypeDecoder(self.verdict.scope()).decode(tree), positions)
        except NotRelocatable:
            what = f"in argument {number}"
            raise _Refused("not_relocatable", refusal("nameless_callee", caller=caller.qualname, callee=what)) from None

    def _meet_types(self, value: Any) -> None:
        """Note the live types of objects in a value or a type; two that look alike could be taken for each other."""
        for typ in numba_facts.types_of_objects(value):
            known = self.verdict.types.setdefault(canonical(encode_type(typ)), typ)
            if known != typ:
                raise _Refused("not_relocatable", f"there are two classes of one definition: {known} and {typ}")

    def _meet(self, disp: Any) -> None:
        known = self.verdict.dispatchers.setdefault(digest(dispatcher_tree(disp)), [])
        if all(other is not disp for other in known):
            known.append(disp)


def _is_same_code(a: ImageReader, left: int, b: ImageReader, right: int, seen: set[tuple[int, int]]) -> bool:
    """Return whether two stored code instances answer the same question and read the same things, down to the last callee.

    Their ids may differ all the same: that of code that Python called as well stands for its wrappers, too.
    """
    if (left, right) in seen:
        return True
    seen.add((left, right))
    one, other = a.instance(left), b.instance(right)
    if one.id == other.id:
        return True
    if (one.key, one.module, one.qualname, one.method) != (other.key, other.module, other.qualname, other.method):
        return False
    if _edges_of(one) != _edges_of(other) or len(one.callees) != len(other.callees):
        return False
    if not one.key:  # made by the compiler: only its code tells it from another one
        return False
    pairs = [sorted(((canonical(path), number) for number, path in item.callees)) for item in (one, other)]
    return all(p == q and _is_same_code(a, m, b, n, seen) for (p, m), (q, n) in zip(*pairs, strict=True))


def _edges_of(instance: CodeInstance) -> list[list[str]]:
    return sorted([edge.kind, edge.where, edge.name, edge.digest] for edge in instance.edges)


def _reason(kind: str, value: Any) -> str:
    """Return the reason code for another *value* at an edge of this kind."""
    if kind == "free":
        return "closure_changed"
    return "callee_changed" if _is_code(value) else "global_changed"


def _is_code(value: Any) -> bool:
    if type_of_class(value) is not None:
        return True
    return (
        isinstance(value, FunctionType)
        or is_stencil(value)
        or numba_facts.is_intrinsic(value)
        or numba_facts.live_dispatcher(value) is not None
    )


def _is_at_home(func: Any) -> bool:
    """Return whether the globals of a function are those of the module that its name leads to."""
    module = sys.modules.get(func.__module__)
    return module is not None and func.__globals__ is vars(module)


def _is_named(func: Any, edge: Edge) -> bool:
    return (module_of(func) or "", getattr(func, "__qualname__", "")) == (edge.where, edge.name)


def _cell(func: Any, name: str) -> Any:
    names = func.__code__.co_freevars
    if name not in names:
        return ABSENT
    try:
        return func.__closure__[names.index(name)].cell_contents
    except ValueError:
        return ABSENT


_versions: dict[str, str | None] = {}


def _version(name: str) -> str | None:
    if name not in _versions:
        try:
            _versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            _versions[name] = None
    return _versions[name]
