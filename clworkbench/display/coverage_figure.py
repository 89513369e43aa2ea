"""Coverage as a figure: shares of all traffic beside those of the part that a suite was drawn from."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import GOOD, INK, MUTED, plain, styled, words_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def coverage_figure(shares: pl.DataFrame, *, title: str) -> "Figure":
    """Two dots a row, joined by a line: grey for all traffic, green for what was drawn from.

    Args:
        shares: `what`, `traffic`, `drawn_from` (0 to 1), in the order in which they are drawn.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    if shares.is_empty():
        return words_figure("there is nothing to compare", title=title)
    figure = Figure()
    names = [plain(name) for name in shares["what"]]
    for name, whole, part in zip(names, shares["traffic"], shares["drawn_from"], strict=True):
        line = {"color": MUTED, "width": 2}
        figure.add_scatter(x=[whole, part], y=[name, name], mode="lines", line=line, showlegend=False, hoverinfo="skip")
    for column, said, colour, symbol in (
        ("traffic", "all traffic", MUTED, "circle-open"),
        ("drawn_from", "drawn from", GOOD, "circle"),
    ):
        marker = {"size": 11, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}}
        found = "%{y}: %{x:.1%} of " + said + "<extra></extra>"
        figure.add_scatter(
            x=shares[column].to_list(), y=names, mode="markers", name=said, marker=marker, hovertemplate=found
        )
    figure.update_yaxes(autorange="reversed", automargin=True, tickfont={"color": INK})
    figure.update_xaxes(title="share of signals", tickformat=".0%", rangemode="tozero", zeroline=False)
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    return styled(figure, title=title, height=150 + 30 * shares.height).update_layout(margin_t=90)
