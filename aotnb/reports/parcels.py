"""Which packages own what was compiled, and the statements that compile each one's part again. Imports the session."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from aotnb import session
from aotnb.building.edges import distributions_of
from aotnb.core.records import Compilation, Parcel
from aotnb.errors import AotError
from aotnb.reports.tables import Table
from aotnb.tracing.instance import Instance
from aotnb.tracing.statements import statements_of, timed

COLUMNS = ("package", "version", "functions", "compilations", "seconds", "share", "asked", "statements", "saved", "file")


def parcels(instances: Sequence[Instance]) -> list[Parcel]:
    """Return what was compiled of each package, the costliest first; the owner of code is the package of its function."""
    owned: dict[str, list[tuple[Instance, Compilation]]] = defaultdict(list)
    for instance, compilation in zip(instances, session.describe_instances(list(instances)), strict=True):
        owned[compilation.module.partition(".")[0]].append((instance, compilation))
    found = [_parcel(package, owned[package]) for package in owned]
    return sorted(found, key=lambda parcel: (-parcel.seconds, parcel.package))


def _parcel(package: str, owned: list[tuple[Instance, Compilation]]) -> Parcel:
    compilations = [compilation for _, compilation in owned]
    return Parcel(
        package=package,
        version=", ".join(version for _, version in distributions_of(package)),
        functions=len({(item.module, item.function) for item in compilations}),
        compilations=len(compilations),
        seconds=sum(item.own_seconds for item in compilations),
        asked=sum(item.called and not item.depth for item in compilations),
        statements=statements_of([instance for instance, _ in owned]),
        saved=sum(item.saveable for item in compilations),
    )


def write_parcels(found: Iterable[Parcel], folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Write a trace file for each package that Python asked something of, and return package -> file.

    The folder is made if it is missing. Files of earlier calls are replaced.

    Raises
    ------
    AotError
        If a file cannot be written.
    """
    written = {}
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for parcel in found:
            if not parcel.statements:
                continue
            written[parcel.package] = Path(folder) / f"{parcel.package}.trace"
            lines = "".join(timed(seconds, line) for line, seconds in parcel.statements.items())
            written[parcel.package].write_text(lines, encoding="utf-8")
    except OSError as error:
        raise AotError(f"cannot write trace files to {os.fspath(folder)}: {error.strerror or error}; give a folder") from None
    return written


def parcels_table(found: Sequence[Parcel], written: dict[str, Path]) -> Table:
    """Return one row for each package."""
    total = sum(parcel.seconds for parcel in found)
    return Table(
        COLUMNS,
        [
            (
                p.package,
                p.version,
                p.functions,
                p.compilations,
                p.seconds,
                p.seconds / total if total else 0.0,
                p.asked,
                p.replayable,
                p.saved,
                str(written.get(p.package, "")),
            )
            for p in found
        ],
    )
