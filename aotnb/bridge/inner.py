"""Functions that the compiler makes of code inside another one: found there again, and made again, in a later process."""

from __future__ import annotations

from types import CellType, CodeType, FunctionType
from typing import Any

import numba

from aotnb.bridge.values import can_rebuild, decode_value, value_tree
from aotnb.core.digest import canonical
from aotnb.errors import NotRelocatable

Tree = Any

# by the names that code finds, the code, and the constants with it: what is made is kept, code holds its address
_made: dict[tuple[int, int, str], Any] = {}


def inner_tree(func: FunctionType, inner: FunctionType) -> Tree | None:
    """Return the recipe by which a later process makes *inner* of the code of its *func*; None if it cannot."""
    path = _path_to(inner.__code__, func.__code__)
    if path is None:
        return None
    try:
        cells = [value_tree(cell.cell_contents) for cell in inner.__closure__ or ()]
        defaults = [value_tree(value) for value in inner.__defaults__ or ()]
    except NotRelocatable:
        return None
    return [inner.__qualname__, path, cells, defaults] if all(map(can_rebuild, (*cells, *defaults))) else None


def inner_dispatcher(func: FunctionType, tree: Tree) -> Any:
    """Return the dispatcher of the function inside *func* that *tree* describes: the same one each time."""
    qualname, path, cells, defaults = tree
    code = func.__code__
    for index in path:
        code = code.co_consts[index]
    key = (id(func.__globals__), id(code), canonical(tree))
    if key not in _made:
        closure = tuple(CellType(decode_value(cell)) for cell in cells)
        made = FunctionType(code, func.__globals__, code.co_name, tuple(map(decode_value, defaults)) or None, closure)
        made.__qualname__ = qualname
        _made[key] = numba.njit(made)
    return _made[key]


def _path_to(wanted: CodeType, code: CodeType) -> list[int] | None:
    """Return the positions among the constants that lead from *code* to the code *wanted* inside it."""
    for index, const in enumerate(code.co_consts):
        if const is wanted:
            return [index]
        if isinstance(const, CodeType) and (rest := _path_to(wanted, const)) is not None:
            return [index, *rest]
    return None
