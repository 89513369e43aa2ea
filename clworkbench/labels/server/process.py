"""The annotation server as a process: started once, detached, found again, and ended without losing an answer."""

import http.client
import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import psutil

from clworkbench.errors import LabelError
from clworkbench.files import told_when_full, write_atomically
from clworkbench.labels.server.held import held
from clworkbench.labels.server.home import USERNAME, Home
from clworkbench.labels.server.install import EMBEDDED, Say, installed

PORT = 6900
HOST = "127.0.0.1"

READY_WITHIN_S = 120.0
"""How long a start may take; a migration of a large database is the longest part of it."""

ANSWERS_WITHIN_S = 30.0
"""How long a busy server may take to say that it is there."""

ENDS_WITHIN_S = 15.0
"""How long a server may take to end by itself."""

BUSY, TAKEN = 3, 4
"""How the server's process ends when another serves this home, or has its port."""

INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|SSL_CERT_(FILE|DIR)|LD_LIBRARY_PATH|DYLD_(FALLBACK_)?LIBRARY_PATH"
    r"|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA",
    re.IGNORECASE,
)
"""What the server sees of the environment; all else may be somebody's secret, or change what the server does."""


_started: list[subprocess.Popen[bytes]] = []
"""Servers that this process has started: they outlive it, and are asked for their end where it lives longer."""


@dataclass(frozen=True)
class Serving:
    """A server that answers."""

    url: str
    username: str
    password_file: Path
    pid: int
    port: int
    since: datetime

    def as_dict(self) -> dict[str, object]:
        """For scripts."""
        return {"url": self.url, "username": self.username, "password_file": str(self.password_file), "pid": self.pid}


def serve(home: Home, *, port: int | None = None, say: Say = lambda _: None) -> Serving:
    """Starts the server of a home and waits until it answers; where it runs already, that one is returned.

    Args:
        home: the server's folder; made where it is missing.
        port: where it listens on this machine; 0 takes any that is free, None the last one, at first 6900.
        say: told what takes long.

    Raises:
        LabelError: it cannot be installed or started, its port is taken, it runs on another port, or its home is open
            to others.
        ArtefactError: the disk is full.
    """
    if found := running(home):
        return _on(found, port)
    python = installed(say)
    home.make_folder()
    with held(home.starting, wait_s=READY_WITHIN_S, told=lambda: say("another process starts it; waiting")):
        if found := running(home):
            return _on(found, port)
        if port is None:
            port = _last_port(home)
        if port:
            _refuse_taken(port)
        home.make_secrets()
        with told_when_full("the annotation server's files", home.folder):
            started = _start(home, python, port)
            write_atomically(home.port_file, f"{started.port}\n")
            home.port_file.chmod(0o600)
            return started


def _on(found: Serving, port: int | None) -> Serving:
    """A server that runs, if it listens where it is wanted."""
    if port not in (None, 0, found.port):
        raise LabelError(f"it runs already, at {found.url}.\nTo have it on port {port}, `clw label stop` it first.")
    return found


def _last_port(home: Home) -> int:
    try:
        port = int(home.port_file.read_text())
    except (FileNotFoundError, ValueError):
        return PORT
    return port if 0 < port < 65_536 else PORT


def running(home: Home) -> Serving | None:
    """The server of a home, if its process lives and answers; what a dead one left behind is seen through."""
    found = _found(home)
    return found if found and _answers(found.port) else None


def port_of(home: Home) -> int | None:
    """Where the server of a home listens, if its process lives, whether or not it answers; 0 while it still starts."""
    if found := _found(home):
        return found.port
    return 0 if _unnamed(home) else None


def stop(home: Home) -> bool:
    """Ends the server of a home: it finishes what it has begun to answer; then, if it must be, it is killed.

    Returns:
        Whether there was one to end.

    Raises:
        LabelError: the process is another user's, or does not end.
    """
    found = _found(home)
    try:
        process = psutil.Process(found.pid) if found else _unnamed(home)
        if process is None:
            return False
        _end(process)
    except psutil.NoSuchProcess:
        pass
    except psutil.AccessDenied as error:
        raise LabelError(f"{home.folder}: process {error.pid} serves it, another user's, who must end it.") from None
    _started[:] = [child for child in _started if child.poll() is None]
    home.state.unlink(missing_ok=True)
    return True


