"""The images of a folder: what each holds, whether it can be loaded here, and which may go. Imports the loader's check."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from aotnb.core.records import ImageFile
from aotnb.errors import AotError, ImageRejected
from aotnb.image.journal import journal_of
from aotnb.image.reader import ImageReader
from aotnb.loading.loader import check_fit
from aotnb.reports.tables import Table

COLUMNS = ("image", "entries", "bytes", "saved", "target", "numba", "python", "reason", "detail")

# What a prune of refused images takes. It leaves alone what is no image, or not this user's, and what lacks its base only.
GONE = frozenset({"version_changed", "format_version", "checksum", "cpu_mismatch"})


def images(folder: str | os.PathLike[str] = ".") -> list[ImageFile]:
    """Return the images in a folder and the folders below it, the latest first.

    Raises
    ------
    AotError
        If there is no such folder.
    """
    if not os.path.isdir(folder):
        raise AotError(f"there is no folder {os.fspath(folder)}; give the one that holds your images")
    found = [_image(path) for path in Path(folder).rglob("*.aot") if path.is_file()]
    return sorted(found, key=lambda image: (-image.saved, image.path))


def _image(path: Path) -> ImageFile:
    """Return what is known of one file; whatever is wrong with it is its reason."""
    stat, journal = path.stat(), journal_of(path)
    size = stat.st_size + (journal.stat().st_size if journal.exists() else 0)
    try:
        reader = ImageReader(path)
    except ImageRejected as error:
        return ImageFile(str(path), size, stat.st_mtime, reason=error.reason, detail=str(error))
    process = reader.index["process"]
    reason = detail = ""
    try:
        check_fit(reader)
    except ImageRejected as error:
        reason, detail = error.reason, str(error)
    return ImageFile(
        path=str(path),
        size=size,
        saved=stat.st_mtime,
        entries=sum(reader.instance(number).entry for number in range(len(reader))),
        target=";".join(target.label for target in reader.targets),
        numba=process["numba"],
        python=process["python"],
        reason=reason,
        detail=detail,
    )


def prune(
    folder: str | os.PathLike[str] = ".",
    *,
    refused: bool = False,
    max_size: int | str | None = None,
    older_than: float | None = None,
    dry_run: bool = False,
) -> list[ImageFile]:
    """Remove images, with their journals, from a folder and the folders below it, and return them.

    Only whole images with the seal of this user are ever removed; with *refused*, also those that are damaged or in another
    version of the format.

    Parameters
    ----------
    folder
        Where they are.
    refused
        Those that cannot be loaded in this environment: another version of Python, Numba, NumPy or of the file format,
        another CPU, or a damaged file.
    max_size
        The oldest ones, until the others have no more than these bytes; texts such as "500MB" are understood.
    older_than
        Those that were saved more than this many days ago.
    dry_run
        Return what would be removed, and remove nothing.

    Raises
    ------
    AotError
        If nothing says which images may go, if a size cannot be understood, or if a file cannot be removed.
    """
    if not refused and max_size is None and older_than is None:
        raise AotError("nothing says which images may go; give --refused, --max-size SIZE or --older-than DAYS")
    limit = None if max_size is None else parse_size(max_size)
    found = images(folder)
    gone = [image for image in found if refused and image.reason in GONE]
    kept = [image for image in found if not image.reason]
    if older_than is not None:
        gone += [image for image in kept if image.saved < time.time() - older_than * 86400]
        kept = [image for image in kept if image not in gone]
    while limit is not None and kept and sum(image.size for image in kept) > limit:
        gone.append(kept.pop())
    if not dry_run:
        _remove(gone)
    return gone


def _remove(gone: Iterable[ImageFile]) -> None:
    for image in gone:
        try:
            os.unlink(image.path)
            journal_of(Path(image.path)).unlink(missing_ok=True)
        except OSError as error:
            raise AotError(f"cannot remove {image.path}: {error.strerror or error}") from None


def parse_size(text: int | str) -> int:
    """Return bytes.

    >>> parse_size("500MB"), parse_size("1.5 kb"), parse_size(12)
    (524288000, 1536, 12)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", str(text).strip().upper())
    if found is None:
        raise AotError(f"{text!r} is no size; say for example 500MB or 2GB")
    return int(float(found[1]) * 1024 ** " KMG".index(found[2] or " "))


def images_table(found: Iterable[ImageFile]) -> Table:
    """Return one row for each image."""
    return Table(
        COLUMNS,
        [
            (i.path, i.entries, i.size, time.strftime("%Y-%m-%d %H:%M", time.localtime(i.saved)), i.target, i.numba, i.python,
             i.reason, i.detail)
            for i in found
        ],
    )  # fmt: skip
