"""Ahead-of-time native images for Numba in Jupyter: trace, save, load, and run without the JIT.

Record      :func:`trace`
Build       :func:`save`
Load        :func:`load`
Look        :func:`status`, :func:`traces`, :func:`last_trace`, :func:`misses`
Frames      :func:`roots`, :func:`stragglers`, :func:`diff`, :func:`invalidations`
Switch      :func:`activate`, :func:`deactivate`, :func:`is_active`
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aotnb.reports.asked import diff, invalidations, roots, stragglers
    from aotnb.session import (
        activate,
        check,
        deactivate,
        is_active,
        last_trace,
        load,
        misses,
        reset_stats,
        save,
        status,
        trace,
        traces,
        world,
    )

__all__ = [
    "activate",
    "check",
    "deactivate",
    "diff",
    "invalidations",
    "is_active",
    "last_trace",
    "load",
    "misses",
    "reset_stats",
    "roots",
    "save",
    "status",
    "stragglers",
    "trace",
    "traces",
    "world",
]

_ASKED = ("diff", "invalidations", "roots", "stragglers")


def __getattr__(name: str) -> Any:
    # the session imports Numba; `import aotnb` alone must stay cheap
    if name in _ASKED:
        return getattr(importlib.import_module("aotnb.reports.asked"), name)
    if name in __all__:
        return getattr(importlib.import_module("aotnb.session"), name)
    raise AttributeError(f"module 'aotnb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def load_ipython_extension(ip: Any) -> None:
    """Install the magics and the hooks: ``%load_ext aotnb``."""
    importlib.import_module("aotnb.magics.extension").load(ip)


def unload_ipython_extension(ip: Any) -> None:
    """Take magics and hooks out again: ``%unload_ext aotnb``."""
    importlib.import_module("aotnb.magics.extension").unload(ip)
