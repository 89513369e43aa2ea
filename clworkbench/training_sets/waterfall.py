"""A training set's waterfall: from all signals, what each rule took away, to the rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import waterfall_figure
from clworkbench.display.html import html_table
from clworkbench.training_sets.descent import Turned

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def taken(dropped: Mapping[str, int], turned: Turned | None) -> dict[str, int]:
    """What each step took away, in order, less those that took nothing; where it made more, it is below 0."""
    steps: dict[str, int] = {}
    for reason, n in dropped.items():
        steps |= {reason: n} if n else {}
        if reason == "no_pair" and turned is not None and turned.rows:
            steps[f"pairs, made of {turned.signals:,} answers"] = turned.signals - turned.rows
    return steps


@dataclass(frozen=True, eq=False)
class Waterfall:
    """How a training set came about.

    Attributes:
        id: the training set's.
        signals: how many there were.
        dropped: how many each rule took away, in order.
        splits: the rows that are left, by split.
        n_new: of the training split, those that the champion had not learned.
        turned: how signals turned into pairs on the way; None where each makes one row.
    """

    id: str
    signals: int
    dropped: Mapping[str, int]
    splits: Mapping[str, int]
    n_new: int
    turned: Turned | None = None

    @property
    def rows(self) -> int:
        """How many rows are left."""
        return sum(self.splits.values())

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each step: `step`, `n` (taken away, or made: below 0; at the ends, there), `left` (after it)."""
        lost = taken(self.dropped, self.turned)
        steps = [("signals", self.signals), *lost.items(), ("rows", self.rows)]
        left = [self.signals - sum(list(lost.values())[:i]) for i in range(len(lost) + 1)]
        schema = {"step": pl.String, "n": pl.Int64}
        return pl.DataFrame(steps, schema=schema, orient="row").with_columns(left=pl.Series([*left, self.rows]))

    def __repr__(self) -> str:
        return f"Waterfall({self.id}: {self.signals:,} signals to {self.rows:,} rows, {self.n_new:,} of them new)"

    def _repr_html_(self) -> str:
        splits = ", ".join(f"{n:,} {split}" for split, n in self.splits.items())
        said = f"{self.id}: {splits}; {self.n_new:,} rows that the champion had not learned"
        rows = ((step.replace("_", " "), n, left) for step, n, left in self.frame.iter_rows())
        return html_table(("step", "n", "left"), rows, caption=said)

    def plot(self) -> "Figure":
        """The waterfall, from top to bottom."""
        lost = taken(self.dropped, self.turned)
        return waterfall_figure(self.signals, lost, unit="signals", title=f"From signals to {self.id}")
