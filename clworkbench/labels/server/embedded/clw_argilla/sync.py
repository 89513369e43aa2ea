"""Keeps the side file equal to Argilla's database: at start, after each write, and whenever they turn out to differ.

Argilla commits first and tells the engine after; a kill, a full disk or a request that is cut off in between leaves the
side file behind. So it is compared whole (each record's and vector's time of change) at the first use in a process,
after a write that failed, and once a minute while Argilla's database changes; and before each search by what costs
nearly nothing: records that are newer than the last one seen, and how many there are.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from . import rows, side
from .rows import Index

BATCH = 500
"""Records in one write transaction: others get their turn between."""

EVERY_S = 60.0
"""How long a change that nobody told us of may go unseen at most."""

LOG = logging.getLogger(__name__)
_locks: dict[str, threading.RLock] = {}
_seen: dict[str, "_Seen"] = {}
_behind: set[str] = set()


class _Seen(NamedTuple):
    birth: str
    newest: int


class ServerEnds(sqlite3.InterfaceError):
    """The server shuts down while an index is being filled; the next start goes on with it."""


def checked(dataset_id: str) -> Index:
    """The dataset's index, equal to the truth: filled if it is new, mended if something was missed."""
    with _locks.setdefault(dataset_id, threading.RLock()):
        seen = _seen.get(dataset_id)
        if seen is None or seen.birth != side.birth() or dataset_id in _behind:
            return check(dataset_id)
        index = rows.index_of(side.connection(), dataset_id)
        for _ in range(3):  # a push that goes on meanwhile makes counts differ for a moment
            newest = _newest()
            if newest < seen.newest:  # after a VACUUM, rows have other numbers
                return check(dataset_id)
            refresh(dataset_id, _unknown(index, seen.newest))
            seen = _seen[dataset_id] = seen._replace(newest=newest)
            if _counts_agree(index):
                return index
        return check(dataset_id)


def check(dataset_id: str, *, vectors: bool = True) -> Index:
    """Compares every record of a dataset, and its vectors, with the truth, and mends what differs."""
    with _locks.setdefault(dataset_id, threading.RLock()):
        started, seen = time.monotonic(), _Seen(side.birth(), _newest())
        with side.writing() as conn:
            index = rows.ensured(conn, dataset_id)
        _behind.discard(dataset_id)
        try:
            differing = _differing_records(index)
            refresh(dataset_id, differing)
            if vectors:
                refresh(dataset_id, _differing_vectors(index))
            _tidy(index)
        except sqlite3.Error:
            _behind.add(dataset_id)
            raise
        if len(differing) >= BATCH:
            took = time.monotonic() - started
            LOG.info("search index of dataset %s: %s records read in %.1f s", dataset_id, len(differing), took)
        _seen[dataset_id] = seen
        return index


def check_all(*, vectors: bool = True) -> None:
    """Checks each published dataset, and drops the tables of those that are gone."""
    conn = side.connection()
    held = {dataset_id for (dataset_id,) in conn.execute("SELECT dataset_id FROM indexed")}
    there = conn.execute("SELECT id, status FROM truth.datasets ORDER BY inserted_at").fetchall()
    for dataset_id in held - {dataset_id for dataset_id, _ in there}:
        forget(dataset_id)
    for dataset_id, status in there:
        if status == "ready":
            check(dataset_id, vectors=vectors)


def watch() -> None:
    """Checks everything now, and then once a minute where Argilla's database has changed; never comes back."""
    checked_at: tuple[str, int] | None = None
    while True:
        try:
            now = side.birth(), side.connection().execute("PRAGMA truth.data_version").fetchone()[0]
            if now != checked_at:
                side.surviving(check_all, vectors=checked_at is None)
                checked_at = now
        except (sqlite3.Error, OSError) as error:
            LOG.error("the search index cannot be checked (%s); searches try it again", said(error))
        time.sleep(EVERY_S)


def refresh(dataset_id: str, record_ids: Iterable[str]) -> None:
    """Brings these records to what the truth says of them: new, changed or gone."""
    ids = list(record_ids)
    for start in range(0, len(ids), BATCH):
        if not threading.main_thread().is_alive():
            raise ServerEnds
        with side.writing() as conn:
            rows.write(conn, rows.ensured(conn, dataset_id), ids[start : start + BATCH])
        if start + BATCH < len(ids):
            time.sleep(0.005)  # lets a waiting writer in


