"""What happened to the settled outcomes of a part of the signals, from one window to the other."""

from collections.abc import Mapping
from math import sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from clworkbench.statistics.contrast import contrast
from clworkbench.statistics.intervals import quantile, wilson

SETTLED = 20
"""Conversations with a settled signal on each side, below which nothing is said."""

LEAST_FALL = 0.01
"""A rate that fell by less than this, however sure, did not get worse."""

MARGIN = 0.05
"""A rate that fell by no more than this, by its whole interval, did not get worse."""

Harm = Literal["worse", "same", "better", "unclear", "not enough data"]
ADVICE: Mapping[Harm, str] = {
    "worse": "retrain",
    "not enough data": "label",
    "unclear": "evaluate",
    "same": "nothing",
    "better": "nothing",
}
"""What to do about a part that drifted, by what happened to its outcomes."""

GRAVEST: tuple[Harm, ...] = ("worse", "not enough data", "unclear", "better", "same")
URGENCY = ("retrain", "label", "evaluate", "nothing")

COUNTS = ("n_before", "pending_before", "n_now", "pending_now")
RATES = ("before", "before_low", "before_high", "now", "now_low", "now_high", "change", "change_low", "change_high")
CHANGE = pl.Schema({name: pl.Int64() for name in COUNTS} | {name: pl.Float64() for name in (*RATES, "p")})


class Change(NamedTuple):
    """Rates of good outcomes (0 to 1) before and now, each with its 95 % interval; null where there is no telling.

    Attributes:
        n_before: settled signals of the window before; `pending_before` are not settled yet.
        n_now: likewise of this window, with `pending_now`.
        before: the rate, with `before_low` and `before_high`.
        now: the rate, with `now_low` and `now_high`.
        change: now minus before, with `change_low` and `change_high`.
        p: one-sided, of a rate that did not fall; of a part, where all outcomes fell, of one that did not fall by more
            than that of all others as well.
    """

    n_before: int
    pending_before: int
    n_now: int
    pending_now: int
    before: float | None = None
    before_low: float | None = None
    before_high: float | None = None
    now: float | None = None
    now_low: float | None = None
    now_high: float | None = None
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    p: float | None = None


def changed(outcome: pl.Series, inside: pl.Series, is_now: pl.Series, units: pl.Series) -> Change:
    """Rates of good outcomes inside a part, before and now; signals of one conversation may depend on each other.

    Args:
        outcome: true, false, or null while it is pending.
        inside: which signals the part holds.
        is_now: which stand in the window that is looked at.
        units: the number of each signal's conversation.
    """
    part = pl.DataFrame({"good": outcome, "is_now": is_now, "unit": units}).filter(inside)
    before, now = (part.filter(pl.col("is_now") == side)["good"] for side in (False, True))
    counts = (before.count(), before.null_count(), now.count(), now.null_count())
    settled = part.drop_nulls("good")
    first, last = (settled.filter(pl.col("is_now") == side) for side in (False, True))
    if min(first["unit"].n_unique(), last["unit"].n_unique()) < SETTLED:
        return Change(*counts, *_alone(first), *_alone(last))
    values, later = settled["good"].cast(pl.Float64).to_numpy(), settled["is_now"].to_numpy()
    clusters = np.unique(settled["unit"].to_numpy(), return_inverse=True)[1].astype(np.intp)
    fell, rose = contrast(values, ~later, clusters), contrast(values, later, clusters)
    rates = (fell.mean, fell.low, fell.high, rose.mean, rose.low, rose.high)
    return Change(*counts, *rates, rose.difference, rose.difference_low, rose.difference_high, fell.p)


def _alone(settled: pl.DataFrame) -> tuple[float | None, float | None, float | None]:
    """The rate of one window with Wilson's interval, as if each conversation told no more than one signal."""
    if settled.is_empty():
        return None, None, None
    rate, n = float(settled["good"].cast(pl.Float64).to_numpy().mean()), settled["unit"].n_unique()
    return (rate, *wilson(rate * n, n))


def further(part: Change, others: Change) -> float | None:
    """The p of a rate that fell, and by more than the others did: the larger of both; 1 where they cannot be told.

    Args:
        part: of the signals.
        others: all that are not in it.

    Source: the interval of the difference of two changes from their own ones: Zou and Donner 2008, Statistics in
    Medicine 27:1693-1702.
    """
    if part.p is None or part.change is None or part.change_high is None:
        return part.p
    if others.change is None or others.change_low is None:
        return 1.0
    above = sqrt((part.change_high - part.change) ** 2 + (others.change - others.change_low) ** 2)
    apart = part.change - others.change
    return max(part.p, NormalDist().cdf(apart * quantile(0.95) / above)) if above > 0 else 1.0


def harm(change: Change, p: float | None, *, alpha: float = 0.05) -> Harm:
    """What a change means: worse is a sure fall by a point or more, the same where more than five are ruled out.

    Args:
        change: of the rate.
        p: as in `change`, adjusted for the parts that are looked at together.
        alpha: the level.
    """
    if p is None or change.change is None or change.change_low is None:
        return "not enough data"
    if p <= alpha and change.change <= -LEAST_FALL:
        return "worse"
    if change.change_low > 0:
        return "better"
    return "same" if change.change_low >= -MARGIN else "unclear"
