"""Would this call be served, or compiled? Answered in nearest-seen form, without running or compiling it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aotnb import session
from aotnb.bridge import inspect as numba_facts
from aotnb.bridge.typecodec import encode_type
from aotnb.core.text import type_text, unlikeness
from aotnb.errors import AotError, NotRelocatable
from aotnb.reports.explain import cure, sentence
from aotnb.reports.frames import frame
from aotnb.reports.tables import Table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("argument", "given", "nearest", "same")

_SCALARS = {("int64", "float64"): "float", ("int64", "complex128"): "complex", ("float64", "complex128"): "complex"}
_ARRAY = re.compile(r"array\((?P<dtype>bool|u?int\d+|float\d+|complex\d+), (?P<dimensions>\d+)d, (?P<layout>[CFA])\)")

_STATES = {
    "served": "was served from {image} in this process",
    "to be served": "will be served from {image}",
    "compiled": "is compiled already in this process",
    "converted": "has explicit signatures and is compiled for no others; Numba converts the arguments or refuses them",
    "to be compiled": "will be compiled",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a call would meet, and the nearest that is there.

    Attributes
    ----------
    state : str
        "served" or "compiled" (in this process, before), "to be served", "to be compiled", or "converted" (the function has
        explicit signatures, none of them for these types).
    reason, detail, difference, cure : str
        Where it is to be compiled: reason code, the sentence of this case, in what the nearest stored entry differs, what to do.
    arguments : tuple of (name, type)
        Of this call, as texts.
    nearest : tuple of str
        The argument types of the nearest entry of the images, or else of what this process has compiled; empty if none.
    nearest_in : str
        "image", "process" or "".
    """

    function: str
    module: str
    arguments: tuple[tuple[str, str], ...]
    state: str
    image: str = ""
    reason: str = ""
    detail: str = ""
    difference: str = ""
    cure: str = ""
    nearest: tuple[str, ...] = ()
    nearest_in: str = ""

    @property
    def served(self) -> bool:
        """Whether the call runs without a compilation."""
        return self.state in ("served", "compiled", "to be served")

    @property
    def frame(self) -> pd.DataFrame:
        """One row per argument: its name, the type given, the type in the nearest entry, whether they are the same."""
        return frame(arguments_table(self))

    @property
    def lines(self) -> list[str]:
        """The explanation as text."""
        call = f"{self.module}.{self.function}({', '.join(typ for _, typ in self.arguments)})"
        lines = [f"{call} {_STATES[self.state].format(image=self.image)}"]
        if self.reason:
            detail = "" if self.difference and self.difference in self.detail else self.detail
            lines.append(f"{self.reason}: {sentence(self.reason, detail)}")
        if self.nearest and not self.served:
            where = "the image" if self.nearest_in == "image" else "this process, compiled before"
            lines.append(f"nearest in {where}: ({', '.join(self.nearest)})")
        if self.difference:
            lines.append(f"difference: {self.difference}")
        if self.cure:
            lines.append(f"what to do: {self.cure}")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines)


def explain(func: Any, /, *args: Any, **kwargs: Any) -> Explanation:
    """Say whether the call ``func(*args, **kwargs)`` would be served or compiled, and why; it is neither run nor compiled.

    Raises
    ------
    AotError
        If *func* is not a jitted function, or does not take these arguments.
    """
    disp = numba_facts.live_dispatcher(func)
    if disp is None:
        name = getattr(func, "__qualname__", None) or repr(func)
        raise AotError(f"{name} is not a jitted function; give one, such as the function of @numba.njit that it calls")
    name, module = disp.py_func.__qualname__, disp.py_func.__module__ or ""
    try:
        given = numba_facts.call_types(disp, args, kwargs)
    except TypeError as error:
        raise AotError(f"{name} does not take these arguments: {error}") from None
    types = tuple(typ for _, typ, _ in given)
    arguments = tuple((parameter, _text(typ)) for parameter, typ, _ in given)
    known = disp.overloads.get(types)
    if known is not None:
        entry = numba_facts.image_entry(known.library)
        image = "" if entry is None else entry[0].report.path
        return Explanation(name, module, arguments, "served" if image else "compiled", image)
    nearest, where = _nearest(disp, [text for _, text in arguments])
    if not numba_facts.may_compile(disp):
        return Explanation(name, module, arguments, "converted", nearest=nearest, nearest_in=where)
    image, why = _ask(disp, given)
    if image is not None:
        return Explanation(name, module, arguments, "to be served", image)
    difference = why[3] if len(why) > 3 else ""
    remedy = cure(why[0], why[1])
    if why[0] == "not_traced" and where == "image":
        remedy = _conversions(arguments, nearest) or remedy
    return Explanation(name, module, arguments, "to be compiled", "", why[0], why[1], difference, remedy, nearest, where)


