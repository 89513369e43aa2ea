"""Evidence: what reasons look at beyond a signal's own columns: who says the same, and what others answered."""

import polars as pl

from clworkbench.similarity.masked import masked_groups
from clworkbench.similarity.minhash import near_duplicates

MANY = 50_000
"""Failing texts beyond which only those that are the same once masked count as repeated: pairs would take too long."""


def repeats(signals: pl.DataFrame) -> pl.Series:
    """For each failing signal, how many failing ones say nearly the same, itself among them; null for all others.

    Args:
        signals: `text`, `outcome` (false is a failure).
    """
    rows = signals.select("text", "outcome").with_row_index("row")
    failing = rows.filter(~pl.col("outcome"), pl.col("text").is_not_null())
    texts = failing["text"]
    groups = masked_groups(texts) if len(texts) > MANY else near_duplicates(texts)["group"]
    counted = failing.select("row", group=groups).drop_nulls("group").with_columns(repeats=pl.len().over("group"))
    found = rows.join(counted, on="row", how="left", maintain_order="left")["repeats"]
    return found.cast(pl.Int64)


def disagreement(signals: pl.DataFrame) -> pl.Series:
    """Whether another model, or another release, answered the same conversation otherwise; null where none answered it.

    Args:
        signals: `input` (messages), `answer`, `model`, `release_id`.
    """
    role, content = (pl.element().struct.field(name).fill_null("") for name in ("role", "content"))
    asked = pl.col("input").list.eval(role + pl.lit("\x1e") + content).list.join("\x1f")
    answered = pl.col("answer").str.strip_chars()
    by = pl.coalesce("release_id", "model")
    told = signals.select(
        asked=pl.when(asked.str.len_bytes() > 0, answered.str.len_bytes() > 0, by.is_not_null()).then(asked),
        answered=answered,
        by=by,
    )
    several = pl.col("by").n_unique().over("asked") > 1
    differ = pl.col("answered").n_unique().over("asked") > 1
    twice = told.with_row_index("row").filter(pl.col("asked").is_not_null() & pl.col("asked").is_duplicated())
    found = twice.filter(several).select("row", disagreement=differ)
    rows = told.select().with_row_index("row") if told.is_empty() else told.with_row_index("row").select("row")
    return rows.join(found, on="row", how="left", maintain_order="left")["disagreement"]
