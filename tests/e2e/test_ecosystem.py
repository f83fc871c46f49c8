"""Libraries that nobody here wrote: recorded in one process, run in the next one without a single compilation."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from harness import LIMIT, clean_environment, make_file, tail

STUMPY = """
import stumpy
rng = np.random.default_rng(2)
t = np.cumsum(rng.normal(size=300))
print(stumpy.stump(t, m=20)[:, 0].astype(float).round(6).tolist())
"""

UMAP = """
import umap
data = np.random.default_rng(0).normal(size=(60, 5))
print(umap.UMAP(n_neighbors=5, n_epochs=20, random_state=1).fit_transform(data).round(3).tolist())
"""


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.parametrize(("library", "text"), [("stumpy", STUMPY), ("umap", UMAP)])
def test_second_process_compiles_nothing(library: str, text: str, tmp_path: Path) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    make_file(tmp_path / "main.py", text)

    def run(*options: str) -> tuple[str, dict]:
        report = tmp_path / "report.json"
        command = [
            sys.executable,
            "-m",
            "aotnb",
            "run",
            "--image",
            str(tmp_path / "image.aot"),
            *options,
            "--report",
            str(report),
            "main.py",
        ]
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment(tmp_path), capture_output=True, text=True, timeout=LIMIT
        )
        assert done.returncode == 0, tail(done.stderr)
        return done.stdout, json.loads(report.read_text())

    first, recorded = run("--record")
    assert recorded["compilations"] > 0
    second, replayed = run()
    assert second == first
    assert replayed["served"]
    assert replayed["compilations"] == 0, replayed["misses"]
