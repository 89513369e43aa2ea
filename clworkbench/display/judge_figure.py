"""A judge's agreement as a figure: kappa by slice with its interval, beside what it must reach to gate."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import GOOD, INK, MUTED, WARN, plain, styled, words_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def judge_figure(frame: pl.DataFrame, least: float, *, weighted: bool, title: str) -> "Figure":
    """Kappas as dots with their intervals; a filled one is shown to reach what is wanted, an open one is not.

    Args:
        frame: `slice`, `n`, `kappa`, `low`, `high`; a row without a kappa has no dot.
        least: what the lower end must reach, drawn as a line.
        weighted: whether differences count by their squares.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    shown = frame.drop_nulls("kappa")
    if shown.is_empty():
        return words_figure("Kappa is undefined: both always gave one and the same grade.", title=title)
    figure = Figure()
    names = [plain(name) for name in frame["slice"]]
    for met, look in ((True, (GOOD, "circle", "reaches it")), (False, (WARN, "circle-open", "not shown to reach it"))):
        part, (colour, symbol, word) = shown.filter((pl.col("low") >= least) == met), look
        above, below = (part["high"] - part["kappa"]).to_list(), (part["kappa"] - part["low"]).to_list()
        figure.add_scatter(
            x=part["kappa"].to_list(),
            y=[names.index(plain(name)) for name in part["slice"]],
            name=word,
            mode="markers",
            marker={"size": 11, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
            error_x={"type": "data", "array": above, "arrayminus": below, "thickness": 1.5, "color": colour},
            customdata=part.select("low", "high", "n").rows(),
            hovertemplate="%{x:.2f} [%{customdata[0]:.2f}, %{customdata[1]:.2f}], n = %{customdata[2]}<extra></extra>",
        )
    for place, n in enumerate(frame["n"]):
        count = {"text": f"n = {n:,}", "font": {"size": 11, "color": MUTED}, "showarrow": False}
        figure.add_annotation(x=1.02, xref="paper", xanchor="left", y=place, **count)
    figure.add_vline(x=least, line={"color": INK, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=least, y=1, yref="paper", yanchor="bottom", text=f"min_kappa {least:g}", showarrow=False, font={"size": 11}
    )
    lowest = min([0.0, *shown["low"]])
    measure = "Cohen's kappa, by squared differences" if weighted else "Cohen's kappa"
    figure.update_xaxes(title=f"{measure} (95 % interval)", range=[lowest - 0.05, 1.05], zeroline=True)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6], automargin=True
    )
    figure.update_layout(legend={"orientation": "h", "y": -0.35, "yanchor": "top", "x": 0})
    drawn = styled(figure, title="", height=230 + 48 * len(names))
    return drawn.update_layout(
        title={"text": plain(title), "y": 0.97, "yanchor": "top"}, margin={"t": 90, "r": 84, "b": 95}
    )
