"""What rows weigh beside how far they are believed: the recent more, and slices alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

REST = "(rest)"
"""The rows that are in none of the named slices."""

MUCH = 10.0
"""A slice whose rows are weighed so much more is learned from few texts, over and over."""


@dataclass(frozen=True)
class Weighing:
    """How rows are weighed.

    Attributes:
        half_life: a row so much older than `until` weighs half; None weighs all ages alike.
        until: against what age is told; the newest row when None.
        slice_of: `interaction_id` and `slice`, the first of the balanced slices that a signal is in; None balances
            nothing.
    """

    half_life: timedelta | None = None
    until: datetime | None = None
    slice_of: pl.DataFrame | None = field(default=None, compare=False)


class Said(NamedTuple):
    """What the weighing did: for the manifest, and what should be known of it."""

    about: Mapping[str, object]
    findings: tuple[str, ...]


def weighed(rows: pl.DataFrame, weighing: Weighing) -> tuple[pl.DataFrame, Said]:
    """Multiply weights, first by age, then by slice; nothing is dropped.

    Half-life: `weight × 0.5^(age / half_life)`; a row without a date keeps its weight. Balance: each named slice, and
    all rows that are in none of them, weigh the same in sum, and the sum over all rows stays what it was. A row is in
    the first named slice that holds for its signal.

    Args:
        rows: rows of the training split: `weight`, `at` and `interaction_id`.
        weighing: as above.

    Returns:
        The rows in their order, and what was done.
    """
    if weighing.half_life is not None:
        until = pl.lit(weighing.until) if weighing.until is not None else pl.col("at").max()
        age = (until - pl.col("at")).dt.total_microseconds().clip(0) / (weighing.half_life / timedelta(microseconds=1))
        rows = rows.with_columns(weight=pl.col("weight") * (0.5**age).fill_null(1.0))
    if weighing.slice_of is None or rows.is_empty():
        return rows, Said({}, ())
    sliced = rows.join(weighing.slice_of, on="interaction_id", how="left", maintain_order="left")
    sliced = sliced.with_columns(pl.col("slice").fill_null(REST))
    sums = sliced.group_by("slice").agg(rows=pl.len(), sum=pl.col("weight").sum()).filter(pl.col("sum") > 0)
    sums = sums.with_columns(factor=pl.col("sum").sum() / pl.len() / pl.col("sum")).sort("slice")
    factor = pl.col("factor").fill_null(1.0)
    out = sliced.join(sums.select("slice", "factor"), on="slice", how="left", maintain_order="left")
    told = {name: {"rows": n, "factor": f} for name, n, _, f in sums.iter_rows()}
    return out.with_columns(weight=pl.col("weight") * factor).drop("slice", "factor"), Said(
        {"balance": told}, tuple(_findings(sums))
    )


def _findings(sums: pl.DataFrame) -> list[str]:
    return [
        f"{name}: {n:,} rows weigh {factor:,.1f} times as much as before, so that each is learned over and over"
        for name, n, _, factor in sums.iter_rows()
        if factor > MUCH
    ]
