"""Roots of compiled code: constants of environments and pickled objects, encoded for the image and bound at load."""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

import llvmlite.ir as llvm_ir
import numba
from numba.core import serialize

from aotnb.bridge.extensions import cells_of_overloads, overload_cell, overload_place
from aotnb.bridge.loops import ServedLoop, loop_const
from aotnb.bridge.names import name_tree
from aotnb.bridge.typecodec import TypeDecoder
from aotnb.bridge.values import can_rebuild, decode_value, is_fixed_module, live_ids, value_tree
from aotnb.core.digest import line_at, line_index
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

Tree = Any

_LABEL = b"bound by aotnb to a live object"
_PLACE = re.compile(r'File "[^"\n]*", line \d+')
_EMPTY = object()  # stands for what an empty closure cell holds


def environment_consts(cres: Any, func: FunctionType) -> list[Tree]:
    """Encode the Python objects that the code of *func* reads from its environment, in order."""
    return [loop_const(value, cres) or _const_root(value, func) for value in cres.environment.consts or ()]


def _const_root(value: Any, func: FunctionType) -> Tree:
    """Encode a constant by its content, or else by the place in *func* where a later process finds its own."""
    place = _place_in(func, value)
    if place is None:
        return value_tree(value)
    try:
        tree = value_tree(value)
        return tree if can_rebuild(tree) else place
    except NotRelocatable:
        return place


def _place_in(func: FunctionType, value: Any) -> Tree | None:
    """Return where *func* holds *value* itself: in closure cells, or among its constants as the code of an inner function."""
    names = [name for name in func.__code__.co_freevars if _cell_content(func, name) is value]
    if names:
        return ["cell", names, _place_in_overload(value)]
    return next(
        (["code", n] for n, const in enumerate(func.__code__.co_consts) if const is value and isinstance(const, CodeType)), None
    )


def _place_in_overload(value: Any) -> Tree | None:
    """Return where an overload function holds *value*, which its implementations, that no name leads to, have from there."""
    held = (overload_place(template, name) for template, name, content in cells_of_overloads() if content is value)
    return next(held, None)


def _cell_content(func: FunctionType, name: str) -> Any:
    try:
        return (func.__closure__ or ())[func.__code__.co_freevars.index(name)].cell_contents
    except ValueError:  # the cell is still empty
        return _EMPTY


def bind_consts(
    trees: Iterable[Tree], func: Any, scope: Callable[[], Mapping[str, Any]], key: str
) -> tuple[list[Any], tuple[int, ...]]:
    """Return the constants that :func:`environment_consts` encoded, and the ids of the live objects that they are bound to.

    *scope* returns the live types that no type can be made in place of; *key* is that of the question which the code answers.
    """
    consts: list[Any] = []
    ids: list[int] = []
    for tree in trees:
        if tree[0] == "loop":
            _, number, arg_count = tree
            consts.append(ServedLoop(func, number, arg_count, key))
            continue
        consts.append(_bound_const(tree, func, scope))
        ids += [id(consts[-1])] if tree[0] in ("cell", "code") else live_ids(consts[-1])
    return consts, tuple(ids)


def _bound_const(tree: Tree, func: Any, scope: Callable[[], Mapping[str, Any]]) -> Any:
    if tree[0] not in ("cell", "code"):
        return _decode(tree, scope)
    if func is None and tree[0] == "cell" and tree[2] is not None and (value := overload_cell(*tree[2])) is not None:
        return value
    if func is None:
        raise NotRelocatable("an object of a closure that no name leads to")
    if tree[0] == "code":
        return func.__code__.co_consts[tree[1]]
    found = [_cell_content(func, name) for name in tree[1]]
    if any(value is _EMPTY or value is not found[0] for value in found):
        raise NotRelocatable(f"the closure cells {', '.join(tree[1])} of {func.__qualname__} do not hold one object any more")
    return found[0]


def _decode(tree: Tree, scope: Callable[[], Mapping[str, Any]]) -> Any:
    return TypeDecoder(scope()).decode(tree[1]) if tree[0] == "type" else decode_value(tree)


def object_root(obj: Any, owners: Iterable[Any]) -> tuple[Any, Tree]:
    """Encode an object that Numba pickled into the code; return the instance that it belongs to and the tree."""
    owners = list(owners)
    if _is_exception_info(obj):
        exc, args, location = obj
        owner, place = _location(location, owners)
        return owner, ["exception", *_raised(exc, args), place]
    if not owners:
        raise NotRelocatable("a wrapper holds a pickled object")
    tree = value_tree(obj)
    if not can_rebuild(tree):  # it can be compared, but not found again
        name_tree(obj)
        raise NotRelocatable(refusal("value", type=f"{type(obj).__module__}.{type(obj).__qualname__}"))
    return owners[0], ["value", tree]


