"""What a story came to: rates before and after with their intervals, a picture, and the way back to the data."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from clworkbench.demo.story import Say
from clworkbench.display.text import table
from clworkbench.lineage import Lineage, trace
from clworkbench.loop.cycle import Cycle
from clworkbench.loop.evals import model
from clworkbench.loop.releases import rules, ship
from clworkbench.statistics.intervals import wilson
from clworkbench.workspace import Workspace

COLOURS = {"champion": "#9aa5b1", "control": "#e3b34b", "challenger": "#2f7d5b"}


@dataclass(frozen=True)
class Told:
    """A story's end.

    Attributes:
        good: the gate's decision on the challenger.
        release: the release that came of it, or None.
        rates: `model`, `slice`, `n`, `rate`, `low`, `high` (Wilson, 95 %).
        gates: the gate table of challenger against champion.
        against_control: the gate table of challenger against control.
        figure: the picture.
        lineage: of the release, or of the run where there is none.
    """

    good: str | None
    release: str | None
    rates: pl.DataFrame
    gates: pl.DataFrame
    against_control: pl.DataFrame
    figure: Path
    lineage: Lineage
    late: str

    def rate(self, who: str, part: str) -> dict[str, float]:
        """A rate with its n and interval."""
        return (
            self.rates.filter((pl.col("model") == who) & (pl.col("slice") == part))
            .drop("model", "slice")
            .row(0, named=True)
        )

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw demo --json`."""
        return {
            "good": self.good,
            "spoiled": None,
            "release": self.release,
            "figure": str(self.figure),
            "before": self.rate("champion", self.late)["rate"],
            "after": self.rate("challenger", self.late)["rate"],
            "rates": self.rates.to_dicts(),
            "gates": self.gates.to_dicts(),
            "against_control": self.against_control.to_dicts(),
        }

    def lines(self) -> list[str]:
        """The end of the story as text."""
        columns = ("name", "required", "n", "champion", "challenger", "difference", "low", "high", "verdict")
        return [
            "",
            f"The gate says {self.good}.",
            *table(self.gates.select(columns)),
            "",
            "Challenger against the control, an equally long run without the late intents:",
            *table(self.against_control.select(columns)),
            "",
            "Share of suite questions whose intent is named exactly (Wilson 95 %):",
            *table(self.rates),
            "",
            *self.lineage.lines(),
            "",
            f"Picture: {self.figure}",
        ]


def tell_results(workspace: Workspace, champion_run: str, turn: Cycle, control: str, *, late: str, say: Say) -> Told:
    """Gathers rates, gates, picture and lineage of a played story."""
    assert turn.run is not None
    runs = {"champion": champion_run, "control": control, "challenger": turn.run}
    suites = rules.suites(workspace)
    scores = {who: pl.concat([model.evaluate(workspace, run, s).scores for s in suites]) for who, run in runs.items()}
    rates = pl.concat([_rates(who, frame) for who, frame in scores.items()])
    held = ship.gate(workspace, turn.run, against=champion_run)
    beside = ship.gate(workspace, turn.run, against=control)
    figure = workspace.folder / "figure.html"
    _draw(rates, figure)
    say(f"Evaluated champion, control and challenger on {', '.join(s.removeprefix('suite:') for s in suites)}.")
    return Told(
        good=turn.decision,
        release=turn.release,
        rates=rates,
        gates=held.report.gates,
        against_control=beside.report.gates,
        figure=figure,
        lineage=trace(workspace, turn.release or turn.run),
        late=late,
    )


def _rates(who: str, scores: pl.DataFrame) -> pl.DataFrame:
    counted = (
        scores.explode("slices")
        .group_by(slice="slices")
        .agg(n=pl.col("score").count(), right=pl.col("score").sum())
        .sort("slice")
    )
    rows = []
    for part, n, right in counted.iter_rows():
        low, high = wilson(right, n)
        rows.append({"model": who, "slice": part, "n": n, "rate": right / n, "low": low, "high": high})
    return pl.DataFrame(rows)


def _draw(rates: pl.DataFrame, path: Path) -> None:
    import plotly.graph_objects as go

    figure = go.Figure()
    for (who,), rows in rates.group_by("model", maintain_order=True):
        name = str(who)
        above, below = rows["high"] - rows["rate"], rows["rate"] - rows["low"]
        labels = [f"{part}<br>n = {n}" for part, n in rows.select("slice", "n").iter_rows()]
        figure.add_bar(
            x=labels,
            y=rows["rate"].to_list(),
            name=name,
            marker_color=COLOURS[name],
            error_y={"array": above.to_list(), "arrayminus": below.to_list()},
            text=[f"{rate:.2f}" for rate in rows["rate"]],
            textposition="inside",
            insidetextanchor="start",
        )
    figure.update_layout(
        title="Intent named exactly, on questions that no model trained on<br><sup>Wilson 95 % intervals</sup>",
        yaxis={"range": [0, 1], "title": "share right", "tickformat": ".0%"},
        barmode="group",
        template="plotly_white",
        legend={"orientation": "h", "y": -0.15},
    )
    figure.write_html(path, include_plotlyjs=True)
