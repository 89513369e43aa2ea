"""Two parts of the data held against each other: is the mean higher inside than outside, and by how much?"""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.statistics.intervals import Interval, wilson

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Numbers = NDArray[np.intp]


class Contrast(NamedTuple):
    """What is known of a difference.

    Attributes:
        n: rows inside.
        mean: theirs; `low` and `high` its 95 % interval.
        rest: the mean of the rows outside.
        difference: inside minus outside, `difference_low` and `difference_high` its 95 % interval.
        p: one-sided, of a mean that is not higher inside.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    rest: float
    difference: float
    difference_low: float | None
    difference_high: float | None
    p: float


def contrast(values: Floats, inside: Booleans, clusters: Numbers | None = None) -> Contrast:
    """Hold the rows inside against those outside.

    Of Booleans, p is Fisher's exact one and the interval Newcombe's; of other numbers, p is that of a score test with
    residuals, t distributed, and the interval Welch's. Rows of one cluster may depend on each other: then both rest on
    the sums over clusters (Liang and Zeger), and p is never below the exact one.

    Args:
        values: numbers without nulls; 0 and 1 for Booleans. Rows on both sides of `inside`.
        inside: which rows.
        clusters: the number (from 0) of the cluster that each row belongs to; None where each row is its own.

    Source: Fisher 1935; Newcombe 1998, Statistics in Medicine 17:873-890, method 10; Liang and Zeger 1986, Biometrika
    73:13-22.
    """
    n, n_rest = int(inside.sum()), int((~inside).sum())
    mean, rest = float(values[inside].mean()), float(values[~inside].mean())
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    if clusters is not None and int(clusters.max()) + 1 == len(clusters):
        clusters = None
    spread, spread_rest = _spread(values, inside, mean, clusters), _spread(values, ~inside, rest, clusters)
    independent = _independent(inside, clusters)
    p = _exact(values, inside) if binary else 0.0
    if clusters is not None or not binary:
        p = max(p, _robust(values, inside, clusters, independent))
    if binary:
        own = wilson(*_effective(mean, n, spread))
        other = wilson(*_effective(rest, n_rest, spread_rest))
        apart = _newcombe(mean, own, rest, other)
    else:
        own = _reach(mean, spread, independent)
        apart = _reach(mean - rest, spread + spread_rest, independent)
    return Contrast(n, mean, *own, rest, mean - rest, *apart, p)


def clustered(values: Floats, clusters: Numbers) -> Interval:
    """Wilson's 95 % interval for the share of ones, as wide as what rows of one cluster have in common makes it.

    Args:
        values: 0 or 1, one row at least.
        clusters: the number (from 0) of the cluster that each row belongs to.

    Source: the effective number of rows, as in `contrast`: Liang and Zeger 1986, Biometrika 73:13-22.
    """
    mean = float(values.mean())
    return wilson(*_effective(mean, len(values), _spread(values, np.ones(len(values), dtype=bool), mean, clusters)))


def _spread(values: Floats, inside: Booleans, mean: float, clusters: Numbers | None) -> float:
    """The variance of the mean of the rows inside."""
    n, residuals = int(inside.sum()), values[inside] - mean
    if clusters is not None:
        residuals = _sums(residuals, clusters[inside])
    return float((residuals**2).sum()) / n**2


def _sums(values: Floats, clusters: Numbers) -> Floats:
    return np.asarray(np.bincount(clusters, weights=values), dtype=np.float64)


def _independent(inside: Booleans, clusters: Numbers | None) -> int:
    """How many clusters (or rows) have rows inside."""
    return int(inside.sum()) if clusters is None else int((np.bincount(clusters[inside]) > 0).sum())


def _effective(mean: float, n: int, spread: float) -> tuple[float, float]:
    """Successes and rows that would tell as much, were each independent; never more than there are."""
    alone = mean * (1 - mean) / n
    size = n * min(1.0, alone / spread) if spread > 0 and alone > 0 else float(n)
    return mean * size, size


def _newcombe(mean: float, own: Interval, rest: float, other: Interval) -> Interval:
    assert own.low is not None
    assert own.high is not None
    assert other.low is not None
    assert other.high is not None
    below = sqrt((mean - own.low) ** 2 + (other.high - rest) ** 2)
    above = sqrt((own.high - mean) ** 2 + (rest - other.low) ** 2)
    return Interval(mean - rest - below, mean - rest + above)


def _reach(centre: float, spread: float, independent: int) -> Interval:
    """Student's interval; None and None where a single cluster tells nothing of the spread."""
    from scipy.special import stdtrit

    if independent < 2:
        return Interval(None, None)
    half = float(stdtrit(independent - 1, 0.975)) * sqrt(spread)
    return Interval(centre - half, centre + half)


def _exact(values: Floats, inside: Booleans) -> float:
    """The hypergeometric chance of as many ones inside, or more."""
    from scipy.special import gammaln

    n_all, ones, n = len(values), int(values.sum()), int(inside.sum())
    hits = np.arange(int(values[inside].sum()), min(ones, n) + 1)

    def ways(of: int, taken: NDArray[np.int_] | int) -> Floats:
        return np.asarray(gammaln(of + 1) - gammaln(np.add(taken, 1)) - gammaln(np.subtract(of + 1, taken)))

    terms = ways(ones, hits) + ways(n_all - ones, n - hits) - ways(n_all, n)
    terms = terms[n - hits <= n_all - ones]
    return min(1.0, float(np.exp(terms).sum()))


def _robust(values: Floats, inside: Booleans, clusters: Numbers | None, independent: int) -> float:
    """The score test: the variance of the difference as it would be were there none."""
    from scipy.special import stdtr

    parts = (values - values.mean()) * (inside - inside.mean())
    if clusters is not None:
        parts = _sums(parts, clusters)
    spread = float((parts**2).sum())
    if spread <= 0 or independent < 2:
        return 1.0
    return float(stdtr(independent - 1, -float(parts.sum()) / sqrt(spread)))
