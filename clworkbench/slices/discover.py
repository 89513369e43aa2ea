"""Slice discovery: where the model does worst, searched on one half of the conversations and tested on the other."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.errors import ExpressionError
from clworkbench.policy.sampling import uniform
from clworkbench.slices.attributes import Attribute, encode
from clworkbench.slices.found import FRAME, Discovery, FoundSlice
from clworkbench.slices.search import Conjunction, fresh, search
from clworkbench.slices.words import TEXT, telling_words
from clworkbench.statistics.contrast import Contrast, contrast
from clworkbench.statistics.multiplicity import holm

ALPHA = 0.05
"""The chance of reporting any slice at all where none is worse."""

LEAST = 20
"""Rows that a slice must have where it is searched, however small a support is asked for."""

CARRIED = 20
"""Slices that the first half hands over to the second."""

SEARCHED = 250_000
"""Rows that are searched at most: of more signals less than half is, and all others test."""

TOGETHER = 40
"""Attributes that are searched, the first ones: every two of them are looked at together."""

ROUNDS, CROWDED = 3, 4.0
"""What a very bad slice crowds out is looked for again without its rows: how often, and where the least striking
slice remembered has so many standard errors."""

STRIKING, ADDS = 3.0, 1.645
"""Standard errors by which a slice must differ from those before it: where it is searched, and where it is tested."""

SHORT = 0.7
"""Of a slice's share of rows, what it must have in each half."""

Rows = NDArray[np.bool_]


def discover(
    signals: pl.DataFrame,
    target: str = "outcome",
    *,
    by: Sequence[str],
    salt: str,
    worst: Literal["low", "high"] = "low",
    support: float = 0.01,
) -> Discovery:
    """Find the conjunctions of up to three conditions in which the target is worst.

    Half of the conversations, by keyed hash, is searched (of many, those of about 250,000 signals): every conjunction
    that has the support and is worse than what each of its parents leaves out; of those that overlap, the ones that add
    something. The best twenty are tested on the others, one-sided and adjusted by Holm, so that the chance of any false
    report is at most 5 %, whatever was searched. A slice that says what one before it says is left out there as well.

    Args:
        signals: one row for each signal; where the target is null (pending) it does not count. With `conversation_id`,
            if there is one: signals of one conversation stand in one half, and count as dependent on each other.
        target: a Boolean, or a score.
        by: columns that slices may be made of, as `attributes.encode` takes them; of `text`, the words that tell the
            bad signals of the searched half from its others.
        salt: key of the hash that parts the halves: the same salt, the same slices.
        worst: which end of the target is bad.
        support: the least share of settled signals that a slice has (0 to 0.5).

    Raises:
        ExpressionError: a column is not there, the target is neither a Boolean nor a number, or stands among `by`, or
            the support is no share.

    Source: the search's measure is the standardised difference of Klösgen 1996, "Explora", in Advances in Knowledge
    Discovery and Data Mining, p. 249-271; the honest half after Athey and Imbens 2016, PNAS 113:7353-7360.
    """
    if not 0 < support <= 0.5:
        raise ExpressionError(
            f"support: {support:g} is not above 0 and at most 0.5. Ask for e.g. 0.02: two in hundred."
        )
    values = _target(signals, target)
    if target in by:
        raise ExpressionError(f"by: {target!r} is the target itself. Name what was known before it.")
    known = values.is_not_null()
    settled, values = signals.filter(known), values.filter(known)
    binary = bool(values.is_in([0.0, 1.0]).all())
    worse = (1.0 - values if binary else -values) if worst == "low" else values
    counts = {"settled": settled.height, "pending": signals.height - settled.height, "searched": 0, "tested": 0}
    flags = signals.schema[target] == pl.Boolean
    if why := _too_little(signals, values, target):
        return Discovery(FRAME.to_frame(), (), target, flags, counts, {}, why)
    half, clusters = _halves(settled, salt)
    numbers = worse.to_numpy()
    words = _words(settled, numbers, half) if TEXT in by else None
    attributes, skipped = encode(settled, by, least=max(2 * LEAST, int(support * settled.height)), words=words)
    skipped |= {one.name: f"only {TOGETHER} are looked at together: name fewer" for one in attributes[TOGETHER:]}
    attributes = attributes[:TOGETHER]
    carried, counts["searched"] = _carried([a.of(half) for a in attributes], numbers[half], support)
    carried = [one for one in carried if one.rows(attributes).mean() >= support]
    counts["tested"] = len(carried)
    tested = [attribute.of(~half) for attribute in attributes]
    proven = _proven(carried, tested, numbers[~half], _own(clusters[~half]), _least(support, ~half))
    sign = 1.0 if worst == "high" else -1.0
    rows = [_row(one, seen, p, attributes, sign, flipped=binary and worst == "low") for one, seen, p in proven]
    rows.sort(key=lambda row: (-sign * _bound(row, worst), str(row["slice"])))
    why = None if rows else _nothing(attributes, counts)
    slices = tuple(_slice(row) for row in rows)
    frame = pl.DataFrame([{name: row[name] for name in FRAME} for row in rows], schema=FRAME)
    return Discovery(frame, slices, target, flags, counts, skipped, why)


