"""The codec of types is closed: what is listed survives the way into a file and back, the rest is refused."""

from __future__ import annotations

import array
import ctypes
import enum
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import njit, typeof
from numba.core import types
from numba.core.registry import cpu_target
from numba.experimental import jitclass
from numba.np import numpy_support

from aotnb.bridge import typecodec
from aotnb.bridge.typecodec import TypeDecoder, encode_type, encode_types
from aotnb.bridge.typeparts import walk
from aotnb.core.digest import canonical
from aotnb.errors import NotRelocatable


class Point(NamedTuple):
    x: float
    y: float


Pair = NamedTuple("NotPair", [("x", str), ("y", int)])  # noqa: UP014  a class statement has one name


class Mixed(NamedTuple):
    name: str
    size: int


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Bit(enum.IntEnum):
    LOW = 0
    HIGH = 1


class Boom(Exception):
    pass


@njit
def generator() -> Iterator[int]:
    yield 1


@njit
def jitted(x: Any) -> Any:
    return x


@jitclass([("x", types.int64)])
class Jitted:
    def __init__(self) -> None:
        self.x = 1


NODE = types.deferred_type()


@jitclass([("next", types.Optional(NODE))])
class Node:
    def __init__(self) -> None:
        self.next = None


NODE.define(Node.class_type.instance_type)


def function_type(function: Any) -> types.Type:
    cpu_target.typing_context.refresh()  # knows no functions before
    return cpu_target.typing_context.resolve_value_type(function)


RECORD = np.dtype([("a", "i4"), ("b", "f8", (2, 3)), ("c", "S3"), ("d", [("e", "u1")])])
PADDED = np.dtype({"names": ["x", "y"], "formats": ["i1", "f8"], "offsets": [3, 16], "itemsize": 40})
TITLED = np.dtype([(("a title", "a"), "i4"), ("b", "f8")])

