"""Open -> check -> map -> answer: code of an image enters a dispatcher at the instant Numba would have compiled it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from aotnb.bridge import extensions, install, typing_errors
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.environment import host_cpu, process_tree, switches_digest
from aotnb.bridge.irtext import name_in_place
from aotnb.bridge.loops import adopt, served_loops
from aotnb.bridge.methods import method_tree
from aotnb.bridge.typecodec import TypeDecoder, encode_type, encode_types
from aotnb.core.digest import canonical, question_key
from aotnb.core.left_out import refusal
from aotnb.core.records import LoadReport, Miss, Served
from aotnb.core.roots import RootsRegistry
from aotnb.core.targets import Match, match_target
from aotnb.core.text import type_text, unlikeness
from aotnb.errors import ImageRejected, NotRelocatable
from aotnb.image.journal import read_journal
from aotnb.image.model import UFUNC_LOOPS, CodeInstance, code_libraries, library_of
from aotnb.image.reader import ImageReader
from aotnb.image.trust import user_key
from aotnb.loading.mapped import LoadedImage
from aotnb.loading.validate import Validator, Verdict

_log = logging.getLogger("aotnb")


def check_fit(reader: ImageReader) -> Match:
    """Return the target for this CPU; refuse an image of another user, or one that this process or machine cannot run."""
    path = reader.file.path
    if not reader.file.signed_by(user_key()):
        trust = f"run `aotnb trust {reader.file.image}` if you trust its maker"
        raise ImageRejected("untrusted", f"{path} was not made by this user; {trust}")
    here = process_tree()
    for name, there in reader.index["process"].items():
        if here.get(name) != there:
            raise ImageRejected(
                "version_changed", f"{path} was made for {name} {there}, this process has {here.get(name)}; save it again here"
            )
    match = match_target(reader.targets, host_cpu(), here["machine"])
    if match.number is None:
        raise ImageRejected("cpu_mismatch", f"{path} has no code for this CPU: {'; '.join(match.rejected)}; save it again here")
    return match


class Resolver:
    """Answers the recorder's questions from the loaded images, and says why where it cannot."""

    def __init__(self, roots: RootsRegistry) -> None:
        self.roots = roots
        self.images: list[LoadedImage] = []
        self.served: list[Served] = []
        self.misses: list[Miss] = []
        self.last_miss: Miss | None = None  # nested ones, too
        self.is_nested: Callable[[], bool] = lambda: False
        self.reads_hold: Callable[[Any, CodeInstance], bool] = lambda library, instance: False
        self.verifying = False  # AOTNB_VERIFY: find the stored code, let the compiler run all the same, compare
        self.expected: CodeInstance | None = None
        self.expected_of: ImageReader | None = None
        self._flags: dict[int, tuple[Any, dict[str, Any], str]] = {}
        # id of a dispatcher -> the parts of served entries that are code of it: image, verdict, number
        self._parts: dict[int, list[tuple[LoadedImage, Verdict, int]]] = {}
        self._handed_down = False  # whether a part of one of them has compiler flags from its caller

    def load(self, path: Path) -> LoadReport:
        """Map the image at *path* and its journal, and answer from them from now on; the same content again is free."""
        started = time.perf_counter()
        journal = read_journal(path)
        report = self._load(ImageReader(path, self.roots), path, started)
        records, problems = [], [*journal.problems]
        for record in journal.records:
            try:
                records.append(self._load(ImageReader(journal.path, self.roots, record), path, time.perf_counter()))
            except ImageRejected as error:
                problems.append(str(error))
        spent = (time.perf_counter() - started) * 1000
        return replace(report, milliseconds=spent, journal=tuple(records), journal_problems=tuple(problems))

    def _load(self, reader: ImageReader, path: Path, started: float) -> LoadReport:
        for image in self.images:
            if image.reader.file.checksums() == reader.file.checksums():
                self.images.remove(image)
                self.images.append(image)
                return image.report
        match = check_fit(reader)
        bases = [self._base(path, *base) for base in reader.index["bases"]]
        image = LoadedImage(reader, match, started, bases)
        self.images += [base for base in bases if base not in self.images]
        self.images.append(image)
        return image.report

    def _base(self, path: Path, recorded: str, image_id: str) -> LoadedImage:
        """Return the base image on which that at *path* builds; if it was not loaded before, nothing is answered from it yet."""
        loaded = next((image for image in self.images if image.reader.image_id == image_id), None)
        if loaded is not None:
            return loaded
        places = [Path(recorded), path.absolute().parent / Path(recorded).name]
        place = next((place for place in places if place.is_file()), None)
        if place is None:
            detail = f"{path} builds on the base image {recorded}, which is not there; put it back or make both again"
            raise ImageRejected("base_missing", detail)
        started = time.perf_counter()
        reader = ImageReader(place, self.roots)
        if reader.image_id != image_id:
            raise ImageRejected("base_changed", f"{path} was made on another build of the base image {place}; save it again")
        return LoadedImage(reader, check_fit(reader), started)

    def answer(self, kind: str, disp: Any, args: tuple[Any, ...], return_type: Any, flags: Any) -> Any:
        """Return a compile result of an image for this question, or None; may raise what Numba would have raised."""
        if not self.is_nested():
            self.expected = None
        self.last_miss = None
        if not self.images:
            return None
        started = time.perf_counter()
        use = self._would_serve if self.verifying else self._install
        image, found, nearest = self._look(kind, disp, args, return_type, flags, use)
        if image is None:
            self._note_miss(disp, args, nearest)
            return None
        if self.verifying:
            self._expect(found, disp, args, image.reader)
            return None
        seconds = time.perf_counter() - started
        self._note_served(disp, args, image.reader.image_id, seconds * 1000, image.jit_seconds(*_asked(disp, args)))
        if isinstance(found, frozenset):
            raise numba_facts.force_literal(found, disp)
        if isinstance(found, Exception):
            typing_errors.remember(disp, args, return_type, found)
            raise found
        return found

    def peek(self, kind: str, disp: Any, args: tuple[Any, ...]) -> tuple[LoadedImage | None, Any, tuple[str, ...]]:
        """Return the image and the stored instance that would answer this question of Python's now, or what is nearest.

        Nothing is installed, noted or compiled.
        """
        return self._look(kind, disp, args, None, None, self._stored)

    def _look(
        self, kind: str, disp: Any, args: tuple[Any, ...], return_type: Any, flags: Any, use: Callable[..., Any]
    ) -> tuple[LoadedImage | None, Any, tuple[str, ...]]:
        """Ask the images in turn; give the first valid entry to *use*, or say why there is none."""
        extensions.load_extensions()
        name = f"{disp.py_func.__module__ or ''}:{disp.py_func.__qualname__}"
        nearest: tuple[str, ...] = ("not_traced", f"{disp.py_func.__qualname__} is not in the image")
        for image in reversed(self.images):
            if name not in image.reader.index["methods"]:
                nearest = _nearer(nearest, _left_out(image.reader, disp) or nearest)
                continue
            try:
                number, verdict, why = self._find(image, kind, disp, args, return_type, flags, name)
                if number is not None:
                    return image, use(image, number, verdict, disp, args), ("", "")
                nearest = _nearer(nearest, why)
            except (NotRelocatable, LookupError) as error:
                nearest = ("not_relocatable", str(error))
            except ImageRejected as error:  # this entry refers to something that the image does not hold
                nearest = (error.reason, str(error))
        return None, None, nearest

    def stored_arguments(self, disp: Any) -> list[tuple[str, list[Any]]]:
        """Return signature and type trees of what the images hold of this method's present definition, and of earlier ones."""
        name = f"{disp.py_func.__module__ or ''}:{disp.py_func.__qualname__}"
        found = []
        for image in reversed(self.images):
            for number in image.reader.index["methods"].get(name, ()):
                instance = image.reader.instance(number)
                found.append((instance.signature, [image.reader.root(instance, arg) for arg in instance.args]))
        return found

    @staticmethod
    def _stored(image: LoadedImage, number: int, *_: Any) -> CodeInstance:
        return image.reader.instance(number)

    @staticmethod
    def _would_serve(image: LoadedImage, number: int, verdict: Verdict, disp: Any, _args: tuple[Any, ...]) -> CodeInstance:
        """Return the stored instance as :meth:`_install` would use it: not where its code cannot be bound here."""
        instance = image.reader.instance(number)
        if instance.kind == "function":
            verdict.flags = numba_facts.resolved_flags(disp)
        if instance.is_code:
            image.check_bindings(number, verdict)
        return instance

    def _note_miss(self, disp: Any, args: tuple[Any, ...], nearest: tuple[str, ...]) -> None:
        module, function, signature = _asked(disp, args)
        miss = self.last_miss = Miss(function, module, signature, *nearest)
        if not self.is_nested():
            self.misses.append(miss)
            _log.info("miss %s.%s%s: %s: %s", miss.module, miss.function, miss.signature, miss.reason, miss.detail)

    def _expect(self, instance: CodeInstance, disp: Any, args: tuple[Any, ...], image: ImageReader) -> None:
        if not self.is_nested():
            self.expected, self.expected_of = instance, image
            self._note_served(disp, args, image.image_id, 0.0)

    def _note_served(
        self, disp: Any, args: tuple[Any, ...], image_id: str, milliseconds: float, jit_seconds: float | None = None
    ) -> None:
        if self.is_nested():
            return
        module, function, signature = _asked(disp, args)
        item = Served(function, module, signature, image_id, milliseconds, jit_seconds)
        self.served.append(item)
        _log.debug("hit %s.%s%s from %s", item.module, item.function, signature, item.image_id)

    def _find(
        self, image: LoadedImage, kind: str, disp: Any, args: Any, return_type: Any, flags: Any, name: str
    ) -> tuple[int | None, Verdict, tuple[str, ...]]:
        reader = image.reader
        method = method_tree(disp)
        config, switches = switches_digest()
        # the key of its function stands for the flags of a loop
        flags_digest = "" if kind == "loop" else self._flags_digest(disp, flags)
        trees = encode_types(args)
        explicit = None if return_type is None else encode_type(return_type)
        question = question_key(kind, method, trees, explicit, flags_digest, config)
        nearest: tuple[str, ...] = ()
        for number in reader.index["questions"].get(question, ()):
            verdict = Validator(reader, args, self.reads_hold, image.frozen).check(number, disp.py_func)
            if verdict.reason is None:
                self._check_flags(image, verdict)
            if verdict.reason is None:
                return number, verdict, ("", "")
            nearest = (verdict.reason, verdict.detail, reader.instance(number).signature, verdict.detail)
        if not nearest:
            nearest = self._nearest(image, name, method, trees, flags_digest, config, switches)
        return None, Verdict(), nearest

    def _flags_digest(self, disp: Any, flags: Any) -> str:
        if flags is not None:
            return numba_facts.flags_digest(flags)
        if numba_facts.flags_inherit():
            return numba_facts.flags_digest(numba_facts.resolved_flags(disp))
        known = self._flags.get(id(disp))
        if known is None or known[0] is not disp or known[1] != disp.targetoptions:
            found = numba_facts.flags_digest(numba_facts.resolved_flags(disp))
            known = self._flags[id(disp)] = (disp, dict(disp.targetoptions), found)
        return known[2]

    # ------------------------------------------------------------ flags that callers hand down

    def caller_flags(self, disp: Any, args: tuple[Any, ...]) -> Any:
        """Return under which flags of a caller *disp* has to be compiled for these types, None if that is as ever.

        Numba compiles a function once, under flags that it takes over in part from whoever needs it first. Where that was an
        entry that was served, the code is part of that entry, and Numba would have it already.
        """
        if id(disp) not in self._parts or not (self._handed_down or numba_facts.flags_inherit()):
            return None
        if not self._handed_down and not numba_facts.inherits_flags(disp, numba_facts.resolved_flags(disp)):
            return None
        try:
            found = self._part(disp, [canonical(tree) for tree in encode_types(args)])
        except NotRelocatable:
            return None
        if found is None:
            return None
        image, verdict, number = found
        record = image.reader.instance(number)
        callers = [numba_facts.flags_of_python()]
        if record.inherits and verdict.flags is not None:
            with numba_facts.under(verdict.flags):
                callers += [verdict.flags, *(numba_facts.resolved_flags(other) for _, other in verdict.nested)]
        for flags in callers:
            with numba_facts.under(flags):
                if numba_facts.flags_digest(numba_facts.resolved_flags(disp)) == record.flags:
                    return flags
        return None

    def _part(self, disp: Any, trees: list[str]) -> tuple[LoadedImage, Verdict, int] | None:
        """Return the first part of a served entry that is code of *disp* for these types."""
        parts = self._parts.get(id(disp), ())
        return next((part for part in parts if _argument_texts(part[0].reader, part[2]) == trees), None)

    def _check_flags(self, image: LoadedImage, verdict: Verdict) -> None:
        """Refuse an entry of which a part would be there already under other flags, or would be compiled under others now."""
        own = {(number, id(disp)) for number, disp in verdict.nested}
        for number, disp in (*verdict.nested, *verdict.found):
            record, is_found = image.reader.instance(number), (number, id(disp)) not in own
            if not (is_found or self._handed_down or record.inherits):
                continue
            part = self._part(disp, _argument_texts(image.reader, number))
            flags = None if part is None else part[0].reader.instance(part[2]).flags
            if flags != record.flags and (is_found or part is not None):
                verdict.reason = "callee_changed"
                verdict.detail = f"{record.qualname} was compiled first for another caller, whose compiler flags it took over"

    def _nearest(
        self, image: LoadedImage, name: str, method: Any, trees: Any, flags: str, config: str, switches: dict[str, str]
    ) -> tuple[str, ...]:
        """Say in which respect the closest stored instance differs: reason, detail, its signature, difference."""
        reader = image.reader
        instances = [reader.instance(number) for number in reader.index["methods"][name]]
        same = [i for i in instances if i.method == method[2]]
        if not same:
            changed = f"the definition of {method[1]} has changed since it was traced"
            return "method_changed", changed, instances[0].signature, changed
        trees = json.loads(canonical(trees))  # as the image has them
        stored = [[reader.root(i, a) for a in i.args] for i in same]
        alike = [i for i, types in zip(same, stored, strict=True) if types == trees]
        if not alike and (redefined := _changed_class(trees, stored)) is not None:
            changed = f"the class {redefined}, an argument of {method[1]}, has another definition"
            return "callee_changed", changed, same[0].signature, changed
        if not alike:
            asked = [type_text(tree) for tree in trees]
            number = min(range(len(stored)), key=lambda number: unlikeness([type_text(t) for t in stored[number]], asked))
            difference = _difference(stored[number], trees)
            detail = f"{method[1]} was not traced with these argument types: {difference}"
            return "not_traced", detail, same[number].signature, difference
        if not any(i.config == config for i in alike):
            before = reader.index["switches"].get(alike[0].config, {})
            names = sorted(key for key in switches.keys() | before.keys() if switches.get(key) != before.get(key))
            difference = ", ".join(f"{key} was {before.get(key)}, is {switches.get(key)}" for key in names[:3])
            return "config_changed", f"Numba's switches differ: {difference}", alike[0].signature, difference
        if not any(i.flags == flags for i in alike):
            difference = f"{method[1]} was traced under other compiler flags (inherited from its caller)"
            return "config_changed", difference, alike[0].signature, difference
        difference = f"{method[1]} was not traced with this return type"
        return "not_traced", difference, alike[0].signature, difference

    def _install(self, image: LoadedImage, number: int, verdict: Verdict, disp: Any, args: tuple[Any, ...]) -> Any:
        instance = image.reader.instance(number)
        if instance.literals is not None:
            return frozenset(instance.literals)
        if instance.refusal is not None:
            if self.is_nested():
                raise NotRelocatable(f"what a caller of {instance.qualname} makes of its error is known to the compiler only")
            return self._refusal(image, instance, verdict)
        scope = verdict.scope() | {canonical(encode_type(arg)): arg for arg in numba_facts.nested_types(args)}
        if instance.kind == "function":
            verdict.flags = numba_facts.resolved_flags(disp)
        assert instance.return_type is not None
        return_type = TypeDecoder(scope, verdict.first_functions()).decode(image.reader.root(instance, instance.return_type))
        place = image.bind(number, verdict)
        symbols = {kind: name_in_place(symbol, place.number) for kind, symbol in instance.symbols.items()}
        addresses = {
            symbols[kind]: place.address(symbol) for kind, symbol in instance.symbols.items() if symbol in image.position
        }
        env = image.environment(place, number, verdict)
        library = install.ImageLibrary(
            install.contexts(disp)[1].codegen(),
            code_libraries(instance),
            (image, number),
            addresses,
            lambda names: place.library_texts(names, verdict),
            place.number,
        )
        library.verdict = verdict
        for part, live in verdict.nested:
            self._parts.setdefault(id(live), []).append((image, verdict, part))
            self._handed_down |= image.reader.instance(part).inherits
        loops = served_loops(env)
        adopt(loops, disp, args)
        cres = install.make_result(disp, args, return_type, library, symbols, env, loops)
        if instance.kind == "function":
            install.add_to_dispatcher(disp, cres, symbols)
        elif instance.kind == "loop":
            install.add_to_loop(disp, cres)
        return cres

    @staticmethod
    def _refusal(image: LoadedImage, instance: CodeInstance, verdict: Verdict) -> Exception:
        """Return the error by which Numba refused to type this call."""
        assert instance.refusal is not None
        root, starts = instance.refusal
        _, tree, recipes = image.reader.root(instance, root)
        found = [verdict.objects(number, *recipe) for number, recipe in zip(starts, recipes, strict=True)]
        if any(len(objects) != 1 for objects in found):
            raise NotRelocatable(refusal("error_text", what="one of several functions of equal content"))
        return typing_errors.decode_error(tree, [objects[0] for objects in found])

    def answer_wrapper(self, kind: str, cres: Any, extra: Any) -> Any:
        """Return the loop around a served kernel, if the image has it for the same signature."""
        library = cres.library
        if not isinstance(library, install.ImageLibrary):
            return None
        image, number = library.entry
        instance = image.reader.instance(number)
        name = instance.symbols.get(kind)
        if kind in UFUNC_LOOPS:
            asked: Any = [encode_types(extra.args), encode_type(extra.return_type)]
        else:
            asked = [[list(dims) for dims in side] for side in extra]
        if name is None or instance.extra.get(kind) != asked:
            return None
        return install.wrapper_info(library.part(library_of(name)), cres.environment, library.rename(name))


