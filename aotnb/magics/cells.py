"""A traced cell behaves as an untraced one: same traceback, same reply, same line numbers, top-level ``await``.

A nested ``run_cell`` would give none of that. So the first line ``%%aot_trace ARGS`` is replaced by one line that calls
the line magic ``%aot_trace ARGS``, which opens a trace; the shell's event ``post_run_cell``, which fires after errors and
interrupts too, closes it. Cells whose body is itself a cell magic (``%%time``) cannot be rewritten: they are run
through that magic, inside the trace.

Glossary: *owner* = the ``ExecutionInfo`` of the cell that opened the trace. Cells can nest (``%%capture`` runs one), so
the trace is closed by the end of its owner and of no other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IPython.display import display

from aotnb import session
from aotnb.display.bundle import trace_report

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from aotnb.session import Trace

_FIRST_LINE = re.compile(r"%%aot_trace(?:[ \t]+(?P<args>.*?))?[ \t]*$")
_FUTURE_LINE = re.compile(r"from[ \t]+__future__[ \t]+import[ \t]+[\w, \t]+$")


def transform(lines: list[str]) -> list[str]:
    """Turn a first line ``%%aot_trace ARGS`` into a call of the line magic; the number of lines stays.

    ``from __future__`` must come first in a cell, so where the body has such lines the call goes behind the last one.
    """
    found = _FIRST_LINE.match(lines[0].rstrip("\n")) if lines else None
    body = [line for line in lines[1:] if line.strip()]
    if found is None or not body or body[0].startswith("%%"):
        return lines
    call = f"get_ipython().run_line_magic('aot_trace', {found['args'] or ''!r})"
    future = [number for number, line in enumerate(lines) if _FUTURE_LINE.match(line.rstrip())]
    if not future:
        return [f"{call}\n", *lines[1:]]
    last = future[-1]
    return ["\n", *lines[1:last], f"{lines[last].rstrip()}; {call}\n", *lines[last + 1 :]]


# Without this, IPython in a terminal would take the cell for complete after the first line of its body.
transform.has_side_effects = True  # type: ignore[attr-defined]


class CellFailed(Exception):
    """Marks a nested cell that has shown its own traceback already."""

    def _render_traceback_(self) -> list[str]:
        return []


class TracedCells:
    """Opens and closes the trace of the cell that runs."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._running: list[ExecutionInfo] = []
        self._open: Trace | None = None
        self._owner: ExecutionInfo | None = None
        self._quiet = False

    def install(self) -> None:
        """Register the transformer and the events."""
        self.shell.input_transformers_cleanup.append(transform)
        self.shell.events.register("pre_run_cell", self._before)
        self.shell.events.register("post_run_cell", self._after)

    def uninstall(self) -> None:
        """Take transformer and events out again; a trace that is open is closed."""
        self.shell.input_transformers_cleanup.remove(transform)
        self.shell.events.unregister("pre_run_cell", self._before)
        self.shell.events.unregister("post_run_cell", self._after)
        self.close(show=False)

    def begin(self, name: str | None, *, quiet: bool) -> None:
        """Open a trace that ends with the cell that runs now."""
        trace = session.trace(name)
        trace.start()
        self._open, self._quiet = trace, quiet
        self._owner = self._running[-1] if self._running else None

    def close(self, *, show: bool) -> None:
        """Close the open trace, if there is one, and show its report."""
        trace, self._open, self._owner = self._open, None, None
        if trace is None:
            return
        trace.stop()
        if show and not self._quiet:
            display(trace_report(trace))

    def run_stacked(self, name: str | None, body: str, *, quiet: bool) -> Any:
        """Trace a body that the transformer has left alone: another cell magic, or a call from Python."""
        __tracebackhide__ = True
        self.begin(name, quiet=quiet)
        succeeded = False
        try:
            result = self._run(body)
            succeeded = True
            return result
        finally:
            self.close(show=succeeded)

    def _run(self, body: str) -> Any:
        __tracebackhide__ = True
        first, _, rest = body.lstrip("\n").partition("\n")
        if first.startswith("%%"):
            magic, _, arguments = first[2:].partition(" ")
            return self.shell.run_cell_magic(magic, arguments.strip(), rest)
        if not self.shell.run_cell(body).success:
            raise CellFailed("the traced cell failed")
        return None

    def _before(self, info: ExecutionInfo) -> None:
        self._running.append(info)

    def _after(self, result: ExecutionResult | None) -> None:
        # ipykernel gives None where the cell was cancelled by an interrupt: then the outermost cell is over
        info = result.info if result is not None else next(iter(self._running), None)
        place = next((number for number, item in enumerate(self._running) if item is info), len(self._running))
        ended = self._running[place:]
        del self._running[place:]
        if self._owner is None or any(item is self._owner for item in ended):
            self.close(show=result is not None and result.success)
