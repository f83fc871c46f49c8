"""Native code of an image in the process: places where it is mapped, and slots that are filled when an entry first needs them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aotnb.bridge import inspect as numba_facts
from aotnb.bridge import install
from aotnb.bridge.boxes import box_class
from aotnb.bridge.codegen import BASE_SLOT, CLONE_SLOT, stub_slot
from aotnb.bridge.inner import inner_dispatcher
from aotnb.bridge.irtext import DATA_PREFIX, name_in_place, renamed
from aotnb.bridge.native import NativeTable, map_objects, map_shared, write_pointer
from aotnb.bridge.roots import bind_consts, bind_object
from aotnb.bridge.symbols import PARALLEL, THREADING, address_of, in_process, launch_threads
from aotnb.bridge.typecodec import TypeDecoder
from aotnb.bridge.values import c_address, is_fixed_module, live_ids
from aotnb.core.left_out import refusal
from aotnb.core.records import Dropped, LoadReport
from aotnb.core.targets import Match
from aotnb.errors import ImageRejected, NotRelocatable
from aotnb.image.costs import question, read_costs
from aotnb.image.model import CodeInstance, code_libraries
from aotnb.image.reader import ImageReader
from aotnb.loading.frozen import FrozenFiles
from aotnb.loading.validate import Verdict

MOST_PLACES = 64  # of one image's code in a process: each takes as much memory as the code

# of all places in this process: two images may have code of one name, bound to different objects
_numbers = itertools.count()
_PLACEHOLDER = object()  # for constants that stand in the code without being read
_HELPER_SLOT = stub_slot("")


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a slot has to be bound to: ids of the live objects, and the action that does it for a place and an address in it."""

    live: Any
    bind: Callable[[MappedCode, int], None]


