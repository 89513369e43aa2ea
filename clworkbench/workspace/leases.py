"""Leases: what only one process may do at a time, and who is doing it; one of them is for the whole workspace."""

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple

import psutil

from clworkbench.errors import LeaseError
from clworkbench.workspace.catalog import Catalog

EXPIRES_S = 60.0
RENEW_S = 15.0

WHOLE = "workspace"
"""The lease of the whole workspace: while it is held, nobody holds another."""


class Holder(NamedTuple):
    """A process that holds a lease; `process_started` tells a reused process number from the holder."""

    name: str
    host: str
    pid: int
    process_started: float
    verb: str
    renewed_at: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (`clw {self.verb}`)"

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
    """Holds `name` while the block runs; a thread renews it. Whoever waits is told once for whom.

    Args:
        catalog: where leases stand.
        name: what is held; `WHOLE` is had only when nobody holds anything, but for a process that started this one,
            and then nobody else gets a lease.
        verb: the command that holds it, as others are told.
        wait_s: how long to wait for it.

    Raises:
        LeaseError: somebody else holds it (or the whole workspace), and still did after `wait_s` seconds.
    """
    _wait(lambda: _try_take(catalog, name, verb), name, wait_s)
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


def holds(catalog: Catalog, name: str) -> bool:
    """Whether this process holds a lease."""
    sql = "select 1 from leases where name = ? and pid = ? and host = ?"
    return bool(catalog.query(sql, name, os.getpid(), socket.gethostname()))


def _wait(attempt: Callable[[], Holder | None], name: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while (holder := attempt()) is not None:
        held = f"{name}: held by {holder}" if holder.name == name else f"{name}: {holder} holds {_said(holder.name)}"
        if time.monotonic() >= deadline:
            raise LeaseError(
                f"{held}.\nWait until it is done, or stop that process; its lease then falls free at once."
            )
        if not told:
            logging.getLogger("clworkbench").warning("%s; waiting for it, at most %.0f s", held, wait_s)
            told = True
        time.sleep(0.2)


def _said(name: str) -> str:
    return "the whole workspace" if name == WHOLE else f"'{name}'"


def _try_take(catalog: Catalog, name: str, verb: str) -> Holder | None:
    """Takes the lease and returns None, or returns who stands in its way."""
    with catalog.transaction() as db:
        sql = (
            "select name, host, pid, process_started, verb, renewed_at from leases where ?1 in (name, ?2) or name = ?2"
        )
        holders = [Holder(*row) for row in db.execute(sql, (name, WHOLE))]
        standing = [holder for holder in holders if not (holder.is_gone() or (name == WHOLE and _waits_for_us(holder)))]
        if standing:
            return standing[0]
        gone = [(holder.name,) for holder in holders if holder.is_gone()]
        db.executemany("delete from leases where name = ?", gone)
        mine = (name, socket.gethostname(), os.getpid(), psutil.Process().create_time(), verb, time.time())
        db.execute("insert or replace into leases values (?, ?, ?, ?, ?, ?)", mine)
    return None


def _waits_for_us(holder: Holder) -> bool:
    """Whether this process works for the holder, as the kernel of a notebook does that is recorded."""
    return holder.host == socket.gethostname() and holder.pid in {parent.pid for parent in psutil.Process().parents()}


def _renew(catalog: Catalog, name: str, stop: threading.Event) -> None:
    """Renews from a thread, so on a connection of its own."""
    while not stop.wait(RENEW_S):
        mine = (time.time(), name, socket.gethostname(), os.getpid())
        # A catalog that is busy for long is tried again at the next turn: the lease outlives three of them.
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(catalog.path, timeout=10)) as connection:
            connection.execute("update leases set renewed_at = ? where name = ? and host = ? and pid = ?", mine)
            connection.commit()
