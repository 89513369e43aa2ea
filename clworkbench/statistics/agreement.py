"""Krippendorff's alpha: how far annotators agree beyond chance, with an interval from resampled units.

1 is full agreement, 0 what chance gives, less than 0 worse than chance. Values stand in an array of units × annotators,
nan where somebody said nothing; only units that two or more answered count.

Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", University of Pennsylvania; for the interval
Zapf, Castell, Morawietz and Karch 2016, BMC Medical Research Methodology 16:93 (units drawn again with replacement).
"""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from clworkbench.statistics.intervals import exact_upper

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: tuple[Level, ...] = get_args(Level)
Floats = NDArray[np.float64]

DRAWS = 2_000
SPARSE = 10
"""Where fewer units hold different answers than this, resampling them says little about what was not seen."""

AT_ONCE = 4_000_000
"""Cells of the table of draws × units that are held in memory at a time."""

KENDALL: Floats = np.abs(np.subtract.outer(np.arange(3.0), np.arange(3.0))) / 2
"""Between the codes 0 (the first of two options is better), 1 (a tie) and 2 (the second is): a tie is half way.

Source: Fagin, Kumar, Mahdian, Sivakumar and Vee 2004, PODS, Kendall's distance with penalty 1/2 for a tie.
"""


class Alpha(NamedTuple):
    """Krippendorff's alpha, and how sure it is.

    Attributes:
        alpha: nan where it is undefined.
        low: where its 95 % interval begins; None where nothing bounds it.
        high: where it ends.
        n: units that two or more annotators answered (records, where units are parts of records).
        spread: standard deviation of the resampled alphas; nan where there are none.
        why: in words why alpha is undefined; empty where it is not.
    """

    alpha: float
    low: float | None
    high: float | None
    n: int
    spread: float
    why: str = ""


class _Units(NamedTuple):
    """What is drawn with replacement: units (or records), the same ones counted together.

    `apart` is a unit's own disagreement, None where it hangs on all others (ordinal); `differ`: whether there is any.
    """

    counts: Floats
    apart: Floats | None
    times: Floats
    distances: Floats
    differ: NDArray[np.bool_]


def alpha(values: Floats, level: Level | Floats = "nominal") -> float:
    """Krippendorff's alpha; nan where no unit has two answers, or all answers are the same.

    Args:
        values: units × annotators: numbers for ordinal and interval, codes for nominal; nan where nothing was said.
        level: how far two values are apart: `nominal` (the same or not), `ordinal` (by ranks), `interval` (squared
            difference); or a table of distances (0 to 1, symmetric) between the codes 0, 1, 2, …
    """
    units = _units(values, level)
    return nan if units is None else float(_alphas(units, units.times[np.newaxis])[0])


