"""From object files to one shared library, with whatever linker is there; without one, the loader places the objects.

Every name that the objects leave open must be known before a linker is started: the Python C API, libc and libm resolve
by themselves in any process that runs Numba, so no linker could be told where they are, and what is in none of these is
an error of the build, never of a call.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aotnb.bridge.symbols import in_process
from aotnb.core.elf import open_names, symbols
from aotnb.errors import BuildError, LinkError

LINKERS = ("cc", "ld.lld", "zig", "in-process")
_DRIVERS = ("cc", "gcc", "clang")
_HOW = {
    "cc": "install a C compiler",
    "ld.lld": "install LLVM's linker",
    "zig": "run pip install 'aotnb[zig]'",
}
# no identity of this build in the bytes; bound at load or not at all; no stack that can be executed; no pages left empty
_LINK_OPTIONS = (("--build-id=none",), ("-z", "now"), ("-z", "noexecstack"), ("-z", "noseparate-code"))


@dataclass(frozen=True, slots=True)
class Linked:
    """A shared library, or nothing where the loader links; who made it, by which command, and what it leaves open."""

    native: bytes
    linker: str
    command: str
    imports: list[str]


def find_linkers() -> dict[str, list[str]]:
    """Return the linkers of this machine, in the order in which they are tried, and the words that start each."""
    found = {}
    driver = next(filter(None, map(shutil.which, _DRIVERS)), None)
    if driver is not None:
        found["cc"] = [driver]
    if (lld := shutil.which("ld.lld")) is not None:
        found["ld.lld"] = [lld]
    if (zig := _zig()) is not None:
        found["zig"] = [zig, "ld.lld"]
    return found


def _zig() -> str | None:
    """Return zig's program: that of the PyPI package ``ziglang``, or one on the PATH."""
    package = importlib.util.find_spec("ziglang")
    for folder in () if package is None else package.submodule_search_locations or ():
        program = os.path.join(folder, "zig")
        if os.access(program, os.X_OK):
            return program
    return shutil.which("zig")


def choose(link: str) -> list[str]:
    """Return the linkers to try in turn for *link*: a name of :data:`LINKERS`, or "auto".

    What "auto" means is for ``AOTNB_LINK`` to say; unset or "auto" there is the first linker that works.
    """
    origin = ""
    if link == "auto":
        link = os.environ.get("AOTNB_LINK") or "auto"
        origin = "AOTNB_LINK asks for "
    if link != "auto" and link not in LINKERS:
        raise LinkError(f"{origin}unknown linker {link!r}; choose one of auto, {', '.join(LINKERS)}")
    found = find_linkers()
    if link == "auto":
        return [*found, "in-process"]
    if link != "in-process" and link not in found:
        asked = origin or "the link was to be made by "
        raise LinkError(f"{asked}{link}, which is not there; {_HOW[link]}, or choose another of auto, {', '.join(LINKERS)}")
    return [link]


def imports_of(objects: list[bytes]) -> list[str]:
    """Return the names that the system's loader has to find for *objects*, sorted.

    Raises
    ------
    BuildError
        If one of them is nowhere in this process: code that calls it would have no place to go.
    """
    names = open_names(objects)
    missing = [name for name in names if not in_process(name)]
    if missing:
        raise BuildError(
            f"the code calls {', '.join(missing)}, which neither Numba, Python, libc nor libm provides; please report this"
        )
    return names


def link_with(objects: list[bytes], linkers: list[str]) -> Linked:
    """Link with the first of *linkers* that can do it; in-process linking needs none."""
    imports = imports_of(objects)
    for number, linker in enumerate(linkers):
        if linker == "in-process":
            break
        try:
            return link_shared(objects, linker, imports)
        except LinkError:
            if number == len(linkers) - 1:
                raise
    return Linked(b"", "in-process", "", imports)


def link_shared(objects: list[bytes], linker: str, imports: list[str]) -> Linked:
    """Link *objects* into a shared library that leaves nothing open but *imports*."""
    names = [f"unit{number}.o" for number in range(len(objects))]
    command = [*find_linkers()[linker], *_options(linker), "-shared", "-o", "image.so", *names]
    if os.environ.get("AOTNB_VERBOSE_LINKING", "0") not in ("", "0"):
        print(shlex.join(command), file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="aotnb-") as folder:
        for name, data in zip(names, objects, strict=True):
            (Path(folder) / name).write_bytes(data)
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except OSError as error:
            raise LinkError(f"{command[0]} cannot be started: {error.strerror or error}") from None
        if done.returncode != 0:
            raise LinkError(f"{shlex.join(command[:2])} failed: {done.stderr.strip() or done.stdout.strip()}")
        native = (Path(folder) / "image.so").read_bytes()
    extra = {symbol.name for symbol in symbols(native, dynamic=True) if not symbol.defined} - set(imports)
    if extra:
        raise LinkError(f"{linker} made a library that needs {', '.join(sorted(extra))}, which the code does not call")
    return Linked(native, linker, shlex.join(command), imports)


def _options(linker: str) -> list[str]:
    if linker == "cc":
        return ["-nostdlib", *("-Wl," + ",".join(words) for words in _LINK_OPTIONS)]
    return [word for words in _LINK_OPTIONS for word in words]
