"""What scores come to: means with their intervals, overall and by slice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from clworkbench.display.figures import SERIES, plain, styled
from clworkbench.display.html import html_table
from clworkbench.errors import EvidenceError
from clworkbench.evals.classes import CLASSES, F1S, of_classes
from clworkbench.evals.production import PRODUCTION, drawn_of, in_words, production
from clworkbench.statistics.intervals import quantile, wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ALL = "all"

LINES = SERIES[1:]
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
"""Colours and shapes of scorers, in the order in which they come."""

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
        f1: `F1S`: of classifications, F1 over the whole set and its slices; gates compare examples, and never these.
        classes: `CLASSES`: of classifications, each class.
        production: `PRODUCTION`: of a suite that was drawn from traffic, means over that traffic.
    """

    model: str
    suite: str
    n: int
    frame: pl.DataFrame
    terminations: Mapping[str, int]
    f1: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=F1S))
    classes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CLASSES))
    production: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PRODUCTION))

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: `model`, `suite`, `n`, `metrics` (by scorer), `slices` (a list) and `terminations`.

        Of classifications also `f1` and `classes`, lists of rows.
        """
        whole, slices = self.frame.filter(slice=ALL), self.frame.filter(pl.col("slice") != ALL)
        metrics = {row.pop("scorer"): row for row in whole.drop("slice").to_dicts()}
        return {
            "model": self.model,
            "suite": self.suite,
            "n": self.n,
            "metrics": metrics,
            "slices": slices.to_dicts(),
            "terminations": dict(self.terminations),
            **({"f1": self.f1.to_dicts(), "classes": self.classes.to_dicts()} if self.f1.height else {}),
            **({"production": self.production.to_dicts()} if self.production.height else {}),
        }

    def __repr__(self) -> str:
        said = "; ".join(
            f"{row['scorer']} {_rate(row)} (n = {row['n']})" for row in self.frame.filter(slice=ALL).to_dicts()
        )
        return f"EvalReport({self.model} on {self.suite}: {said})"

    def _repr_html_(self) -> str:
        rows = [(row["slice"], row["scorer"], row["n"], _rate(row), row["ungraded"]) for row in self.frame.to_dicts()]
        means = html_table(("slice", "scorer", "n", "mean (95 %)", "not graded"), rows)
        ends = ", ".join(f"{escape(name)} {count}" for name, count in self.terminations.items())
        return (
            f"<div><p><b>{escape(self.model)}</b> on <b>{escape(self.suite)}</b>, {self.n} examples.</p>"
            f"{means}{_classes_html(self.f1, self.classes)}{_production_html(self.production)}"
            f"<p><small>How answers ended: {ends}.</small></p></div>"
        )

    def plot(self) -> "Figure":
        """Means with their intervals by slice, one colour for each scorer."""
        import plotly.graph_objects as go

        figure, drawn = go.Figure(), self.frame.filter(pl.col("n") > 0)
        for number, ((name,), rows) in enumerate(drawn.group_by("scorer", maintain_order=True)):
            above, below = rows["high"] - rows["mean"], rows["mean"] - rows["low"]
            bars = {"type": "data", "array": above.to_list(), "arrayminus": below.to_list()}
            places = [plain(f"{where}, n = {n}") for where, n in rows.select("slice", "n").iter_rows()]
            look = {"size": 9, "color": LINES[number % len(LINES)], "symbol": SYMBOLS[number % len(SYMBOLS)]}
            figure.add_scatter(
                x=rows["mean"].to_list(), y=places, error_x=bars, mode="markers", marker=look, name=plain(str(name))
            )
        rates = drawn.select(pl.col("low", "high").is_between(0, 1).all()).row(0) == (True, True)
        figure.update_xaxes(title="mean score, 95 % interval", range=[-0.02, 1.02] if rates else None)
        figure.update_yaxes(autorange="reversed", automargin=True)
        height = 130 + 34 * drawn["slice"].n_unique()
        return styled(figure, title=f"{self.model} on {self.suite}", height=height)


def summary(scores: pl.DataFrame, suite: pl.DataFrame | None = None) -> EvalReport:
    """Means by scorer, overall and by slice, of one model on one suite.

    Repetitions of an example are averaged first, so that `n` counts examples.

    Args:
        scores: rows of `schemas.SCORES`.
        suite: its examples, whose `expected` names the classes of a classification, and whose `inclusion` how they were
            drawn; without it no F1 is told, and no means over production.

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
    model, name = pairs.row(0)
    n = examples["example_id"].n_unique()
    drawn = None if suite is None else drawn_of(suite)
    whole_traffic = pl.DataFrame(schema=PRODUCTION) if drawn is None else production(scores, drawn)
    f1, classes = of_classes(scores, suite, ALL)
    return EvalReport(model, name, n, frame, dict(ends.iter_rows()), f1, classes, whole_traffic)


def _production_html(found: pl.DataFrame) -> str:
    """Means over the traffic that a suite was drawn from, beside those over its examples."""
    said = "".join(
        f"<li>{escape(row['slice'])}, {escape(row['scorer'])}: {escape(in_words(row))}</li>" for row in found.to_dicts()
    )
    head = "Over the traffic that the suite was drawn from, each example weighed by the inverse of its chance (95 %):"
    return f"<p>{head}</p><ul>{said}</ul>" if said else ""


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


def _rate(row: Mapping[str, Any], value: str = "mean", before: str = "") -> str:
    low, high = row[f"{before}low"], row[f"{before}high"]
    if row[value] is None:
        return "–"
    if low is None:
        return f"{row[value]:.3f}"
    return f"{row[value]:.3f} ({low:.3f} to {high:.3f})"


def _classes_html(f1: pl.DataFrame, classes: pl.DataFrame) -> str:
    """F1 over the whole set in a sentence for each scorer, and its classes, the most frequent 50, in a table."""
    said = ""
    for name in f1["scorer"].unique().sort():
        whole = f1.filter(pl.col("slice") == ALL, pl.col("scorer") == name).to_dicts()
        means = ", ".join(f"{row['average']} F1 {_rate(row, 'f1')}" for row in whole)
        rows = classes.filter(pl.col("scorer") == name).sort("n", "label", descending=[True, False])
        head = "".join(f"<th>{each}</th>" for each in ("class", "n", "precision (95 %)", "recall (95 %)", "F1 (95 %)"))
        body = "".join(
            f"<tr><td>{escape(row['label'])}</td><td>{row['n']:g}</td><td>{_rate(row, 'precision', 'precision_')}</td>"
            f"<td>{_rate(row, 'recall', 'recall_')}</td><td>{_rate(row, 'f1')}</td></tr>"
            for row in rows.head(50).to_dicts()
        )
        more = f"<p><small>{rows.height - 50} rarer classes are not shown.</small></p>" if rows.height > 50 else ""
        said += (
            f"<p>{escape(name)}: {means}.</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
        )
    return said