def object_content(obj: Any) -> Tree:
    """Return what tells code that uses this pickled object from code that uses another one.

    Where an exception is raised does not: it moves with the source.
    """
    try:
        if _is_exception_info(obj):
            exc, args, _ = obj
            return _raised(exc, None if args is None else tuple(map(_without_place, args)))
        return value_tree(obj)
    except NotRelocatable:  # told where the object is to be saved
        return None


def _is_exception_info(obj: Any) -> bool:
    return (
        isinstance(obj, tuple)
        and len(obj) == 3
        and (obj[0] is None or (isinstance(obj[0], type) and issubclass(obj[0], BaseException)))
        and (obj[1] is None or isinstance(obj[1], tuple))
        and (obj[2] is None or isinstance(obj[2], tuple))  # the parts of a slice are three as well
    )


def _without_place(arg: Any) -> Any:
    """Return an argument of an exception without the place in the source that Numba writes into some messages."""
    return _PLACE.sub("", arg) if isinstance(arg, str) else arg


def _raised(exc: Any, args: tuple[Any, ...] | None) -> list[Tree]:
    """Encode the class and the arguments of an exception."""
    arguments = None if args is None else [_argument(arg) for arg in args]
    return [None if exc is None else value_tree(exc), arguments]


def _argument(arg: Any) -> Tree:
    if isinstance(arg, str) and arg.startswith("missing Environment: "):  # what follows has the number of a compilation
        arg = "missing Environment"
    return ["runtime"] if isinstance(arg, llvm_ir.Value) else value_tree(arg)


def _location(location: Any, owners: list[Any]) -> tuple[Any, Tree]:
    """Encode a source location relative to the function it lies in, so that moving the function does not matter."""
    if not owners:
        raise NotRelocatable("a wrapper raises an exception of its own")
    if location is None:
        return owners[0], None
    name, filename, line = location
    for owner in map(_outermost, owners):
        code = getattr(owner.func, "__code__", None)
        if code is not None and code.co_filename == filename and owner.kind != "overload" and owner.dispatcher is not None:
            return owner, ["own", name, line_index(code, line)]
    root = os.path.join(os.path.dirname(numba.__file__), "")
    if filename.startswith(root):
        return owners[0], ["numba", name, os.path.relpath(filename, root), line]
    module = owners[0].module
    if getattr(sys.modules.get(module), "__file__", None) == filename and not is_fixed_module(module):
        return owners[0], ["module", name, module, line]
    return owners[0], ["file", name, os.path.basename(filename), line]


def _outermost(owner: Any) -> Any:
    """Return the function that inner ones lie in: its code has all of their lines."""
    while owner.maker is not None:
        owner = owner.maker
    return owner


def bind_object(tree: Tree, func: Any, scope: Callable[[], Mapping[str, Any]]) -> tuple[Any, bytes]:
    """Return the live object of a root and its pickle; *func* is the function that the code belongs to, if there is one.

    *scope* returns the live types that no type can be made in place of.

    Numba's unpickling finds the live object by the address of the pickle, so the pickle itself is made only where code
    completes an exception at run time.
    """
    if tree[0] == "value":
        return _decode(tree[1], scope), _LABEL
    _, exc, args, place = tree
    arguments = None if args is None else tuple(_bind_argument(arg) for arg in args)
    obj = (None if exc is None else decode_value(exc), arguments, _bind_location(place, func))
    if args is None or ["runtime"] not in args:
        return obj, _LABEL
    try:
        return obj, serialize.dumps(obj)
    except (pickle.PicklingError, TypeError) as error:
        raise NotRelocatable(f"an object of the code cannot be pickled: {error}") from None


def _bind_argument(tree: Tree) -> Any:
    if tree == ["runtime"]:
        return llvm_ir.Constant(llvm_ir.IntType(8).as_pointer(), None)
    return decode_value(tree)


def _bind_location(place: Tree, func: Any) -> Any:
    if place is None:
        return None
    kind, name, *rest = place
    if kind == "own" and func is not None:
        code = func.__code__
        return name, code.co_filename, line_at(code, rest[0])
    if kind == "numba":
        return name, os.path.join(os.path.dirname(numba.__file__), rest[0]), rest[1]
    if kind == "module":
        return name, getattr(sys.modules.get(rest[0]), "__file__", rest[0]), rest[1]
    return name, str(rest[0]), int(rest[-1])
