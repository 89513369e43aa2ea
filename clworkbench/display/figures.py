"""Figures in one look: rates over time with their intervals, a waterfall, the losses of runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK, MUTED, GOOD, WARN, BAD = "#1f2933", "#7b8794", "#1a7f5a", "#9a6700", "#b42318"
SERIES = ("#7b8794", "#1a7f5a", "#b42318", "#2f6fb2", "#9a6700", "#7a4fa3")
"""Colours of lines, in the order in which they come."""


def plain(text: str) -> str:
    """Text that plotly draws as it stands: it would take some tags and `%{...}` for its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")


def styled(figure: "Figure", *, title: str = "", height: int = 380) -> "Figure":
    """The figure on white, in the ink and margins that all of ours share."""
    figure.update_xaxes(title_font_size=13, ticks="outside", ticklen=6, tickcolor="rgba(0,0,0,0)")
    figure.update_yaxes(title_font_size=13)
    return figure.update_layout(
        template="plotly_white",
        title={"text": plain(title), "font": {"size": 16}, "x": 0, "xref": "paper"},
        height=height,
        font={"size": 13, "color": INK},
        margin={"l": 64, "r": 24, "t": 60 if title else 30, "b": 48},
    )


def words_figure(text: str, *, title: str) -> "Figure":
    """What stands in a figure's place where there is nothing to draw: why."""
    from plotly.graph_objects import Figure

    figure = Figure()
    note = {"text": plain(text), "font": {"size": 13, "color": MUTED}, "showarrow": False}
    figure.add_annotation(x=0, xref="paper", xanchor="left", y=0.5, yref="paper", **note)
    return styled(figure, title=title, height=150).update_xaxes(visible=False).update_yaxes(visible=False)