def _nearer(known: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the better of two explanations of a miss: a stored entry for these very types says more than others."""
    return found if _rank(found) > _rank(known) else known


def _rank(why: tuple[str, ...]) -> int:
    if len(why) < 3:  # no entry of this function
        return int(why[0] != "not_traced")
    return {"method_changed": 2, "not_traced": 3}.get(why[0], 4)


def _changed_class(trees: list[Any], traced: list[list[Any]]) -> str | None:
    """Return the name of a jitclass by whose definition alone the argument types differ from what was traced."""
    blurred = canonical(_without_definitions(trees))
    for stored in traced:
        if canonical(_without_definitions(stored)) == blurred:
            names = [a[1] for a, b in zip(_classes(trees), _classes(stored), strict=True) if a != b]
            return names[0] if names else None
    return None


def _without_definitions(tree: Any) -> Any:
    if not isinstance(tree, list):
        return tree
    return tree[:2] if tree[:1] == ["jitclass"] else [_without_definitions(item) for item in tree]


def _classes(tree: Any) -> list[Any]:
    if not isinstance(tree, list):
        return []
    return [tree] if tree[:1] == ["jitclass"] else [found for item in tree for found in _classes(item)]


def _argument_texts(reader: ImageReader, number: int) -> list[str]:
    instance = reader.instance(number)
    return [canonical(reader.root(instance, root)) for root in instance.args]


def _left_out(reader: ImageReader, disp: Any) -> tuple[str, str] | None:
    """Return why the save left this function out, if it did."""
    wanted = (disp.py_func.__module__ or "", disp.py_func.__qualname__)
    for row in reader.index["dropped"]:
        if (row["module"], row["function"]) == wanted:
            return row["reason"], row["detail"]
    return None


def _asked(disp: Any, args: tuple[Any, ...]) -> tuple[str, str, str]:
    """Return module, function and argument types of a question, as records name them."""
    return disp.py_func.__module__ or "", disp.py_func.__qualname__, f"({', '.join(str(arg) for arg in args)})"


def _difference(stored: list[Any], asked: list[Any]) -> str:
    """Say in which arguments two lists of types differ."""
    if len(stored) != len(asked):
        return f"{len(asked)} arguments; stored: {len(stored)}"
    different = [number for number, (a, b) in enumerate(zip(stored, asked, strict=True)) if a != b]
    return "; ".join(f"argument {n + 1} is {type_text(asked[n])}; stored: {type_text(stored[n])}" for n in different[:3])