RELOCATABLE: dict[str, types.Type] = {
    **{str(typ): typ for typ in [types.int8, types.uint64, types.intp, types.float32, types.complex64, types.boolean]},
    "none": types.none,
    "ellipsis": types.ellipsis,
    "str": types.unicode_type,
    "voidptr": types.voidptr,
    "pyobject": types.pyobject,
    "undefined": types.undefined,
    "any": types.Any,
    "range": types.range_state64_type,
    "array C": types.float64[::1],
    "array F": types.Array(types.int32, 2, "F"),
    "array A, read-only": types.Array(types.int32, 3, "A", readonly=True),
    "array, unaligned": types.Array(types.int32, 1, "C", aligned=False),
    "array of records": typeof(np.zeros(1, RECORD)),
    "nested array": types.NestedArray(types.int16, (2, 3)),
    "bytes": types.Bytes(types.uint8, 1, "C"),
    "record": numpy_support.from_dtype(RECORD),
    "record, padded": numpy_support.from_dtype(PADDED),
    "record, aligned": numpy_support.from_dtype(np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "record with titles": numpy_support.from_dtype(TITLED),
    "S5": types.CharSeq(5),
    "U5": types.UnicodeCharSeq(5),
    "datetime": types.NPDatetime("D"),
    "datetime of no unit": types.NPDatetime(""),
    "timedelta": types.NPTimedelta("ns"),
    "uniform tuple": types.UniTuple(types.int64, 3),
    "empty tuple": types.Tuple(()),
    "tuple": types.Tuple([types.int64, types.unicode_type, types.UniTuple(types.float32, 2)]),
    "*args": types.StarArgTuple([types.int64, types.float64]),
    "uniform *args": types.StarArgUniTuple(types.int64, 2),
    "uniform named tuple": typeof(Point(1.0, 2.0)),
    "named tuple": typeof(Mixed("a", 1)),
    "named tuple class": typeof(Point),
    "named tuple that its module knows by another name": typeof(Pair("a", 1)),
    "list": types.List(types.int64),
    "reflected list": types.List(types.int64, reflected=True),
    "set": types.Set(types.int64, reflected=True),
    "typed list": types.ListType(types.unicode_type),
    "typed dict": types.DictType(types.unicode_type, types.ListType(types.int64)),
    "typed set": types.SetType(types.unicode_type),
    "polynomial": typeof(np.polynomial.Polynomial([1.0, 2.0])),
    "polynomial of its coefficients": types.PolynomialType(types.int64[::1]),
    "optional": types.Optional(types.float64[:]),
    **{f"omitted {value!r}": types.Omitted(value) for value in [None, 1, 1.0, True, -0.0, "a", (1, 2.0)]},
    **{f"literal {value!r}": types.literal(value) for value in [1, -(2**40), True, False, "a", "\n\u1234\x00'\""]},
    "literal slice": types.literal(slice(1, None, 2)),
    "slice": types.slice2_type,
    "slice with step": types.slice3_type,
    "pointer": types.CPointer(types.CPointer(types.int8)),
    "number class": types.NumberClass(types.int64),
    "type reference": types.TypeRef(types.ListType(types.int64)),
    "dtype": types.DType(types.float32),
    "dtype of a record": types.DType(numpy_support.from_dtype(RECORD)),
    "enum class": typeof(Color),
    "int enum class": typeof(Bit),
    "enum": typeof(Color.RED),
    "int enum": typeof(Bit.HIGH),
    "exception class": types.ExceptionClass(Boom),
    "exception": types.ExceptionInstance(ValueError),
    "range iterator": types.range_iter32_type,
    "list with initial value": types.List(types.int64, initial_value=[1, 2]),
    "dict with initial value": types.DictType(types.unicode_type, types.int64, {"a": 1}),
    "managed memory": types.MemInfoPointer(types.voidptr),
    "opaque": types.ffi_forced_object,
    "bytearray": typeof(bytearray(b"a")),
    "memoryview": typeof(memoryview(b"a")),
    "buffer of an array.array": typeof(array.array("d", [1.0])),
    "C function": typeof(ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int32)()),
    "external function": types.ExternalFunction("sin", types.float64(types.float64)),
    "literal list": types.LiteralList([types.literal(1), types.unicode_type]),
    "dict of literals": types.LiteralStrKeyDict(
        {types.literal("a"): types.int64, types.literal("b"): types.literal(2)}, {"a": 0, "b": 1}
    ),
    "pair": types.Pair(types.int64, types.boolean),
    "str iterator": types.UnicodeIteratorType(types.unicode_type),
    "tuple iterator": types.UniTuple(types.int64, 3).iterator_type,
    "list iterator": types.List(types.int64).iterator_type,
    "set iterator": types.Set(types.int64).iterator_type,
    "array iterator": types.float64[:, :].iterator_type,
    "enumerate": types.EnumerateType(types.float64[:]),
    "zip": types.ZipType([types.float64[:], types.List(types.int64)]),
    "zip of nothing": types.ZipType([]),
    "flat iterator": types.NumpyFlatType(types.float64[:, ::1]),
    "ndenumerate": types.NumpyNdEnumerateType(types.float64[:, ::1]),
    "nditer": types.NumpyNdIterType([types.float64[:, ::1], types.int64]),
    "ndindex": types.NumpyNdIndexType(2),
    "typed list, iterable": types.ListTypeIterableType(types.ListType(types.int64)),
    "typed list, iterator": types.ListTypeIterableType(types.ListType(types.int64)).iterator_type,
    **{
        f"typed dict, {cls.__name__}": cls(types.DictType(types.unicode_type, types.int64))
        for cls in (types.DictItemsIterableType, types.DictKeysIterableType, types.DictValuesIterableType)
    },
    "typed dict, iterator": types.DictKeysIterableType(types.DictType(types.unicode_type, types.int64)).iterator_type,
    "typed set, iterable": types.SetIterableType(types.SetType(types.int64)),
    "typed set, iterator": types.SetType(types.int64).iterator_type,
    "first-class function": types.FunctionType(types.int64(types.float64, types.unicode_type)),
}

LIVE: dict[str, types.Type] = {
    "dispatcher": typeof(jitted),
    "function": function_type(math.sin),
    "module": types.Module(math),
    "random generator": typeof(np.random.default_rng(1)),
    "generator of a function": types.Generator(generator.py_func, types.int64, (), (), has_finalizer=False),
    "jitclass": Jitted.class_type,
    "instance of a jitclass": Jitted.class_type.instance_type,
    "deferred": NODE,
    "bit generator": typeof(np.random.default_rng(1).bit_generator),
}


