"""How a model that was already served would have done, had it answered everything."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clworkbench.display.html import html_table
from clworkbench.errors import EvidenceError
from clworkbench.loop.slices.slices import slice_names
from clworkbench.releases.traffic import fact
from clworkbench.statistics.off_policy import snips
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ESTIMATES = pl.Schema(
    {
        "slice": pl.String,
        "model": pl.String,
        "rate": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "conversations": pl.Int64,
        "answered": pl.Int64,
        "effective": pl.Float64,
        "says": pl.String,
    }
)
"""One row for each slice and model: the estimated rate of good outcomes with its 95 % interval, conversations, those
that the model answered, as how many equally weighted ones these count, and why there is no estimate."""

ALL = "all"


@dataclass(frozen=True, repr=False, eq=False)
class Counterfactual:
    """What is estimated of a model and of those beside it.

    Attributes:
        model: the one that was asked about.
        frame: `ESTIMATES`; the models that shared the traffic with it stand beside it.
        left_out: settled answers of these models whose propensity is unknown.
    """

    model: str
    frame: pl.DataFrame
    left_out: int

    def __repr__(self) -> str:
        row = self.frame.row(0, named=True)
        return (
            f"Counterfactual({self.model}: {row['rate']:.1%} good [{row['low']:.1%}, {row['high']:.1%}] had it "
            f"answered all {row['conversations']:,} conversations; it answered {row['answered']:,}, worth "
            f"{row['effective']:.0f})"
        )

    def _repr_html_(self) -> str:
        out = f"{self.left_out:,} answers of unknown propensity are left out." if self.left_out else ""
        return f"<div>{html_table(self.frame.columns, self.frame.rows(), caption=out)}</div>"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw rollout estimate --json`."""
        return {"model": self.model, "estimates": self.frame.to_dicts(), "left_out": self.left_out}

    def plot(self) -> "Figure":
        """Rates with their intervals, a line for each slice and model."""
        import plotly.graph_objects as go

        from clworkbench.display.figures import MUTED, plain, styled
        from clworkbench.display.rollout_figure import CHALLENGER

        known = self.frame.drop_nulls("rate")
        figure = go.Figure()
        for name in known["model"].unique(maintain_order=True):
            rows = known.filter(model=name)
            look = {"color": CHALLENGER} if name == self.model else {"color": MUTED, "symbol": "diamond"}
            figure.add_scatter(
                x=rows["rate"].to_list(), y=[plain(f"{each}: {name}") for each in rows["slice"]], mode="markers",
                name=plain(name),
                marker={"size": 10, **look},
                error_x={
                    "array": (rows["high"] - rows["rate"]).to_list(), "symmetric": False,
                    "arrayminus": (rows["rate"] - rows["low"]).to_list(),
                },
                customdata=rows.select("low", "high", "answered", "effective").rows(),
                hovertemplate="%{x:.1%} [%{customdata[0]:.1%}, %{customdata[1]:.1%}]<br>"
                "%{customdata[2]:,} conversations, worth %{customdata[3]:.0f}<extra></extra>",
            )  # fmt: skip
        lines = [plain(f"{part}: {name}") for part, name in known.select("slice", "model").rows()]
        figure.update_xaxes(title="good outcomes, had it answered everything", tickformat=".0%")
        figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=lines)
        figure.update_layout(showlegend=False)
        height = 160 + 40 * len(lines)
        return styled(figure, title=f"{plain(self.model)}: the estimate", height=height)


def counterfactual(
    workspace: Workspace,
    model: str,
    *,
    slices: bool = False,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> Counterfactual:
    """Estimates the rate of good outcomes had a model answered everything, from logged propensities (SNIPS).

    Settled answers count, those of one conversation as one piece of evidence. What is counted is traffic that a router
    shared out by chance between this model and one other: the rollout's where there was one.

    Args:
        workspace: whose signals.
        model: as `release_id` names it.
        slices: each slice of clw.toml too; one with too little says so in `says`.
        as_of: as known then; now when None.
        event_time: commit times are ignored.

    Raises:
        EvidenceError: the model answered nothing, nothing was shared out by chance, or there is too little.

    Source: `statistics.off_policy.snips`.
    """
    signals = workspace.signals(as_of=as_of, event_time=event_time)
    rows, left_out = _shared_out(signals, model)
    parts = [(ALL, rows)]
    if slices:
        told = rows.with_columns(slices=slice_names(workspace, rows))
        parts += [(name, told.filter(pl.col("slices").list.contains(name))) for name in workspace.settings.slices]
    found = [_estimated(part, name, each) for name, part in parts for each in _models(rows, model)]
    if found[0]["says"]:
        raise EvidenceError(str(found[0]["says"]))
    return Counterfactual(model, pl.DataFrame(found, schema=ESTIMATES), left_out)


def _models(rows: pl.DataFrame, model: str) -> list[str]:
    return [model, *sorted(set(rows["release_id"]) - {model})]


def _shared_out(signals: pl.DataFrame, model: str) -> tuple[pl.DataFrame, int]:
    """Settled answers of the model and the one beside it, `chance` being that of the model; and how many had none."""
    own = signals.filter(release_id=model)
    if own.is_empty():
        served = ", ".join(signals["release_id"].drop_nulls().unique().sort().to_list()) or "none"
        raise EvidenceError(f"{model}: it gave no answer that signals hold. Those that did: {served}.")
    began = own["started_at"].min()
    settled = signals.filter(pl.col("outcome").is_not_null(), pl.col("release_id").is_not_null())
    drawn = settled.filter(fact("clw.rollout") == model, fact("clw.arm").is_not_null())
    if drawn.is_empty():
        drawn = settled.filter(pl.col("started_at") >= began)
        chance = pl.col("propensity")
    else:
        chance = fact("clw.challenger_chance").cast(pl.Float64, strict=False)
        chance = pl.when(release_id=model).then(chance).otherwise(1 - chance)
    rows = drawn.with_columns(own_chance=chance)
    known = rows.drop_nulls("own_chance")
    names = known["release_id"].unique()
    if known.is_empty():
        raise EvidenceError(
            f"{model}: none of {rows.height:,} settled answers of its time has a known propensity.\n"
            "Only traffic that a router shared out by chance, and logged with it, can be counted."
        )
    if len(names) > 2:
        raise EvidenceError(
            f"{model}: {len(names)} models shared its traffic ({', '.join(names.sort())}), and a log of three or more "
            "does not tell each one's chance.\nOnly two at a time can be counted."
        )
    return known, rows.height - known.height


def _estimated(rows: pl.DataFrame, name: str, model: str) -> dict[str, object]:
    mine = rows["release_id"] == model
    chance = rows.select(pl.when(release_id=model).then("own_chance").otherwise(1 - pl.col("own_chance"))).to_series()
    units = rows.select(pl.coalesce("conversation_id", "interaction_id").rank("dense") - 1).to_series()
    row: dict[str, object] = {"slice": name, "model": model, "conversations": units.n_unique(), "says": ""}
    try:
        found = snips(
            rows["outcome"].cast(pl.Float64).to_numpy(),
            mine.to_numpy(),
            chance.to_numpy(),
            units.cast(pl.Int64).to_numpy().astype(np.intp),
            model=model,
        )
    except EvidenceError as too_little:
        return row | {"says": str(too_little)}
    told = {"rate": found.estimate, "low": found.low, "high": found.high}
    return row | told | {"answered": found.n_chosen, "effective": found.effective}
