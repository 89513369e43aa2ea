"""Recency as a figure: gain on the newest traffic above loss on older slices, each with its interval."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, GOOD, INK, MUTED, plain, styled, words_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

APART = 80
"""Pixels between two panels: room for the axis above."""

LOOK = {"better": (GOOD, "circle"), "worse": (BAD, "x"), "open": (MUTED, "circle-open")}


def recency_figure(frame: pl.DataFrame, *, title: str, advice: str) -> "Figure":
    """Differences as dots with their 90 % intervals, a panel for each scorer; the newest traffic first, then older.

    Args:
        frame: `period`, `suite`, `slice`, `scorer`, `n`, `difference`, `low`, `high`, `verdict`; in order.
        title: what is drawn.
        advice: a sentence below the title.
    """
    from plotly.subplots import make_subplots

    panels = frame.drop_nulls("difference").partition_by("scorer", maintain_order=True)
    if not panels:
        return words_figure("nothing was measured", title=title)
    height = 170 + 30 * frame.height + APART * (len(panels) - 1)
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        row_heights=[panel.height for panel in panels],
        vertical_spacing=APART / height if len(panels) > 1 else 0,
    )
    seen: set[str] = set()
    for at, panel in enumerate(panels, start=1):
        named = panel.with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64))
        for (verdict,), part in named.group_by("verdict", maintain_order=True):
            figure.add_trace(_dots(part, str(verdict), legend=str(verdict) not in seen), row=at, col=1)
            seen.add(str(verdict))
        figure.add_vline(x=0, line_width=1, line_color=MUTED, row=at, col=1)
        newest = named.filter(pl.col("period") == "newest").height
        if 0 < newest < named.height:
            figure.add_hline(y=newest - 0.5, line_width=1, line_color=MUTED, line_dash="dot", row=at, col=1)
        ticks = {"tickvals": named["place"].to_list(), "ticktext": _names(named), "tickfont": {"color": INK}}
        look = {"autorange": "reversed", "automargin": True, "zeroline": False, "showgrid": False}
        figure.update_yaxes(**look, **ticks, row=at, col=1)
        axis = f"{plain(panel['scorer'][0])}: challenger minus champion"
        figure.update_xaxes(title_text=axis, zeroline=False, row=at, col=1)
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})
    said = {"text": _wrapped(advice), "showarrow": False, "font": {"size": 12, "color": MUTED}, "align": "left"}
    figure.add_annotation(x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", yshift=26, **said)
    return styled(figure, title=title, height=height + 40).update_layout(
        margin_t=120, title={"y": 0.98, "yanchor": "top", "yref": "container"}
    )


def _names(panel: pl.DataFrame) -> list[str]:
    suites = panel["suite"].str.replace("@.*$", "")
    rows = zip(panel["period"], suites, panel["slice"], panel["n"], strict=True)
    return [
        plain(f"{period}: {suite}{'' if name == 'all' else f', {name}'}  (n = {n:,})")
        for period, suite, name, n in rows
    ]


def _wrapped(text: str, width: int = 110) -> str:
    from textwrap import wrap

    return "<br>".join(plain(line) for line in wrap(text, width))


def _dots(part: pl.DataFrame, verdict: str, *, legend: bool) -> dict[str, object]:
    colour, symbol = LOOK[verdict]
    above = (part["high"] - part["difference"]).fill_null(0).to_list()
    below = (part["difference"] - part["low"]).fill_null(0).to_list()
    return {
        "type": "scatter",
        "mode": "markers",
        "x": part["difference"].to_list(),
        "y": part["place"].to_list(),
        "name": verdict,
        "legendgroup": verdict,
        "showlegend": legend,
        "marker": {"size": 10, "color": colour, "symbol": symbol},
        "error_x": {"type": "data", "array": above, "arrayminus": below, "color": colour, "thickness": 1.5},
        "customdata": part.select("champion", "challenger", "n").rows(),
        "hovertemplate": "%{x:+.3f}: champion %{customdata[0]:.3f}, challenger %{customdata[1]:.3f}, "
        "n = %{customdata[2]:,}<extra></extra>",
    }
