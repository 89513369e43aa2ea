"""Influence: how much one user, one text or one burst may weigh, and when many voices are one campaign."""

from datetime import timedelta

import polars as pl

from clworkbench.policy.sampling import uniform

WINDOW = timedelta(hours=1)
"""Voices on one answer that are closer together than this may be a campaign."""


def beyond(rows: pl.DataFrame, by: str, most: int | None, *, salt: str) -> pl.Series:
    """Which rows are too many of one user or text.

    Which ones stay is drawn by keyed hash, so that neither the first nor the loudest hour of a user is preferred, and
    a set built again keeps the same ones.

    Args:
        rows: with `by` and `row_id`; rows without a value in `by` are never too many.
        by: the column whose values are capped.
        most: rows allowed of each value; None allows all.
        salt: draws.
    """
    if most is None or rows.is_empty():
        return pl.repeat(value=False, n=rows.height, eager=True)
    drawn = rows.select(by, "row_id").with_columns(draw=uniform(rows["row_id"], salt))
    place = pl.struct("draw", "row_id").rank("ordinal").over(by)
    return drawn.select(((place > most) & pl.col(by).is_not_null()).fill_null(value=False))[:, 0]


def in_burst(rows: pl.DataFrame, gap: timedelta | None) -> pl.Series:
    """Which rows follow one of the same user within `gap`, or one that does: all of a burst but its first.

    Args:
        rows: with `user_key` and `started_at`; rows without either are in no burst.
        gap: the least time between two rows that are no burst; None finds none.
    """
    if gap is None:
        return pl.repeat(value=False, n=rows.height, eager=True)
    timed = rows.select("user_key", "started_at").with_row_index().sort("started_at", "index")
    soon = (pl.col("started_at") - pl.col("started_at").shift(1).over("user_key")) < gap
    return timed.with_columns(burst=soon.fill_null(value=False) & pl.col("user_key").is_not_null()).sort("index")[
        "burst"
    ]


def brigaded(feedback: pl.DataFrame, most: int | None) -> pl.DataFrame:
    """Answers on which so many different actors said the same within an hour.

    Args:
        feedback: what was said, one row each: `interaction_id` (the answer it is about), `actor_key`, `score`, `at`;
            rows without an actor, a date or a score that says something do not count.
        most: so many actors make a campaign; None finds none.

    Returns:
        One row for each such answer: `interaction_id`, `actors` (the most within one hour), `score` (-1 or 1).
    """
    schema = {"interaction_id": pl.String, "actors": pl.UInt32, "score": pl.Float64}
    if most is None:
        return pl.DataFrame(schema=schema)
    said = feedback.select("interaction_id", "actor_key", "at", score=pl.col("score").sign()).drop_nulls()
    said = said.filter(pl.col("score") != 0).sort("at")
    windows = said.rolling("at", period=WINDOW, closed="both", group_by=["interaction_id", "score"]).agg(
        actors=pl.col("actor_key").n_unique()
    )
    counted = windows.group_by("interaction_id", "score").agg(pl.col("actors").max())
    return counted.filter(pl.col("actors") >= most).select(*schema).sort("interaction_id", "score")
