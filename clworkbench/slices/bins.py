"""Bins of numbers: edges at rounded quantiles, the bin of each value, and a bin in words."""

from collections.abc import Sequence
from itertools import pairwise
from math import floor, log10

import polars as pl

DIGITS = 3
"""Significant digits of an edge: a bin that a reader can remember, at hardly another place."""


def edges(values: pl.Series, shares: Sequence[float]) -> list[float]:
    """Where bins of numbers begin, beside the first: quantiles rounded to three digits, each once, ascending.

    Args:
        values: numbers; null and what is not finite does not count.
        shares: of the values below each edge (0 to 1).

    Returns:
        Whole numbers where `values` are; each edge has values on both sides.
    """
    whole = values.dtype.is_integer()
    known = values.drop_nulls() if whole else values.filter(values.is_finite())
    if known.is_empty():
        return []
    at = [known.quantile(share, interpolation="nearest") for share in shares]
    rounded = {_rounded_whole(int(edge)) if whole else _rounded(float(edge)) for edge in at if edge is not None}
    low, high = known.min(), known.max()
    return sorted(edge for edge in rounded if low < edge <= high)  # type: ignore[operator]


def bin_of(value: pl.Expr, at: Sequence[float]) -> pl.Expr:
    """The number of a value's bin: how many of the edges (at least one) it reaches; null where it is null."""
    return pl.sum_horizontal([(value >= edge).cast(pl.UInt8) for edge in at], ignore_nulls=False)


def bin_words(at: Sequence[float]) -> list[str]:
    """Each bin in words: `below 120`, `120 to 449`, `450 and above`; of fractions `0.5 to below 0.8`."""
    between = [_between(low, high) for low, high in pairwise(at)]
    return [f"below {number(at[0])}", *between, f"{number(at[-1])} and above"]


def number(value: float) -> str:
    """A number as a reader says it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _between(low: float, high: float) -> str:
    if not isinstance(high, int):
        return f"{number(low)} to below {number(high)}"
    return number(low) if high - low == 1 else f"{number(low)} to {number(high - 1)}"


def _rounded(value: float) -> float:
    if value == 0:
        return 0.0
    return float(f"{value:.{DIGITS - 1}e}")


def _rounded_whole(value: int) -> int:
    if value == 0:
        return 0
    unit = 10 ** max(0, floor(log10(abs(value))) - DIGITS + 1)
    return round(value / unit) * unit if unit > 1 else value
