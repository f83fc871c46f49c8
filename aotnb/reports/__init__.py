"""Records of the session as pandas frames and as sentences. Reads only; pandas is imported when a frame is asked for."""

from aotnb.reports.explain import REASONS, Reason, cure, sentence
from aotnb.reports.frames import compilations, dropped, misses, roots_growth, status

__all__ = [
    "REASONS",
    "Reason",
    "compilations",
    "cure",
    "dropped",
    "misses",
    "roots_growth",
    "sentence",
    "status",
]
