"""What only one process may do at a time, held by a file; the system lets go of it when the holder dies."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clworkbench.errors import LabelError


@contextmanager
def held(path: Path, *, wait_s: float, told: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Holds the file `path` while the block runs.

    SQLite's lock is used for it: it is the one in the standard library that works alike on all systems.

    Args:
        path: a file that holds nothing else; made where it is missing.
        wait_s: how long to wait for another holder.
        told: called once, before waiting.

    Raises:
        LabelError: another process still holds it after `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        waits = False
        while not _taken(connection):
            if time.monotonic() > deadline:
                raise LabelError(
                    f"{path}: another process has held it for {wait_s:,.0f} s.\nWait until it is done, or stop it."
                )
            if not waits:
                told()
                waits = True
            time.sleep(0.1)
        yield


def _taken(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("begin exclusive")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    return True
