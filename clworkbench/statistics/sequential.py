"""Two arms compared while they run: bounds that hold at every look, however often one looks.

All bounds here are exact at any number of rows: no normal approximation, no least n. They rest on values within 0 and
1 and on arms drawn by a known chance. Each comes from one supermartingale: where a sum of bounded steps X has drifted
from the sum of their conditional means by s, and V is the sum of (X - guess)², each guess made before its X is seen,
then the chance that `log_evidence(s, V)` ever reaches log(1/alpha) is at most alpha.

They are chosen over asymptotic sequences (Waudby-Smith et al. 2024, Annals of Statistics 52:2613-2640), which are
tighter but promise nothing at the start, where a small arm with rare failures is looked at most; and over betting
(Waudby-Smith and Ramdas 2024, JRSS B 86:1-27), which needs the whole past for every value that is tried.

Source: Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of Statistics 49:1055-1080 (theorem 4, the empirical-Bernstein
confidence sequence; proposition 9, the gamma-exponential mixture; section 4.2, a randomised treatment's effect).
"""

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Rows = NDArray[np.intp]

TIGHT_AT = 25.0
"""The variance V at which bounds are tightest: of a rate of 80 %, that of 160 rows of one arm, or of 3,300 rows of two
arms of which one has 5 %. It is fixed here, for it must not be chosen by what was seen."""

MOST_ROWS = 10_000_000
"""Beyond so many rows more, a bound counts as out of reach."""


class ConfidenceSequence(NamedTuple):
    """What is known after each look: the estimate, and bounds within which the truth lies at all looks at once."""

    estimate: Floats
    low: Floats
    high: Floats


class Totals(NamedTuple):
    """What a comparison rests on after each look.

    Attributes:
        excess: the sum of steps, whose mean is the difference times `weight`.
        variance: the sum of squared steps.
        weight: the sum of p(1 - p): what the rows tell of a difference.
    """

    excess: Floats
    variance: Floats
    weight: Floats


def log_evidence(excess: Floats, variance: Floats, *, tight_at: float = TIGHT_AT, scale: float = 1.0) -> Floats:
    """Log of the mixture that exceeds log(1/alpha), ever, with a chance of at most alpha; grows with `excess`.

    Args:
        excess: by how much the steps' sum lies above that of their means.
        variance: the sum of squared deviations of steps from their guesses.
        tight_at: the variance at which a bound at 5 % is tightest.
        scale: no step lies further below its guess than this.

    Source: proposition 9 of Howard et al. 2021; the mixing density is a gamma density, cut off at `scale`.
    """
    from scipy.special import gammainc, gammaln

    mixing = tight_at / (2 * log(1 / 0.10) + log(1 + 2 * log(1 / 0.10))) / scale**2
    grown = mixing + variance / scale**2
    tilt = (scale * excess + variance) / scale**2
    # So far below the means that the closed form ends, there is no evidence.
    rate = np.maximum(tilt + mixing, np.finfo(float).tiny)
    with np.errstate(divide="ignore"):
        found = (
            mixing * np.log(mixing)
            - gammaln(mixing)
            - np.log(gammainc(mixing, mixing))
            + gammaln(grown)
            + np.log(gammainc(grown, rate))
            - grown * np.log(rate)
            + tilt
        )
    return np.asarray(np.where(tilt + mixing > 0, found, -np.inf))


def boundary(variance: Floats, alpha: float, *, tight_at: float = TIGHT_AT, scale: float = 1.0) -> Floats:
    """The excess at which `log_evidence` reaches log(1/alpha): crossed, ever, with a chance of at most alpha."""
    wanted = log(1 / alpha)
    low = np.zeros_like(variance)
    high = 2 * np.sqrt((variance + tight_at) * wanted) + 2 * scale * wanted
    while (short := log_evidence(high, variance, tight_at=tight_at, scale=scale) < wanted).any():
        high = np.where(short, 2 * high, high)
    for _ in range(44):
        middle = (low + high) / 2
        short = log_evidence(middle, variance, tight_at=tight_at, scale=scale) < wanted
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return high


def totals(values: Floats, challenger: Booleans, propensity: Floats, after: Rows | None = None) -> Totals:
    """Sums over rows in the order in which they became known; looks are taken after the rows `after` (all when None).

    A row's step is (A - p)(Y - m): A is 1 in the challenger's arm, p the chance of that, m the mean of all rows before.
    Whatever m is, and whatever happens to both arms in the course of time, its mean is p(1 - p) times the difference
    that the challenger makes. Stages with other p add up: no arm's mean is ever held against that of another time.

    Args:
        values: Y, within 0 and 1; rows along the last axis.
        challenger: A.
        propensity: p, as it was when the row's arm was drawn.
        after: numbers of rows, from 0.
    """
    before = np.cumsum(values, axis=-1) - values
    guess = (before + 0.5) / np.arange(1, values.shape[-1] + 1)
    steps = (challenger - propensity) * (values - guess)
    looks = slice(None) if after is None else after
    sums = [np.cumsum(each, axis=-1)[..., looks] for each in (steps, steps**2, propensity * (1 - propensity))]
    return Totals(*sums)


