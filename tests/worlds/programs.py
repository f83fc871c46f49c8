"""Random notebooks: a few small functions and the data they read, and random steps that edit, call and restart.

Everything is chosen so that Python and Numba agree bit for bit: integers stay far below 2**53 (each function ends in a
remainder), floats see the same operations in the same order, no expression is an integer or a float depending on a
branch, and no loop is empty.

Glossary: a *part* is a stretch of a cell: source that edits (or none) and the calls that follow it. A *step* is one cell,
made of parts, or a restart. A *slot* is a cell of the notebook by the name of what it defines: a new text replaces the
old one, and after a restart the slots are run again in order. A *symbol* is a name that a function can depend on; the
content of all symbols that a function reaches is what its code may depend on, and nothing else.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

PRELUDE = "import importlib\nimport numpy as np\nimport numba\nfrom numba import njit, vectorize\nfrom numba.extending import register_jitable"
_TOKEN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?")


@dataclass(frozen=True)
class Call:
    """One call: its text, and the symbols that it names. ``types`` tells calls of other argument types apart."""

    text: str
    symbols: list[str]
    types: str


@dataclass(frozen=True)
class Part:
    """A stretch of a cell. ``effects``: what the symbols are after it, None: the symbol is gone."""

    text: str = ""
    slot: str | None = None
    effects: dict[str, str | None] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    @property
    def source(self) -> str:
        said = [f"say({', '.join(call.text for call in self.calls)})"] if self.calls else []
        return "\n".join([*filter(None, [self.text]), *said])


@dataclass(frozen=True)
class Step:
    """One cell, or a restart: save, new kernel, load, run the slots again."""

    kind: str
    parts: list[Part] = field(default_factory=list)

    @property
    def cell(self) -> str:
        return "\n".join(part.source for part in self.parts)

    def to_tree(self) -> dict[str, Any]:
        """Return plain data, with the cell spelled out for the reader."""
        return {"kind": self.kind, "cell": self.cell, "parts": [asdict(part) for part in self.parts]}


def step_from(tree: Mapping[str, Any]) -> Step:
    """The inverse of :meth:`Step.to_tree`; the cell is made anew from the parts."""
    parts = [Part(**{**part, "calls": [Call(**call) for call in part["calls"]]}) for part in tree["parts"]]
    return Step(tree["kind"], parts)


def _is_live(content: str) -> bool:
    """Return whether the text of a symbol makes an array that Numba takes by address."""
    return content.startswith("np.full(130_000") or content.endswith("[::2]")


class Notebook:
    """What a notebook holds after some steps: the text of each slot, and the content of each symbol."""

    def __init__(self) -> None:
        self.slots: dict[str, Part] = {}
        self.symbols: dict[str, str] = {}
        self.history: list[str] = []  # the edits since the last restart, without the calls

    def apply(self, part: Part) -> None:
        """Take in the effects of *part*."""
        if part.text:
            self.history.append(part.text)
        if part.slot is not None:
            self.slots[part.slot] = part
        for name, content in part.effects.items():
            if content is None:
                self.symbols.pop(name, None)
            elif not _is_live(content):
                self.symbols[name] = content
            elif re.search(rf"\b{name} = ", part.text):  # its address is in the code: an equal array is another one
                self.symbols[name] = f"{content}, the one of part {len(self.history)}"

    def restart(self) -> list[Part]:
        """Forget what is not in a slot; return the parts to run again."""
        parts = list(self.slots.values())
        self.symbols.clear()
        self.history.clear()
        for part in parts:
            self.apply(part)
        return parts

    def reach(self, names: list[str]) -> frozenset[tuple[str, str]]:
        """Return the symbols that *names* depend on, with their contents."""
        seen: dict[str, str] = {}
        stack = list(names)
        while stack:
            name = stack.pop()
            content = self.symbols.get(name)
            if content is None or name in seen:
                continue
            seen[name] = content
            stack.extend(_TOKEN.findall(content))
            stack.extend(token.partition(".")[0] for token in _TOKEN.findall(content) if "." in token)
        return frozenset(seen.items())


# ---- making them up -------------------------------------------------------------------------------------------------

LIMIT = 1009  # every function's value is a remainder by this


class Author:
    """Makes up a notebook and edits it; the same seed makes the same notebook."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.notebook = Notebook()
        self.functions: dict[str, str] = {}  # name -> kind, in order of definition
        self.variants: dict[str, list[Part]] = {}  # slot -> every part that it was
        self.data: dict[str, str] = {}  # name -> kind of value
        self.arrays: dict[str, list[Any]] = {}
        self.lists: dict[str, int] = {}
        self.last_call: Part | None = None

    # ------------------------------------------------------------ the notebook at first

    def opening(self) -> list[Step]:
        """Return the steps that write the notebook."""
        steps = []
        for number in range(self.random.randint(2, 5)):
            steps.append(self._data_step(f"G{number}", self.random.choice(DATA_KINDS)))
        steps.append(self._edit("write a module", self._module("cfg")))
        steps.append(self._edit("write a module", self._module("lib")))
        for number in range(self.random.randint(3, 8)):
            kind = self.random.choices(list(FUNCTION_KINDS), list(FUNCTION_KINDS.values()))[0] if number else "leaf"
            name = f"f{number}"
            self.functions[name] = kind
            steps.append(self._edit("define", self._function(name)))
        return steps

    def step(self) -> Step:
        """Return the next step."""
        while True:
            kind = self.random.choices(list(STEPS), list(STEPS.values()))[0]
            step = getattr(self, f"_step_{kind}")()
            if step is not None:
                return step

    def _edit(self, kind: str, *parts: Part) -> Step:
        for part in parts:
            self._run(part)
        return Step(kind, list(parts))

    def _run(self, part: Part) -> None:
        self.notebook.apply(part)
        if part.slot is not None:
            known = self.variants.setdefault(part.slot, [])
            if part not in known:
                known.append(part)

    # ------------------------------------------------------------ data

    def _value(self, kind: str) -> str:
        r = self.random
        if kind == "number":
            return str(r.choice([r.randint(-20, 20), r.randint(-20, 20) / 4, r.randint(-20, 20)]))
        if kind == "tuple":
            return f"({', '.join(self._value('number') for _ in range(r.randint(2, 4)))})"
        if kind == "nested":
            return f"({self._value('tuple')}, {self._value('number')})"
        if kind == "text":
            return repr("ab" * r.randint(0, 4))
        if kind == "flag":
            return r.choice(["True", "False"])
        dtype = r.choice(["np.int64", "np.float64"]) if kind == "array" else "np.int64"
        return f"np.array([{', '.join(str(r.randint(-9, 9)) for _ in range(r.randint(3, 5)))}], {dtype})"

    def _data_part(self, name: str, kind: str, value: str) -> Part:
        if kind == "big":  # taken by address
            value = f"np.full(130_000, {self.random.randint(-9, 9)})"
        if kind == "strided":
            value = f"np.arange({self.random.randint(8, 12)})[::2]"
        return Part(f"{name} = {value}", name, {name: value})

    def _data_step(self, name: str, kind: str) -> Step:
        self.data[name] = kind
        return self._edit("bind", self._data_part(name, kind, self._value(kind)))

    def _module(self, name: str) -> Part:
        r = self.random
        values = {f"K{number}": self._value("number") for number in range(2)}
        lines = ["from numba import njit", *(f"{key} = {value}" for key, value in values.items())]
        effects: dict[str, str | None] = {f"{name}.{key}": value for key, value in values.items()}
        if name == "lib":
            body = f"@njit\ndef h(x):\n    return (x * {r.randint(1, 5)} + K0) % {LIMIT}"
            outer = f"@njit\ndef hh(x):\n    return h(x + {r.randint(1, 3)}) + K1"
            lines += [body, outer]
            effects |= {"lib.h": f"{body}  # lib.K0", "lib.hh": f"{outer}  # lib.h lib.K1"}
        source = "\n".join(lines)
        text = f"write('{name}.py', {source!r})\nimport {name}\nimportlib.reload({name})"
        return Part(text, name, effects)

    # ------------------------------------------------------------ expressions

    def _atom(self, own: list[str], callees: list[str]) -> str:
        r = self.random
        choice = r.random()
        if choice < 0.25:
            return r.choice(own)
        if choice < 0.35:
            return str(r.choice([r.randint(1, 9), r.randint(1, 20) / 4]))
        if choice < 0.65 and self.data:
            return self._read(r.choice(list(self.data)))
        if choice < 0.75:
            return r.choice(["cfg.K0", "cfg.K1", "lib.K0"])
        if choice < 0.8:
            return f"lib.{r.choice(['h', 'hh'])}({r.choice(own)})"
        if callees:
            return self._call_text(r.choice(callees), r.choice(own))
        return r.choice(own)

    def _read(self, name: str) -> str:
        r = self.random
        kind = self.data[name]
        if kind == "number":
            return name
        if kind == "tuple":
            return r.choice([f"{name}[{r.randint(0, 1)}]", f"len({name})"])
        if kind == "nested":
            return r.choice([f"{name}[0][{r.randint(0, 1)}]", f"{name}[1]", f"len({name}[0])"])
        if kind == "text":
            return f"len({name})"
        if kind == "flag":
            return f"(3.5 if {name} else 1.25)"
        if kind == "array":
            return r.choice([f"{name}[{r.randint(0, 2)}]", f"{name}.size", f"{name}[-1]"])
        return f"{name}[{r.randint(0, 3)}]"

    def _expression(self, own: list[str], callees: list[str], depth: int) -> str:
        r = self.random
        if depth == 0:
            return self._atom(own, callees)
        a, b = (self._expression(own, callees, depth - 1) for _ in range(2))
        shape = r.random()
        if shape < 0.35:
            return f"({a} {r.choice('+-')} {b})"
        if shape < 0.55:
            return f"({a} * {self._atom(own, [])})"
        if shape < 0.65:
            return f"({a} / 4)"
        if shape < 0.7:
            return f"({a} // {r.randint(2, 5)})"
        if shape < 0.8:
            return f"(float({a}) if {b} > {r.randint(-5, 20)} else float({self._atom(own, callees)}))"
        if shape < 0.9:
            return f"{r.choice(['min', 'max'])}(float({a}), float({b}))"
        return f"abs({a})"

    # ------------------------------------------------------------ functions

    def _call_text(self, name: str, argument: str) -> str:
        return f"{name}({argument} % 97, 2)" if self.functions[name] == "circle" else f"{name}({argument} % 97)"

    def _callees(self, name: str) -> list[str]:
        """Return what *name* may call: what is defined before it and is a function of one number for compiled code."""
        before = list(self.functions)[: list(self.functions).index(name)]
        return [other for other in before if self.functions[other] not in ("higher", "ufunc")]

    def _function(self, name: str) -> Part:
        """Return a definition of *name*, made up."""
        kind = self.functions[name]
        callees = self._callees(name)
        body = getattr(self, f"_body_{kind}")(name, callees)
        text, effects = body
        return Part(text, name, effects)

    def _lines(self, own: list[str], callees: list[str]) -> list[str]:
        r = self.random
        expression = self._expression(own, callees, r.choice([1, 1, 2]))
        form = r.random()
        if form < 0.6:
            return [f"return {expression} % {LIMIT}"]
        if form < 0.8:
            return [
                f"y = {expression} % {LIMIT}",
                f"z = {self._expression([*own, 'y'], callees, 1)}",
                f"return (y + z) % {LIMIT}",
            ]
        step = self._expression([*own, "i"], callees, 1)
        return ["s = 0", f"for i in range({r.randint(1, 3)}):", f"    s = s + {step}", f"return s % {LIMIT}"]

    def _body_plain(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        r = self.random
        head, own, default = f"def {name}(x):", ["x"], ""
        if r.random() < 0.15:
            own, head = ["x", "d"], f"def {name}(x, d={self._value('number')}):"
        text = "\n".join(["@njit" + default, head, *(f"    {line}" for line in self._lines(own, callees))])
        return text, {name: text}

    def _body_leaf(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        return self._body_plain(name, [])

    def _body_inlined(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        text = "\n".join(["@njit(inline='always')", f"def {name}(x):", *(f"    {line}" for line in self._lines(["x"], callees))])
        return text, {name: text}

    def _body_helper(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        text = "\n".join(["@register_jitable", f"def {name}(x):", *(f"    {line}" for line in self._lines(["x"], callees))])
        return text, {name: text}

    def _body_closure(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        value = self._value("number")
        lines = self._lines(["x", "k"], callees)
        inner = "\n".join(["    @njit", f"    def {name}(x):", *(f"        {line}" for line in lines)])
        rebind = f"    def rebind(v):\n        nonlocal k\n        k = v\n    return {name}, rebind"
        text = f"def make_{name}(k):\n{inner}\n{rebind}\n{name}, rebind_{name} = make_{name}({value})"
        return text, {name: f"{inner}  # {name}.k", f"{name}.k": value}

    def _body_circle(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        # Numba 0.68 loses a symbol where one circle reaches another while its types are inferred
        callees = [other for other in callees if self.functions[other] == "leaf"]
        one, two = (self._expression(["x"], callees, 1) for _ in range(2))
        there = f"{name}_b"
        a = f"@njit\ndef {name}(x, n):\n    if n <= 0:\n        return float({one}) % {LIMIT}\n    return ({there}(x + 1, n - 1) + 1) % {LIMIT}"
        b = f"@njit\ndef {there}(x, n):\n    if n <= 0:\n        return float({two}) % {LIMIT}\n    return ({name}(x + 2, n - 1) * 2) % {LIMIT}"
        return f"{a}\n{b}", {name: a, there: b}

    def _body_higher(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        expression = self._expression(["x"], callees, 1)
        text = f"@njit\ndef {name}(fn, x):\n    return (fn(x % 97) + {expression}) % {LIMIT}"
        return text, {name: text}

    def _body_ufunc(self, name: str, callees: list[str]) -> tuple[str, dict[str, str | None]]:
        text = f"@vectorize\ndef {name}(x):\n    return {self._expression(['x'], callees, 1)} % {LIMIT}"
        return text, {name: text}

    # ------------------------------------------------------------ calls

    def _call(self, name: str | None = None) -> Call:
        r = self.random
        name = name or r.choice(list(self.functions))
        kind = self.functions[name]
        argument, types = r.choice([(str(r.randint(-30, 30)), "i"), (str(r.randint(-60, 60) / 4), "d")])
        if kind == "circle":
            return Call(f"{name}({argument}, {r.randint(0, 4)})", [name], types)
        if kind == "ufunc":
            # one type of array only: what an integer array gives depends on the loops that are there
            return Call(f"{name}(np.arange(4) / 4)", [name], "d")
        if kind == "higher":
            others = [other for other, of in self.functions.items() if of in ("leaf", "plain", "closure")]
            if others:
                other = r.choice(others)
                return Call(f"{name}({other}, {argument})", [name, other], types)
            return Call("0", [], types)
        return Call(f"{name}({argument})", [name], types)

    def _calls(self) -> Part:
        count = self.random.choice([1, 1, 2, 3])
        return Part(calls=[self._call() for _ in range(count)])

    # ------------------------------------------------------------ steps

    def _step_call(self) -> Step:
        self.last_call = self._calls()
        return Step("call", [self.last_call])

    def _step_call_again(self) -> Step | None:
        return Step("call again", [self.last_call]) if self.last_call is not None else None

    def _step_redefine(self) -> Step:
        name = self.random.choice(list(self.functions))
        return self._edit("redefine", self._mutated(name))

    def _mutated(self, name: str) -> Part:
        """Return another definition of *name*: made up anew, or as it is but for one number."""
        part = self.notebook.slots[name]
        numbers = list(re.finditer(r"(?<![\w.\[])\d(?![\w.\]])", part.text))
        if self.functions[name] in ("closure", "circle") or not numbers or self.random.random() < 0.4:
            return self._function(name)
        found = self.random.choice(numbers)
        text = f"{part.text[: found.start()]}{self.random.randint(1, 9)}{part.text[found.end() :]}"
        return Part(text, name, {name: text})

    def _step_toggle(self) -> Step | None:
        slots = [slot for slot, parts in self.variants.items() if len(parts) > 1]
        if not slots:
            return None
        slot = self.random.choice(slots)
        others = [part for part in self.variants[slot] if part != self.notebook.slots[slot]]
        return self._edit("toggle", self.random.choice(others[-3:]))

    def _step_rerun(self) -> Step:
        return self._edit("rerun", self.random.choice(list(self.notebook.slots.values())))

    def _step_rebind(self) -> Step:
        name = self.random.choice(list(self.data))
        return self._edit("rebind", self._data_part(name, self.data[name], self._value(self.data[name])))

    def _step_in_place(self) -> Step | None:
        names = [name for name, kind in self.data.items() if kind in ("array", "big", "strided")]
        if not names:
            return None
        name, value = self.random.choice(names), self.random.randint(-9, 9)
        place = self.random.randint(0, 2)
        text = self.random.choice([f"{name}[{place}] = {value}", f"{name} += {value}", f"{name}[:] = {name}[::-1].copy()"])
        before = self.notebook.symbols[name]
        live = self.data[name] in ("big", "strided")  # its content is no part of the code
        return self._edit("in place", Part(text, None, {name: before if live else f"{before}; {text}"}))

    def _step_attribute(self) -> Step:
        name = self.random.choice(["cfg.K0", "cfg.K1", "lib.K0", "lib.K1"])
        value = self._value("number")
        return self._edit("attribute", Part(f"{name} = {value}", None, {name: value}))

    def _step_cell(self) -> Step | None:
        names = [name for name, kind in self.functions.items() if kind == "closure"]
        if not names:
            return None
        name, value = self.random.choice(names), self._value("number")
        return self._edit("closure cell", Part(f"rebind_{name}({value})", None, {f"{name}.k": value}))

    def _step_reload(self) -> Step:
        return self._edit("reload", self._module(self.random.choice(["cfg", "lib"])))

    def _step_from_a_function(self) -> Step:
        """Bind a global from inside of a function; seen at the end of the cell."""
        name = self.random.choice(list(self.data))
        part = self._data_part(name, self.data[name], self._value(self.data[name]))
        value = part.text.partition(" = ")[2]
        text = f"def set_{name}():\n    global {name}\n    {name} = {value}\nset_{name}()"
        return self._edit("bind from a function", Part(text, None, part.effects))

    def _step_edit_and_call(self) -> Step:
        """Edit and call in one cell, perhaps several times."""
        parts = []
        for _ in range(self.random.choice([1, 1, 2, 3])):
            if self.random.random() < 0.6:
                name = self.random.choice(list(self.functions))
                part = self._mutated(name)
            else:
                name = self.random.choice(list(self.data))
                part = self._data_part(name, self.data[name], self._value(self.data[name]))
            part = Part(part.text, part.slot, part.effects)
            self._run(part)
            parts.append(Part(part.text, part.slot, part.effects, self._calls().calls))
        return Step("edit and call", parts)

    def _step_restart(self) -> Step:
        self.notebook.restart()
        self.last_call = None
        return Step("restart")


DATA_KINDS = ["number", "number", "number", "tuple", "nested", "text", "flag", "array", "array", "big", "strided"]
FUNCTION_KINDS = {"plain": 50, "inlined": 12, "helper": 12, "closure": 14, "circle": 8, "higher": 6, "ufunc": 4}
STEPS = {
    "call": 36,
    "call_again": 5,
    "redefine": 16,
    "toggle": 9,
    "rerun": 7,
    "rebind": 10,
    "in_place": 4,
    "attribute": 5,
    "cell": 5,
    "reload": 3,
    "from_a_function": 2,
    "edit_and_call": 8,
    "restart": 1.5,
}
