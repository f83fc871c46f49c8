"""What a build made on the way, for other tools: an archive of each kind beside the image (``ar``, ``nm``, ``llvm-dis``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aotnb.bridge.codegen import UnitObject, aligned_loops, assembly_of
from aotnb.building.shards import UnitJob
from aotnb.errors import BuildError
from aotnb.image.format import replacing

EMIT = {"native": "", "object": "o", "bitcode": "bc", "assembly": "s"}  # kind -> extension of the members


def check_emit(emit: Sequence[str]) -> None:
    """Refuse what is no kind of output."""
    for kind in emit:
        if kind not in EMIT:
            raise BuildError(f"{kind!r} is nothing that can be emitted; choose among {', '.join(EMIT)}")


def archive_path(image: Path, kind: str) -> Path:
    """Return where the archive of *kind* lies: ``nb.aot`` has ``nb.bitcode.a`` beside it."""
    return image.with_name(f"{image.stem}.{kind}.a")


def write_archives(image: Path, emit: Sequence[str], jobs: Sequence[UnitJob], objects: Sequence[UnitObject]) -> None:
    """Write an archive for each kind of *emit*; "native" is the image itself. Its members are the units, in their order.

    ``unit3-1.o`` is the unit with the number 3, for the CPU target with the number 1.
    """
    for kind in emit:
        if kind == "native":
            continue
        if kind == "object":
            members = [item.data for item in objects]
        elif kind == "bitcode":
            members = [item.bitcode for item in objects]
        else:
            with aligned_loops():
                members = [assembly_of(item.bitcode, job.cpu, job.features) for job, item in zip(jobs, objects, strict=True)]
        named = {
            f"unit{number}-{job.target}.{EMIT[kind]}": data for number, (job, data) in enumerate(zip(jobs, members, strict=True))
        }
        with replacing(archive_path(image, kind)) as file:
            file.write(archive(named))


def archive(members: dict[str, bytes]) -> bytes:
    """Return a Unix archive; names of at most 15 bytes. Times, owners and modes are fixed, so equal members give equal bytes."""
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        head = f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
        parts += [head.encode(), data, b"\n" * (len(data) % 2)]
    return b"".join(parts)
