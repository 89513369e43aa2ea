"""JupyterLab and marimo, started on a folder with settings of their own, and a browser that sees nothing outside."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--disable-gpu",
]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(words: list[str], url: str, place: Path, environment: dict[str, str]) -> Iterator[None]:
    """Starts a server, waits until it answers at `url`, and ends it and its kernels."""
    log = place / "server.log"
    with log.open("w") as said:
        server = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=place,
            env=os.environ | environment,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
        )
    try:
        for _ in range(600):
            assert server.poll() is None, log.read_text()
            try:
                with urlopen(url, timeout=5):
                    break
            except (URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        else:
            raise AssertionError(f"no answer at {url}:\n{log.read_text()}")
        yield
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def jupyterlab(place: Path) -> Iterator[str]:
    """JupyterLab on a folder; gives its address. It asks for no news and draws all cells, not only those in view."""
    settings = {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    own = place / ".jupyter"
    for name, values in settings.items():
        file = own / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
    }
    port = free_port()
    words = ["jupyterlab", "--no-browser", "--expose-app-in-browser", f"--ServerApp.root_dir={place}"]
    words += [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--allow-root"]
    url = f"http://127.0.0.1:{port}"
    with served(words, f"{url}/api", place, {name: str(own / folder) for name, folder in folders.items()}):
        yield url


@contextmanager
def marimo(place: Path, notebook: str) -> Iterator[str]:
    """marimo's editor on a notebook; gives its address. It runs all cells when it is opened."""
    (place / "pyproject.toml").write_text("[tool.marimo.runtime]\nauto_instantiate = true\n")
    port = free_port()
    words = ["marimo", "edit", notebook, "--headless", "--no-token", "--skip-update-check", f"--port={port}"]
    url = f"http://127.0.0.1:{port}"
    own = {name: str(place / ".marimo") for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    with served(words, f"{url}/health", place, own):
        yield url
