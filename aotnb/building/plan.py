"""What to save: from live code instances to a manifest and canonical libraries, with a reason for each one left out."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.boxes import box_type
from aotnb.bridge.codegen import runtime_functions
from aotnb.bridge.environment import process_tree
from aotnb.bridge.generators import generator_names, returns_generator
from aotnb.bridge.inner import inner_tree
from aotnb.bridge.irtext import CanonicalLibrary, RawLibrary, canonicalize, large_numbers, pickled_objects, unordered
from aotnb.bridge.libraries import LibraryFacts, library_facts, linked_libraries
from aotnb.bridge.methods import method_tree, own_digest
from aotnb.bridge.native import is_mapped
from aotnb.bridge.roots import environment_consts, object_content, object_root
from aotnb.bridge.symbols import is_helper, lack
from aotnb.bridge.typecodec import encode_type, encode_types
from aotnb.bridge.values import by_address, c_address, is_fixed_module
from aotnb.building.edges import edges_of, stable_text
from aotnb.building.manifest import ManifestBuilder
from aotnb.building.twins import number_twins
from aotnb.building.units import closure, declared_functions
from aotnb.core.digest import digest, question_key
from aotnb.core.left_out import refusal
from aotnb.core.records import Dropped, Unexplained
from aotnb.core.text import symbol_text
from aotnb.errors import NotRelocatable
from aotnb.image.model import PARALLEL_LOOPS, UFUNC_LOOPS, CodeInstance, Library, Manifest, library_of, method_key
from aotnb.image.reader import ImageReader
from aotnb.tracing.instance import Instance, Read
from aotnb.tracing.paths import dispatcher_path, is_unnamed, where_read
from aotnb.tracing.recorder import Recorder
from aotnb.tracing.walk import unexplained_names


@dataclass(slots=True)
class Plan:
    """What will be built: the manifest, the libraries by name, and what was left out."""

    manifest: Manifest
    libraries: dict[str, Library]
    dropped: list[Dropped]
    unexplained: list[Unexplained]


@dataclass(slots=True)
class _Group:
    """Libraries that call each other in a circle, or just one library: they get one canonical name."""

    members: list[LibraryFacts]
    uses: set[int] = field(default_factory=set)
    canonical: CanonicalLibrary | None = None
    # by id of a member: its wrappers, where it has any that are wanted. They are libraries of their own, so that the
    # name of code does not depend on whether Python calls it as well
    wrappers: dict[int, CanonicalLibrary] = field(default_factory=dict)
    problem: NotRelocatable | None = None
    label: str = ""  # what names of its code begin with


class Planner:
    """Turns instances of a recorder into a :class:`Plan`; *bases* are the ids of the images that the new one builds on.

    *failed* are the names of code that could not be compiled before: what needs it is left out.
    """

    def __init__(self, recorder: Recorder, bases: Collection[str] = (), failed: Collection[str] = ()) -> None:
        self.recorder = recorder
        self.failed = failed
        self.builder = ManifestBuilder(bases)
        self.dropped: list[Dropped] = []
        self.unexplained: list[Unexplained] = []
        self._instances: dict[int, int] = {}  # id of a live instance -> index in the manifest
        self._owner: dict[int, Instance] = {
            id(i.result.library): i for i in recorder.instances if i.result is not None and not i.absorbed
        }
        self._groups: dict[int, _Group] = {}  # id of a library -> its group
        self._facts: dict[int, LibraryFacts] = {}
        # Numba's name of a function -> its library; name of an environment -> the instance that it belongs to
        self._by_symbol = {i.result.fndesc.llvm_func_name: i.result.library for i in recorder.instances if i.result is not None}
        self._by_environment: dict[str, list[Instance]] = {}
        for owner in self._owner.values():
            self._by_environment.setdefault(owner.result.fndesc.env_name, []).append(owner)
        # loops around kernels: whose they are, and of which kind
        self._loops = {id(loop): (i, kind) for i in recorder.instances for kind, (loop, _, _) in i.wrappers.items()}
        self._problems: dict[int, tuple[str, str]] = {}  # id of a live instance -> why it cannot be saved
        self._classes: dict[int, list[tuple[str, Any]]] = {}  # id of a live instance -> its types that are made of live objects
        self._known: dict[str, str] = {}  # Numba's function and environment names -> canonical names
        self._twins: dict[int, int] = {}  # id of a live instance -> its number among those that only their objects tell apart

    def plan(self, instances: Iterable[Instance], keep: Iterable[ImageReader] = ()) -> Plan:
        """Plan an image with the entries among *instances* and all entries of the images in *keep*."""
        asked = [instance for instance in instances if instance.python_called]
        self._problems = first_problems(asked)
        self._twins = number_twins(instance for instance in asked if id(instance) not in self._problems)
        for instance in asked:
            if instance.literals is not None:
                self._guard(instance, self._add_outcome)
            elif instance.refused is not None:
                self._guard(instance, self._add_refusal)
            elif instance.result is not None:
                self._guard(instance, self._add_entry)
        for image in keep:
            for number in range(len(image)):
                if image.instance(number).entry:
                    self.builder.import_instance(image, number)
        rows = [{f: getattr(d, f) for f in ("function", "module", "signature", "reason", "detail")} for d in self.dropped]
        manifest = self.builder.finish(process_tree(), rows)
        return Plan(manifest, dict(sorted(self.builder.libraries.items())), self.dropped, self.unexplained)

    def library_name(self, instance: Instance) -> str:
        """Return the canonical name of an instance's code: it follows from the raw IR of everything that it links."""
        groups = self._canonicalize(self._linked(instance.result.library))
        for group in groups:
            if group.problem is not None:
                raise group.problem
        library = self._groups[id(instance.result.library)].canonical
        assert library is not None
        return library.name

    def differs_in_order_only(self, instance: Instance, image: ImageReader, name: str) -> bool:
        """Return whether *instance* and library *name* of *image*, with all that they link, hold the same instructions."""
        here = [group.canonical.text for group in self._canonicalize(self._linked(instance.result.library)) if group.canonical]
        there, seen = [name], {name}
        for known in there:
            for used in image.index["code"][known][2]:
                if used not in seen:
                    seen.add(used)
                    there.append(used)
        # as sets: code that was compiled twice may have come out in two orders
        return {tuple(unordered(text)) for text in here} == {tuple(unordered(image.library_text(known))) for known in there}

    def _guard(self, instance: Instance, add: Any) -> None:
        problem = self._problems.get(id(instance))
        try:
            if problem is None:
                add(instance)
        except NotRelocatable as error:
            problem = (error.reason, str(error))
        except (AttributeError, KeyError, LookupError, ReferenceError, TypeError, ValueError) as error:
            # one function that surprises us must not cost the others
            problem = ("not_relocatable", f"{type(error).__name__} while it was described: {error}; please report this")
        if problem is not None:
            self.dropped.append(Dropped(instance.qualname, instance.module, instance.signature, *problem))

    # ------------------------------------------------------------ instances

    def _check_classes(self, instance: Instance) -> None:
        """Refuse code that was made with two classes of equal definition: a later process could not tell which is which."""
        found: dict[str, Any] = {}
        seen: set[int] = set()
        stack = [instance]
        while stack:
            current = stack.pop()
            if id(current) in seen:
                continue
            seen.add(id(current))
            for identity, typ in self._classes_of(current):
                if found.setdefault(identity, typ) != typ:
                    raise NotRelocatable(refusal("two_classes", function=current.qualname))
            stack.extend(callee.instance for callee in current.callees)

    def _classes_of(self, instance: Instance) -> list[tuple[str, Any]]:
        """Return the types that only a live object stands for in what *instance* takes, gives and read, each with a digest."""
        known = self._classes.get(id(instance))
        if known is None:
            returned = () if instance.result is None else (instance.result.signature.return_type,)
            values = (*instance.args, *returned, *(read.value for read in instance.reads.values()))
            known = [(digest(encode_type(typ)), typ) for value in values for typ in numba_facts.types_of_objects(value)]
            self._classes[id(instance)] = known
        return known

    def _add_entry(self, instance: Instance) -> None:
        if instance.maker is not None or instance.is_given_inner:
            raise NotRelocatable(refusal("no_name", object=f"the inner function of {instance.qualname}"))
        self._check_classes(instance)
        linked = self._linked(instance.result.library)
        for library, _, _ in instance.wrappers.values():
            linked |= self._linked(library)
        groups = self._canonicalize(linked)
        for group in groups:
            if group.problem is not None:
                raise group.problem
        index = self._add_instance(instance)
        # all of its libraries or none: one that cannot be described must not leave half an entry behind
        self.builder.libraries.update(self._describe_libraries(groups))
        record = self.builder.instances[index]
        if instance.result.library is not None and id(instance.result.library) in self._groups:
            library = self._groups[id(instance.result.library)].canonical
            assert library is not None
            record.symbols = self._symbols(instance, library)
        record.entry = True

    def _add_outcome(self, instance: Instance) -> None:
        """Save that this signature asks for literal arguments."""
        index = self._add_instance(instance)
        record = self.builder.instances[index]
        record.entry, record.literals = True, sorted(instance.literals or ())

    def _add_refusal(self, instance: Instance) -> None:
        """Save that this signature has no typing, with the error that says so."""
        if isinstance(instance.refused, NotRelocatable):
            raise instance.refused
        tree, recipes, quoted = instance.refused
        index = self._add_instance(instance)
        if any(id(found) not in self._instances for found in quoted):
            raise NotRelocatable(refusal("error_text", what="a function that no name leads to"))
        record = self.builder.instances[index]
        root = self.builder.root(method_key(record), ["error", tree, recipes])
        record.entry, record.refusal = True, [root, [self._instances[id(found)] for found in quoted]]

    def _add_instance(self, instance: Instance) -> int:
        if instance.from_image is not None:
            return self._import(instance.from_image)
        known = self._instances.get(id(instance))
        if known is not None:
            return known
        for name in () if instance.in_vain else unexplained_names(instance):
            detail = f"the code mentions {name}, but its compilation was not seen to read it: please report this"
            self.unexplained.append(Unexplained(instance.qualname, instance.module, instance.signature, name, detail))
        record = self._describe(instance)
        index = self._instances[id(instance)] = self.builder.reserve(record)
        for callee, path in self._callees(instance):
            record.callees.append([self._add_instance(callee), path])
            if self._was_found(instance, callee):
                record.found = sorted({*record.found, f"{callee.module}:{callee.qualname}"})
        self.builder.switches[instance.config] = instance.switches
        self.builder.seal(index)
        return index

    def _import(self, entry: Any, rename: Callable[[str], str] = str) -> int:
        """Take over code of a loaded image; *rename* gives the names under which code of this process knows it."""
        image, number = entry
        index = self.builder.import_instance(image.reader, number)
        for name in closure(self.builder.libraries, [image.reader.instance(number).library]):
            for function in declared_functions(self.builder.libraries[name]):
                self._known[rename(function)] = function
        return index

    def _describe(self, instance: Instance) -> CodeInstance:
        named = not is_unnamed(instance)
        is_asked_for = named and not instance.is_given_inner
        method = method_tree(instance.dispatcher) if named else [instance.module, instance.qualname, ""]
        table = ":".join(method)
        args = encode_types(instance.args) if named else []
        explicit = None if instance.return_type is None or not named else encode_type(instance.return_type)
        flags = numba_facts.flags_digest(instance.flags)
        result = instance.result
        returned = None if result is None or not named else encode_type(result.signature.return_type)
        consts = [] if result is None else environment_consts(result, instance.func)
        group = None if result is None else self._groups.get(id(result.library))
        library = group.canonical if group is not None else None
        root = functools.partial(self.builder.root, table)
        return CodeInstance(
            id="",
            module=method[0],
            qualname=method[1] if named else stable_text(method[1]),
            method=method[2],
            kind=instance.kind,
            key=question_key(instance.kind, method, args, explicit, flags, instance.config) if is_asked_for else "",
            args=[root(tree) for tree in args],
            return_type=None if returned is None else root(returned),
            explicit_return=None if explicit is None else root(explicit),
            flags=flags,
            config=instance.config,
            signature=stable_text(instance.signature),
            library="" if library is None else library.name,
            symbols={} if library is None else self._symbols(instance, library),
            edges=edges_of(instance),
            callees=[],
            consts=[root(tree) for tree in consts],
            globals_module=getattr(instance.func, "__globals__", {}).get("__name__") or "",
            resolved=sorted({self.builder.name(numba_facts.key_name(key)) for key in instance.resolved}),
            entry=False,
            seconds=0.0,
            parallel=bool(result is not None and result.reload_init) or any(kind in PARALLEL_LOOPS for kind in instance.wrappers),
            extra=self._wrapper_extra(instance),
            inherits=named and instance.kind == "function" and numba_facts.inherits_flags(instance.dispatcher, instance.flags),
        )

    def _symbols(self, instance: Instance, library: CanonicalLibrary) -> dict[str, str]:
        fndesc = instance.result.fndesc
        names = {"native": fndesc.llvm_func_name, "python": fndesc.llvm_cpython_wrapper_name, "c": fndesc.llvm_cfunc_wrapper_name}
        steps = generator_names(instance.result.signature.return_type)
        wrapper = self._groups[id(instance.result.library)].wrappers.get(id(instance.result.library))
        functions = library.functions | ({} if wrapper is None else wrapper.functions)
        found = {kind: functions[name] for kind, name in names.items() if name in functions}
        # the steps of a generator may be those of another function, which hands it on
        found |= {kind: self._known[name] for kind, name in steps.items() if name in self._known}
        for kind, (loop, name, _) in instance.wrappers.items():
            group = self._groups.get(id(loop))
            if group is None or group.canonical is None:
                continue  # only a callee so far: its own loop is not part of the image
            found[kind] = group.canonical.functions[name]
        return found

    def _wrapper_extra(self, instance: Instance) -> Any:
        extra = {}
        for kind, (_, _, detail) in instance.wrappers.items():
            if kind in UFUNC_LOOPS:
                extra[kind] = [encode_types(detail.args), encode_type(detail.return_type)]
            else:
                extra[kind] = [[list(dims) for dims in side] for side in detail]
        return extra or None

    def _callees(self, instance: Instance) -> list[tuple[Instance, Any]]:
        """Return the callees of an instance and the paths to them.

        Functions that the compiler made for itself have no names to start from: what they call is reached from the named
        function that they are part of.
        """
        found: list[tuple[Instance, Any]] = []
        for callee, disp in self._dependencies(instance):
            if callee.kind == "lifted":
                found.append((callee, ["same"]))  # a block of the same function
            elif is_unnamed(callee):
                found.append((callee, None))
                if not is_unnamed(instance) and _is_part(callee, [instance]):
                    far = self._unreached([instance, callee], {id(callee)})
                    found.extend((callee, self._path(instance, callee, via)) for callee, via in far)
            elif (path := dispatcher_path(instance, disp)) is not None or is_fixed_module(callee.module):
                # closures that Numba makes for itself have no function that a later process could look into
                inner = (
                    path is not None and path[0] == "free" and is_fixed_module(instance.module) and is_fixed_module(callee.module)
                )
                found.append((callee, None if inner else path))
            elif not is_unnamed(instance) and not self._is_handed_on(instance, callee):
                found.append((callee, self._path(instance, callee, disp)))
        return found

    def _was_found(self, instance: Instance, callee: Instance) -> bool:
        """Return whether *callee* was compiled before, under other compiler flags than *instance* would have handed down."""
        if is_unnamed(callee) or callee.kind != "function" or instance.flags is None or callee.started > instance.started:
            return False
        if callee.from_image is not None:
            image, number = callee.from_image
            flags = image.reader.instance(number).flags
        else:
            flags = numba_facts.flags_digest(callee.flags)
        with numba_facts.under(instance.flags):
            return numba_facts.flags_digest(numba_facts.resolved_flags(callee.dispatcher)) != flags

    def _is_handed_on(self, instance: Instance, callee: Instance) -> bool:
        """Return whether a function that *instance* names leads to *callee*, such as one that returns another one's generator."""
        stack = [known for known, disp in self._dependencies(instance) if dispatcher_path(instance, disp) is not None]
        seen = {id(instance)}
        while stack:
            current = stack.pop()
            if current is callee:
                return True
            if id(current) not in seen and current.from_image is None:
                seen.add(id(current))
                stack.extend(known for known, _ in self._dependencies(current))
        return False

    def _unreached(self, chain: list[Instance], seen: set[int]) -> Iterable[tuple[Instance, Any]]:
        """Yield the named functions, with their dispatchers, that an unnamed instance calls without having a name for them.

        *chain* leads from the named function that it is part of to the instance.
        """
        instance = chain[-1]
        for callee, disp in self._dependencies(instance):
            if is_unnamed(callee):
                if id(callee) not in seen and _is_part(callee, chain):
                    seen.add(id(callee))
                    yield from self._unreached([*chain, callee], seen)
            elif dispatcher_path(instance, disp) is None and not is_fixed_module(callee.module):
                yield callee, disp

    def _path(self, caller: Instance, callee: Instance, disp: Any) -> Any:
        path = dispatcher_path(caller, disp)
        if path is None:
            name = f"{callee.module}.{callee.qualname}"
            raise NotRelocatable(refusal("nameless_callee", caller=caller.qualname, callee=name))
        return path

    def _dependencies(self, instance: Instance) -> list[tuple[Instance, Any]]:
        """Return what an instance typed, inlined or linked, with the dispatchers through which it was reached."""
        found = [(callee.instance, callee.dispatcher) for callee in instance.callees]
        known = {id(callee) for callee, _ in found}
        if instance.result is not None and instance.from_image is None:
            for library in linked_libraries(instance.result.library):
                owner = self._owner.get(id(library))
                if owner is not None and owner is not instance and id(owner) not in known:
                    known.add(id(owner))
                    found.append((owner, owner.dispatcher))
        return found

    # ------------------------------------------------------------ libraries

    def _linked(self, library: Any) -> set[int]:
        """Return the ids of the libraries that *library* links, itself included."""
        seen: set[int] = set()
        stack = [library]
        while stack:
            current = stack.pop()
            if id(current) in seen or numba_facts.is_runtime_library(current):
                continue
            if (entry := numba_facts.image_entry(current)) is not None:
                self._import(entry, current.rename)
                continue
            seen.add(id(current))
            if id(current) not in self._facts:
                facts = self._facts[id(current)] = library_facts(current)
                if facts.missing:
                    cure = f"{facts.name} was compiled before aotnb was loaded; load aotnb earlier and trace again"
                    raise NotRelocatable(cure, "compiled_before_hooks")
            stack.extend(self._targets(self._facts[id(current)]))
        return seen

    def _targets(self, facts: LibraryFacts) -> list[Any]:
        """Return the libraries that a library calls: those it links, and blocks in object mode, called through Python."""
        owner = self._owner.get(id(facts.library))
        blocks = [] if owner is None else [block.result.library for block in _lifted(owner)]
        return [*facts.links, *self._recursive_targets(facts), *blocks]

    def _recursive_targets(self, facts: LibraryFacts) -> list[Any]:
        return [self._by_symbol[name] for name in facts.unresolved if name in self._by_symbol]

    def _wants_python(self, library: Any) -> bool:
        owner = self._owner.get(id(library))
        return owner is not None and (owner.python_called or owner.kind == "lifted" or returns_generator(owner.result))

    def _canonicalize(self, linked: set[int]) -> list[_Group]:
        groups = []
        for members in _circles({key: self._uses(key) for key in linked}):
            group = self._groups.get(members[0])
            if group is None:
                group = _Group([self._facts[key] for key in sorted(members, key=lambda k: self._facts[k].name)])
                for key in members:
                    self._groups[key] = group
                self._name(group)
            groups.append(group)
        return groups

    def _uses(self, key: int) -> list[int]:
        return [id(lib) for lib in self._targets(self._facts[key]) if id(lib) in self._facts]

    def _name(self, group: _Group) -> None:
        owners = [owner for facts in group.members if (owner := self._owner.get(id(facts.library))) is not None]
        owners.sort(key=lambda owner: owner.qualname)
        try:
            identity = [self._identity(owner) for owner in owners]
            label = group.label = self._label(owners, group.members)
            for facts in group.members:
                self._wrap_callees(facts)
            texts = [text for facts in group.members for text in facts.texts]
            raw = RawLibrary(label, texts, [identity, self._pickled(texts)])
            group.canonical = canonicalize(raw, self._known)
            self._known.update(group.canonical.functions)
            for slot, (kind, key) in group.canonical.slots.items():
                if kind == "env":
                    self._known[key] = slot
            for facts in group.members:
                if self._wants_python(facts.library):
                    self._wrap(group, facts)
            _check_provided([group.canonical, *group.wrappers.values()])
            _check_numbers(group.canonical)
            if any(library.name in self.failed for library in (group.canonical, *group.wrappers.values())):
                raise NotRelocatable("LLVM could not compile it again from what was recorded; please report this")
        except NotRelocatable as error:
            group.problem = error

    def _wrap_callees(self, facts: LibraryFacts) -> None:
        """Take in the wrappers of what *facts* takes the address of: a function that is a value is called as C calls it."""
        for key in self._uses(id(facts.library)):
            used, group = self._facts[key], self._groups.get(key)
            if group is not None and group.problem is None and any(map(facts.mentions, used.wrapper_names)):
                self._wrap(group, used)

    def _wrap(self, group: _Group, facts: LibraryFacts) -> None:
        if facts.wrappers and id(facts.library) not in group.wrappers:
            raw = RawLibrary(f"{group.label}.wrapper", facts.wrappers, "wrappers")
            wrapper = group.wrappers[id(facts.library)] = canonicalize(raw, self._known)
            self._known.update(wrapper.functions)

    def _label(self, owners: list[Instance], members: list[LibraryFacts]) -> str:
        """Return what names of the code begin with: function and argument types, and the kind of loop around it, if it is one."""
        kind = ""
        if not owners:
            owners = [self._loops[id(facts.library)][0] for facts in members if id(facts.library) in self._loops]
            kind = "." + self._loops[id(members[0].library)][1] if owners else ""
        if not owners:
            return "wrapper"
        name = f"{owners[0].module}.{owners[0].qualname}"
        types = "" if is_unnamed(owners[0]) else f"({','.join(map(symbol_text, encode_types(owners[0].args)))})"
        return name + types + kind

    def _identity(self, owner: Instance) -> Any:
        """Return what tells apart two libraries with the same text: whose environment and whose objects they use."""
        return [
            owner.module,
            stable_text(owner.qualname),
            "" if is_unnamed(owner) else [method_tree(owner.dispatcher)[2], encode_types(owner.args)],
            environment_consts(owner.result, owner.func),
            sorted((read.kind, read.name, read.digest) for read in owner.reads.values() if read.kind == "free" or read.own),
            *([["twin", number]] if (number := self._twins.get(id(owner))) else []),
        ]

    def _pickled(self, texts: list[str]) -> list[Any]:
        """Return the content of the pickled objects in code, such as arguments of exceptions: its text has slots for them."""
        known = self.recorder.serialized_objects
        return [object_content(known[key]) for key in pickled_objects(texts) if key in known]  # a string may look like one

    def _describe_libraries(self, groups: list[_Group]) -> dict[str, Library]:
        found = {}
        for group in groups:
            library = group.canonical
            assert library is not None
            owners = [owner for facts in group.members if (owner := self._owner.get(id(facts.library))) is not None]
            used = {*self._library_uses(group), *map(library_of, library.uses)}
            parts = [(library, sorted(used - {library.name}))]
            parts += [(w, sorted({library.name, *map(library_of, w.uses)})) for w in group.wrappers.values()]
            for part, uses in parts:
                if part.name not in self.builder.libraries:
                    slots = {slot: self._slot(kind, key, owners) for slot, (kind, key) in sorted(part.slots.items())}
                    found[part.name] = Library(part.name, part.text, slots, uses)
        return found

    def _library_uses(self, group: _Group) -> Iterable[str]:
        for facts in group.members:
            for key in self._uses(id(facts.library)):
                used = self._groups[key].canonical
                assert used is not None
                yield used.name
                owner = self._owner.get(key)
                if owner is not None and owner.kind == "lifted":
                    yield from (wrapper.name for wrapper in self._groups[key].wrappers.values())
            for library in facts.links:
                if (entry := numba_facts.image_entry(library)) is not None:
                    yield entry[0].reader.instance(entry[1]).library

    def _slot(self, kind: str, key: str, owners: list[Instance]) -> list[Any]:
        if kind == "env":
            for owner in self._by_environment.get(key, ()):
                if id(owner) in self._instances:
                    return ["env", self._instances[id(owner)], -1]
            return ["env", -1, -1]
        if kind == "obj" and (dispatcher := numba_facts.lifted_dispatcher(self.recorder.serialized_objects[key])) is not None:
            owner, tree = self._lifted_root(dispatcher, owners)
        elif kind == "obj":
            owner, tree = object_root(self.recorder.serialized_objects[key], owners)
        else:
            owner, tree = address_root(int(key.partition(".")[0], 16), owners)
        index = self._instances.get(id(owner), -1)
        if index < 0:
            raise NotRelocatable("a constant of a function that is not part of the image")
        record = self.builder.instances[index]
        return [kind, index, self.builder.root(f"{record.module}:{record.qualname}:{record.method}", tree)]

    def _lifted_root(self, dispatcher: Any, owners: list[Instance]) -> tuple[Instance, Any]:
        """Return the owner of a block in object mode and the recipe that finds the block's code: its wrapper for Python."""
        libraries = {id(library) for _, library in numba_facts.compiled_overloads(dispatcher)}
        for owner in owners:
            for block in _lifted(owner):
                if id(block.result.library) in libraries:
                    library = self._groups[id(block.result.library)].canonical
                    assert library is not None
                    return owner, ["lifted", self._symbols(block, library)["python"]]
        raise NotRelocatable("a block in object mode was compiled for another function")


