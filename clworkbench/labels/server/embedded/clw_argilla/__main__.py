"""Serves Argilla for one home: `python -m clw_argilla HOME PORT`. Secrets are read from the home's files."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import sys
from pathlib import Path

import psutil

from .guard import App

USERNAME = "owner"
BUSY, TAKEN = 3, 4
"""Exit statuses: another process serves this home; the port is taken."""


def main(home: Path, port: int) -> int:
    """Migrates, makes the owner, and serves until it is told to stop."""
    os.umask(0o077)
    holder = sqlite3.connect(home / "serving.lock", timeout=0, isolation_level=None)
    try:
        holder.execute("begin exclusive")
    except sqlite3.OperationalError:
        return BUSY
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError:
        return TAKEN
    shutil.rmtree(home / "tmp", ignore_errors=True)
    (home / "tmp").mkdir()
    os.environ["ARGILLA_AUTH_SECRET_KEY"] = secret(home, "auth_secret")

    from . import database, log
    from .app import app

    database.migrate(home / "argilla.db")
    log.write_to(home / "server.log")
    if mended := database.recount(home / "argilla.db"):
        log.LOG.warning("%d records had another status than their answers give them; mended", mended)
    database.ensure_owner(USERNAME, secret(home, "password"), secret(home, "api_key"))
    serve(app, home, listening)
    return 0


def secret(home: Path, name: str) -> str:
    """One of the home's secrets."""
    return (home / name).read_text().strip()


def serve(app: App, home: Path, listening: socket.socket) -> None:
    """Runs the app on a socket that is bound, and says in `server.json` that it does, until it ends."""
    import uvicorn

    from . import jobs

    state, partial = home / "server.json", home / ".server.json.partial"
    port = listening.getsockname()[1]
    partial.write_text(json.dumps({"pid": os.getpid(), "started": psutil.Process().create_time(), "port": port}))
    partial.replace(state)
    # uvicorn raises a signal anew once it has ended well; that must not kill the process before its last lines.
    signal.signal(signal.SIGTERM, lambda *_: None)
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5)
    try:
        with jobs.at_work():
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        state.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
