"""Repeated failures: what is said again and again and goes wrong, how often, and whether it gets worse."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.failures_figure import failures_figure
from clworkbench.display.figures import words_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.text import short, visible
from clworkbench.similarity.terms import names
from clworkbench.statistics.intervals import Bounds, wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 25
LETTERS = 120
OF_A_GROUP = 200
OF_OTHERS = 50_000
"""Texts by which groups are named."""


@dataclass(frozen=True, eq=False)
class Failures:
    """Groups of signals that fail more than once.

    Attributes:
        frame: one row for each group, the most failures beyond its share first: `group`, `name`, `n` (settled),
            `pending`, `failures`, `rate` (of failures, 0 to 1) with `low` and `high`, `excess` (failures more than at
            the rate of all signals), `n_before`, `rate_before`, `n_last`, `rate_last`, `change` (the last window's
            rate less the one before) with `change_low` and `change_high` (-1 to 1; null where a side has none),
            `trend` (`rising`, `falling`, `no clear change`, `not enough data`: at 95 % for all groups at once, so a
            change whose own interval leaves out 0 may not be clear), `first_at`, `last_at` (of failures),
            `example` (the id of the latest failure), `text` (what was said there).
        n: settled signals of all groups and none.
        failures: those of them that failed.
        window: how long the last window is.
        until: where it ends: the latest settled signal; None without one.
        grouped_by: in words, what makes a group.
        texts: whether a cell shows what was said.
    """

    frame: pl.DataFrame
    n: int
    failures: int
    window: timedelta
    until: datetime | None
    grouped_by: str = "groups"
    texts: bool = False

    def __repr__(self) -> str:
        return f"Failures({self.frame.height:,} {self.grouped_by} that fail again; {self._all()})"

    def _repr_html_(self) -> str:
        if self.frame.is_empty():
            return html_table(["repeated failures"], [], caption=f"No group failed more than once; {self._all()}.")
        headings = [
            "what",
            "settled",
            "pending",
            "failed",
            "rate",
            "95 %",
            f"last {_days(self.window)}",
            "trend",
            "example",
        ]
        rows = [
            (
                row["name"],
                row["n"],
                row["pending"],
                row["failures"],
                percent(row["rate"]),
                f"{percent(row['low'])} to {percent(row['high'])}",
                "–" if row["rate_last"] is None else f"{percent(row['rate_last'])} of {row['n_last']:,}",
                row["trend"],
                row["example"],
                *([(row["text"] or "")[:LETTERS]] if self.texts else []),
            )
            for row in self.frame.head(SHOWN).iter_rows(named=True)
        ]
        more = self.frame.height - len(rows)
        caption = f"Repeated failures by {self.grouped_by}; {self._all()}" + (f"; {more:,} more in .frame" * bool(more))
        return html_table([*headings, *(["said"] if self.texts else [])], rows, caption=caption)

    def lines(self) -> list[str]:
        """For a terminal."""
        if self.frame.is_empty():
            return [f"no group failed more than once; {self._all()}"]
        said = [
            f"{row['failures']:>6,} of {row['n']:,} failed ({percent(row['rate'])}, {percent(row['low'])} to "
            f"{percent(row['high'])}), {row['trend']}: {row['name']}   e.g. {row['example']}"
            + (f"\n         {visible(short(row['text'] or '', LETTERS))}" if self.texts else "")
            for row in self.frame.head(SHOWN).iter_rows(named=True)
        ]
        n, left = self.frame.height, self.frame.height - SHOWN
        groups = "1 group" if n == 1 else f"{n:,} groups"
        more = [f"{left:,} more: --json has all"] if left > 0 else []
        return [f"{groups} ({self.grouped_by}) failed more than once; {self._all()}", *said, *more]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw slice failures --json`."""
        shown = self.frame if self.texts else self.frame.drop("text")
        return {"n": self.n, "failures": self.failures, "grouped_by": self.grouped_by, "groups": shown.to_dicts()}

    def _all(self) -> str:
        return f"{self.failures:,} of {self.n:,} settled signals failed" if self.n else "nothing is settled yet"

    def plot(self) -> "Figure":
        """Each group's rate before and in the last window, with intervals and n; words where no group failed again."""
        if self.frame.is_empty():
            return words_figure(f"no group failed more than once; {self._all()}", title="Repeated failures")
        title = f"Repeated failures by {self.grouped_by}, Wilson 95 %"
        return failures_figure(self.frame.head(12), last=f"last {_days(self.window)}", title=title)


