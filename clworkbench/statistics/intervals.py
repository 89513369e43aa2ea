"""Wilson's interval for a rate, for numbers and for polars expressions."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import polars as pl


class Interval(NamedTuple):
    """The values that the data do not speak against; None where nothing bounds them."""

    low: float | None
    high: float | None


def wilson(successes: float, n: float, *, level: float = 0.95) -> Interval:
    """Two-sided interval for a rate (0 to 1); unbounded, that is None and None, where `n` is 0.

    Source: Wilson 1927, as in Brown, Cai and DasGupta 2001, eq. (4).
    """
    if n <= 0:
        return Interval(None, None)
    z, p = quantile(level), successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


class Bounds(NamedTuple):
    """Two expressions: the interval's ends."""

    low: pl.Expr
    high: pl.Expr


def wilson_bounds(rate: pl.Expr, n: pl.Expr, *, level: float = 0.95) -> Bounds:
    """Wilson's interval as expressions over a frame with a rate (0 to 1) and its `n`; null where `n` is 0.

    Source: as `wilson`.
    """
    z = quantile(level)
    counted = pl.when(n > 0).then(n)
    centre = (rate + z**2 / (2 * counted)) / (1 + z**2 / counted)
    spread = (rate * (1 - rate) / counted + z**2 / (4 * counted**2)).sqrt()
    half = z * spread / (1 + z**2 / counted)
    return Bounds((centre - half).clip(0.0, 1.0), (centre + half).clip(0.0, 1.0))


def quantile(level: float) -> float:
    """How many standard errors a two-sided normal interval of this level reaches to each side."""
    return NormalDist().inv_cdf((1 + level) / 2)
