"""Rename the symbols of a code library by content, before anything is merged.

Numba's mangled names carry a per-process counter, environments are memoised by name, and addresses stand in names. Here
the raw IR of one library becomes a text in which every name follows from the content, and everything that belongs to a
process (environments, pickled objects, addresses) is an external *slot* that the loader fills.

Glossary: *own* function = defined in this library; *slot* = a hidden global variable ``<library>.<kind>.<n>``.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from aotnb.core.digest import digest
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

# a label has the blocks that lead to it in a comment, which LLVM does not need; it is known by the end of the line before it,
# since a search for one of a few characters is quick
_TOKEN = re.compile(r'(c"[^"]*"|[@%](?:"[^"]*"|[\w.$-]+)|\n(?:"[^"]*"|[\w.$-]+):(?: +;.*)?)')
# LLVM prints no character beyond ASCII, so no string constant can look like a placeholder
SELF = "\u00a7"
_PLACEHOLDER = re.compile(rf'@"?{SELF}\.([\w.]+)"?')

ENVIRONMENT = "_ZN08NumbaEnv"
PICKLE = ".const.picklebuf."
PICKLE_DATA = ".const.pickledata."
_PICKLED = re.compile(r"\.const\.picklebuf\.([\w$-]+)")
DYNAMIC = "numba.dynamic.globals."
UNRESOLVED = ".numba.unresolved$"
MISSING_ENVIRONMENT = ".const.missing Environment: "
# Numba registers these names with the address of the object itself; in libpython they are pointer variables (or nothing)
DATA_SYMBOLS = re.compile(r"PyExc_\w+|_numba_hashsecret_\w+")
DATA_PREFIX = "aotnb.data."
_FUNCTION = re.compile(r'(?:declare|define) [^@]*@("[^"]*"|[\w.$-]+)\(')
_CONSTANT = re.compile(r'@("[^"]*"|[\w.$-]+) = (?!external |extern_weak )')
_LINKAGE = re.compile(r'linkageName: "([^"]*)"')
_VERSION = re.compile(r"B\d+v\d+")
_DECLARATION = re.compile(r"^declare .*$", re.MULTILINE)
_BLOCK = re.compile(r'^("[^"]*"|[\w.$-]+):', re.MULTILINE)  # of a block
_SUCCESSOR = re.compile(r'label %("[^"]*"|[\w.$-]+)')
_TYPE = re.compile(r"(%[^ ]+) = type ")
_LABEL = 100  # characters of a name that are for people; the digest behind them tells names apart
_ADDRESS = re.compile(r"_*-?0x[0-9a-f]+")
_LARGE = re.compile(r"i64 (?<!\wi64 )(\d{11,15})\b")
_BAKED = re.compile(r"inttoptr \(?i64 (\d{5,}) to")


@dataclass(slots=True)
class RawLibrary:
    """The modules of one code library as they were before Numba optimised them."""

    label: str  # readable start of the canonical name: what profilers and debuggers show
    texts: list[str]  # as LLVM prints them
    identity: object  # what the content must be hashed with: method, types, edges, constants


@dataclass(slots=True)
class CanonicalLibrary:
    """A library under its canonical name."""

    name: str
    text: str
    functions: dict[str, str]  # Numba's name -> canonical name
    slots: dict[str, tuple[str, str]]  # slot name -> (kind, Numba's name without prefix)
    externals: set[str] = field(default_factory=set)  # functions and data defined outside of all libraries
    uses: set[str] = field(default_factory=set)  # canonical names of functions in other libraries


def defined_functions(text: str) -> list[str]:
    """Return the functions that the text of a module defines, in order."""
    return [match[1].strip('"') for part in _parts(text)[1:] if (match := _FUNCTION.match(part))]


def pickled_objects(texts: Iterable[str]) -> list[str]:
    """Return the keys of the pickled objects that modules use, in the order in which they become slots."""
    return list(dict.fromkeys(key for text in texts for key in _PICKLED.findall(text)))


def _parts(text: str) -> list[str]:
    """Split the text of a module: what comes before its functions, and each function with what comes after it."""
    head, *functions = f"\n{text}".split("\ndefine ")
    return [head, *(f"define {function}" for function in functions)]


def looping_functions(text: str) -> set[str]:
    """Return the functions of a module that have a loop."""
    found = set()
    function, current = "", ""
    graph: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if line.startswith("  "):
            if "label %" in line:
                graph.setdefault(current, []).extend(_SUCCESSOR.findall(line))
        elif line.startswith("define ") and (match := _FUNCTION.match(line)):
            function, graph, current = match[1].strip('"'), {}, ""
        elif line == "}":
            if _has_circle(graph):
                found.add(function)
        elif (label := _BLOCK.match(line)) is not None:
            current = label[1]
    return found


def _has_circle(graph: dict[str, list[str]]) -> bool:
    """Return whether a control-flow graph has a circle: some block is left when all without predecessors are taken away."""
    waiting: dict[str, int] = {}
    for block, successors in graph.items():
        waiting.setdefault(block, 0)
        for successor in successors:
            waiting[successor] = waiting.get(successor, 0) + 1
    free = [block for block, count in waiting.items() if count == 0]
    taken = 0
    while free:
        block = free.pop()
        taken += 1
        for successor in graph.get(block, ()):
            waiting[successor] -= 1
            if waiting[successor] == 0:
                free.append(successor)
    return taken < len(waiting)


class _Rewriter:
    """One pass over the text of a module; see :func:`canonicalize`."""

    def __init__(self, own: dict[str, str], known: dict[str, str]) -> None:
        self.own, self.known = own, known  # function name -> placeholder; function or environment name -> canonical name
        self.globals: dict[str, str] = {}
        self.slots: dict[tuple[str, str], str] = {}  # (kind, Numba's name) -> placeholder
        self.externals: set[str] = set()
        self.uses: set[str] = set()
        self.recursions: dict[str, tuple[str, str]] = {}  # called function -> (placeholder, canonical name)
        self.internal: set[str] = set()
        self._constants = 0
        self._types: set[str] = set()

    def module(self, text: str) -> list[tuple[str, str]]:
        """Rewrite one module; return each function with what comes after it, behind an empty text with what comes before them."""
        head, *functions = _parts(text)
        lines = head.split("\n")
        self.globals = {}
        self.internal = {match[1].strip('"') for line in lines if line[:1] == "@" and (match := _CONSTANT.match(line))}
        self._types = {match[1] for line in lines if line[:1] == "%" and (match := _TYPE.match(line))}
        start = next(number for number, line in enumerate(lines) if line.startswith("target triple"))
        parts = [("", "\n".join(lines[start + 1 :])), *map(_body, functions)]
        parts = [(body, _LINKAGE.sub(self._linkage, rest)) for body, rest in parts]
        renamed = [(self._rename(body), self._rename(_DECLARATION.sub("", rest))) for body, rest in parts]
        # what nothing mentions is not needed: Numba declares functions to have their type
        declared = [line for _, rest in parts for line in _DECLARATION.findall(rest)]
        used = [line for line in declared if (match := _FUNCTION.match(line)) is None or f"@{match[1]}" in self.globals]
        return [*renamed, ("", self._rename("\n".join(used)))]

    def _linkage(self, match: re.Match[str]) -> str:
        """Return the name that debug information has for a function: Numba's has the number of a compilation in it."""
        name = match[1]
        return f'linkageName: "{self.own.get(name) or self.known.get(name) or _VERSION.sub("", name)}"'

    def _rename(self, text: str) -> str:
        """Rename what stands outside of functions, or in one function, whose names are its own."""
        parts = _TOKEN.split(text)
        parts[1::2] = map(self._names(parts[1::2]).__getitem__, parts[1::2])
        return "".join(parts)

    def _names(self, tokens: list[str]) -> dict[str, str]:
        """Return the new names by token; those of variables, arguments and blocks are numbered by their first appearance."""
        names: dict[str, str] = {}
        numbers: dict[str, int] = {}
        for token in dict.fromkeys(tokens):
            first = token[0]
            if first == "%":
                names[token] = token if token in self._types else f"%v{numbers.setdefault(token, len(numbers))}"
            elif first == "@":
                names[token] = self._renamed(token)
            elif first == "c":
                names[token] = token
            else:  # a block, which may have a name that a type has as well
                label = token[1 : token.index('"', 2) + 1] if token[1] == '"' else token[1:].partition(":")[0]
                names[token] = f"\nv{numbers.setdefault(f'%{label}', len(numbers))}:"
        return names

    def _renamed(self, token: str) -> str:
        found = self.globals.get(token)
        if found is None:
            found = self.globals[token] = "@" + _quote(self._global(token[1:].strip('"')))
        return found

    def _global(self, name: str) -> str:
        if name.startswith("llvm."):
            return name
        if name in self.own:
            return self.own[name]
        if name.startswith(ENVIRONMENT):
            return self.known.get(name) or self._slot("env", name)
        if name in self.known:
            self.uses.add(self.known[name])
            return self.known[name]
        if name.startswith(PICKLE):
            return self._slot("obj", name.split(".")[3])
        if name.startswith(DYNAMIC):
            return self._slot("dyn", name[len(DYNAMIC) :])
        if name.startswith(UNRESOLVED):
            return self._recursion(name[len(UNRESOLVED) :])
        if name.startswith(MISSING_ENVIRONMENT):
            return f"{SELF}.missing_environment"
        if name in self.internal:
            # some of Numba's names for constants hold a hash of the process or an address
            return name if name.startswith(PICKLE_DATA) else self._constant(name)
        if DATA_SYMBOLS.fullmatch(name):
            self.externals.add(DATA_PREFIX + name)
            return DATA_PREFIX + name
        self.externals.add(name)
        return name

    def _constant(self, name: str) -> str:
        self._constants += 1
        return f"{SELF}.c{self._constants}"  # remembered for this module by the caller

    def _slot(self, kind: str, key: str) -> str:
        found = self.slots.get((kind, key))
        if found is None:
            found = self.slots[kind, key] = f"{SELF}.{kind}.{sum(known == kind for known, _ in self.slots)}"
        return found

    def _recursion(self, target: str) -> str:
        canonical = self.own.get(target)
        if canonical is None:
            # mutual recursion across libraries is grouped into one library by the caller; what is left is a function that
            # calls itself with arguments of other types, which is no circle
            canonical = self.known.get(target)
            if canonical is None:
                raise NotRelocatable(refusal("recursion"))
            self.uses.add(canonical)
        if target not in self.recursions:
            self.recursions[target] = (f"{SELF}.rec.{len(self.recursions)}", canonical)
        return self.recursions[target][0]


