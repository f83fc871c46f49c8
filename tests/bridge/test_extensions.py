"""What is registered from outside Numba has one digest by name: equal for equal definitions, another one for each edit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from aotnb.bridge.overload_sets import overload_set

NAME = "made_extension"
SOURCE = """
from numba.core import cgutils, types
from numba.extending import (
    box, lower_builtin, lower_cast, make_attribute_wrapper, models, overload_method, register_model, type_callable, unbox,
)
SCALE = 2
class Length:
    pass
class LengthType(types.Type):
    def __init__(self):
        super().__init__("Length")
    def unit(self):
        return types.int64
@register_model(LengthType)
class LengthModel(models.StructModel):
    def __init__(self, dmm, fe_type):
        models.StructModel.__init__(self, dmm, fe_type, [("value", fe_type.unit())])
make_attribute_wrapper(LengthType, "value", "value")
@type_callable(Length)
def type_length(context):
    return lambda value: LengthType()
@lower_builtin(Length, types.Integer)
def make_length(context, builder, sig, args):
    return args[0]
@lower_cast(LengthType, types.int64)
def to_integer(context, builder, fromty, toty, val):
    return helper(builder, val)
def helper(builder, val):
    return builder.mul(val, SCALE)
@box(LengthType)
def box_length(typ, value, c):
    return c.pyapi.long_from_longlong(value)
@unbox(LengthType)
def unbox_length(typ, obj, c):
    return c.pyapi.long_as_longlong(obj)
"""
TYPE = f"type {NAME}:LengthType"
CONSTRUCTOR = f"{NAME}.Length"


def digests(source: str) -> dict[str, str | None]:
    module = ModuleType(NAME)
    sys.modules[NAME] = module
    exec(source, vars(module))
    return {name: overload_set(name) for name in (TYPE, CONSTRUCTOR)}


@pytest.fixture(scope="module")
def before() -> Iterator[dict[str, str | None]]:
    yield digests(SOURCE)
    del sys.modules[NAME]


def test_equal_definitions_have_equal_digests(before: dict[str, str | None]) -> None:
    assert None not in before.values()
    assert digests("\n# moved\n" + SOURCE) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return types.int64\n", "return types.int32\n"),
        ('[("value", fe_type.unit())]', '[("value", fe_type.unit()), ("spare", types.int64)]'),
        ('"value", "value")', '"value", "length")'),
        ("builder.mul(val, SCALE)", "builder.add(val, SCALE)"),
        ("SCALE = 2", "SCALE = 3"),
        ("long_from_longlong", "long_from_ulonglong"),
        ("long_as_longlong", "long_as_ulonglong"),
    ],
)
def test_an_edit_of_what_handles_a_type_is_seen(before: dict[str, str | None], old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert digests(SOURCE.replace(old, new))[TYPE] != before[TYPE]


def test_an_edit_of_a_constructor_is_seen(before: dict[str, str | None]) -> None:
    assert digests(SOURCE.replace("return args[0]", "return builder.neg(args[0])"))[CONSTRUCTOR] != before[CONSTRUCTOR]
    assert digests(SOURCE) == before  # what is for the class that had the name before does not count


def test_what_nobody_extended_has_none() -> None:
    assert overload_set("math.nothing_of_this_name") is None
    assert overload_set("type no_such_module:Type") is None