# ---- round trip -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typ",
    [pytest.param(typ, id=name) for name, typ in RELOCATABLE.items()],
)
def test_there_and_back(typ: types.Type) -> None:
    text = canonical(encode_type(typ))
    found = TypeDecoder().decode(json.loads(text))
    assert type(found) is type(typ)
    assert found == typ
    assert found.key == typ.key
    assert found.name == typ.name
    assert canonical(encode_type(found)) == text


@pytest.mark.parametrize("typ", LIVE.values(), ids=LIVE)
def test_a_type_of_a_live_object_is_bound_to_the_argument_at_hand(typ: types.Type) -> None:
    """Such a type holds an address: only the type of the live argument can stand for it."""
    tree = json.loads(canonical(encode_type(typ)))
    with pytest.raises(NotRelocatable, match="to a live argument"):
        TypeDecoder().decode(tree)
    assert TypeDecoder({canonical(tree): typ}).decode(tree) is typ
    assert TypeDecoder({canonical(tree): typ}).decode(["listtype", tree]).item_type is typ


def test_every_listed_class_is_tested() -> None:
    tested = {type(typ) for typ in [*RELOCATABLE.values(), *LIVE.values()]}
    assert {cls.__name__ for cls in typecodec._ENCODERS if cls not in tested} == set()


def test_every_type_with_a_public_name_finds_itself() -> None:
    untestable = {type(typ) for typ in [*LIVE.values(), types.range_iter32_type]}
    for name, typ in vars(types).items():
        if type(typ) in typecodec._ENCODERS and type(typ) not in untestable:
            assert TypeDecoder().decode(encode_type(typ)) == typ, name


