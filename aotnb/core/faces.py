"""What every record that a user is given can do: show itself, give its table, draw itself, open itself, become a file.

The display layer is far above the records. It is imported by name when a face is asked for, so that recording, saving and
loading need neither pandas nor matplotlib nor ipywidgets.
"""

from __future__ import annotations

import importlib
from typing import Any


class Faces:
    """``frame``, ``plot()``, ``explore()`` and ``to_html()`` of a record."""

    __slots__ = ()

    def _report(self) -> Any:
        return importlib.import_module("aotnb.display.bundle").report(self)

    @property
    def frame(self) -> Any:
        """All rows as a pandas frame."""
        return self._report().frame

    def plot(self) -> Any:
        """Draw the record: a matplotlib Figure."""
        return self._report().plot()

    def explore(self) -> Any:
        """Open the rows in widgets: filter, sort, and look at one after the other."""
        return self._report().explore()

    def to_html(self, file: Any) -> Any:
        """Write one self-contained HTML file, which loads nothing from anywhere, and return its path."""
        return self._report().to_html(file)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = self._report()._repr_mimebundle_(include, exclude)
        return bundle
