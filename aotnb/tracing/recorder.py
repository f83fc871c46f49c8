"""The recorder: watches every compilation and notes what it read. It compiles nothing, prints nothing, imports nothing.

All methods of :class:`Recorder` run with Numba's global compiler lock held, so one stack of frames is enough.
"""

from __future__ import annotations

import builtins
import contextlib
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from aotnb.bridge import extensions, overload_sets, typing_errors
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.dispatchers import is_frozen
from aotnb.bridge.environment import switches_digest
from aotnb.bridge.libraries import linked_libraries
from aotnb.bridge.loops import lifted_loops, loop_reads, name_loops
from aotnb.bridge.methods import default_content, method_tree, own_digest, remember_options
from aotnb.bridge.names import name_tree
from aotnb.bridge.stencils import stencil_method
from aotnb.bridge.typecodec import encode_type, encode_types
from aotnb.bridge.values import by_address, is_fixed_module, module_of, summary, value_tree
from aotnb.core.digest import digest, question_key
from aotnb.errors import NotRelocatable
from aotnb.tracing.instance import ABSENT, Callee, Instance, Read
from aotnb.tracing.outcomes import subjects, tried_in_vain
from aotnb.tracing.paths import is_unnamed


class _Request:
    """A question to a dispatcher that has not led to a pipeline run yet."""

    __slots__ = ("args", "dispatcher", "instance", "kind", "return_type")

    def __init__(self, dispatcher: Any, kind: str, args: tuple[Any, ...], return_type: Any) -> None:
        self.dispatcher, self.kind, self.args, self.return_type = dispatcher, kind, args, return_type
        self.instance: Instance | None = None

    def gave_up(self, *, wholly: bool) -> None:
        """Let go of the dispatcher, which remembers the error and with it the frames and arguments of whoever asked.

        Not *wholly* where the compiler goes on: a name leads to the dispatcher, and the code that is made depends on it.
        """
        if self.instance is not None and wholly:
            for instance in tried_in_vain(self.instance):
                instance.let_go_of_dispatchers()
        elif self.instance is not None and is_unnamed(self.instance):
            self.instance.dispatcher, self.instance.passed = None, []


