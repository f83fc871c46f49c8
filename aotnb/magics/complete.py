"""Tab completion of the magics' arguments: files, names of traces, options and their choices."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aotnb import session
from aotnb.bridge import inspect as numba_facts
from aotnb.building.link import LINKERS
from aotnb.magics.magics import AotMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_HOOK = "complete_command"
_FILE, _TRACE, _FUNCTION, _SIDE, _NAME = "file", "trace", "function", "side", "name"
_TAKES = {
    "aot_save": _FILE,
    "aot_load": _FILE,
    "aot_diff": _SIDE,
    "aot_report": _TRACE,
    "aot_parcel": _TRACE,
    "aot_roots": _FUNCTION,
    "aot_explain": _NAME,
}


class Completer:
    """Puts one completer for each magic into the shell's command dispatcher, and takes them out again."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._keys: list[str] = []

    def install(self) -> None:
        """Register under ``%name`` and, for cell magics, ``%%name``."""
        for kind, names in AotMagics.magics.items():
            for name in names:
                self._add(("%" if kind == "line" else "%%") + name, name)

    def _add(self, key: str, name: str) -> None:
        def complete(shell: InteractiveShell, event: Any) -> list[str]:
            return candidates(name, event.line, event.symbol)

        self.shell.set_hook(_HOOK, complete, str_key=key)
        self._keys.append(key)

    def uninstall(self) -> None:
        """Take the completers out."""
        strings = self.shell.strdispatchers[_HOOK].strs
        for key in self._keys:
            strings.pop(key, None)
        self._keys.clear()


def candidates(magic: str, line: str, symbol: str) -> list[str]:
    """Return what may stand at the cursor.

    Parameters
    ----------
    magic : str
        Name of the magic, without the percent signs.
    line : str
        The whole line, which begins with the magic.
    symbol : str
        The beginning of the word at the cursor.
    """
    words = line[: line.rfind(symbol)].split() if symbol else line.split()
    before = words[-1] if words else ""
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
