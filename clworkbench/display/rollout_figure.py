"""A rollout as a figure: both arms over time, their difference, the stages, and what was decided."""

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, GOOD, INK, MUTED, plain, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CHALLENGER = "#2f6fb2"
ARMS = {
    "champion": (MUTED, "dot", "rgba(123,135,148,0.20)"),
    "challenger": (CHALLENGER, "solid", "rgba(47,111,178,0.20)"),
}
ENDS = {
    "advance": (GOOD, "triangle-right", "passed"),
    "close": (GOOD, "star", "closed"),
    "roll back": (BAD, "x", "rolled back"),
}


def rollout_figure(course: pl.DataFrame, stages: pl.DataFrame, *, title: str) -> "Figure":
    """Rates of good outcomes above, challenger minus champion below; each with bounds that hold at every look.

    Args:
        course: `at`, and `champion`, `challenger` and `difference` with `_low` and `_high` (null before there is
            anything), `n_champion`, `n_challenger`.
        stages: in order, `stage`, `began`, `margin` (null in the shadow), and how it ended: `action` (advance, close,
            roll back) at `ended`, both null while it goes on.
        title: what is drawn.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.52, 0.48], vertical_spacing=0.07)
    for arm, (colour, dash, shade) in ARMS.items():
        known = course.drop_nulls(arm)
        _band(figure, known, arm, shade, row=1)
        line = {"color": colour, "dash": dash, "width": 2}
        figure.add_scatter(
            x=known["at"].to_list(), y=known[arm].to_list(), mode="lines", name=arm, line=line, row=1, col=1,
            customdata=known.select(f"{arm}_low", f"{arm}_high", f"n_{arm}").rows(),
            hovertemplate="%{x}<br>%{y:.1%} [%{customdata[0]:.1%}, %{customdata[1]:.1%}], n = %{customdata[2]:,}"
            f"<extra>{arm}</extra>",
        )  # fmt: skip
    known = course.drop_nulls("difference")
    _band(figure, known, "difference", ARMS["challenger"][2], row=2)
    figure.add_scatter(
        x=known["at"].to_list(), y=_points(known["difference"]), mode="lines", showlegend=False, row=2, col=1,
        line={"color": INK, "width": 2},
        customdata=(100 * known.select("difference_low", "difference_high")).rows(),
        hovertemplate="%{x}<br>%{y:+.1f} points [%{customdata[0]:+.1f}, %{customdata[1]:+.1f}]<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": MUTED, "width": 1}, row=2, col=1)
    end = max([*course["at"].to_list(), *stages["ended"].drop_nulls().to_list()], default=None)
    _stages(figure, stages, end)
    _decisions(figure, stages, known)
    figure.update_yaxes(title="good outcomes", tickformat=".0%", zeroline=False, row=1, col=1)
    reach = _reach(known, stages)
    figure.update_yaxes(title="difference, points", range=reach, zeroline=False, row=2, col=1)
    figure.update_xaxes(showgrid=False)
    figure.update_layout(legend={"orientation": "h", "y": -0.17, "yanchor": "top", "x": 0})
    return styled(figure, title=title, height=580).update_layout(margin_t=86)


def _points(share: pl.Series) -> list[float]:
    return (100 * share).to_list()


def _band(figure: "Figure", known: pl.DataFrame, side: str, shade: str, *, row: int) -> None:
    """The bounds as a shaded band."""
    low, high = known[f"{side}_low"], known[f"{side}_high"]
    ends = (_points(high), _points(low)) if side == "difference" else (high.to_list(), low.to_list())
    for values, fill in zip(ends, (None, "tonexty"), strict=True):
        look = {"mode": "lines", "line": {"width": 0}, "fill": fill, "fillcolor": shade, "hoverinfo": "skip"}
        figure.add_scatter(x=known["at"].to_list(), y=values, showlegend=False, row=row, col=1, **look)


def _stages(figure: "Figure", stages: pl.DataFrame, end: datetime | None) -> None:
    """Where each begins, its name above, and as far as it reaches the margin that it is passed by."""
    drawn = False
    for row in stages.iter_rows(named=True):
        until = row["ended"] or end
        figure.add_vline(x=row["began"], line={"color": "#cbd2d9", "width": 1})
        figure.add_annotation(
            x=row["began"], y=1, yref="paper", yanchor="bottom", xanchor="left", xshift=2, showarrow=False,
            text=plain(row["stage"]), font={"color": MUTED, "size": 12},
        )  # fmt: skip
        if row["margin"] is None or until is None:
            continue
        figure.add_scatter(
            x=[row["began"], until], y=[-100 * row["margin"]] * 2, mode="lines", row=2, col=1,
            name="margin", legendgroup="margin", showlegend=not drawn,
            line={"color": BAD, "width": 1.5, "dash": "dash"},
            hovertemplate=f"passed when the band lies above {-100 * row['margin']:.3g} points<extra></extra>",
        )  # fmt: skip
        drawn = True


def _decisions(figure: "Figure", stages: pl.DataFrame, known: pl.DataFrame) -> None:
    """What ended each stage, as a mark on the difference as it then was."""
    for action, (colour, symbol, name) in ENDS.items():
        ended = stages.filter(pl.col("action") == action).drop_nulls("ended").sort("ended")
        if ended.is_empty():
            continue
        at = ended.join_asof(known.select(ended="at", difference="difference").sort("ended"), on="ended")
        figure.add_scatter(
            x=at["ended"].to_list(), y=_points(at["difference"].fill_null(0.0)), mode="markers", name=name,
            marker={"color": colour, "symbol": symbol, "size": 13, "line": {"color": "white", "width": 1}},
            text=[plain(stage) for stage in at["stage"]], hovertemplate="%{x}<br>%{text}: " + name + "<extra></extra>",
            row=2, col=1,
        )  # fmt: skip


def _reach(known: pl.DataFrame, stages: pl.DataFrame) -> list[float]:
    """Room for what is drawn once bounds say something: at the start they reach from -100 to 100."""
    ends = [known[column].abs().quantile(0.6) for column in ("difference_low", "difference_high")]
    margin = stages["margin"].max()
    wide = max([float(each) for each in (*ends, margin) if isinstance(each, float)], default=0.1)
    return [-min(100.0, 130 * wide), min(100.0, 130 * wide)]