class MappedCode:
    """One place in the process where an image's native code lies, with slots of its own.

    A slot is bound once. Where two functions of equal content hold different objects, such as two closures of one factory over
    two big arrays, each has its code in a place of its own, as each would have its own under the JIT.
    """

    def __init__(self, image: LoadedImage) -> None:
        self.image, self.number = image, next(_numbers)
        self.table, self.linked = self._map()
        self.environments: dict[str, Any] = {}
        self._bound: dict[int, Any] = {}  # table position of a filled slot -> the live objects it is bound to
        self._spare: dict[str, Any] = {}
        self._write_clones()
        self._bind_helpers()

    def _map(self) -> tuple[NativeTable, str]:
        reader, count = self.image.reader, len(self.image.names)
        file = reader.file
        if reader.index["linked"] == "dlopen":
            label = f"{file.checksums()['native'][:16]}-{self.number}" if self.number else file.checksums()["native"][:16]
            try:
                return map_shared(file.part("native"), label, count), "dlopen"
            except OSError as error:
                raise ImageRejected(
                    "symbol_missing", f"{file.path} cannot be mapped: {error}; save it with --link in-process on this machine"
                ) from None
        # LLVM's linker ends the process where it finds a name nowhere
        for name in reader.index["imports"]:
            if not in_process(name):
                raise _without(file.path, name)
        return map_objects(file.part("objects"), count), "in-process"

    def _write_clones(self) -> None:
        """Let shared code call the functions that were chosen for this CPU."""
        position = self.image.position
        for slot, name in enumerate(self.image.names):
            if name.startswith(CLONE_SLOT):
                write_pointer(self.table[slot], self.table[position[name[len(CLONE_SLOT) :]]])

    def _bind_helpers(self) -> None:
        """Bind every helper now, but for those of the threading layer, whose threads must not start before they are needed.

        Nor those that another package provides, which may not be imported yet.
        """
        later = self.image.reader.index["slots"]
        for position, name in enumerate(self.image.names):
            if name.startswith(_HELPER_SLOT) and str(position) not in later:
                symbol = name[len(_HELPER_SLOT) :]
                if symbol not in PARALLEL:
                    self._bind_symbol(position, symbol)
            elif name.startswith(DATA_PREFIX):
                self._bind_symbol(position, name)

    def _bind_symbol(self, position: int, symbol: str) -> None:
        address = address_of(symbol)
        if address is None:
            raise _without(self.image.reader.file.path, symbol)
        write_pointer(self.table[position], address)

    def bind_parallel(self) -> None:
        """Start Numba's threads and bind what they provide."""
        launch_threads()
        for position, name in enumerate(self.image.names):
            if name.startswith(_HELPER_SLOT) and name[len(_HELPER_SLOT) :] in PARALLEL:
                self._bind_symbol(position, name[len(_HELPER_SLOT) :])

    # ------------------------------------------------------------ slots

    def fits(self, bindings: dict[int, _Binding]) -> bool:
        """Return whether the slots are free, or bound to these very objects."""
        return all(self._bound.get(position, binding.live) == binding.live for position, binding in bindings.items())

    def fill(self, bindings: dict[int, _Binding]) -> None:
        """Bind the slots that are still free."""
        for position, binding in bindings.items():
            if position not in self._bound:
                binding.bind(self, self.table[position])
                self._bound[position] = binding.live

    def address(self, symbol: str) -> int:
        """Return the address of a function of the image."""
        return self.table[self.image.position[symbol]]

    def environment(self, name: str, namespace: dict[str, Any], consts: list[Any]) -> Any:
        """Return the runtime environment behind a slot. Each code instance has one of its own in each place."""
        if name not in self.environments:
            self.environments[name] = install.make_environment(namespace, consts, name_in_place(name, self.number))
        return self.environments[name]

    # ------------------------------------------------------------ code that is compiled later

    def library_texts(self, libraries: list[str], verdict: Verdict) -> list[str]:
        """Return the raw IR that a caller of *libraries* links, after making its slots known to the in-process linker."""
        reader = self.image.reader
        code = reader.index["code"]
        seen: set[str] = set()
        stack = list(libraries)
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            stack.extend(code[name][2])
            for slot, record in code[name][3].items():
                install.define_symbol(name_in_place(slot, self.number), self._slot_address(slot, record, verdict))
        texts = [reader.library_text(name) for name in sorted(seen)]
        if self.number:
            texts = [renamed(text, seen, self.number) for text in texts]
        for data in sorted({symbol for text in texts for symbol in numba_facts.data_symbols(text)}):
            install.define_symbol(data, self._data_address(data))
        return texts

    def _slot_address(self, slot: str, record: list[Any], verdict: Verdict) -> int:
        position = self.image.position.get(slot)
        if position is not None and position in self._bound:
            return self.table[position]
        if slot not in self._spare:
            buffer = self._spare[slot] = install.slot_buffer()
            address = install.buffer_address(buffer)
            if position is None and self.image.is_nameless(record):
                write_pointer(address, id(_PLACEHOLDER))  # optimised away in the image, as it will be here
            else:
                self.image.binding(slot, record, verdict).bind(self, address)
        return install.buffer_address(self._spare[slot])

    def _data_address(self, name: str) -> int:
        if name not in self._spare:
            buffer = self._spare[name] = install.slot_buffer()
            write_pointer(install.buffer_address(buffer), address_of(name) or 0)
        return install.buffer_address(self._spare[name])


