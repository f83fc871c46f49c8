"""One line at the top of a notebook: load the image if it is there, and add to it whatever is compiled from then on."""

from __future__ import annotations

import atexit
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from aotnb import log, session
from aotnb.autostart import REPLACEABLE
from aotnb.core.records import LoadReport
from aotnb.errors import AotError, ImageRejected

if TYPE_CHECKING:
    from aotnb.building.background import BackgroundSave

MANY_RECORDS = 16  # of a journal: more are made one file again

_running: dict[Path, Auto] = {}  # by absolute path


class Auto:
    """Keeps the image at ``path`` in step with what this process compiles, until :meth:`stop`.

    ``loaded`` is the report on the image that was there, None where there was none; ``refused`` says why it could not be used
    and will be replaced. ``problem`` is the last error of a save, None where all went well.
    """

    def __init__(self, path: Path, loaded: LoadReport | None, refused: str | None) -> None:
        self.path, self.loaded, self.refused = path, loaded, refused
        self.problem: AotError | None = None
        self._build: BackgroundSave | None = None
        self._in_vain: set[int] = set()
        self._replace = refused is not None
        atexit.register(self._finish)

    def save(self) -> BackgroundSave | None:
        """Begin to store what is new, in a process of its own; None where nothing is, or the last save is still under way.

        What is compiled while a save is under way is taken by the next one. An image is made by the first save, the later
        ones add to its journal.
        """
        if self._build is not None and not self._build.is_done():
            return None
        fresh = self._fresh()
        if not fresh:
            return None
        from aotnb import saving

        journal = self.path.exists() and not self._replace
        try:
            self._build = saving.save_in_background(self.path, journal=journal, tell=self._saved)
        except AotError as error:  # tried again when something else has been compiled
            self._in_vain |= fresh
            self._failed(error)
            return None
        return self._build

    def stop(self) -> None:
        """Store what is new, and end; the image and its journal stay."""
        self._finish()
        atexit.unregister(self._finish)
        _running.pop(self.path.absolute(), None)

    def _fresh(self) -> set[int]:
        """Return the compilations that Python asked for and that are not stored yet."""
        here = session.active()
        called = {instance.index for instance in here.recorder.instances if instance.python_called}
        return called - here.stored.get(self.path.absolute(), set()) - self._in_vain

    def _saved(self, build: BackgroundSave) -> None:
        if build.error is None:
            self._replace, self.problem = False, None
        else:
            self._failed(build.error)

    def _failed(self, error: AotError) -> None:
        self.problem = error
        log.logger.warning("not saved: %s", error)

    def _finish(self) -> None:
        """Wait for the save that is under way, and do the last one."""
        for _ in range(2):
            if self._build is not None:
                with contextlib.suppress(AotError):
                    self._build.wait()
            if not session.is_active() or self.save() is None:
                return

    def __repr__(self) -> str:
        if self.problem is not None:
            return f"{self.path} is not up to date: {self.problem}"
        if self.refused is not None:
            return f"{self.refused} (it will be replaced by what is compiled here)"
        if self.loaded is None:
            return f"{self.path} is not there yet; it is made of what is compiled from now on"
        return f"{self.path} is loaded ({self.loaded.entries} entries); what is compiled from now on is added to its journal"


def auto(path: str | Path | None = None) -> Auto:
    """Load the image at *path* if it is there, and add to it from now on what this process compiles.

    In a notebook, ``%aot_auto`` saves after each cell, in a process of its own. A script saves when it ends, or by ``save()`` of
    what is returned.

    Parameters
    ----------
    path
        The image file; None is the one that the settings name. It may not be there yet.

    Raises
    ------
    ImageRejected
        If the image is damaged or not trusted. One that was made for another environment or CPU is replaced.
    AotError
        If no path is given or set.
    """
    session.activate()
    where = Path(session.named_image(path))
    known = _running.get(where.absolute())
    if known is not None:
        return known
    loaded, refused = None, None
    if where.exists():
        try:
            loaded = session.load(where)
        except ImageRejected as error:
            if error.reason not in REPLACEABLE:
                raise
            refused = str(error)
    found = _running[where.absolute()] = Auto(where, loaded, refused)
    if loaded is not None and len(loaded.journal) > MANY_RECORDS:
        from aotnb import saving

        saving.compact_in_background(where)
    return found
