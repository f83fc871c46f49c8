"""The LLVM IR and the assembly of code that is compiled in this process, as text for people."""

from __future__ import annotations

from typing import Any


def llvm_text(cres: Any) -> str:
    """Return the optimised LLVM IR of a compile result, as ``Dispatcher.inspect_llvm`` gives it."""
    text: str = cres.library.get_llvm_str()
    return text


def assembly_text(cres: Any) -> str:
    """Return the assembly of a compile result for this CPU, as ``Dispatcher.inspect_asm`` gives it."""
    text: str = cres.library.get_asm_str()
    return text
