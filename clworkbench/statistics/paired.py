"""Two models on the same examples: is the challenger better, or at least not worse by more than a margin?

Differences are challenger minus champion, and higher is better: negate scores of which less is better. Intervals
are two-sided at 90 %, so that they end where the one-sided tests at 5 % turn.
"""

from math import erfc, inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.statistics.intervals import Interval, quantile
from clworkbench.statistics.subsets import subset_differences

ALPHA = 0.05
"""One-sided level of every single test."""

SPARSE = 10
"""Where fewer examples differ than this, their spread says little about what was not seen."""

Floats = NDArray[np.float64]
Number = Floats | np.float64


class Evidence(NamedTuple):
    """What paired scores say about a claim `difference > -margin`.

    `p_met` is small where the claim is shown, `p_violated` where its contrary is. A bound is None where too few
    examples bound it. `spread` is the standard deviation of the differences between examples.
    """

    difference: float
    interval: Interval
    p_met: float
    p_violated: float
    spread: float


def mcnemar(wins: int, losses: int) -> float:
    """One-sided exact p for more wins than losses: P(X >= wins), X binomial over the discordant pairs at 1/2.

    Source: McNemar 1947, Psychometrika 12:153-157, in its exact form.
    """
    from scipy.special import bdtrc

    return float(bdtrc(float(wins - 1), wins + losses, 0.5)) if wins > 0 else 1.0


def tango_z(wins: float, losses: float, n: float, difference: float) -> float:
    """Score statistic for a true paired difference of proportions; positive where the observed one is greater.

    Source: Tango 1998, Statistics in Medicine 17:891-908.
    """
    return float(tango_zs(np.float64(wins), np.float64(losses), n, np.float64(difference)))


def tango_zs(wins: Number, losses: Number, n: float, difference: Number) -> Floats:
    """`tango_z` for many counts, or for many true differences, at once."""
    linear = -wins - losses + (2 * n - wins + losses) * difference
    constant = -losses * difference * (1 - difference)
    root = np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0.0))
    lost = np.maximum((root - linear) / (4 * n), np.maximum(0.0, -difference))
    variance = np.maximum(n * (2 * lost + difference * (1 - difference)), 0.0)
    distance = wins - losses - n * difference
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.abs(distance) < 1e-12 * n, 0.0, distance / np.sqrt(variance)))


def tango_interval(wins: float, losses: float, n: float, *, level: float = 0.90) -> Interval:
    """The paired differences of proportions that the score test does not reject, within -1 to 1.

    Finite even without discordant pairs: 0 of n reaches z²/(n + z²) to both sides.

    Source: Tango 1998, as for `tango_z`, solved by bisection.
    """
    inside, outside = np.full(2, (wins - losses) / n), np.array([-1.0, 1.0])
    for _ in range(52):
        middle = (inside + outside) / 2
        rejected = np.abs(tango_zs(np.float64(wins), np.float64(losses), n, middle)) > quantile(level)
        inside, outside = np.where(rejected, inside, middle), np.where(rejected, middle, outside)
    return Interval(float(inside[0]), float(inside[1]))


def upper_tail(z: float) -> float:
    """P(Z >= z) for a standard normal Z."""
    return erfc(z / sqrt(2)) / 2


def compare_binary(wins: int, losses: int, n: int, *, margin: float) -> Evidence:
    """Paired successes: exact McNemar for a margin of 0, Tango's score test for another.

    Args:
        wins: examples that only the challenger solved.
        losses: examples that only the champion solved.
        n: all pairs, at least 1.
        margin: how much worse is still allowed (0 to 1).

    Returns:
        Evidence; its interval is Tango's, reaching to 0 where the exact test does not exclude 0.
    """
    low, high = tango_interval(wins, losses, n)
    if margin == 0:
        met, violated = mcnemar(wins, losses), mcnemar(losses, wins)
        # Tango's test is McNemar's asymptotic one at 0: where the exact one does not reject 0, 0 belongs inside.
        low = _lower(low, 0.0) if met > ALPHA else low
        high = _higher(high, 0.0) if violated > ALPHA else high
    else:
        z = tango_z(wins, losses, n, -min(margin, 1.0))
        met, violated = upper_tail(z), upper_tail(-z)
    difference = (wins - losses) / n
    spread = sqrt(max(0.0, (wins + losses) / n - difference**2))
    return Evidence(difference, Interval(low, high), met, violated, spread)


