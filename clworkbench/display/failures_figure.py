"""Repeated failures as a figure: each group's rate before and in the last window, with intervals and counts."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, INK, MUTED, plain, styled
from clworkbench.statistics.intervals import wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LONGEST = 48


def failures_figure(frame: pl.DataFrame, *, last: str, title: str) -> "Figure":
    """Rates of failure as dots with Wilson's intervals: before, and in the last window, told apart by shape.

    Args:
        frame: `name`, `trend` (`rising` is drawn in red), and for `before` and `last` each `n_<side>` and
            `rate_<side>`; a side without settled signals has no dot.
        last: what the last window is called.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    look = {"before": ("before", MUTED, "circle-open"), "last": (last, INK, "diamond")}
    for number, (side, (called, colour, symbol)) in enumerate(look.items()):
        rate, n = pl.col(f"rate_{side}"), pl.col(f"n_{side}")
        low, high = wilson_bounds(rate, n)
        part = (
            frame.with_row_index("place")
            .select("place", "trend", rate=rate, n=n, low=low, high=high)
            .filter(pl.col("n") > 0)
        )
        places = [place + 0.3 * number - 0.15 for place in part["place"]]
        rising = BAD if side == "last" else colour
        colours = [rising if trend == "rising" else colour for trend in part["trend"]]
        spread = {
            "array": (part["high"] - part["rate"]).to_list(),
            "arrayminus": (part["rate"] - part["low"]).to_list(),
        }
        figure.add_scatter(
            x=part["rate"].to_list(),
            y=places,
            name=plain(called),
            mode="markers",
            marker={"size": 9, "color": colours, "symbol": symbol},
            error_x={"type": "data", **spread, "thickness": 1.3, "width": 4, "color": colour},
            customdata=part.select("n", "low", "high").rows(),
            hovertemplate="%{x:.0%} [%{customdata[1]:.0%}, %{customdata[2]:.0%}], n = %{customdata[0]}<extra></extra>",
        )
        for place, count in zip(places, part["n"], strict=True):
            text = {"text": f"n = {count:,}", "font": {"size": 11, "color": colour}, "showarrow": False}
            figure.add_annotation(x=1.02, xref="paper", xanchor="left", y=place, **text)
    names = [plain(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…") for name in frame["name"]]
    figure.update_xaxes(title="failed", range=[-0.02, 1.02], tickformat=".0%", zeroline=False)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6], automargin=True
    )
    figure.update_layout(legend={"orientation": "h", "y": -60 / (150 + 44 * len(names)), "yanchor": "top", "x": 0})
    drawn = styled(figure, title=title, height=190 + 44 * len(names))
    return drawn.update_layout(margin={"r": 84, "b": 90})
