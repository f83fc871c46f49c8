"""Which Numba this bridge knows, and a probe of everything it relies on."""

from __future__ import annotations

import re

import llvmlite
import numba

from aotnb.errors import UnsupportedNumba

SUPPORTED = ("0.67", "0.68")  # Numba minor versions that the tests run on


def versions() -> tuple[str, str]:
    """Return the versions of Numba and llvmlite."""
    return numba.__version__, llvmlite.__version__


def check() -> None:
    """Raise :class:`UnsupportedNumba` unless the installed Numba is one that the bridge was tested with."""
    minor = ".".join(re.split(r"\D", numba.__version__)[:2])
    if minor not in SUPPORTED:
        raise UnsupportedNumba(
            f"Numba {numba.__version__} is not supported (aotnb knows {' and '.join(SUPPORTED)}); "
            f"install one of these or a newer aotnb"
        )
    missing = missing_parts()
    if missing:
        raise UnsupportedNumba(
            f"Numba {numba.__version__} with llvmlite {llvmlite.__version__} lacks {missing[0]}, which aotnb relies on; "
            f"install a released Numba {' or '.join(SUPPORTED)}"
        )


def missing_parts() -> list[str]:
    """Return the names that the bridge relies on and this Numba does not have."""
    from aotnb.bridge import hooks

    wanted: list[tuple[object, str]] = [(owner, name) for owner, name, _ in hooks.PATCHES]
    from numba import _dynfunc, _helperlib
    from numba.core import (
        bytecode,
        caching,
        codegen,
        datamodel,
        dispatcher,
        entrypoints,
        environment,
        imputils,
        pythonapi,
        serialize,
        targetconfig,
        types,
    )
    from numba.core.runtime import _nrt_python, nrtdynmod
    from numba.core.typing import context, templates

    wanted += [
        (dispatcher.Dispatcher, "_rebuild"),
        (dispatcher._DispatcherBase, "_insert"),
        (codegen.CPUCodeLibrary, "_optimize_final_module"),
        (codegen.CPUCodeLibrary, "_optimize_functions"),
        (codegen.JITCodeLibrary, "get_pointer_to_function"),
        (codegen.AOTCPUCodegen, "_customize_tm_features"),
        (environment.Environment, "from_fndesc"),
        (serialize, "_unpickled_memo"),
        (bytecode.FunctionIdentity, "_unique_ids"),
        (targetconfig, "ConfigStack"),
        (caching.Cache, "load_overload"),
        (templates, "builtin_registry"),
        (imputils, "builtin_registry"),
        (entrypoints, "init_all"),
        (context.BaseContext, "_lookup_global"),
        (datamodel.registry.default_manager, "_handlers"),
        (pythonapi, "_boxers"),
        (pythonapi, "_unboxers"),
        (pythonapi, "_reflectors"),
        (types.Type, "_intern"),
        (nrtdynmod, "create_nrt_module"),
        (_nrt_python, "c_helpers"),
        (_helperlib, "c_helpers"),
        (_dynfunc, "make_function"),
    ]
    return [f"{getattr(owner, '__name__', owner)}.{name}" for owner, name in wanted if not hasattr(owner, name)]
