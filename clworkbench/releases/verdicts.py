"""Each gate's evidence and verdict: met, violated, open or unmeasured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

import numpy as np
import polars as pl

from clworkbench.releases.findings import one_side_has_no_price
from clworkbench.releases.pairs import LOWER_IS_BETTER, Comparison, Pairs, by_unit, in_slice
from clworkbench.releases.protocol import Gate
from clworkbench.releases.report import Verdict
from clworkbench.statistics.intervals import Interval
from clworkbench.statistics.multiplicity import holm
from clworkbench.statistics.paired import ALPHA, Evidence, Floats, compare_binary, compare_scores
from clworkbench.statistics.power import (
    pairs_needed,
    pairs_needed_mean,
    smallest_detectable,
    smallest_detectable_mean,
)


class Means(NamedTuple):
    """Both sides' means over the examples that both have; None where there are none."""

    champion: float | None
    challenger: float | None


@dataclass(frozen=True)
class Measured:
    """A gate with its evidence, in which higher is better and a relative gate's unit is the champion's mean.

    Attributes:
        unit: what a difference of 1 in the evidence is in the metric's own unit and direction.
        discordant: share of examples that just one side solved, smoothed by a pair of each kind; None for scores
            that are not all 0 or 1.
        reason: why there is no evidence, in words.
    """

    gate: Gate
    n: int
    means: Means
    evidence: Evidence | None = None
    unit: float = 1.0
    discordant: float | None = None
    reason: str = ""


def judged(measured: Sequence[Measured]) -> list[Verdict]:
    """One verdict for each gate; the violation tests are adjusted together."""
    evidence = [each.evidence for each in measured]
    adjusted = iter(holm([found.p_violated for found in evidence if found is not None]))
    return [_verdict(found, next(adjusted) if found is not None else 1.0) for found in evidence]


def _verdict(evidence: Evidence | None, p_violated: float) -> Verdict:
    if evidence is None:
        return "unmeasured"
    if p_violated <= ALPHA:
        return "violated"
    return "met" if evidence.p_met <= ALPHA else "open"


def measure(gate: Gate, pairs: Pairs, comparison: Comparison, target: str | None, seed: int) -> Measured:
    """The evidence on one gate, or the reason why there is none."""
    frame = by_unit(pairs.frame.filter(in_slice(gate.slice, target)))
    means = Means(*frame.select(pl.col("champion", "challenger").mean()).row(0))
    reason = _unmeasured(gate, pairs, frame, comparison, target)
    if reason:
        return Measured(gate, len(frame), means, reason=reason)
    sign = -1.0 if gate.metric in LOWER_IS_BETTER else 1.0
    before, after = (sign * frame[side].to_numpy() for side in ("champion", "challenger"))
    if not gate.relative and all(np.isin(values, (0.0, sign)).all() for values in (before, after)):
        wins, losses = int((after > before).sum()), int((after < before).sum())
        evidence = compare_binary(wins, losses, len(frame), margin=gate.margin)
        discordant = (wins + losses + 1) / (len(frame) + 2)
        return Measured(gate, len(frame), means, evidence, sign, discordant)
    evidence = _flipped(gate, before, after, seed)
    unit = abs(float(before.mean())) if gate.relative else 1.0
    return Measured(gate, len(frame), means, evidence, sign * unit)


def _flipped(gate: Gate, before: Floats, after: Floats, seed: int) -> Evidence:
    # Each gate draws its own flips, whatever the order of the gates.
    own = seed * 2**32 + crc32(gate.name.encode())
    return compare_scores(before, after, margin=gate.margin, relative=gate.relative, seed=own)


def _unmeasured(gate: Gate, pairs: Pairs, frame: pl.DataFrame, comparison: Comparison, target: str | None) -> str:
    for side, scores in comparison.sides().items():
        if pairs.recorded[side] == 0:
            return f"the {side} has no {gate.metric!r} ({_known(scores)})"
    if gate.slice == "rest" and target is None:
        return "'rest' is what lies outside the target slice, and no target is named"
    if frame.is_empty():
        names = ", ".join(comparison.slice_names()[:10]) or "none"
        return f"no example graded on both sides is in slice {gate.slice!r} (slices: {names})"
    if gate.metric == "cost_usd" and one_side_has_no_price(comparison):
        return "one side's answers have no price, or one of 0, so the costs cannot be compared"
    if gate.relative and frame["champion"].mean() == 0:
        return f"the champion's mean {gate.metric!r} is 0, and no share can be taken of it"
    return ""


def _known(scores: pl.DataFrame) -> str:
    names = scores["scorer"].drop_nulls().unique().sort().to_list()
    return f"scorers: {', '.join(names[:10]) or 'none'}"


def row(measured: Measured, verdict: Verdict) -> dict[str, object]:
    """One row of the report: every number in the metric's own unit, challenger minus champion."""
    gate, evidence, unit = measured.gate, measured.evidence, measured.unit
    told: dict[str, object] = {
        "name": gate.name,
        "metric": gate.metric,
        "slice": gate.slice,
        "asks": gate.asks,
        "required": gate.required,
        "n": measured.n,
        "champion": measured.means.champion,
        "challenger": measured.means.challenger,
        "verdict": verdict,
    }
    if evidence is None:
        return told | {"margin": None if gate.relative else gate.margin}
    low, high = _in_unit(evidence.interval, unit)
    detectable = _detectable(measured, evidence)
    return told | {
        "difference": evidence.difference * unit + 0.0,
        "low": low,
        "high": high,
        "p": evidence.p_met,
        "margin": gate.margin * abs(unit),
        "smallest_detectable": None if detectable is None else detectable * unit + 0.0,
        "needed": _more(measured, evidence) if verdict == "open" else None,
    }


def _in_unit(interval: Interval, unit: float) -> Interval:
    low, high = (None if end is None else end * unit + 0.0 for end in interval)
    return Interval(low, high) if unit > 0 else Interval(high, low)


def _detectable(measured: Measured, evidence: Evidence) -> float | None:
    n, margin = measured.n, measured.gate.margin
    if measured.discordant is None:
        return smallest_detectable_mean(n, margin=margin, spread=evidence.spread)
    return smallest_detectable(n, margin=margin, discordant=measured.discordant)


def _more(measured: Measured, evidence: Evidence) -> int | None:
    margin, difference = measured.gate.margin, evidence.difference
    if measured.discordant is None:
        total = pairs_needed_mean(difference=difference, margin=margin, spread=evidence.spread)
    else:
        total = pairs_needed(difference=difference, margin=margin, discordant=measured.discordant)
    return None if total is None else max(1, total - measured.n)
