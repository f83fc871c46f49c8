"""``%aot_auto``: after each cell, what it compiled is added to an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aotnb.automatic import auto

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from aotnb.automatic import Auto


class Keeper:
    """Saves after the cells of a shell, and says once why it could not."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.auto: Auto | None = None
        self._told = ""

    def begin(self, file: str | None) -> Auto:
        """Load the image and save after each cell from now on; an image that was kept until now is kept no longer."""
        found = auto(file)
        if found is not self.auto:
            self.end()
            self.auto = found
            self.shell.events.register("post_run_cell", self._after)
        return found

    def end(self) -> None:
        """Save what is new, and no more after that."""
        if self.auto is None:
            return
        self.shell.events.unregister("post_run_cell", self._after)
        self.auto.stop()
        self.auto = None

    def _after(self, _result: Any) -> None:
        assert self.auto is not None
        self.auto.save()
        problem = str(self.auto.problem or "")
        if problem and problem != self._told:
            print(f"aotnb: {self.auto.path} is not up to date: {problem}")
        self._told = problem
