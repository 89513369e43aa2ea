"""The rates that alerts look at, by day, with their thresholds."""

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, INK, MUTED, plain, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 6
"""Rules that a figure has room for."""

WELL = "#2f6fb2"
NOON = timedelta(hours=12)


def alerts_figure(series: pl.DataFrame, *, standing: Collection[str]) -> "Figure":
    """A panel for each rule: the rate of each day as a dot with its interval, the threshold as a line.

    Args:
        series: `rule`, `day` (UTC), `n`, `rate`, `low`, `high` (0 to 1), `above` (null for a rule on a rise).
        standing: the rules that stand: drawn first, and in red with another shape.
    """
    from plotly.subplots import make_subplots

    names = series["rule"].unique(maintain_order=True).to_list()
    names.sort(key=lambda name: name not in standing)
    shown = names[:SHOWN]
    if not shown:
        return styled(
            make_subplots(), title="No rule of [alerts] looks at a rate, or none has a signal yet", height=160
        )
    titles = [plain(f"{name}: stands" if name in standing else name) for name in shown]
    figure = make_subplots(
        rows=len(shown), cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.36 / len(shown)
    )
    for row, name in enumerate(shown, start=1):
        days = series.filter(pl.col("rule") == name, pl.col("n") > 0).sort("day")
        colour, symbol = (BAD, "diamond") if name in standing else (WELL, "circle")
        figure.add_trace(_dots(days, colour, symbol), row=row, col=1)
        if days.height and (above := days["above"][0]) is not None:
            line = {"color": INK, "width": 1.3, "dash": "dot"}
            figure.add_hline(
                y=above,
                line=line,
                row=row,
                col=1,
                annotation_text=f"alerts above {100 * above:.3g}%",
                annotation_font_color=MUTED,
            )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=5, zeroline=False)
    figure.update_xaxes(showgrid=False, tickformat="%d %b")
    figure.update_annotations(x=0, xanchor="left", font_size=13, selector={"xref": "paper"})
    left = len(names) - len(shown)
    title = "Rates of each day that rules look at, Wilson 95 %" + (f" ({left} more not drawn)" if left else "")
    return styled(figure.update_layout(showlegend=False), title=title, height=120 + 190 * len(shown)).update_layout(
        margin_t=90
    )


def _dots(days: pl.DataFrame, colour: str, symbol: str) -> dict[str, object]:
    above, below = (days["high"] - days["rate"]).to_list(), (days["rate"] - days["low"]).to_list()
    said = "%{x|%a %d %b}<br>%{y:.1%} [%{customdata[1]:.1%}, %{customdata[2]:.1%}], n = %{customdata[0]:,}"
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [day + NOON for day in days["day"]],
        "y": days["rate"].to_list(),
        "marker": {"size": 8, "color": colour, "symbol": symbol},
        "error_y": {"type": "data", "array": above, "arrayminus": below, "thickness": 1.2, "width": 3, "color": colour},
        "customdata": days.select("n", "low", "high").rows(),
        "hovertemplate": said + "<extra></extra>",
    }
