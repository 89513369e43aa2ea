"""Means over a population of which examples were drawn with known, unequal chances, whole conversations at a time."""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.statistics.intervals import Interval, quantile, wilson
from clworkbench.statistics.paired import tango_interval

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]


class Drawn(NamedTuple):
    """How examples were drawn.

    Attributes:
        inclusion: each one's probability of being drawn (above 0, to 1).
        clusters: the number (from 0) of the conversation that it was drawn with.
    """

    inclusion: Floats
    clusters: Numbers


class Weighted(NamedTuple):
    """A mean over the population.

    Attributes:
        mean: each example counted by the inverse of its chance.
        interval: None to both sides where a single cluster tells nothing of the spread.
        n: examples.
        n_effective: so many independent examples of equal chances would tell as much; at most n.
    """

    mean: float
    interval: Interval
    n: int
    n_effective: float


def weighted_mean(values: Floats, drawn: Drawn, *, level: float = 0.95) -> Weighted:
    """The mean score of the population.

    The interval is Wilson's with the effective number of examples where all scores are 0 to 1, else Student's. It
    speaks of traffic like that which was drawn from, not of that traffic alone: drawing all of it leaves it as wide.

    Args:
        values: scores, one at least.
        drawn: in the same order. Clusters of one chance are taken for one stratum.
        level: of the interval.

    Source: Hájek 1971 for the mean; Särndal, Swensson and Wretman 1992, section 5.7, for its linearised variance;
        Korn and Graubard 1998, Survey Methodology 24:193-201, for the effective number of examples.
    """
    mean, spread, freedom, alike = _linearised(values, drawn)
    if not _is_share(values):
        return Weighted(
            mean, _student(mean, spread, freedom, level), len(values), _effective(values, mean, spread, alike)
        )
    size = _size(mean * (1 - mean), spread, len(values), alike)
    counted = size * _correction(freedom, level)
    interval = Interval(None, None) if freedom < 1 else wilson(mean * counted, counted, level=level)
    return Weighted(mean, interval, len(values), size)


def weighted_difference(differences: Floats, drawn: Drawn, *, level: float = 0.90) -> Weighted:
    """The mean of paired differences over the population; arguments as for `weighted_mean`.

    The interval is Tango's with the effective number of pairs where all differences are -1 to 1 (wide where hardly any
    differ), else Student's.

    Source: as `weighted_mean`; Tango 1998, as in `paired.tango_z`.
    """
    mean, spread, freedom, alike = _linearised(differences, drawn)
    n = len(differences)
    if np.abs(differences).max() > 1:
        size = _effective(differences, mean, spread, alike)
        return Weighted(mean, _student(mean, spread, freedom, level), n, size)
    weights = 1 / drawn.inclusion
    won, lost = (float((weights * part.clip(min=0)).sum() / weights.sum()) for part in (differences, -differences))
    size = _size(won + lost - mean**2, spread, n, alike)
    counted = size * _correction(freedom, level)
    interval = Interval(None, None)
    if freedom >= 1:
        interval = tango_interval(won * counted, lost * counted, counted, level=level)
    return Weighted(mean, interval, n, size)


def _linearised(values: Floats, drawn: Drawn) -> tuple[float, float, int, float]:
    """The mean, its variance, its degrees of freedom, and how many equal clusters the weights amount to."""
    weights = 1 / drawn.inclusion
    total = float(weights.sum())
    mean = float((weights * values).sum()) / total
    _, clusters = np.unique(drawn.clusters, return_inverse=True)
    sums = np.bincount(clusters, weights=weights * (values - mean) / total)
    sizes = np.bincount(clusters, weights=weights)
    chance = np.zeros(len(sums))
    chance[clusters] = drawn.inclusion
    strata, stratum = np.unique(chance, return_inverse=True)
    n = np.bincount(stratum)
    centre = np.bincount(stratum, weights=sums) / n
    squares = np.bincount(stratum, weights=(sums - centre[stratum]) ** 2)
    # A stratum of one cluster has no spread of its own: all that it adds counts.
    alone = np.bincount(stratum, weights=sums**2)
    spread = float(np.where(n > 1, squares * n / np.maximum(n - 1, 1), alone).sum())
    return mean, spread, len(sums) - len(strata), float(sizes.sum() ** 2 / (sizes**2).sum())


def _is_share(values: Floats) -> bool:
    return bool(values.min() >= 0 and values.max() <= 1)


def _size(variance: float, spread: float, n: int, alike: float) -> float:
    """So many independent examples have the variance `spread`; where none is seen, so many as there are clusters."""
    if spread <= 1e-15 or variance <= 0:
        return min(alike, n)
    return min(variance / spread, float(n))


def _effective(values: Floats, mean: float, spread: float, alike: float) -> float:
    return _size(float(((values - mean) ** 2).mean()), spread, len(values), alike)


def _correction(freedom: int, level: float) -> float:
    """What a spread that is known from few clusters takes off the effective number."""
    from scipy.special import stdtrit

    return 1.0 if freedom < 1 else (quantile(level) / float(stdtrit(freedom, (1 + level) / 2))) ** 2


def _student(mean: float, spread: float, freedom: int, level: float) -> Interval:
    from scipy.special import stdtrit

    if freedom < 1:
        return Interval(None, None)
    half = float(stdtrit(freedom, (1 + level) / 2)) * sqrt(spread)
    return Interval(mean - half, mean + half)
