"""What scores on a drawn suite say of production: each example counted by the inverse of its chance of being drawn."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from clworkbench.statistics.weighted import Drawn, weighted_mean

ALL = "all"

PRODUCTION = pl.Schema(
    {
        "slice": pl.String,
        "scorer": pl.String,
        "n": pl.Int64,
        "n_effective": pl.Float64,
        "mean": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)
"""One row for each slice (`all` first) and scorer: `n` graded examples, how many drawn with equal chances would tell as
much, and the mean over the traffic that was drawn from, with its 95 % interval."""


def drawn_of(suite: pl.DataFrame) -> pl.DataFrame | None:
    """How a suite (`schemas.SUITE`) was drawn: `example_id`, `inclusion`, `cluster`; None where somebody chose it."""
    if suite.is_empty() or "inclusion" not in suite.columns or suite["inclusion"].null_count():
        return None
    cluster = pl.coalesce("group", "example_id").rank("dense").cast(pl.Int64) - 1
    return suite.select("example_id", "inclusion", cluster=cluster)


def production(scores: pl.DataFrame, drawn: pl.DataFrame) -> pl.DataFrame:
    """Mean scores over the traffic that a suite was drawn from.

    Repetitions of an example are averaged first; those that could not be graded are left out.

    Args:
        scores: rows of `schemas.SCORES`, of one model on one suite.
        drawn: as `drawn_of` gives it.

    Returns:
        `PRODUCTION`; nothing where examples were scored of which nobody knows how they were drawn.
    """
    examples = scores.group_by("example_id", "scorer", maintain_order=True).agg(
        pl.col("slices").first(), pl.col("score").mean()
    )
    told = examples.join(drawn, on="example_id", how="left", maintain_order="left")
    if told["inclusion"].null_count():
        return pl.DataFrame(schema=PRODUCTION)
    graded = told.drop_nulls("score")
    by_slice = graded.explode("slices", empty_as_null=True).drop_nulls("slices").rename({"slices": "slice"})
    whole = graded.with_columns(slice=pl.lit(ALL)).select(by_slice.columns)
    parts = pl.concat([whole, by_slice.filter(pl.col("slice") != ALL).sort("slice", maintain_order=True)])
    rows = [
        {"slice": name, "scorer": scorer, **_mean(part)}
        for (name, scorer), part in parts.group_by("slice", "scorer", maintain_order=True)
    ]
    return pl.DataFrame(rows, schema=PRODUCTION)


def _mean(part: pl.DataFrame) -> dict[str, object]:
    how = Drawn(part["inclusion"].to_numpy(), part["cluster"].to_numpy().astype(np.intp))
    found = weighted_mean(part["score"].to_numpy(), how)
    low, high = found.interval
    return {"n": found.n, "n_effective": found.n_effective, "mean": found.mean, "low": low, "high": high}


def lines(found: pl.DataFrame) -> list[str]:
    """For a terminal: what `PRODUCTION` says of all traffic, a line for each scorer."""
    return [
        f"over the traffic that it was drawn from: {row['scorer']} {in_words(row)}"
        for row in found.filter(pl.col("slice") == ALL).to_dicts()
    ]


def in_words(row: Mapping[str, Any]) -> str:
    """A weighted mean as a reader says it: with its interval, and how much it rests on."""
    rests = f"n = {row['n']:,}, as good as {row['n_effective']:,.0f} drawn with equal chances"
    if row["low"] is None:
        return f"{row['mean']:.3f} (no interval: {rests})"
    return f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f}; {rests})"
