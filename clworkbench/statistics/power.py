"""Power of the paired tests: what n examples can show, and how many it takes to show it.

Binary scores: the exact probability over all outcomes, for exact McNemar (a margin of 0) and Tango's test (any
other). Other scores: the normal approximation.
"""

from functools import lru_cache
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from clworkbench.statistics.paired import ALPHA, tango_zs

POWER = 0.8
"""The probability with which a difference must be shown to count as one that n can show."""

EXACT = 20_000
MOST_EXAMPLES = 10_000_000
"""Who would need more than this will never settle the question."""

Floats = NDArray[np.float64]
_Z_ALPHA = NormalDist().inv_cdf(1 - ALPHA)


def paired_power(n: int, *, difference: float, margin: float, discordant: float) -> float:
    """Probability of showing `difference > -margin` at one-sided 5 % with n pairs of successes.

    Args:
        n: pairs.
        difference: true difference of the rates, challenger minus champion (-1 to 1).
        margin: how much worse is allowed; 0 asks for better.
        discordant: true share of pairs in which just one side succeeds; at least the difference's size.
    """
    share = min(1.0, max(discordant, abs(difference)))
    if n < 1 or share == 0:
        return float(n >= 1 and margin > 0 and _needed_wins(0, 0, n, margin)[0] <= 0)
    from scipy.special import bdtrc

    pairs, weight = _binomial(n, share)
    wins = _needed_wins(int(pairs[0]), int(pairs[-1]), n, margin)
    win = min(1.0, max(0.0, (1 + difference / share) / 2))
    shown = np.where(wins <= 0, 1.0, bdtrc(np.maximum(wins - 1, 0.0), pairs.astype(np.int64), win))
    return float((weight * np.where(wins > pairs, 0.0, shown)).sum())


def _binomial(n: int, share: float) -> tuple[Floats, Floats]:
    """The counts that matter (eight standard deviations to each side) and their probabilities."""
    from scipy.special import gammaln, xlog1py, xlogy

    reach = 8 * sqrt(n * share * (1 - share)) + 10
    low, high = max(0, int(n * share - reach)), min(n, ceil(n * share + reach))
    counts = np.arange(low, high + 1, dtype=np.float64)
    chosen = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
    return counts, np.exp(chosen + xlogy(counts, share) + xlog1py(n - counts, -share))


@lru_cache(maxsize=512)
def _needed_wins(fewest: int, most: int, n: int, margin: float) -> Floats:
    """The fewest wins that show the claim, for each number of discordant pairs; one more than those where none do."""
    from scipy.special import bdtrc

    pairs = np.arange(fewest, most + 1, dtype=np.float64)

    def shown(wins: Floats) -> NDArray[np.bool_]:
        if margin == 0:
            tail = bdtrc(np.maximum(wins - 1, 0.0), np.maximum(pairs, 1).astype(np.int64), 0.5)
            return np.asarray((wins > 0) & (tail <= ALPHA))
        return np.asarray(tango_zs(wins, pairs - wins, n, np.float64(-min(margin, 1.0))) >= _Z_ALPHA)

    low, high = np.zeros_like(pairs), pairs + 1
    while (low < high).any():
        middle = np.floor((low + high) / 2)
        enough = shown(np.minimum(middle, pairs)) & (middle <= pairs)
        high = np.where(enough, middle, high)
        low = np.where(enough, low, np.minimum(middle + 1, high))
    return high


@lru_cache(maxsize=512)
def smallest_detectable(n: int, *, margin: float, discordant: float) -> float | None:
    """The true difference of rates that n pairs show with probability 0.8; None where not even 1 would be shown.

    Negative where n is large enough that a challenger somewhat worse would still be shown to be within the margin.
    """

    def power(difference: float) -> float:
        return paired_power(n, difference=difference, margin=margin, discordant=discordant)

    if power(1.0) < POWER:
        return None
    low, high = max(-1.0, -margin), 1.0
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def pairs_needed(*, difference: float, margin: float, discordant: float) -> int | None:
    """How many pairs show `difference > -margin`, or else its contrary, with probability 0.8; None where none would.

    Exact for up to 20,000 pairs; beyond, and for the contrary with a margin, by the normal approximation.
    """
    spread = sqrt(max(discordant, abs(difference)) - difference**2)
    roughly = pairs_needed_mean(difference=difference, margin=margin, spread=spread)
    if roughly is None or roughly > EXACT or (margin > 0 and difference < -margin):
        return roughly
    # Better than 0 and worse than 0 are the same test with champion and challenger in each other's place.
    gain = abs(difference) if margin == 0 else difference

    def shown(n: int) -> bool:
        return paired_power(n, difference=gain, margin=margin, discordant=discordant) >= POWER

    low, high = 0, roughly
    while not shown(high):
        low, high = high, high * 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def smallest_detectable_mean(n: int, *, margin: float, spread: float) -> float | None:
    """As `smallest_detectable`, for means: `spread` is the standard deviation of the paired differences."""
    if n < 2:
        return None
    return (_Z_ALPHA + NormalDist().inv_cdf(POWER)) * spread / sqrt(n) - margin


def pairs_needed_mean(*, difference: float, margin: float, spread: float) -> int | None:
    """As `pairs_needed`, for means: `spread` is the standard deviation of the paired differences."""
    beyond = abs(difference + margin)
    if beyond == 0:
        return None
    n = ceil(((_Z_ALPHA + NormalDist().inv_cdf(POWER)) * spread / beyond) ** 2)
    return max(2, n) if n <= MOST_EXAMPLES else None
