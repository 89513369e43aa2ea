"""Leakage: training rows that stand in a suite as well, exactly, normalised, or by their group."""

import polars as pl

from clworkbench.training_sets.texts import conversation, normalised

LEAKS = ("leak_exact", "leak_normalised", "leak_group")


def leaks(rows: pl.DataFrame, examples: pl.DataFrame) -> pl.Series:
    """How each training row leaks into held-out examples.

    Args:
        rows: training rows with `prompt` and `group`.
        examples: rows of suites with `input` and `group`.

    Returns:
        `leak_exact` (the same words), `leak_normalised` (the same but for case and punctuation), `leak_group` (the
        same conversation or user), or null, for each row in order.
    """
    said = conversation(pl.col("input"))
    held = examples.select(said=said, plain=normalised(said), group=pl.col("group"))
    row_said = conversation(pl.col("prompt"))
    found = rows.select(
        pl.when(row_said.is_in(held["said"].drop_nulls().implode()))
        .then(pl.lit("leak_exact"))
        .when(normalised(row_said).is_in(held["plain"].drop_nulls().implode()))
        .then(pl.lit("leak_normalised"))
        .when(pl.col("group").is_in(held["group"].drop_nulls().implode()))
        .then(pl.lit("leak_group"))
        .alias("leak")
    )
    return found["leak"]
