"""A real JupyterLab as `make lab` starts it, with every folder its own, and a notebook open in it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.built import ROOT

START_S, END_S = 90, 20
RUN_MS = 120_000
PRIVATE = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
}
SHIPPED = ROOT / "book" / "jupyter" / "jupyter_lab_config.py"
# the promise of a command is not handed out: one that runs a notebook ends when the notebook does
COMMAND = "name => { window.jupyterapp.commands.execute(name); }"
# asked of the kernel itself: what the window shows says idle before there is one, and running then asks for a kernel
IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


def _address(process: subprocess.Popen[bytes], runtime: Path, token: str, log: Path) -> str:
    """Where the server listens, as soon as it answers."""
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        for path in runtime.glob("jpserver-*.json"):
            with suppress(OSError, ValueError):
                address = f"http://127.0.0.1:{json.loads(path.read_text())['port']}"
                with urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=5):
                    return address
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()[-3000:]}")


@contextmanager
def jupyter_lab(top: Path, home: Path) -> Iterator[str]:
    """The address, with its token, of a JupyterLab with the book's settings that opens the first chapter.

    Args:
        top: what it shows in place of the repository: a folder with `nbs`.
        home: where it keeps its own files.
    """
    token, log = secrets.token_hex(16), home / "lab.log"
    home.mkdir()
    folders = {name: str(home / folder) for name, folder in PRIVATE.items()}
    command = [Path(sys.executable).with_name("jupyter-lab"), f"--config={SHIPPED}", "--no-browser", "--allow-root"]
    command += ["--ServerApp.port=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={top}"]
    command += ["--expose-app-in-browser"]  # for the test to run commands of the menu
    environment = {**os.environ, **folders, "LABUTILS_BUDGET": "smoke", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield f"{_address(process, home / 'runtime', token, log)}/?token={token}"
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and its kernels: kindly, so that it ends them itself, then whatever is left of its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def open_lab(page: Page, address: str) -> None:
    """Open JupyterLab, which opens a notebook, and wait for its kernel."""
    page.goto(address)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=RUN_MS)
    page.wait_for_function(IDLE, timeout=RUN_MS)


def run_all(page: Page) -> None:
    """Run every cell of the open notebook, to its last."""
    page.evaluate(COMMAND, "notebook:run-all-cells")
    last = page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputPrompt")
    page.wait_for_function("prompt => /\\d/.test(prompt.textContent)", arg=last.element_handle(), timeout=RUN_MS)
    page.wait_for_function(IDLE, timeout=RUN_MS)


def run_last(page: Page) -> str:
    """Run the last cell once more and give what it prints."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").last
    before = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    done = "([prompt, before]) => /\\d/.test(prompt.textContent) && prompt.textContent.trim() !== before.trim()"
    prompt = cell.locator(".jp-InputPrompt").element_handle()
    page.wait_for_function(done, arg=[prompt, before], timeout=RUN_MS)
    page.wait_for_function(IDLE, timeout=RUN_MS)
    return cell.locator(".jp-OutputArea-output").inner_text()
