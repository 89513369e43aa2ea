"""Small tables as HTML for a notebook's cell: every text escaped, numbers to the right."""

from collections.abc import Iterable, Sequence
from html import escape

CELL = "padding:3px 10px;white-space:nowrap;text-align:"
SAID = "padding:3px 10px;text-align:left"
WRAPPED = "padding:3px 10px;min-width:12em;text-align:left"
AS_TYPED = "class='mathjax_ignore tex2jax_ignore'"
"""JupyterLab would set what stands between two dollar signs as a formula."""
LONG = 36
"""Characters beyond which a text may take more than one line."""


def html_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """A table; a column of numbers or shares stands to the right, a long text wraps, and null is a dash."""
    cells = [list(row) for row in rows]
    right = [any(_is_number(row[i]) for row in cells) for i in range(len(headings))]
    long = [any(_is_long(row[i]) for row in cells) for i in range(len(headings))]
    align = [WRAPPED if wide else CELL + ("right" if side else "left") for side, wide in zip(right, long, strict=True)]
    head = "".join(f"<th style='{a}'>{escape(title)}</th>" for title, a in zip(headings, align, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td style='{a}'>{cell(value)}</td>" for value, a in zip(row, align, strict=True)) + "</tr>"
        for row in cells
    )
    said = f"<caption style='{SAID}'>{escape(caption)}</caption>" if caption else ""
    return (
        f"<div {AS_TYPED} style='overflow-x:auto'><table style='border-collapse:collapse;margin:0'>{said}"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def cell(value: object) -> str:
    """A value as a cell shows it: three digits for what is no whole number, thousands apart, text escaped."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else escape(str(value))


def _is_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > LONG


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value.endswith("%") and value[0].isdigit())


def percent(value: float | None) -> str:
    """A share (0 to 1) as a reader says it."""
    return "–" if value is None else f"{value:.0%}"