def _check_provided(libraries: Iterable[CanonicalLibrary]) -> None:
    """Refuse code that calls what nothing provides, before it costs the whole image."""
    for library in libraries:
        for name in sorted(library.externals - runtime_functions()):
            if is_helper(name) and (sentence := lack(name)) is not None:
                raise NotRelocatable(sentence)


def _check_numbers(library: CanonicalLibrary) -> None:
    """Refuse code with a number that is an address of this process, which nobody said of it."""
    for number in sorted(large_numbers(library.text)):
        if is_mapped(number):
            raise NotRelocatable(refusal("address", address=hex(number)))


def encoding_problem(instance: Instance) -> tuple[str, str] | None:
    """Return why the types or constants of a named instance have no encoding, if so."""
    if is_unnamed(instance) or instance.result is None:
        return None
    try:
        if instance.definition not in ("", own_digest(instance.dispatcher)):
            return "incoherent", f"a default value of {instance.qualname} changed after it was compiled"
        encode_types((*instance.args, instance.result.signature.return_type))
        environment_consts(instance.result, instance.func)
    except NotRelocatable as error:
        return error.reason, str(error)
    return None


def _is_part(callee: Instance, chain: list[Instance]) -> bool:
    """Return whether an unnamed instance is part of those that lead to it, and not the inner function of one before them."""
    return callee.maker is None or any(instance is callee.maker for instance in chain)


