"""What scores come to: means with their intervals, overall and by slice."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.statistics.intervals import quantile, wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ALL = "all"

MEANS = pl.Schema(
    {
        "slice": pl.String,
        "scorer": pl.String,
        "n": pl.Int64,
        "mean": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "ungraded": pl.Int64,
    }
)
"""One row for each slice (`all` first) and scorer: `n` graded examples, their mean score, its 95 % interval, and how
many could not be graded."""


@dataclass(frozen=True, eq=False)
class EvalReport:
    """How good a model is on a suite, and how sure that is.

    Attributes:
        model: its name.
        suite: its name.
        n: examples in the suite.
        frame: `MEANS`.
        terminations: answers by how they ended: `stop`, `length`, `error`.
    """

    model: str
    suite: str
    n: int
    frame: pl.DataFrame
    terminations: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: `model`, `suite`, `n`, `metrics` (by scorer), `slices` (a list) and `terminations`."""
        whole, slices = self.frame.filter(slice=ALL), self.frame.filter(pl.col("slice") != ALL)
        metrics = {row.pop("scorer"): row for row in whole.drop("slice").to_dicts()}
        return {
            "model": self.model,
            "suite": self.suite,
            "n": self.n,
            "metrics": metrics,
            "slices": slices.to_dicts(),
            "terminations": dict(self.terminations),
        }

    def __repr__(self) -> str:
        said = "; ".join(
            f"{row['scorer']} {_rate(row)} (n = {row['n']})" for row in self.frame.filter(slice=ALL).to_dicts()
        )
        return f"EvalReport({self.model} on {self.suite}: {said})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in ("slice", "scorer", "n", "mean (95 %)", "not graded"))
        body = "".join(
            f"<tr><td>{escape(row['slice'])}</td><td>{escape(row['scorer'])}</td><td>{row['n']}</td>"
            f"<td>{escape(_rate(row))}</td><td>{row['ungraded']}</td></tr>"
            for row in self.frame.to_dicts()
        )
        ends = ", ".join(f"{escape(name)} {count}" for name, count in self.terminations.items())
        return (
            f"<div><p><b>{escape(self.model)}</b> on <b>{escape(self.suite)}</b>, {self.n} examples.</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<p><small>How answers ended: {ends}.</small></p></div>"
        )

    def plot(self) -> "Figure":
        """Means with their intervals by slice, one colour for each scorer."""
        import plotly.graph_objects as go

        figure = go.Figure()
        for (name,), rows in self.frame.filter(pl.col("n") > 0).group_by("scorer", maintain_order=True):
            above, below = rows["high"] - rows["mean"], rows["mean"] - rows["low"]
            bars = {"type": "data", "array": above.to_list(), "arrayminus": below.to_list()}
            places = [f"{where} (n = {n})" for where, n in rows.select("slice", "n").iter_rows()]
            figure.add_scatter(x=rows["mean"].to_list(), y=places, error_x=bars, mode="markers", name=str(name))
        figure.update_layout(title=f"{self.model} on {self.suite}", xaxis_title="mean score, 95 % interval")
        return figure.update_yaxes(autorange="reversed")


def summary(scores: pl.DataFrame) -> EvalReport:
    """Means by scorer, overall and by slice, of one model on one suite.

    Repetitions of an example are averaged first, so that `n` counts examples.

    Args:
        scores: rows of `schemas.SCORES`.

    Returns:
        Wilson's interval where all scores are 0 to 1 (for scores between the two it is too wide, never too narrow),
        else the mean plus and minus 1.96 standard errors; null where there are fewer than two of those.

    Raises:
        EvidenceError: there are no scores, or of several models or suites.
    """
    pairs = scores.select("model", "suite").unique()
    if pairs.height != 1:
        raise EvidenceError(f"summary: scores of one model on one suite are wanted, found {pairs.height} pairs.")
    examples = scores.group_by("example_id", "scorer", maintain_order=True).agg(
        pl.col("slices").first(), pl.col("score").mean(), pl.col("termination").first()
    )
    by_slice = examples.explode("slices", empty_as_null=True).drop_nulls("slices").rename({"slices": "slice"})
    whole = examples.with_columns(slice=pl.lit(ALL)).select(by_slice.columns)
    frame = pl.concat([_means(whole), _means(by_slice.filter(pl.col("slice") != ALL))])
    ends = examples.unique("example_id")["termination"].drop_nulls().value_counts(sort=True)
    model, suite = pairs.row(0)
    return EvalReport(model, suite, examples["example_id"].n_unique(), frame, dict(ends.iter_rows()))


def _means(examples: pl.DataFrame) -> pl.DataFrame:
    score, mean, n = pl.col("score"), pl.col("mean"), pl.col("n")
    bounds = wilson_bounds(mean, n)
    reach = quantile(0.95) * pl.col("sd") / n.cast(pl.Float64).sqrt()
    return (
        examples.group_by("slice", "scorer")
        .agg(
            n=score.count().cast(pl.Int64),
            ungraded=score.null_count().cast(pl.Int64),
            mean=score.mean(),
            sd=score.std(),
            rates=score.is_between(0.0, 1.0).all(),
        )
        .with_columns(
            low=pl.when("rates").then(bounds.low).otherwise(mean - reach),
            high=pl.when("rates").then(bounds.high).otherwise(mean + reach),
        )
        .sort("slice", "scorer")
        .select(list(MEANS))
        .cast(MEANS)
    )


def _rate(row: Mapping[str, Any]) -> str:
    if row["mean"] is None:
        return "–"
    if row["low"] is None:
        return f"{row['mean']:.3f}"
    return f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