def measured(
    values: Floats,
    level: Level | Floats = "nominal",
    *,
    records: Sequence[int] | NDArray[np.int64] | None = None,
    times: Sequence[float] | Floats | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Alpha:
    """Alpha with the 2.5 % and 97.5 % quantiles of the alphas of units drawn again with replacement.

    Draws in which all values are the same have no alpha and are passed over. Where fewer than 10 units hold different
    answers, draws know little of what was not seen, and nothing where none does: the interval is then at least as wide
    as that of the share of such units, each as far apart as those that were seen (`sparse_interval`).

    Args:
        values: as for `alpha`.
        level: as for `alpha`.
        records: the number of the record to which each unit belongs, where units are parts of records (characters,
            pairs of options): records are drawn, for their parts hang together. Not for `ordinal`.
        times: how many units a row stands for; one when None.
        draws: how often units are drawn.
        seed: of the draws.
    """
    units = _units(values, level, records, times)
    n = 0 if units is None else round(float(units.times.sum()))
    if units is None:
        return Alpha(nan, None, None, 0, nan, "no record was answered by two annotators")
    found = float(_alphas(units, units.times[np.newaxis])[0])
    if isnan(found):
        return Alpha(nan, None, None, n, nan, "all answers are the same, so chance could not have made them differ")
    drawn = np.concatenate(list(_drawn(units, draws, np.random.default_rng(seed))))
    drawn = drawn[~np.isnan(drawn)]
    low, high = (float(bound) for bound in np.quantile(drawn, [0.025, 0.975]))
    differing = round(float(units.times[units.differ].sum()))
    if differing < SPARSE:
        sparse = sparse_interval(found, differing, n, _chance(units.times @ units.counts))
        low, high = min(low, sparse.low), max(high, sparse.high)
    return Alpha(found, low, high, n, float(drawn.std(ddof=1)), "")


class Ends(NamedTuple):
    """Where an interval begins and ends."""

    low: float
    high: float


def sparse_interval(agreement: float, differing: int, n: int, chance: float) -> Ends:
    """The 95 % interval of an agreement beyond chance that few units speak against, within -1 to 1.

    Args:
        agreement: alpha or kappa, 1 where `differing` is 0.
        differing: units with different answers.
        n: all units, at least 1.
        chance: share of pairs of answers that would differ by chance (above 0).

    Source: the exact interval of a share, Clopper and Pearson 1934, as a factor of what is lacking to full agreement.
    """
    most, least = exact_upper(differing, n, level=0.975), 1 - exact_upper(n - differing, n, level=0.975)
    each = (1 - agreement) / differing if differing else 1 / (chance * n)
    return Ends(max(-1.0, 1 - each * n * most), min(1.0, 1 - each * n * least))


def apart(values: Floats, level: Level | Floats = "nominal") -> Floats:
    """How far apart each unit's answers are: 1 is as far as two answers drawn at random from all.

    The mean over units, each weighed by its number of answers, is 1 - alpha.

    Args:
        values: as for `alpha`.
        level: as for `alpha`.

    Returns:
        One number for each row of `values`; nan where it has fewer than two answers, or where alpha is undefined.
    """
    paired = (~np.isnan(values)).sum(axis=1) > 1
    found = np.full(len(values), nan)
    if not paired.any():
        return found
    scale, counts = _counts(values[paired], None if isinstance(level, str) else len(level))
    said, m = counts.sum(axis=0), counts.sum(axis=1)
    if _is_ordinal(level):
        scale, level = said.cumsum() - said / 2, "interval"
    distances = _distances(scale, level)
    expected = (said @ distances @ said) / (said.sum() - 1)
    if expected > 0:
        found[paired] = ((counts @ distances) * counts).sum(axis=1) / (m * (m - 1)) * said.sum() / expected
    return found


def masi(sets: Sequence[frozenset[str]]) -> Floats:
    """Distances (0 to 1) between sets, for `alpha`: 1 - Jaccard's index × how the sets lie to each other.

    The second factor is 1 for equal sets, 2/3 where one contains the other, 1/3 where they overlap otherwise, 0 where
    they do not; two empty sets are equal.

    Source: Passonneau 2006, "Measuring Agreement on Set-valued Items (MASI)", LREC.
    """
    return np.array([[1 - _likeness(a, b) for b in sets] for a in sets])


def _likeness(a: frozenset[str], b: frozenset[str]) -> float:
    if a == b:
        return 1.0
    kind = 2 / 3 if a < b or b < a else 1 / 3
    return kind * len(a & b) / len(a | b)


def _units(
    values: Floats,
    level: Level | Floats,
    records: Sequence[int] | NDArray[np.int64] | None = None,
    times: Sequence[float] | Floats | None = None,
) -> _Units | None:
    """Counts of each value in each unit that two or more answered, the same units together; None without any."""
    paired = (~np.isnan(values)).sum(axis=1) > 1
    values = values[paired]
    if not len(values):
        return None
    scale, counts = _counts(values, None if isinstance(level, str) else len(level))
    distances = _distances(scale, level)
    apart = ((counts @ distances) * counts).sum(axis=1) / (counts.sum(axis=1) - 1)
    if records is None and times is None:
        counts, first, same = np.unique(counts, axis=0, return_index=True, return_counts=True)
        own = None if _is_ordinal(level) else apart[first]
        return _Units(counts, own, same.astype(np.float64), distances, apart[first] > 0)
    weight = np.ones(len(values)) if times is None else np.asarray(times, dtype=np.float64)[paired]
    of = np.arange(len(values)) if records is None else np.asarray(records)[paired]
    number = np.unique(of, return_inverse=True)[1]
    n = int(number.max()) + 1
    whole = np.zeros((n, counts.shape[1]))
    np.add.at(whole, number, counts * weight[:, np.newaxis])
    own = np.bincount(number, apart * weight, minlength=n).astype(np.float64)
    return _Units(whole, own, np.ones(n), distances, own > 0)


def _is_ordinal(level: Level | Floats) -> bool:
    return isinstance(level, str) and level == "ordinal"


def _counts(values: Floats, n_codes: int | None) -> tuple[Floats, Floats]:
    """The values there are, ascending (or all codes), and how many annotators of each unit gave each."""
    row, column = np.nonzero(~np.isnan(values))
    given = values[row, column]
    scale = np.unique(given) if n_codes is None else np.arange(n_codes, dtype=np.float64)
    place = np.searchsorted(scale, given)
    flat = np.bincount(row * len(scale) + place, minlength=len(values) * len(scale))
    return scale, flat.reshape(len(values), len(scale)).astype(np.float64)


def _distances(scale: Floats, level: Level | Floats) -> Floats:
    if not isinstance(level, str):
        return np.asarray(level, dtype=np.float64)
    if level == "interval":
        return np.subtract.outer(scale, scale) ** 2
    return 1 - np.eye(len(scale))


def _drawn(units: _Units, draws: int, random: np.random.Generator) -> Iterator[Floats]:
    """Alphas of units drawn with replacement; drawing how often each kind of unit comes is the same, and faster."""
    n = round(float(units.times.sum()))
    at_once = max(1, AT_ONCE // len(units.times))
    for begun in range(0, draws, at_once):
        drawn = random.multinomial(n, units.times / n, size=min(at_once, draws - begun))
        yield _alphas(units, drawn.astype(np.float64))


def _alphas(units: _Units, drawn: Floats) -> Floats:
    """One alpha for each row of `drawn` (how often each unit comes); nan where all values are the same."""
    said = drawn @ units.counts
    n = said.sum(axis=1)
    if units.apart is None:
        ranks = said.cumsum(axis=1) - said / 2
        seen = (drawn * _squared(units.counts, ranks)).sum(axis=1)
        expected = 2 * (n * (said * ranks**2).sum(axis=1) - (said * ranks).sum(axis=1) ** 2)
    else:
        seen = drawn @ units.apart
        expected = ((said @ units.distances) * said).sum(axis=1)
    differ = (said > 0).sum(axis=1) > 1
    return np.where(differ, 1 - (n - 1) * seen / np.where(differ, expected, 1.0), nan)


def _squared(counts: Floats, ranks: Floats) -> Floats:
    """Each unit's disagreement for each draw's own ranks: draws × units."""
    m = counts.sum(axis=1)
    return np.asarray(2 * (m * (ranks**2 @ counts.T) - (ranks @ counts.T) ** 2) / (m - 1))


def _chance(said: Floats) -> float:
    """Share of pairs of values that differ."""
    n = said.sum()
    return float((n**2 - (said**2).sum()) / (n * (n - 1)))
