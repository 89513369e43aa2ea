"""A dataset's tables in the side file, and the writing of its records into them.

For each published dataset, named after its id:

- `doc_`: one row for each record: `key`, and a copy of the small columns, because a row of Argilla's `records` has the
  long fields first (the status of 100,000 records of 4 kB takes 0.2 s to read there and 0.02 s here). `spot` is made of
  the record's id, and each annotator's own order is made of it; `words` is a hash of fields and metadata.
- `fts_`: the words of each field, by `key`.
- `meta_`: one row for each value of a record's metadata, by `key`.
- for each of its vector settings `vec_`: float32 vectors of length 1, by `key`.

Whatever is written is read from Argilla's database inside the writing transaction, so calls that come late, twice or
out of order do no harm.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .vectors import packed
from .words import field_words


class Index(NamedTuple):
    """Names of a dataset's tables. `columns`: FTS5 column by field name, image fields left out."""

    dataset_id: str
    columns: dict[str, str]

    @property
    def doc(self) -> str:
        """Table of the records' small columns."""
        return f"doc_{self.dataset_id}"

    @property
    def fts(self) -> str:
        """Full-text table."""
        return f"fts_{self.dataset_id}"

    @property
    def meta(self) -> str:
        """Table of metadata values."""
        return f"meta_{self.dataset_id}"


def index_of(conn: sqlite3.Connection, dataset_id: str) -> Index:
    """The index as the dataset's fields ask for it, whether or not its tables stand."""
    rows = conn.execute(
        "SELECT name FROM truth.fields WHERE dataset_id = ? AND json_extract(settings, '$.type') != 'image' "
        "ORDER BY inserted_at, name",
        (dataset_id,),
    )
    return Index(dataset_id, {name: f"c{i}" for i, (name,) in enumerate(rows)})


def ensured(conn: sqlite3.Connection, dataset_id: str) -> Index:
    """The index with its tables; they are made anew where the fields are others than when they were made."""
    index = index_of(conn, dataset_id)
    fields = json.dumps(list(index.columns))
    row = conn.execute("SELECT fields FROM indexed WHERE dataset_id = ?", (dataset_id,)).fetchone()
    if row and row[0] == fields:
        return index
    dropped(conn, dataset_id)
    columns = ", ".join(index.columns.values()) or "none"
    conn.execute(f"CREATE VIRTUAL TABLE {index.fts} USING fts5({columns}, tokenize = \"ascii tokenchars '_'\")")
    conn.execute(
        f"CREATE TABLE {index.doc} (key INTEGER PRIMARY KEY, record_id TEXT NOT NULL UNIQUE, external_id TEXT, "
        "status TEXT NOT NULL, inserted_at TEXT NOT NULL, updated_at TEXT NOT NULL, spot INTEGER NOT NULL, "
        "words BLOB NOT NULL)"
    )
    conn.execute(  # a key of another type than `doc.key` could not be looked up by it
        f"CREATE TABLE {index.meta} (key INTEGER NOT NULL, name TEXT NOT NULL, value NOT NULL, "
        "PRIMARY KEY (key, name, value)) WITHOUT ROWID"
    )
    conn.execute(f"CREATE INDEX by_{index.meta} ON {index.meta} (name, value)")
    conn.execute("INSERT INTO indexed (dataset_id, fields) VALUES (?, ?)", (dataset_id, fields))
    return index


def dropped(conn: sqlite3.Connection, dataset_id: str) -> None:
    """Takes a dataset's tables away."""
    for (space,) in conn.execute("SELECT space FROM spaces WHERE dataset_id = ?", (dataset_id,)).fetchall():
        drop_space(conn, space)
    for table in ("fts", "doc", "meta"):
        conn.execute(f"DROP TABLE IF EXISTS {table}_{dataset_id}")
    conn.execute("DELETE FROM indexed WHERE dataset_id = ?", (dataset_id,))


def drop_space(conn: sqlite3.Connection, space: str) -> None:
    """Takes the vectors of one vector settings away."""
    conn.execute(f"DROP TABLE IF EXISTS vec_{space}")
    conn.execute("DELETE FROM spaces WHERE space = ?", (space,))