def unordered(text: str) -> list[str]:
    """Return the lines of canonical IR, sorted, without the names that follow from their order.

    Numba orders what it deletes at the joints of branches by sets of names, so the hash seed shows in large functions. The
    names of variables stand in what code in object mode would say of undefined ones, with a number that counts functions.
    Functions of equal content count once among the declarations: only their objects tell them apart.
    """
    lines = _ORDERED.sub("", text).split("\n")
    declared = {line for line in lines if line.startswith("declare ")}
    return sorted([*declared, *(line for line in lines if line not in declared)])


_ORDERED = re.compile(
    r"(?<=%)v?\d+|(?<=\.)[0-9a-f]{20}(?=[.\"])|(?<=\.dyn\.)\d+|(?<=\.obj\.)\d+|(?<=\.env\.)\d+|^[\w.]+(?=:)"
    r"|(?<=\.c)\d+(?=\")|(?<=__v)\d+(?=_)|\[\d+ x i8\](?= c\"name ')",
    re.MULTILINE,
)


def canonicalize(raw: RawLibrary, known: dict[str, str]) -> CanonicalLibrary:
    """Return *raw* under names that follow from its content.

    *known* maps the function and environment names of the libraries that it uses to their canonical names.
    """
    deferred: dict[str, str] = {}
    modules = [_numbered_types(text, deferred) for text in raw.texts]
    own: dict[str, str] = {}
    for text in modules:
        for name in defined_functions(text):
            own.setdefault(name, f"{SELF}.f{len(own)}")
    rewriter = _Rewriter(own, known)
    texts = []
    for text in modules:
        rewritten = rewriter.module(text)
        texts.append(_tidy(rewritten, dict(rewriter.recursions.values())))
    joined = "\n; next module\n".join(texts)
    if baked := _BAKED.search(joined):
        raise NotRelocatable(refusal("address", address=hex(int(baked.group(1)))))
    name = f"{_identifier(raw.label)}.{digest([raw.identity, joined, sorted(rewriter.uses)])[:20]}"
    return CanonicalLibrary(
        name=name,
        text=_PLACEHOLDER.sub(lambda match: f'@"{name}.{match.group(1)}"', joined).replace(f'"{SELF}.', f'"{name}.'),
        functions={numba_name: placeholder.replace(SELF, name, 1) for numba_name, placeholder in own.items()},
        slots={slot.replace(SELF, name, 1): value for value, slot in rewriter.slots.items()},
        externals=rewriter.externals,
        uses=rewriter.uses,
    )


