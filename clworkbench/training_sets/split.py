"""Which rows are held out, and which learned rows are replayed: by keyed hash, so that a row never moves."""

import polars as pl

from clworkbench.policy.sampling import uniform


def with_split(rows: pl.DataFrame, *, holdout: float, salt: str) -> pl.DataFrame:
    """Adds `split`: `holdout` for that share of the groups, else `train`. A group stands on one side only."""
    if rows.is_empty():
        return rows.with_columns(split=pl.lit(None, dtype=pl.String))
    held = uniform(rows["group"], salt) < holdout
    return rows.with_columns(split=pl.when(held).then(pl.lit("holdout")).otherwise(pl.lit("train")))


def replayed(rows: pl.DataFrame, learned: pl.Series, *, share: float, salt: str) -> pl.DataFrame:
    """Keeps all new rows, and so many learned ones that they are `share` of the set (all, where there are too few).

    Args:
        rows: training rows with `row_id`.
        learned: ids of rows that the champion was trained on.
        share: 0 drops every learned row, 1 keeps them all.
        salt: draws the sample; another salt, another sample.

    Returns:
        The rows kept, in their order, with `replay` (Boolean: learned before).
    """
    marked = rows.with_columns(replay=pl.col("row_id").is_in(learned.implode()))
    old = marked.filter("replay")
    wanted = old.height if share >= 1 else round((marked.height - old.height) * share / (1 - share))
    if wanted >= old.height:
        return marked
    drawn = old.select("row_id", draw=uniform(old["row_id"], salt)).sort("draw", "row_id").head(wanted)["row_id"]
    return marked.filter(~pl.col("replay") | pl.col("row_id").is_in(drawn.implode()))
