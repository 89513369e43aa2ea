"""What a model would have earned had it answered everything: estimated from traffic that a router shared out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.errors import EvidenceError
from clworkbench.statistics.intervals import wilson

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Numbers = NDArray[np.intp]

LEAST_EFFECTIVE = 30.0
"""Conversations, as many as equally weighted ones would be, below which no interval holds what it says."""


class OffPolicy(NamedTuple):
    """What is estimated of a model.

    Attributes:
        estimate: its mean outcome over all conversations (0 to 1), with `low` and `high`, its 95 % interval.
        n: conversations.
        n_chosen: those that the model answered.
        effective: as how many equally weighted conversations those count.
    """

    estimate: float
    low: float
    high: float
    n: int
    n_chosen: int
    effective: float


def snips(
    outcomes: Floats,
    chosen: Booleans,
    propensity: Floats,
    clusters: Numbers | None = None,
    *,
    model: str = "the model",
    least: float = LEAST_EFFECTIVE,
) -> OffPolicy:
    """A model's mean outcome over all that was asked, by self-normalised inverse propensity weights (SNIPS).

    An outcome of the model's weighs 1 / propensity: it stands for all those that another model answered instead. The
    interval is Wilson's with as many rows as the estimate's variance is worth, clusters independent, never more than
    `effective`. It holds for large `effective`; simulated, it covers as promised from about 30 on.

    Args:
        outcomes: within 0 and 1, settled ones only; one row for each answer, whichever model gave it.
        chosen: whether the model gave it.
        propensity: with which chance the model was to give it, for each row, another model's too.
        clusters: the number (from 0) of each row's conversation; None where each row is its own.
        model: what errors call it.
        least: effective conversations below which there is no estimate.

    Raises:
        EvidenceError: rows of no known or impossible propensity, rows that the model never could have answered, no row
            that it did, or too few effective ones.

    Source: Swaminathan and Joachims 2015, NeurIPS 28 (SNIPS); its variance by linearisation: Owen 2013, Monte Carlo
    theory, methods and examples, chapter 9; Kish 1965, Survey Sampling (effective number).
    """
    units = np.arange(len(outcomes)) if clusters is None else clusters
    _supported(outcomes, chosen, propensity, units, model)
    weights = np.zeros(len(outcomes))
    weights[chosen] = 1 / propensity[chosen]
    total = float(weights.sum())
    estimate = min(1.0, float((weights * outcomes).sum()) / total)
    each = np.bincount(units, weights=weights)
    effective = total**2 / float((each**2).sum())
    n, n_chosen = int((np.bincount(units) > 0).sum()), int((each > 0).sum())
    if effective < least:
        raise EvidenceError(
            f"{model}: its {n_chosen:,} conversations of {n:,} count as {effective:.1f} equally weighted ones, and "
            f"{least:g} are needed.\nWait for more, or look at a stretch in which its share was greater."
        )
    spread = float((np.bincount(units, weights=weights * (outcomes - estimate)) ** 2).sum()) / total**2
    alone = estimate * (1 - estimate)
    size = min(effective, alone / spread) if spread > 0 and alone > 0 else effective
    low, high = wilson(estimate * size, size)
    assert low is not None
    assert high is not None
    return OffPolicy(estimate, low, high, n, n_chosen, effective)


def _supported(outcomes: Floats, chosen: Booleans, propensity: Floats, units: Numbers, model: str) -> None:
    """Refuses what an estimate could be computed from that would mean nothing."""
    if len(outcomes) == 0:
        raise EvidenceError(f"{model}: no settled outcome at all. Wait until outcomes are settled.")
    if not ((outcomes >= 0) & (outcomes <= 1)).all():
        raise EvidenceError(f"{model}: outcomes lie within 0 and 1, and some do not. Scale them.")
    unknown = int((~((propensity >= 0) & (propensity <= 1))).sum())
    if unknown:
        raise EvidenceError(
            f"{model}: {unknown:,} of {len(outcomes):,} answers have no propensity within 0 and 1.\n"
            "Only traffic that a router shared out by chance, and logged with it, can be counted: leave the rest out."
        )
    if not chosen.any():
        raise EvidenceError(f"{model}: it gave none of {len(outcomes):,} answers. What it never did cannot be told.")
    impossible = int((chosen & (propensity == 0)).sum())
    if impossible:
        raise EvidenceError(
            f"{model}: it gave {impossible:,} answers with a logged propensity of 0: the log contradicts itself.\n"
            "See which weights the router had."
        )
    never = propensity == 0
    if never.any():
        n, of = np.unique(units[never]).size, np.unique(units).size
        raise EvidenceError(
            f"{model}: {n:,} of {of:,} conversations could not have come to it (propensity 0): nothing tells what it "
            "would have done there.\nLook only at the stretch in which it was served."
        )
