"""Real front ends and a real Chromium, all on the loopback interface: ``make test-browser``.

A missing browser skips; ``AOTNB_BROWSER=required`` makes that a failure, for runs that exist to test it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `from looks import ...`: the tests are no package

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
LIMIT_MS = 120_000
ROOT = Path(__file__).resolve().parents[2]


class FrontEnd(NamedTuple):
    """A Jupyter application: its command, its name in options, where it opens a notebook."""

    command: str
    app: str
    address: str


FRONT_ENDS = {
    "lab": FrontEnd("lab", "LabApp", "lab/tree"),
    "notebook": FrontEnd("notebook", "JupyterNotebookApp", "notebooks"),
}


class Server(NamedTuple):
    """A running server: address, token, folder of notebooks, front end."""

    url: str
    token: str
    folder: Path
    front_end: FrontEnd


def missing(what: str) -> None:
    if os.environ.get("AOTNB_BROWSER") == "required":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("no playwright; make test-browser installs it")
    executable = os.environ.get("AOTNB_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if executable is None:
        missing("no Chromium on PATH; install it or set AOTNB_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=sorted(FRONT_ENDS))
def server(request: pytest.FixtureRequest, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A private server of each front end."""
    front_end = FRONT_ENDS[request.param]
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("notebooks")
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyter", front_end.command, "--no-browser", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}", f"--{front_end.app}.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    env = {key: value for key, value in os.environ.items() if not key.startswith("AOTNB_")} | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "AOTNB_HOME": str(home / "aotnb"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    log = home / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            while not _answers(f"{url}/api/status?token={token}"):
                if process.poll() is not None:
                    pytest.fail(f"the server did not start:\n{log.read_text()}")
                time.sleep(0.2)
            yield Server(url, token, folder, front_end)
        finally:
            process.terminate()
            try:
                process.wait(60)  # it ends its kernels first
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.URLError:
        return False
    return True


class Notebook:
    """One open notebook, driven through the front end's own command registry."""

    PANEL = "window.jupyterapp.shell.currentWidget"

    def __init__(self, page: Any) -> None:
        self.page = page

    def wait_for_kernel(self) -> None:
        """Wait until the kernel answers; a cell that is run before is silently dropped."""
        self.page.wait_for_function(f"() => {self.PANEL}?.sessionContext", timeout=LIMIT_MS)
        self.page.evaluate(
            f"async () => {{ const s = {self.PANEL}.sessionContext; await s.ready; await s.session.kernel.info; }}"
        )

    def run_all(self) -> bool:
        """Run all cells to the end; return whether all of them succeeded."""
        return bool(self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')"))

    def run(self, number: int) -> bool:
        """Run one cell to its end; return whether it succeeded."""
        self.page.evaluate(f"number => {{ {self.PANEL}.content.activeCellIndex = number; }}", number)
        return bool(self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')"))

    def restart(self) -> None:
        """Restart the kernel."""
        self.page.evaluate(f"async () => {{ await {self.PANEL}.sessionContext.restartKernel(); }}")
        self.wait_for_kernel()

    def outputs(self) -> list[str]:
        """Return the text of each output area."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea").all_inner_texts()


@pytest.fixture
def open_notebook(server: Server, browser: Any) -> Iterator[Callable[..., Notebook]]:
    """Write a notebook, open it, wait until its kernel answers. No request may leave the machine."""
    import nbformat

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(LIMIT_MS)
    abroad: list[str] = []

    def only_here(route: Any) -> None:
        if route.request.url.startswith((server.url, "data:", "blob:")):
            route.continue_()
        else:
            abroad.append(route.request.url)
            route.abort()

    context.route("**/*", only_here)

    def open_(name: str, *sources: str) -> Notebook:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), server.folder / name)
        page = context.new_page()
        page.goto(f"{server.url}/{server.front_end.address}/{name}?token={server.token}&reset")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.evaluate("() => window.jupyterapp.shell.collapseLeft?.()")
        notebook = Notebook(page)
        notebook.wait_for_kernel()
        return notebook

    yield open_
    context.close()
    assert abroad == []
