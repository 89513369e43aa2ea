"""Findings: what a reader of a gate report must know besides the gates, never left out."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from clworkbench.releases.pairs import ANSWER, Comparison, Pairs, Side, pair, values

HIGH_RATE = 0.05
DIFFERENT_RATE = 0.02
CHANGED = 0.50
"""From here on a rate of abnormal terminations is high, two of them differ, a mean length or latency changed."""


class Finding(NamedTuple):
    """One remark: its kind (one of DESIGN's words) and what was seen, with numbers."""

    kind: str
    detail: str


def findings(comparison: Comparison, pairs: Mapping[str, Pairs]) -> list[Finding]:
    """What stands out in the scores themselves; `pairs` are the gates' metrics side by side."""
    return [
        *_terminations(comparison),
        *_prices(comparison),
        *_changed_means(comparison, pairs),
        *(finding for metric, found in pairs.items() for finding in _left_out(metric, found)),
        *_examples_of_one_side(comparison),
    ]


def one_side_has_no_price(comparison: Comparison) -> bool:
    """Whether one side's answers cost something and all of the other's are unpriced, or free."""
    priced = [(scores["cost_usd"].fill_nan(None) > 0).any() for scores in comparison.sides().values()]
    return any(priced) and not all(priced)


def _terminations(comparison: Comparison) -> list[Finding]:
    rates, told = [], []
    for side, scores in comparison.sides().items():
        known = values(scores, "abnormal_termination").drop_nulls("value")
        if known.is_empty():
            continue
        abnormal = known.filter(pl.col("value") > 0)
        rates.append(len(abnormal) / len(known))
        told.append(f"{side} {len(abnormal)} of {len(known)} ({rates[-1]:.1%}{_words(scores, abnormal)})")
    high, apart = max(rates, default=0.0) > HIGH_RATE, max(rates, default=0.0) - min(rates, default=0.0)
    if high or apart >= DIFFERENT_RATE:
        return [Finding("terminations", f"answers that did not end normally: {'; '.join(told)}")]
    return []


def _words(scores: pl.DataFrame, abnormal: pl.DataFrame) -> str:
    words = pl.coalesce(pl.col("termination"), pl.lit("error")).str.slice(0, 40)
    counts = (
        scores.unique(ANSWER)
        .join(abnormal, on=ANSWER, how="semi")
        .group_by(word=words)
        .len()
        .sort(["len", "word"], descending=[True, False])
    )
    listed = ", ".join(f"{word} {n}" for word, n in counts.head(5).iter_rows())
    return f": {listed}" if listed else ""


def _prices(comparison: Comparison) -> list[Finding]:
    told = []
    for side, scores in comparison.sides().items():
        costs = values(scores, "cost_usd")["value"]
        unpriced, free = costs.null_count(), int((costs == 0).sum())
        told.append(f"{side}: {unpriced} of {len(costs)} answers without a price, {free} priced 0")
    if one_side_has_no_price(comparison):
        return [Finding("price_missing", f"only one side has prices ({'; '.join(told)}): costs are not compared")]
    some = [values(scores, "cost_usd")["value"] for scores in comparison.sides().values()]
    if any(0 < costs.null_count() < len(costs) for costs in some):
        return [Finding("price_missing", f"some answers have no price ({'; '.join(told)})")]
    return []


def _changed_means(comparison: Comparison, pairs: Mapping[str, Pairs]) -> list[Finding]:
    found = []
    for kind, metric, unit in (("length", "n_output_tokens", "tokens"), ("latency", "latency_ms", "ms")):
        both = pairs.get(metric) or pair(comparison, metric)
        before, after = both.frame.select(pl.col("champion", "challenger").mean()).row(0)
        if before and after is not None and abs(after / before - 1) > CHANGED:
            detail = f"mean {metric} went from {before:.4g} to {after:.4g} {unit} ({after / before - 1:+.0%})"
            found.append(Finding(kind, detail))
    return found


def _left_out(metric: str, pairs: Pairs) -> list[Finding]:
    told = [
        f"{n} of {pairs.recorded[side] + n} of the {side}'s"
        for side, n in pairs.ungraded.items()
        if n and pairs.recorded[side]
    ]
    if told:
        detail = f"{metric!r} is not known for {' and '.join(told)} answers; their pairs are left out"
        return [Finding("ungraded", detail)]
    return []


def _examples_of_one_side(comparison: Comparison) -> list[Finding]:
    key = [*ANSWER, "scorer"]
    scored = {side: scores.select(key) for side, scores in comparison.sides().items()}
    alone: dict[Side, pl.DataFrame] = {
        "champion": scored["champion"].join(scored["challenger"], on=key, how="anti"),
        "challenger": scored["challenger"].join(scored["champion"], on=key, how="anti"),
    }
    told = [
        f"{len(rows)} of the {side}'s {len(scored[side])} scores, over {rows['example'].n_unique()} examples"
        for side, rows in alone.items()
        if len(rows)
    ]
    if told:
        return [Finding("unpaired", f"the other side lacks {' and '.join(told)}: left out")]
    return []
