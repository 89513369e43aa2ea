"""F1 of a classification, macro and micro, with intervals by the bootstrap."""

from typing import NamedTuple

import numpy as np
import polars as pl

from clworkbench.statistics.intervals import Interval, wilson
from clworkbench.statistics.paired import Floats

DRAWS = 1_000


class F1(NamedTuple):
    """One average over the classes, and its interval."""

    value: float
    interval: Interval


class Classes(NamedTuple):
    """F1 of a whole set.

    Attributes:
        macro: the mean over the classes.
        micro: of all decisions together.
        by_class: one row for each class that is expected: `label`, `n` (how often it is expected), `predicted`,
            `right`, `f1`, `low`, `high`.
    """

    macro: F1
    micro: F1
    by_class: pl.DataFrame


def f1(pairs: pl.DataFrame, *, level: float = 0.95, seed: int = 0) -> Classes:
    """F1 over the classes that are expected; a prediction of no such class is a miss of the expected one.

    Args:
        pairs: one row for each answer, at least one: `example`, `expected`, `predicted` (null where there is none).
            Several answers to an example share its weight, and are drawn together.
        level: of the intervals, which are percentiles of 1,000 draws of whole examples. Where these are all the same
            (all is right, or nothing), Wilson's interval stands instead, of macro F1 the mean of the classes'.
        seed: of the draws.

    Returns:
        Values from 0 to 1; a class that is expected, and neither found nor said, has 0.

    Source: van Rijsbergen 1979, ch. 7; Opitz and Burst 2019 (arXiv 1911.03347) for macro F1 as the mean of F1s;
    Efron and Tibshirani 1993, ch. 13, for the interval.
    """
    labels = pairs["expected"].unique().sort()
    counts = _counts(pairs, labels)
    patterns, times = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
    n = int(times.sum())
    drawn = np.random.default_rng(seed).multinomial(n, times / n, size=DRAWS)
    shape = (-1, 3, len(labels))
    whole, sampled = (times @ patterns).reshape(shape)[0], (drawn @ patterns).reshape(shape)
    here, there = _ratio(whole), _ratio(sampled)
    micro, micros = (_ratio(each.sum(-1, keepdims=True))[..., 0] for each in (whole, sampled))
    # A class that a draw does not hold has no F1 there.
    held = sampled[:, 1] > 0
    macros = np.where(held, there, 0.0).sum(1) / held.sum(1)
    low, high = np.nanquantile(np.where(held, there, np.nan), [(1 - level) / 2, (1 + level) / 2], axis=0)
    wilsons = [wilson(value * n, n, level=level) for value, n in zip(here, whole[1], strict=True)]
    flat: Floats = np.array(wilsons, dtype=np.float64)
    low, high = (np.where(low == high, flat[:, at], end) for at, end in enumerate((low, high)))
    table = pl.DataFrame(
        {"label": labels, "n": whole[1], "predicted": whole[2], "right": whole[0], "f1": here, "low": low, "high": high}
    )
    across = _ends(macros, level, Interval(float(low.mean()), float(high.mean())))
    together = _ends(micros, level, wilson(float(micro) * n, n, level=level))
    return Classes(F1(float(here.mean()), across), F1(float(micro), together), table)


def _counts(pairs: pl.DataFrame, labels: pl.Series) -> Floats:
    """By example: of each label, how often it was right, expected and predicted."""
    codes = {label: code for code, label in enumerate(labels)}
    coded = pairs.select(
        example=pl.col("example").rank("dense").cast(pl.Int64) - 1,
        weight=1.0 / pl.len().over("example"),
        expected=pl.col("expected").replace_strict(codes, return_dtype=pl.Int64),
        predicted=pl.col("predicted").cast(pl.String).replace_strict(codes, default=None, return_dtype=pl.Int64),
    )
    counts = np.zeros((coded["example"].n_unique(), 3, len(labels)))
    right = coded.filter(pl.col("expected") == pl.col("predicted"))
    for at, rows, name in ((0, right, "expected"), (1, coded, "expected"), (2, coded.drop_nulls(), "predicted")):
        np.add.at(counts[:, at], (rows["example"].to_numpy(), rows[name].to_numpy()), rows["weight"].to_numpy())
    return counts


def _ratio(counts: Floats) -> Floats:
    """F1 of right, expected and predicted, which the last axis but one holds; 0 where nothing is of the last two."""
    right, expected, predicted = np.moveaxis(counts, -2, 0)
    both = expected + predicted
    found: Floats = np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0)
    return found


def _ends(values: Floats, level: float, flat: Interval) -> Interval:
    """The percentiles of the draws; `flat` where all draws are the same, which is no proof of anything."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return flat if low == high else Interval(float(low), float(high))
