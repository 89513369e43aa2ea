"""The explorer's still picture: what stays in a saved notebook, where no widget is alive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

import polars as pl

from clworkbench.display.html import AS_TYPED, html_table, percent
from clworkbench.display.text import short

TITLES = {"started_at": "began (UTC)", "n_feedback": "feedback", "feedback_names": "said of it"}


class Code(str):
    """Python that a notebook's cell shows as it stands, line by line."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return f"<pre {AS_TYPED}>{escape(self)}</pre>"


@dataclass(frozen=True, eq=False)
class Picture:
    """What an explorer shows just now.

    Attributes:
        said: how many of how many signals.
        code: the line that gives them again.
        bars: `n`, `pending`, `rate`, `low`, `high` by the column that stands first; empty where there are none.
        rows: some signals, one row each.
    """

    said: str
    code: str
    bars: pl.DataFrame
    rows: pl.DataFrame


def still(picture: Picture, *, css_class: str = "") -> str:
    """The picture as HTML, every text escaped."""
    parts = [f"<p><b>{escape(picture.said)}</b></p><pre {AS_TYPED}>{escape(picture.code)}</pre>"]
    if picture.bars.height:
        parts.append(html_table(*_rates(picture.bars)))
    if picture.rows.height:
        cells = [[_shown(name, value) for name, value in row.items()] for row in picture.rows.iter_rows(named=True)]
        titles = [TITLES.get(name, name) for name in picture.rows.columns]
        parts.append(html_table(titles, cells, caption="Newest first"))
    return f"<div class='{escape(css_class)}'>{''.join(parts)}</div>"


def _rates(bars: pl.DataFrame) -> tuple[Sequence[str], list[list[object]]]:
    name = bars.columns[0]
    rows: list[list[object]] = [
        [
            "no value" if row[name] is None else short(row[name]),
            row["n"] + row["pending"],
            row["n"],
            percent(row["rate"]) if row["n"] else "not enough data",
            f"{percent(row['low'])} to {percent(row['high'])}" if row["n"] else "",
        ]
        for row in bars.iter_rows(named=True)
    ]
    return (name, "signals", "settled", "good", "95 %"), rows


def _shown(name: str, value: object) -> object:
    if name == "outcome":
        return "pending" if value is None else "good" if value else "bad"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return short(", ".join(map(str, value)))
    return value if value is None or isinstance(value, int | float) else short(value)
