"""The codec of values: equal trees where a compiler would read the same thing, and only there."""

from __future__ import annotations

import enum
import functools
import json
import math
import os
import random
import re
import subprocess
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import FunctionType, MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba import njit, typed, types, vectorize
from numba.extending import intrinsic, overload

from aotnb.bridge.values import ADDRESS_LIMIT, by_address, decode_value, summary, value_tree
from aotnb.core.digest import canonical, digest
from aotnb.errors import NotRelocatable


class Pair(NamedTuple):
    a: Any
    b: Any


class Color(enum.Enum):
    RED = 1
    BLUE = "two"


class Boom(Exception):
    pass


@njit
def jitted(x):
    return x + 1


@njit(inline="always")
def inlined(x):
    return x + SCALE


SCALE = 2


@vectorize
def ufunc(x):
    return x + 1


@intrinsic
def nothing(typingctx):
    return types.none(), lambda context, builder, sig, args: context.get_dummy_value()


@functools.lru_cache
def remembered(x):
    return x + 1


@overload(remembered)
def _remembered(x):
    return lambda x: x + 1


STRUCT = np.dtype([("a", "<i4"), ("b", "<f8", (2,)), (("a title", "c"), "S3")])

REBUILT: dict[str, Any] = {
    **{
        repr(value): value
        for value in [
            None,
            ...,
            True,
            False,
            0,
            -1,
            2**70,
            0.0,
            -0.0,
            1e-320,
            math.inf,
            1j,
            -0.0j,
            "",
            "a'\"\n\ud800\u1234",
            b"\x00'",
        ]
    },
    **{
        f"{type(value).__name__} {value}": value
        for value in [np.int8(1), np.float32(0.1), np.bool_(True), np.complex64(1j), np.datetime64("2020-01-01")]
    },
    "numpy string": np.str_("abc"),
    "struct scalar": np.zeros(1, STRUCT)[0],
    "tuple": (1, (2.0, "a"), ()),
    "named tuple": Pair(1, Pair("x", None)),
    "slice": slice(1, None, (2, 3)),
    "enum member": Color.BLUE,
    "enum class": Color,
    "dtype": np.dtype("<f4"),
    "struct dtype": STRUCT,
    "aligned dtype": np.dtype([("a", "i1"), ("b", "f8")], align=True),
    "exception class": Boom,
    "builtin class": int,
    "named tuple class": Pair,
    "numpy class": np.float64,
    "builtin": len,
    "function of math": math.sin,
    "numpy function": np.dot,
    "object with overloads": remembered,
    "method of an object in a module": random.random,
    "module": math,
    "type": types.int64,
}

COMPARED: dict[str, Any] = {
    "array": np.arange(3),
    "array of records": np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "big array": np.zeros(ADDRESS_LIMIT + 1, np.uint8),
    "strided array": np.arange(10)[::2],
    "jitted": jitted,
    "inlined": inlined,
    "function": jitted.py_func,
    "ufunc of numba": ufunc,
    "ufunc of numpy": np.add,
    "intrinsic": nothing,
}


def text(value: Any) -> str:
    return canonical(value_tree(value))


def same(one: Any, other: Any) -> bool:
    """Return whether two values are of one type and equal, bit for bit where they are numbers."""
    if isinstance(one, tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.generic):
        return type(one) is type(other) and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return type(one) is type(other) and (repr(one) == repr(other) if isinstance(one, float | complex) else one == other)


# ---- round trip -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", REBUILT.values(), ids=REBUILT)
def test_there_and_back(value: Any) -> None:
    found = decode_value(json.loads(text(value)))
    assert same(value, found)
    assert text(found) == text(value)


@pytest.mark.parametrize("value", COMPARED.values(), ids=COMPARED)
def test_the_rest_can_be_compared_but_not_rebuilt(value: Any) -> None:
    tree = json.loads(text(value))
    assert text(value) == canonical(tree)
    with pytest.raises(NotRelocatable, match="cannot be rebuilt"):
        decode_value(tree)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.builds(Pair, inner, inner), max_leaves=8)