def _lifted(instance: Instance) -> list[Instance]:
    """Return the blocks in object mode of a function."""
    return [callee.instance for callee in instance.callees if callee.instance.kind == "lifted"]


def first_problems(instances: Iterable[Instance]) -> dict[int, tuple[str, str]]:
    """Return, by ``id``, why instances cannot be saved: a reason of their own, or that of the nearest one they depend on."""
    callers: dict[int, list[Instance]] = {}
    found: dict[int, tuple[str, str]] = {}
    spreading: deque[Instance] = deque()
    stack = list(instances)
    seen = {id(instance) for instance in stack}
    while stack:
        instance = stack.pop()
        if not instance.encoding_checked and instance.from_image is None:
            instance.encoding_checked = True
            if (problem := encoding_problem(instance)) is not None:
                instance.problem(*problem)
        if instance.problems:
            found[id(instance)] = instance.problems[0]
            spreading.append(instance)
        for callee in instance.callees:
            callers.setdefault(id(callee.instance), []).append(instance)
            if id(callee.instance) not in seen:
                seen.add(id(callee.instance))
                stack.append(callee.instance)
    while spreading:
        callee_instance = spreading.popleft()
        reason, detail = found[id(callee_instance)]
        for caller in callers.get(id(callee_instance), ()):
            if id(caller) not in found:
                found[id(caller)] = reason, f"its callee {callee_instance.module}.{callee_instance.qualname}: {detail}"
                spreading.append(caller)
    return found


