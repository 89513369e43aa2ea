"""The forest plot of gates, or of slices: differences with their intervals."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import plain, styled
from clworkbench.releases.report import COLOURS, in_words, interval

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

UNITS = {"cost_usd": "USD", "n_output_tokens": "tokens", "latency_ms": "ms"}
"""The metrics that cannot share an axis with scores and rates."""

SYMBOLS = {"met": "circle", "violated": "square", "open": "circle-open", "unmeasured": "x"}
"""A shape for each verdict, as colour alone does not tell them apart for everybody."""

BETWEEN = 90
"""Pixels between two panels: room for the axis above."""


def forest(gates: pl.DataFrame, *, title: str) -> "Figure":
    """Each gate's difference with its 90 % interval, the end of its margin (a tick), and a line at 0.

    Args:
        gates: rows as in `report.GATES`; those without a difference are left out.
        title: what is drawn.
    """
    from plotly.subplots import make_subplots

    drawn = gates.filter(pl.col("difference").is_not_null()).with_columns(
        unit=pl.col("metric").replace_strict(UNITS, default="score or rate", return_dtype=pl.String)
    )
    panels = drawn.partition_by("unit", maintain_order=True)
    rows = max(1, len(panels))
    height = 120 + 36 * len(drawn) + BETWEEN * (rows - 1)
    figure = make_subplots(
        rows=rows, cols=1, row_heights=[len(p) for p in panels] or [1], vertical_spacing=BETWEEN / height
    )
    for at, panel in enumerate(panels, start=1):
        _draw(figure, panel, at)
    styled(figure, title=title, height=height).update_layout(showlegend=False)
    return figure


def _draw(figure: "Figure", panel: pl.DataFrame, at: int) -> None:
    from plotly import graph_objects as go

    gates = panel.to_dicts()
    names = [plain(gate["name"]) for gate in gates]
    figure.add_trace(
        go.Scatter(
            x=[gate["difference"] for gate in gates],
            y=names,
            mode="markers",
            marker={
                "size": 10,
                "color": [COLOURS[gate["verdict"]] for gate in gates],
                "symbol": [SYMBOLS[gate["verdict"]] for gate in gates],
                "line": {"width": 2, "color": [COLOURS[gate["verdict"]] for gate in gates]},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_reach(gate, "high") for gate in gates],
                "arrayminus": [_reach(gate, "low") for gate in gates],
                "color": "#57606a",
            },
            text=[plain(f"{in_words(gate)}; {interval(gate)}, n = {gate['n']}") for gate in gates],
            hovertemplate="%{y}<br>%{text}<extra></extra>",
        ),
        row=at,
        col=1,
    )
    asked = [gate for gate in gates if gate["asks"] == "not_worse"]
    figure.add_trace(
        go.Scatter(
            x=[_worst_allowed(gate) for gate in asked],
            y=[plain(gate["name"]) for gate in asked],
            mode="markers",
            marker={"symbol": "line-ns", "size": 18, "line": {"width": 2, "color": COLOURS["violated"]}},
            hovertemplate="margin of %{y}: %{x:.4g}<extra></extra>",
        ),
        row=at,
        col=1,
    )
    figure.add_vline(x=0, line_width=1, line_color="#57606a", row=at, col=1)
    figure.update_yaxes(autorange="reversed", automargin=True, row=at, col=1)
    figure.update_xaxes(title_text=f"challenger minus champion ({gates[0]['unit']})", row=at, col=1)


def _reach(gate: dict[str, float | None], end: str) -> float:
    difference, bound = gate["difference"], gate[end]
    return 0.0 if bound is None or difference is None else abs(bound - difference)


def _worst_allowed(gate: dict[str, object]) -> float:
    from clworkbench.releases.pairs import LOWER_IS_BETTER

    margin = gate["margin"]
    assert isinstance(margin, float)
    return margin if gate["metric"] in LOWER_IS_BETTER else -margin
