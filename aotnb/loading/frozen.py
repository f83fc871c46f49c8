"""Are the files of installed packages what they were when a base image was made?

Asked at every question: a look at each file's state costs microseconds, and its content is read again when that has changed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Any

_known: dict[str, tuple[tuple[int, ...], str]] = {}  # file -> its state when it was read, digest of its content


class FrozenFiles:
    """The files that a base image takes for granted; see :func:`aotnb.building.packages.frozen_tree`."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self._modules: dict[str, list[str]] = tree["modules"]
        self._records: dict[str, list[str]] = tree["records"]

    def hold(self, modules: list[str]) -> bool:
        """Return whether the files of *modules*, and the lists of files of their packages, have their recorded contents."""
        return all(map(self._holds, modules))

    def _holds(self, module: str) -> bool:
        name, place, content = self._modules[module]
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        if not file.endswith(os.sep + place):
            return False
        record, listing = self._records[name]
        return _digest(file) == content and _digest(file[: -len(place)] + record) == listing


def _digest(path: str) -> str:
    """Return the digest of a file's content, or "" where it cannot be read."""
    try:
        found = os.stat(path)
        # the time of the last change of the inode cannot be set back
        state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = _known.get(path)
        if known is None or known[0] != state:
            with open(path, "rb") as file:
                known = _known[path] = (state, hashlib.sha256(file.read()).hexdigest())
    except OSError:
        return ""
    return known[1]
