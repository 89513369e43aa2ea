"""Spans of characters in texts, as frames: `row` (the text), `start`, `end` (half open)."""

import polars as pl


def plain(spans: pl.DataFrame) -> pl.DataFrame:
    """The same spans with integers of one type: `row`, `start`, `end`, `kind`."""
    integers = [pl.col(name).cast(pl.Int64) for name in ("row", "start", "end")]
    return spans.select(*integers, "kind")


def merged(spans: pl.DataFrame) -> pl.DataFrame:
    """The characters that spans cover, as disjoint spans: `row`, `start`, `end`."""
    reached = pl.col("end").cum_max().shift(1).over("row")
    return (
        spans.filter(pl.col("end") > pl.col("start"))
        .sort("row", "start")
        .with_columns(block=(pl.col("start") > reached).fill_null(value=False).cum_sum().over("row"))
        .group_by("row", "block", maintain_order=True)
        .agg(pl.col("start").min(), pl.col("end").max())
        .drop("block")
    )


def overlaps(spans: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Pairs in the same text that share characters: the columns of `spans` and `overlap`, how many they share."""
    return (
        spans.join(others.select("row", other_start="start", other_end="end"), on="row")
        .with_columns(overlap=pl.min_horizontal("end", "other_end") - pl.max_horizontal("start", "other_start"))
        .filter(pl.col("overlap") > 0)
        .drop("other_start", "other_end")
    )


def n_characters(spans: pl.DataFrame) -> int:
    """How long spans are together."""
    return int((spans["end"] - spans["start"]).sum())
