"""The environment key: what is fixed at process start, and Numba's switches as read at each compilation.

Default deny: every variable of ``numba.config`` is part of the key unless it stands in :data:`IRRELEVANT`.
"""

from __future__ import annotations

import platform
import sys
import sysconfig
from typing import Any

import llvmlite
import llvmlite.binding as ll
import numba
import numpy as np
from numba.core import config
from numba.core.rewrites import rewrite_registry

from aotnb.core.digest import digest
from aotnb.errors import NotRelocatable

# Variables that cannot change the code of the CPU target: where caches lie, what is printed, other targets.
IRRELEVANT = frozenset(
    {
        # where Numba's own cache lies
        "CACHE_DIR", "CACHE_LOCATOR_CLASSES", "DEBUG_CACHE", "FUNCTION_CACHE_SIZE",
        # what is printed or reported while compiling
        "ANNOTATE", "HTML", "CHROME_TRACE", "COLOR_SCHEME", "DEVELOPER_MODE", "SHOW_HELP", "HIGHLIGHT_DUMPS",
        "DISABLE_PERFORMANCE_WARNINGS", "ALWAYS_WARN_UNINIT_VAR", "TRACE", "PARALLEL_DIAGNOSTICS", "DEBUG_FRONTEND",
        "DEBUG_TYPEINFER", "DEBUG_INLINE_CLOSURE", "DEBUG_PRINT_AFTER", "DEBUG_PRINT_BEFORE", "DEBUG_PRINT_WRAP",
        "DUMP_ASSEMBLY", "DUMP_BYTECODE", "DUMP_CFG", "DUMP_FUNC_OPT", "DUMP_IR", "DUMP_LLVM", "DUMP_OPTIMIZED", "DUMP_SSA",
        "LLVM_PASS_TIMINGS", "JIT_COVERAGE",
        # other targets; what the process tree has already
        "DISABLE_CUDA", "ENABLE_CUDASIM", "FORCE_CUDA_CC", "IS_WIN32", "IS_OSX", "IS_32BITS", "MACHINE_BITS", "PYVERSION",
        "USING_SVML", "_HAVE_YAML",
        # for which CPU: raw IR is the same for all, an image says for which ones it has code
        "CPU_NAME", "CPU_FEATURES",
        # how many threads run the code, not what the code is
        "NUMBA_NUM_THREADS", "NUMBA_DEFAULT_NUM_THREADS",
    }
)  # fmt: skip


def process_tree() -> dict[str, Any]:
    """Return what is fixed at process start; images of another process tree are refused as a whole."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "abi": sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag or "",
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "llvm": ".".join(map(str, ll.llvm_version_info)),
        "numpy": np.__version__,
        "os": platform.system(),
        "machine": platform.machine(),
        "svml": bool(config.USING_SVML),
        "-O": str(sys.flags.optimize),  # asserts of Numba's own implementations
    }


def relevant_switches() -> dict[str, Any]:
    """Return the present value of every switch that is part of the key."""
    return {
        name: value
        for name, value in vars(config).items()
        if name.isupper() and not name.startswith(("_", "CUDA_")) and name not in IRRELEVANT
    }


_last: tuple[str, dict[str, str]] = ("", {})


def switches_digest() -> tuple[str, dict[str, str]]:
    """Return the digest of the switches as a compilation started now would read them, and their texts by name."""
    global _last
    config.reload_config()
    # by their texts: _OptLevel("max") equals 3, and 1 equals True
    texts = {name: _text(value) for name, value in relevant_switches().items()} | _rewrites()
    if texts != _last[1]:
        _last = (digest(texts), texts)
    return _last


def _rewrites() -> dict[str, str]:
    """Return what others registered to rewrite the code of all functions, by kind; nothing where there is none."""
    from aotnb.bridge.values import is_extension

    found = {kind: list(filter(is_extension, passes)) for kind, passes in rewrite_registry.rewrites.items()}
    return {f"rewrites {kind}": digest(list(map(_described, passes))) for kind, passes in found.items() if passes}


def _described(rewrite: type) -> Any:
    from aotnb.bridge.deep import deep_class_tree

    try:
        return deep_class_tree(rewrite)
    except NotRelocatable:
        return [rewrite.__module__, rewrite.__qualname__, id(rewrite)]  # of this process only


def compiler_settings() -> dict[str, Any]:
    """Return the switches as plain values, for another process that is to compile as this one would."""
    plain = {name: getattr(value, "_raw_value", value) for name, value in relevant_switches().items()}
    return {name: value for name, value in plain.items() if isinstance(value, (bool, int, float, str, type(None)))}


def apply_settings(settings: dict[str, Any]) -> None:
    """Set the switches that differ from *settings* (of :func:`compiler_settings`)."""
    here = compiler_settings()
    for name, value in settings.items():
        if here.get(name) != value:
            setattr(config, name, config._OptLevel(value) if name == "OPT" else value)


def _text(value: Any) -> str:
    return repr(getattr(value, "_raw_value", value))


def host_cpu() -> tuple[str, str]:
    """Return the CPU name and the feature string that Numba compiles for in this process."""
    name = ll.get_host_cpu_name() if config.CPU_NAME is None else config.CPU_NAME
    if config.CPU_FEATURES is not None:
        return name, config.CPU_FEATURES
    from numba.core.codegen import get_host_cpu_features

    return name, get_host_cpu_features()
