"""Optimise raw IR with Numba's own two-step pipeline and emit position-independent objects."""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding as ll
from numba.core.codegen import AOTCodeLibrary, AOTCPUCodegen, initialize_llvm
from numba.core.compiler_lock import global_compiler_lock

from aotnb.bridge.irtext import defined_functions, module_texts
from aotnb.errors import BuildError

TABLE = "aotnb_table"
CLONE_SLOT = "aotnb.clone."  # begins the name of a slot through which shared code calls what each CPU target has its own of

BASE_SLOT = "aotnb.base."  # begins the name of a slot through which a function of a base image is called


class ImageLibrary(AOTCodeLibrary):
    """Numba's library for code made ahead of time; what a module only declares is not run through the passes.

    It lives in an LLVM context of its own: what the process has compiled before neither slows it down nor shows in its bitcode.
    """

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self.context = ll.create_context()
        self._final_module: Any = ll.parse_assembly(str(codegen._create_empty_module(name)), self.context)

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager()
        for function in ll_module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


class ImageCodegen(AOTCPUCodegen):
    """Numba's ahead-of-time code generator with the features of the target, not of the bare CPU name."""

    _library_class = ImageLibrary

    def __init__(self, cpu: str, features: str) -> None:
        self._features = features
        super().__init__("aotnb", cpu)

    def _customize_tm_features(self) -> str:
        return self._features

    def _function_pass_manager(self, **kwargs: Any) -> Any:
        """Return Numba's function passes, and of no CPU: they simplify, so that one run of them does for all targets."""
        return super(ImageCodegen, _of_no_cpu())._function_pass_manager(**kwargs)


@functools.cache
def _of_no_cpu() -> ImageCodegen:
    return ImageCodegen("", "")


@dataclass(slots=True)
class UnitSource:
    """Text of a unit's libraries, those of its functions that have a loop, and those that others call.

    ``code`` is a name for the text of a unit that is compiled for several targets; it is empty where there is but one.
    ``names`` gives the names that functions have in the object, where these are not those of the raw IR; ``suffix`` ends the
    names of all that a linker would keep only once. ``helpers`` are functions of this process that are called through slots.
    ``offered``: other units may inline its functions.
    """

    own: list[str]
    exported: frozenset[str]
    looping: frozenset[str] = frozenset()
    size: str = ""  # "optsize" or "minsize"
    suffix: str = ""
    names: dict[str, str] = field(default_factory=dict)
    helpers: frozenset[str] = frozenset()
    offered: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class Simplified:
    """The linked code of a unit after the function passes, as bitcode, with the functions of the runtime and those of its own."""

    bitcode: bytes
    runtime: frozenset[str]
    own: frozenset[str]


@dataclass(slots=True)
class UnitObject:
    """Object code of a unit, what others may inline of it (None: that was not asked), and all of its optimised IR."""

    data: bytes
    exported: frozenset[str] = frozenset()
    inlinable: str | None = None
    bitcode: bytes = b""
    optimise_seconds: float = 0.0
    emit_seconds: float = 0.0


_LOOP_ALIGNMENT = "-x86-experimental-pref-innermost-loop-alignment"  # as a power of two; LLVM's own is 4


@contextlib.contextmanager
def aligned_loops() -> Iterator[None]:
    """Let innermost loops begin at multiples of 32 bytes in what is emitted meanwhile; no other code is compiled then.

    A loop that begins anywhere may take more lines of a processor's cache of decoded instructions, so that its speed depends on
    what lies before it in the file. LLVM has no such setting but this one of the process.
    """
    if not ll.get_process_triple().startswith("x86_64"):
        yield
        return
    with global_compiler_lock:
        ll.set_option("aotnb", f"{_LOOP_ALIGNMENT}=5")
        try:
            yield
        finally:
            ll.set_option("aotnb", f"{_LOOP_ALIGNMENT}=4")


@functools.cache
@global_compiler_lock
def runtime_text() -> str:
    """Return the IR of Numba's runtime helpers (reference counts, atomics), as it is before any optimisation.

    They keep their names: Numba's pass that prunes reference counts knows them by name.
    """
    from numba.core.registry import cpu_target
    from numba.core.runtime import nrtdynmod

    module, _ = nrtdynmod.create_nrt_module(cpu_target.target_context)
    return str(parse_module(str(module)))


