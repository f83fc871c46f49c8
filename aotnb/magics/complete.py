"""Tab completion of the magics' arguments: files, names of traces, options and their choices."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from aotnb import session
from aotnb.bridge import inspect as numba_facts
from aotnb.building.link import LINKERS
from aotnb.magics.magics import AotMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_FILE, _TRACE, _FUNCTION, _SIDE, _NAME = "file", "trace", "function", "side", "name"
_MAGIC = re.compile(r"(?:\s*[\w, ]+=)?\s*%{0,2}(?P<name>" + "|".join(AotMagics.magics["line"]) + r")\s")
_TAKES = {
    "aot_save": _FILE,
    "aot_load": _FILE,
    "aot_compact": _FILE,
    "aot_list": _FILE,
    "aot_prune": _FILE,
    "aot_diff": _SIDE,
    "aot_report": _TRACE,
    "aot_parcel": _TRACE,
    "aot_roots": _FUNCTION,
    "aot_explain": _NAME,
}


class Completer:
    """Puts a matcher into the shell's completer, and takes it out again.

    A matcher, and no hook ``complete_command``: beside what a hook gives, IPython shows every Python name.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def install(self) -> None:
        """Register the matcher."""
        self.shell.Completer.custom_matchers.append(self._match)

    def uninstall(self) -> None:
        """Take the matcher out."""
        self.shell.Completer.custom_matchers.remove(self._match)

    @context_matcher()
    def _match(self, context: CompletionContext) -> SimpleMatcherResult:
        line = context.text_until_cursor
        found = _MAGIC.match(line)
        names = candidates(found["name"], line[found.start("name") :], context.token) if found else []
        return {"completions": [SimpleCompletion(name) for name in names], "suppress": bool(names), "ordered": True}


def candidates(magic: str, line: str, symbol: str) -> list[str]:
    """Return what may stand at the cursor.

    Parameters
    ----------
    magic : str
        Name of the magic, without the percent signs.
    line : str
        The line up to the cursor, from the name of the magic on.
    symbol : str
        The beginning of the word at the cursor.
    """
    before = line.removesuffix(symbol).split()[-1]
    source = _AFTER_OPTION.get(before)
    if source is None and symbol.startswith("-"):
        source = lambda _: options(magic)  # noqa: E731
    if source is None:
        source = _SOURCES.get(_TAKES.get(magic, ""), lambda _: options(magic))
    return sorted(found for found in source(symbol) if found.startswith(symbol))


def options(magic: str) -> list[str]:
    """Return the options of a magic, from its generated parser."""
    parser = getattr(AotMagics, magic).parser
    return [name for action in parser._actions for name in action.option_strings]


def files(symbol: str) -> list[str]:
    """Return folders and images that begin with ``symbol``."""
    home = os.path.expanduser(symbol) if symbol.startswith("~") else symbol
    found = glob.glob(glob.escape(home) + "*")
    kept = [path + os.sep if os.path.isdir(path) else path for path in found if os.path.isdir(path) or path.endswith(".aot")]
    return [symbol + path[len(home) :] for path in kept]


def traces(_: str) -> list[str]:
    """Return the names of the traces of this kernel."""
    return list(session.traces())


def functions(_: str) -> list[str]:
    """Return the names of what this process compiled."""
    return sorted({instance.qualname for instance in session.recorded()})


def jitted(_: str) -> list[str]:
    """Return the names of the jitted functions of the notebook."""
    names = vars(sys.modules["__main__"])
    return [f"{name}(" for name, value in names.items() if numba_facts.live_dispatcher(value) is not None]


def sides(symbol: str) -> list[str]:
    """Return what a comparison takes."""
    return [*traces(symbol), *files(symbol)]


_SOURCES: dict[str, Callable[[str], Iterable[str]]] = {
    _FILE: files,
    _TRACE: traces,
    _FUNCTION: functions,
    _SIDE: sides,
    _NAME: jitted,
}
_AFTER_OPTION: dict[str, Callable[[str], Iterable[str]]] = {
    "--trace": traces,
    "--link": lambda _: ["auto", *LINKERS],
    "--growth": functions,
    "--merge": files,
    "--write": files,
}
