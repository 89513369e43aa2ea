"""Rates over all signals that candidates were drawn from, estimated from what is known of the candidates."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import rate_figure
from clworkbench.display.html import html_table, percent
from clworkbench.statistics.intervals import wilson, wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STRATA = pl.Schema(
    {
        "stratum": pl.String(),
        "signals": pl.Float64(),
        "candidates": pl.Int64(),
        "n": pl.Int64(),
        "rate": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)
OVERALL = "all drawn from"


@dataclass(frozen=True, eq=False)
class Estimate:
    """A rate over the signals that were drawn from.

    Attributes:
        rate: 0 to 1; None where a stratum has no answer, since nothing is known of its signals.
        low: of the 95 % interval; None without one.
        high: likewise.
        n: candidates of which the event is known.
        n_frame: signals that they stand for.
        n_effective: how many signals drawn at random would tell as much; None without an interval, or where all are
            known.
        unheard: strata of whose candidates none has an answer.
        frame: one row for each stratum: `stratum`, `signals` (that its candidates stand for), `candidates`, `n` (those
            with an answer), `rate`, `low`, `high` (Wilson's, 95 %).
        event: what happened, in words.
        about: which selection, and what it was drawn from, in words.
    """

    rate: float | None
    low: float | None
    high: float | None
    n: int
    n_frame: int
    n_effective: float | None = None
    unheard: tuple[str, ...] = ()
    frame: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STRATA))
    event: str = ""
    about: str = ""

    def __repr__(self) -> str:
        if self.rate is None:
            return f"Estimate(not enough data: {self.why}; n = {self.n:,})"
        return f"Estimate({self._said()}, n = {self.n:,} of {self.n_frame:,})"

    @property
    def why(self) -> str | None:
        """In words, why there is no rate; None where there is one."""
        if self.rate is not None:
            return None
        return f"nothing is known of {', '.join(self.unheard)}" if self.unheard else "there are no candidates"

    def _said(self) -> str:
        return f"{percent(self.rate)}, {percent(self.low)} to {percent(self.high)}"

    def _effective(self) -> str:
        return "" if self.n_effective is None else f"; as good as {self.n_effective:,.0f} drawn at random"

    def lines(self) -> list[str]:
        """For a terminal: the rate over all, then each stratum."""
        said = "not enough data" if self.rate is None else f"{self._said()} (95 %)"
        told = [f"{self.event or 'the rate'}: {said}"]
        told.append(f"  from {self.n:,} candidates with an answer, for {self.n_frame:,} signals{self._effective()}")
        told += [f"  {self.about}"] if self.about else []
        for row in self.frame.to_dicts():
            own = (
                "no answer" if row["rate"] is None else f"{percent(row['rate'])} [{row['low']:.0%}, {row['high']:.0%}]"
            )
            told.append(
                f"  {row['stratum']:<16} {own}, n = {row['n']:,} of {row['candidates']:,} candidates,"
                f" for {row['signals']:,.0f} signals"
            )
        if self.rate is None:
            told.append(f"{self.why}: of each stratum, at least one candidate must have an answer. Have some labelled.")
        return told

    def as_dict(self) -> dict[str, object]:
        """For scripts: `rate`, `low`, `high`, `n`, `n_effective`, `n_frame`, `strata`, `event`, `about`, `why`."""
        names = ("rate", "low", "high", "n", "n_effective", "n_frame", "event", "about", "why")
        return {name: getattr(self, name) for name in names} | {"strata": self.frame.to_dicts()}

    def _repr_html_(self) -> str:
        said = "not enough data: " + str(self.why) if self.rate is None else f"{self._said()} (95 %){self._effective()}"
        whole = (OVERALL, percent(self.rate), percent(self.low), percent(self.high), self.n, None, self.n_frame)
        rows = [
            (row["stratum"], *map(percent, (row["rate"], row["low"], row["high"])), row["n"], row["candidates"],
             round(row["signals"]))
            for row in self.frame.to_dicts()
        ]  # fmt: skip
        titles = ("stratum", "rate", "low", "high", "with an answer", "candidates", "stand for")
        caption = f"{self.event or 'rate'}: {said}. {self.about}"
        return html_table(titles, [whole, *rows], caption=caption.strip())

    def plot(self) -> "Figure":
        """The rate over all signals that were drawn from, and that of each stratum, with their 95 % intervals."""
        whole = {"stratum": OVERALL, "n": self.n, "rate": self.rate, "low": self.low, "high": self.high}
        columns = {name: STRATA[name] for name in whole}
        rows = [whole] * (self.rate is not None) + self.frame.select(list(whole)).drop_nulls("rate").to_dicts()
        said = self.event or "rate"
        title = f"{said}: {self._said()}" if self.rate is not None else f"{said}: not enough data, {self.why}"
        return rate_figure(pl.DataFrame(rows, schema=columns), "stratum", title=title).update_yaxes(title="rate")


def estimated(candidates: pl.DataFrame, event: pl.Expr, *, says: str = "", about: str = "") -> Estimate:
    """The rate of an event over all signals that one selection's candidates were drawn from.

    Each candidate counts by the inverse of its chance of being drawn; within a stratum, those without an answer (null)
    are taken to be like the others. Unbiased where all have one. The interval is Wilson's, with as many cases as a
    simple sample of the same variance had; for its variance a stratum has one case more with the event and one more
    without, so that a stratum without any is not taken for certain.

    Args:
        candidates: all rows of one selection: `stratum`, `inclusion_probability`, and what `event` looks at; those
            without a chance (somebody chose them by hand) count for nothing.
        event: a Boolean expression.
        says: what happened, in words.
        about: which selection this is, in words.

    Source: Horvitz and Thompson 1952 for the rate; Kish 1965 for cases of unequal weight; Cochran 1977, section 5.6,
        for the variance of a stratified sample; Korn and Graubard 1998 for the interval with an effective number of
        cases.
    """
    strata = _strata(candidates.select("stratum", "inclusion_probability", event=event.cast(pl.Boolean)))
    total, n = float(strata["signals"].sum()), int(strata["n"].sum())
    unheard = tuple(strata.filter(pl.col("n") == 0)["stratum"])
    told = {"unheard": unheard, "frame": strata.select(list(STRATA)), "event": says, "about": about}
    if strata.is_empty() or unheard:
        return Estimate(None, None, None, n, round(total), **told)  # type: ignore[arg-type]
    weight, cases = pl.col("signals") / total, pl.col("cases")
    near = (pl.col("rate") * cases + 1) / (cases + 2)
    missing = (1 - pl.col("n") / pl.col("signals")).clip(0, 1)
    sums = strata.select(
        rate=(weight * pl.col("rate")).sum(),
        around=(weight * near).sum(),
        variance=(weight**2 * missing * near * (1 - near) / cases).sum(),
    ).row(0)
    rate, around, variance = (float(value) for value in sums)
    if variance == 0:
        return Estimate(rate, rate, rate, n, round(total), **told)  # type: ignore[arg-type]
    alike = around * (1 - around) / variance
    low, high = wilson(rate * alike, alike)
    return Estimate(rate, low, high, n, round(total), alike, **told)  # type: ignore[arg-type]


def _strata(rows: pl.DataFrame) -> pl.DataFrame:
    """`STRATA`, with `cases`: how many candidates of one weight would tell as much as those with an answer."""
    weight, known = 1 / pl.col("inclusion_probability"), pl.col("event").is_not_null()
    heard = weight.filter(known)
    found = (
        rows.drop_nulls("inclusion_probability")
        .group_by("stratum")
        .agg(
            signals=weight.sum(),
            candidates=pl.len().cast(pl.Int64),
            n=known.sum().cast(pl.Int64),
            rate=(heard * pl.col("event").filter(known)).sum() / heard.sum(),
            cases=heard.sum() ** 2 / (heard**2).sum(),
        )
        .with_columns(pl.col("rate", "cases").fill_nan(None))
        .sort("stratum")
    )
    low, high = wilson_bounds(pl.col("rate"), pl.col("cases"))
    return found.with_columns(low=low, high=high)
