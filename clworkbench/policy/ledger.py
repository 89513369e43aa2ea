"""Ledger: what was spent by month and kind of work, against the limits that are passed in."""

from collections.abc import Mapping
from datetime import date

import polars as pl

from clworkbench.settings import Limit

KINDS = ("train", "eval", "label", "all")
"""The kinds of work that have a limit; `all` is the sum of these and of whatever else stands in the ledger."""

ACCOUNT = pl.Schema(
    {
        "month": pl.Date,
        "kind": pl.String,
        "hours": pl.Float64,
        "usd": pl.Float64,
        "limit_hours": pl.Float64,
        "limit_usd": pl.Float64,
        "left_hours": pl.Float64,
        "left_usd": pl.Float64,
        "used": pl.Float64,
    }
)
"""One row for each month (its first day, UTC) and kind of work.

`left_hours` and `left_usd` are below 0 where more was spent than allowed, and null without a limit; `used` is the
share of the limit that is spent, the larger of the two (1 for a limit of 0).
"""


def account(ledger: pl.DataFrame, limits: Mapping[str, Limit], month: date) -> pl.DataFrame:
    """What was spent and is left, the latest month first: `ACCOUNT`.

    Args:
        ledger: one row for each step: `at` (UTC), `verb`, `seconds`, `cost_usd`.
        limits: by kind; a kind that is not there has none.
        month: the month that is always told of; months in which nothing was spent are left out but for it.
    """
    entries = ledger.select(
        month=pl.col("at").dt.date().dt.month_start(),
        kind="verb",
        hours=pl.col("seconds") / 3600,
        usd="cost_usd",
    )
    nothing = pl.DataFrame({"month": [month.replace(day=1)] * len(KINDS), "kind": KINDS, "hours": 0.0, "usd": 0.0})
    everything = pl.concat([nothing, entries, entries.with_columns(kind=pl.lit("all"))], how="vertical_relaxed")
    spent = everything.group_by("month", "kind").agg(pl.col("hours", "usd").sum())
    allowed = pl.DataFrame(
        [(kind, limit.hours, limit.usd) for kind, limit in limits.items()],
        schema={"kind": pl.String, "limit_hours": pl.Float64, "limit_usd": pl.Float64},
        orient="row",
    )
    units = ("hours", "usd")
    shares = [
        pl.when(pl.col(f"limit_{unit}") > 0)
        .then(pl.col(unit) / pl.col(f"limit_{unit}"))
        .when(pl.col(f"limit_{unit}") == 0)
        .then(1.0)
        for unit in units
    ]
    order = pl.col("kind").replace_strict({"train": 0, "eval": 1, "label": 2, "all": 4}, default=3)
    return (
        spent.join(allowed, on="kind", how="left")
        .with_columns((pl.col(f"limit_{unit}") - pl.col(unit)).alias(f"left_{unit}") for unit in units)
        .with_columns(used=pl.max_horizontal(shares))
        .sort(pl.col("month"), order, "kind", descending=[True, False, False])
        .select(ACCOUNT.names())
        .cast(ACCOUNT)
    )