def repeated_failures(
    signals: pl.DataFrame,
    groups: pl.DataFrame,
    *,
    window: timedelta = timedelta(days=7),
    grouped_by: str = "groups",
    texts: bool = False,
) -> Failures:
    """Groups in which at least two settled signals failed.

    Args:
        signals: `interaction_id`, `started_at`, `text`, `outcome` (false is a failure, null is pending).
        groups: `interaction_id`, `group`; signals without one count only among all.
        window: the last so many days of settled signals are held against all before.
        grouped_by: in words, for titles.
        texts: whether a notebook's cell shows an example's text, or only its id.

    Source: Wilson 1927 for rates; Newcombe 1998, method 10, for the difference of two; Bonferroni for the trends.
    """
    settled = signals.drop_nulls("outcome")
    until = settled["started_at"].max()
    # Null where nothing is dated: then no signal stands in the last window.
    last = (pl.col("started_at") > pl.lit(until, signals.schema["started_at"]) - window).fill_null(value=False)
    overall = settled.select(1 - pl.col("outcome").mean()).item()
    rows = signals.join(groups.drop_nulls("group"), on="interaction_id").with_columns(
        failed=~pl.col("outcome"), last=last, dated=pl.col("started_at").is_not_null()
    )
    counted = rows.sort("started_at", "interaction_id", nulls_last=False).group_by("group").agg(**_counts())
    found = counted.filter(pl.col("failures") > 1).with_columns(excess=pl.col("failures") - pl.col("n") * overall)
    spoken = _spoken(rows, found["group"])
    called = names(spoken["text"], spoken["group"])
    named = found.join(called, on="group", how="left").with_columns(
        name=pl.coalesce("name", pl.format("no telling term ({})", "group"))
    )
    frame = _compared(named).sort("excess", "failures", "group", descending=[True, True, False]).select(COLUMNS)
    n_failed = settled.height - int(settled["outcome"].sum())
    assert until is None or isinstance(until, datetime)
    return Failures(frame, settled.height, n_failed, window, until, grouped_by, texts)


def _spoken(rows: pl.DataFrame, groups: pl.Series) -> pl.DataFrame:
    """Enough to name groups by: some texts of each of these, and of all others as many as tell them apart."""
    ours = pl.col("group").is_in(groups.implode())
    some = rows.filter(ours, pl.int_range(pl.len()).over("group") < OF_A_GROUP)
    others = rows.filter(~ours)
    return pl.concat([some, others.gather_every(max(1, others.height // OF_OTHERS))]).select("text", "group")


COLUMNS = [
    "group", "name", "n", "pending", "failures", "rate", "low", "high", "excess", "n_before", "rate_before", "n_last",
    "rate_last", "change", "change_low", "change_high", "trend", "first_at", "last_at", "example", "text",
]  # fmt: skip


def _counts() -> dict[str, pl.Expr]:
    failed, last = pl.col("failed"), pl.col("last")
    before = pl.col("dated") & ~last
    at_failure = pl.col("started_at").filter(failed.fill_null(value=False))
    return {
        "n": failed.count().cast(pl.Int64),
        "pending": failed.null_count().cast(pl.Int64),
        "failures": failed.sum().cast(pl.Int64),
        "rate": failed.mean(),
        "n_before": failed.filter(before).count().cast(pl.Int64),
        "rate_before": failed.filter(before).mean(),
        "n_last": failed.filter(last).count().cast(pl.Int64),
        "rate_last": failed.filter(last).mean(),
        "first_at": at_failure.min(),
        "last_at": at_failure.max(),
        "example": pl.col("interaction_id").filter(failed.fill_null(value=False)).last(),
        "text": pl.col("text").filter(failed.fill_null(value=False)).last(),
    }


def _compared(found: pl.DataFrame) -> pl.DataFrame:
    low, high = wilson_bounds(pl.col("rate"), pl.col("n"))
    change = pl.col("rate_last") - pl.col("rate_before")
    change_low, change_high = difference_bounds("last", "before")
    compared = found.select((pl.min_horizontal("n_last", "n_before") > 0).sum()).item()
    surely = difference_bounds("last", "before", level=1 - 0.05 / max(1, compared))
    trend = (
        pl.when(change.is_null())
        .then(pl.lit("not enough data"))
        .when(surely.low > 0)
        .then(pl.lit("rising"))
        .when(surely.high < 0)
        .then(pl.lit("falling"))
        .otherwise(pl.lit("no clear change"))
    )
    return found.with_columns(
        low=low, high=high, change=change, change_low=change_low, change_high=change_high, trend=trend
    )


def difference_bounds(of: str, less: str, *, level: float = 0.95) -> Bounds:
    """Interval of `rate_<of>` less `rate_<less>`, from these and their `n_<...>`; null where one is empty.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", Statistics in
        Medicine 17:873-890, method 10.
    """
    one, other = pl.col(f"rate_{of}"), pl.col(f"rate_{less}")
    one_low, one_high = wilson_bounds(one, pl.col(f"n_{of}"), level=level)
    other_low, other_high = wilson_bounds(other, pl.col(f"n_{less}"), level=level)
    below = ((one - one_low) ** 2 + (other_high - other) ** 2).sqrt()
    above = ((one_high - one) ** 2 + (other - other_low) ** 2).sqrt()
    return Bounds(one - other - below, one - other + above)


def _days(window: timedelta) -> str:
    days = window / timedelta(days=1)
    return f"{days:g} day" + "s" * (days != 1)