def rate_figure(frame: pl.DataFrame, by: str, *, title: str, marks: Mapping[str, datetime] | None = None) -> "Figure":
    """Each row's rate as a dot with its interval, and the number behind it underneath.

    Args:
        frame: `by`, `n`, `rate`, `low`, `high`; rows without a rate have no dot. With `share`, a panel of bars below.
        by: what stands on the axis below: moments, or names.
        title: what is drawn.
        marks: moments to be marked by a line, by what happened then.
    """
    from plotly.subplots import make_subplots

    parts = "share" in frame.columns
    heights = [0.74, 0.26] if parts else [1.0]
    figure = make_subplots(rows=len(heights), cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.08)
    shown = frame.filter(pl.col("n") > 0)
    figure.add_trace(_dots(shown, by), row=1, col=1)
    figure.add_trace(_counts(shown, by), row=1, col=1)
    corner = {"x": 0, "xref": "paper", "xanchor": "right", "xshift": -8, "showarrow": False, "font": {"color": MUTED}}
    figure.add_annotation(y=COUNTS_AT, yref="y", text="n", **corner)
    if parts:
        bars = {"type": "bar", "x": frame[by].to_list(), "y": frame["share"].to_list(), "marker": {"color": MUTED}}
        figure.add_trace(
            {**bars, "hovertemplate": _where(frame, by) + "<br>%{y:.0%} of the traffic<extra></extra>"}, row=2, col=1
        )
        figure.update_yaxes(title="share", rangemode="tozero", tickformat=".0%", nticks=4, row=2, col=1)
    for what, moment in (marks or {}).items():
        _mark(figure, moment, what)
    fifths = {"tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "tickformat": ".0%", "zeroline": False, "title": "good"}
    figure.update_yaxes(range=[-0.15, 1.05], row=1, col=1, **fifths)
    figure.update_xaxes(showgrid=False, tickformat=_dates(shown[by]))
    return styled(figure.update_layout(showlegend=False), title=title, height=500 if parts else 380)


def parts_figure(frame: pl.DataFrame, by: str, *, title: str) -> "Figure":
    """Bars of parts that add up, one for each row, with their numbers in them.

    Args:
        frame: `by`, a name, and one column of counts for each part, in the order in which they are stacked.
        by: what stands beside the bars.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    colours = (GOOD, "#b8c4ce", MUTED, BAD)
    for part, colour in zip([name for name in frame.columns if name != by], colours, strict=False):
        shown = {"x": frame[part].to_list(), "y": [plain(name) for name in frame[by]], "name": part}
        texts = [f"{n:,}" if n else "" for n in frame[part]]
        look = {"orientation": "h", "marker_color": colour, "text": texts, "textposition": "inside"}
        figure.add_bar(**shown, **look, textangle=0, insidetextanchor="middle", hovertemplate="%{y}: %{x:,} " + part)
    figure.update_layout(
        barmode="stack", legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"}
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title="records", rangemode="tozero")
    return styled(figure, title="", height=120 + 44 * frame.height).update_layout(
        title={"text": plain(title), "y": 0.98, "yanchor": "top"}, margin_t=90
    )


COUNTS_SHOWN = 24
"""Of more dots over time, not each one's number is written; all of them stand in what hovers."""

COUNTS_AT = -0.08
"""Where below a rate's axis the numbers behind the rates stand."""


def _dots(shown: pl.DataFrame, by: str) -> dict[str, object]:
    above, below = shown["high"] - shown["rate"], shown["rate"] - shown["low"]
    said = "<br>%{y:.0%} [%{customdata[1]:.0%}, %{customdata[2]:.0%}], n = %{customdata[0]}<extra></extra>"
    spread = {"type": "data", "array": above.to_list(), "arrayminus": below.to_list()}
    return {
        "type": "scatter",
        "x": shown[by].to_list(),
        "y": shown["rate"].to_list(),
        "mode": "markers",
        "marker": {"size": 9, "color": GOOD},
        "error_y": {**spread, "thickness": 1.3, "width": 4, "color": GOOD},
        "customdata": shown.select("n", "low", "high").rows(),
        "hovertemplate": _where(shown, by) + said,
    }


def _where(frame: pl.DataFrame, by: str) -> str:
    return "%{x|%a %d %b}" if frame[by].dtype.is_temporal() else "%{x}"


def _dates(values: pl.Series) -> str | None:
    """How ticks name moments: with the year where there is more than one."""
    if not values.dtype.is_temporal():
        return None
    return "%d %b %Y" if values.dt.year().n_unique() > 1 else "%d %b"


def _counts(shown: pl.DataFrame, by: str) -> dict[str, object]:
    every = -(-shown.height // COUNTS_SHOWN) if shown[by].dtype.is_temporal() else 1
    return {
        "type": "scatter",
        "x": shown[by].to_list(),
        "y": [COUNTS_AT] * shown.height,
        "mode": "text",
        "text": [str(n) if place % every == 0 else "" for place, n in enumerate(shown["n"])],
        "textfont": {"size": 11, "color": MUTED},
        "hoverinfo": "skip",
    }


def _mark(figure: "Figure", at: datetime, text: str) -> None:
    line = {"color": INK, "width": 1.2, "dash": "dot"}
    figure.add_shape(type="line", x0=at, x1=at, xref="x", y0=0, y1=1, yref="paper", line=line)
    figure.add_annotation(
        x=at,
        xref="x",
        y=1,
        yref="paper",
        yanchor="bottom",
        text=plain(text),
        showarrow=False,
        font={"size": 12, "color": INK},
    )


def waterfall_figure(start: int, dropped: Mapping[str, int], *, unit: str, title: str) -> "Figure":
    """From all that there was, what each rule took away, to what is left.

    Args:
        start: how many there were.
        dropped: how many each rule took, in order (below 0: made); rules that took none are left out.
        unit: what is counted at the start.
        title: what is drawn.
    """
    import plotly.graph_objects as go

    steps = {reason.replace("_", " "): n for reason, n in dropped.items() if n}
    names = [unit, *steps, "rows"]
    values = [start, *(-n for n in steps.values()), start - sum(steps.values())]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=[plain(name) for name in names],
            x=values,
            measure=["absolute", *["relative"] * len(steps), "total"],
            text=[f"{value:,}" for value in values],
            textposition="outside",
            cliponaxis=False,
            decreasing={"marker": {"color": WARN}},
            totals={"marker": {"color": GOOD}},
            increasing={"marker": {"color": MUTED}},
            connector={"line": {"color": "#cbd2d9", "width": 1}},
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    highest = max(accumulate(values[:-1]))
    figure.update_xaxes(range=[0, highest * 1.12], zeroline=False)
    return styled(figure, title=title, height=120 + 34 * len(names))


def loss_figure(losses: Mapping[str, Sequence[float]], *, title: str) -> "Figure":
    """The loss of each step, a line for each run."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (name, values) in enumerate(losses.items()):
        colour = SERIES[number % len(SERIES)]
        steps = list(range(1, len(values) + 1))
        line = {"color": colour, "width": 2}
        mode = "lines" if len(values) > 1 else "markers"
        figure.add_scatter(x=steps, y=list(values), mode=mode, name=plain(name), line=line, marker={"color": colour})
    figure.update_yaxes(title="loss", rangemode="tozero")
    figure.update_xaxes(title="step", showgrid=False)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0})
    return styled(figure, title=title, height=400)


def limits_figure(frame: pl.DataFrame, *, title: str) -> "Figure":
    """What was spent as bars, and what may be spent as a line across each.

    Args:
        frame: `month` (Date), `kind`, `hours`, `usd`, `limit_hours` and `limit_usd` (null without a limit).
        title: what is drawn.
    """
    from plotly.subplots import make_subplots

    money = frame.select(pl.col("usd").sum() > 0).item() or frame["limit_usd"].count() > 0
    units = {"hours": "hours", "usd": "US dollars"} if money else {"hours": "hours"}
    figure = make_subplots(rows=1, cols=len(units), shared_yaxes=True, horizontal_spacing=0.06)
    places = [f"{row['month']:%Y-%m} {plain(row['kind'])}" for row in frame.iter_rows(named=True)]
    for column, (name, unit) in enumerate(units.items(), start=1):
        spent, limits = frame[name].to_list(), frame[f"limit_{name}"].to_list()
        over = [GOOD if limit is None or amount < limit else BAD for amount, limit in zip(spent, limits, strict=True)]
        bars = {"type": "bar", "orientation": "h", "x": spent, "y": places, "marker": {"color": over}}
        figure.add_trace({**bars, "hovertemplate": "%{y}: %{x:,.2f} " + unit + "<extra></extra>"}, row=1, col=column)
        mark = {"symbol": "line-ns-open", "size": 22, "color": INK, "line": {"width": 2}}
        line = {"type": "scatter", "mode": "markers", "x": limits, "y": places, "marker": mark}
        figure.add_trace({**line, "hovertemplate": "limit: %{x:,.2f} " + unit + "<extra></extra>"}, row=1, col=column)
        figure.update_xaxes(title=unit, rangemode="tozero", row=1, col=column)
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    figure.update_layout(showlegend=False)
    return styled(figure, title=title, height=140 + 30 * frame.height)