@given(VALUES)
def test_any_plain_value_is_rebuilt(value: Any) -> None:
    assert same(value, decode_value(json.loads(text(value))))


DTYPES = (
    hnp.scalar_dtypes()
    | hnp.array_dtypes(subtype_strategy=hnp.scalar_dtypes(), max_size=3)
    | hnp.nested_dtypes(subtype_strategy=hnp.scalar_dtypes(), max_leaves=4)
)


@given(DTYPES)
def test_any_dtype_is_rebuilt(dtype: np.dtype[Any]) -> None:
    found = decode_value(json.loads(text(dtype)))
    assert found == dtype
    assert (found.itemsize, found.isalignedstruct, found.names) == (dtype.itemsize, dtype.isalignedstruct, dtype.names)


# ---- what typing distinguishes --------------------------------------------------------------------------------------


@given(VALUES, VALUES)
def test_values_that_differ_have_trees_that_differ(one: Any, other: Any) -> None:
    assert (text(one) == text(other)) == same(one, other)


def readonly(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


DIFFERENT: list[tuple[Any, Any]] = [
    (1, True),
    (1, 1.0),
    (1.0, 1 + 0j),
    (0.0, -0.0),
    (1, np.int64(1)),
    (np.rec.array([(1,)], dtype=[("a", "i4")]), np.rec.array([(2,)], dtype=[("a", "i4")])),
    (np.rec.array([(1,)], dtype=[("a", "i4")]), np.array([(1,)], dtype=[("a", "i4")])),
    (np.int32(1), np.int64(1)),
    (np.float64(1.0), 1.0),
    ("1", 1),
    ("a", b"a"),
    ((1, 2), Pair(1, 2)),
    ((1,), 1),
    ((), None),
    (Color.RED, 1),
    (Color.RED, Color.BLUE),
    (Color.RED, Color),
    (np.dtype("<i4"), np.dtype(">i4")),
    (np.dtype("i4"), np.int32),
    (np.dtype([("a", "i4")]), np.dtype([("b", "i4")])),
    (np.dtype([("a", "i1"), ("b", "i4")]), np.dtype([("a", "i1"), ("b", "i4")], align=True)),
    (np.arange(3), np.arange(3.0)),
    (np.arange(3), np.array([0, 1, 3])),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.zeros((2, 3)), np.asfortranarray(np.zeros((2, 3)))),
    (np.zeros(3), readonly(np.zeros(3))),
    (np.array([0.0]), np.array([-0.0])),
    (np.zeros(ADDRESS_LIMIT), np.zeros(ADDRESS_LIMIT + 8)),
    (np.zeros((3, 4))[:, ::2], np.zeros((3, 8))[:, ::4]),
    (np.add, np.subtract),
    (jitted, jitted.py_func),
    (int, float),
    (math.sin, math.cos),
    (types.int64, types.int32),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda value: summary(value))
def test_near_misses_are_told_apart(one: Any, other: Any) -> None:
    assert text(one) != text(other)


def test_an_array_that_numba_takes_by_address_may_change_its_content() -> None:
    one, other = np.zeros(ADDRESS_LIMIT, np.uint8), np.ones(ADDRESS_LIMIT, np.uint8)
    assert not by_address(one)
    assert text(one) != text(other)
    one, other = np.zeros(ADDRESS_LIMIT + 1, np.uint8), np.ones(ADDRESS_LIMIT + 1, np.uint8)
    assert by_address(one)
    assert text(one) == text(other)


def test_the_content_of_a_fortran_array_is_read_in_its_own_order() -> None:
    array = np.asfortranarray([[1, 2], [3, 4]])
    assert text(array) != text(np.asfortranarray([[1, 3], [2, 4]]))


@pytest.mark.parametrize("name", ["rand", "normal", "seed"])
def test_functions_of_the_global_generator(name: str) -> None:
    """``from numpy.random import rand`` is common, and Numba compiles it."""
    assert text(getattr(np.random, name)) == text(getattr(np.random, name))


