"""The catalog: a SQLite file that knows which batches are committed, which artefacts exist, and who holds what."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clworkbench.errors import WorkspaceError

FORMAT = 1

AT_ONCE = 30_000
"""Values in one statement: SQLite takes 32,766."""

SCHEMA = """
create table meta (key text primary key, value text not null);
create table batches (
    seq integer primary key autoincrement, batch_id text unique not null, kind text not null, source text,
    committed_at integer not null, detail text not null, counts text not null);
create table pending (
    batch_id text primary key, kind text not null, source text, started_at integer not null);
create table files (
    source text not null, sha256 text not null, reading text not null, path text not null, detail text not null,
    primary key (source, sha256, reading));
create table watermarks (source text not null, until integer not null, recorded_at integer not null);
create table artefacts (
    id text primary key, kind text not null, published integer not null, path text not null, manifest text not null);
create table edges (child text not null, parent text not null, primary key (child, parent));
create index edges_by_parent on edges (parent);
create table leases (
    name text primary key, host text not null, pid integer not null, process_started real not null,
    verb text not null, renewed_at real not null);
create table champions (
    seq integer primary key autoincrement, model text not null, at integer not null, why text not null,
    rolled_back integer not null default 0);
create table ledger (
    seq integer primary key autoincrement, at integer not null, verb text not null, artefact text,
    seconds real not null, cost_usd real not null);
"""

ADDED = """
create table if not exists tombstones (forget integer not null, kind text not null, id not null, until integer);
create table if not exists forgets (
    number integer primary key, begun_at integer not null, plan text, done text not null, sha256 text);
create table if not exists replaced (id text primary key, heir text not null, forget integer not null);
create table if not exists refused (id text primary key, rules text not null);
create table if not exists judged (key text primary key, grade integer not null);
create table if not exists alerts (
    number integer primary key autoincrement, fingerprint text not null, opened_at integer not null, ended_at integer,
    alert text not null);
create unique index if not exists alerts_standing on alerts (fingerprint) where ended_at is null;
create table if not exists alerts_told (
    seq integer primary key autoincrement, number integer not null, sink text not null, kind text not null,
    at integer not null, alert text not null);
create table if not exists rollouts (
    seq integer primary key autoincrement, release text not null, stage text not null, at integer not null,
    action text not null, why text not null, detail text not null);
