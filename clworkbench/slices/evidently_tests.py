"""Evidently's tests of two samples, and where we do not take its word: the only file that knows Evidently."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.errors import ClwError


class Tested(NamedTuple):
    """What a test says of two windows.

    Attributes:
        score: how far they are apart, in the test's own unit.
        p: the chance of a difference as large without drift.
    """

    score: float
    p: float


def numeric(before: NDArray[np.float64], now: NDArray[np.float64]) -> Tested:
    """Kolmogorov and Smirnov's p, and the Wasserstein distance in standard deviations of the window before.

    The distance is taken between the 1st and the 99th percentile of both, so that a few outliers neither make nor hide
    a drift.

    Raises:
        ClwError: Evidently is not installed.
    """
    low, high = np.quantile(np.concatenate([before, now]), [0.01, 0.99])
    clipped = before.clip(low, high), now.clip(low, high)
    return Tested(_evidently("wasserstein", "num", *clipped), _evidently("ks", "num", before, now))


def categorical(before: NDArray[np.int64], now: NDArray[np.int64]) -> Tested:
    """The chi-square test of two samples, and the Jensen-Shannon distance (natural logarithm, 0 to 0.83).

    Evidently's own chi-square test takes the window before for the truth, not for a sample: of two equally large
    windows of ten values without drift it finds nearly half drifted. The p is therefore of the contingency table.

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
    p = float(chi2_contingency(counts, correction=False).pvalue)
    # Of equal shares, rounding may leave the root of a number just below 0.
    with np.errstate(invalid="ignore"):
        distance = _evidently("jensenshannon", "cat", before, now)
    return Tested(0.0 if np.isnan(distance) else distance, p)


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