def _target(signals: pl.DataFrame, target: str) -> pl.Series:
    """The target as numbers, null where it is not known."""
    if target not in signals.columns:
        from difflib import get_close_matches

        close = get_close_matches(target, signals.columns, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name a Boolean or a number."
        raise ExpressionError(f"target: no column {target!r} among {signals.columns}.\n{hint}")
    values = signals[target]
    if values.dtype != pl.Boolean and not values.dtype.is_numeric():
        raise ExpressionError(f"target: {target!r} holds {values.dtype}. Name a Boolean (an outcome) or a score.")
    numbers = values.cast(pl.Float64)
    return pl.DataFrame([numbers]).select(pl.when(pl.col(target).is_finite()).then(target))[target]


def _too_little(signals: pl.DataFrame, values: pl.Series, target: str) -> str | None:
    n = len(values)
    if signals.is_empty():
        return "not enough data: there are no signals here"
    if n == 0:
        return f"not enough data: {target} is not settled in any of {signals.height:,} signals"
    if values.n_unique() == 1:
        return f"nothing to find: {target} is {_plain(values[0], signals.schema[target])} in all {n:,} settled signals"
    if n < 8 * LEAST:
        return f"not enough data: {n:,} settled signals; slices are looked for from {8 * LEAST} on"
    return None


def _plain(value: float, dtype: pl.DataType) -> str:
    return str(bool(value)).lower() if dtype == pl.Boolean else f"{value:g}"


def _nothing(attributes: Sequence[Attribute], counts: dict[str, int]) -> str:
    if not attributes:
        return "nothing to look at: no column parts the signals"
    if not counts["tested"]:
        return "no slice is worse than the others: none stood out where it was searched"
    return f"no slice is shown worse: none of {counts['tested']} that stood out held on the other half"


def _halves(settled: pl.DataFrame, salt: str) -> tuple[Rows, NDArray[np.intp]]:
    """Which rows are searched, and the number of each row's conversation."""
    ids = [pl.col(name) for name in ("conversation_id", "interaction_id") if name in settled.columns]
    row = pl.int_range(pl.len()).cast(pl.String)
    units = settled.select(unit=pl.coalesce(*ids, row) if ids else row)
    each = units.unique(maintain_order=True).with_row_index("number")
    each = each.with_columns(half=uniform(each["unit"], salt) < min(0.5, SEARCHED / settled.height))
    found = units.join(each, on="unit", how="left", maintain_order="left")
    return found["half"].to_numpy(), found["number"].to_numpy().astype(np.intp)


def _words(settled: pl.DataFrame, worse: NDArray[np.float64], half: Rows) -> list[str] | None:
    """Words of the searched half; None where `text` is no text."""
    if settled.schema.get(TEXT) != pl.String:
        return None
    return telling_words(settled[TEXT].filter(pl.Series(half)), worse[half] > worse[half].mean())


def _own(clusters: NDArray[np.intp]) -> NDArray[np.intp]:
    """The clusters of some rows, numbered from 0 without gaps."""
    return np.unique(clusters, return_inverse=True)[1].astype(np.intp)


def _least(support: float, rows: Rows) -> int:
    """The rows that a slice must have here, where chance may have put fewer than its share."""
    return max(LEAST, int(SHORT * support * rows.sum()))


def _carried(
    attributes: Sequence[Attribute], values: NDArray[np.float64], support: float
) -> tuple[list[Conjunction], int]:
    """What the first half hands over, the most striking first, and how many conjunctions it counted."""
    left = np.ones(len(values), dtype=np.bool_)
    least = _least(support, left)
    carried: list[Conjunction] = []
    n_searched = 0
    for _ in range(ROUNDS):
        searched = [attribute.of(left) for attribute in attributes]
        found = search(searched, values[left], least=least)
        n_searched = max(n_searched, found.n_searched)
        new = fresh(found.conjunctions, searched, values[left], least=least, most=CARRIED - len(carried), z=STRIKING)
        carried += [one for one in new if one.parts not in {known.parts for known in carried}]
        if not found.crowded(CROWDED) or len(carried) == CARRIED:
            break
        left &= ~np.logical_or.reduce([one.rows(attributes) for one in new])
    return carried, n_searched


def _proven(
    carried: Sequence[Conjunction],
    attributes: Sequence[Attribute],
    values: NDArray[np.float64],
    clusters: NDArray[np.intp],
    least: int,
) -> list[tuple[Conjunction, Contrast, float]]:
    """What holds on the second half, with its evidence there and its adjusted p."""
    seen = {}
    for one in carried:
        rows = one.rows(attributes)
        if rows.any() and not rows.all():
            seen[one] = contrast(values, rows, clusters)
    adjusted = dict(zip(seen, holm([found.p for found in seen.values()]), strict=True))
    shown = sorted((one for one in seen if adjusted[one] <= ALPHA), key=lambda one: seen[one].p)
    kept = fresh(shown, attributes, values, least=least, most=CARRIED, z=ADDS)
    return [(one, seen[one], adjusted[one]) for one in kept]


def _row(
    one: Conjunction, seen: Contrast, p: float, attributes: Sequence[Attribute], sign: float, *, flipped: bool
) -> dict[str, object]:
    """A row of `FRAME`, in the target's own direction, and its conditions."""
    parts = tuple(attributes[which].conditions[condition] for which, condition in one.parts)
    low, high, mean, rest = seen.low, seen.high, seen.mean, seen.rest
    apart_low, apart_high = seen.difference_low, seen.difference_high
    if sign < 0:
        turn = 1.0 if flipped else 0.0
        mean, rest = turn - mean, turn - rest
        low, high = _turned(high, turn), _turned(low, turn)
        apart_low, apart_high = _turned(apart_high, 0.0), _turned(apart_low, 0.0)
    return {
        "slice": " and ".join(parts),
        "parts": parts,
        "conditions": len(parts),
        "support": float(one.rows(attributes).mean()),
        "n": seen.n,
        "mean": mean,
        "low": low,
        "high": high,
        "rest": rest,
        "effect": mean - rest,
        "effect_low": apart_low,
        "effect_high": apart_high,
        "p": seen.p,
        "p_adjusted": p,
    }


def _turned(bound: float | None, around: float) -> float | None:
    return None if bound is None else around - bound


def _bound(row: dict[str, object], worst: str) -> float:
    """The end of the interval at which the damage is least."""
    bound = row["effect_high" if worst == "low" else "effect_low"]
    return float(bound) if isinstance(bound, float) else 0.0


def _slice(row: dict[str, object]) -> FoundSlice:
    fields = ("support", "n", "mean", "rest", "effect", "p_adjusted")
    return FoundSlice(row["parts"], **{name: row[name] for name in fields})  # type: ignore[arg-type]
