"""What each reason code means and what to do about it: one dictionary, used by every face. Standard library only.

A *reason code* says why code was not saved, why a stored entry was not used, or why a whole image was refused.
"""

from __future__ import annotations

from typing import NamedTuple

from aotnb.core import left_out


class Reason(NamedTuple):
    """``what`` happened, and what to ``do`` to get the code from an image next time; both are whole sentences."""

    what: str
    do: str


_AGAIN = "Nothing is wrong: it was compiled afresh; trace and save again to have the new code in the image."

_REBOUND = "It was compiled afresh with the present value; pass what changes often as an argument, or trace and save again."

REASONS: dict[str, Reason] = {
    # a stored entry was not used
    "not_traced": Reason(
        "No loaded image holds this function for these argument types.",
        "Run this call inside a traced cell and save again.",
    ),
    "method_changed": Reason("The function itself, its defaults or its jit options changed since the image was saved.", _AGAIN),
    "callee_changed": Reason("A function that it calls changed since the image was saved.", _AGAIN),
    "global_changed": Reason(
        "A global or a module attribute that the code froze has another value now.",
        _REBOUND,
    ),
    "closure_changed": Reason(
        "A closure variable that the code froze has another value now.",
        _REBOUND,
    ),
    "overload_changed": Reason("An overload or intrinsic that the code was built from changed, came or went.", _AGAIN),
    "version_changed": Reason(
        "The image, or a library that the code was built from, belongs to another version of Python, Numba or that library.",
        "Trace and save again in this environment.",
    ),
    "config_changed": Reason(
        "A Numba switch (a NUMBA_* variable or numba.config) has another value than when the code was compiled.",
        "Set the switch as it was before the call, or trace and save again under the present one.",
    ),
    # code was not saved
    "not_relocatable": Reason(
        "The code holds something that has no lasting form outside this process: a root of unknown origin.",
        "See the detail; make the value an argument, or leave this function to the JIT.",
    ),
    "compiled_before_hooks": Reason(
        "It, or a function that it uses, was compiled before aotnb was active, so what it depends on is not known.",
        "Put %load_ext aotnb (or aotnb run) before the libraries are imported, and trace again in a new kernel.",
    ),
    "incoherent": Reason(
        "It links code that was compiled when a value it depends on was different, as Numba does when a global is rebound.",
        "Restart the kernel and run the cells in order, so that everything is compiled with the same values, then save.",
    ),
    "failed": Reason(
        "Numba gave it up with an error; for a nested compilation that is often one of several attempts.",
        "If the function that asked for it was compiled, there is nothing to do; else correct the error that Numba reported.",
    ),
    # the image as a whole was refused
    "cpu_mismatch": Reason(
        "The image was compiled for a CPU with features that this one lacks.",
        "Trace and save again on this machine.",
    ),
    "untrusted": Reason(
        "The image was not made by this user.",
        "If you trust its maker, run `aotnb trust FILE`; loading an image runs its machine code.",
    ),
    "malformed": Reason("The file is not an aotnb image.", "Give a file that %aot_save or `aotnb run --record` wrote."),
    "missing_file": Reason("There is no such file, or it cannot be read.", "Check the path, or save an image there first."),
    "format_version": Reason("The image is in another version of the file format.", "Trace and save again."),
    "checksum": Reason("The file is damaged: a part does not match its checksum.", "Trace and save again; do not use this file."),
    "base_missing": Reason(
        "The image builds on a base image that is not where it was.",
        "Put the base image back, or make it and the image again.",
    ),
    "base_changed": Reason(
        "The image builds on another build of the base image.",
        "Load the base image, run the notebook and save again.",
    ),
    "symbol_missing": Reason(
        "The code needs a symbol that this process does not provide.",
        "Trace and save again in this environment.",
    ),
}

_UNKNOWN = Reason("There is no explanation for this reason code.", "Please report it, with the detail.")


def reason(code: str | None) -> Reason:
    """Return the explanation of a reason code; an unknown code has one too, so a report never fails."""
    if code is None:
        return Reason("", "")
    return REASONS.get(code, _UNKNOWN)


def sentence(code: str | None, detail: str = "") -> str:
    """Return one sentence on what happened, with the detail of this case.

    >>> sentence("callee_changed", "helper in module __main__")
    'A function that it calls changed since the image was saved (helper in module __main__).'
    >>> sentence(None)
    ''
    """
    what = reason(code).what
    return f"{what[:-1]} ({detail.rstrip('.')})." if what and detail else what


def cure(code: str | None, detail: str = "") -> str:
    """Return what to do about a reason code; a *detail* that names a kind of code that is left out tells more.

    >>> cure("malformed")
    'Give a file that %aot_save or `aotnb run --record` wrote.'
    """
    kind = left_out.find(detail) if code == "not_relocatable" else None
    return reason(code).do if kind is None else kind.cure
