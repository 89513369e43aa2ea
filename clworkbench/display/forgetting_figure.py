"""Forgetting as a figure: what changed on what was learned before, each with its interval and the margin."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, GOOD, INK, MUTED, WARN, plain, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LOOK = {"kept": (GOOD, "circle"), "forgotten": (BAD, "x"), "open": (WARN, "diamond"), "unmeasured": (MUTED, "circle")}
APART = 80
"""Pixels between two panels: room for the axis above."""


def forgetting_figure(frame: pl.DataFrame, *, title: str) -> "Figure":
    """Differences as dots with their 90 % intervals, a panel for each metric; grey line at 0, red one at the margin.

    Args:
        frame: `where`, `metric`, `n`, `difference`, `low`, `high`, `margin`, `verdict`; rows without a difference have
            no dot.
        title: what is drawn.
    """
    from plotly.subplots import make_subplots

    panels = frame.drop_nulls("difference").partition_by("metric", maintain_order=True)
    rows = max(1, len(panels))
    height = 130 + 30 * frame.height + APART * (rows - 1)
    figure = make_subplots(
        rows=rows,
        cols=1,
        row_heights=[len(panel) for panel in panels] or [1],
        vertical_spacing=APART / height if rows > 1 else 0,
    )
    seen: set[str] = set()
    for at, panel in enumerate(panels, start=1):
        edges = _edges(panel)
        for (verdict,), part in panel.group_by("verdict", maintain_order=True):
            figure.add_trace(_dots(part, str(verdict), edges, legend=str(verdict) not in seen), row=at, col=1)
            seen.add(str(verdict))
        names = [plain(f"{where}  (n = {n:,})") for where, n in panel.select("where", "n").iter_rows()]
        figure.add_vline(x=0, line_width=1, line_color=MUTED, row=at, col=1)
        figure.add_vline(x=-panel["margin"][0], line_width=1, line_color=BAD, line_dash="dot", row=at, col=1)
        order = {"categoryorder": "array", "categoryarray": panel["where"].to_list()[::-1]}
        ticks = {"tickvals": panel["where"].to_list(), "ticktext": names, "tickfont": {"color": INK}}
        figure.update_yaxes(automargin=True, **order, **ticks, row=at, col=1)
        title_text = f"{panel['metric'][0]}: run minus parent"
        figure.update_xaxes(title_text=title_text, zeroline=False, range=list(edges), row=at, col=1)
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    return styled(figure, title=title, height=height)


def _edges(panel: pl.DataFrame) -> tuple[float, float]:
    """Room for all that is drawn, 0 and the margin among it."""
    seen = [0.0, -panel["margin"][0], *panel["difference"], *panel["low"].drop_nulls(), *panel["high"].drop_nulls()]
    apart = 0.06 * (max(seen) - min(seen)) or 0.01
    return min(seen) - apart, max(seen) + apart


def _dots(part: pl.DataFrame, verdict: str, edges: tuple[float, float], *, legend: bool) -> dict[str, object]:
    colour, symbol = LOOK[verdict]
    # What nothing bounds reaches to the edge.
    array = (part["high"].fill_null(edges[1]) - part["difference"]).to_list()
    below = (part["difference"] - part["low"].fill_null(edges[0])).to_list()
    return {
        "type": "scatter",
        "mode": "markers",
        "x": part["difference"].to_list(),
        "y": part["where"].to_list(),
        "name": verdict,
        "legendgroup": verdict,
        "showlegend": legend,
        "marker": {"size": 10, "color": colour, "symbol": symbol},
        "error_x": {"type": "data", "array": array, "arrayminus": below, "color": colour, "thickness": 1.5},
        "customdata": part.select("before", "after", "n").rows(),
        "hovertemplate": "%{x:+.3f}: %{customdata[0]:.3f} before, %{customdata[1]:.3f} after, "
        "n = %{customdata[2]:,}<extra></extra>",
    }
