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


def exact_upper(events: int, n: int, *, level: float = 0.95) -> float:
    """One-sided upper bound of a rate (0 to 1) after `events` in `n`; 1 where `n` is 0.

    After none it is 1 - (1 - level)^(1/n), about 3/n at 95 %: the rule of three.

    Source: Clopper and Pearson 1934; Hanley and Lippman-Hand 1983 for the rule of three.
    """
    if n <= 0 or events >= n:
        return 1.0
    if events == 0:
        return float(1 - (1 - level) ** (1 / n))
    from scipy.special import betaincinv

    return float(betaincinv(events + 1, n - events, level))
