"""Slices as figures: rates side by side, rates of several slices over time, and found slices beside the rest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import BAD, GOOD, INK, MUTED, plain, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ENOUGH = 20
"""Settled signals below which a dot over time is drawn pale."""

SHOWN = 40
"""Slices that a figure has room for."""

LINES = (("#0072b2", "circle"), ("#d55e00", "diamond"), ("#009e73", "square"), ("#cc79a7", "triangle-up"),
         ("#7b8794", "x"), ("#e69f00", "cross"))  # fmt: skip
"""Colours that colour-blind readers tell apart, each with a shape of its own. Source: Okabe and Ito 2008."""


def rates_figure(frame: pl.DataFrame, *, title: str) -> "Figure":
    """Each slice's rate as a dot with its interval, its n beside it; slices without a rate are named without a dot.

    Args:
        frame: `name`, `n`, `rate`, `low`, `high` (0 to 1), a row for each slice, the first on top; 40 are drawn.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    shown = frame.head(SHOWN)
    names = _short(shown["name"].to_list())
    figure = Figure()
    _dots(figure, shown.with_columns(place=pl.int_range(pl.len())), GOOD, "circle", "rate", form=".0%")
    counts = [f"n = {n:,}" if n else "not enough data" for n in shown["n"]]
    _beside(figure, counts)
    left = frame.height - shown.height
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", title="good", zeroline=False)
    return _on_rows(figure, names, f"{title} ({left:,} more slices not drawn)" if left > 0 else title)


def series_figure(frame: pl.DataFrame, period: str, *, title: str) -> "Figure":
    """The rates of the (six) largest slices over time, told apart by colour and by shape.

    Args:
        frame: `period` (moments), `name`, `n`, `rate`, `low`, `high` (0 to 1).
        period: what stands on the axis below.
        title: what is drawn.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    sizes = frame.group_by("name").agg(pl.col("n").sum()).sort(["n", "name"], descending=[True, False])
    for name, (colour, symbol) in zip(sizes["name"], LINES, strict=False):
        part = frame.filter(pl.col("name") == name, pl.col("n") > 0).sort(period)
        figure.add_scatter(
            x=part[period].to_list(),
            y=part["rate"].to_list(),
            name=_short([name])[0],
            mode="markers",
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 8,
                "opacity": [1.0 if n >= ENOUGH else 0.35 for n in part["n"]],
            },
            error_y={**_reach(part, "rate", colour), "thickness": 0.8, "width": 0},
            customdata=part.select("n", "low", "high").rows(),
            hovertemplate="%{x}<br>%{y:.0%} [%{customdata[1]:.0%}, %{customdata[2]:.0%}], n = %{customdata[0]:,}",
        )
    left = sizes.height - len(LINES)
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%", title="good", zeroline=False)
    years = frame[period].drop_nulls().dt.year().n_unique() > 1
    figure.update_xaxes(showgrid=False, tickformat="%b %Y" if years else None)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.18, "yanchor": "top", "x": 0})
    return styled(figure, title=f"{title} ({left:,} smaller slices not drawn)" if left > 0 else title, height=460)


def found_figure(frame: pl.DataFrame, *, title: str, axis: str, share: bool) -> "Figure":
    """Each found slice's mean with its interval beside the mean of all other signals.

    Args:
        frame: `name`, `n`, `mean`, `low`, `high`, `rest` (the others' mean), the worst slice first; 40 are drawn.
        title: what is drawn.
        axis: what the numbers are.
        share: whether they are shares (0 to 1), and shown as percent.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    form = ".0%" if share else ",.4~r"
    shown = frame.head(SHOWN).with_columns(place=pl.int_range(pl.len()))
    _dots(figure, shown, BAD, "circle", "mean", form=form, name="in the slice")
    rest = {"symbol": "diamond-open", "size": 10, "color": MUTED, "line": {"width": 2}}
    figure.add_scatter(
        x=shown["rest"].to_list(), y=shown["place"].to_list(), mode="markers", name="all others", marker=rest,
        hovertemplate="all others: %{x:" + form + "}<extra></extra>",
    )  # fmt: skip
    _beside(figure, [f"n = {n:,}" for n in shown["n"]])
    figure.update_xaxes(tickformat=form, title=axis, zeroline=False)
    drawn = _on_rows(figure, _short(shown["name"].to_list()), title)
    legend = {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}
    return drawn.update_layout(showlegend=True, legend=legend, margin_t=90)


def _dots(
    figure: "Figure", shown: pl.DataFrame, colour: str, symbol: str, value: str, *, form: str, name: str = ""
) -> None:
    known = shown.drop_nulls(value)
    said = f"{{customdata[1]:{form}}}, %{{customdata[2]:{form}}}], n = %{{customdata[0]:,}}<extra></extra>"
    figure.add_scatter(
        x=known[value].to_list(),
        y=known["place"].to_list(),
        name=name,
        mode="markers",
        marker={"size": 10, "color": colour, "symbol": symbol},
        error_x=_reach(known, value, colour),
        customdata=known.select("n", "low", "high").rows(),
        hovertemplate=f"%{{x:{form}}} [%{said}",
    )


def _reach(part: pl.DataFrame, value: str, colour: str) -> dict[str, object]:
    above, below = (part["high"] - part[value]).to_list(), (part[value] - part["low"]).to_list()
    return {"type": "data", "array": above, "arrayminus": below, "thickness": 1.3, "width": 4, "color": colour}


def _beside(figure: "Figure", texts: Sequence[str]) -> None:
    for place, text in enumerate(texts):
        note = {"text": text, "font": {"size": 11, "color": MUTED}, "showarrow": False}
        figure.add_annotation(x=1.01, xref="paper", xanchor="left", y=place, **note)


def _on_rows(figure: "Figure", names: Sequence[str], title: str) -> "Figure":
    places = {"tickvals": list(range(len(names))), "ticktext": list(names), "tickfont": {"color": INK}}
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], automargin=True, zeroline=False, **places)
    figure.update_layout(showlegend=False)
    return styled(figure, title=title, height=150 + 30 * max(1, len(names))).update_layout(margin_r=120)


def _short(names: Sequence[str]) -> list[str]:
    return [plain(name if len(name) <= 60 else name[:59] + "…") for name in names]
