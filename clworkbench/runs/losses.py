"""The losses of runs, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import loss_figure
from clworkbench.display.html import html_table

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, eq=False)
class Losses:
    """Mean loss of a completion's token at each step.

    Attributes:
        by_run: the losses of each run, by its name, in the order in which they were trained.
    """

    by_run: Mapping[str, Sequence[float]]

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each step: `run`, `step` (from 1), `loss`."""
        rows = [(run, step, loss) for run, losses in self.by_run.items() for step, loss in enumerate(losses, 1)]
        return pl.DataFrame(rows, schema={"run": pl.String, "step": pl.Int64, "loss": pl.Float64}, orient="row")

    def __repr__(self) -> str:
        return f"Losses({len(self.by_run)} runs)"

    def _repr_html_(self) -> str:
        rows = ((run, len(losses), losses[0], losses[-1]) for run, losses in self.by_run.items() if losses)
        return html_table(("run", "steps", "first loss", "last loss"), rows)

    def plot(self) -> "Figure":
        """A line for each run."""
        return loss_figure(self.by_run, title="Loss by step")
