"""The two figures of the desk's page: the slice day by day, and the losses of its runs."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.demo.desk_report import DeskTold

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK, MUTED, GRID = "#1f2933", "#66727f", "#e4e8ec"
BEFORE, AFTER, SPOILED = "#7b8794", "#1a7f5a", "#b42318"
RUN_COLOURS = {"champion": BEFORE, "challenger": AFTER, "spoiled challenger": SPOILED}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def rates_figure(told: DeskTold) -> "Figure":
    """Rate and share by day, one axis of time; a line where the policy changed and where the release came."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.07)
    for week in told.weeks.drop_nulls("rate").iter_rows(named=True):
        _band(figure, told, week)
    half_day = timedelta(hours=12)
    days = told.days.with_columns(at=pl.col("day") + half_day)
    shown = days.drop_nulls("rate")
    for colour, part in ((BEFORE, pl.col("day") < told.released), (AFTER, pl.col("day") >= told.released)):
        dots = shown.filter(part)
        figure.add_trace(_dots(go, dots, colour), row=1, col=1)
        bars = days.filter(part)
        bar = go.Bar(
            x=bars["at"].to_list(),
            y=bars["share"].to_list(),
            marker_color=colour,
            customdata=bars["tickets"].to_list(),
            hovertemplate="%{x|%a %d %b}<br>%{y:.0%} of %{customdata} tickets<extra></extra>",
        )
        figure.add_trace(bar, row=2, col=1)
    figure.add_trace(
        go.Scatter(
            x=shown["at"].to_list(),
            y=[-0.09] * shown.height,
            mode="text",
            text=[str(n) for n in shown["n"]],
            textfont={"size": 11, "color": MUTED},
            hoverinfo="skip",
        ),
        row=1,
        col=1,
    )
    figure.update_yaxes(title="ended well", tickformat=".0%", range=[-0.15, 1.04], tickvals=_FIFTHS, row=1, col=1)
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero", nticks=4, row=2, col=1)
    figure.update_xaxes(tickformat="%a %d %b", dtick=7 * 86_400_000, tick0=told.policy.isoformat(), showgrid=False)
    figure.update_xaxes(ticks="outside", ticklen=7, tickcolor=GRID, row=2, col=1)
    figure.add_annotation(
        x=0,
        xref="paper",
        xanchor="right",
        xshift=-8,
        y=-0.09,
        yref="y",
        text="n",
        showarrow=False,
        font={"color": MUTED},
    )
    _mark(figure, told.policy, "policy changes", side="right")
    _mark(figure, told.released, "release", side="left")
    figure.update_layout(showlegend=False, bargap=0.25)
    return _layout(figure, 520)


_FIFTHS = [0, 0.2, 0.4, 0.6, 0.8, 1.0]


def _band(figure: "Figure", told: DeskTold, week: dict[str, float]) -> None:
    """A week's rate as a line, its interval as a band."""
    start = told.policy + timedelta(weeks=int(week["week"]) - 3)
    stop = start + timedelta(weeks=1)
    colour = AFTER if start >= told.released else BEFORE
    same = {"x0": start, "x1": stop, "line_width": 0, "layer": "below", "row": 1, "col": 1}
    figure.add_shape(type="rect", y0=week["low"], y1=week["high"], fillcolor=colour, opacity=0.13, **same)
    line = same | {"line_width": 1.5, "line_color": colour}
    figure.add_shape(type="line", y0=week["rate"], y1=week["rate"], opacity=0.7, **line)


def _dots(go: object, dots: pl.DataFrame, colour: str) -> object:
    return go.Scatter(  # type: ignore[attr-defined]
        x=dots["at"].to_list(),
        y=dots["rate"].to_list(),
        mode="markers",
        marker={"size": 9, "color": colour, "line": {"color": "#fff", "width": 1}},
        error_y={
            "array": (dots["high"] - dots["rate"]).to_list(),
            "arrayminus": (dots["rate"] - dots["low"]).to_list(),
            "thickness": 1.2,
            "width": 3,
            "color": colour,
        },
        customdata=dots.select("n", "low", "high").rows(),
        hovertemplate="%{x|%a %d %b}<br>%{y:.0%} [%{customdata[1]:.0%}, %{customdata[2]:.0%}], n = %{customdata[0]}"
        "<extra></extra>",
    )


def _mark(figure: "Figure", at: datetime, text: str, *, side: str) -> None:
    """A moment's line, its text with that side at the line."""
    figure.add_shape(
        type="line", x0=at, x1=at, xref="x", y0=0, y1=1, yref="paper", line={"color": INK, "width": 1.2, "dash": "dot"}
    )
    figure.add_annotation(x=at, xref="x", y=1, yref="paper", yanchor="bottom", xanchor=side, text=text, showarrow=False)


def losses_figure(told: DeskTold) -> "Figure":
    """Loss by step of champion, challenger and spoiled challenger."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for who, losses in told.losses.items():
        steps = list(range(1, len(losses) + 1))
        name = f"{who} ({len(losses)} steps)"
        figure.add_scatter(x=steps, y=losses, name=name, mode="lines", line={"color": RUN_COLOURS[who], "width": 2})
    figure.update_yaxes(title="loss (log scale)", type="log", dtick=1)
    figure.update_xaxes(title="step", showgrid=False)
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return _layout(figure, 320)


def _layout(figure: "Figure", height: int) -> "Figure":
    figure.update_layout(
        template="plotly_white",
        height=height,
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 64, "r": 16, "t": 34, "b": 40},
        hoverlabel={"font": {"family": FONT}},
    )
    return figure
