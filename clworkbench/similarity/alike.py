"""Near-duplicates across two lists: which texts say nearly what one of some others says; none is missed."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.similarity.shingles import Hashes, Numbers, batches, jaccard, shingles

OFTEN = 3
"""A shingle of fewer of the others than this is never common."""

SAMPLE = 20_000
"""Texts from which it is learned which shingles are rare."""

TABLE_BITS = 22
SHIFT = np.uint32(32 - TABLE_BITS)
BITS = 512
PART = 1_000_000
"""Characters, and pairs, that are looked at together."""

Codes = NDArray[np.uint64]


class _Side(NamedTuple):
    """Texts, and 32 bits of the numbers that each holds."""

    texts: pl.Series
    marks: Hashes


class _Sets(NamedTuple):
    """The distinct shingles of some texts that tell them apart, text after text, each text's in order."""

    codes: Hashes
    starts: Numbers
    sizes: Numbers


class _Others(NamedTuple):
    """What texts are held against: their rarest shingles are `keys`, in order; `posted[first[k]:]` have the k-th."""

    texts: pl.Series
    sets: _Sets
    frequent: Hashes
    keys: Hashes
    first: Numbers
    posted: Numbers
    met: NDArray[np.bool_]
    shapes: Codes


def alike(
    texts: pl.Series,
    others: pl.Series,
    *,
    threshold: float,
    common: float,
    mark: Literal["texts", "others"] = "texts",
) -> pl.Series:
    """Which texts are nearly the same as one of some others.

    Two texts are when they hold the same numbers and share `threshold` of all shingles that either has (Jaccard), as a
    whole and less the shingles that are common among the others: texts of one template are told apart by the rest.
    Every such pair is found: if two sets share so much, they share one of any shingles of the one, as long as these are
    more than may be missing.

    Args:
        texts: normalised texts; null and empty ones are like no other.
        others: what they are held against; best the shorter list.
        threshold: over 0, up to 1.
        common: a shingle is common when more than this share of the others has it, and at least three of them.
        mark: whether each of `texts`, or each of `others`, is like one of the other list.

    Returns:
        Boolean, in the order of the list that is marked.

    Source: Chaudhuri, Ganti and Kaushik 2006, and Bayardo, Ma and Srikant 2007 (prefix filtering).
    """
    asked = {"texts": texts, "others": others}[mark]
    left, right = (side.drop_nulls().unique(maintain_order=True) for side in (texts, others))
    left, right = left.filter(left.str.len_bytes() > 0), right.filter(right.str.len_bytes() > 0)
    if left.is_empty() or right.is_empty():
        return pl.Series("alike", [False] * len(asked), dtype=pl.Boolean)
    marks = _numbers(left)
    against = _indexed(right, left, marks, threshold, common)
    found = np.zeros(len(left if mark == "texts" else right), dtype=bool)
    for part in batches(left.str.len_chars().cast(pl.Int64).to_numpy() + 2, PART):
        side = _Side(left[part], marks[part])
        owner, codes = _telling(side, against.frequent)
        shapes, sizes = _shapes(owner, codes, len(side.texts)), np.bincount(owner, minlength=len(side.texts))
        hits = np.flatnonzero(against.met[codes >> SHIFT])
        seen = found[part] if mark == "texts" else found
        for low, high in _candidates(against, codes[hits], owner[hits]):
            apart = np.bitwise_count(shapes[low] ^ against.shapes[high]).sum(axis=1, dtype=np.int64)
            near = apart * (1 + threshold) <= (1 - threshold) * (sizes[low] + against.sets.sizes[high]) + 1e-9
            _mark(side, against, low[near], high[near], threshold, seen, first=mark == "texts")
    marked = (left if mark == "texts" else right).filter(pl.Series(found))
    return asked.is_in(marked.implode()).fill_null(value=False).alias("alike")


def _numbers(texts: pl.Series) -> Hashes:
    """32 bits of the numbers that each text holds, in any order."""
    held = pl.col("text").str.extract_all(r"\p{Nd}+").list.sort().list.join(" ").hash(2026)
    return texts.to_frame("text").select(held)["text"].to_numpy().astype(np.uint32)


