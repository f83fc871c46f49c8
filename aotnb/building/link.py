"""From object files to one shared library, with whatever linker is there; without one, the loader places the objects."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from aotnb.errors import LinkError

LINKERS = ("cc", "ld.lld", "in-process")
_DRIVERS = ("cc", "gcc", "clang")


def find_linkers() -> dict[str, str]:
    """Return the linkers of this machine and where they are."""
    found = {}
    driver = next(filter(None, map(shutil.which, _DRIVERS)), None)
    if driver is not None:
        found["cc"] = driver
    if (lld := shutil.which("ld.lld")) is not None:
        found["ld.lld"] = lld
    return found


def choose(link: str) -> list[str]:
    """Return the linkers to try in turn for *link* ("auto" or a name of :data:`LINKERS`)."""
    if link != "auto" and link not in LINKERS:
        raise LinkError(f"unknown linker {link!r}; choose one of auto, {', '.join(LINKERS)}")
    found = find_linkers()
    if link == "auto":
        return [*found, "in-process"]
    if link != "in-process" and link not in found:
        raise LinkError(f"there is no {link} on the PATH; install it or choose another of auto, {', '.join(LINKERS)}")
    return [link]


def link_with(objects: list[bytes], linkers: list[str]) -> tuple[bytes, str]:
    """Return the shared library and the first of *linkers* that could make it; in-process linking needs none."""
    for number, linker in enumerate(linkers):
        if linker == "in-process":
            break
        try:
            return link_shared(objects, linker), linker
        except LinkError:
            if number == len(linkers) - 1:
                raise
    return b"", "in-process"


def link_shared(objects: list[bytes], linker: str) -> bytes:
    """Link *objects* into a shared library and return its bytes."""
    program = find_linkers()[linker]
    with tempfile.TemporaryDirectory(prefix="aotnb-") as folder:
        names = []
        for number, data in enumerate(objects):
            name = f"unit{number}.o"
            (Path(folder) / name).write_bytes(data)
            names.append(name)
        common = ["-shared", "-o", "image.so", *names]
        if linker == "cc":
            command = [program, "-nostdlib", "-Wl,--build-id=none", "-Wl,-z,noexecstack", *common]
        else:
            command = [program, "--build-id=none", "-z", "noexecstack", *common]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LinkError(f"{Path(program).name} failed: {done.stderr.strip() or done.stdout.strip()}")
        return (Path(folder) / "image.so").read_bytes()
