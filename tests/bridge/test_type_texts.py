"""Types as text: readable, and read back as the same type."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit, types

from aotnb.bridge.typecodec import TypeDecoder, encode_type
from aotnb.core.text import parse_type, root_text, type_text

TYPES = [
    (types.int64, "int64"),
    (types.none, "none"),
    (types.voidptr, 'named("void*")'),
    (types.float64[:, ::1], "array(float64, 2d, C)"),
    (types.Array(types.float32, 1, "A", readonly=True), "array(float32, 1d, A, readonly)"),
    (types.Array(types.int8, 3, "F", aligned=False), "array(int8, 3d, F, nonaligned)"),
    (types.UniTuple(types.int64, 3), "unituple(int64, 3)"),
    (types.Tuple((types.int64, types.boolean)), "tuple([int64, bool])"),
    (types.Tuple(()), "tuple([])"),
    (types.List(types.float64, reflected=True), "list(float64, true, null)"),
    (types.ListType(types.unicode_type), "listtype(unicode_type)"),
    (types.Optional(types.int32), "optional(int32)"),
    (types.literal(3), "literal(3)"),
    (types.literal("it's"), 'literal("it\'s")'),
    (types.literal(True), "literal(true)"),
    (types.Omitted(None), "omitted(null)"),
    (types.Omitted(-2.5), "omitted(-2.5)"),
    (types.Omitted(1e300), "omitted(1e+300)"),
    (types.Omitted(float("nan")), None),
    (types.Omitted((1, "a")), None),
    (types.NPDatetime("ns"), 'datetime("ns")'),
    (types.CharSeq(5), "charseq(5)"),
    (types.NumberClass(types.int64), "numberclass(int64)"),
    (types.slice3_type, "slice(3)"),
]


@pytest.mark.parametrize(("typ", "text"), TYPES, ids=lambda value: str(value))
def test_a_type_is_read_back(typ: types.Type, text: str | None) -> None:
    tree = encode_type(typ)
    if text is not None:
        assert type_text(tree) == text
    assert parse_type(type_text(tree)) == tree
    decoded = TypeDecoder().decode(parse_type(type_text(tree)))
    assert encode_type(decoded) == tree


def test_records_are_read_back() -> None:
    dtype = np.dtype([("a", "f8"), ("b", "i4", (2,))])
    from numba import from_dtype

    tree = encode_type(types.Array(from_dtype(dtype), 1, "C"))
    assert parse_type(type_text(tree)) == tree


def test_a_dispatcher_is_named_without_its_definition() -> None:
    @njit
    def inner(x: int) -> int:
        return x

    tree = encode_type(types.Dispatcher(inner))
    text = type_text(tree)
    name = f"{inner.py_func.__module__}:{inner.py_func.__qualname__}"
    assert text == f'dispatcher("{name}")'
    assert parse_type(text) == ["dispatcher", [*name.split(":"), None]]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.tuples(st.from_regex(r"[a-z]{1,3}", fullmatch=True), inner).map(list)
)


@given(TREES)
def test_every_tree_is_read_back(tree: object) -> None:
    wrapped = ["kind", tree]
    assert parse_type(type_text(wrapped)) == wrapped


@given(st.text(max_size=30))
def test_any_other_text_is_refused_in_one_sentence(text: str) -> None:
    try:
        tree = parse_type(text)
    except ValueError as error:
        assert "\n" not in str(error) or "\n" in text
    else:
        assert parse_type(type_text(tree)) == tree


def test_roots_in_a_few_words() -> None:
    assert root_text("constant", ["float", "2.5"]) == "2.5"
    assert root_text("path", ["path", "arg", "own", "1", [0]]) == "argument 2[0]"
    assert root_text("edge", ["edge", "attribute", "lib", "K", "1f", "3"]) == "lib.K = 3"
    assert len(root_text("constant", ["str", repr("x" * 200)])) == 60
