"""Learning curves: how a model's error falls with the rows it learned, and what more rows may still bring."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.errors import EvidenceError
from clworkbench.statistics.intervals import quantile

Floats = NDArray[np.float64]

SIZES = 3
"""Different numbers of rows below which three unknowns are not bounded."""

EXPONENTS = np.linspace(0.05, 1.0, 39)
"""What is tried for c: on real data it was 0.07 to 0.35 (Hestness et al.), and theory gives 0.5 and 1."""

FALLS = np.linspace(0.0, 1.0, 1001)
"""What is tried for b n^-c at the fewest rows: the part of the error there that learning takes away."""


class Run(NamedTuple):
    """A model that was measured: the rows it learned, its error (0 to 1), and over how many examples."""

    rows: int
    error: float
    examples: int


class Expected(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, repr=False)
class LearningCurve:
    """error(n) = a + b n^-c, with every such curve that the runs do not speak against.

    Attributes:
        a: the error that no number of rows takes away.
        b: scale.
        c: how fast the rest falls, 0.05 to 1.
        runs: what it was fitted to.
        others: one row for each b and c within the 95 % interval: the least and the largest a, b, c.
    """

    a: float
    b: float
    c: float
    runs: tuple[Run, ...]
    others: Floats

    def __repr__(self) -> str:
        return f"LearningCurve(error = {self.a:.3f} + {self.b:.3g} n^-{self.c:.2f}, from {len(self.runs)} runs)"

    def error(self, n: float) -> Expected:
        """The error of a model that learned `n` rows (1 or more)."""
        least, largest, b, c = self.others.T
        falling = b * n**-c
        return Expected(
            self.a + self.b * n**-self.c, float((least + falling).min()), float(min(1.0, (largest + falling).max()))
        )

    def gain(self, now: float, then: float) -> Expected:
        """By how much the error falls where `then` rows are learned, not `now` (1 or more)."""
        _, _, b, c = self.others.T
        gains = b * (now**-c - then**-c)
        return Expected(self.b * (now**-self.c - then**-self.c), float(gains.min()), float(gains.max()))

    def rows_for(self, gain: float, now: int, *, most: int) -> int | None:
        """How many rows more than `now` leave room for such a gain; None where not even `most` do."""
        if self.gain(now, now + most).high < gain:
            return None
        few, many = 0, most
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if self.gain(now, now + middle).high >= gain else (middle, many)
        return many


def learning_curve(runs: Sequence[Run]) -> LearningCurve:
    """Fits an inverse power law to past runs.

    Each error has the variance of a share of its examples. Every b and c (and its best a) is tried on a grid; the
    interval of a value is its range over all curves that fit nearly as well as the best one (profile likelihood), so
    that few runs, which cannot tell the curves apart, give a wide one. Runs that scatter more than their examples
    explain widen it further. As all are measured on the same examples, the interval of a gain is rather too wide.

    Args:
        runs: at least 3 different numbers of rows, each 1 or more; errors from 0 to 1.

    Raises:
        EvidenceError: too few runs, or a number that is none.

    Source: the form: Cortes, Jackel, Solla, Vapnik and Denker 1993, "Learning curves: asymptotic values and rate of
        convergence", eq. (1), and Hestness et al. 2017, arXiv:1712.00409; the interval: Venzon and Moolgavkar 1988,
        Applied Statistics 37:87-94; what scatters more: McCullagh and Nelder 1989, Generalized Linear Models, 4.5.
    """
    for run in runs:
        if not (run.rows >= 1 and 0 <= run.error <= 1 and run.examples >= 1):
            raise EvidenceError(f"learning curve: {run} is no run. Rows and examples are 1 or more, errors 0 to 1.")
    sizes = len({run.rows for run in runs})
    if sizes < SIZES:
        raise EvidenceError(f"learning curve: runs of {sizes} different sizes, and {SIZES} are needed.")
    n, error = np.array([run.rows for run in runs], float), np.array([run.error for run in runs])
    weight = _weights(error, np.array([run.examples for run in runs], float))
    # Over exponents, falls and runs: what b n^-c takes off at each run.
    falling = FALLS[None, :, None] * (n / n.min())[None, None, :] ** -EXPONENTS[:, None, None]
    a = ((error - falling) * weight).sum(-1) / weight.sum()
    misfit = (weight * (error - falling - a[..., None]) ** 2).sum(-1)
    clipped = misfit + weight.sum() * np.minimum(a, 0) ** 2
    best = np.unravel_index(clipped.argmin(), clipped.shape)
    slack = (clipped[best] + _reach(float(clipped[best]), len(runs)) - misfit) / weight.sum()
    spread = np.sqrt(np.maximum(slack, 0))
    inside = (slack >= 0) & (a + spread >= 0)
    exponents = np.broadcast_to(EXPONENTS[:, None], a.shape)
    scales = FALLS[None, :] * n.min() ** EXPONENTS[:, None]
    others = [np.maximum(a - spread, 0), a + spread, scales, exponents]
    return LearningCurve(
        max(0.0, float(a[best])), float(scales[best]), float(exponents[best]), tuple(runs),
        np.stack([part[inside] for part in others], axis=-1),
    )  # fmt: skip


def _weights(error: Floats, examples: Floats) -> Floats:
    """One over the variance of each error; two right and two wrong answers more keep it off 0 (Agresti and Coull)."""
    share = (error * examples + 2) / (examples + 4)
    return np.asarray(examples / (share * (1 - share)))


def _reach(misfit: float, n_runs: int) -> float:
    """How much worse than the best a curve may fit."""
    left = n_runs - 3
    if left < 1 or misfit <= left:
        return quantile(0.95) ** 2
    from scipy.special import stdtrit

    return float(misfit / left * stdtrit(left, 0.975) ** 2)
