"""How far a judge agrees with people: Cohen's kappa overall and by slice, and what it mistakes for what."""

from collections.abc import Mapping
from math import isnan
from typing import NamedTuple

import numpy as np
import polars as pl

from clworkbench.statistics.intervals import Interval, wilson
from clworkbench.statistics.kappa import Kappa, kappa

ALL = "all"

LEAST = 50
"""With fewer answers graded by both, kappa's normal interval means little; for longer scales see `fewest`."""

LEAST_IN_SLICE = 30
"""With fewer, a slice is told as not measured."""

MOST_UNGRADED = 0.1
"""A judge that grades fewer of the answers than this leaves out may choose the ones that are easy."""

GRADES = pl.Schema({"key": pl.String(), "person": pl.Int64(), "judge": pl.Int64(), "slices": pl.List(pl.String())})
"""One row for each labelled answer: a keyed hash of the answer and of what people said, their grade, the judge's (null
where it gave none), and the slices that the answer is in. No texts, no ids."""

AGREEMENT = pl.Schema(
    {
        "slice": pl.String(),
        "n": pl.Int64(),
        "ungraded": pl.Int64(),
        "same": pl.Float64(),
        "kappa": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "sensitivity": pl.Float64(),
        "sensitivity_low": pl.Float64(),
        "sensitivity_high": pl.Float64(),
        "specificity": pl.Float64(),
        "specificity_low": pl.Float64(),
        "specificity_high": pl.Float64(),
        "higher": pl.Float64(),
    }
)
"""One row for each slice, `all` first: `n` answers that both graded, `ungraded` by the judge, the share with the `same`
grade, kappa with its 95 % interval (null where it is undefined), and by how much the judge's mean grade is `higher`
than people's. Where grades are pass and fail: of the answers that people pass the share that the judge passes
(`sensitivity`), and of those that they fail the share that it fails (`specificity`), with Wilson's 95 % intervals."""


class Measured(NamedTuple):
    """What both said of the same answers.

    Attributes:
        frame: `AGREEMENT`.
        confusion: `person`, `judge` (null: no grade), `n`: how often each two grades met.
    """

    frame: pl.DataFrame
    confusion: pl.DataFrame


def fewest(ratings: int | None) -> int:
    """How many answers both must have graded before their agreement says anything: 50, and two for each pair of grades.

    Source: n of at least 2k² for k grades: Cicchetti 1981, Applied Psychological Measurement 5:101-104.
    """
    return max(LEAST, 2 * (ratings or 2) ** 2)


def measured(grades: pl.DataFrame, ratings: int | None) -> Measured:
    """Agreement overall and in each slice.

    Args:
        grades: `GRADES`; a slice of the name `all` is not told, since that row is of all answers.
        ratings: the scale's highest grade; None for pass (1) and fail (0), whose kappa is plain. Differences of ratings
            count by their squares.
    """
    slices = grades["slices"].explode(keep_nulls=False, empty_as_null=False).unique().sort()
    parts = {ALL: grades} | {
        name: grades.filter(pl.col("slices").list.contains(name)) for name in slices if name != ALL
    }
    rows = [_row(name, part, ratings) for name, part in parts.items()]
    confusion = grades.group_by("person", "judge").agg(n=pl.len().cast(pl.Int64)).sort("person", "judge")
    return Measured(pl.DataFrame(rows, schema=AGREEMENT), confusion)


def _row(name: str, grades: pl.DataFrame, ratings: int | None) -> dict[str, object]:
    both = grades.drop_nulls("judge")
    person, judge = (both[side].cast(pl.Float64).to_numpy() for side in ("person", "judge"))
    found: Kappa = kappa(person, judge, weights="none" if ratings is None else "quadratic")
    row: dict[str, object] = {
        "slice": name,
        "n": both.height,
        "ungraded": grades.height - both.height,
        "same": float(np.mean(person == judge)) if both.height else None,
        "kappa": None if isnan(found.kappa) else found.kappa,
        "low": found.low,
        "high": found.high,
        "higher": float(np.mean(judge - person)) if both.height else None,
    }
    return row if ratings is not None else row | _rates(both)


def _rates(both: pl.DataFrame) -> dict[str, float | None]:
    """How often the judge says what people say, of the answers that they pass and of those that they fail."""
    found: dict[str, float | None] = {}
    for name, grade in (("sensitivity", 1), ("specificity", 0)):
        theirs = both.filter(person=grade)
        right, n = theirs.filter(judge=grade).height, theirs.height
        bounds: Interval = wilson(right, n)
        found |= {name: right / n if n else None, f"{name}_low": bounds.low, f"{name}_high": bounds.high}
    return found


def why_not(row: Mapping[str, object], min_kappa: float, least: int) -> str | None:
    """Why a judge's grades may not decide, by one row of `AGREEMENT`; None where they may.

    Args:
        row: of a slice, or of all.
        min_kappa: what the lower end of kappa's interval must reach.
        least: how many answers both must have graded.
    """
    n, ungraded, found, low, high = (row[key] for key in ("n", "ungraded", "kappa", "low", "high"))
    assert isinstance(n, int)
    assert isinstance(ungraded, int)
    if n < least:
        return f"{n} answers graded by both, and at least {least} are wanted"
    if ungraded > MOST_UNGRADED * (n + ungraded):
        return f"the judge gave no grade for {ungraded} of {n + ungraded} answers"
    if not isinstance(found, float) or not isinstance(low, float) or not isinstance(high, float):
        return f"both gave one and the same grade to all {n} answers, so that chance alone would agree"
    if low < min_kappa:
        said = f"kappa {found:.2f} [{low:.2f}, {high:.2f}] over {n} answers"
        return f"{said} is not shown to reach min_kappa = {min_kappa:g}"
    return None
