"""A shell in this process for what needs no kernel, and real kernels for the rest.

The shell is taken down again after each module, so other tests of the same process see Numba and ``__main__`` as before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LIMIT_S = 120


@pytest.fixture(scope="module")
def bare_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An IPython shell without the extension."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.InteractiveShell.colors = "nocolor"
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    before = os.environ.get("IPYTHONDIR")
    os.environ["IPYTHONDIR"] = str(tmp_path_factory.mktemp("ipython"))
    shell = InteractiveShell.instance(config=config)
    yield shell
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()
    os.environ.pop("IPYTHONDIR") if before is None else os.environ.update(IPYTHONDIR=before)


@pytest.fixture
def shell(bare_shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The shell with the extension loaded, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AOTNB_HOME", str(tmp_path / "home"))
    assert bare_shell.run_cell("%load_ext aotnb").success
    yield bare_shell
    bare_shell.run_cell("%unload_ext aotnb")
    bare_shell.reset(new_session=False)


class Kernel:
    """A real kernel: each cell gives its reply and its outputs."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import start_new_kernel

        package = Path(__import__("aotnb").__file__).parents[1]
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("AOTNB_")} | {
            "AOTNB_HOME": str(folder / "home"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")])),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        self.manager, self.client = start_new_kernel(LIMIT_S, "python3", env=self.env, cwd=str(folder))

    def send(self, code: str, *, watched: bool = False) -> str:
        """Start a cell; ``finish`` waits for it. ``watched``: as a front end does where somebody sits at the keyboard."""
        return self.client.execute(code, allow_stdin=watched)

    def finish(self, message: str) -> Cell:
        """Return reply and outputs of a cell that was sent."""
        outputs = []
        while True:
            got = self.client.get_iopub_msg(timeout=LIMIT_S)
            if got["parent_header"].get("msg_id") != message:
                continue
            if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle":
                break
            outputs.append(got)
        while (reply := self.client.get_shell_msg(timeout=LIMIT_S))["parent_header"].get("msg_id") != message:
            pass
        return Cell(reply["content"], outputs)

    def run(self, code: str, *, watched: bool = False) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.send(code, watched=watched))

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Cell:
    """Reply and outputs of one cell."""

    def __init__(self, reply: dict[str, Any], outputs: list[dict[str, Any]]) -> None:
        self.reply = reply
        self.status: str = reply["status"]
        self.text = "".join(o["content"]["text"] for o in outputs if o["msg_type"] == "stream")
        self.errors = ["\n".join(o["content"]["traceback"]) for o in outputs if o["msg_type"] == "error"]
        kinds = ("display_data", "execute_result")
        self.updates = [o["content"]["data"] for o in outputs if o["msg_type"] == "update_display_data"]
        self.shown = [o["content"]["data"].get("text/plain", "") for o in outputs if o["msg_type"] in kinds]


@pytest.fixture
def new_kernel(tmp_path: Path) -> Iterator[Callable[[], Kernel]]:
    """Return a function that starts a kernel in the test's folder; all are shut down at the end."""
    if sys.platform == "win32":
        pytest.skip("kernels are interrupted by a signal here")
    started: list[Kernel] = []

    def start() -> Kernel:
        started.append(Kernel(tmp_path))
        return started[-1]

    yield start
    for kernel in started:
        kernel.close()