class Recorder:
    """Implements the bridge's ``Observer``: keeps an :class:`Instance` for each compilation of this process."""

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        # under which flags of a caller code would have been compiled before, None for none; set by the loader
        self.caller_flags: Callable[[Any, tuple[Any, ...]], Any] | None = None
        self.answer: Callable[[str, Any, tuple[Any, ...], Any, Any], Any] | None = None  # set by the loader
        self.answer_wrapper: Callable[[str, Any, Any], Any] | None = None
        # code that was compiled before, for (kind, dispatcher, argument types, return type, flags)
        self.find_again: Callable[[str, Any, tuple[Any, ...], Any, Any], Any] | None = None
        self.before_question: Callable[[], Any] | None = None  # the compiler is about to be asked by Python
        # Python has asked: kind, dispatcher, argument types, explicit return type, what was compiled
        self.after_question: Callable[[str, Any, tuple[Any, ...], Any, list[Instance]], None] | None = None
        # a compilation is about to start: kind, function, argument types; what it raises stops the compilation
        self.before_compile: Callable[[str, Any, tuple[Any, ...]], None] | None = None
        self.new_code: list[tuple[Instance, Any]] = []  # code and its dispatcher, since somebody last took this list
        # dispatchers for which a compilation raised, with the argument types: Numba repeats the error without a compilation
        self.failed: weakref.WeakKeyDictionary[Any, dict[Any, Instance]] = weakref.WeakKeyDictionary()
        self._tried: weakref.WeakKeyDictionary[Any, list[Callee]] = weakref.WeakKeyDictionary()
        self.after_compile: Callable[[Instance], None] | None = None  # set under AOTNB_VERIFY
        self.use_disk_cache = False
        self.recording = True
        self.serialized_objects: dict[str, Any] = {}
        self._frames: list[Instance] = []
        self._requests: list[_Request] = []
        self._templates: list[tuple[Any, int]] = []  # with the number of frames at entry
        self._of_overloads: weakref.WeakSet[Any] = weakref.WeakSet()  # dispatchers of implementations that overloads made
        self._makers: weakref.WeakKeyDictionary[Any, Instance] = weakref.WeakKeyDictionary()  # of inner functions
        self._by_library: dict[int, Instance] = {}
        self._pending: dict[tuple[int, tuple[Any, ...]], Callable[[], None]] = {}
        self._pending_of: dict[int, list[tuple[int, tuple[Any, ...]]]] = {}

    def is_compiling(self) -> bool:
        """Return whether a pipeline is running, so that a question comes from the compiler and not from Python."""
        return bool(self._frames)

    # ------------------------------------------------------------ questions to dispatchers

    def dispatch(self, disp: Any, sig: Any, compile_: Callable[[], Any]) -> Any:
        """Answer ``Dispatcher.compile(sig)``: what is there already, an image, or the compiler."""
        if self.before_question is not None and not self._frames:
            self.before_question()
        args, return_type = numba_facts.normalize(sig)
        with self._asking("function", disp, args, return_type):
            existing = disp.overloads.get(args)
            if existing is not None:
                self._reused(disp, args, existing)
                return existing.entry_point
            if not disp._can_compile:
                return compile_()
            return self._answer(disp, args, return_type, compile_)

    @contextlib.contextmanager
    def _asking(self, kind: str, disp: Any, args: tuple[Any, ...], return_type: Any) -> Iterator[None]:
        """Tell whoever wants to know what Python asked for, once it is answered: with code, or with "ask for literals"."""
        if self.after_question is None or self._frames:
            yield
            return
        first, refused = len(self.instances), None
        try:
            yield
        except numba_facts.ForceLiteralArg as error:
            refused = error
        self.after_question(kind, disp, args, return_type, self.instances[first:])
        if refused is not None:
            raise refused

    def renew(self, disp: Any, sig: Any, compile_: Callable[[], Any]) -> Any:
        """Answer a question of our own for a dispatcher that may not compile any more."""
        return self._answer(disp, *numba_facts.normalize(sig), compile_)

    def _answer(self, disp: Any, args: tuple[Any, ...], return_type: Any, compile_: Callable[[], Any]) -> Any:
        """Find code that is not in the dispatcher: compiled before, in an image, or by the compiler now."""
        kind = "inner" if self._is_inner(disp) else "overload" if self._is_of_overload(disp) else "function"
        if kind != "function":
            return self._compile(_Request(disp, kind, args, return_type), compile_)
        flags = None if self.caller_flags is None else self.caller_flags(disp, args)
        with contextlib.nullcontext() if flags is None else numba_facts.under(flags):
            return self._answer_function(disp, args, return_type, compile_)

    def _answer_function(self, disp: Any, args: tuple[Any, ...], return_type: Any, compile_: Callable[[], Any]) -> Any:
        if self.find_again is not None:
            known = self.find_again("function", disp, args, return_type, None)
            if known is not None:
                self._reused(disp, args, known)
                return known.entry_point
        if self.answer is not None and not any(map(self._is_inner, numba_facts.passed_dispatchers(args))):
            try:
                served = self.answer("function", disp, args, return_type, None)
            except numba_facts.TypingError:
                self.failed.setdefault(disp, {})
                raise
            if served is not None:
                self._register_served(disp, args, served)
                return served.entry_point
        return self._compile(_Request(disp, "function", args, return_type), compile_)

    def stencil_dispatch(self, stencil: Any, args: tuple[Any, ...], flags: Any, compile_: Callable[[], Any]) -> Any:
        """Answer a call of a stencil from Python, which Numba compiles anew each time."""
        disp = stencil_method(stencil)
        with self._asking("stencil", disp, args, None):
            return self._answer_stencil(disp, args, flags, compile_)

    def _answer_stencil(self, disp: Any, args: tuple[Any, ...], flags: Any, compile_: Callable[[], Any]) -> Any:
        if self.answer is not None:
            served = self.answer("stencil", disp, args, None, flags)
            if served is not None:
                self._register_served(disp, args, served)
                return served
        # opened here, not by the pipeline run inside: type inference of the kernel comes before that
        frame = self._open(disp.py_func, disp, "stencil", args, None, flags)
        result, error = None, None
        try:
            result = compile_()
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.compile_finished(frame, result, error)
        frame.python_called = not self._frames
        if self.after_compile is not None and not self._frames:
            self.after_compile(frame)
        return result

    def cfunc_dispatch(self, disp: Any, sig: Any, compile_: Callable[[], Any]) -> Any:
        """Answer ``@cfunc``, which compiles when it decorates; *disp* is the compiler of this one function."""
        args, return_type = numba_facts.normalize(sig)
        if self.answer is not None:
            served = self.answer("cfunc", disp, args, return_type, numba_facts.cfunc_flags(disp))
            if served is not None:
                self._register_served(disp, args, served)
                return served
        return self._compile(_Request(disp, "cfunc", args, return_type), compile_)

    def apart(self, make: Callable[[], Any]) -> Any:
        """Let *make* compile what is no part of the function at hand, as if Python had asked for it."""
        kept = self._frames, self._requests, self._templates
        self._frames, self._requests, self._templates = [], [], []
        try:
            return make()
        finally:
            self._frames, self._requests, self._templates = kept

    def loop_dispatch(self, loop: Any, sig: Any, compile_: Callable[[], Any]) -> Any:
        """Answer a loop of a function in object mode, which Numba compiles when it is first reached."""
        if self.before_question is not None and not self._frames:
            self.before_question()
        args, _ = numba_facts.normalize(sig)
        existing = loop.overloads.get(args)
        if existing is not None:
            return existing.entry_point
        if self.answer is not None:
            served = self.answer("loop", loop, args, None, None)
            if served is not None:
                self._register_served(loop, args, served)
                return served.entry_point
        request = _Request(loop, "loop", args, None)
        return self._compile(request, lambda: self._attempts(request, compile_))

    def _attempts(self, request: _Request, compile_: Callable[[], Any]) -> Any:
        """Compile a loop, in several attempts; the one whose code is used depends on those that led to nothing."""
        first = len(self.instances)
        entry_point = compile_()
        library = next(cres.library for cres in request.dispatcher.overloads.values() if cres.entry_point is entry_point)
        request.instance = instance = self._by_library[id(library)]
        for attempt in self.instances[first:]:
            if attempt.kind == "loop" and attempt.dispatcher is request.dispatcher and attempt.in_vain:
                instance.absorb(attempt)
        self._note_overload_sets(instance)
        return entry_point

    def ufunc_dispatch(self, disp: Any, sig: Any, flags: Any, compile_: Callable[[], Any]) -> Any:
        """Answer a question to the scalar kernel behind ``@vectorize`` and ``@guvectorize``."""
        args, return_type = numba_facts.normalize(sig)
        with self._asking("ufunc", disp, args, return_type):
            return self._answer_ufunc(disp, args, return_type, flags, compile_)

    def _answer_ufunc(self, disp: Any, args: tuple[Any, ...], return_type: Any, flags: Any, compile_: Callable[[], Any]) -> Any:
        if self.find_again is not None:
            known = self.find_again("ufunc", disp, args, return_type, flags)
            if known is not None:
                self._reused(disp, args, known)
                return known
        if self.answer is not None:
            served = self.answer("ufunc", disp, args, return_type, flags)
            if served is not None:
                if disp.overloads.get(served.signature) is None:
                    disp.overloads[served.signature] = served
                self._register_served(disp, args, served)
                return served
        cres = self._compile(_Request(disp, "ufunc", args, return_type), compile_)
        instance = self._by_library.get(id(cres.library))
        if instance is not None:
            self._depend(instance, disp)
            instance.python_called |= not self._frames
        return cres

    def wrapper(self, kind: str, cres: Any, extra: Any, build: Callable[[], Any]) -> Any:
        """Answer a question for the loop around a kernel, from the image that served the kernel or by building it."""
        if self.answer_wrapper is not None:
            served = self.answer_wrapper(kind, cres, extra)
            if served is not None:
                return served
        info = build()
        instance = self._by_library.get(id(cres.library))
        if instance is not None:
            instance.wrappers[kind] = (info.library, info.name, extra)
        return info

    def _compile(self, request: _Request, compile_: Callable[[], Any]) -> Any:
        if self.before_compile is not None:
            self.before_compile(request.kind, request.dispatcher.py_func, request.args)
        remember_options(request.dispatcher)
        self._requests.append(request)
        try:
            result = compile_()
        except numba_facts.ForceLiteralArg as error:
            if request.instance is not None and not self._frames:
                request.instance.literals = frozenset(error.requested_args)
                request.instance.python_called = True
                if self.after_compile is not None:
                    self.after_compile(request.instance)
            else:
                request.gave_up(wholly=not self._frames)
            raise
        except Exception as error:
            self._note_refusal(request, error)
            raise
        finally:
            self._requests.pop()
        if request.instance is not None and not self._frames:
            request.instance.python_called = True
            if self.after_compile is not None:
                self.after_compile(request.instance)
        return result

    def _note_refusal(self, request: _Request, error: Exception) -> None:
        """Remember what was refused; where Numba only repeats an error, the code being made depends on the first attempt."""
        known = self.failed.setdefault(request.dispatcher, {})
        if request.instance is not None:
            known[request.args] = request.instance
            if not self._frames and request.kind == "function" and typing_errors.is_typing_error(error):
                self._keep_outcome(request, request.instance, error)
            if not isinstance(request.instance.refused, tuple):
                request.gave_up(wholly=not self._frames)
        elif self._frames and (first := known.get(request.args)) is not None:
            if request.kind not in ("overload", "inner"):
                first.dispatcher = request.dispatcher  # it was let go where the first attempt led to nothing
            self._depend(first, first.dispatcher)

    def _keep_outcome(self, request: _Request, instance: Instance, error: Exception) -> None:
        """Note that this call has no typing: an image can say so without an attempt."""
        known = [*subjects(instance)]
        try:
            tree, used = typing_errors.encode_error(error, [subject.value for subject in known])
            recipes = [known[number].recipe() for number in used]
            instance.refused = tree, recipes, [known[number].instance for number in used]
            # the dispatchers stay alive with the instances, but not the frames of those who asked, nor their arguments
            typing_errors.forget_frames(request.dispatcher, error)
            for attempt in tried_in_vain(instance):
                typing_errors.forget_frames(attempt.dispatcher, error)
        except NotRelocatable as problem:
            instance.refused = problem
        instance.python_called = True
        if self.after_compile is not None:
            self.after_compile(instance)

    def _reused(self, disp: Any, args: tuple[Any, ...], existing: Any) -> None:
        instance = self._by_library.get(id(existing.library))
        if self._frames:
            if instance is None:
                name = f"{disp.py_func.__module__}.{disp.py_func.__qualname__}"
                cure = f"{name} was compiled before aotnb was loaded; load aotnb earlier"
                self._frames[-1].problem("compiled_before_hooks", cure)
            else:
                self._depend(instance, disp)
            return
        key = (id(disp), args)
        insert = self._pending.pop(key, None)
        if insert is not None:
            insert()
        if instance is not None:
            instance.python_called = True

    def overload_added(self, disp: Any, cres: Any, insert: Callable[[], None]) -> None:
        """Put a nested compilation into the C table only when Python first asks for it: so we learn which ones Python calls."""
        if not self._frames or not numba_facts.is_dispatcher(disp):
            insert()
            return
        args = tuple(cres.signature.args)
        disp.overloads[args] = cres
        key = (id(disp), args)
        self._pending[key] = insert
        self._pending_of.setdefault(id(disp), []).append(key)

    def compile_disabled(self, disp: Any) -> None:
        """Insert what waits: a dispatcher that may not compile looks only at its C table."""
        for key in self._pending_of.pop(id(disp), ()):
            insert = self._pending.pop(key, None)
            if insert is not None:
                insert()

    def waiting(self, disp: Any) -> set[tuple[Any, ...]]:
        """Return the argument types of code that is not in the C table of *disp* yet."""
        return {args for number, args in self._pending if number == id(disp)}

    def dropped(self, disp: Any, arguments: set[tuple[Any, ...]]) -> None:
        """Forget what waits for these argument types: it is no longer valid."""
        for args in arguments:
            self._pending.pop((id(disp), args), None)

    def owner_of(self, library: Any) -> Instance | None:
        """Return the instance whose code lies in *library*."""
        return self._by_library.get(id(library))

    def flush_pending(self) -> None:
        """Insert everything that waits; called before the hooks are removed."""
        for insert in list(self._pending.values()):
            insert()
        self._pending.clear()
        self._pending_of.clear()

    # ------------------------------------------------------------ pipeline runs

    def compile_started(self, state: Any) -> Instance:
        """Open a frame for a pipeline run."""
        func = state.func_id.func if state.func_id is not None else None
        request = self._requests[-1] if self._requests else None
        again = request is not None and request.kind == "loop" and not self._frames
        if request is not None and ((request.instance is not None and not again) or request.dispatcher.py_func is not func):
            request = None
        kind, disp = (request.kind, request.dispatcher) if request is not None else ("internal", None)
        asked = request.return_type if request is not None else state.return_type
        args = tuple(state.args or ())
        flags = None if kind == "loop" else state.flags.copy()
        instance = self._open(func, None if kind == "lifted" else disp, kind, args, asked, flags)
        if request is not None:
            request.instance = instance
        if kind == "loop":
            self.interpreted(func, loop_reads(disp))
        return instance

    def _open(self, func: Any, disp: Any, kind: str, args: tuple[Any, ...], return_type: Any, flags: Any) -> Instance:
        if self.before_compile is not None:  # what no dispatcher was asked for, too
            self.before_compile(kind, func, args)
        config, switches = switches_digest()
        passed = numba_facts.passed_dispatchers(args)
        instance = Instance(
            index=len(self.instances),
            func=func,
            dispatcher=disp,
            kind=kind,
            args=args,
            return_type=return_type,
            flags=flags,
            config=config,
            switches=switches,
            passed=passed,
            depth=len(self._frames),
            parent=self._frames[-1].index if self._frames else None,
            started=time.perf_counter(),
            maker=self._makers[func] if kind == "inner" else None,
            is_given_inner=any(map(self._is_inner, passed)),
        )
        if disp is not None and default_content(disp.py_func) is not None:
            with contextlib.suppress(NotRelocatable):  # told when it is to be saved
                instance.definition = own_digest(disp)
        self.instances.append(instance)
        self._frames.append(instance)
        return instance

    def compile_finished(self, frame: Instance, result: Any, error: BaseException | None) -> None:
        """Close the frame; on success the instance owns its code library."""
        popped = self._frames.pop()
        assert popped is frame
        frame.seconds = time.perf_counter() - frame.started
        if self._frames:
            self._frames[-1].nested_seconds += frame.seconds
        frame.finished = True
        if result is None:
            self._note_failure(frame)
            return
        frame.result = result
        library = result.library
        if library is not None:
            inner = self._by_library.get(id(library))
            if inner is not None:
                frame.absorb(inner)
            self._by_library[id(library)] = frame
            self.new_code.append((frame, frame.dispatcher))
            self._add_linked(frame, library)
        if result.objectmode and frame.kind != "loop":
            # code in object mode looks globals up while it runs, and freezes closure cells only; its loops freeze theirs
            loops = lifted_loops(result)
            frozen = {(kind, name) for loop in loops for kind, name, _ in loop_reads(loop)}
            frame.reads = {
                key: read
                for key, read in frame.reads.items()
                if (read.kind == "free" and not read.problem) or (read.kind, read.name) in frozen
            }
            if loops:
                self._name_loops(frame, loops)
        for read in frame.reads.values():
            if read.problem:
                frame.problem("not_relocatable", read.problem)
        self._note_overload_sets(frame)
        self._check_coherence(frame)
        self._depend(frame, frame.dispatcher)

    def _name_loops(self, frame: Instance, loops: list[Any]) -> None:
        try:
            explicit = None if frame.return_type is None else encode_type(frame.return_type)
            method, args = method_tree(frame.dispatcher), encode_types(frame.args)
        except (NotRelocatable, AttributeError):
            return  # a function that no image can hold; its loops say so
        flags = numba_facts.flags_digest(frame.flags)
        name_loops(loops, question_key(frame.kind, method, args, explicit, flags, frame.config))

    def _note_failure(self, frame: Instance) -> None:
        """Let the code that is made all the same depend on what was tried in vain: it might be chosen another time."""
        for read in frame.reads.values():
            if read.problem:
                frame.problem("not_relocatable", read.problem)
            if callable(read.value):
                frame.resolved.add(_hashable(read.value))  # a function that nobody overloads has no type
        frame.unanswered |= frame.resolved
        self._note_overload_sets(frame)
        self._check_coherence(frame)
        self._depend(frame, None if is_unnamed(frame) else frame.dispatcher)

    def pass_timed(self, state: Any, name: str, seconds: float) -> None:
        """Note the seconds of a compiler pass, nested compilations included."""
        if self._frames:
            timings = self._frames[-1].timings
            timings[name] = timings.get(name, 0.0) + seconds

    def _depend(self, callee: Instance, disp: Any) -> None:
        """Let the function that is being compiled depend on *callee*, reached through *disp*.

        On an inner function the one around it depends as well, whoever calls it.
        """
        for caller in (*self._frames[-1:], *([] if callee.maker is None else [callee.maker])):
            if callee is not caller and all(known.instance is not callee for known in caller.callees):
                caller.callees.append(Callee(callee, disp))

    def recursed(self, disp: Any, args: tuple[Any, ...]) -> None:
        """Note a call of a function that is still being compiled, of which no dispatcher is asked."""
        for frame in reversed(self._frames):
            if frame.dispatcher is disp and frame.args == args:
                self._depend(frame, disp)
                return

    def _add_linked(self, frame: Instance, library: Any) -> None:
        """Add what was linked without a question to a dispatcher, such as the kernel of a ufunc, to the callees."""
        known = {id(callee.instance) for callee in frame.callees}
        for linked in linked_libraries(library):
            owner = self._by_library.get(id(linked))
            if owner is not None and owner is not frame and id(owner) not in known:
                known.add(id(owner))
                frame.callees.append(Callee(owner, _dispatcher_with(linked, frame) or owner.dispatcher))

    def _register_served(self, disp: Any, args: tuple[Any, ...], cres: Any) -> None:
        """Make code that came from an image known, so that its callers can depend on it."""
        instance = self._by_library.get(id(cres.library))
        if instance is None:
            config, switches = switches_digest()
            instance = Instance(
                index=-1, func=disp.py_func, dispatcher=disp, kind="function", args=args, return_type=None,
                flags=None, config=config, switches=switches,
                passed=numba_facts.passed_dispatchers(args), depth=len(self._frames), parent=None,
                result=cres, finished=True, from_image=cres.library.entry,
            )  # fmt: skip
            self._by_library[id(cres.library)] = instance
            self.new_code.append((instance, disp))
        instance.python_called |= not self._frames
        self._depend(instance, disp)

    # ------------------------------------------------------------ what the compilation reads

    def interpreted(self, func: Any, reads: list[tuple[str, str, Any]]) -> None:
        """Note the globals and closure cells of a function whose bytecode became IR."""
        if not self._frames:
            return
        frame = self._frames[-1]
        own = func is frame.func
        shares = own or func.__globals__ is getattr(frame.func, "__globals__", None)
        module = numba_facts.namespace_module(func.__globals__)
        for kind, name, found in reads:
            value = ABSENT if numba_facts.is_undefined(found) else found
            if kind == "free" and (not own or frame.dispatcher is None or frame.kind in ("overload", "inner")):
                continue  # determined by the definition that made the closure, which is an edge of its own
            if kind == "global" and _lookup(func, name) is not value and _is_compiler_value(value):
                continue  # put in by the compiler itself, such as the bool() around a condition
            if own and module is None and frame.dispatcher is None:
                continue  # the compiler's own function: its namespace follows from its caller
            if kind == "global" and is_fixed_module(module):
                continue  # fixed by the environment key
            if module is None and not shares:
                # a namespace that the compiler made, such as that of a parallel loop body
                if isinstance(value, type) and (place := _name_of(value)) is not None:
                    # the class of a named tuple that the body handles
                    self._read(frame, "global", place[1], place[0], False, value)
                elif value is not ABSENT and not _is_compiler_value(value):
                    frame.problem("not_relocatable", f"{name} was read from a namespace without a module")
                continue
            # what an inner function finds in the namespace that it shares with the function around it, that one has read
            self._read(_outermost(frame) if shares else frame, kind, name, module, shares, value)

    def module_attribute(self, module: Any, attr: str) -> None:
        """Note the attribute of a module that type inference looked up."""
        name = module.__name__
        if not self._frames or numba_facts.is_compiler_module(name):
            return
        frame = self._frames[-1]
        if sys.modules.get(name) is not module:
            frame.problem("not_relocatable", f"module {name} is not the one that is imported under this name")
            return
        self._read(frame, "attribute", attr, name, False, getattr(module, attr, ABSENT))

    def _read(self, frame: Instance, kind: str, name: str, module: str | None, own: bool, value: Any) -> None:
        key = (kind, name, None if own else module)
        known = frame.reads.get(key)
        if known is not None and known.value is value and not _is_mutable(value):
            return
        try:
            content = "absent" if value is ABSENT else digest(value_tree(value))
        except NotRelocatable as error:
            if kind != "attribute" or not is_fixed_module(module):  # a part of NumPy or of Python that no rule describes
                frame.reads[key] = Read(kind, name, module, own, value, "", summary(value), f"{name}: {error}")
            return
        if known is not None and known.digest != content:
            frame.problem("incoherent", f"{name} changed while {frame.qualname} was being compiled")
        frame.reads[key] = Read(kind, name, module, own, value, content, summary(value))

    def lifted(self, func: Any, names: set[tuple[str, str]]) -> None:
        """Forget what only a block in object mode mentions: its code looks globals up while it runs, and is handed the very
        objects in closure cells, of which those without an encoding mean nothing to the compiler.
        """
        reads = self._frames[-1].reads if self._frames else {}
        self.pruned(func, {key for key in names if key[0] != "free" or ((read := reads.get((*key, None))) and read.problem)})

    def lifted_compile(self, disp: Any, compile_: Callable[[], Any]) -> Any:
        """A block in object mode is being compiled, as a function of its own without a name."""
        return self._compile(_Request(disp, "lifted", (), None), compile_)

    def pruned(self, func: Any, names: set[tuple[str, str]]) -> None:
        """Forget the reads of names that only a dead branch mentions: the compiler did not use them."""
        if not self._frames or self._frames[-1].func is not func:
            return
        frame = self._frames[-1]
        frame.pruned |= names
        for kind, name in names:
            frame.reads.pop((kind, name, None), None)

    def resolved(self, key: Any) -> int:
        """Note a function type or attribute whose implementations are looked up; return a mark for :meth:`unanswered`."""
        if not self._frames:
            return 0
        frame = self._frames[-1]
        frame.resolved.add(_hashable(key))
        return len(frame.callees)

    def answered(self, key: Any, args: Any, kws: Any) -> None:
        """Note which overloads, from outside Numba, have something to say about a call."""
        if self._frames:
            self._frames[-1].claimed |= overload_sets.claiming(key, args, kws)

    def unanswered(self, key: Any, failure: Any, mark: int) -> None:
        """Note a function type for which no implementation was found; the compiler may go on with something else.

        *failure* stands for it as long as Numba remembers it: what was tried since *mark* is not tried again.
        """
        if not self._frames:
            return
        frame = self._frames[-1]
        frame.unanswered.add(_hashable(key))
        tried = self._tried.setdefault(failure, [callee for callee in frame.callees[mark:] if callee.instance.result is None])
        for callee in tried:
            self._depend(callee.instance, callee.dispatcher)

    def template_entered(self, template: Any) -> None:
        """An ``@overload`` function is being asked for an implementation."""
        self._templates.append((template, len(self._frames)))
        self.template_used(template)

    def template_left(self, template: Any) -> None:
        """The implementation has been made."""
        self._templates.pop()

    def template_used(self, template: Any) -> None:
        """Note an overload from outside Numba: what it decides is part of the code."""
        if not self._frames or not extensions.external_template(template) or id(type(template)) in self._frames[-1].templates:
            return
        func = template._overload_func
        try:
            content = extensions.overload_digest(type(template))
        except NotRelocatable as error:
            name = getattr(func, "__qualname__", type(func).__qualname__)
            self._frames[-1].problem("not_relocatable", f"the overload {name}: {error}")
            return
        name = getattr(func, "__name__", type(func).__name__)
        self._frames[-1].templates[id(type(template))] = (module_of(func) or "", getattr(func, "__qualname__", ""), content, name)

    def function_made(self, func: Any) -> None:
        """The compiler made a function of code inside the one that it compiles."""
        if self._frames:
            self._makers[func] = self._frames[-1]

    def _is_inner(self, disp: Any) -> bool:
        """Return whether a dispatcher is that of an inner function of one that is being compiled."""
        maker = self._makers.get(disp.py_func)
        return maker is not None and any(frame is maker for frame in self._frames)

    def _is_of_overload(self, disp: Any) -> bool:
        if disp in self._of_overloads:
            return True
        # a dispatcher first asked while an overload builds its implementation, from no Python name, is that implementation
        if self._templates and self._templates[-1][1] == len(self._frames) and not _reachable(disp):
            self._of_overloads.add(disp)
            return True
        return False

    def _note_overload_sets(self, frame: Instance) -> None:
        """Note what counts of that which is registered from outside Numba for everything that was resolved, as it is now."""
        frame.resolved.add(extensions.CONVERSION)
        names = {key for key in frame.resolved if isinstance(key, str) and extensions.is_type_name(key)}
        if extended := extensions.extended_names():
            names |= {numba_facts.key_name(key) for key in frame.resolved} & extended
        unanswered = {numba_facts.key_name(key) for key in frame.unanswered}
        for name in names | unanswered:
            try:
                content = overload_sets.overload_set(name, frame.templates, frame.claimed, answered=name not in unanswered)
            except NotRelocatable as error:
                frame.problem("not_relocatable", f"an implementation of {name}: {error}")
                continue
            if content is not None:
                frame.overload_sets[name] = content
            for template in overload_sets.dispensable(name, content):
                frame.templates.pop(template, None)

    def dynamic_address(self, address: int, info: str) -> None:
        """Note an address of this process that goes into the code."""
        if self._frames:
            self._frames[-1].addresses[address] = info

    def serialized(self, obj: Any, name: str) -> None:
        """Note the object behind a pickled constant, named after its content."""
        self.serialized_objects[name.split(".")[3] if name.count(".") >= 3 else name] = obj

    def disk_cache_enabled(self) -> bool:
        """Return whether Numba's own cache may be read and written."""
        return self.use_disk_cache

    def is_equal(self, library: Any, edges: list[tuple[str, str, str]], flags: str, config: str) -> bool:
        """Return whether the code in *library*, compiled by this process, read exactly these (kind, name, digest).

        The digests of compiler flags, which a callee may have from the caller that needed it first, and of switches count too.
        """
        instance = self._by_library.get(id(library))
        if instance is None or instance.config != config:
            return False
        if instance.flags is not None and numba_facts.flags_digest(instance.flags) != flags:
            return False
        found = {(read.kind, read.name, read.digest) for read in instance.reads.values()}
        return found == set(edges)

    # ------------------------------------------------------------ coherence

    def _check_coherence(self, frame: Instance) -> None:
        """Find callees that were frozen earlier with values that have changed since."""
        seen: set[int] = set()
        stack = [callee.instance for callee in frame.callees if callee.instance.started < frame.started]
        while stack:
            instance = stack.pop()
            if id(instance) in seen or (instance.dispatcher is not None and is_frozen(instance.dispatcher)):
                continue  # a decorator froze the latter, and will in any process: a load compares the code itself
            seen.add(id(instance))
            for read in instance.reads.values():
                if not holds(instance, read):
                    frame.problem(
                        "incoherent",
                        f"{instance.qualname} was compiled earlier with another value of {read.name} ({read.summary})",
                    )
                    return
            if any(reason == "incoherent" for reason, _ in instance.problems):
                frame.problem("incoherent", f"its callee {instance.qualname} is incoherent")
                return
            stack.extend(callee.instance for callee in instance.callees)


