"""Keeps compiled code in step with the notebook: looks for changes after each cell and between its statements.

Redefining a function and calling its callers in one cell is the commonest habit, so a call of :func:`aotnb.check` is put
between the statements of a cell. In the loops and blocks of a cell only the binding of a name that compiled code has
read is looked at, since they may run often.
"""

from __future__ import annotations

import ast
import builtins
import sys
from typing import TYPE_CHECKING, Any

from aotnb import session, settings

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

CHECK = "__aotnb_check__"
BOUND = "__aotnb_bound__"

_QUIET = (ast.Pass, ast.Global, ast.Nonlocal)
_BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try)


class Checks(ast.NodeTransformer):
    """Puts checks between the statements of a cell. Lines, the last statement and what it displays stay as they are."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Transform a cell; code that ``%timeit`` runs is left alone."""
        if _is_timed():
            return node
        last = len(node.body) - 1
        body: list[ast.stmt] = []
        for number, statement in enumerate(node.body):
            body.append(_in_blocks(statement))
            if number < last and not isinstance(statement, _QUIET) and not _is_first(statement):
                body.append(_call(CHECK, [], statement))
        node.body = body
        return node


def _in_blocks(statement: ast.stmt) -> ast.stmt:
    if isinstance(statement, _BLOCKS):
        for part in ("body", "orelse", "finalbody"):
            if block := getattr(statement, part, None):
                setattr(statement, part, _block(block))
        for handler in getattr(statement, "handlers", ()):
            handler.body = _block(handler.body)
        if isinstance(statement, ast.For | ast.AsyncFor | ast.With | ast.AsyncWith):
            names = _bound_by_head(statement)
            if names:
                statement.body.insert(0, _call(BOUND, names, statement.body[0]))
    return statement


def _block(block: list[ast.stmt]) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for statement in block:
        found.append(_in_blocks(statement))
        if names := _bound(statement):
            found.append(_call(BOUND, names, statement))
    return found


def _bound(statement: ast.stmt) -> list[str]:
    """Return the names, and the attributes, that a simple statement or a definition binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        targets = [statement.target]
    else:
        return []
    return [name for target in targets for name in _target_names(target)]


def _bound_by_head(statement: ast.For | ast.AsyncFor | ast.With | ast.AsyncWith) -> list[str]:
    if isinstance(statement, ast.For | ast.AsyncFor):
        return _target_names(statement.target)
    return [name for item in statement.items if item.optional_vars is not None for name in _target_names(item.optional_vars)]


def _target_names(target: ast.expr) -> list[str]:
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, ast.Attribute):
        return [target.attr]
    if isinstance(target, ast.Tuple | ast.List):
        return [name for item in target.elts for name in _target_names(item)]
    return _target_names(target.value) if isinstance(target, ast.Starred) else []


def _is_first(statement: ast.stmt) -> bool:
    """Return whether a statement must stay the first: a docstring, or ``from __future__``."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _call(function: str, names: list[str], place: ast.stmt) -> ast.Expr:
    call = ast.Call(ast.Name(function, ast.Load()), [ast.Constant(name) for name in names], [])
    found = ast.fix_missing_locations(ast.copy_location(ast.Expr(ast.copy_location(call, place)), place))
    for node in ast.walk(found):
        node.lineno = node.end_lineno = place.end_lineno or place.lineno  # type: ignore[attr-defined]
        node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
    return found


def _is_timed() -> bool:
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "run_cell_async":
        if frame.f_code.co_name == "timeit" and frame.f_globals.get("__name__", "").startswith("IPython."):
            return True
        frame = frame.f_back
    return False


def _nothing(*_: str) -> None:
    """Stand in for the checks in what is left of a cell that has unloaded the extension."""


class Watcher:
    """Puts the checks into the cells of a shell, and takes them out again."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.checks = Checks()
        self.installed = False

    def install(self, *, force: bool = False) -> None:
        """Begin to look for changes; the setting ``check`` keeps it off unless *force* is given."""
        if self.installed or not (force or settings.get("check")):
            return
        self.installed = True
        setattr(builtins, CHECK, session.check_statement)
        setattr(builtins, BOUND, session.check_bound)
        self.shell.ast_transformers.append(self.checks)
        self.shell.events.register("pre_run_cell", self._before)
        self.shell.events.register("post_run_cell", self._after)
        session.track(True)

    def uninstall(self) -> None:
        """Look no longer."""
        if not self.installed:
            return
        self.installed = False
        session.track(False)
        self.shell.ast_transformers.remove(self.checks)
        self.shell.events.unregister("pre_run_cell", self._before)
        self.shell.events.unregister("post_run_cell", self._after)
        for name in (CHECK, BOUND):  # the statements behind %unload_ext, in its cell, have the calls already
            setattr(builtins, name, _nothing)
        self.shell.events.register("post_run_cell", self._leave)

    def _leave(self, _result: Any) -> None:
        self.shell.events.unregister("post_run_cell", self._leave)
        for name in (CHECK, BOUND):
            if getattr(builtins, name, None) is _nothing:  # and not installed again in the same cell
                delattr(builtins, name)

    def _before(self, _info: Any) -> None:
        session.begin_cell()
        session.check()

    def _after(self, _result: Any) -> None:
        session.check()
        # %autoreload must have run before we look: it registers when it is first used, so we go behind it each time
        self.shell.events.unregister("pre_run_cell", self._before)
        self.shell.events.register("pre_run_cell", self._before)