def _frequent(texts: pl.Series, common: float) -> Hashes:
    """The shingles that more than this share of the texts has, in order."""
    alone = _sets(_Side(texts, np.zeros(len(texts), dtype=np.uint32)), np.empty(0, dtype=np.uint32))
    found, n = np.unique(alone.codes, return_counts=True)
    return found[n >= max(OFTEN, int(common * len(texts)) + 1)]


def _telling(side: _Side, frequent: Hashes) -> tuple[Numbers, Hashes]:
    """The shingles of texts that are not common, repetitions included, each with its text's row before it."""
    hashes, starts = shingles(side.texts)
    owner = np.repeat(np.arange(len(side.texts)), np.diff(np.append(starts, len(hashes))))
    if len(frequent):
        table = np.zeros(1 << TABLE_BITS, dtype=bool)
        table[frequent >> SHIFT] = True
        maybe = np.flatnonzero(table[hashes >> SHIFT])
        place = np.minimum(np.searchsorted(frequent, hashes[maybe]), len(frequent) - 1)
        rare = np.ones(len(hashes), dtype=bool)
        rare[maybe[frequent[place] == hashes[maybe]]] = False
        hashes, owner = hashes[rare], owner[rare]
    return owner, hashes ^ side.marks[owner]


def _shapes(owner: Numbers, codes: Hashes, n: int) -> Codes:
    """512 bits for each of `n` texts: the shingles that one of two texts has alone are at least the bits that differ.

    Source: Sandes, Teodoro and Melo 2020, bitmap filter.
    """
    shapes = np.empty((n, BITS // 64), dtype=np.uint64)
    for start in range(0, n, 10_000):
        some = slice(*np.searchsorted(owner, [start, start + 10_000]))
        drawn = np.zeros((min(10_000, n - start), BITS), dtype=np.uint8)
        drawn[owner[some] - start, codes[some] & np.uint32(BITS - 1)] = 1
        shapes[start : start + len(drawn)] = np.packbits(drawn, axis=1).view(np.uint64)
    return shapes


def _sets(side: _Side, frequent: Hashes) -> _Sets:
    owner, mixed = _telling(side, frequent)
    codes = owner.astype(np.uint64) << np.uint64(32) | mixed
    codes.sort()
    codes = codes[np.append(True, codes[1:] != codes[:-1])] if len(codes) else codes
    sizes = np.bincount((codes >> np.uint64(32)).astype(np.int64), minlength=len(side.texts))
    return _Sets((codes & np.uint64(0xFFFFFFFF)).astype(np.uint32), np.cumsum(sizes) - sizes, sizes)


def _seen(texts: pl.Series, marks: Hashes) -> Numbers:
    """How often shingles are met in a sample of the texts, by the first bits of their codes."""
    every = np.arange(0, len(texts), max(1, len(texts) // SAMPLE))
    hashes, starts = shingles(texts[every])
    mixed = hashes ^ np.repeat(marks[every], np.diff(np.append(starts, len(hashes))))
    return np.bincount(mixed >> SHIFT, minlength=1 << TABLE_BITS)


def _indexed(texts: pl.Series, left: pl.Series, left_marks: Hashes, threshold: float, common: float) -> _Others:
    """Of each text the rarest shingles, one more than may be missing from a text that is so like it."""
    frequent = _frequent(texts, common)
    sets = _sets(_Side(texts, _numbers(texts)), frequent)
    seen = _seen(left, left_marks)
    owner = np.repeat(np.arange(len(texts)), sets.sizes)
    order = np.lexsort((sets.codes, seen[sets.codes >> SHIFT], owner))
    place = np.arange(len(owner)) - sets.starts[owner]
    needed = sets.sizes - np.ceil(threshold * sets.sizes - 1e-9).astype(np.int64) + 1
    chosen = order[place < needed[owner]]
    codes, posted = sets.codes[chosen], owner[chosen]
    by_code = np.lexsort((posted, codes))
    keys, first = np.unique(codes[by_code], return_index=True)
    met = np.zeros(1 << TABLE_BITS, dtype=bool)
    met[keys >> SHIFT] = True
    shapes = _shapes(owner, sets.codes, len(texts))
    return _Others(texts, sets, frequent, keys, np.append(first, len(posted)), posted[by_code], met, shapes)


def _candidates(against: _Others, codes: Hashes, rows: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs of a text and an other that share an indexed shingle, so many at a time."""
    if not len(against.keys):
        return
    place = np.minimum(np.searchsorted(against.keys, codes), len(against.keys) - 1)
    real = np.flatnonzero(against.keys[place] == codes)
    place, rows = place[real], rows[real]
    counts = against.first[place + 1] - against.first[place]
    for part in batches(counts, PART):
        n = counts[part]
        within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        yield np.repeat(rows[part], n), against.posted[np.repeat(against.first[place[part]], n) + within]


def _mark(
    side: _Side,
    against: _Others,
    low: Numbers,
    high: Numbers,
    threshold: float,
    found: NDArray[np.bool_],
    *,
    first: bool,
) -> None:
    """Marks in `found` what is alike: each is tried against one candidate, then against eight times as many."""
    codes = (low if first else high).astype(np.uint64) << np.uint64(32) | (high if first else low).astype(np.uint64)
    codes.sort()
    codes = codes[np.append(True, codes[1:] != codes[:-1])] if len(codes) else codes
    ours, theirs = (codes >> np.uint64(32)).astype(np.int64), (codes & np.uint64(0xFFFFFFFF)).astype(np.int64)
    begins = np.flatnonzero(np.append(True, ours[1:] != ours[:-1])) if len(ours) else ours
    turn = np.arange(len(ours)) - np.repeat(begins, np.diff(np.append(begins, len(ours))))
    reached, most = 0, 1
    while reached <= turn.max(initial=-1):
        now = np.flatnonzero((turn >= reached) & (turn < most) & ~found[ours])
        for part in batches(np.full(len(now), 150), PART):
            one, other = ours[now[part]], theirs[now[part]]
            similar = _similar(side, against, *((one, other) if first else (other, one)), threshold)
            found[one[similar]] = True
        reached, most = most, most * 8


def _similar(side: _Side, against: _Others, low: Numbers, high: Numbers, threshold: float) -> NDArray[np.bool_]:
    """Which pairs are alike: first by what tells texts apart, then as a whole."""
    rows, place = np.unique(low, return_inverse=True)
    sets = _sets(_Side(side.texts[rows], side.marks[rows]), against.frequent)
    small, large = np.sort([sets.sizes[place], against.sets.sizes[high]], axis=0)
    likely = np.flatnonzero((small >= threshold * large) & (small > 0))
    likely = likely[_jaccard(sets, against.sets, place[likely], high[likely]) >= threshold]
    found = np.zeros(len(low), dtype=bool)
    both = pl.concat([side.texts[low[likely]], against.texts[high[likely]]])
    n = len(likely)
    found[likely] = jaccard(both, np.arange(n), np.arange(n, 2 * n)) >= threshold
    return found


def _jaccard(sets: _Sets, held: _Sets, low: Numbers, high: Numbers) -> NDArray[np.float64]:
    sides = [_gathered(sets, low), _gathered(held, high)]
    codes = np.concatenate(sides)
    codes.sort()
    both = (codes[1:][codes[1:] == codes[:-1]] >> np.uint64(32)).astype(np.int64)
    shared = np.bincount(both, minlength=len(low))
    similarity: NDArray[np.float64] = shared / np.maximum(sets.sizes[low] + held.sizes[high] - shared, 1)
    return similarity


def _gathered(sets: _Sets, rows: Numbers) -> Codes:
    """The shingles of these sets, each with the number of its pair above it."""
    sizes = sets.sizes[rows]
    pair = np.repeat(np.arange(len(rows)), sizes)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    codes: Codes = pair.astype(np.uint64) << np.uint64(32) | sets.codes[sets.starts[rows][pair] + within]
    return codes
