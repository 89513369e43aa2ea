"""The rows around those that were named: they hold the same texts, or go on from them."""

from pathlib import Path

import polars as pl

from clworkbench.audit.asked import Asked
from clworkbench.workspace import erasing

LIGHT = (
    *("interaction_id", "source", "source_id", "trace_id", "parent_id", "conversation_id", "user_key", "started_at"),
    "batch_id",
)


def with_same_texts(table: Path, first: pl.DataFrame, keys: pl.Series, asked: Asked) -> pl.DataFrame:
    """The named rows and those around them that go with them, every version; the rule stands in `audit.scope`.

    Args:
        table: the folder of `interactions`.
        first: the named rows, columns `LIGHT`.
        keys: of the users who were named.
        asked: what was asked.
    """
    mine = pl.concat([keys, first["user_key"].drop_nulls().alias("key")]).unique()
    known = first
    while True:
        near = _near(table, known, conversations=asked.by != "where").join(known, on="interaction_id", how="anti")
        more = _going(near, known, mine, asked)
        if more.is_empty():
            break
        known = pl.concat([known, near.join(more, on="interaction_id", how="semi")])
    going = pl.concat([known, _above(near, known, mine)]).select("interaction_id")
    return erasing.standing(table, going, *LIGHT)


def _near(table: Path, known: pl.DataFrame, *, conversations: bool) -> pl.DataFrame:
    """The rows of the same traces and conversations, and those that name a known row as their parent."""
    links = {"trace_id": "trace_id", "parent_id": "source_id"}
    links |= {"conversation_id": "conversation_id"} if conversations else {}
    found = []
    for own, theirs in links.items():
        wanted = known.select("source", pl.col(theirs).alias(own)).drop_nulls(own)
        found.append(erasing.standing(table, wanted, *LIGHT).select(LIGHT))
    return pl.concat(found).unique(maintain_order=True)


def _going(near: pl.DataFrame, known: pl.DataFrame, mine: pl.Series, asked: Asked) -> pl.DataFrame:
    """Of the rows near by, the ids of those that go next."""
    place = ["source", "trace_id"]
    shared = pl.concat([near, known]).filter(_of_others(mine)).select(place)
    traced = near.join(known.select(place).drop_nulls("trace_id"), on=place, how="semi", nulls_equal=True)
    traced = traced.join(shared, on=place, how="anti", nulls_equal=True)
    parents = known.select("source", parent_id="source_id").drop_nulls("parent_id")
    below = near.join(parents, on=["source", "parent_id"], how="semi", nulls_equal=True)
    going = [traced, below]
    if asked.by != "where":
        going.append(_later(near, known, mine, asked))
    return pl.concat(rows.select("interaction_id") for rows in going).unique()


def _later(near: pl.DataFrame, known: pl.DataFrame, mine: pl.Series, asked: Asked) -> pl.DataFrame:
    """What came in a conversation after what goes; of a user's, what bears no key as well."""
    place = ["source", "conversation_id"]
    theirs = known.filter(pl.col("user_key").is_in(mine.implode())) if asked.by == "user" else known
    since = theirs.drop_nulls("conversation_id").group_by(place).agg(since=pl.col("started_at").min())
    talk = near.join(since, on=place, nulls_equal=True)
    later = (pl.col("started_at") >= pl.col("since")).fill_null(value=True)
    unkeyed = pl.col("user_key").is_null() if asked.by == "user" else pl.lit(value=False)
    return talk.filter(later | unkeyed)


def _above(near: pl.DataFrame, known: pl.DataFrame, mine: pl.Series) -> pl.DataFrame:
    """In traces that others share: the rows without another's key above those that go, which repeat their texts."""
    free = near.filter(~_of_others(mine))
    found, level = near.clear(), known
    while True:
        wanted = level.select("source", source_id="parent_id").drop_nulls("source_id")
        level = free.join(wanted, on=["source", "source_id"], how="semi", nulls_equal=True)
        level = level.join(found, on="interaction_id", how="anti")
        if level.is_empty():
            return found
        found = pl.concat([found, level])


def _of_others(mine: pl.Series) -> pl.Expr:
    return pl.col("user_key").is_not_null() & ~pl.col("user_key").is_in(mine.implode())