@functools.cache
def runtime_functions() -> frozenset[str]:
    """Return the names of Numba's runtime helpers, which every unit brings for itself."""
    return frozenset(defined_functions(runtime_text()))


@global_compiler_lock
def compile_unit(
    unit: UnitSource,
    runtime: str,
    cpu: str,
    features: str,
    available: Callable[[], Iterable[str]] = tuple,
    optimised: Callable[[str | None], None] = lambda inlinable: None,
    simplified: dict[str, Simplified] | None = None,
) -> UnitObject:
    """Optimise and emit one unit. Deterministic: equal texts give equal bytes.

    *simplified* keeps what is the same for all CPU targets, by the ``code`` of the units.
    *available* gives what it may inline of optimised units, callees first; it is asked when that is needed, and may wait for it.
    *optimised* is given what others may inline as soon as it is there, before the slow step to an object.
    """
    started = time.perf_counter()
    library = ImageCodegen(cpu, features).create_library("unit")
    helpers, own = _read(library, unit, runtime, {} if simplified is None else simplified)
    module = library._final_module
    for name in helpers:
        helper = module.get_function(name)
        helper.linkage = "linkonce_odr"
        helper.visibility = "hidden"  # called as it is, not through a table in which another library could take its place
    for other in reversed([*available()]):  # callers before what they call: the linker takes what has a caller by then
        # optimised already, by the same two steps: linked as it is, like a library that Numba links into another
        module.link_in(ll.parse_assembly(other, library.context))
    for name in own:
        function = module.get_function(name)
        for attribute in {"": (), "optsize": ("optsize",), "minsize": ("minsize", "optsize")}[unit.size]:
            function.add_function_attribute(attribute)
        if name in unit.exported:
            function.linkage, function.visibility = "external", "hidden"
        elif name in unit.looping:
            # as where Numba links one library into another: it is not inlined just because it has no other caller,
            # since inside of that a loop may lose what lets it be vectorised
            function.linkage, function.visibility = "linkonce_odr", "hidden"
        else:
            function.linkage = "internal"
    library._optimize_final_module()
    module = library._final_module
    module.verify()
    inlinable = _inlinable(library, unit.exported) if unit.offered else None
    bitcode = module.as_bitcode()
    middle = time.perf_counter()
    optimised(inlinable)
    _call_through_slots(library, unit.helpers)
    for function in list(module.functions):
        if function.name in unit.names:
            function.name = unit.names[function.name]
        elif unit.suffix and function.linkage == ll.Linkage.linkonce_odr:
            # a linker keeps one of those with one name, which must not be that for another CPU
            function.name += unit.suffix
    data = library._codegen._tm.emit_object(module)
    return UnitObject(data, unit.exported, inlinable, bitcode, middle - started, time.perf_counter() - middle)


def _read(library: Any, unit: UnitSource, runtime: str, known: dict[str, Simplified]) -> tuple[frozenset[str], frozenset[str]]:
    """Bring the code of a unit into *library*, after the function passes; return the functions of the runtime and its own."""
    if not unit.code:
        return _link_runtime(library, runtime), _link(library, unit.own)
    if unit.code not in known:
        shared = _of_no_cpu().create_library("unit")
        names, own = _link_runtime(shared, runtime), _link(shared, unit.own)
        known[unit.code] = Simplified(shared._final_module.as_bitcode(), names, own)
    found = known[unit.code]
    library._final_module = ll.parse_bitcode(found.bitcode, library.context)
    return found.runtime, found.own


def _link_runtime(library: Any, runtime: str) -> frozenset[str]:
    bitcode, names = _simplified_runtime(runtime)
    library._final_module.link_in(ll.parse_bitcode(bitcode, library.context))
    return names


@functools.cache
def _simplified_runtime(runtime: str) -> tuple[bytes, frozenset[str]]:
    """Return Numba's runtime helpers after the function passes, and their names."""
    library = _of_no_cpu().create_library("runtime")
    names = _link(library, [runtime])
    return library._final_module.as_bitcode(), names


_INLINED = 250  # instructions; LLVM takes no function for inlining of which more than about 50 would be left over

_ATTACHED = re.compile(r"(?: ![\w.]+ !\d+)+$")  # to a definition, such as what a debugger is told of it