"""
"""Tables that workspaces made by earlier versions lack: they are made when a catalog is opened."""


class Batch(NamedTuple):
    """One committed batch."""

    seq: int
    batch_id: str
    kind: str
    source: str | None
    committed_at: datetime
    detail: dict[str, object]
    counts: dict[str, int]


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return round(moment.timestamp() * 1_000_000)


def moment(stamp: int) -> datetime:
    """The UTC datetime of microseconds since 1970."""
    return datetime.fromtimestamp(stamp / 1_000_000, UTC)


def as_moment(said: datetime | str) -> datetime:
    """A point in time that somebody named: ISO 8601, UTC where no zone is given.

    Raises:
        WorkspaceError: a text that is no time.
    """
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else said
    except ValueError:
        raise WorkspaceError(f"{said!r} is no time. Write it like 2026-03-01 or 2026-03-01T12:00:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


class Catalog:
    """The catalog of one workspace. Each call is a transaction of its own, unless it stands in `transaction()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        self._inside = False

    @classmethod
    def create(cls, path: Path, meta: Mapping[str, str]) -> "Catalog":
        """Makes the file with its tables; `meta` holds the workspace's id and its key's fingerprint."""
        catalog = cls(path)
        with catalog.transaction() as db:
            for statement in (SCHEMA + ADDED).split(";"):
                if statement.strip():
                    db.execute(statement)
            rows = {"format": str(FORMAT), **meta}
            db.executemany("insert into meta values (?, ?)", rows.items())
        return catalog

    @classmethod
    def open(cls, path: Path) -> "Catalog":
        """Opens an existing catalog of this version.

        Raises:
            WorkspaceError: it is no catalog, or one of another version.
        """
        try:
            catalog = cls(path)
            found = catalog.meta("format")
        except sqlite3.DatabaseError as error:
            raise WorkspaceError(
                f"{path}: not a catalog that can be read ({error}).\n"
                "Restore catalog.db from a backup, or make a new workspace with `clw init`."
            ) from error
        if found != str(FORMAT):
            raise WorkspaceError(
                f"{path}: a workspace of format {found}; this version of clworkbench reads format {FORMAT}.\n"
                "Use the version that wrote it, or start a new workspace with `clw init` and ingest again."
            )
        catalog._connection.executescript(ADDED)
        return catalog

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: what is done inside is committed together at the end, or not at all."""
        if self._inside:
            yield self._connection
            return
        self._connection.execute("begin immediate")
        self._inside = True
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("rollback")
            raise
        else:
            self._connection.execute("commit")
        finally:
            self._inside = False

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """The rows that a reading statement gives."""
        return self._connection.execute(sql, values).fetchall()

    def note(self, key: str, value: str) -> None:
        """Keeps a note of the workspace's own under this key, in the place of an older one; `meta` reads it."""
        with self.transaction() as db:
            db.execute("insert or replace into meta values (?, ?)", (key, value))

    def meta(self, key: str) -> str | None:
        """A fact about the workspace itself."""
        rows = self.query("select value from meta where key = ?", key)
        return str(rows[0][0]) if rows else None

    # batches

    def begin_batch(self, batch_id: str, kind: str, source: str | None = None) -> bool:
        """Notes that rows of this batch may now stand in the tables; they do not count yet.

        Returns:
            Whether an earlier try at it was begun and never committed.
        """
        sql = "insert or ignore into pending values (?, ?, ?, ?)"
        with self.transaction() as db:
            return db.execute(sql, (batch_id, kind, source, micros(now()))).rowcount == 0

    def commit_batch(
        self,
        batch_id: str,
        kind: str,
        *,
        source: str | None = None,
        detail: Mapping[str, object] | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """From here on the batch's rows count, in all tables at once."""
        with self.transaction() as db:
            db.execute("delete from pending where batch_id = ?", (batch_id,))
            db.execute(
                "insert or ignore into batches (batch_id, kind, source, committed_at, detail, counts)"
                " values (?, ?, ?, ?, ?, ?)",
                (batch_id, kind, source, micros(now()), json.dumps(detail or {}), json.dumps(counts or {})),
            )

    def is_committed(self, batch_id: str) -> bool:
        """Whether the batch counts."""
        return bool(self.query("select 1 from batches where batch_id = ?", batch_id))

    def pending(self, kind: str | None = None, source: str | None = None) -> dict[str, str]:
        """Batches that were begun and never committed, and their kinds."""
        sql = "select batch_id, kind from pending where (? is null or kind = ?) and (? is null or source = ?)"
        return {str(batch): str(k) for batch, k in self.query(sql, kind, kind, source, source)}

    def forget_pending(self, batch_ids: Sequence[str]) -> None:
        """Strikes batches off the list of the unfinished, after their rows were swept."""
        with self.transaction() as db:
            db.executemany("delete from pending where batch_id = ?", [(b,) for b in batch_ids])

    def committed(self, as_of: datetime | None = None) -> pl.DataFrame:
        """`batch_id` and `seq` (commit order) of the batches committed by `as_of`."""
        limit = micros(as_of) if as_of else 2**62
        rows = self.query("select batch_id, seq from batches where committed_at <= ? order by seq", limit)
        return pl.DataFrame(rows, schema={"batch_id": pl.String, "seq": pl.Int64}, orient="row")

    def batches(self, *, kind: str | None = None, batch_id: str | None = None) -> list[Batch]:
        """The committed batches, in commit order: all, those of a kind, or the one of that id."""
        rows = self._connection.execute(
            "select seq, batch_id, kind, source, committed_at, detail, counts from batches"
            " where (? is null or kind = ?) and (? is null or batch_id = ?) order by seq",
            (kind, kind, batch_id, batch_id),
        )
        return [Batch(q, b, k, s, moment(at), json.loads(d), json.loads(c)) for q, b, k, s, at, d, c in rows]

    # what a rule keeps out

    def refused(self, ids: Iterable[str], rules: str) -> set[str]:
        """Those among these interactions that present rules kept out: feedback on them stays out as well.

        Args:
            ids: interactions.
            rules: a hash of the rules; what others kept out does not count.
        """
        if not self.query("select 1 from refused where rules = ? limit 1", rules):
            return set()
        asked, found = list(ids), set[str]()
        for at in range(0, len(asked), AT_ONCE):
            some = asked[at : at + AT_ONCE]
            sql = f"select id from refused where rules = ? and id in ({', '.join('?' * len(some))})"
            found.update(str(row[0]) for row in self.query(sql, rules, *some))
        return found

    def refuse(self, ids: Iterable[str], rules: str) -> None:
        """Notes interactions that rules (by their hash) kept out of the tables."""
        with self.transaction() as db:
            db.executemany("insert or replace into refused values (?, ?)", [(i, rules) for i in ids])

    # what judges said

    def judged(self, keys: Sequence[str]) -> dict[str, int]:
        """The grades that are known, by key; a key is a hash of the judge and of all that it was shown."""
        found: dict[str, int] = {}
        for at in range(0, len(keys), AT_ONCE):
            some = keys[at : at + AT_ONCE]
            sql = f"select key, grade from judged where key in ({', '.join('?' * len(some))})"
            found |= {str(key): int(str(grade)) for key, grade in self.query(sql, *some)}
        return found

    def note_judged(self, key: str, grade: int) -> None:
        """Keeps a grade, so that the same is not asked, and paid for, again."""
        with self.transaction() as db:
            db.execute("insert or replace into judged values (?, ?)", (key, grade))

    # files and watermarks

    def known_file(self, source: str, sha256: str, reading: str) -> dict[str, object] | None:
        """What was counted when this file was read whole in this way, or None."""
        sql = "select detail from files where source = ? and sha256 = ? and reading = ?"
        rows = self.query(sql, source, sha256, reading)
        return json.loads(str(rows[0][0])) if rows else None

    def read_before(self, source: str, path: str, reading: str) -> list[tuple[str, dict[str, object]]]:
        """What was counted each time that a file stood at this path with other bytes: their hash, and the counts."""
        sql = "select sha256, detail from files where source = ? and path = ? and reading = ? order by rowid"
        return [(str(sha256), json.loads(str(detail))) for sha256, detail in self.query(sql, source, path, reading)]

    def note_file(self, source: str, sha256: str, reading: str, path: str, detail: Mapping[str, object]) -> None:
        """Notes that a file was read whole: the same bytes need no parsing again."""
        with self.transaction() as db:
            db.execute(
                "insert or ignore into files values (?, ?, ?, ?, ?)",
                (source, sha256, reading, path, json.dumps(detail)),
            )

    def note_watermark(self, source: str, until: datetime) -> None:
        """Notes that all events of a source up to `until` have been read."""
        with self.transaction() as db:
            db.execute("insert into watermarks values (?, ?, ?)", (source, micros(until), micros(now())))

    def watermarks(self, as_of: datetime | None = None) -> dict[str, datetime]:
        """The latest moment up to which each source is known to have been read, as recorded by `as_of`."""
        limit = micros(as_of) if as_of else 2**62
        sql = "select source, max(until) from watermarks where recorded_at <= ? group by source"
        return {str(source): moment(until) for source, until in self._connection.execute(sql, (limit,))}

    # artefacts and champions

    def add_artefact(self, manifest: Mapping[str, object], path: str, parents: Sequence[str]) -> None:
        """The catalog's copy of a manifest and its edges; can be rebuilt from the manifests.

        An artefact that is made again, and so found to be there, is the newest again.
        """
        with self.transaction() as db:
            db.execute(
                "insert or replace into artefacts values (?, ?, ?, ?, ?)",
                (manifest["id"], manifest["kind"], micros(now()), path, json.dumps(manifest)),
            )
            db.executemany("insert or ignore into edges values (?, ?)", [(manifest["id"], p) for p in parents])

    def artefact(self, artefact_id: str) -> dict[str, object] | None:
        """The manifest of an artefact, or None."""
        rows = self.query("select manifest from artefacts where id = ?", artefact_id)
        return json.loads(str(rows[0][0])) if rows else None

    def artefacts(self, kind: str | None = None) -> list[dict[str, object]]:
        """The manifests of one kind (or all), the one made last at the end."""
        sql = "select manifest from artefacts where ? is null or kind = ? order by published, id"
        return [json.loads(str(row[0])) for row in self.query(sql, kind, kind)]

    def parents(self, artefact_id: str) -> list[str]:
        """The ids an artefact was made from."""
        return [str(r[0]) for r in self.query("select parent from edges where child = ? order by parent", artefact_id)]

    def children(self, artefact_id: str) -> list[str]:
        """The ids that were made from an artefact."""
        return [str(r[0]) for r in self.query("select child from edges where parent = ? order by child", artefact_id)]

    def replace_artefact(self, artefact_id: str, heir: str, published: int, forget: int) -> None:
        """Strikes an artefact off; its edges stay, and its name leads to its heir, made of what was not forgotten.

        `published` is the heir's place in the order of versions (microseconds since 1970).
        """
        with self.transaction() as db:
            db.execute("insert or ignore into replaced values (?, ?, ?)", (artefact_id, heir, forget))
            db.execute("update artefacts set published = ? where id = ?", (published, heir))
            db.execute("delete from artefacts where id = ?", (artefact_id,))

    def published(self, artefact_id: str) -> int | None:
        """When an artefact was made, or found to be there again (microseconds since 1970); None where it is not."""
        rows = self._connection.execute("select published from artefacts where id = ?", (artefact_id,)).fetchone()
        return None if rows is None else int(rows[0])

    def heir(self, artefact_id: str) -> str | None:
        """What stands in place of an artefact that held what was forgotten since, or None where none did."""
        rows = self.query("select heir from replaced where id = ?", artefact_id)
        return str(rows[0][0]) if rows else None

    def set_champion(self, model: str, why: str) -> None:
        """Names the model that production serves from now on."""
        with self.transaction() as db:
            db.execute("insert into champions (model, at, why) values (?, ?, ?)", (model, micros(now()), why))

    def roll_back(self) -> str | None:
        """Makes the champion before the present one serve again; returns its name, or None where there is none."""
        with self.transaction() as db:
            standing = db.execute("select seq, model from champions where rolled_back = 0 order by seq").fetchall()
            if len(standing) < 2:
                return None
            earlier, present = standing[-2:]
            db.execute("update champions set rolled_back = 1 where seq in (?, ?)", (earlier[0], present[0]))
            self.set_champion(str(earlier[1]), f"rolled back from {present[1]}")
        return str(earlier[1])

    def note_withdrawn(self, model: str, champion: str) -> None:
        """Writes down that a rollback took a model out of service that was on its way; `champion` serves alone again.

        It stands in the history of champions, and is no place to roll back to.
        """
        sql = "insert into champions (model, at, why, rolled_back) values (?, ?, ?, 1)"
        with self.transaction() as db:
            db.execute(sql, (champion, micros(now()), f"rolled back from {model}"))

    def withdrawn(self) -> list[str]:
        """The models that a rollback took out of service."""
        sql = "select why from champions where why like 'rolled back from %' order by seq"
        return [str(row[0]).removeprefix("rolled back from ") for row in self.query(sql)]

    def champions(self) -> list[tuple[str, datetime, str]]:
        """All champions so far: model, since when, why; the last is the present one."""
        rows = self._connection.execute("select model, at, why from champions order by seq")
        return [(str(model), moment(at), str(why)) for model, at, why in rows]

    # ledger

    def spend(self, verb: str, artefact: str | None, seconds: float, cost_usd: float) -> int:
        """Writes what a step cost into the ledger; returns the entry's number."""
        with self.transaction() as db:
            entry = db.execute(
                "insert into ledger (at, verb, artefact, seconds, cost_usd) values (?, ?, ?, ?, ?)",
                (micros(now()), verb, artefact, seconds, cost_usd),
            )
        return int(entry.lastrowid or 0)

    def spend_more(self, entry: int, seconds: float, cost_usd: float) -> None:
        """Raises an entry of the ledger to what its step has cost so far."""
        with self.transaction() as db:
            db.execute("update ledger set seconds = ?, cost_usd = ? where seq = ?", (seconds, cost_usd, entry))

    def ledger(self) -> pl.DataFrame:
        """What each step cost, in order: `at`, `verb`, `artefact`, `seconds`, `cost_usd`."""
        rows = self.query("select at, verb, artefact, seconds, cost_usd from ledger order by seq")
        schema = {
            "at": pl.Int64,
            "verb": pl.String,
            "artefact": pl.String,
            "seconds": pl.Float64,
            "cost_usd": pl.Float64,
        }
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            pl.from_epoch("at", "us").dt.replace_time_zone("UTC")
        )

    def spent(self) -> dict[str, float]:
        """What all steps took together: `seconds` and `cost_usd`."""
        rows = self._connection.execute("select coalesce(sum(seconds), 0), coalesce(sum(cost_usd), 0) from ledger")
        seconds, cost = rows.fetchone()
        return {"seconds": float(seconds), "cost_usd": float(cost)}
