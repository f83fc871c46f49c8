"""Generators: their types are bound to live functions, and callers find the code of their next step in the compiler's table."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.core.generators import GeneratorDescriptor
from numba.core.registry import cpu_target

NEXT, NEXT_FROM_PYTHON, FINALIZE = "next", "next from Python", "finalize"


class _ServedGenerator(GeneratorDescriptor):
    """Describes the next step of a generator whose code lies in an image."""

    __slots__ = ("_symbols",)

    def __init__(self, function: Any, symbols: dict[str, str], typ: Any) -> None:
        self._symbols = symbols
        super().__init__(
            function.native, function.modname, function.qualname + ".next", function.unique_name + ".next", function.doc,
            None, typ.yield_type, None, ["gen"], (),
            mangler=lambda *args, **kwargs: symbols[NEXT], argtypes=(typ,), inline=False, env_name=function.env_name,
        )  # fmt: skip

    @property
    def llvm_cpython_wrapper_name(self) -> str:
        return self._symbols.get(NEXT_FROM_PYTHON, "")

    @property
    def llvm_finalizer_name(self) -> str:
        return self._symbols.get(FINALIZE, "")


def generator_names(typ: Any) -> dict[str, str]:
    """Return Numba's names for the functions behind a generator of this type, by kind."""
    if not isinstance(typ, types.Generator):
        return {}
    found = cpu_target.target_context.get_generator_desc(typ)
    names = {NEXT: found.llvm_func_name, NEXT_FROM_PYTHON: found.llvm_cpython_wrapper_name}
    return names | ({FINALIZE: found.llvm_finalizer_name} if typ.has_finalizer else {})


def add_generator(cres: Any, symbols: dict[str, str]) -> None:
    """Let code that is compiled later find the next step of the generator that the served code of *cres* returns."""
    typ = cres.signature.return_type
    if isinstance(typ, types.Generator) and NEXT in symbols:
        cres.target_context.insert_generator(typ, _ServedGenerator(cres.fndesc, symbols, typ), [cres.library])


def returns_generator(cres: Any) -> bool:
    """Return whether code makes a generator."""
    return isinstance(cres.signature.return_type, types.Generator)
