"""The demo: trace and save in one kernel, load and run in a fresh one, and compare with Numba as it is.

``python notebooks/demo.py`` executes both notebooks, then measures each workload in fresh processes: with nothing cached, with
Numba's own cache as the libraries ship it, and with the image. The exit status is 1 if the second kernel or a process with the image
compiled anything, or if a result differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORKLOADS = ("stumpy", "umap")
LIMIT_S = 1800
TICK_S = 5


def say(text: str) -> None:
    print(text, flush=True)


class Step:
    """Say what begins, put a dot every few seconds while it lasts, and say how long it took."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.over = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)

    def _tick(self) -> None:
        while not self.over.wait(TICK_S):
            print(".", end="", flush=True)

    def __enter__(self) -> None:
        self.started = time.monotonic()
        print(f"  {self.what} ...", end="", flush=True)
        self.ticker.start()

    def __exit__(self, *failed: object) -> None:
        self.over.set()
        self.ticker.join()
        print(" failed" if failed[0] else f" {time.monotonic() - self.started:.1f} s", flush=True)


def environment(folder: Path, cache: str) -> dict[str, str]:
    """Return the environment of a fresh process: an empty Numba cache, our own key, no switches from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AOTNB_", "NUMBA_"))}
    paths = [str(HERE), str(HERE.parent), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {
        "AOTNB_HOME": str(folder / "home"),
        "IPYTHONDIR": str(folder / "ipython"),
        "NUMBA_CACHE_DIR": str(folder / cache),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def execute(name: str, folder: Path) -> dict[str, str]:
    """Execute a notebook in a fresh kernel; return the last text output of each tagged cell by tag."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    say(f"{name} in a fresh kernel")
    notebook = nbformat.read(HERE / name, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=LIMIT_S,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        with client.setup_kernel(env=environment(folder, f"cache of {name}")):
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    with Step(title(cell.source)):
                        client.execute_cell(cell, index)
                    show(cell)
    except CellExecutionError as error:
        raise SystemExit(f"{name} stopped: {error.ename}: {error.evalue}") from None
    nbformat.write(notebook, folder / name)
    return {tag: result for cell in notebook.cells for tag in cell.metadata.get("tags", ()) for result in results(cell)}


def title(source: str) -> str:
    lines = source.splitlines()
    return lines[0] if len(lines) == 1 else f"{lines[0]} [{len(lines)} lines]"


def outputs(cell: Any, *kinds: str) -> list[str]:
    """Return the texts of a cell's outputs of some kinds."""
    found = (output for output in cell.get("outputs", ()) if output["output_type"] in kinds)
    return [output["data"].get("text/plain", "") for output in found]


def results(cell: Any) -> list[str]:
    """Return the value of a cell's last expression, if it has one."""
    return outputs(cell, "execute_result")


def show(cell: Any) -> None:
    """Say the first line of what aotnb reported."""
    for text in outputs(cell, "execute_result", "display_data"):
        first = text.strip().splitlines()[0] if text.strip() else ""
        if first.startswith(("trace ", "saved ", "loaded ", "aotnb ")):
            say(f"      {first}")


def measure(workload: str, folder: Path, cache: str, *, image: Path | None = None) -> dict[str, Any]:
    """Run one workload in a fresh process."""
    command = [sys.executable, str(HERE / "measure.py"), workload, *([str(image)] if image else [])]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment(folder, cache), timeout=LIMIT_S, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"the workload {workload} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(workload: str, folder: Path, image: Path) -> dict[str, dict[str, Any]]:
    """Measure a workload in each way; the first process with a cache folder fills it, the second one uses it."""
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "aotnb image": lambda: measure(workload, folder, f"unused {workload}", image=image),
        "cold": lambda: measure(workload, folder, f"cache {workload}"),
        "Numba's cache as shipped": lambda: measure(workload, folder, f"cache {workload}"),
    }
    figures = {}
    say(f"{workload} in fresh processes")
    for way, run in ways.items():
        with Step(way):
            figures[way] = run()
    return {way: figures[way] for way in ("cold", "Numba's cache as shipped", "aotnb image")}


def table(workload: str, figures: dict[str, dict[str, Any]]) -> str:
    """Return the figures of a workload, one line for each way."""
    expected = figures["cold"]["digest"]
    head = f"{workload:<26}{'load':>9}{'import':>10}{'first call':>12}{'steady state':>14}{'JIT compilations':>18}  digest"
    lines = [head, "-" * len(head)]
    for way, found in figures.items():
        same = found["digest"] + ("" if found["digest"] == expected else "  DIFFERS")
        load = f"{found['load'] * 1000:.0f} ms" if found["load"] else ""
        lines.append(
            f"{way:<26}{load:>9}{found['import']:>8.2f} s{found['first']:>10.3f} s{found['steady']:>12.3f} s"
            f"{found['compilations']:>18}  {same}"
        )
    return "\n".join(lines)


def problems(
    first: dict[str, str], second: dict[str, str], figures: dict[str, dict[str, dict[str, Any]]], workloads: list[str]
) -> list[str]:
    """Return what went wrong, in sentences."""
    found = []
    if second["compilations"] != "0 JIT compilations":
        found.append(f"the second kernel compiled: {second['compilations']} ({second.get('compiled', '')})")
    if second["run:edited"] == second["run:own"]:
        found.append(f"the answer did not follow the edit of a helper: it is still {second['run:edited']}")
    for workload in workloads:
        digests = {"kernel 1": first[f"run:{workload}"].strip("'"), "kernel 2": second[f"run:{workload}"].strip("'")}
        digests |= {way: found_["digest"] for way, found_ in figures.get(workload, {}).items()}
        if len(set(digests.values())) > 1:
            found.append(f"{workload}: the results differ: {digests}")
        compiled = figures.get(workload, {}).get("aotnb image", {}).get("compiled", [])
        if compiled:
            found.append(f"{workload}: with the image {len(compiled)} functions were compiled, the first being {compiled[0]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="aotnb demo", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--only-notebooks", action="store_true", help="leave out the fresh processes and the table")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the image and the executed notebooks there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aotnb-demo-") as temporary:
        folder = Path(args.keep or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        first = execute("01_trace_and_save.ipynb", folder)
        second = execute("02_load_and_run.ipynb", folder)
        figures = {} if args.only_notebooks else {w: compare(w, folder, folder / "demo.aot") for w in WORKLOADS}
    for workload, found in figures.items():
        say(f"\n{table(workload, found)}")
    wrong = problems(first, second, figures, [*WORKLOADS, "own"])
    for sentence in wrong:
        print(f"\n{sentence}", file=sys.stderr)
    if not wrong:
        say(f"\nThe second kernel compiled nothing ({second['compilations']}), and all results are the same.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
