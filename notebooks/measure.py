"""Run one workload of the demo in this process and print its times as JSON: ``measure.py WORKLOAD [IMAGE]``.

The code of the workload is taken from the cells of the first notebook, without the magics.
"""

from __future__ import annotations

import ast
import json
import sys
import time
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("01_trace_and_save.ipynb")
STEADY_CALLS = 3


def cell(tag: str) -> str:
    """Return the source of the cell with a tag, without its magic."""
    for found in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if tag in found["metadata"].get("tags", ()):
            lines = "".join(found["source"]).splitlines()
            return "\n".join(line for line in lines if not line.startswith("%"))
    raise LookupError(f"{NOTEBOOK.name} has no cell with the tag {tag}")


def run(source: str, names: dict[str, Any]) -> tuple[float, Any]:
    """Run a cell; return seconds and the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    body = compile(tree, "<workload>", "exec")
    value = compile(ast.Expression(last.value), "<workload>", "eval") if last is not None else None
    started = time.perf_counter()
    exec(body, names)
    result = eval(value, names) if value is not None else None
    return time.perf_counter() - started, result


def main() -> None:
    workload, image = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else None)
    names: dict[str, Any] = {}
    run(cell("setup"), names)
    load = 0.0
    started = time.perf_counter()
    if image is not None:
        import aotnb

        aotnb.activate()
        before = time.perf_counter()
        aotnb.load(image)
        load = time.perf_counter() - before
    from demo_tools import CompilationCounter

    counter = CompilationCounter()
    prepared = time.perf_counter() - started
    imported, _ = run(cell(f"import:{workload}"), names)
    first, digest = run(cell(f"run:{workload}"), names)
    compiled = counter.compiled
    steady = min(run(cell(f"run:{workload}"), names)[0] for _ in range(STEADY_CALLS))
    figures = {
        "prepare": prepared,
        "load": load,
        "import": imported,
        "first": first,
        "steady": steady,
        "compilations": len(compiled),
        "compiled": compiled,
        "digest": digest,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
