"""Wins and losses: what two models answered to the same examples, side by side."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.errors import EvidenceError
from clworkbench.releases.gates import judge
from clworkbench.releases.pairs import Comparison, compare, in_slice, pair
from clworkbench.releases.pairs_html import TEXTS, examples_html, head_html
from clworkbench.releases.protocol import RESERVED, Gate
from clworkbench.releases.report import interval

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Outcome = Literal["win", "loss", "tie"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)

SIDE_BY_SIDE = pl.Schema(
    {
        "suite": pl.String(),
        "example_id": pl.String(),
        "slices": pl.List(pl.String()),
        "outcome": pl.String(),
        "champion": pl.Float64(),
        "challenger": pl.Float64(),
        "input": pl.String(),
        "expected": pl.String(),
        "champion_output": pl.String(),
        "challenger_output": pl.String(),
    }
)
"""One row for each example that both models were graded on, the largest losses first, then the largest wins, then ties.

`champion` and `challenger` are scores, means over the repetitions that both have; outputs are those of the first
repetition. Texts are null where none are kept, or were asked for.
"""


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Two models' answers, example by example.

    Attributes:
        frame: `SIDE_BY_SIDE`.
        slices: one row for each slice of all examples, `all` first: `slice`, `n`, `wins`, `losses`, `ties`,
            `difference` (mean, challenger minus champion), `low`, `high` (90 %), `verdict` (`met`: shown better;
            `violated`: shown worse, Holm over the slices; `open`: neither), and the other columns of `GATES`.
        scorer: whose scores are compared.
        target: the target slice; all outside it is the slice `rest`.
    """

    frame: pl.DataFrame
    slices: pl.DataFrame
    scorer: str
    champion: str
    challenger: str
    target: str | None = None

    def only(self, slice: str | None = None, outcome: Outcome | None = None) -> "SideBySide":
        """The examples of one slice, or of one outcome: `win`, `loss` or `tie`.

        Raises:
            EvidenceError: there is no such slice, or outcome.
        """
        known = self.slices["slice"].to_list()
        if slice is not None and slice not in known:
            raise EvidenceError(f"no slice {slice!r} among these examples. There: {', '.join(known[:20])}.")
        if outcome is not None and outcome not in OUTCOMES:
            raise EvidenceError(f"no outcome {outcome!r}. There: {', '.join(OUTCOMES)}.")
        some = self.frame.filter(in_slice(slice or "all", self.target))
        return replace(self, frame=some if outcome is None else some.filter(outcome=outcome))

    def without_texts(self) -> "SideBySide":
        """The same, without what was asked, expected and answered."""
        return replace(self, frame=self.frame.with_columns(pl.lit(None, pl.String).alias(name) for name in TEXTS))

    def counts(self) -> dict[str, int]:
        """How many wins, losses and ties are among these examples."""
        found = dict(self.frame["outcome"].value_counts().iter_rows())
        return {name: int(found.get(name, 0)) for name in OUTCOMES}

    def __repr__(self) -> str:
        won = self.counts()
        return (
            f"SideBySide({self.challenger} against {self.champion} by {self.scorer}: "
            f"{won['win']} wins, {won['loss']} losses, {won['tie']} ties)"
        )

    def table(self) -> pl.DataFrame:
        """The slices as a person reads them: `slice`, `n`, `wins`, `losses`, `ties`, `difference [90 %]`."""
        told = [interval(row) for row in self.slices.iter_rows(named=True)]
        return self.slices.select("slice", "n", "wins", "losses", "ties", pl.Series("difference [90 %]", told))

    def _repr_html_(self) -> str:
        slices = self.table()
        by_slice = html_table(slices.columns, slices.iter_rows())
        return f"<div>{head_html(self)}{by_slice}{examples_html(self.frame, rest_in=' in <code>.frame</code>')}</div>"

    def plot(self) -> "Figure":
        """The mean difference in each slice with its 90 % interval and the number of examples."""
        from clworkbench.releases.forest import forest

        named = self.slices.with_columns(name=pl.format("{}, n = {}", "slice", "n"))
        return forest(named, title=f"{self.scorer}: {self.challenger} against {self.champion}")


def side_by_side(
    champion: pl.DataFrame, challenger: pl.DataFrame, scorer: str, suites: pl.DataFrame, *, target: str | None = None
) -> SideBySide:
    """Puts two models' answers side by side.

    Args:
        champion: its scores (`schemas.SCORES`).
        challenger: the other's.
        scorer: whose scores make wins and losses; higher is better.
        suites: what was asked, `suite` and the columns of `schemas.SUITE`; may lack examples, or be empty.
        target: the target slice; all outside it is the slice `rest`.

    Raises:
        EvidenceError: the scores cannot be compared, or no example has this score on both sides.
    """
    comparison = compare(champion, challenger)
    pairs = pair(comparison, scorer).frame.rename({"slices": "in_slices"})
    if pairs.is_empty():
        raise EvidenceError(f"no example was graded by {scorer!r} on both sides. Name another scorer.")
    change = pl.col("challenger") - pl.col("champion")
    frame = (
        pairs.join(comparison.examples, on="example", how="left")
        .join(_answers(comparison, scorer), on="example", how="left")
        .join(_asked(suites), on=["suite", "example_id"], how="left")
        .with_columns(outcome=pl.when(change > 0).then(pl.lit("win")).when(change < 0).then(pl.lit("loss")))
        .with_columns(pl.col("outcome").fill_null("tie"))
        .sort(pl.col("outcome").replace_strict({"loss": 0, "win": 1, "tie": 2}), -change.abs(), "suite", "example_id")
        .select(list(SIDE_BY_SIDE))
    )
    names = ["all", *(each for each in comparison.slice_names() if each not in RESERVED), *(["rest"] if target else [])]
    report = judge(
        champion, challenger, [Gate(name, scorer, name, "better", 0.0, required=True) for name in names], target=target
    )
    won = pl.concat([_won(frame, name, target) for name in names])
    slices = report.gates.filter(pl.col("n") > 0).join(won, on="slice", how="left", maintain_order="left")
    return SideBySide(frame, slices, scorer, report.champion, report.challenger, target)


def _won(frame: pl.DataFrame, name: str, target: str | None) -> pl.DataFrame:
    """One row: `slice`, `wins`, `losses` and `ties`."""
    outcome = pl.col("outcome").filter(in_slice(name, target))
    return frame.select(
        slice=pl.lit(name),
        wins=(outcome == "win").sum(),
        losses=(outcome == "loss").sum(),
        ties=(outcome == "tie").sum(),
    )


def _answers(comparison: Comparison, scorer: str) -> pl.DataFrame:
    """`example` and both outputs, of the first repetition that both have."""
    sides = [
        side.filter(pl.col("scorer") == scorer).select(
            "example", "repetition", pl.col("output").alias(f"{name}_output")
        )
        for name, side in comparison.sides().items()
    ]
    both = sides[0].join(sides[1], on=["example", "repetition"])
    return both.sort("repetition").group_by("example", maintain_order=True).first().drop("repetition")


def _asked(suites: pl.DataFrame) -> pl.DataFrame:
    """`suite`, `example_id`, `expected`, and `input`: its messages, a paragraph each."""
    message = pl.element().struct
    said = pl.format("{}: {}", message.field("role"), message.field("content").fill_null("(no text)"))
    return suites.select("suite", "example_id", "expected", input=pl.col("input").list.eval(said).list.join("\n\n"))
