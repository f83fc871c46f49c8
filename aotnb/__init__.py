"""Ahead-of-time native images for Numba in Jupyter: trace, save, load, and run without the JIT.

Record      :func:`trace`, :func:`precompile`, :func:`compile_workload`, :func:`setup_workload`
Both        :func:`auto`
Build       :func:`save`, :func:`save_in_background`, :func:`compact`, :func:`compact_in_background`
Load        :func:`load`
Look        :func:`explain`, :func:`status`, :func:`traces`, :func:`last_trace`, :func:`misses`
Reports     :func:`parcel`, :func:`roots`, :func:`stragglers`, :func:`diff`, :func:`invalidations`, :func:`explore`
Files       :func:`images`, :func:`prune`
Guard       :func:`forbid_compilation`
Switch      :func:`activate`, :func:`deactivate`, :func:`is_active`

PYTEST_DONT_REWRITE: with ``AOTNB_IMAGE`` set this package is imported before pytest, which would warn that it is too late.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

TYPE_CHECKING = False  # not from typing, whose import would be most of what AOTNB_IMAGE costs a process without Numba
if TYPE_CHECKING:
    from typing import Any

    from aotnb.automatic import auto
    from aotnb.display.asked import diff, images, invalidations, parcel, prune, roots, stragglers
    from aotnb.display.explorer import explore
    from aotnb.guards import forbid_compilation
    from aotnb.replay import precompile
    from aotnb.reports.question import explain
    from aotnb.saving import compact, compact_in_background, save, save_in_background
    from aotnb.session import (
        activate,
        check,
        deactivate,
        is_active,
        last_trace,
        load,
        misses,
        reset_stats,
        status,
        trace,
        traces,
        world,
    )
    from aotnb.workload import compile_workload, setup_workload

__all__ = [
    "activate",
    "auto",
    "check",
    "compact",
    "compact_in_background",
    "compile_workload",
    "deactivate",
    "diff",
    "explain",
    "explore",
    "forbid_compilation",
    "images",
    "invalidations",
    "is_active",
    "last_trace",
    "load",
    "misses",
    "parcel",
    "precompile",
    "prune",
    "reset_stats",
    "roots",
    "save",
    "save_in_background",
    "setup_workload",
    "status",
    "stragglers",
    "trace",
    "traces",
    "world",
]

_HOMES = {
    "aotnb.automatic": ("auto",),
    "aotnb.display.asked": ("diff", "images", "invalidations", "parcel", "prune", "roots", "stragglers"),
    "aotnb.display.explorer": ("explore",),
    "aotnb.reports.question": ("explain",),
    "aotnb.guards": ("forbid_compilation",),
    "aotnb.replay": ("precompile",),
    "aotnb.saving": ("compact", "compact_in_background", "save", "save_in_background"),
    "aotnb.workload": ("compile_workload", "setup_workload"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # the session imports Numba; `import aotnb` alone must stay cheap
    if name in __all__:
        home = _HOME.get(name, "aotnb.session")
        if home == "aotnb.saving":  # a process that waits for Numba (AOTNB_IMAGE) is served as soon as the session is there
            importlib.import_module("aotnb.session")
        return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'aotnb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def load_ipython_extension(ip: Any) -> None:
    """Install the magics and the hooks: ``%load_ext aotnb``."""
    importlib.import_module("aotnb.magics.extension").load(ip)


def unload_ipython_extension(ip: Any) -> None:
    """Take magics and hooks out again: ``%unload_ext aotnb``."""
    importlib.import_module("aotnb.magics.extension").unload(ip)
