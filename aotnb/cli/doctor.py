"""The examination behind ``aotnb doctor``: facts in a fixed order, and problems as sentences. Never raises."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aotnb import __version__
from aotnb.errors import AotError

_PACKAGES = ("numba", "llvmlite", "numpy", "ipython", "ipykernel", "pandas", "matplotlib", "ipywidgets")
_OPTIONAL = ("ipykernel",)


def examine() -> tuple[dict[str, str], list[str]]:
    """Return facts by name, and the problems found."""
    problems: list[str] = []
    facts = {
        "aotnb": f"{__version__} at {Path(__file__).resolve().parents[1]}",
        "python": f"{platform.python_version()} at {sys.executable}",
        "system": f"{platform.system()} {platform.machine()}",
    }
    for name in _PACKAGES:
        facts[name] = _version(name)
    facts["numba support"] = _hooks(problems)
    facts["cpu"] = _cpu(problems)
    facts["linker"] = _linkers()
    facts["key"] = _key(problems)
    facts |= {name: os.environ[name] for name in sorted(os.environ) if name.startswith(("AOTNB_", "NUMBA_"))}
    return facts, problems


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed (optional)" if package in _OPTIONAL else "not installed"


def _hooks(problems: list[str]) -> str:
    """Install the hooks for a moment: that probes every private part that the bridge relies on."""
    try:
        from aotnb import session

        was_active = session.is_active()
        session.activate()
        if not was_active:
            session.deactivate()
    except (AotError, ImportError) as error:
        problems.append(str(error))
        return "no"
    return "yes, the hooks can be installed"


def _cpu(problems: list[str]) -> str:
    try:
        from aotnb.bridge.environment import host_cpu

        name, features = host_cpu()
    except ImportError as error:
        problems.append(str(error))
        return "unknown"
    return f"{name}, {sum(item.startswith('+') for item in features.split(','))} features"


def _linkers() -> str:
    from aotnb.building.link import find_linkers

    found = ", ".join(f"{name} ({' '.join(command)})" for name, command in find_linkers().items())
    return found or "none found; images are linked in the process that loads them, which takes a few milliseconds more"


def _key(problems: list[str]) -> str:
    from aotnb.image.trust import key_path, user_key

    path = key_path()
    try:
        user_key()
    except (AotError, OSError) as error:
        problems.append(str(error))
        return f"{path}, not usable"
    if path.stat().st_mode & 0o077:
        problems.append(f"others can read the key {path}; run chmod 600 {path}")
    return str(path)
