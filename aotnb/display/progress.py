"""Progress of a build: silent for half a second, then one line that is rewritten. Standard library only.

A face decides where the line goes: a terminal's standard error, or a display that the notebook rewrites. Where nobody
watches (a pipe, nbconvert, CI) there is no line at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Any, Protocol, TextIO

DELAY = 0.5
INTERVAL = 0.1
WIDTH = 24


class Progress(Protocol):
    """What a long-running call is given: it reports, and someone may show it."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


class Surface(Protocol):
    """Where the line is shown."""

    def show(self, stage: str, done: int, total: int, seconds: float) -> None: ...
    def clear(self) -> None: ...


class Watched:
    """A :class:`Progress` that is shown on a surface once it lasts, and wiped off at the end; a context manager."""

    def __init__(self, surface: Surface, clock: Callable[[], float] = time.monotonic) -> None:
        self._surface = surface
        self._clock = clock
        self._started = clock()
        self._shown_at: float | None = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = self._clock()
        recent = self._shown_at is not None and now - self._shown_at < INTERVAL and stage == self._stage
        if now - self._started < DELAY or recent:
            return
        self._shown_at, self._stage = now, stage
        self._surface.show(stage, done, total, now - self._started)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._shown_at is not None:
            self._surface.clear()


class Silent:
    """A :class:`Progress` that shows nothing; a context manager like :class:`Watched`."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        pass

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class TerminalLine:
    """A surface: one line of a terminal, rewritten in place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._length = 0

    def show(self, stage: str, done: int, total: int, seconds: float) -> None:
        line = text_line(stage, done, total, seconds)
        self._stream.write("\r" + line.ljust(self._length))
        self._stream.flush()
        self._length = len(line)

    def clear(self) -> None:
        self._stream.write("\r" + " " * self._length + "\r")
        self._stream.flush()


class Display:
    """A surface: a display of the notebook. ``publish`` shows a bundle and returns a function that replaces it."""

    def __init__(self, publish: Callable[[dict[str, str]], Callable[[dict[str, str]], Any]]) -> None:
        self._publish = publish
        self._replace: Callable[[dict[str, str]], Any] | None = None

    def show(self, stage: str, done: int, total: int, seconds: float) -> None:
        line = f"{escape(stage)} {done}/{total}, {seconds:.1f} s"
        html = f'<progress value="{done}" max="{max(total, 1)}"></progress> {line}'
        self._put({"text/plain": text_line(stage, done, total, seconds), "text/html": html})

    def clear(self) -> None:
        self._put({"text/plain": "", "text/html": ""})

    def _put(self, bundle: dict[str, str]) -> None:
        if self._replace is None:
            self._replace = self._publish(bundle)
        else:
            self._replace(bundle)


def text_line(stage: str, done: int, total: int, seconds: float) -> str:
    """Return the line for a terminal.

    >>> text_line("compile", 1, 4, 1.25)
    'compile [######..................] 1/4, 1.2 s'
    """
    filled = WIDTH * min(done, total) // max(total, 1)
    return f"{stage} [{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total}, {seconds:.1f} s"


def for_stream(stream: TextIO) -> Watched | Silent:
    """Return progress on a terminal, or silence where the stream is none."""
    return Watched(TerminalLine(stream)) if stream.isatty() else Silent()