def _inlinable(library: Any, exported: frozenset[str]) -> str:
    """Return what others may inline of an optimised library: its *exported* functions but large ones, with what they need."""
    head, *functions = str(library._final_module).split("\ndefine ")
    parts = [head]
    offered = []
    for text in functions:
        line, _, body = text.partition(" {\n")
        name = defined_functions(f"define {text}")[0]
        if name not in exported:
            parts.append(f"define {text}")
        elif body.count("\n  ") < _INLINED or "alwaysinline" in _attributes(library._final_module.get_function(name)):
            parts.append(f"define {text}")
            offered.append(name)
        else:
            parts.append(f"declare {_ATTACHED.sub('', line)}{body.partition(chr(10) + '}')[2]}")
    if not offered:
        return ""
    module = ll.parse_assembly("\n".join(parts), library.context)
    passes = ll.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, library._codegen._pass_builder())
    for name in offered:
        module.get_function(name).linkage = "available_externally"
    module.name = "aotnb"
    return str(module)


def _attributes(function: Any) -> str:
    return " ".join(attribute.decode() for attribute in function.attributes)


# of libm, where LLVM knows an instruction for a call by the name; where the CPU has none, the call goes through a stub
_ROUNDING = ("ceil", "floor", "nearbyint", "rint", "round", "roundeven", "trunc")
_INSTRUCTIONS = frozenset(name + kind for name in ("sqrt", "fabs", "copysign", "fmax", "fmin", *_ROUNDING) for kind in ("", "f"))


def _call_through_slots(library: Any, helpers: frozenset[str]) -> None:
    """Let an optimised module call *helpers* by the addresses in their slots, as Numba's JIT calls by address, without a stub."""
    module = library._final_module
    helpers = helpers - _INSTRUCTIONS
    called = [str(function) for function in module.functions if function.is_declaration and function.name in helpers]
    found = {name: line for text in called for name, line in declarations(text).items() if "..." not in line}
    if not found:
        return
    lines = [f'@"{stub_slot(name)}" = external hidden global ptr' for name in found]
    lines += [forwarding_stub(line, inlined=True) for line in found.values()]
    stubs = parse_module("\n".join(lines), library.context)
    stubs.data_layout = library._codegen._data_layout
    module.link_in(stubs)
    for name in found:
        module.get_function(name).linkage = "internal"
    passes = ll.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.run(module, library._codegen._pass_builder())


def _link(library: Any, texts: Iterable[str]) -> frozenset[str]:
    """Link the modules of *texts* into *library* after Numba's function passes; return the functions they define."""
    defined: set[str] = set()
    for text in texts:
        for part in module_texts(text):
            module = parse_module(part, library.context)
            for function in module.functions:
                if not function.is_declaration:
                    defined.add(function.name)
                    if function.linkage == ll.Linkage.linkonce_odr:  # which the linker leaves out where nothing calls it any more
                        function.linkage = "weak_odr"
            library.add_llvm_module(module)
    return frozenset(defined)


@global_compiler_lock
def assembly_of(bitcode: bytes, cpu: str, features: str) -> bytes:
    """Return the assembly of an optimised unit."""
    generator = ImageCodegen(cpu, features)
    module = ll.parse_bitcode(bitcode, ll.create_context())
    text: str = generator._tm.emit_assembly(module)
    return text.encode()


def parse_module(text: str, context: Any = None) -> Any:
    """Parse the text of a canonical module, in the LLVM context of this process where no other is given."""
    try:
        module = ll.parse_assembly(text, context)
        module.triple = ll.get_process_triple()
        module.verify()
    except RuntimeError as error:
        raise BuildError(f"LLVM refused a renamed module: {error}; please report this") from None
    module.name = "aotnb"
    return module


@global_compiler_lock
def emit_text(text: str, cpu: str, features: str) -> bytes:
    """Emit a module that needs no further optimisation than its own, such as the table."""
    generator = ImageCodegen(cpu, features)
    library = generator.create_library("table")
    library.add_llvm_module(parse_module(text, library.context))
    return generator._tm.emit_object(library._final_module)  # type: ignore[no-any-return]


_DECLARATION = re.compile(r'declare (?P<ret>.*?) ?@(?P<name>"[^"]*"|[\w.$-]+)\((?P<args>.*)\)[^()]*$')