# ---- functions ------------------------------------------------------------------------------------------------------


def made(source: str, **namespace: Any) -> FunctionType:
    """Define ``f`` in a namespace of its own."""
    names = {"__name__": "some_module", "np": np, **namespace}
    exec(source, names)
    return names["f"]


F = "def f(x, k=1):\n    return g(x) + K + k\n"
G = "def g(x):\n    return x + 1\n"


def g_of(source: str = G) -> FunctionType:
    return made(source.replace("def g", "def f"))


@pytest.mark.parametrize(
    "change",
    [
        lambda: made(F.replace("g(x)", "g(-x)"), g=g_of(), K=1),
        lambda: made(F.replace("k=1", "k=2"), g=g_of(), K=1),
        lambda: made(F, g=g_of(), K=2),
        lambda: made(F, g=g_of(), K=1.0),
        lambda: made(F, g=g_of(G.replace("1", "2")), K=1),
        lambda: made(F, g=g_of()),
    ],
    ids=["code", "default", "global", "type of a global", "function that it calls", "global that is missing"],
)
def test_a_function_run_by_the_compiler_is_followed_into_what_it_reads(change: Callable[[], FunctionType]) -> None:
    base = text(made(F, g=g_of(), K=1))
    assert text(made("\n\n" + F, g=g_of("\n" + G), K=1, unused=1)) == base
    assert text(change()) != base


class Steps:
    """What an overload may consult: attributes in a dictionary and in slots, and a method."""

    __slots__ = ("__dict__", "size")

    def __init__(self, size: Any, **rest: Any) -> None:
        self.size = size
        vars(self).update(rest)


