"""The rates that alerts look at, by day or week or longer, with their thresholds."""

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, INK, MUTED, plain, styled
from clworkbench.statistics.intervals import wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 6
"""Rules that a figure has room for."""

MOST = 40
"""Dots that a panel has room for; longer series are drawn in bins of so many days, or weeks, as fit."""

WELL = "#2f6fb2"


def alerts_figure(series: pl.DataFrame, *, standing: Collection[str]) -> "Figure":
    """A panel for each rule, with its own axes: rates as dots with intervals, the threshold as a line.

    Args:
        series: `rule`, `day` (UTC), `n`, `rate`, `low`, `high` (0 to 1), `above` (null for a rule on a rise).
        standing: the rules that stand: drawn first; in red, with another shape, are dots above the threshold.
    """
    from plotly.subplots import make_subplots

    names = series["rule"].unique(maintain_order=True).to_list()
    names.sort(key=lambda name: name not in standing)
    shown = names[:SHOWN]
    if not shown:
        return styled(
            make_subplots(), title="No rule of [alerts] looks at a rate, or none has a signal yet", height=160
        )
    parts = {name: _binned(series.filter(pl.col("rule") == name, pl.col("n") > 0).sort("day")) for name in shown}
    titles = [
        plain(f"{name}{': stands' if name in standing else ''}, by {_length(width)}")
        for name, (_, width) in parts.items()
    ]
    figure = make_subplots(rows=len(shown), cols=1, subplot_titles=titles, vertical_spacing=0.42 / len(shown))
    for row, name in enumerate(shown, start=1):
        bins, width = parts[name]
        if bins.is_empty():
            continue
        above = bins["above"][0]
        over = pl.lit(value=name in standing) & ((pl.col("rate") > above) if above is not None else False)
        for part, colour, symbol in ((bins.filter(~over), WELL, "circle"), (bins.filter(over), BAD, "diamond")):
            figure.add_trace(_dots(part, width, colour, symbol), row=row, col=1)
        years = bins["day"].dt.year().n_unique() > 1
        reach = [bins["day"][0], bins["day"][-1] + width]
        figure.update_xaxes(range=reach, tickformat="%d %b %Y" if years else "%d %b", nticks=6, row=row, col=1)
        if above is not None:
            figure.add_hline(y=above, line={"color": INK, "width": 1.3, "dash": "dot"}, row=row, col=1)
            figure.add_annotation(
                x=1.01, xref=f"x{row if row > 1 else ''} domain", xanchor="left", y=above,
                yref=f"y{row if row > 1 else ''}", text=f"alerts above<br>{100 * above:.3g}%", showarrow=False,
                align="left", font={"color": MUTED, "size": 12},
            )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=5, zeroline=False)
    figure.update_xaxes(showgrid=False)
    figure.update_annotations(x=0, xanchor="left", font_size=13, selector={"xref": "paper"})
    left = len(names) - len(shown)
    title = "Rates that rules look at, Wilson 95 %" + (f" ({left} more not drawn)" if left else "")
    return styled(figure.update_layout(showlegend=False), title=title, height=120 + 190 * len(shown)).update_layout(
        margin_t=90, margin_r=110
    )


def _binned(days: pl.DataFrame) -> tuple[pl.DataFrame, timedelta]:
    """At most `MOST` rows from the first day on, as days or as bins of several days or weeks, and their length."""
    if days.is_empty():
        return days, timedelta(days=1)
    first = days["day"][0]
    length = (days["day"][-1] - first).days + 1
    wide = -(-length // MOST)
    if wide == 1:
        return days, timedelta(days=1)
    if wide > 3:
        wide = 7 * -(-wide // 7)
    place = (pl.col("day") - first).dt.total_days() // wide
    total = pl.col("n").sum()
    bins = days.group_by(place=place, maintain_order=True).agg(
        n=total, rate=(pl.col("rate") * pl.col("n")).sum() / total, above=pl.col("above").first()
    )
    low, high = wilson_bounds(pl.col("rate"), pl.col("n"))
    day = pl.lit(first) + pl.duration(days=pl.col("place") * wide)
    return bins.with_columns(day=day, low=low, high=high), timedelta(days=wide)


def _length(width: timedelta) -> str:
    if width.days % 7:
        return "day" if width.days == 1 else f"{width.days} days"
    return "week" if width.days == 7 else f"{width.days // 7} weeks"


def _dots(days: pl.DataFrame, width: timedelta, colour: str, symbol: str) -> dict[str, object]:
    above, below = (days["high"] - days["rate"]).to_list(), (days["rate"] - days["low"]).to_list()
    said = "%{x|%a %d %b %Y}<br>%{y:.1%} [%{customdata[1]:.1%}, %{customdata[2]:.1%}], n = %{customdata[0]:,}"
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [day + width / 2 for day in days["day"]],
        "y": days["rate"].to_list(),
        "marker": {"size": 8, "color": colour, "symbol": symbol},
        "error_y": {"type": "data", "array": above, "arrayminus": below, "thickness": 1.2, "width": 3, "color": colour},
        "customdata": days.select("n", "low", "high").rows(),
        "hovertemplate": said + "<extra></extra>",
    }