def _dispatcher_with(library: Any, frame: Instance) -> Any:
    """Return the dispatcher that a function read which holds this code: a second one of equal content has that of the first."""
    for read in frame.reads.values():
        for _, disp in numba_facts.dispatchers_in_value(read.value):
            if any(known is library for _, known in numba_facts.compiled_overloads(disp)):
                return disp
    return None


def _outermost(frame: Instance) -> Instance:
    while frame.maker is not None:
        frame = frame.maker
    return frame


def current_value(func: Any, read: Read) -> Any:
    """Return what *read* would find now, or :data:`ABSENT`.

    A recursive function that its decorator compiled found no such name yet, and calls itself. That the name has been bound to
    it since is no change.
    """
    if read.kind == "free":
        names = func.__code__.co_freevars
        if read.name not in names:
            return ABSENT
        try:
            return func.__closure__[names.index(read.name)].cell_contents
        except ValueError:
            return ABSENT
    if read.own:
        namespace = func.__globals__
    else:
        module = sys.modules.get(read.module or "")
        if module is None:
            return ABSENT
        if read.kind == "attribute":
            return getattr(module, read.name, ABSENT)
        namespace = vars(module)
    value = namespace[read.name] if read.name in namespace else getattr(builtins, read.name, ABSENT)
    return ABSENT if read.value is ABSENT and numba_facts.is_dispatcher_of(value, func) else value


def holds(instance: Instance, read: Read) -> bool:
    """Return whether *read* would find the same thing now."""
    value = current_value(instance.func, read)
    if value is read.value and not _is_mutable(value):
        return True
    if value is ABSENT or not read.digest:
        return read.digest == "absent"
    try:
        return digest(value_tree(value)) == read.digest
    except NotRelocatable:
        return False


def _name_of(cls: type) -> list[str] | None:
    try:
        return name_tree(cls)
    except NotRelocatable:
        return None


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        return numba_facts.key_name(key)
    return key


def _lookup(func: Any, name: str) -> Any:
    return func.__globals__[name] if name in func.__globals__ else getattr(builtins, name, ABSENT)


def _is_mutable(value: Any) -> bool:
    return hasattr(value, "__array_interface__") and not by_address(value)


def _is_compiler_value(value: Any) -> bool:
    if value is ABSENT:
        return False
    name = getattr(value, "__module__", None) or getattr(value, "__name__", None) or type(value).__module__
    return is_fixed_module(name)


def _reachable(disp: Any) -> bool:
    """Return whether a Python name leads to this dispatcher."""
    func = disp.py_func
    found: Any = sys.modules.get(func.__module__ or "")
    for part in func.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is disp
