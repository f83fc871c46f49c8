"""Every error that aotnb raises, each one clear sentence: what was wrong, what was expected, what to do.

Imports nothing. Magics and the command line show ``str(error)`` without a traceback.
"""

from __future__ import annotations


class AotError(Exception):
    """Base of all errors raised by aotnb."""


class UnsupportedNumba(AotError):
    """The installed Numba or llvmlite lacks something that the bridge relies on."""


class ConfigError(AotError):
    """A setting of pyproject.toml, ``%config`` or the environment is unknown or has a value that it cannot have."""


class TraceError(AotError):
    """A trace was used in a way that cannot work (nested, empty, closed)."""


class BuildError(AotError):
    """An image could not be built; nothing was written."""


class UnitError(BuildError):
    """LLVM could not compile a unit; *libraries* are the names of the code in it."""

    def __init__(self, message: str, libraries: frozenset[str]) -> None:
        super().__init__(message)
        self.libraries = libraries


class LinkError(BuildError):
    """The chosen linker failed or is missing."""


class ImageRejected(AotError):
    """An image file was refused before any of it was mapped or run.

    Attributes
    ----------
    reason : str
        One of the documented reason codes (``missing_file``, ``malformed``, ``format_version``, ``checksum``,
        ``untrusted``, ``version_changed``, ``cpu_mismatch``, ``symbol_missing``, ``base_missing``,
        ``base_changed``).
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class CompilationForbidden(AotError):
    """Numba was about to compile inside ``aotnb.forbid_compilation()``; nothing was compiled.

    Attributes
    ----------
    function, module, arguments : str
        What would have been compiled, and for which argument types.
    reason, detail : str
        Why no image served it: a reason code, and the sentence of this case.
    """

    def __init__(self, message: str, *, function: str, module: str, arguments: str, reason: str, detail: str) -> None:
        super().__init__(message)
        self.function, self.module, self.arguments = function, module, arguments
        self.reason, self.detail = reason, detail


class NotRelocatable(AotError):
    """Code holds something that no later process could be given, so it is not saved.

    Attributes
    ----------
    reason : str
        The reason code: ``not_relocatable``, or ``compiled_before_hooks``.
    """

    def __init__(self, message: str, reason: str = "not_relocatable") -> None:
        super().__init__(message)
        self.reason = reason


class VerifyMismatch(AotError):
    """``AOTNB_VERIFY=1`` found stored code that differs from a fresh compilation: a missing edge, please report it."""


class AotWarning(UserWarning):
    """Something could not be kept in step with a change; the sentence says what, and what to do."""
