"""The side file search.db beside Argilla's database: opened, and thrown away when it is damaged. Never the truth.

Argilla's own database is attached to each connection, read-only, as schema `truth`.
"""

import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from argilla_server.settings import settings
from sqlalchemy import make_url

LAYOUT = 2
"""Raised when a table of the side file changes; a file of another layout is thrown away."""

CACHE_KIB = 8192
"""Page cache of one connection: eight search threads hold 64 MiB at most."""

WAIT_S = 30.0
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
MOVED = {sqlite3.SQLITE_READONLY_DBMOVED, sqlite3.SQLITE_IOERR_SHORT_READ}

SCHEMA = """
CREATE TABLE IF NOT EXISTS file (birth TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS indexed (
  dataset_id TEXT PRIMARY KEY, fields TEXT NOT NULL, n INTEGER NOT NULL DEFAULT 0, torn INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS spaces (space TEXT PRIMARY KEY, dataset_id TEXT NOT NULL, edition INTEGER NOT NULL);
"""

LOG = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
_local = threading.local()
_opening = threading.Lock()
_writes = threading.Lock()


class _Open(NamedTuple):
    connection: sqlite3.Connection
    path: Path
    identity: tuple[int, int]
    birth: str


def truth_path() -> Path:
    """Argilla's own database."""
    return Path(str(make_url(settings.database_url).database)).absolute()


def path() -> Path:
    """The side file."""
    return truth_path().with_name("search.db")


def connection() -> sqlite3.Connection:
    """This thread's connection; a new one where the file has gone or been replaced since."""
    held: _Open | None = getattr(_local, "held", None)
    if held is not None and (held.path != path() or _identity(held.path) != held.identity):
        close()
        held = None
    if held is None:
        with _opening:
            held = _local.held = _open(path())
    return held.connection


def birth() -> str:
    """Which side file this is: a new one has another name, even at the same place."""
    connection()
    held: _Open = _local.held
    return held.birth


def close() -> None:
    """Closes this thread's connection."""
    held: _Open | None = getattr(_local, "held", None)
    _local.held = None
    if held is not None:
        with suppress(sqlite3.Error):
            held.connection.close()


@contextmanager
def writing() -> Iterator[sqlite3.Connection]:
    """One write transaction. The truth read in it is not older than what any earlier writer saw."""
    with _writes:  # SQLite's own lock is polled: whoever waits for a long filling would wait till its end
        conn = connection()
        conn.execute("BEGIN IMMEDIATE")
        try:
            yield conn
            conn.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                conn.execute("ROLLBACK")
            raise


@contextmanager
def reading() -> Iterator[sqlite3.Connection]:
    """Several queries over one state of both files."""
    conn = connection()
    conn.execute("BEGIN")
    try:
        yield conn
    finally:
        with suppress(sqlite3.Error):
            conn.execute("ROLLBACK")


def surviving(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Does `work`; if the side file turns out to be damaged or replaced meanwhile, once more on a new one."""
    try:
        return work(*args, **kwargs)
    except sqlite3.DatabaseError as error:
        if not is_damage(error) and getattr(error, "sqlite_errorcode", 0) not in MOVED:
            raise
        if is_damage(error):
            throw_away(error.sqlite_errorname)
        else:
            close()
    return work(*args, **kwargs)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that a file is broken."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in DAMAGED


def throw_away(why: str) -> None:
    """Deletes the side file; the next use makes a new one and fills it from the truth."""
    close()
    LOG.warning("the search index is thrown away and built anew (%s)", why)
    with _opening:
        _unlink(path())


def _open(at: Path) -> _Open:
    if not at.exists():
        _unlink(at)  # a write-ahead log without its file
        os.close(os.open(at, os.O_CREAT | os.O_RDWR, 0o600))
    try:
        return _connected(at)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        LOG.warning("the search index is thrown away and built anew (%s)", error.sqlite_errorname)
    _unlink(at)
    os.close(os.open(at, os.O_CREAT | os.O_RDWR, 0o600))
    return _connected(at)


def _connected(at: Path) -> _Open:
    conn = sqlite3.connect(f"{at.as_uri()}?mode=rw", uri=True, timeout=WAIT_S, isolation_level=None)
    try:
        identity = _identity(at)
        conn.execute("PRAGMA journal_mode = wal")
        conn.execute("PRAGMA synchronous = normal")
        conn.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        conn.execute("PRAGMA secure_delete = on")
        if conn.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
            _lay_out(conn)
        conn.execute("ATTACH DATABASE ? AS truth", (f"{truth_path().as_uri()}?mode=ro",))
        birth = conn.execute("SELECT birth FROM file").fetchone()[0]
    except BaseException:
        conn.close()
        raise
    return _Open(conn, at, identity, birth)


def _lay_out(conn: sqlite3.Connection) -> None:
    conn.execute("BEGIN IMMEDIATE")
    if conn.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
        for name, kind in conn.execute(
            "SELECT name, type FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
            "ORDER BY sql NOT LIKE 'CREATE VIRTUAL%'"
        ).fetchall():
            conn.execute(f'DROP {kind} IF EXISTS "{name}"')
        for statement in SCHEMA.split(";"):
            conn.execute(statement)
        conn.execute("INSERT INTO file VALUES (?)", (secrets.token_hex(8),))
        conn.execute(f"PRAGMA user_version = {LAYOUT}")
    conn.execute("COMMIT")


def _identity(at: Path) -> tuple[int, int]:
    try:
        found = at.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def _unlink(at: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{at}{suffix}").unlink(missing_ok=True)
