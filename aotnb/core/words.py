"""Words for people. Standard library only."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "entry", "entries"), counted(3, "unit")
    ('1 entry', '3 units')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
