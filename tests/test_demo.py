"""The demo from end to end, with the real libraries: minutes, so not part of the usual run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[1] / "notebooks" / "demo.py"


@pytest.mark.corpus
@pytest.mark.slow
def test_the_second_kernel_compiles_nothing() -> None:
    pytest.importorskip("stumpy")
    pytest.importorskip("umap")
    done = subprocess.run(
        [sys.executable, str(DEMO), "--only-notebooks"], capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The second kernel compiled nothing" in done.stdout
