"""The record of alerts: which stand since when, and what each place was told; written so that none is ever lost."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import polars as pl

from clworkbench.schemas import TimestampUtc
from clworkbench.workspace.catalog import Catalog, micros, moment

OWED = "owed"
"""What a place has not been told yet: written down before anything is sent."""

HISTORY = pl.Schema(
    {
        "at": TimestampUtc,
        "kind": pl.String(),
        "sink": pl.String(),
        "rule": pl.String(),
        "says": pl.String(),
        "since": TimestampUtc,
        "until": TimestampUtc,
    }
)
"""One row for each thing that a place was told, or is still owed, in order."""


class Episode(NamedTuple):
    """From when an alert first stood to when it was resolved; `alert` is how it was last found."""

    number: int
    fingerprint: str
    opened_at: datetime
    ended_at: datetime | None
    alert: dict[str, object]


class Telling(NamedTuple):
    """What a place was told last of an episode: `owed` (nothing yet), `alert`, `again`, `worse` or `resolved`."""

    kind: str
    at: datetime
    alert: dict[str, object]


def latest(catalog: Catalog) -> dict[str, Episode]:
    """The last episode of each alert, by its fingerprint, in the order in which they began."""
    rows = catalog.query("select number, fingerprint, opened_at, ended_at, alert from alerts order by number")
    found: dict[str, Episode] = {}
    for number, fingerprint, opened_at, ended_at, alert in rows:
        found.pop(str(fingerprint), None)
        ended = None if ended_at is None else moment(int(str(ended_at)))
        began = moment(int(str(opened_at)))
        found[str(fingerprint)] = Episode(int(str(number)), str(fingerprint), began, ended, json.loads(str(alert)))
    return found


def standing(catalog: Catalog) -> list[Episode]:
    """The episodes that have not ended."""
    return [episode for episode in latest(catalog).values() if episode.ended_at is None]


def note(
    catalog: Catalog, fingerprint: str, alert: Mapping[str, object], *, since: datetime, at: datetime, to: Iterable[str]
) -> None:
    """Notes that an alert stands, as it was found now, and that each of these places is owed word of it."""
    text = json.dumps(alert, default=str)
    with catalog.transaction() as db:
        found = db.execute("select number from alerts where fingerprint = ? and ended_at is null", (fingerprint,))
        row = found.fetchone()
        if row is None:
            sql = "insert into alerts (fingerprint, opened_at, alert) values (?, ?, ?)"
            number = db.execute(sql, (fingerprint, micros(since), text)).lastrowid
        else:
            number = row[0]
            db.execute("update alerts set alert = ? where number = ?", (text, number))
        known = {str(sink) for (sink,) in db.execute("select sink from alerts_told where number = ?", (number,))}
        sql = "insert into alerts_told (number, sink, kind, at, alert) values (?, ?, ?, ?, ?)"
        db.executemany(sql, [(number, sink, OWED, micros(at), text) for sink in to if sink not in known])


def end(catalog: Catalog, number: int, alert: Mapping[str, object], at: datetime) -> None:
    """Notes that an alert is resolved, and how it was found then."""
    with catalog.transaction() as db:
        sql = "update alerts set ended_at = ?, alert = ? where number = ?"
        db.execute(sql, (micros(at), json.dumps(alert, default=str), number))


def told(catalog: Catalog, number: int) -> dict[str, Telling]:
    """What each place was told last of an episode."""
    rows = catalog.query("select sink, kind, at, alert from alerts_told where number = ? order by seq", number)
    return {
        str(sink): Telling(str(kind), moment(int(str(at))), json.loads(str(alert))) for sink, kind, at, alert in rows
    }


def tell(catalog: Catalog, number: int, sink: str, kind: str, alert: Mapping[str, object], at: datetime) -> None:
    """Notes what a place was told; call it after it was."""
    with catalog.transaction() as db:
        sql = "insert into alerts_told (number, sink, kind, at, alert) values (?, ?, ?, ?, ?)"
        db.execute(sql, (number, sink, kind, micros(at), json.dumps(alert, default=str)))


def history(catalog: Catalog) -> pl.DataFrame:
    """All that was told, and what is owed still: `HISTORY`."""
    rows = catalog.query(
        "select told.at, told.kind, told.sink, told.alert, alerts.opened_at, alerts.ended_at"
        " from alerts_told as told join alerts using (number)"
        " where kind <> ? or not exists (select 1 from alerts_told as later where later.number = told.number"
        " and later.sink = told.sink and later.seq > told.seq) order by told.seq",
        OWED,
    )
    plain = []
    for at, kind, sink, alert, since, until in rows:
        found = json.loads(str(alert))
        plain.append((at, kind, sink, found["rule"], found["says"], since, until))
    times = ("at", "since", "until")
    columns = {name: pl.Int64() if name in times else dtype for name, dtype in HISTORY.items()}
    frame = pl.DataFrame(plain, schema=columns, orient="row")
    return frame.with_columns(pl.from_epoch(name, "us").dt.replace_time_zone("UTC") for name in times).cast(HISTORY)