def _ask(disp: Any, given: list[tuple[str, Any, Any]]) -> tuple[str | None, tuple[str, ...]]:
    """Return the file that would serve the call, or why none would; follow an image that asks for literals, as Numba does."""
    types = tuple(typ for _, typ, _ in given)
    image, instance, why = session.peek(disp, types)
    if image is not None and instance.literals is not None:
        asked = set(instance.literals)
        types = tuple(numba_facts.literal(value, typ) if i in asked else typ for i, (_, typ, value) in enumerate(given))
        if types in disp.overloads:
            return image.report.path, ()
        image, instance, why = session.peek(disp, types)
    return (None, why) if image is None else (image.report.path, ())


def _nearest(disp: Any, given: list[str]) -> tuple[tuple[str, ...], str]:
    """Return the argument types, as texts, of the stored or the compiled entry that differs in the fewest arguments."""
    stored = [tuple(types) for _, types in session.stored_arguments(disp)]
    compiled = [tuple(_text(typ) for typ in types) for types in disp.overloads]
    for where, entries in (("image", stored), ("process", compiled)):
        if entries:
            return min(entries, key=lambda entry: unlikeness(entry, given)), where
    return (), ""


def _conversions(arguments: tuple[tuple[str, str], ...], nearest: tuple[str, ...]) -> str:
    """Return by which conversions the call would be served; nothing where one of the arguments has none."""
    different = [(name, *pair) for (name, *pair) in _pairs(arguments, nearest) if pair[0] != pair[1]]
    found = [_conversion(*each) for each in different]
    if not found or "" in found:
        return ""
    return f"Pass {', '.join(found)} if that is what you mean; or run this call inside a traced cell and save again."


def _pairs(arguments: tuple[tuple[str, str], ...], nearest: tuple[str, ...]) -> list[tuple[str, str, str]]:
    if len(arguments) != len(nearest):
        return []
    return [(name, given, stored) for (name, given), stored in zip(arguments, nearest, strict=True)]


def _conversion(name: str, given: str, stored: str) -> str:
    """Return the expression that makes the stored type of an argument.

    >>> _conversion("x", "array(float64, 2d, A)", "array(float64, 2d, C)")
    'np.ascontiguousarray(x)'
    >>> _conversion("x", "array(int64, 1d, C)", "array(float64, 1d, C)")
    'x.astype(np.float64)'
    >>> _conversion("x", "int64", "float64"), _conversion("x", "int64", "unicode_type")
    ('float(x)', '')
    """
    if (given, stored) in _SCALARS:
        return f"{_SCALARS[given, stored]}({name})"
    old, new = _ARRAY.fullmatch(given), _ARRAY.fullmatch(stored)
    if old is None or new is None or old["dimensions"] != new["dimensions"] or new["layout"] == "A":
        return ""
    if old["dtype"] != new["dtype"]:
        name = f"{name}.astype(np.{new['dtype']})"
    if old["layout"] == new["layout"]:
        return name
    return f"np.{'ascontiguousarray' if new['layout'] == 'C' else 'asfortranarray'}({name})"


def compile_times(found: Explanation) -> list[tuple[str, float]]:
    """Return (argument types, seconds) of what the JIT took for this function: in this process, and for the loaded images."""
    name = f"{found.module}.{found.function}"
    here = [
        (f"{item.signature.partition(' -> ')[0]}, compiled here", item.seconds)
        for item in session.compiled()
        if (item.module, item.function) == (found.module, found.function)
    ]
    stored = [
        (f"{asked.removeprefix(name)}, in {os.path.basename(image.report.path)}", seconds)
        for image in session.loaded()
        if image.costs is not None
        for asked, seconds in image.costs.questions.items()
        if asked.startswith(f"{name}(")
    ]
    return [*here, *stored]


def _text(typ: Any) -> str:
    try:
        return type_text(encode_type(typ))
    except NotRelocatable:
        return str(typ)


def arguments_table(found: Explanation) -> Table:
    """Return one row per argument: name, type given, type in the nearest entry, and whether they are the same."""
    nearest = found.nearest if len(found.nearest) == len(found.arguments) else ("",) * len(found.arguments)
    rows = [(name, given, stored, given == stored) for name, given, stored in _pairs(found.arguments, nearest)]
    return Table(COLUMNS, rows)
