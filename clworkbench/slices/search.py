"""The search for bad slices: every conjunction of up to three conditions, counted from tables of codes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clworkbench.slices.attributes import Attribute

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

DEPTH = 3
"""Conditions in a slice."""

PROMISING = 12
"""Attributes of which all threes are looked at, the most telling ones; of all, alone and in pairs."""

STRIKING = 2.5
"""Standard errors by which a slice must be worse than the rest to be remembered."""

ADDS = 2.33
"""Standard errors by which a further condition must be worse than what it leaves out: one-sided 1 %."""

SMALL_PART = 0.05
"""A condition that leaves out less than this of a slice says nothing that the slice does not."""

A_TABLE, REMEMBERED = 40, 400


class Conjunction(NamedTuple):
    """Conditions that hold together: by attribute's place, the condition's place; and how striking it is."""

    z: float
    parts: tuple[tuple[int, int], ...]

    def rows(self, attributes: Sequence[Attribute]) -> Booleans:
        """In which rows all of them hold."""
        masks = [attributes[which].rows(condition) for which, condition in self.parts]
        held: Booleans = np.logical_and.reduce(masks)
        return held


@dataclass(frozen=True)
class Found:
    """What a search remembers: the most striking conjunctions first, and how many it counted."""

    conjunctions: list[Conjunction]
    n_searched: int

    def crowded(self, z: float) -> bool:
        """Whether more as striking as this may have been forgotten."""
        return len(self.conjunctions) == REMEMBERED and self.conjunctions[-1].z >= z


class Cells(NamedTuple):
    """Of each conjunction of a table: rows and sum of the values, a dimension for each attribute."""

    n: Floats
    total: Floats


@dataclass(frozen=True)
class Whole:
    """All rows that are searched: how many, their mean and spread, and whether they are 0 and 1 only."""

    n: int
    mean: float
    spread: float
    binary: bool

    def striking(self, cells: Cells) -> Floats:
        """By how many standard errors each is worse than the rest, were all alike; -inf where there is no rest."""
        with np.errstate(divide="ignore", invalid="ignore"):
            error = self.spread * np.sqrt(1 / cells.n - 1 / self.n)
            return np.nan_to_num((cells.total / cells.n - self.mean) / error, nan=-np.inf, posinf=-np.inf)

    def adds(self, cells: Cells, parent: Cells) -> Booleans:
        """Whether each is worse than what else its parent holds."""
        left, total = parent.n - cells.n, parent.total - cells.total
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = parent.total / parent.n
            spread = np.sqrt(mean * (1 - mean)) if self.binary else self.spread
            z = (cells.total / cells.n - total / left) / (spread * np.sqrt(1 / cells.n + 1 / left))
            return (np.nan_to_num(z, nan=0.0) >= ADDS) & (left >= SMALL_PART * parent.n)


def search(attributes: Sequence[Attribute], values: Floats, *, least: int) -> Found:
    """Every conjunction of conditions on up to three attributes that is strikingly worse than the rest.

    Each table is counted once, by the codes of its attributes, and folded into all conditions, ranges among them. A
    conjunction must be met by `least` rows, missed by as many, and be worse than what else each of its parents (it
    without one of its conditions, or with a wider range) holds.

    Args:
        attributes: of the rows.
        values: a number for each row, high where the model does badly.
        least: rows.
    """
    spread = float(values.std())
    if spread == 0 or not attributes:
        return Found([], 0)
    whole = Whole(len(values), float(values.mean()), spread, bool(np.isin(values, (0.0, 1.0)).all()))
    tables: dict[tuple[int, ...], Cells] = {}
    found: list[Conjunction] = []
    n_searched = 0
    best = np.zeros(len(attributes))
    for depth in range(1, DEPTH + 1):
        places = range(len(attributes)) if depth < DEPTH else sorted(np.argsort(-best, kind="stable")[:PROMISING])
        for which in combinations([int(place) for place in places], depth):
            cells = _cells([attributes[place] for place in which], values)
            if depth < DEPTH:
                tables[which] = cells
            large = (cells.n >= least) & (cells.n <= whole.n - least)
            n_searched += int(large.sum())
            z = np.where(large, whole.striking(cells), -np.inf)
            for hit in _best(whole, z, cells, which, attributes, tables):
                found.append(hit)
                best[list(which)] = np.maximum(best[list(which)], hit.z)
        found = sorted(found, key=lambda one: (-one.z, len(one.parts), one.parts))[:REMEMBERED]
    return Found(found, n_searched)


def _cells(attributes: Sequence[Attribute], values: Floats) -> Cells:
    shape = tuple(attribute.selects.shape[1] for attribute in attributes)
    code = attributes[0].codes.astype(np.intp)
    for attribute, width in zip(attributes[1:], shape[1:], strict=True):
        code *= width
        code += attribute.codes
    size = int(np.prod(shape))
    n = np.bincount(code, minlength=size).astype(np.float64).reshape(shape)
    total = np.bincount(code, weights=values, minlength=size).reshape(shape)
    for axis, attribute in enumerate(attributes):
        n, total = _folded(n, attribute, axis), _folded(total, attribute, axis)
    return Cells(n, total)


def _folded(table: Floats, attribute: Attribute, axis: int) -> Floats:
    """A table over codes as one over conditions, along one of its dimensions."""
    folded = np.tensordot(attribute.selects.astype(np.float64), table, axes=(1, axis))
    return np.moveaxis(folded, 0, axis)


def _best(
    whole: Whole,
    z: Floats,
    cells: Cells,
    which: tuple[int, ...],
    attributes: Sequence[Attribute],
    tables: Mapping[tuple[int, ...], Cells],
) -> Iterator[Conjunction]:
    """The most striking of a table that add something to each of their parents."""
    places = np.nonzero(z >= STRIKING)
    kept = np.ones(len(places[0]), dtype=np.bool_)
    here = Cells(cells.n[places], cells.total[places])
    for axis, number in enumerate(which):
        if len(which) > 1:
            parent = tables[which[:axis] + which[axis + 1 :]]
            without = places[:axis] + places[axis + 1 :]
            kept &= whole.adds(here, Cells(parent.n[without], parent.total[without]))
        for wider in attributes[number].wider.T[:, places[axis]]:
            there = (*places[:axis], wider, *places[axis + 1 :])
            kept &= (wider < 0) | whole.adds(here, Cells(cells.n[there], cells.total[there]))
    left = np.flatnonzero(kept)
    striking = z[places]
    for at in left[np.argsort(-striking[left], kind="stable")][:A_TABLE]:
        yield Conjunction(float(striking[at]), tuple((n, int(p[at])) for n, p in zip(which, places, strict=True)))


def fresh(
    found: Sequence[Conjunction], attributes: Sequence[Attribute], values: Floats, *, least: int, most: int, z: float
) -> list[Conjunction]:
    """Those that say something which the ones before them do not, the most striking first.

    One that overlaps those before it must be worse than the rest in the rows that they do not hold; one that they
    hold nearly whole (four fifths), worse than what else they hold, and what else any does that alone holds it so.

    Args:
        found: the most striking first.
        attributes: of the rows.
        values: as for `search`.
        least: rows that must be left to judge by.
        most: how many to keep.
        z: standard errors by which it must be worse.
    """
    covered = np.zeros(len(values), dtype=np.bool_)
    kept: list[Conjunction] = []
    held: list[Booleans] = []
    for one in found:
        if len(kept) == most:
            break
        rows = one.rows(attributes)
        new = rows & ~covered
        pairs = [(new, ~covered & ~rows)]
        if _nearly_whole(rows, covered):
            pairs = [(rows, other & ~rows) for other in (covered, *held) if _nearly_whole(rows, other)]
        if all(_z(values, inside, outside, least) >= z for inside, outside in pairs):
            kept.append(one)
            held.append(rows)
            covered |= rows
    return kept


def _nearly_whole(rows: Booleans, others: Booleans) -> bool:
    return bool((rows & ~others).sum() < 0.2 * rows.sum())


def _z(values: Floats, inside: Booleans, outside: Booleans, least: int) -> float:
    n, left = int(inside.sum()), int(outside.sum())
    if n < max(2, least // 2) or left < max(2, least // 2):
        return 0.0
    apart = float(values[inside].mean() - values[outside].mean())
    spread = float(values[inside | outside].std())
    return apart / (spread * sqrt(1 / n + 1 / left)) if spread > 0 else 0.0