def declarations(text: str) -> dict[str, str]:
    """Return the declaration line of each function that a module text leaves open."""
    lines = (f"declare {rest.partition(chr(10))[0]}" for rest in f"\n{text}".split("\ndeclare ")[1:])
    return {match["name"].strip('"'): match.group() for line in lines if (match := _DECLARATION.match(line))}


def forwarding_stub(declaration: str, called: str = "", slot: str = "", *, inlined: bool = False) -> str:
    """Return a hidden function that jumps to the address in its slot, with the signature of *declaration*.

    It has the name of the declared function and the slot that belongs to it, or *called* and *slot*. With *inlined* it is to be
    inlined into whoever calls it.
    """
    match = _DECLARATION.match(declaration)
    if match is None or "..." in match["args"]:  # a name may have them, too: it is shortened
        raise BuildError(f"no stub can be made for {declaration!r}; please report this")
    returned, name = match["ret"], f'"{called}"' if called else match["name"]
    args = _split(match["args"])
    formal = ", ".join(f"{arg} %a{number}" for number, arg in enumerate(args))
    plain = _strip_attributes(returned)
    slot = f'@"{slot}"' if slot else _slot_name(name)
    always = " alwaysinline" if inlined else ""
    lines = [f"define hidden {returned} @{name}({formal}){always} {{", f"  %target = load ptr, ptr {slot}"]
    actual = ", ".join(f"{_strip_attributes(arg)} %a{number}" for number, arg in enumerate(args))
    if plain == "void":
        lines += [f"  tail call void %target({actual})", "  ret void", "}"]
    else:
        lines += [f"  %result = tail call {plain} %target({actual})", f"  ret {plain} %result", "}"]
    return "\n".join(lines)


def mathematics_stub(name: str) -> str:
    """Return a hidden function that jumps to the function of libm in its slot.

    LLVM calls many of them without a declaration. Their few arguments are floating-point numbers and pointers, which
    travel in registers of their own: whatever takes all of these passes on whichever are used.
    """
    return forwarding_stub(f"declare double @{name}(ptr, ptr, double, double, double)")


def table_text(stubs: Iterable[str], slots: dict[str, str], symbols: list[str], open_functions: Iterable[str]) -> str:
    """Return the module that defines all slots, the stubs, and the one exported table of offsets.

    *slots* maps slot names to their kind ("obj" is a struct, the others are pointers); the table holds, for each name of
    *symbols*, its distance from the table itself, so that it needs no relocation at load.
    """
    lines = [f'target triple = "{ll.get_process_triple()}"']
    for name, kind in slots.items():
        layout = "{ ptr, i32, ptr, ptr, i32 } zeroinitializer" if kind == "obj" else "ptr null"
        lines.append(f'@"{name}" = hidden global {layout}')
    lines += [f'declare void @"{name}"()' for name in open_functions]
    lines += stubs
    cells = [f'i64 sub (i64 ptrtoint (ptr @"{name}" to i64), i64 ptrtoint (ptr @{TABLE} to i64))' for name in symbols]
    lines.append(f"@{TABLE} = constant [{len(cells)} x i64] [{', '.join(cells)}]")
    return "\n".join(lines) + "\n"


def stub_slot(name: str) -> str:
    """Return the name of the slot behind the forwarding stub of a helper."""
    return f"aotnb.slot.{name}"


def _slot_name(quoted: str) -> str:
    return f'@"{stub_slot(quoted.strip(chr(34)))}"'


def _split(args: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for char in args:
        if char == "," and depth == 0:
            parts.append(current.strip())
            current = ""
            continue
        depth += {"(": 1, "{": 1, "[": 1, "<": 1, ")": -1, "}": -1, "]": -1, ">": -1}.get(char, 0)
        current += char
    if current.strip():
        parts.append(current.strip())
    return parts


def _strip_attributes(text: str) -> str:
    """Return the bare type of a parameter such as ``ptr noalias captures(none)`` or ``{ ptr, i64 }``."""
    if text[0] in "{[<":
        closing = {"{": "}", "[": "]", "<": ">"}[text[0]]
        depth = 0
        for position, char in enumerate(text):
            depth += (char == text[0]) - (char == closing)
            if depth == 0:
                return text[: position + 1]
    words = text.split(" ")
    known = [word for word in words if re.fullmatch(r"void|ptr|i\d+|half|float|double|fp128|x86_fp80", word)]
    return known[0]


initialize_llvm()
