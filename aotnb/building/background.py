"""A build in a process of its own, while this one goes on: what ``save_in_background`` gives back."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aotnb.bridge.environment import apply_settings, compiler_settings
from aotnb.building.pipeline import Job, dump
from aotnb.building.worker import Channel, Worker
from aotnb.core.records import SaveReport
from aotnb.core.words import counted
from aotnb.errors import AotError, BuildError


class BackgroundSave:
    """A save that is under way. The file appears, or is replaced, as a whole when it is done.

    ``stage``, ``done`` and ``total`` say how far it is. In another thread, *progress* is called with them whenever they change,
    and *tell* with this object at its end.
    """

    def __init__(
        self,
        job: Job,
        path: Path,
        link: str,
        journal: bool,
        tell: Callable[[BackgroundSave], None],
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.path = str(path)
        self.stage, self.done, self.total = "start", 0, 1
        self.report: SaveReport | None = None
        self.error: AotError | None = None
        self._cancelled = False
        self._tell = tell
        self._progress = progress or (lambda stage, done, total: None)
        self._worker = Worker(__name__)
        self._worker.send((job, path, link, journal, compiler_settings()))
        self._thread = threading.Thread(target=self._listen, name=f"aotnb save {path.name}", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> SaveReport:
        """Wait for the end, at most *timeout* seconds, and return the report.

        Raises
        ------
        TimeoutError
            If it is still under way by then.
        BuildError, LinkError
            If it failed or was cancelled. The old file is as it was then.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"{self.path} is still being built ({self.stage})")
        if self.error is not None:
            raise self.error
        assert self.report is not None
        return self.report

    def is_done(self) -> bool:
        """Return whether it has ended, well or not."""
        return self.report is not None or self.error is not None

    def cancel(self) -> None:
        """Stop the build; the old file stays as it is. Does nothing once it has ended."""
        if not self.is_done():
            self._cancelled = True
            self._worker.terminate()
        self._thread.join()

    def _listen(self) -> None:
        try:
            while not self.is_done():
                kind, value = self._worker.receive()
                if kind == "progress":
                    self.stage, self.done, self.total = value
                    self._progress(*value)
                elif kind == "saved":
                    self.report = value
                else:
                    self.error = value
        except BuildError as error:
            self.error = (
                BuildError(f"the build of {self.path} was cancelled; what was there before is unchanged")
                if self._cancelled
                else error
            )
        self._worker.close()
        self._tell(self)

    def __repr__(self) -> str:
        if self.report is not None:
            held = counted(self.report.entries, "entry", "entries")
            return f"saved {self.path}: {held}, {self.report.size / 1024:.0f} KB, {self.report.seconds:.2f} s"
        if self.error is not None:
            return f"not saved: {self.error}"
        return f"building {self.path} in the background: {self.stage} {self.done}/{self.total}"


def serve() -> None:
    """Do one build for another process: what the worker runs."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that what is half written is removed
    channel = Channel()
    job, path, link, journal, settings = channel.receive()
    apply_settings(settings)

    def tell(kind: str, value: Any) -> None:
        with contextlib.suppress(OSError):  # whoever asked may be gone: the image is wanted all the same
            channel.send((kind, value))

    try:
        report = dump(job, path, link=link, journal=journal, progress=lambda *stage: tell("progress", stage))
    except AotError as error:
        tell("failed", error)
    except Exception as error:  # noqa: BLE001 - told to the process that asked
        tell("failed", BuildError(f"{type(error).__name__}: {error}; please report this"))
    else:
        tell("saved", report)