def test_types_that_differ_have_texts_that_differ() -> None:
    everything = [*RELOCATABLE.values(), *LIVE.values()]
    texts = [canonical(encode_type(typ)) for typ in everything]
    for (one, one_text), (other, other_text) in ((a, b) for a in zip(everything, texts) for b in zip(everything, texts)):
        assert (one_text == other_text) == (one is other or (one == other and type(one) is type(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (types.Omitted(1), types.Omitted(True)),
        (types.Omitted(1), types.Omitted(1.0)),
        (types.literal(1), types.literal(True)),
        (types.literal("1"), types.literal(1)),
        (types.List(types.int64), types.List(types.int64, reflected=True)),
        (types.int64[:], types.Array(types.int64, 1, "A", readonly=True)),
        (types.int64[:], types.Array(types.int64, 1, "A", aligned=False)),
        (types.NPDatetime("D"), types.NPTimedelta("D")),
        (types.ExceptionClass(ValueError), types.ExceptionInstance(ValueError)),
    ],
    ids=str,
)
def test_near_misses_are_told_apart(one: types.Type, other: types.Type) -> None:
    assert canonical(encode_type(one)) != canonical(encode_type(other))


# ---- what is refused ------------------------------------------------------------------------------------------------


class OfAnotherLibrary(types.Type):
    """A type that an extension of Numba brings along."""

    def __init__(self, *inner: types.Type) -> None:
        self.inner, self.options = inner, {"exact": True}
        super().__init__("int64")  # a name that is taken: names prove nothing

    @property
    def key(self) -> Any:
        return self.inner


class Subclass(types.Array):
    """A subclass may mean anything; it is not its base class."""


class Unique(types.Type):
    """A type of which no second process has an equal one."""

    def __init__(self) -> None:
        super().__init__("unique")

    @property
    def key(self) -> Any:
        return id(self)


def test_types_of_other_libraries_are_their_class_and_attributes() -> None:
    own = OfAnotherLibrary(types.int32, typeof((1, 2.5)))
    for typ in (own, OfAnotherLibrary(), Subclass(types.int64, 1, "C"), types.List(types.Tuple([types.int64, own]))):
        tree = encode_type(typ)
        assert TypeDecoder().decode(json.loads(canonical(tree))) is typ
    trees = [encode_type(typ) for typ in (own, OfAnotherLibrary(), types.int64, types.Array(types.int64, 1, "C"))]
    assert len(set(map(canonical, trees))) == len(trees)


class Linked(types.StructRef):
    """A struct with a field of its own type, as Numba's tests have it."""

    def preprocess_fields(self, fields: Any) -> Any:
        self.name = f"Linked#{id(self)}"  # for Optional
        return (("value", types.int64), ("parent", types.Optional(self)))


def test_a_type_that_holds_itself_is_walked_once() -> None:
    typ = Linked([("value", types.Any)])
    assert [steps for steps, _ in walk(typ)] == [
        [], ["field:parent"], ["field:parent", "type"], ["field:value"]
    ]  # fmt: skip


class Circular(types.Type):
    """A type that holds itself."""

    def __init__(self) -> None:
        self.known = {"self": self}
        super().__init__("circular")


def refused() -> dict[str, types.Type]:
    class Local(NamedTuple):
        a: int
        b: int

    return {
        "class that is not listed": types.Dummy("somebody"),
        "type that no other equals": Unique(),
        "type that holds itself": Circular(),
        "struct that holds itself": Linked([("value", types.Any)]),
        "class without a name": type("Local", (types.Type,), {"__module__": __name__})("x"),
        "deferred, not defined yet": types.deferred_type(),
        "opaque of no name": types.Opaque("somebody's"),
        "local named tuple": typeof(Local(1, 2)),
        "inside of another": types.List(types.Tuple([types.int64, Unique()])),
        "omitted value": types.Omitted(object()),
    }


@pytest.mark.parametrize("name", refused())
def test_what_is_not_listed_is_refused(name: str) -> None:
    with pytest.raises(NotRelocatable):
        encode_type(refused()[name])


def test_the_refusal_names_type_and_class() -> None:
    with pytest.raises(NotRelocatable, match=r"type somebody of class numba.core.types.abstract.Dummy has no encoding"):
        encode_type(types.Dummy("somebody"))


@pytest.mark.parametrize("tree", [["nonsense"], ["list", ["nonsense"], False, None], ["dispatcher", ["m", "f", "0"]]])
def test_an_unknown_tree_is_refused(tree: Any) -> None:
    with pytest.raises(NotRelocatable):
        TypeDecoder().decode(tree)


# ---- classes by name ------------------------------------------------------------------------------------------------


def rebound(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    value.__module__, value.__qualname__ = __name__, name
    monkeypatch.setattr(sys.modules[__name__], name, value)


def test_a_named_tuple_with_other_fields_is_another_type(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = encode_type(typeof(Point(1.0, 2.0)))
    rebound("Point", NamedTuple("Point", [("x", int), ("y", int), ("z", int)]), monkeypatch)
    with pytest.raises(LookupError, match=r"fields of .*Point have changed"):
        TypeDecoder().decode(tree)


def test_an_enum_with_other_members_is_another_type(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = encode_type(typeof(Color.RED))
    rebound("Color", enum.Enum("Color", {"RED": 1, "BLUE": 3}), monkeypatch)
    with pytest.raises(LookupError, match=r"members of .*Color have changed"):
        TypeDecoder().decode(tree)


def test_a_class_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = encode_type(types.ExceptionClass(Boom))
    monkeypatch.delattr(sys.modules[__name__], "Boom")
    with pytest.raises(LookupError, match="has no Boom"):
        TypeDecoder().decode(tree)


def test_the_live_class_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """``except Boom`` must match what compiled code raises, after the cell that defines Boom was run again."""
    tree = encode_type(types.ExceptionClass(Boom))
    new = type("Boom", (Exception,), {})
    rebound("Boom", new, monkeypatch)
    assert TypeDecoder().decode(tree).exc_class is new


# ---- stable bytes ---------------------------------------------------------------------------------------------------


def test_equal_bytes_under_any_hash_seed() -> None:
    """This file, run as a script, prints the text of every type."""
    runs = {
        subprocess.run(
            [sys.executable, __file__],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (text,) = runs
    assert len(text.splitlines()) == 1
    assert b"0x" not in text


if __name__ == "__main__":
    print(canonical(encode_types([*RELOCATABLE.values(), *LIVE.values()])))