def address_root(address: int, owners: list[Instance]) -> tuple[Instance, Any]:
    """Return the owner of an address in its code and the recipe that finds the same thing in another process.

    Functions that call each other in a circle are one piece of code, in which an address stands once: all must find it alike.
    """
    found = [(owner, _address_tree(address, owner)) for owner in owners if address in owner.addresses]
    if not found:
        raise NotRelocatable("the code holds an address of unknown origin")
    owner, tree = found[0]
    if tree[0] == "live" and not any(id(callee.dispatcher) == address for callee in owner.callees):
        for other, alike in found[1:]:
            if alike != tree or other.module != owner.module:
                raise NotRelocatable(refusal("circle", function=owner.qualname, other=other.qualname))
    return owner, tree


def _address_tree(address: int, owner: Instance) -> Any:
    for disp in (callee.dispatcher for callee in owner.callees):
        if disp is not None and id(disp) == address:
            path = dispatcher_path(owner, disp)
            if path is not None:
                return ["live", "object", path]
            if (recipe := _inner_recipe(owner, disp)) is not None:
                return recipe
    for read in owner.reads.values():
        if (what := _points_at(address, read)) is not None:
            return ["live", what, [read.kind, where_read(owner, read), read.name, []]]
    name = numba_facts.c_function_name(owner.func, address) if is_fixed_module(owner.module) else None
    if name is not None:
        return ["live", "c function", ["global", owner.module, name, []]]
    if (typ := box_type(address)) is not None:
        return ["box", encode_type(typ)]
    # Numba embeds functions as constants that hardly any code reads: what the optimiser leaves over tells
    return ["nameless", stable_text(owner.addresses[address])]