def difference_sequence(
    values: Floats,
    challenger: Booleans,
    propensity: Floats,
    *,
    alpha_low: float = 0.025,
    alpha_high: float = 0.025,
    after: Rows | None = None,
) -> ConfidenceSequence:
    """The challenger's mean minus the champion's, of concurrent arms, with bounds that hold at all looks.

    Each conversation is one row, with one value that does not change once it is known, in the order in which values
    became known. Exact for values within 0 and 1 where, given all rows before, the next row's arm is the challenger's
    with the chance p: so it is where arms are drawn by conversation and what delays a value does not depend on the arm.
    Rows may otherwise depend on each other. What is bounded is the mean of the difference so far, a row's weight being
    p(1 - p); it is the difference itself where that does not change.

    Args:
        values: within 0 and 1.
        challenger: whether the row is of the challenger's arm.
        propensity: the chance of that, between 0 and 1.
        alpha_low: the chance, at most, that the lower bound ever lies above the truth.
        alpha_high: the chance, at most, that the upper bound ever lies below it.
        after: looks, as the numbers of the rows after which they are taken; all when None.

    Source: the module's; p(1 - p) as weight: Li, Morgan and Zaslavsky 2018, JASA 113:390-400 (overlap weights).
    """
    return bounded(totals(values, challenger, propensity, after), alpha_low, alpha_high)


def bounded(found: Totals, alpha_low: float, alpha_high: float) -> ConfidenceSequence:
    """The estimate and its bounds from the sums; before any row 0, within -1 and 1."""
    weight = np.maximum(found.weight, 1e-9)
    estimate = found.excess / weight
    low = estimate - boundary(found.variance, alpha_low) / weight
    high = estimate + boundary(found.variance, alpha_high) / weight
    return ConfidenceSequence(*(np.clip(each, -1.0, 1.0) for each in (estimate, low, high)))


def mean_sequence(
    values: Floats, *, alpha_low: float = 0.025, alpha_high: float = 0.025, after: Rows | None = None
) -> ConfidenceSequence:
    """The mean of values within 0 and 1, with bounds that hold at all looks; exact, as `difference_sequence`.

    What is bounded is the mean so far of each row's expectation given the rows before.

    Source: theorem 4 of Howard et al. 2021; the guesses are running means.
    """
    n = np.arange(1, values.shape[-1] + 1)
    sums = np.cumsum(values, axis=-1)
    guess = (sums - values + 0.5) / n
    looks = slice(None) if after is None else after
    variance, n = np.cumsum((values - guess) ** 2, axis=-1)[..., looks], n[looks]
    estimate = sums[..., looks] / n
    low, high = (boundary(variance, alpha) / n for alpha in (alpha_low, alpha_high))
    return ConfidenceSequence(estimate, np.clip(estimate - low, 0.0, 1.0), np.clip(estimate + high, 0.0, 1.0))


def rows_needed(
    found: Totals, *, margin: float, alpha: float, share: float, difference: float | None = None
) -> int | None:
    """How many rows more bring the lower bound above -margin, if what was seen goes on; None where none would.

    Args:
        found: the sums after the last look, one number each.
        margin: how much worse is allowed (0 to 1).
        alpha: of the lower bound.
        share: the challenger's share of what is to come.
        difference: the difference that goes on; the one seen when None.
    """
    excess, variance, weight = (float(each) for each in found)
    if difference is None:
        difference = excess / weight if weight > 0 else 0.0
    if difference <= -margin:
        return None
    # The first rows say little of the spread: as if two units of weight had been seen of the widest there is.
    spread = (variance + 2 * 0.25) / (weight + 2)
    gain = share * (1 - share)

    def reached(more: int) -> bool:
        there = np.array([variance + more * gain * spread])
        shown = excess + more * gain * difference - float(boundary(there, alpha)[0])
        return shown > -margin * (weight + more * gain)

    short, enough = -1, 0
    while not reached(enough):
        if enough > MOST_ROWS:
            return None
        short, enough = enough, max(1, 2 * enough)
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if reached(middle) else (middle, enough)
    return enough
