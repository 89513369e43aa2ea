"""Wins and losses as HTML: a line for each example, its texts a click away."""

from html import escape
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import AS_TYPED
from clworkbench.releases.report import APART, COLOURS, chip, number

if TYPE_CHECKING:
    from clworkbench.releases.side_by_side import SideBySide

SHOWN = 20
"""Examples of each outcome that are shown; all are in the frame."""
LONGEST = 2_000
"""Characters of a text that are shown."""

SIGNS = {"win": "▲ win", "loss": "▼ loss", "tie": "= tie"}
CHIPS = {"win": COLOURS["met"], "loss": COLOURS["violated"], "tie": COLOURS["unmeasured"]}

TEXTS = {"input": "asked", "expected": "expected", "champion_output": "champion", "challenger_output": "challenger"}
_QUOTED = (
    "white-space:pre-wrap;overflow-wrap:anywhere;margin:2px 0 8px;padding:6px 8px;border-radius:4px;"
    "background:rgba(127,127,127,0.13);font-size:0.92em"
)


def head_html(pairs: "SideBySide") -> str:
    """Who is compared with whom by what, and how it came out."""
    won = pairs.counts()
    told = f"{won['win']:,} wins, {won['loss']:,} losses, {won['tie']:,} ties"
    return (
        f"<p style='{APART}'><b>{escape(pairs.challenger)}</b> against <b>{escape(pairs.champion)}</b> by "
        f"{escape(pairs.scorer)}: <b>{told}</b> of {pairs.frame.height:,} examples that both answered.</p>"
    )


def examples_html(frame: pl.DataFrame, rest_in: str = "") -> str:
    """Losses, then wins, the largest first, each with its texts folded; ties only where there is nothing else.

    `rest_in` says where those are that are not shown.
    """
    groups = [frame.filter(outcome=name) for name in ("loss", "win")]
    if not any(group.height for group in groups):
        groups = [frame]
    return "".join(_group(group, rest_in) for group in groups if group.height)


def _group(frame: pl.DataFrame, rest_in: str) -> str:
    more = frame.height - SHOWN
    rest = f"<p style='{APART}'><small>… and {more:,} more{rest_in}</small></p>" if more > 0 else ""
    return "".join(_example(row) for row in frame.head(SHOWN).iter_rows(named=True)) + rest


def _example(row: dict[str, object]) -> str:
    slices = row["slices"]
    where = ", ".join(map(str, slices)) if isinstance(slices, list) else ""
    outcome = str(row["outcome"])
    line = (
        f"{chip(SIGNS[outcome], CHIPS[outcome])} {number(row['champion'])} → {number(row['challenger'])} "
        f"<b>{escape(str(row['example_id']))}</b> <small>{escape(where)}</small>"
    )
    texts = {title: row[name] for name, title in TEXTS.items() if row[name] is not None}
    if not texts:
        return f"<div style='margin:3px 0'>{line}</div>"
    told = "".join(f"<small>{title}</small>{_quoted(str(text))}" for title, text in texts.items())
    return (
        f"<details {AS_TYPED} style='margin:3px 0'><summary style='cursor:pointer'>{line}</summary>"
        f"<div style='margin:4px 0 10px 18px'>{told}</div></details>"
    )


def _quoted(text: str) -> str:
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST:,} characters more)"
    return f"<pre style='{_QUOTED}'>{escape(shown)}</pre>"
