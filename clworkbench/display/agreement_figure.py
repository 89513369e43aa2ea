"""Agreement as a figure: alpha by question or slice with its interval, beside what is customarily asked for."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import GOOD, INK, MUTED, plain, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CUSTOMARY = {0.667: "tentative", 0.8: "reliable"}
"""Where conclusions are drawn tentatively, and where data count as reliable: Krippendorff 2004, "Reliability in Content
Analysis", Human Communication Research 30:411-433."""

LOOK = {"all": (GOOD, "circle"), "without untouched suggestions": (MUTED, "diamond-open")}


def agreement_figure(frame: pl.DataFrame, *, title: str) -> "Figure":
    """Alphas as dots with their intervals, told apart by shape as well as by colour.

    Args:
        frame: `name` (what stands beside the dot), `which` (a key of `LOOK`), `alpha`, `low`, `high`, `n`; rows without
            an alpha have no dot.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    names = [plain(name) for name in frame["name"].unique(maintain_order=True)]
    shown = frame.drop_nulls("alpha")
    series = [which for which in LOOK if which in frame["which"]]
    for number, which in enumerate(series):
        part, (colour, symbol) = shown.filter(pl.col("which") == which), LOOK[which]
        # Two dots of one name stand one below the other.
        places = [names.index(plain(name)) + 0.22 * (number - (len(series) - 1) / 2) for name in part["name"]]
        above, below = (part["high"] - part["alpha"]).to_list(), (part["alpha"] - part["low"]).to_list()
        figure.add_scatter(
            x=part["alpha"].to_list(),
            y=places,
            name=which,
            mode="markers",
            marker={"size": 10, "color": colour, "symbol": symbol},
            error_x={
                "type": "data",
                "array": above,
                "arrayminus": below,
                "thickness": 1.3,
                "width": 4,
                "color": colour,
            },
            customdata=part.select("low", "high", "n").rows(),
            hovertemplate="%{x:.2f} [%{customdata[0]:.2f}, %{customdata[1]:.2f}], n = %{customdata[2]}<extra></extra>",
        )
        for place, n in zip(places, part["n"], strict=True):
            count = {"text": f"n = {n:,}", "font": {"size": 11, "color": MUTED}, "showarrow": False}
            figure.add_annotation(x=1.02, xref="paper", xanchor="left", y=place, **count)
    for at, word in CUSTOMARY.items():
        figure.add_vline(x=at, line={"color": INK, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=at, y=1, yref="paper", yanchor="bottom", text=f"{word} {at:g}", textangle=-30, xanchor="left",
            showarrow=False, font={"size": 11, "color": INK},
        )  # fmt: skip
    lowest = min([-0.05, *shown["low"].drop_nulls()])
    figure.update_xaxes(title="Krippendorff's alpha (95 % interval)", range=[lowest - 0.05, 1.05], zeroline=True)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6], automargin=True
    )
    legend = {"orientation": "h", "y": -0.35, "yanchor": "top", "x": 0}
    figure.update_layout(showlegend=len(series) > 1, legend=legend)
    drawn = styled(figure, title="", height=210 + 52 * len(names))
    return drawn.update_layout(
        title={"text": plain(title), "y": 0.97, "yanchor": "top"}, margin={"t": 110, "r": 84, "b": 90}
    )
