"""Rates over all signals that candidates were drawn from, estimated from what is known of the candidates."""

from dataclasses import dataclass

import polars as pl

from clworkbench.display.html import html_table, percent
from clworkbench.statistics.intervals import wilson


@dataclass(frozen=True)
class Estimate:
    """A rate over the signals that were drawn from.

    Attributes:
        rate: 0 to 1; None where a stratum has no answer, since nothing is known of its signals.
        low: of the 95 % interval; None without one.
        high: likewise.
        n: candidates of which the event is known.
        n_frame: signals that they stand for.
        unheard: strata of whose candidates none has an answer.
    """

    rate: float | None
    low: float | None
    high: float | None
    n: int
    n_frame: int
    unheard: tuple[str, ...] = ()

    def __repr__(self) -> str:
        if self.rate is None or self.low is None or self.high is None:
            why = f"nothing is known of {', '.join(self.unheard)}" if self.unheard else "there are no candidates"
            return f"Estimate(not enough data: {why}; n = {self.n:,})"
        bounds = f"{percent(self.low)} to {percent(self.high)}"
        return f"Estimate({percent(self.rate)}, {bounds}, n = {self.n:,} of {self.n_frame:,})"

    def _repr_html_(self) -> str:
        rate = "not enough data" if self.rate is None else percent(self.rate)
        known = self.low is not None and self.high is not None
        interval = f"{percent(self.low)} to {percent(self.high)}" if known else "–"
        row = (rate, interval, self.n, self.n_frame, ", ".join(self.unheard))
        titles = ("rate", "95 %", "known candidates", "of signals", "no answer from")
        return html_table(titles, [row], caption="Estimated over all signals that were drawn from")


def estimated(candidates: pl.DataFrame, event: pl.Expr) -> Estimate:
    """The rate of an event over all signals that one selection's candidates were drawn from.

    Each candidate counts by the inverse of its chance of being drawn; within a stratum, those without an answer (null)
    are taken to be like the others. Unbiased where all have one. The interval is Wilson's, with as many cases as a
    simple sample of the same variance had; for its variance a stratum has one case more with the event and one more
    without, so that a stratum without any is not taken for certain.

    Args:
        candidates: all rows of one selection: `stratum`, `inclusion_probability`, and what `event` looks at.
        event: a Boolean expression.

    Source: Horvitz and Thompson 1952 for the rate; Cochran 1977, section 5.6, for the variance of a stratified sample;
        Korn and Graubard 1998 for the interval with an effective number of cases.
    """
    rows = candidates.select("stratum", "inclusion_probability", event=event)
    strata = (
        rows.group_by("stratum")
        .agg(
            size=(1 / pl.col("inclusion_probability")).sum(),
            n=pl.col("event").count(),
            events=pl.col("event").sum(),
        )
        .sort("stratum")
    )
    total, n = float(strata["size"].sum()), int(strata["n"].sum())
    unheard = tuple(strata.filter(pl.col("n") == 0)["stratum"])
    if rows.is_empty() or unheard:
        return Estimate(None, None, None, n, round(total), unheard)
    weight, near = pl.col("size") / total, (pl.col("events") + 1) / (pl.col("n") + 2)
    missing = (1 - pl.col("n") / pl.col("size")).clip(0, 1)
    sums = strata.select(
        rate=(weight * pl.col("events") / pl.col("n")).sum(),
        around=(weight * near).sum(),
        variance=(weight**2 * missing * near * (1 - near) / pl.col("n")).sum(),
    ).row(0)
    rate, around, variance = (float(value) for value in sums)
    if variance == 0:
        return Estimate(rate, rate, rate, n, round(total))
    cases = around * (1 - around) / variance
    low, high = wilson(rate * cases, cases)
    return Estimate(rate, low, high, n, round(total))
