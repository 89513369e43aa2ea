"""Cohen's kappa: how far two annotators agree beyond chance, plain or weighed, with its interval."""

from math import nan, sqrt
from typing import Literal, NamedTuple

import numpy as np

from clworkbench.statistics.agreement import SPARSE, Floats, sparse_interval
from clworkbench.statistics.intervals import quantile

Weights = Literal["none", "linear", "quadratic"]


class Kappa(NamedTuple):
    """Cohen's kappa with its 95 % interval, over the `n` units that both answered; nan and None where undefined."""

    kappa: float
    low: float | None
    high: float | None
    n: int


def kappa(a: Floats, b: Floats, *, weights: Weights = "none") -> Kappa:
    """Agreement of two annotators over the units that both answered.

    Args:
        a: one value for each unit, nan where nothing was said: codes, or numbers where differences are weighed.
        b: the other's, in the same order.
        weights: whether every difference is the same (`none`), or counts by its size (`linear`) or its square.

    Returns:
        Kappa; undefined without common units, or where both always said one and the same. The interval is normal, at
        the large-sample standard error; where they never differ its lower end is that of `sparse_interval`.

    Source: Cohen 1960, Educational and Psychological Measurement 20:37-46, and 1968, Psychological Bulletin 70:213-220;
    the standard error of Fleiss, Cohen and Everitt 1969, Psychological Bulletin 72:323-327.
    """
    both = ~(np.isnan(a) | np.isnan(b))
    n = int(both.sum())
    scale, places = np.unique(np.concatenate([a[both], b[both]]), return_inverse=True)
    if len(scale) < 2:
        return Kappa(nan, None, None, n)
    k = len(scale)
    shares = np.bincount(places[:n] * k + places[n:], minlength=k * k).reshape(k, k) / n
    agree = _agreement(scale, weights)
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    seen, chance = float((agree * shares).sum()), float(rows @ agree @ columns)
    found = (seen - chance) / (1 - chance)
    mean = (agree @ columns)[:, np.newaxis] + (rows @ agree)[np.newaxis]
    spread = (shares * (agree * (1 - chance) - mean * (1 - seen)) ** 2).sum()
    variance = (spread - (seen * chance - 2 * chance + seen) ** 2) / (n * (1 - chance) ** 4)
    half = quantile(0.95) * sqrt(max(0.0, float(variance)))
    low, high = max(-1.0, found - half), min(1.0, found + half)
    differing = int((a[both] != b[both]).sum())
    if differing < SPARSE:
        sparse = sparse_interval(found, differing, n, 1 - float(rows @ columns))
        low, high = min(low, sparse.low), max(high, sparse.high)
    return Kappa(found, low, high, n)


def _agreement(scale: Floats, weights: Weights) -> Floats:
    """How much two values count as agreed, 0 to 1."""
    if weights == "none":
        return np.eye(len(scale))
    apart = np.abs(np.subtract.outer(scale, scale)) / (scale[-1] - scale[0])
    return np.asarray(1 - (apart if weights == "linear" else apart**2))
