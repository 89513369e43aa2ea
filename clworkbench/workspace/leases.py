"""Leases: what only one process may do at a time, and who is doing it."""

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple

import psutil

from clworkbench.errors import LeaseError
from clworkbench.workspace.catalog import Catalog

EXPIRES_S = 60.0
RENEW_S = 15.0


class Holder(NamedTuple):
    """A process that holds a lease; `process_started` tells a reused process number from the holder."""

    host: str
    pid: int
    process_started: float
    verb: str
    renewed_at: float

    def is_gone(self) -> bool:
        """A dead local holder is gone at once, another after 60 s without renewal."""
        if self.host != socket.gethostname():
            return time.time() - self.renewed_at > EXPIRES_S
        try:
            started = float(psutil.Process(self.pid).create_time())
        except psutil.NoSuchProcess:
            return True
        return abs(started - self.process_started) > 1.0


@contextmanager
def lease(catalog: Catalog, name: str, verb: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Holds `name` while the block runs; a thread renews it.

    Raises:
        LeaseError: somebody else holds it, and still did after `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while (holder := _try_take(catalog, name, verb)) is not None:
        if time.monotonic() >= deadline:
            raise LeaseError(
                f"{name}: held by process {holder.pid} on {holder.host} (`clw {holder.verb}`).\n"
                "Wait until it is done, or stop that process; its lease then falls free at once."
            )
        time.sleep(0.2)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(catalog, name, stop), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.join()
        with catalog.transaction() as db:
            db.execute(
                "delete from leases where name = ? and pid = ? and host = ?",
                (name, os.getpid(), socket.gethostname()),
            )


def _try_take(catalog: Catalog, name: str, verb: str) -> Holder | None:
    """Takes the lease and returns None, or returns who holds it."""
    with catalog.transaction() as db:
        sql = "select host, pid, process_started, verb, renewed_at from leases where name = ?"
        row = db.execute(sql, (name,)).fetchone()
        if row and not (holder := Holder(*row)).is_gone():
            return holder
        mine = (name, socket.gethostname(), os.getpid(), psutil.Process().create_time(), verb, time.time())
        db.execute("insert or replace into leases values (?, ?, ?, ?, ?, ?)", mine)
    return None


def _renew(catalog: Catalog, name: str, stop: threading.Event) -> None:
    """Renews from a thread, so on a connection of its own."""
    while not stop.wait(RENEW_S):
        mine = (time.time(), name, socket.gethostname(), os.getpid())
        # A catalog that is busy for long is tried again at the next turn: the lease outlives three of them.
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(catalog.path, timeout=10)) as connection:
            connection.execute("update leases set renewed_at = ? where name = ? and host = ? and pid = ?", mine)
            connection.commit()