def large_numbers(text: str) -> set[int]:
    """Return the integers in a module that are as large as an address may be."""
    return {int(number) for number in _LARGE.findall(text)}


def _numbered_types(text: str, names: dict[str, str]) -> str:
    """Number the structures of types that refer to themselves: Numba names them after an address."""
    return _DEFERRED.sub(lambda match: names.setdefault(match[0], f"%deferred.{len(names)}"), text)


_DEFERRED = re.compile(r"%deferred\.\d+\.[\w.]+")


def module_texts(library_text: str) -> list[str]:
    """Split the text of a canonical library into its modules, each of which LLVM can parse."""
    return library_text.split("\n; next module\n")


def name_in_place(name: str, place: int) -> str:
    """Return the name by which code that is compiled later knows what an image calls *name*, whose code is mapped at *place*.

    Code in another place than the first is other code: linked together under one name, LLVM would take the one for the other.
    """
    return f"{name}.place{place}" if place else name


def renamed(text: str, libraries: Container[str], place: int) -> str:
    """Return the text of a canonical library with :func:`name_in_place` applied to the names that belong to *libraries*."""

    def replace(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        owner = _OWNER.match(name)
        return f"@{_quote(name_in_place(name, place))}" if owner is not None and owner[1] in libraries else match[0]

    return _SYMBOL.sub(replace, text)


_SYMBOL = re.compile(r'@(?:"([^"]+)"|([\w.$-]+))')
_OWNER = re.compile(r"(.*\.[0-9a-f]{20})\.")  # a canonical name begins with that of its library, which ends with a digest


def _tidy(parts: list[tuple[str, str]], recursions: dict[str, str]) -> str:
    """Turn definitions of per-process globals into slots, and uses of data symbols into loads from slots."""
    lines: list[str] = []
    seen: set[str] = set()
    declared = {match[1] for body, _ in parts if (match := _FUNCTION.match(body))}
    declared |= {
        match[1] for _, rest in parts for line in rest.split("\n") if line[:2] == "de" and (match := _FUNCTION.match(line))
    }
    for body, rest in parts:
        if DATA_PREFIX in body:
            for number, line in enumerate(body.split("\n")):
                lines.extend(_load_data(line, number) if DATA_PREFIX in line else [line])
        elif body:
            lines.append(body)
        for line in rest.split("\n"):
            if line.startswith("@"):
                rewritten = _tidy_global(line, recursions, declared)
                if rewritten is not None:
                    lines.append(rewritten)
            elif line.startswith("declare "):
                # two libraries of equal content have become one, and so have their declarations
                match = _FUNCTION.match(line)
                name = line if match is None else match[1]
                if name not in seen:
                    seen.add(name)
                    lines.append(line)
            elif line and not line.startswith(";"):
                lines.append(line)
    return "\n".join(lines) + "\n"


def _body(function: str) -> tuple[str, str]:
    """Split a function from what comes after it; the lines between its blocks fall away."""
    body, _, rest = function.partition("\n}\n")
    return body.replace("\n\n", "\n") + "\n}", rest


def _tidy_global(line: str, recursions: dict[str, str], declared: set[str]) -> str | None:
    name, _, _definition = line.partition(" = ")
    bare = name[1:].strip('"')
    if bare.startswith((PICKLE_DATA, "_ZN08NumbaEnv")):
        return None
    if bare.endswith(".missing_environment"):
        return f'{name} = internal constant [20 x i8] c"missing Environment\\00"'
    if bare.startswith(DATA_PREFIX):
        return f"{name} = external hidden global ptr"
    if ".rec." in bare and bare in recursions:
        target = _quote(recursions[bare])
        declaration = "" if target in declared else f"declare void @{target}()\n"
        declared.add(target)
        return f"{declaration}{name} = internal constant ptr @{target}"
    if re.search(r"\.(env|dyn)(\.\d+)?$", bare):
        return f"{name} = external hidden global ptr"
    if re.search(r"\.obj\.\d+$", bare):
        return f"{name} = external hidden global {{ ptr, i32, ptr, ptr, i32 }}"
    return line


def _load_data(line: str, position: int) -> list[str]:
    """Replace each use of a data symbol's address by a load from its slot."""
    stripped = line.lstrip()
    if " = phi " in stripped or stripped.startswith(("switch", "declare")) or line.startswith("!"):
        raise NotRelocatable("the address of a data symbol is used in a place that cannot load it")
    loads: list[str] = []

    def replace(match: re.Match[str]) -> str:
        local = f"%data{position}.{len(loads)}"
        loads.append(f"  {local} = load ptr, ptr {match.group()}")
        return local

    rewritten = re.sub(r'@"?' + re.escape(DATA_PREFIX) + r'\w+"?', replace, line)
    return [*loads, rewritten]


def _quote(name: str) -> str:
    return name if re.fullmatch(r"[-a-zA-Z$._][-a-zA-Z$._0-9]*", name) else f'"{name}"'


def _identifier(label: str) -> str:
    """Return *label* without addresses, blanks, and what assemblers, linkers and debuggers take for something else."""
    plain = re.sub(r"[^\w.,:()\[\]<>]+", "_", _ADDRESS.sub("", label), flags=re.ASCII)
    return plain if len(plain) <= _LABEL else plain[: _LABEL - 3] + "..."
