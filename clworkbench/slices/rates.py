"""Rates by slice: how often an outcome happened, and how sure we are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import rate_figure
from clworkbench.display.html import html_table, percent
from clworkbench.statistics.intervals import wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MIDDLE = {"day": timedelta(hours=12), "week": timedelta(days=3, hours=12)}
"""How far the middle of a period lies behind its start, by which it is named."""


def rates(signals: pl.DataFrame, *by: str, event: pl.Expr) -> pl.DataFrame:
    """Share of settled signals in which `event` is true, with its Wilson interval.

    Args:
        signals: one row for each signal; pending outcomes are null in `event` and do not count.
        by: columns that make the slices.
        event: Boolean expression over `signals`.

    Returns:
        One row for each slice: `by`, `n` (settled), `pending`, and `rate`, `low`, `high` (all 0 to 1, null where
        nothing is settled).

    Source: Wilson 1927, as in Brown, Cai and DasGupta 2001, eq. (4).
    """
    low, high = wilson_bounds(pl.col("rate"), pl.col("n"))
    counted = signals.group_by(by).agg(
        n=event.count().cast(pl.Int64), pending=event.null_count().cast(pl.Int64), rate=event.mean()
    )
    return counted.with_columns(low=low, high=high).sort(by)


@dataclass(frozen=True, eq=False)
class SliceReport:
    """Rates with their n and their intervals, a row for each day, week or slice.

    Attributes:
        frame: as `rates` gives it, by one column; for one slice perhaps with `share`, its part of all signals.
        by: that column.
        title: what is counted, in words.
        marks: moments that the figure marks, by what happened then.
    """

    frame: pl.DataFrame
    by: str
    title: str
    marks: Mapping[str, datetime] = field(default_factory=dict)

    def __repr__(self) -> str:
        settled, pending = (int(self.frame[name].sum()) for name in ("n", "pending"))
        return f"SliceReport({self.title}: {self.frame.height} by {self.by}, {settled:,} settled, {pending:,} pending)"

    def _repr_html_(self) -> str:
        titles = [self.by, "signals", "settled", "good", "95 %", *(["of all signals"] if self._has_share else [])]
        rows = [
            (
                _named(row[self.by]),
                row["n"] + row["pending"],
                row["n"],
                percent(row["rate"]),
                _interval(row),
                *([percent(row["share"])] if self._has_share else []),
            )
            for row in self.frame.iter_rows(named=True)
        ]
        return html_table(titles, rows, caption=self.title)

    @property
    def _has_share(self) -> bool:
        return "share" in self.frame.columns

    def plot(self) -> "Figure":
        """Each rate as a dot with its interval, the number behind it underneath; a day's stands at its noon."""
        middle = pl.col(self.by) + MIDDLE[self.by] if self.by in MIDDLE else pl.col(self.by)
        shown = self.frame.with_columns(middle.alias(self.by))
        return rate_figure(shown, self.by, title=f"{self.title}, Wilson 95 %", marks=self.marks)


def _named(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%a %d %b %Y}"
    return "not known" if value is None else str(value)


def _interval(row: Mapping[str, float | None]) -> str:
    return "–" if row["low"] is None else f"{percent(row['low'])} to {percent(row['high'])}"
