"""Define what a script defines, without running what it does: for functions in ``__main__`` that a trace file names.

The script becomes this process's ``__main__``, so that its functions are those that the script itself would have. Blocks under
``if __name__ == "__main__"`` are left out, everything else at the top level runs: the rule of multiprocessing's spawn. Standard
library only.
"""

from __future__ import annotations

import ast
import builtins
import io
import os
import sys
from types import ModuleType

from aotnb.errors import AotError

_replaced: list[ModuleType] = []  # earlier modules of this name, kept alive


def define(script: str) -> None:
    """Run the definitions of *script* as ``__main__``; does nothing if they are there already.

    Raises
    ------
    AotError
        If the script cannot be read or raises, or if another script is ``__main__`` already.
    """
    path = os.path.abspath(script)
    main = sys.modules["__main__"]
    if getattr(main, "__file__", None) == path:
        return
    if _replaced:
        raise AotError(f"it belongs to another script than {main.__file__}; one build takes one script")
    try:
        with io.open_code(path) as file:
            tree = ast.parse(file.read(), path)
    except OSError as error:
        raise AotError(f"the script {script} cannot be read: {error.strerror or error}") from None
    except (SyntaxError, ValueError) as error:
        raise AotError(f"the script {script} is not valid Python: {error}") from None
    module = ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins)
    _replaced.append(main)
    sys.modules["__main__"] = module
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    try:
        exec(compile(_without_main_block(tree), path, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise AotError(f"running the definitions of {script} raised {type(error).__name__}: {error}") from None


def _without_main_block(tree: ast.Module) -> ast.Module:
    for number, node in enumerate(tree.body):
        if isinstance(node, ast.If) and _asks_for_main(node.test):
            tree.body[number] = ast.copy_location(
                ast.If(ast.copy_location(ast.Constant(False), node), node.body, node.orelse), node
            )
    return tree


def _asks_for_main(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp):
        return isinstance(test.op, ast.And) and any(map(_asks_for_main, test.values))
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = (test.left, test.comparators[0])
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )
