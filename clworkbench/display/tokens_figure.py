"""How long the rows of a training set are: a histogram, and the limit in it."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, INK, MUTED, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BINS = 40


def tokens_figure(lengths: pl.Series, limit: int, *, title: str) -> "Figure":
    """How many rows have how many tokens; what is longer than the limit stands right of the line.

    Args:
        lengths: tokens of each row.
        limit: where rows are cut.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    longest = max(int(str(lengths.max() or 0)), limit, 1)
    width = -(-longest // BINS)
    # Bins end at the limit, so that none is cut through.
    bins = ((lengths - limit - 1) // width).alias("bin").value_counts(name="n").sort("bin")
    starts = (bins["bin"] * width + limit + 1).to_list()
    figure = Figure()
    figure.add_bar(
        x=[start + width / 2 for start in starts],
        y=bins["n"].to_list(),
        width=width * 0.94,
        marker_color=[BAD if start > limit else MUTED for start in starts],
        customdata=[(max(start, 0), start + width - 1) for start in starts],
        hovertemplate="%{customdata[0]:,} to %{customdata[1]:,} tokens: %{y:,} rows<extra></extra>",
    )
    figure.add_vline(x=limit, line={"color": INK, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        x=limit, y=1, yref="paper", yanchor="bottom", text=f"max_tokens {limit:,}", showarrow=False, font={"size": 12}
    )
    figure.update_xaxes(title="tokens of a row", range=[0, (longest + width) * 1.02], showgrid=False)
    figure.update_yaxes(title="rows", rangemode="tozero")
    return styled(figure, title=title).update_layout(margin_t=90, showlegend=False)
