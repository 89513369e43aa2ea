"""Rates by slice: how often an outcome happened, and how sure we are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import rate_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.slices_figure import rates_figure, series_figure
from clworkbench.errors import ExpressionError
from clworkbench.slices.keys import PERIODS, Every, keys
from clworkbench.statistics.intervals import wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MIDDLE = {"day": timedelta(hours=12), "week": timedelta(days=3, hours=12)}
"""How far the middle of a period lies behind its start, by which it is named."""

COUNTED = ("n", "pending", "rate", "low", "high")
NAMED = {"hour": "%a %d %b %Y %H:00", "day": "%a %d %b %Y", "week": "%a %d %b %Y", "month": "%B %Y"}

SHOWN = 50
"""Rows that a cell shows."""

ONE_CLASS = 20
"""Settled outcomes from which on it is worth a word that all are the same."""


def rates(signals: pl.DataFrame, *by: str, event: pl.Expr, every: Every | None = None) -> pl.DataFrame:
    """Share of settled signals in which `event` is true, with its Wilson interval.

    Args:
        signals: one row for each signal; pending outcomes are null in `event` and do not count.
        by: up to three columns or attributes that make the slices, as `keys.keys` reads them: numbers in bins; a
            signal counts once for each member of a list.
        event: Boolean expression over `signals`.
        every: also by the hour, day, week or month (UTC) in which a signal began.

    Returns:
        One row for each slice: the period, `by`, `n` (settled), `pending`, and `rate`, `low`, `high` (all 0 to 1, null
        where nothing is settled).

    Raises:
        ExpressionError: a column is not there, or makes no groups.

    Source: Wilson 1927, as in Brown, Cai and DasGupta 2001, eq. (4).
    """
    if taken := [name for name in by if name in COUNTED]:
        raise ExpressionError(f"by: {taken[0]!r} is what rates call a column of their own. Rename it first.")
    held = keys(signals, by, every=every)
    groups = held.columns
    held = signals.select(rate=event).with_columns(held)
    for name in by:
        if isinstance(held.schema[name], pl.List):
            held = held.explode(name, empty_as_null=True, keep_nulls=True)
    rate, n = pl.col("rate"), pl.col("n")
    counts = {"n": rate.count().cast(pl.Int64), "pending": rate.null_count().cast(pl.Int64), "rate": rate.mean()}
    counted = held.group_by(groups).agg(**counts).sort(groups) if groups else held.select(**counts)
    low, high = wilson_bounds(rate, n)
    return counted.with_columns(low=low, high=high)


@dataclass(frozen=True, eq=False)
class SliceReport:
    """Rates with their n and their intervals, a row for each period, slice, or value of columns.

    Attributes:
        frame: as `rates` gives it; for one slice perhaps with `share`, its part of all signals.
        by: the columns that make a row.
        title: what is counted, in words.
        marks: moments that the figure marks, by what happened then.
        rate: what the rate is called: `good` of an outcome, `share` of anything else.
        counts: all signals that are counted, settled and pending; None where the rows' own add up to that.
        notes: in words, what to know of the outcomes and of what is no signal.
    """

    frame: pl.DataFrame
    by: tuple[str, ...]
    title: str
    marks: Mapping[str, datetime] = field(default_factory=dict)
    rate: str = "good"
    counts: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        settled, pending = self._counts
        by = ", ".join(self.by)
        said = f"{settled:,} {self._known}, {pending:,} pending"
        return f"SliceReport({self.title}: {self.frame.height} by {by}, {said})"

    def _repr_html_(self) -> str:
        left = self.frame.height - SHOWN
        more = html_table((f"and {left:,} more rows: see `.frame`",), []) if left > 0 else ""
        return html_table(*self._cells(SHOWN), caption=". ".join([self._said, *self.notes])) + more

    def lines(self) -> list[str]:
        """For a terminal: a row for each slice, and in words what cannot be told."""
        titles, rows = self._cells(None)
        texts = [titles, *([_text(value) for value in row] for row in rows)]
        widths = [max(len(row[i]) for row in texts) for i in range(len(titles))]
        rest = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in texts)
        return [self._said, *rest, *self.notes]

    @property
    def why(self) -> str | None:
        """Why there is no rate at all, in words; None where there is one."""
        settled, pending = self._counts
        if settled:
            return None
        if not pending:
            return "not enough data: there are no signals here"
        if self._known == "settled":
            return f"not enough data: none of {pending:,} outcomes is settled yet"
        return f"not enough data: it is not known of any of {pending:,} signals"

    @property
    def one_class(self) -> str | None:
        """In words, that all settled outcomes are the same, which may be the rules' doing; None where they are not."""
        n, worst, best = self._counts[0], self.frame["rate"].min(), self.frame["rate"].max()
        if self._known != "settled" or n < ONE_CLASS or worst != best or worst not in (0, 1):
            return None
        kind, other = ("good", "bad") if worst else ("bad", "good")
        return f"all {n:,} settled outcomes are {kind}: see in [outcomes] whether a rule could tell a {other} one"

    @property
    def _said(self) -> str:
        why = self.why or self.one_class
        return self.title if why is None else f"{self.title}: {why}"

    @property
    def _known(self) -> str:
        return "settled" if self.rate == "good" else "known"

    @property
    def _counts(self) -> tuple[int, int]:
        return self.counts or (int(self.frame["n"].sum()), int(self.frame["pending"].sum()))

    @property
    def _has_share(self) -> bool:
        return "share" in self.frame.columns

    def _cells(self, most: int | None) -> tuple[list[str], list[list[object]]]:
        titles = [*self.by, "signals", self._known, self.rate, "95 %", *(["of all signals"] if self._has_share else [])]
        rows = [
            [
                *(_named(row[name], name) for name in self.by),
                row["n"] + row["pending"],
                row["n"],
                percent(row["rate"]) if row["n"] else "not enough data",
                _interval(row),
                *([percent(row["share"])] if self._has_share else []),
            ]
            for row in (self.frame if most is None else self.frame.head(most)).iter_rows(named=True)
        ]
        return titles, rows

    def plot(self) -> "Figure":
        """Each rate as a dot with its interval and the number behind it; over time where time is among the columns."""
        title = f"{self.title}, Wilson 95 %"
        period = next((name for name in self.by if name in PERIODS), None)
        if period is not None and len(self.by) == 1:
            middle = pl.col(period) + MIDDLE[period] if period in MIDDLE else pl.col(period)
            shown = self.frame.with_columns(middle.alias(period))
            figure = rate_figure(shown, period, title=title, marks=self.marks)
            return figure.update_yaxes(title=self.rate, row=1, col=1)
        named = self.frame.with_columns(name=_names(self.frame, [name for name in self.by if name != period]))
        if period is not None:
            return series_figure(named, period, title=title).update_yaxes(title=self.rate)
        return rates_figure(named, title=title).update_xaxes(title=self.rate)


def _names(frame: pl.DataFrame, by: Sequence[str]) -> pl.Series:
    rows = frame.select(by).iter_rows() if by else iter([()] * frame.height)
    return pl.Series(
        "name",
        [" · ".join(_named(value, name) for value, name in zip(row, by, strict=True)) or "all" for row in rows],
        dtype=pl.String,
    )


def _named(value: object, column: str) -> str:
    if isinstance(value, datetime):
        return f"{value:{NAMED.get(column, '%Y-%m-%d %H:%M')}}"
    return "not known" if value is None else str(value)


def _text(value: object) -> str:
    from clworkbench.display.text import short

    return f"{value:,}" if isinstance(value, int) else short(value, 60)


def _interval(row: Mapping[str, float | None]) -> str:
    return "–" if row["low"] is None else f"{percent(row['low'])} to {percent(row['high'])}"