def _end(process: psutil.Process) -> None:
    process.terminate()
    if not psutil.wait_procs([process], ENDS_WITHIN_S)[1]:
        return
    process.kill()
    if psutil.wait_procs([process], ENDS_WITHIN_S)[1]:
        raise LabelError(f"Argilla's server, process {process.pid}, does not end. Its disk may be stuck; try again.")


class _State(msgspec.Struct):
    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    started: float
    port: Annotated[int, msgspec.Meta(ge=1, lt=2**16)]


def _found(home: Home) -> Serving | None:
    """The server that `server.json` names, if that very process lives: a reused number has another start."""
    try:
        state = msgspec.json.decode(home.state.read_bytes(), type=_State)
        process = psutil.Process(state.pid)
        started = process.create_time()
        if abs(started - state.started) > 1.0 or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (FileNotFoundError, msgspec.DecodeError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    since = datetime.fromtimestamp(started, UTC)
    return Serving(f"http://{HOST}:{state.port}", USERNAME, home.password_file, state.pid, state.port, since)


def _answers(port: int) -> bool:
    """Whether Argilla answers, and finds its own database and index well; no proxy and no redirect is followed."""
    asking = http.client.HTTPConnection(HOST, port, timeout=ANSWERS_WITHIN_S)
    try:
        asking.request("GET", "/api/v1/status")
        return asking.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def _unnamed(home: Home) -> psutil.Process | None:
    """A server of this home that still starts, or whose `server.json` was deleted."""
    mine = ["clw_argilla", str(home.folder)]
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-3:-1] == mine:
            return process
    return None


def _start(home: Home, python: Path, port: int) -> Serving:
    with home.start_log.open("wb") as noise:
        home.start_log.chmod(0o600)
        started = subprocess.Popen(
            [str(python), "-P", "-m", "clw_argilla", str(home.folder), str(port)],
            cwd=home.folder,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=noise,
            stderr=noise,
            start_new_session=True,
        )
    _started.append(started)
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if found := running(home):
            return found
        # One that a cancelled command began may still be starting: it is waited for as if it were ours.
        if (status := started.poll()) not in (None, BUSY):
            raise LabelError(_ended(home, port, status))
        time.sleep(0.05)
    if started.poll() == BUSY:
        raise LabelError(_ended(home, port, BUSY))
    started.kill()
    started.wait()
    raise LabelError(
        f"Argilla's server did not answer within {READY_WITHIN_S:.0f} s and was ended. {_last_lines(home)}"
    )


def _environment(home: Home) -> dict[str, str]:
    """What the server is told; secrets it reads from its home, where it runs: so its database needs no path."""
    kept = {name: value for name, value in os.environ.items() if INHERITED.fullmatch(name)}
    return kept | {
        "PYTHONPATH": str(EMBEDDED),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ARGILLA_HOME_PATH": str(home.folder),
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{home.database.name}?check_same_thread=False",
        "ARGILLA_DATABASE_SQLITE_TIMEOUT": "30",
        "ARGILLA_SEARCH_ENGINE": "sqlite",
        "ARGILLA_CORS_ORIGINS": "[]",
        "ARGILLA_DOCS_ENABLED": "false",
        "ARGILLA_SHOW_HUGGINGFACE_SPACE_PERSISTENT_STORAGE_WARNING": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(home.folder / "tmp"),
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
        "TMPDIR": str(home.folder / "tmp"),
    }


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LabelError(_taken(port)) from error


def _taken(port: int) -> str:
    return f"port {port} is taken{_by(port)}.\nName another with --port, or --port 0 for any that is free."


def _by(port: int) -> str:
    """Who has a port, as far as this user may know."""
    try:
        held_by = [c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid]
        return f" by process {held_by[0]} ({psutil.Process(held_by[0]).name()})" if held_by else ""
    except psutil.Error:
        return ""


def _ended(home: Home, port: int, status: int) -> str:
    if status == TAKEN:
        return _taken(port)
    if status == BUSY:
        return f"{home.folder}: a server that does not answer still has it.\nRun `clw label stop`, then this again."
    return f"Argilla's server ended while it started (status {status}). {_last_lines(home)}"


def _last_lines(home: Home) -> str:
    lines = home.start_log.read_text(errors="replace").splitlines()[-8:]
    said = "".join(f"\n  {_without_secrets(line, home)}" for line in lines)
    return f"Its last lines, from {home.start_log}:{said}" if lines else f"See {home.log}."


def _without_secrets(line: str, home: Home) -> str:
    for secret in (home.api_key, home.password):
        line = line.replace(secret, "…")
    return line
