"""What a user asks of the present session: records that know their frames."""

from __future__ import annotations

from aotnb import session
from aotnb.reports.changes import Invalidations


def invalidations() -> Invalidations:
    """Return what was invalidated in this process, and why, oldest first: a tuple of records with ``.frame`` and ``.tree()``."""
    return Invalidations(session.invalidations())