class LoadedImage:
    """An image whose native code is mapped, in one place or more."""

    def __init__(self, reader: ImageReader, match: Match, started: float, bases: Sequence[LoadedImage] = ()) -> None:
        assert match.number is not None
        self.reader = reader
        self.bases = {base.reader.image_id: base for base in bases}
        index, targets = reader.index, reader.targets
        self.frozen = FrozenFiles(index["frozen"]) if index["frozen"] else None
        self.names: list[str] = index["table"]
        self.position = {name: number for number, name in enumerate(self.names)}
        self._choose_clones(match.number, targets[match.number].base)
        self.places = [MappedCode(self)]
        self.costs = read_costs(reader.image_id)
        entries = sum(len(numbers) for numbers in index["questions"].values())
        self.report = LoadReport(
            path=str(reader.file.path),
            image_id=reader.image_id,
            entries=entries,
            functions=len(index["methods"]),
            linked=self.places[0].linked,
            target=targets[match.number].label,
            why=match.why,
            targets=tuple(target.label for target in targets),
            rejected=match.rejected,
            milliseconds=(time.perf_counter() - started) * 1000,
            jit_seconds=None if self.costs is None else self.costs.total,
            left_out=tuple(Dropped(**row) for row in index["dropped"]),
        )

    def jit_seconds(self, module: str, function: str, signature: str) -> float | None:
        """Return what the JIT took for this question when it was traced, None where that is unknown."""
        return None if self.costs is None else self.costs.questions.get(question(module, function, signature))

    def _choose_clones(self, number: int, base: int) -> None:
        """Put the functions for target *number* in the place of those for all CPUs."""
        for symbol, clones in self.reader.index["clones"].items():
            chosen = number if number in clones else base if base in clones else 0
            if chosen:
                self.position[symbol] = self.position[f"{symbol}.{chosen}"]

    def bind(self, number: int, verdict: Verdict) -> MappedCode:
        """Return a place of the code whose slots are bound to what entry *number* needs; the code is mapped anew where none is.

        Nothing is written unless all of them can be bound.
        """
        instance = self.reader.instance(number)
        bindings = self._bindings(number, verdict)
        place = next((place for place in self.places if place.fits(bindings)), None)
        if place is None:
            if len(self.places) >= MOST_PLACES:
                raise NotRelocatable(refusal("other_objects", function=instance.qualname))
            place = MappedCode(self)
            self.places.append(place)
        if instance.parallel:
            place.bind_parallel()
        place.fill(bindings)
        return place

    def check_bindings(self, number: int, verdict: Verdict) -> None:
        """Raise NotRelocatable where the slots of entry *number* cannot be bound; nothing is written."""
        self._bindings(number, verdict)

    def _bindings(self, number: int, verdict: Verdict) -> dict[int, _Binding]:
        """Return what the slots have to be bound to that the code of entry *number* reads."""
        slots, records = self.reader.index["entry_slots"][str(number)], self.reader.index["slots"]
        return {position: self.binding(self.names[position], records[str(position)], verdict) for position in slots}

    def binding(self, name: str, record: list[Any], verdict: Verdict) -> _Binding:
        """Return what the slot *name* has to be bound to. All functions that share its code must need the same."""
        _, owner, _ = record
        first, *others = (self._binding(name, record, func, verdict) for func in verdict.functions(owner))
        if any(other.live != first.live for other in others):
            raise NotRelocatable(refusal("shared_code", function=self.reader.instance(owner).qualname))
        return first

    def _binding(self, name: str, record: list[Any], func: Any, verdict: Verdict) -> _Binding:
        kind, owner, root = record
        if kind == "env":
            live, namespace, consts = self._environment_parts(owner, func, verdict)
            return _Binding(live, lambda place, address: write_pointer(address, id(place.environment(name, namespace, consts))))
        if kind == "base":
            function = self._borrowed(name[len(BASE_SLOT) :], verdict)
            return _Binding(function, lambda place, address: write_pointer(address, function))
        if kind == "helper":
            return _foreign(name[len(_HELPER_SLOT) :])
        instance = self.reader.instance(owner)
        tree = self.reader.root(instance, root)
        if kind == "obj" and tree[0] == "lifted":
            return self._lifted(tree[1], instance, verdict)
        if kind == "obj":
            obj, data = bind_object(tree, func, verdict.scope)
            return _Binding(live_ids(obj), lambda place, address: install.fill_pickle_buffer(address, obj, data))
        value = _live_address(tree, instance, func, verdict)
        return _Binding(value, lambda place, address: write_pointer(address, value))

    def _borrowed(self, symbol: str, verdict: Verdict) -> int:
        """Return the address of a function of a base image, after binding there what its code reads.

        That the function is valid here and now is known: it is among what *verdict* is about.
        """
        image_id, numbers = self.reader.index["borrowed"][symbol]
        base = self.bases[image_id]
        own = {self.reader.instance(number).id: number for number in (*(visit.number for visit in verdict.visits), *verdict.live)}
        number = next((number for number in numbers if base.reader.instance(number).id in own), None)
        if number is None:
            raise NotRelocatable(f"the base image {base.reader.file.path} has other code for a function that is called")
        there = replace(verdict, live={}, visits=[], links=[], linked=[])
        seen, stack = {number}, [number]
        while stack:
            current = stack.pop()
            instance = base.reader.instance(current)
            here = verdict.live.get(own.get(instance.id, -1))
            if here is not None:
                there.live[current] = here
            stack.extend({callee for callee, _ in instance.callees} - seen)
            seen.update(callee for callee, _ in instance.callees)
        return base.bind(number, there).address(symbol)

    def _lifted(self, symbol: str, instance: CodeInstance, verdict: Verdict) -> _Binding:
        """Return what code of *instance* expects of its block in object mode whose wrapper for Python is *symbol*."""
        number = next(n for n, _ in instance.callees if self.reader.instance(n).symbols.get("python") == symbol)
        block = self.reader.instance(number)
        slot = self._environment_slot(number, block)
        live, namespace, consts = self._environment_parts(number, verdict.function(number), verdict)

        def bind(place: MappedCode, address: int) -> None:
            env = place.environment(slot, namespace, consts)
            function = install.lifted_block(block.qualname, place.address(symbol), env)
            install.fill_pickle_buffer(address, function, b"a block in object mode")

        return _Binding(live, bind)

    def _environment_slot(self, number: int, instance: CodeInstance) -> str:
        """Return the slot through which the code of an instance finds its environment."""
        for library in code_libraries(instance):
            for slot, record in self.reader.index["code"][library][3].items():
                if record[0] == "env" and record[1] == number:
                    return str(slot)
        return f"{instance.library}.env.{number}"

    def environment(self, place: MappedCode, number: int, verdict: Verdict) -> Any:
        """Return the runtime environment of entry *number* in *place*."""
        slot = self._environment_slot(number, self.reader.instance(number))
        if slot in place.environments:  # made when the slots were filled
            return place.environments[slot]
        _, namespace, consts = self._environment_parts(number, verdict.function(number), verdict)
        return place.environment(slot, namespace, consts)

    def _environment_parts(self, owner: int, func: Any, verdict: Verdict) -> tuple[Any, dict[str, Any], list[Any]]:
        """Return the ids of the live objects that an environment is bound to, its namespace and its constants."""
        if owner < 0:
            return None, {}, []
        instance = self.reader.instance(owner)
        trees = [self.reader.root(instance, root) for root in instance.consts]
        consts, ids = bind_consts(trees, func, verdict.scope, instance.key)
        namespace = func.__globals__ if func is not None else numba_facts.module_namespace(instance.globals_module)
        # code in object mode looks names up in it; a module that was imported anew has another one. That of a module of Numba
        # may be empty: the module is not imported before something is compiled
        is_bound = func is not None and not is_fixed_module(namespace.get("__name__"))
        return (id(namespace) if is_bound else None, ids), namespace, consts

    def is_nameless(self, record: list[Any]) -> bool:
        """Return whether the slot is for the address of something that no name leads to."""
        kind, owner, root = record
        return kind == "dyn" and self.reader.root(self.reader.instance(owner), root)[0] == "nameless"


