"""A capture that really runs: a process of its own, a workspace of the test's own, a port that is free."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from clworkbench.workspace import Workspace

CLW = [sys.executable, "-P", "-c", "from clworkbench.cli import main; main()"]
"""As the installed `clw` runs: no modules from the folder at hand."""


class Running:
    """A `clw capture` that was started, and how to speak to it and end it."""

    VERB = "capture"
    GREETING = r"capturing into .* at (http://\S+)"

    def __init__(self, folder: Path, options: tuple[str, ...], **popen: object) -> None:
        command = [*CLW, self.VERB, "--workspace", str(folder), "--port", "0", "--every", "0.3", "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._found(self.GREETING)
        self.token_file = Path(self._found(r"token, which is in (.+)"))
        self.token = self.token_file.read_text().strip()
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def _read(self) -> None:
        assert self.process.stderr
        self.said.extend(iter(self.process.stderr.readline, ""))

    def _found(self, pattern: str) -> str:
        for _ in range(300):
            if found := re.search(pattern, "".join(self.said)):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError("".join(self.said))

    def post(self, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()}
        return self.client.post(path, content=body, headers=named)

    def traces(self, body: bytes, **headers: str) -> httpx.Response:
        return self.post("/v1/traces", body, **{"content_type": "application/x-protobuf"} | headers)

    def feedback(self, *events: object, **headers: str) -> httpx.Response:
        given = {"content_type": "application/json", "authorization": f"Bearer {self.token}"} | headers
        return self.post("/v1/feedback", json.dumps(events[0] if len(events) == 1 else events).encode(), **given)

    def kill(self) -> None:
        """Kills server and ingest at once, as the machine would."""
        family = [self.process, *psutil.Process(self.process.pid).children(recursive=True)]
        for process in family:
            process.kill()
        for process in family:
            process.wait()

    def end(self) -> None:
        """Leaves nothing of it behind."""
        self.client.close()
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            stream.close()

    def stop(self) -> dict[str, object]:
        """Ends it as Ctrl-C does; returns what it printed."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout
        printed = self.process.stdout.read()
        assert self.process.wait(timeout=60) == 0, "".join(self.said)
        self._reader.join()
        return dict(json.loads(printed))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Workspace.create(tmp_path / "w")


@pytest.fixture
def capture(place: Workspace) -> Iterator[Callable[..., Running]]:
    """Starts `clw capture` on the workspace `place`, with further options."""
    started: list[Running] = []

    def start(*options: str, folder: Path = place.folder, **popen: object) -> Running:
        started.append(Running(folder, options, **popen))
        return started[-1]

    yield start
    for running in started:
        running.end()
