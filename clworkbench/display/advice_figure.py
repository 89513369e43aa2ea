"""Evidence as bars for and against, and the learning curve of past runs beneath."""

from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clworkbench.display.figures import BAD, GOOD, INK, MUTED, plain, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from clworkbench.statistics.learning_curve import LearningCurve

BAND = "rgba(26,127,90,0.15)"
ROW = 46
CURVE = 330
LONGEST = 110
LINE = 48
"""Letters of a line beside a bar."""


def advice_figure(
    frame: pl.DataFrame, curve: "LearningCurve | None", *, now: int | None, then: int | None, title: str
) -> "Figure":
    """Bars to the right speak for it, bars to the left against it; what says neither is a dot in the middle.

    Args:
        frame: `name`, `says`, `weight` (-1 to 1), a row for each piece of evidence, the first on top.
        curve: drawn beneath, with its 95 % interval and the runs; None where there is none.
        now: rows that the champion has learned.
        then: with the new ones.
        title: what is drawn.
    """
    from plotly.subplots import make_subplots

    bars = 40 + ROW * max(1, frame.height)
    heights = [bars / (bars + CURVE), CURVE / (bars + CURVE)] if curve else [1.0]
    figure = make_subplots(rows=len(heights), cols=1, row_heights=heights, vertical_spacing=90 / (bars + CURVE))
    _bars(figure, frame)
    if curve and now and then:
        _curve(figure, curve, now, then)
    figure.update_layout(showlegend=False, bargap=0.62)
    return styled(figure, title=title, height=bars + 100 + (CURVE if curve else 0)).update_layout(margin_l=330)


def _bars(figure: "Figure", frame: pl.DataFrame) -> None:
    weights = frame["weight"].to_list()
    places = list(range(frame.height))
    said = [plain(text) for text in frame["says"]]
    colours = [GOOD if weight > 0 else BAD for weight in weights]
    bars = {"type": "bar", "orientation": "h", "x": weights, "y": places, "marker": {"color": colours}}
    figure.add_trace({**bars, "customdata": said, "hovertemplate": "%{customdata}<extra></extra>"}, row=1, col=1)
    neither = [place for place, weight in zip(places, weights, strict=True) if weight == 0]
    dots = {"type": "scatter", "mode": "markers", "x": [0] * len(neither), "y": neither, "hoverinfo": "skip"}
    figure.add_trace({**dots, "marker": {"color": MUTED, "size": 9, "symbol": "diamond"}}, row=1, col=1)
    for place, text in zip(places, frame["says"], strict=True):
        cut = (text if len(text) <= LONGEST else text[: LONGEST - 1] + "…").replace("\n", " ")
        shown = "<br>".join(plain(line) for line in wrap(cut, LINE))
        figure.add_annotation(
            x=-0.01, y=place, xref="x domain", yref="y", xanchor="right", yanchor="middle", text=shown,
            showarrow=False, align="right", font={"size": 12, "color": INK},
        )  # fmt: skip
    figure.update_yaxes(
        range=[frame.height - 0.5, -0.5], showticklabels=False, showgrid=False, zeroline=False, row=1, col=1
    )
    ticks = {"tickvals": [-1, -0.5, 0, 0.5, 1], "ticktext": ["-1 stops it", "-0.5", "0", "0.5 decides", "1"]}
    figure.update_xaxes(range=[-1.08, 1.08], title="against, and for", zerolinecolor=MUTED, **ticks, row=1, col=1)


def _curve(figure: "Figure", curve: "LearningCurve", now: int, then: int) -> None:
    sizes = [run.rows for run in curve.runs]
    n = np.geomspace(min(sizes), 1.3 * max(*sizes, then), 80)
    errors = [curve.error(float(each)) for each in n]
    around = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_trace({**around, "x": n, "y": [e.high for e in errors]}, row=2, col=1)
    low = {**around, "x": n, "y": [e.low for e in errors], "fill": "tonexty", "fillcolor": BAND}
    figure.add_trace(low, row=2, col=1)
    line = {"type": "scatter", "mode": "lines", "x": n, "y": [e.value for e in errors], "line": {"color": GOOD}}
    figure.add_trace({**line, "hovertemplate": "%{x:,.0f} rows: error %{y:.1%}<extra></extra>"}, row=2, col=1)
    dots = {"type": "scatter", "mode": "markers", "x": sizes, "y": [run.error for run in curve.runs]}
    look = {"marker": {"color": INK, "size": 8}, "hovertemplate": "a run: %{x:,} rows, error %{y:.1%}<extra></extra>"}
    figure.add_trace({**dots, **look}, row=2, col=1)
    for at, word, side in ((now, "learned", "right"), (then, "with the new rows", "left")):
        figure.add_vline(x=at, line={"color": INK, "width": 1.2, "dash": "dot"}, row=2, col=1)
        figure.add_annotation(
            x=at, y=1, xref="x2", yref="y2 domain", xanchor=side, yanchor="top", text=f"{word} ", showarrow=False,
            font={"size": 12, "color": INK},
        )  # fmt: skip
    figure.update_xaxes(title="rows learned", rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title="error on the suite", tickformat=".0%", rangemode="tozero", automargin=True, row=2, col=1)