def _inner_recipe(owner: Instance, disp: Any) -> Any:
    """Return how a later process makes the inner function of *owner* behind *disp*; None if it is something else."""
    if is_unnamed(owner) or not any(callee.dispatcher is disp and callee.instance.maker is owner for callee in owner.callees):
        return None
    tree = inner_tree(owner.func, disp.py_func)
    return None if tree is None else ["inner", type(disp).__name__, tree]


def _points_at(address: int, read: Read) -> str | None:
    if id(read.value) == address:
        return "object"
    if by_address(read.value) and read.value.ctypes.data == address:
        return "data"
    if c_address(read.value) == address:
        return "c function"
    return None


def _circles(graph: dict[int, list[int]]) -> list[list[int]]:
    """Return the strongly connected components of *graph*, callees first (Tarjan's algorithm, without recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[list[int]] = []
    for start, first in graph.items():
        if start in order:
            continue
        work = [(start, iter(first))]
        order[start] = low[start] = len(order)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, successors = work[-1]
            for successor in successors:
                if successor not in graph:
                    continue
                if successor not in order:
                    order[successor] = low[successor] = len(order)
                    stack.append(successor)
                    on_stack.add(successor)
                    work.append((successor, iter(graph[successor])))
                    break
                if successor in on_stack:
                    low[node] = min(low[node], order[successor])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    members = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        members.append(member)
                        if member == node:
                            break
                    found.append(members)
    return found
