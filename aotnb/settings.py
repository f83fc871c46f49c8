"""What a user may set once: an argument wins over the environment, that over ``%config AotMagics``, that over pyproject.toml.

Standard library only. ``[tool.aotnb]`` is read from ``pyproject.toml`` in the working directory or the nearest folder above.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from aotnb.errors import ConfigError


class Setting(NamedTuple):
    """One setting: its type, its value where nobody sets it, the environment variable that sets it, and what it does."""

    type: type
    default: Any
    variable: str | None
    what: str


SETTINGS = {
    "image": Setting(str, "", "AOTNB_IMAGE", "The image of %aot_save and %aot_load where no file is given."),
    "link": Setting(str, "auto", "AOTNB_LINK", "How images are linked: auto, cc, ld.lld, zig or in-process."),
    "check": Setting(bool, True, "AOTNB_WORLDS", "Look for redefinitions and rebindings between the statements of a cell."),
    "quiet": Setting(bool, False, None, "Let the magics show nothing on success, as with -q."),
    "log": Setting(str, "", "AOTNB_LOG", "A level, or level:file, for the log of hits, misses, loads, saves and invalidations."),
}

_configured: dict[str, Any] = {}  # by %config
_read: dict[str, tuple[int, dict[str, Any]]] = {}  # file -> its time of change, its table


def get(name: str) -> Any:
    """Return a setting as the environment, ``%config``, pyproject.toml or its default has it.

    Raises
    ------
    ConfigError
        If ``[tool.aotnb]`` has an unknown key or a value of another type, or the file is not TOML.
    """
    setting = SETTINGS[name]
    from_file = _project()
    variable = os.environ.get(setting.variable) if setting.variable else None
    if variable:
        return variable != "0" if setting.type is bool else variable
    if name in _configured:
        return _configured[name]
    found = from_file.get(name, setting.default)
    return os.path.join(os.path.dirname(_file() or ""), found) if name == "image" and name in from_file else found


def configure(name: str, value: Any) -> None:
    """Set what ``%config AotMagics`` sets."""
    _configured[name] = value


def forget() -> None:
    """Forget what was set by :func:`configure`."""
    _configured.clear()


def _file() -> str | None:
    folder = os.getcwd()
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            return path
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def _project() -> dict[str, Any]:
    path = _file()
    if path is None:
        return {}
    changed = os.stat(path).st_mtime_ns
    known = _read.get(path)
    if known is None or known[0] != changed:
        known = _read[path] = (changed, _table(path))
    return known[1]


def _table(path: str) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib
    try:
        with open(path, "rb") as stream:
            table = tomllib.load(stream).get("tool", {}).get("aotnb", {})
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    for key, value in table.items():
        if key not in SETTINGS:
            raise ConfigError(f"{path}: [tool.aotnb] has the unknown key {key!r}; known are {', '.join(SETTINGS)}")
        if type(value) is not SETTINGS[key].type:
            kind = "true or false" if SETTINGS[key].type is bool else "a string"
            raise ConfigError(f"{path}: {key} in [tool.aotnb] is {value!r}; it must be {kind}")
    return table
