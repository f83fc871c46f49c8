"""``AOTNB_LOG=level`` or ``level:file``: the logger "aotnb" tells of hits, misses with their reason, loads, saves, invalidations.

A program that sets the logger up itself leaves the variable unset; nothing is written then unless it asks for it.
"""

from __future__ import annotations

import logging

from aotnb.errors import ConfigError

LEVELS = ("debug", "info", "warning", "error")
logger = logging.getLogger("aotnb")
logger.addHandler(logging.NullHandler())
_handler: logging.Handler | None = None


def set_up(wanted: str) -> None:
    """Write the log as *wanted*: "level", to standard error, "level:file", or "" for not at all.

    ``info`` tells of misses, loads, saves and invalidations, ``debug`` of every call that an image served, too.

    Raises
    ------
    ConfigError
        If there is no such level, or the file cannot be written.
    """
    global _handler
    level, _, file = wanted.partition(":")
    if wanted and level.lower() not in LEVELS:
        raise ConfigError(f"the log level {level!r} is unknown; AOTNB_LOG (or log) is one of {', '.join(LEVELS)}, or LEVEL:FILE")
    try:
        handler = (logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler()) if wanted else None
    except OSError as error:
        raise ConfigError(f"the log file {file} of AOTNB_LOG cannot be written: {error.strerror}") from None
    if _handler is not None:
        logger.removeHandler(_handler)
        _handler.close()
        logger.setLevel(logging.NOTSET)
    _handler = handler
    if handler is not None:
        handler.setFormatter(logging.Formatter("%(asctime)s aotnb[%(process)d] %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(level.upper())
