"""Drift as a figure: the share of each part that moved and its rate of good outcomes, before and now."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, GOOD, INK, MUTED, plain, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 30
LONGEST = 48
LOOK = {"before": (MUTED, "circle-open", -0.13), "now": (GOOD, "diamond", 0.13)}


def drift_figure(parts: pl.DataFrame, *, title: str) -> "Figure":
    """Two panels: shares of the signals, and rates of good outcomes with their 95 % intervals; worse ones are red.

    Args:
        parts: `part`, `share_before`, `share_now`, and for `before` and `now` each the rate with its `_low` and
            `_high` and its `n_`, `harm`; a rate that is null has no dot. 30 are drawn.
        title: what is drawn.
    """
    from plotly.subplots import make_subplots

    shown = parts.head(SHOWN).with_row_index("place")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    for side, (colour, symbol, shift) in LOOK.items():
        places = [place + shift for place in shown["place"]]
        mark = {"size": 10, "color": colour, "symbol": symbol}
        dots = {"type": "scatter", "mode": "markers", "name": side, "marker": mark, "legendgroup": side}
        shares = {"x": shown[f"share_{side}"].to_list(), "y": places, "hovertemplate": side + ": %{x:.1%} of signals"}
        figure.add_trace({**dots, **shares}, row=1, col=1)
        known = shown.drop_nulls(side).with_columns(worse=pl.lit(side == "now") & (pl.col("harm") == "worse"))
        for (worse,), part in known.group_by("worse", maintain_order=True):
            own = BAD if worse else colour
            reach = {
                "array": (part[f"{side}_high"] - part[side]).fill_null(0).to_list(),
                "arrayminus": (part[side] - part[f"{side}_low"]).fill_null(0).to_list(),
            }
            good = {
                "x": part[side].to_list(),
                "y": [place + shift for place in part["place"]],
                "error_x": {"type": "data", **reach, "thickness": 1.3, "width": 4, "color": own},
                "marker": {**mark, "color": own},
                "customdata": part.select(f"n_{side}").rows(),
                "hovertemplate": side + ": %{x:.0%} good, n = %{customdata[0]:,}<extra></extra>",
            }
            label = {"name": "now, got worse", "legendgroup": "worse"} if worse else {"showlegend": False}
            figure.add_trace({**dots, **good, **label}, row=1, col=2)
    names = [plain(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…") for name in shown["part"]]
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "tickfont": {"color": INK}}
    figure.update_yaxes(range=[len(names) - 0.4, -0.6], zeroline=False, automargin=True, **ticks)
    widest = max([*shown["share_before"], *shown["share_now"], 0.01])
    figure.update_xaxes(
        tickformat=".0%", range=[-0.02 * widest, 1.05 * widest], zeroline=False, title="of signals", row=1, col=1
    )
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.02], zeroline=False, title="good", row=1, col=2)
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    left = parts.height - shown.height
    said = f"{title} ({left:,} more parts not drawn)" if left > 0 else title
    return styled(figure, title=said, height=190 + 34 * max(1, len(names))).update_layout(margin_t=90)
