"""Tombstones: what was forgotten, by keyed ids alone, so that no export brings it back."""

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import DATES, TimestampUtc
from clworkbench.workspace.catalog import Catalog, moment

IDS = ("interaction", "feedback", "label")
"""Kinds of tombstones that stand for one thing, for ever."""

UNTIL = ("user", "trace", "conversation", "before")
"""Kinds that stand for all that happened until a moment: of a user, in a trace or a conversation, or at all."""

REFUSED_LATER = 0
"""Stands for no forget: interactions that came in later and were refused."""

_HEX_ID = re.compile(r"[0-9a-f]{32}")
_DATED = pl.Schema({"id": pl.String(), "until": TimestampUtc})


class Tombstone(NamedTuple):
    """One tombstone: an id (32 hex digits, keyed), and for kinds in `UNTIL` until when (microseconds since 1970)."""

    kind: str
    id: str
    until: int | None = None


class Tombstones(NamedTuple):
    """Tombstones as frames: by kind of `IDS` the ids, and by kind of `UNTIL` ids and moments."""

    ids: dict[str, pl.Series]
    until: dict[str, pl.DataFrame]


def place_id(pseudonyms: Pseudonyms, kind: str, source: str | None, own_id: str) -> str:
    """What stands for a trace or a conversation, whose own id may name a person."""
    return pseudonyms.id(f"forgotten {kind}", source or "", own_id)


def bury(db: sqlite3.Connection, forget: int, stones: Iterable[Tombstone]) -> None:
    """Writes tombstones, of 16 bytes each, within a transaction."""
    rows = ((forget, kind, _packed(own), until) for kind, own, until in stones)
    db.executemany("insert into tombstones values (?, ?, ?, ?)", rows)


def load(catalog: Catalog, forget: int | None = None) -> Tombstones:
    """All tombstones, or those of one forget."""
    sql = "select kind, id, until from tombstones where ? is null or forget = ?"
    ids: dict[str, list[str]] = {kind: [] for kind in IDS}
    until: dict[str, list[tuple[str, datetime]]] = {kind: [] for kind in UNTIL}
    for kind, own, at in catalog.query(sql, forget, forget):
        if kind in ids:
            ids[str(kind)].append(_unpacked(own))
        else:
            until[str(kind)].append((_unpacked(own), moment(int(str(at)))))
    dated = {kind: pl.DataFrame(rows, schema=_DATED, orient="row") for kind, rows in until.items()}
    latest = {kind: rows.group_by("id").agg(pl.col("until").max()) for kind, rows in dated.items()}
    return Tombstones({kind: pl.Series("id", own, pl.String).unique() for kind, own in ids.items()}, latest)


def of_interaction(catalog: Catalog, wanted: str, pseudonyms: Pseudonyms) -> int | None:
    """Which forget took an interaction, by our id or its source's own; None where none did."""
    sources = [str(row[0]) for row in catalog.query("select distinct source from batches where source is not null")]
    for own in (wanted, *(pseudonyms.id(source, wanted) for source in sources)):
        sql = "select forget from tombstones where kind = 'interaction' and id = ?"
        if rows := catalog.query(sql, _packed(own)):
            return int(str(rows[0][0]))
    return None


def _packed(own: str) -> bytes | str:
    return bytes.fromhex(own) if _HEX_ID.fullmatch(own) else own


def _unpacked(own: object) -> str:
    return own.hex() if isinstance(own, bytes) else str(own)


def forgotten(
    stones: Tombstones, table: str, frame: pl.DataFrame, pseudonyms: Pseudonyms, about: Mapping[str, str]
) -> pl.Series:
    """Which rows of a table, or of a training set or a suite, were forgotten.

    What happened before a user was forgotten is refused, and so is what has no date; what came later is new.

    Args:
        stones: as `load` gives them.
        table: a table's name, or `training_set`, `suite`.
        frame: rows with that table's columns, `batch_id` aside.
        pseudonyms: of the workspace.
        about: of sources whose feedback is about what another source reported, that source's name.
    """
    if table in ("training_set", "suite"):
        return frame.select(_of_rows(stones, frame.columns).alias("forgotten"))["forgotten"]
    rows = frame.with_row_index("row")
    found = [rows.select("row").clear()]
    for kind, column in _id_columns(table):
        found.append(rows.join(stones.ids[kind].to_frame(column), on=column, how="semi").select("row"))
    found += _by_date(stones, table, rows, pseudonyms, about)
    gone = pl.concat(found)["row"]
    return rows["row"].is_in(gone.implode()).alias("forgotten")


def _id_columns(table: str) -> Sequence[tuple[str, str]]:
    return {
        "interactions": [("interaction", "interaction_id")],
        "feedback": [("feedback", "feedback_id"), ("interaction", "target_id")],
        "labels": [("label", "label_id"), ("interaction", "interaction_id")],
        "candidates": [("interaction", "interaction_id")],
        "asked": [("interaction", "interaction_id")],
    }.get(table, [])


def _of_rows(stones: Tombstones, columns: Sequence[str]) -> pl.Expr:
    lists = {"signal_ids": "interaction", "feedback_ids": "feedback", "label_ids": "label"}
    hit = pl.lit(value=False)
    for column, kind in lists.items():
        if column in columns and not stones.ids[kind].is_empty():
            gone = pl.element().is_in(stones.ids[kind].implode())
            hit = hit | pl.col(column).list.eval(gone).list.any().fill_null(value=False)
    return hit


def _by_date(
    stones: Tombstones, table: str, rows: pl.DataFrame, pseudonyms: Pseudonyms, about: Mapping[str, str]
) -> list[pl.DataFrame]:
    """The rows that tombstones with a moment hold back."""
    if table not in DATES:
        return []
    rows = rows.rename({DATES[table]: "happened"})
    found = []
    actor = {"interactions": "user_key", "feedback": "actor_key", "labels": "annotator_key"}[table]
    found.append(_before(rows.select("row", "happened", id=actor), stones.until["user"]))
    if table != "labels":
        for kind in ("trace", "conversation"):
            if not stones.until[kind].is_empty():
                found.append(_before(_places(rows, table, kind, pseudonyms, about), stones.until[kind]))
    limit = stones.until["before"]["until"].max()
    if limit is not None:
        found.append(rows.filter(pl.col("happened") < limit).select("row"))
    return found


def _places(
    rows: pl.DataFrame, table: str, kind: str, pseudonyms: Pseudonyms, about: Mapping[str, str]
) -> pl.DataFrame:
    """The trace or conversation of each row that has one (feedback: that it may be about), as tombstones name it."""
    if table == "interactions":
        own = rows.select("row", "happened", "source", own=f"{kind}_id").drop_nulls("own")
    else:
        may = pl.col("target_kind").is_in([kind, "any"]) | pl.col("target_kind").is_null()
        own = rows.filter(may).select("row", "happened", "source", own="target_id").drop_nulls("own")
    names = own.select("source", "own").unique()
    ids = [place_id(pseudonyms, kind, about.get(source, source), name) for source, name in names.iter_rows()]
    return own.join(names.with_columns(id=pl.Series(ids, dtype=pl.String)), on=["source", "own"], nulls_equal=True)


def _before(rows: pl.DataFrame, until: pl.DataFrame) -> pl.DataFrame:
    dated = rows.join(until, on="id")
    return dated.filter(pl.col("happened").is_null() | (pl.col("happened") < pl.col("until"))).select("row")