def mark_behind(dataset_id: str) -> None:
    """Says that something could not be written: the next search of this dataset compares it whole."""
    _behind.add(dataset_id)


def forget(dataset_id: str) -> None:
    """Takes a dataset out of the side file."""
    with side.writing() as conn:
        rows.dropped(conn, dataset_id)
    _seen.pop(dataset_id, None)


def said(error: Exception) -> str:
    """An error by its name: SQLite's messages quote what people searched for."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def _newest() -> int:
    newest: int = side.connection().execute("SELECT coalesce(max(rowid), 0) FROM truth.records").fetchone()[0]
    return newest


def _unknown(index: Index, after: int) -> list[str]:
    return _ids(
        "SELECT id FROM truth.records r WHERE r.rowid > ? AND +r.dataset_id = ? "
        f"AND NOT EXISTS (SELECT 1 FROM {index.doc} d WHERE d.record_id = r.id)",
        after,
        index.dataset_id,
    )


def _counts_agree(index: Index) -> bool:
    conn, dataset = side.connection(), (index.dataset_id,)
    there = conn.execute("SELECT count(*) FROM truth.records WHERE dataset_id = ?", dataset).fetchone()
    held = conn.execute("SELECT n FROM indexed WHERE dataset_id = ?", dataset).fetchone()
    return bool(there == held)


def _differing_records(index: Index) -> list[str]:
    changed = _ids(
        f"SELECT r.id FROM truth.records r LEFT JOIN {index.doc} d ON d.record_id = r.id "
        "WHERE r.dataset_id = ? AND d.updated_at IS NOT r.updated_at ORDER BY r.rowid",
        index.dataset_id,
    )
    gone = _ids(
        f"SELECT record_id FROM {index.doc} WHERE record_id NOT IN (SELECT id FROM truth.records WHERE dataset_id = ?)",
        index.dataset_id,
    )
    return changed + gone


def _differing_vectors(index: Index) -> list[str]:
    conn = side.connection()
    there = "SELECT id FROM truth.vectors_settings WHERE dataset_id = ?"
    known = rows.spaces(conn, index)
    differing: list[str] = []
    for (space,) in conn.execute(there, (index.dataset_id,)).fetchall():
        if space not in known:
            differing += _ids("SELECT record_id FROM truth.vectors WHERE vector_settings_id = ?", space)
            continue
        differing += _ids(
            f"SELECT d.record_id FROM truth.vectors v JOIN {index.doc} d ON d.record_id = v.record_id "
            f"LEFT JOIN vec_{space} x ON x.key = d.key WHERE v.vector_settings_id = ? AND x.stamp IS NOT v.updated_at",
            space,
        )
        differing += _ids(
            f"SELECT d.record_id FROM vec_{space} x JOIN {index.doc} d ON d.key = x.key WHERE NOT EXISTS "
            "(SELECT 1 FROM truth.vectors v WHERE v.record_id = d.record_id AND v.vector_settings_id = ?)",
            space,
        )
    return list(dict.fromkeys(differing))


def _tidy(index: Index) -> None:
    """Drops vectors whose settings or record are gone, and takes deleted words out of the full-text table for good."""
    with side.writing() as conn:
        there = {i for (i,) in conn.execute("SELECT id FROM truth.vectors_settings")}
        for space in rows.spaces(conn, index):
            if space not in there:
                rows.drop_space(conn, space)
            elif conn.execute(f"DELETE FROM vec_{space} WHERE key NOT IN (SELECT key FROM {index.doc})").rowcount:
                conn.execute("UPDATE spaces SET edition = edition + 1 WHERE space = ?", (space,))
        dataset = (index.dataset_id,)
        if conn.execute("SELECT torn FROM indexed WHERE dataset_id = ?", dataset).fetchone()[0]:
            conn.execute(f"INSERT INTO {index.fts} ({index.fts}) VALUES ('optimize')")
            conn.execute("UPDATE indexed SET torn = 0 WHERE dataset_id = ?", dataset)


def _ids(sql: str, *values: object) -> list[str]:
    return [record_id for (record_id,) in side.connection().execute(sql, values)]
