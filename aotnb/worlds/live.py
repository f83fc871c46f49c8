"""The worlds of this process: notices what changed, takes out the code that depended on it, and finds code that fits again."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from aotnb.bridge import extensions, overloads
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.dispatchers import (
    arguments_of,
    compiler_lock,
    drop,
    forget_failures,
    holds,
    is_frozen,
    is_replaceable,
    kernel_of,
)
from aotnb.bridge.values import is_installed_module
from aotnb.core.records import Invalidation
from aotnb.core.text import change_text
from aotnb.core.worlds import Cause, CodeNode, MethodTable, Victim
from aotnb.errors import AotWarning, NotRelocatable
from aotnb.tracing.instance import Instance
from aotnb.tracing.recorder import Recorder
from aotnb.worlds.bindings import Binding, Bindings, LiveRead, OverloadRead
from aotnb.worlds.placements import Placement, Placements, label
from aotnb.worlds.reuse import Refused, Store, check, find_again

_logger = logging.getLogger("aotnb")

# what a node has read that may be different, and the binding that gave rise to the suspicion
Suspects = dict[CodeNode, list[tuple[LiveRead | OverloadRead, Binding | None]]]

_KINDS = {"free": "closure"}
_MANY = 256
ARRAY_BUDGET = 16 * 2**20  # bytes of arrays whose content is compared between the statements of a cell, too


class Worlds:
    """Tracks the code that the recorder sees. Nothing is noticed by itself: :meth:`check` looks."""

    def __init__(self, recorder: Recorder, image_holds: Callable[[Instance], bool]) -> None:
        self.recorder = recorder
        self.image_holds = image_holds
        self.table = MethodTable()
        self.bindings = Bindings()
        self.log: list[Invalidation] = []
        self.ended: list[CodeNode] = []  # nodes that were invalidated, oldest first
        self._placements = Placements(self.table, self._added, self._held, recorder.owner_of)
        self._store = Store(recorder.instances)
        self._fresh: list[CodeNode] = []
        self._dead: deque[CodeNode] = deque()
        self._registered = overloads.registered()
        self._cell_began = self._registered
        self.verifying = False  # AOTNB_VERIFY: find code again, let the compiler run all the same, compare
        self.expected: Instance | None = None

    # ------------------------------------------------------------ code comes in

    def _added(self, node: CodeNode) -> None:
        self._fresh.append(node)

    def _held(self, node: CodeNode, disp: Any) -> None:
        weakref.finalize(disp, self._dead.append, node).atexit = False

    def find_again(self, kind: str, disp: Any, args: tuple[Any, ...], return_type: Any, flags: Any) -> Any:
        """Answer a question to a dispatcher with code that this process compiled before; None if there is none that fits."""
        if not self.recorder.is_compiling():
            self.expected = None  # of a compilation that raised
        candidates = self._store.candidates(kind, disp, args, return_type, flags)
        found = find_again(candidates, disp, args, self.image_holds, put=not self.verifying)
        if found is None:
            return None
        cres, instance, moved = found
        if self.verifying:
            if not self.recorder.is_compiling():
                self.expected = instance
            return None
        self._placements.placed(instance, disp, moved)
        if len(self._dead) > _MANY:  # a script that never checks must not gather what a library builds afresh on every call
            self._bury()
        return cres

    def watched_names(self) -> frozenset[str]:
        """Return the names that compiled code has read."""
        if self.recorder.new_code or self._fresh:
            self.check(between_statements=True)
        return self.bindings.names

    def begin_cell(self) -> None:
        """Overloads that are registered from now on may take the place of earlier ones of the same name."""
        self._cell_began = overloads.registered()

    def valid_in(self, world: int) -> list[Instance]:
        """Return the code that was valid in *world* and had a dispatcher, each once."""
        found: dict[int, Instance] = {}
        for node in (*self.ended, *self.table.nodes()):
            if node.min_world <= world and (node.max_world is None or node.max_world >= world):
                found.update((id(instance), instance) for instance, _ in node.payload.holders)
        return list(found.values())

    def spans(self) -> Iterator[tuple[Instance, int, int | None]]:
        """Give each code that had a dispatcher with the first and the last world (None: it goes on) of a time it was valid."""
        for node in (*self.ended, *self.table.nodes()):
            for instance in {id(instance): instance for instance, _ in node.payload.holders}.values():
                yield instance, node.min_world, node.max_world

    # ------------------------------------------------------------ what changed

    def before_question(self) -> None:
        """Look for changes since Python is about to ask the compiler.

        Failed compilations stay remembered here, as Numba does it: a library that tries what may fail would compile it anew
        at each attempt.
        """
        if not self.recorder.is_compiling():
            self._look(contents=True)

    def check(self, *, between_statements: bool = False) -> list[Invalidation]:
        """Look whether anything that compiled code has read is different now, and invalidate what depends on it.

        Between the statements of a cell the content of arrays is compared only as long as they are small altogether.
        """
        if self.recorder.is_compiling():
            return []  # this thread is inside the compiler: what it compiles is not finished
        if self.recorder.failed:
            forget_failures(list(self.recorder.failed))
            self.recorder.failed.clear()
        return self._look(contents=not between_statements or self.bindings.array_bytes <= ARRAY_BUDGET)

    def _look(self, *, contents: bool) -> list[Invalidation]:
        if len(self._dead) > _MANY:
            with compiler_lock:
                self._bury()
        changed = self.bindings.changed(contents=contents)
        registered = overloads.registered()
        if not changed and not self.recorder.new_code and not self._fresh and registered == self._registered:
            return []
        with compiler_lock:
            return self._settle(changed)

    def _settle(self, changed: list[Any]) -> list[Invalidation]:
        self._bury()
        new, self.recorder.new_code = self.recorder.new_code, []
        for instance, disp in new:
            self._placements.placed(instance, disp, {})
        suspects: Suspects = {}
        for binding in changed:
            for node, lives in binding.readers.items():
                suspects.setdefault(node, []).extend((live, binding) for live in lives)
        for node in self._watch_fresh():
            suspects.setdefault(node, []).extend((live, None) for live in node.payload.reads if not live.is_untouched())
        hit = self._changed_overloads(suspects)
        rebound = []
        for node, lives in suspects.items():
            if is_kept_frozen(node):
                continue
            broken = next(((live, binding) for live, binding in lives if not live.holds()), None)
            if broken is not None:
                hit.setdefault(node, _cause(*broken))
            elif any(_leads_elsewhere(live) for live, _ in lives):
                rebound.append(node)
        again = self._follow(rebound, hit)
        rows = self._invalidate(hit)
        for instance, disp, moved in again:
            if holds(disp, instance.result.library):
                self._placements.placed(instance, disp, moved)
        self._watch_fresh()  # what was placed again; it was found to hold just now
        return rows

    def _watch_fresh(self) -> list[CodeNode]:
        """Watch what the nodes that are new have read."""
        fresh, self._fresh = [node for node in self._fresh if node.max_world is None], []
        for node in fresh:
            for live in node.payload.reads:
                self.bindings.watch(node, live, node.payload.func)
        return fresh

    def _follow(self, rebound: list[CodeNode], hit: dict[CodeNode, Cause]) -> list[tuple[Instance, Any, Any]]:
        """Names lead to other dispatchers of equal definition: see whether the code in use would be linked through them too.

        Code that would not is added to *hit*. The rest has to be placed again, now behind those dispatchers.
        """
        affected = list(dict.fromkeys(node for start in rebound for node in _upwards(start)))
        again = []
        for node in affected:
            placement: Placement = node.payload
            for instance, disp in placement.held():
                try:
                    again.append((instance, disp, check(instance, disp, tuple(instance.args), self.image_holds)))
                except Refused as refused:
                    hit.setdefault(node, refused.cause)
                except (NotRelocatable, LookupError) as error:
                    hit.setdefault(node, Cause("callee", placement.function, "", str(error)))
        for node in affected:
            if node not in hit:
                self._forget(node)
        return again

    def _changed_overloads(self, suspects: Suspects) -> dict[CodeNode, Cause]:
        """Note code whose overloads were defined anew among *suspects*, and return code that would now find one it had not."""
        registered = overloads.registered()
        if registered == self._registered:
            return {}
        self._registered = registered
        changed = overloads.supersede(self._cell_began)
        new = {name for name in changed if not OverloadRead(name, None).holds()}  # of concern to code that asked none of it
        hit = {}
        for node in self.table.nodes():
            known = {live.name: live for live in node.payload.reads if isinstance(live, OverloadRead)}
            suspects.setdefault(node, []).extend((known[name], None) for name in changed & known.keys())
            for name in sorted((new & node.payload.resolved) - known.keys()):
                hit[node] = Cause("overload", name, "absent", "added")
        return hit

    def _bury(self) -> None:
        """Forget code whose dispatcher has died, unless other code links it."""
        gone: set[CodeNode] = set()
        while self._dead:
            node = self._dead.popleft()
            gone.update(self.table.release(node, lambda other: other.payload.is_held()))
        for node in gone:
            self.bindings.forget(node)
        self._fresh = [node for node in self._fresh if node not in gone]

    def _forget(self, node: CodeNode) -> None:
        self.table.remove(node)
        self.bindings.forget(node)

    # ------------------------------------------------------------ what follows

    def _invalidate(self, hit: dict[CodeNode, Cause]) -> list[Invalidation]:
        self._forget_choices(hit)
        victims = self.table.invalidate(hit)
        rows = []
        code: dict[int, tuple[Any, list[tuple[Any, Any]]]] = {}
        for victim in victims:
            node, placement = victim.node, victim.node.payload
            self.bindings.forget(node)
            held = placement.held()
            if held:
                self.ended.append(node)
            for instance, disp in held:
                note = "" if is_replaceable(disp) else "a NumPy ufunc keeps its loops: define it anew"
                if note:
                    text = f"{label(placement)} goes on with {victim.cause.name} as it was: {note}"
                    warnings.warn(text, AotWarning, stacklevel=2)
                if not is_superseded(placement, disp):
                    rows.append(self._row(victim, note))
                code.setdefault(id(disp), (disp, []))[1].append((instance.result.library, instance.return_type))
        again = []
        for disp, gone in code.values():
            self.recorder.dropped(disp, arguments_of(disp, [library for library, _ in gone]))
            again += [(disp, *item) for item in drop(disp, gone, self.recorder.waiting(disp))]
        for disp, args, error in _compile_all(again):
            text = f"compiling it anew for {args} raised {type(error).__name__}: {error}"
            rows = [_with_note(row, disp, text) for row in rows]
        self.log += rows
        for row in rows:
            _logger.info("invalidated %s.%s%s by %s %s", row.module, row.function, row.signature, row.kind, row.cause)
        return rows

    def _forget_choices(self, hit: dict[CodeNode, Cause]) -> None:
        """Let the compiler ask overloads and intrinsics again where what they read has changed."""
        for node, cause in hit.items():
            for live in node.payload.reads:
                if isinstance(live, OverloadRead) and live.name == cause.name:
                    for template in extensions.external_overloads().get(live.name, ()):
                        overloads.forget_choices(template._overload_func)
                elif isinstance(live, LiveRead) and numba_facts.is_intrinsic(live.read.value):
                    overloads.forget_choices(live.read.value)

    def _row(self, victim: Victim, note: str) -> Invalidation:
        placement: Placement = victim.node.payload
        return Invalidation(
            world=self.table.world,
            kind=victim.cause.kind,
            cause=victim.cause.name,
            before=victim.cause.before,
            after=victim.cause.after,
            function=placement.function,
            module=placement.module,
            signature=placement.signature,
            chain=tuple(label(node.payload) for node in victim.chain),
            depth=victim.depth,
            seconds=placement.seconds,
            note=note,
        )


def _compile_all(again: list[tuple[Any, Any, Callable[[], None]]]) -> list[tuple[Any, Any, Exception]]:
    """Compile what may not compile when it is called; return what raised, a mistake in a new definition.

    One of them may call another that is still without code, so what raised is tried again as long as others succeed.
    """
    failed: list[tuple[Any, Any, Exception]] = []
    while again:
        failed, rest = [], []
        for disp, args, compile_again in again:
            try:
                compile_again()
            except Exception as error:  # noqa: BLE001 - told where the invalidation is, not raised in another cell
                failed.append((disp, args, error))
                rest.append((disp, args, compile_again))
        again = rest if len(rest) < len(again) else []
    return failed


def is_kept_frozen(node: CodeNode) -> bool:
    """Return whether this is code that an installed library compiled by explicit signatures, or a part of such code.

    What the library has bound since is its own business: galois binds the tables of each field to the same names in turn,
    and counts on what Numba froze before.
    """
    placement: Placement = node.payload
    if not is_installed_module(placement.module):
        return False
    dispatchers = [disp for _, disp in placement.held()]
    if dispatchers:
        return all(map(is_frozen, dispatchers))
    return bool(node.callers) and all(caller is not node and is_kept_frozen(caller) for caller in node.callers)


def _with_note(row: Invalidation, placement_of: Any, text: str) -> Invalidation:
    func = placement_of.py_func
    same = (row.module, row.function) == (func.__module__, func.__qualname__)
    return replace(row, note=text) if same else row


def _cause(live: LiveRead | OverloadRead, binding: Binding | None) -> Cause:
    """Name what changed: the value that was read, or what that value reads in turn when the compiler runs it."""
    if binding is not None and (binding.name != live.name or isinstance(live, OverloadRead)):
        return Cause(binding.kind, binding.name, binding.before, change_text(binding.before, binding.after()))
    if isinstance(live, OverloadRead):
        return Cause("overload", live.name, live.before(), live.after())
    kind = _KINDS.get(live.kind, live.kind)
    value = live.find()
    if value is live.read.value and hasattr(value, "__array_interface__"):
        return Cause("array", live.title, live.before(), "changed in place")
    before = live.before()
    return Cause(kind, live.title, before, change_text(before, live.after()))


def _leads_elsewhere(live: LiveRead | OverloadRead) -> bool:
    """Return whether the dispatchers that a read leads to are other objects now."""
    if isinstance(live, OverloadRead):
        return False
    old = [id(disp) for _, disp in numba_facts.dispatchers_in_value(live.read.value)]
    return bool(old) and old != [id(disp) for _, disp in numba_facts.dispatchers_in_value(live.find())]


def _upwards(node: CodeNode) -> list[CodeNode]:
    """Return *node* and all code that links it."""
    seen = {node: None}
    queue = deque([node])
    while queue:
        for caller in queue.popleft().callers:
            if caller not in seen:
                seen[caller] = None
                queue.append(caller)
    return list(seen)


def is_superseded(placement: Placement, disp: Any) -> bool:
    """Return whether the name of this function leads to another one by now, so that nobody calls this one by its name."""
    if "<locals>" in placement.function:
        return False
    found = kernel_of(numba_facts.absolute(placement.module, placement.function))
    return found is not None and found is not disp