def write(conn: sqlite3.Connection, index: Index, record_ids: Sequence[str]) -> None:
    """Brings these records (at most some hundreds) to what the truth says of them: new, changed or gone."""
    marks = ",".join("?" * len(record_ids))
    rows = conn.execute(
        "SELECT id, fields, metadata, external_id, status, inserted_at, updated_at FROM truth.records "
        f"WHERE id IN ({marks}) AND +dataset_id = ? ORDER BY rowid",
        (*record_ids, index.dataset_id),
    ).fetchall()
    held = {
        record_id: (key, words)
        for record_id, key, words in conn.execute(
            f"SELECT record_id, key, words FROM {index.doc} WHERE record_id IN ({marks})", record_ids
        )
    }
    keys: dict[str, int] = {}
    before = len(held)
    for record_id, fields, metadata, *small in rows:
        key, known = held.pop(record_id, (None, None))
        words = hashlib.blake2b(f"{fields}\n{metadata}".encode(), digest_size=12).digest()
        keys[record_id] = _put_small(conn, index, key, (record_id, *small, int(record_id[:8], 16), words))
        if words != known:
            if key is not None:
                _take_words(conn, index, [key])
            _put_words(conn, index, keys[record_id], json.loads(fields), json.loads(metadata or "null"))
    _put_vectors(conn, index, keys)
    gone = [key for key, _ in held.values()]
    _take_words(conn, index, gone)
    for table in (index.doc, *(f"vec_{space}" for space in spaces(conn, index))):
        conn.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in gone])
    conn.execute("UPDATE indexed SET n = n + ? WHERE dataset_id = ?", (len(keys) - before, index.dataset_id))


def spaces(conn: sqlite3.Connection, index: Index) -> list[str]:
    """Ids of the vector settings that have a table."""
    rows = conn.execute("SELECT space FROM spaces WHERE dataset_id = ?", (index.dataset_id,))
    return [space for (space,) in rows]


def _put_small(conn: sqlite3.Connection, index: Index, key: int | None, row: tuple[object, ...]) -> int:
    names = "record_id, external_id, status, inserted_at, updated_at, spot, words"
    if key is not None:
        conn.execute(f"UPDATE {index.doc} SET ({names}) = (?, ?, ?, ?, ?, ?, ?) WHERE key = ?", (*row, key))
        return key
    return conn.execute(f"INSERT INTO {index.doc} ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", row).lastrowid or 0


def _put_words(conn: sqlite3.Connection, index: Index, key: int, fields: dict[str, object], metadata: object) -> None:
    columns = ", ".join(["rowid", *(index.columns.values() or ["none"])])
    texts = [field_words(fields.get(name)) for name in index.columns] or [""]
    conn.execute(f"INSERT INTO {index.fts} ({columns}) VALUES (?{', ?' * len(texts)})", (key, *texts))
    if isinstance(metadata, dict):
        conn.executemany(
            f"INSERT OR IGNORE INTO {index.meta} VALUES (?, ?, ?)",
            [(key, name, single) for name, value in metadata.items() for single in _singles(value)],
        )


def _take_words(conn: sqlite3.Connection, index: Index, keys: Sequence[int]) -> None:
    if not keys:
        return
    conn.executemany(f"DELETE FROM {index.fts} WHERE rowid = ?", [(key,) for key in keys])
    conn.executemany(f"DELETE FROM {index.meta} WHERE key = ?", [(key,) for key in keys])
    conn.execute("UPDATE indexed SET torn = torn + ? WHERE dataset_id = ?", (len(keys), index.dataset_id))


def _singles(value: object) -> Iterable[str | int | float]:
    """The values that a metadata entry can be found by; objects and nothing can't be."""
    for single in value if isinstance(value, list) else [value]:
        if isinstance(single, bool):
            yield str(single).lower()
        elif isinstance(single, int):
            yield single if -(2**63) <= single < 2**63 else float(single)
        elif isinstance(single, str) or (isinstance(single, float) and math.isfinite(single)):
            yield single


def _put_vectors(conn: sqlite3.Connection, index: Index, keys: dict[str, int]) -> None:
    marks = ",".join("?" * len(keys))
    known = set(spaces(conn, index))
    stamps: dict[tuple[str, int], str] = {}
    for space in known:
        rows = conn.execute(f"SELECT key, stamp FROM vec_{space} WHERE key IN ({marks})", (*keys.values(),))
        stamps |= {(space, key): stamp for key, stamp in rows}
    there = conn.execute(
        f"SELECT id, vector_settings_id, record_id, updated_at FROM truth.vectors WHERE record_id IN ({marks})",
        (*keys,),
    ).fetchall()
    changed: set[str] = set()
    for vector_id, space, record_id, stamp in there:
        key = keys[record_id]
        if stamps.pop((space, key), None) == stamp:
            continue
        if space not in known:
            conn.execute(f"CREATE TABLE vec_{space} (key INTEGER PRIMARY KEY, stamp TEXT NOT NULL, v BLOB NOT NULL)")
            conn.execute("INSERT INTO spaces VALUES (?, ?, 0)", (space, index.dataset_id))
            known.add(space)
        (value,) = conn.execute("SELECT value FROM truth.vectors WHERE id = ?", (vector_id,)).fetchone()
        row = (key, stamp, packed(json.loads(value)))
        conn.execute(f"INSERT OR REPLACE INTO vec_{space} VALUES (?, ?, ?)", row)
        changed.add(space)
    for space, key in stamps:
        conn.execute(f"DELETE FROM vec_{space} WHERE key = ?", (key,))
        changed.add(space)
    conn.executemany("UPDATE spaces SET edition = edition + 1 WHERE space = ?", [(space,) for space in changed])
