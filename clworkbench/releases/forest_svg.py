"""The forest plot as static SVG, for pages that run no script: differences with their intervals."""

from collections.abc import Sequence
from html import escape

from clworkbench.releases.report import COLOURS, in_words, interval

WIDTH, LABELS, ROW, EDGE = 860, 300, 30, 24
"""Pixels: of the whole, of the names at its left, of each row's height, of what is left free at the right."""
LONGEST = 42
"""Characters of a name that are drawn: its middle is left out, for names often differ at their ends."""
MOST = 40
"""Rows that are drawn."""

MARKS = {
    "met": "<circle cx='{x}' cy='{y}' r='5' fill='{colour}'/>",
    "violated": "<rect x='{left}' y='{top}' width='10' height='10' fill='{colour}'/>",
    "open": "<circle cx='{x}' cy='{y}' r='4.5' fill='none' stroke='{colour}' stroke-width='2.5'/>",
}
"""A shape for each verdict: a dot, a square, a ring; colour alone does not tell them apart for everybody."""


def forest_svg(rows: Sequence[dict[str, object]], *, title: str) -> str:
    """Differences of one unit as dots with their 90 % intervals, and a line at 0; nothing where there are none.

    Args:
        rows: of `report.GATES`, in the order in which they are drawn; those without a difference are left out.
        title: what a reader who sees no pictures is told.
    """
    drawn = [row for row in rows if isinstance(row["difference"], float)][:MOST]
    if not drawn:
        return ""
    ends = [value for row in drawn for name in ("low", "high", "difference") if isinstance(value := row[name], float)]
    lowest, highest = min(0.0, *ends), max(0.0, *ends)
    span = (highest - lowest) or 1.0
    scale = (WIDTH - LABELS - EDGE) / span
    at = [LABELS + (value - lowest) * scale for value in (0.0, lowest, highest)]
    height = ROW * len(drawn) + 34
    zero = f"<line x1='{at[0]:.1f}' x2='{at[0]:.1f}' y1='6' y2='{height - 24}' class='zero'/>"
    body = "".join(_row(row, number, lowest, scale, at) for number, row in enumerate(drawn))
    return (
        f"<svg role='img' viewBox='0 0 {WIDTH} {height}' width='100%' style='max-width:{WIDTH}px'>"
        f"<title>{escape(title)}</title>{zero}{body}{_axis(lowest, highest, scale, height)}</svg>"
    )


def _row(row: dict[str, object], number: int, lowest: float, scale: float, ends: Sequence[float]) -> str:
    y = ROW * number + 20
    middle, low, high = (
        LABELS + (value - lowest) * scale if isinstance(value, float) else end
        for value, end in zip((row["difference"], row["low"], row["high"]), ends, strict=True)
    )
    name = str(row["name"])
    half = LONGEST // 2
    shown = name if len(name) <= LONGEST else f"{name[: half - 1]}…{name[-half:]}"
    verdict = str(row["verdict"])
    mark = MARKS.get(verdict, MARKS["open"]).format(
        x=f"{middle:.1f}", y=y, left=f"{middle - 5:.1f}", top=y - 5, colour=COLOURS[verdict]
    )
    said = escape(f"{name}: {interval(row)}, n = {row['n']}; {in_words(row)}")
    return (
        f"<g><title>{said}</title><text x='{LABELS - 12}' y='{y + 4}' text-anchor='end'>{escape(shown)}</text>"
        f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{y}' y2='{y}' class='reach'/>{mark}</g>"
    )


def _axis(lowest: float, highest: float, scale: float, height: int) -> str:
    """The ends and 0, where they do not stand in each other's way."""
    marks = {round(lowest, 3): "start", 0.0: "middle", round(highest, 3): "end"}
    texts = ""
    for value, anchor in marks.items():
        x = LABELS + (value - lowest) * scale
        crowded = value != 0.0 and abs(x - (LABELS - lowest * scale)) < 48
        texts += (
            ""
            if crowded
            else f"<text x='{x:.1f}' y='{height - 6}' text-anchor='{anchor}' class='tick'>{value:+g}</text>"
        )
    return texts
