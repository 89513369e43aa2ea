"""Evidently's tests of two samples, and where we do not take its word: the only file that knows Evidently."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.errors import ClwError

EXPECTED = 5
"""A table whose cells are all expected to hold so many has chi-square's own p. Source: Cochran 1954, Biometrics 10."""

SHUFFLES, SEED = 9_999, 2026


class Tested(NamedTuple):
    """What a test says of two windows.

    Attributes:
        score: how far they are apart, in the test's own unit.
        p: the chance of a difference as large without drift.
    """

    score: float
    p: float


def numeric(before: NDArray[np.float64], now: NDArray[np.float64], *, at_least: float = 0) -> Tested:
    """Kolmogorov and Smirnov's p, and the Wasserstein distance in standard deviations of the window before.

    The distance is taken between the 1st and the 99th percentile of both, so that a few outliers neither make nor hide
    a drift. Evidently takes no standard deviation below 0.001 for one, which hides a price that doubles: it gets
    numbers whose standard deviation before is 1.

    Args:
        before: numbers.
        now: likewise.
        at_least: what the standard deviation counts for at least, in the numbers' own unit.

    Raises:
        ClwError: Evidently is not installed.
    """
    low, high = np.quantile(np.concatenate([before, now]), [0.01, 0.99])
    clipped = before.clip(low, high), now.clip(low, high)
    spread = float(clipped[0].std() or np.concatenate(clipped).std()) or 1.0
    scaled = [(side - low) / spread for side in clipped]
    score = _evidently("wasserstein", "num", *scaled)
    own = spread * max(float(scaled[0].std()), 0.001)
    return Tested(score * min(1.0, own / at_least) if at_least else score, _evidently("ks", "num", before, now))


def categorical(before: NDArray[np.int64], now: NDArray[np.int64]) -> Tested:
    """The chi-square test of two samples, and the Jensen-Shannon distance (natural logarithm, 0 to 0.83).

    Evidently's own chi-square test takes the window before for the truth, not for a sample: of two equally large
    windows of ten values without drift it finds nearly half drifted. The p is therefore of the contingency table; where
    some cell is expected to hold fewer than 5, of 9,999 tables with the same sums, or a value that one of a few signals
    has would be a drift.

    Args:
        before: the number of each row's value.
        now: likewise; both windows have at least two different values between them.

    Raises:
        ClwError: Evidently is not installed.
    """
    from scipy.stats import chi2_contingency

    values, places = np.unique(np.concatenate([before, now]), return_inverse=True)
    window = np.repeat([0, 1], [len(before), len(now)])
    counts = np.bincount(places + window * len(values), minlength=2 * len(values)).reshape(2, -1)
    tested = chi2_contingency(counts, correction=False)
    p = float(tested.pvalue) if tested.expected_freq.min() >= EXPECTED else _of_tables(counts)
    # Of equal shares, rounding may leave the root of a number just below 0.
    with np.errstate(invalid="ignore"):
        distance = _evidently("jensenshannon", "cat", before, now)
    return Tested(0.0 if np.isnan(distance) else distance, p)


def _of_tables(counts: NDArray[np.int64]) -> float:
    """The share of tables with the same sums, the one at hand among them, that are as far from what is expected.

    Source: Pearson's statistic, conditional on the sums; Phipson and Smyth 2010 (the p).
    """
    values, (n_before, n_now) = counts.sum(axis=0), counts.sum(axis=1)
    drawn = np.random.default_rng(SEED).multivariate_hypergeometric(values, n_now, SHUFFLES, method="marginals")
    # Of two windows with given sums, the statistic grows with the squares of the one, each by its value's count.
    at_hand, others = (
        ((side - values * n_now / (n_before + n_now)) ** 2 / values).sum(-1) for side in (counts[1], drawn)
    )
    return float((1 + (others >= at_hand * (1 - 1e-9)).sum()) / (SHUFFLES + 1))


def _evidently(
    test: str, kind: str, before: NDArray[np.float64] | NDArray[np.int64], now: NDArray[np.float64] | NDArray[np.int64]
) -> float:
    try:
        with warnings.catch_warnings():
            # It imports names that numpy and litestar are about to drop.
            warnings.simplefilter("ignore")
            from evidently.legacy.calculations.stattests import get_stattest
            from pandas import Series
    except ImportError as error:
        raise ClwError(
            f"drift needs {error.name}, which is not installed.\nInstall it: pip install 'clworkbench[drift]'."
        ) from error
    reference, current = Series(before), Series(now)
    found = get_stattest(reference, current, kind, test)
    return float(found(reference, current, kind, None).drift_score)