def _without(path: Path, symbol: str) -> ImageRejected:
    return ImageRejected("symbol_missing", f"{path} needs {symbol}, which this process does not provide; save it again here")


def _foreign(symbol: str) -> _Binding:
    address = address_of(symbol)
    if address is None:
        raise NotRelocatable(f"the code calls {symbol}, which no library that is loaded provides")
    return _Binding(address, lambda place, slot: write_pointer(slot, address))


def _live_address(tree: Any, instance: CodeInstance, func: Any, verdict: Verdict) -> int:
    """Return the address in this process of what a dynamic address of the traced process pointed at."""
    if tree[0] == "box":
        return id(box_class(TypeDecoder(verdict.scope()).decode(tree[1]), verdict.flags))
    if tree[0] == "inner" and func is not None:
        return id(inner_dispatcher(func, tree[2]))
    if tree[0] != "live":
        raise NotRelocatable(refusal("nameless_address", function=instance.qualname, type=tree[1]))
    _, what, path = tree
    value = numba_facts.follow(path, func, instance.module)
    if value is None and instance.module == THREADING:  # its C functions are there once threads are started
        launch_threads()
        value = numba_facts.follow(path, func, instance.module)
    if value is None and path[0] == "arg":
        known = [d for found in verdict.dispatchers.values() for d in found]
        value = known[0] if len(known) == 1 else None
    if value is None:
        raise NotRelocatable(f"nothing is found where {instance.qualname} held the address of an object")
    install.keep_alive(value)
    if what == "c function":
        return c_address(value) or 0
    return int(value.ctypes.data) if what == "data" else id(value)