HELD: dict[str, Callable[[], list[Any]]] = {
    "lists": lambda: [[], [1], [1.0], [[1]], (1,), [(1, [2])], deque([1])],
    "dicts": lambda: [{}, {1: 2}, {1: [2]}, {2: 1}, {1: 2, 3: 4}, {3: 4, 1: 2}, MappingProxyType({1: 2}), OrderedDict({1: 2})],
    "sets": lambda: [set(), {1}, {1, 2}, frozenset({1})],
    "objects of the library": lambda: [
        SimpleNamespace(a=1), SimpleNamespace(a=[1]), functools.partial(max, 1), functools.partial(min, 1), re.compile("a"),
        re.compile("b"), range(3), range(4), defaultdict(int, {1: 2}), defaultdict(list, {1: 2}),
    ],
    "instances": lambda: [Steps(1), Steps(2), Steps([1]), Steps(1, a=1), Steps(1, a={2})],
    "methods": lambda: [Steps(1).__init__, Steps(2).__init__],
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_what_a_function_run_by_the_compiler_finds_in_an_object_counts(name: str) -> None:
    found, again = ([text(made("def f(x):\n    return K\n", K=value)) for value in HELD[name]()] for _ in range(2))
    assert len(set(found)) == len(found)
    assert found == again


def test_an_object_that_holds_itself_comes_to_an_end() -> None:
    held: list[Any] = [1]
    held.append(held)
    assert "recursive" in text(made("def f(x):\n    return K\n", K=held))


def test_an_object_that_cannot_be_read_is_refused() -> None:
    class Odd:
        __slots__ = ("held",)

        def __getattribute__(self, name: str) -> Any:
            if name == "__class__":
                return Odd
            raise ValueError(name)

    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    for value in (Odd(), nested):
        with pytest.raises(NotRelocatable, match="has no encoding"):
            text(made("def f(x):\n    return K\n", K=value))


def test_state_that_python_does_not_see_is_refused() -> None:
    class Own(random.Random):
        pass

    with pytest.raises(NotRelocatable, match="Own, which has a state that Python does not see"):
        text(made("def f(x):\n    return K\n", K=Own()))


def test_functions_that_call_each_other_come_to_an_end() -> None:
    namespace: dict[str, Any] = {"__name__": "some_module"}
    exec("def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\n", namespace)
    assert "recursive" in text(namespace["f"])


def test_a_callee_is_identified_by_its_own_definition_only() -> None:
    """What a callee reads is an edge of the callee; inlined into its caller, it is read by the caller."""

    def pair(k: int, inline: str) -> Any:
        return njit(inline=inline)(made("def f(x):\n    return x + K\n", K=k))

    assert text(pair(1, "never")) == text(pair(2, "never"))
    assert text(pair(1, "always")) != text(pair(2, "always"))


def test_options_are_part_of_the_definition() -> None:
    def f(x):
        return x

    found = {
        text(njit(**options)(f))
        for options in [{}, {"fastmath": True}, {"parallel": True}, {"error_model": "numpy"}, {"fastmath": {"nnan"}}]
    }
    assert len(found) == 5
    assert text(njit(fastmath={"nnan", "nsz", "arcp"})(f)) == text(njit(fastmath={"arcp", "nsz", "nnan"})(f))


def test_closures_of_one_factory() -> None:
    def factory(k):
        def f(x):
            return x + k

        return f

    assert text(factory(1)) == text(factory(1))
    assert text(factory(1)) != text(factory(2)) != text(factory(2.0))


# ---- what is refused ------------------------------------------------------------------------------------------------


class Subclass(np.ndarray):
    pass


class OddTuple(tuple):
    __slots__ = ()


class OddInt(int):
    pass


class OddStr(str):
    __slots__ = ()


def refused() -> dict[str, Any]:
    return {
        "object": object(),
        "list": [1],
        "dict": {"a": 1},
        "set": {1},
        "bytearray": bytearray(b"a"),
        "instance": Boom(),
        "array of objects": np.array([object()]),
        "dtype of objects": np.dtype("O"),
        "subclass of an array": np.zeros(2).view(Subclass),
        "subclass of a tuple": OddTuple((1,)),
        "inside of a tuple": (1, [2]),
    }


@pytest.mark.parametrize("name", refused())
def test_what_has_no_rule_is_refused(name: str) -> None:
    with pytest.raises(NotRelocatable):
        value_tree(refused()[name])


def local_class(step: int) -> type:
    class Local:
        def moved(self, x: int) -> int:
            return x + step

    return Local


def test_a_local_class_is_its_definition() -> None:
    assert text(local_class(1)) == text(local_class(1)) != text(local_class(2))
    with pytest.raises(NotRelocatable):
        decode_value(value_tree(local_class(1)))


@pytest.mark.parametrize("value", [OddInt(1), OddStr("a")], ids=repr)
def test_subclasses_of_scalars_are_refused_or_rebuilt(value: Any) -> None:
    try:
        tree = value_tree(value)
    except NotRelocatable:
        return
    try:
        found = decode_value(tree)
    except NotRelocatable:
        return  # it can be compared, and says so where it would have to be rebuilt
    assert same(value, found)


# ---- stable bytes ---------------------------------------------------------------------------------------------------


def test_equal_bytes_under_any_hash_seed() -> None:
    """This file, run as a script, prints the text of every value."""
    runs = {
        subprocess.run(
            [sys.executable, __file__],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (printed,) = runs
    assert b" at 0x" not in printed


class Talkative:
    def __repr__(self) -> str:
        raise AssertionError("a description runs no code of others")


def test_what_is_described_is_not_asked() -> None:
    numbers = typed.Dict.empty(types.int64, types.int64)  # which would compile
    assert summary(numbers) == "an object of numba.typed.typeddict.Dict"
    assert summary([numbers]) == summary({1: Talkative()}).replace("dict", "list") == "an object of builtins.list"
    assert summary((1, Color.RED, Pair(2, "b"))) == "(1, <Color.RED: 1>, Pair(a=2, b='b'))"
    with pytest.raises(NotRelocatable, match="Dict has no module"):
        value_tree(numbers)


if __name__ == "__main__":
    for name, value in {**REBUILT, **COMPARED}.items():
        print(ascii(name), digest(value_tree(value)), text(value))