def compare_scores(
    champion: Floats, challenger: Floats, *, margin: float, relative: bool = False, seed: int = 0
) -> Evidence:
    """Paired scores of any kind, by sign flips: shift by the margin, flip signs at random, count what beats the seen.

    Flipping keeps the test exact where differences are symmetric about the margin, and right for large n where they
    are not. Where fewer than 10 examples differ, Tango's test on the differences as shares of the range must agree.

    Args:
        champion: one score for each example, higher is better.
        challenger: the same examples in the same order; at least one.
        margin: how much worse is still allowed, in the scores' unit, or as a share of the champion's mean.
        relative: whether difference, interval and margin are shares of the champion's mean (not 0).
        seed: of the random flips (2**n flips of at most 13 examples are enumerated).

    Source: Hartigan 1969, JASA 64:1303-1317 (typical values); Janssen 1997, Statistics & Probability Letters 36:9-21.
    """
    unit = abs(float(champion.mean())) if relative else 1.0
    difference = float(challenger.mean() - champion.mean()) / unit
    residual = challenger - champion * (1 + difference * np.sign(champion.mean())) if relative else None
    spread = _spread(challenger - champion if residual is None else residual) / unit
    flips = subset_differences(champion, challenger, relative=relative, seed=seed)
    if flips is None:
        evidence = _by_t(difference, spread, len(champion), margin)
    else:
        evidence = _by_flips(difference, spread, flips, margin)
    differing = int(np.count_nonzero(challenger != champion))
    if differing < SPARSE and not relative:
        return _not_surer_than_tango(evidence, champion, challenger, margin)
    return evidence


def _spread(differences: Floats) -> float:
    return float(differences.std(ddof=1)) if len(differences) > 1 else 0.0


def _by_flips(difference: float, spread: float, flips: Floats, margin: float) -> Evidence:
    # The seen signs are one of the draws; an empty or undefined subset (nan) speaks against every claim.
    undefined = np.isnan(flips)
    ordered, draws, open_ended = np.sort(flips[~undefined]), len(flips), int(undefined.sum())
    slack = 1e-12 * max(1.0, abs(margin))
    met = (open_ended + np.searchsorted(ordered, -margin + slack, side="right")) / draws
    violated = (open_ended + len(ordered) - np.searchsorted(ordered, -margin - slack, side="left")) / draws
    rank = int(ALPHA * draws + 1e-9) - open_ended
    inside = 0 <= rank < len(ordered)
    low = min(float(ordered[rank]), difference) if inside else None
    high = max(float(ordered[-1 - rank]), difference) if inside else None
    return Evidence(difference, Interval(low, high), float(met), float(violated), spread)


def _by_t(difference: float, spread: float, n: int, margin: float) -> Evidence:
    from scipy.special import stdtr, stdtrit

    error = spread / sqrt(n)
    t = (difference + margin) / error if error > 0 else inf * np.sign(difference + margin)
    half = float(stdtrit(n - 1, 1 - ALPHA)) * error
    met = float(stdtr(n - 1, -t)) if np.isfinite(t) else float(t < 0)
    violated = float(stdtr(n - 1, t)) if np.isfinite(t) else float(t > 0)
    return Evidence(difference, Interval(difference - half, difference + half), met, violated, spread)


def _not_surer_than_tango(evidence: Evidence, champion: Floats, challenger: Floats, margin: float) -> Evidence:
    both = np.concatenate([champion, challenger])
    unit = 1.0 if both.min() >= 0 and both.max() <= 1 else float(np.ptp(both))
    if unit == 0:
        return evidence
    shares, n = (challenger - champion) / unit, len(champion)
    wins, losses = float(shares.clip(min=0).sum()), float((-shares).clip(min=0).sum())
    z = tango_z(wins, losses, n, -min(margin / unit, 1.0))
    exact = margin == 0  # flips are exact there: what they show stands, and the interval ends with them
    met = evidence.p_met if exact else max(evidence.p_met, upper_tail(z))
    violated = evidence.p_violated if exact else max(evidence.p_violated, upper_tail(-z))
    (low, high), tango = evidence.interval, tango_interval(wins, losses, n)
    interval = Interval(
        low if exact and met <= ALPHA else _lower(low, tango.low, unit),
        high if exact and violated <= ALPHA else _higher(high, tango.high, unit),
    )
    return evidence._replace(interval=interval, p_met=met, p_violated=violated)


def _lower(bound: float | None, other: float | None, unit: float = 1.0) -> float | None:
    return None if bound is None or other is None else min(bound, other * unit)


def _higher(bound: float | None, other: float | None, unit: float = 1.0) -> float | None:
    return None if bound is None or other is None else max(bound, other * unit)
