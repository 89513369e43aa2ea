"""Shingles: the runs of characters that a text is made of, as hashes, and how many of them two texts share."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

LENGTH = 5
"""Characters of a shingle. Texts about the same thing in other words share few of five."""

Hashes = NDArray[np.uint32]
Numbers = NDArray[np.int64]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class Shingles(NamedTuple):
    """Hashes of all shingles of some texts, text after text, repetitions included; `starts` is where each begins."""

    hashes: Hashes
    starts: Numbers


def shingles(texts: pl.Series) -> Shingles:
    """The shingles of texts of which none is null; a shorter text is filled up with blanks, and so has one."""
    letters, ends = spelled(texts)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
    return Shingles(runs(letters, ends, LENGTH), starts)


def spelled(texts: pl.Series) -> tuple[Hashes, Numbers]:
    """The code points of all texts, each between two blanks and at least `LENGTH` long, and where each text ends."""
    framed = texts.to_frame("text").select(framed=pl.format(" {} ", "text").str.pad_end(LENGTH, " "))["framed"]
    letters = np.frombuffer("".join(framed).encode("utf-32-le"), dtype=np.uint32)
    return letters, framed.str.len_chars().cast(pl.Int64).cum_sum().to_numpy()


def runs(letters: Hashes, ends: Numbers, length: int) -> Hashes:
    """A hash of the run that begins at each letter; where too few are left in a text, the last whole run's again.

    Args:
        letters: code points, text after text.
        ends: where each text ends; none is shorter than `length`.
        length: letters in a run.
    """
    mixed = np.zeros(len(letters), dtype=np.uint64)
    whole = mixed[: max(0, len(letters) - length + 1)]
    for place in range(length):
        whole *= _FACTOR
        whole += letters[place : place + len(whole)]
    hashes = mixed_up(mixed)
    for back in range(1, length):
        hashes[ends - back] = hashes[ends - length]
    return hashes


def mixed_up(codes: NDArray[np.uint64]) -> Hashes:
    """32 bits of each code, in which near codes are far apart; the codes are used up."""
    codes ^= codes >> np.uint64(32)
    codes *= _MIX
    return (codes >> np.uint64(32)).astype(np.uint32)


def batches(weights: Numbers, most: int) -> Iterator[slice]:
    """Slices of consecutive rows whose weights add up to about `most`; a heavier row stands alone."""
    reached = np.cumsum(weights)
    start = 0
    while start < len(weights):
        before = reached[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(reached, before + most, side="right")))
        yield slice(start, stop)
        start = stop


def jaccard(texts: pl.Series, left: Numbers, right: Numbers) -> NDArray[np.float64]:
    """Shared shingles of two texts as a part of all that either has (0 to 1), for each pair of rows."""
    found = np.empty(len(left))
    lengths = texts.str.len_chars().cast(pl.Int64).to_numpy() + LENGTH
    for part in batches(lengths[left] + lengths[right], 400_000):
        found[part] = _jaccard(texts, left[part], right[part])
    return found


def _jaccard(texts: pl.Series, left: Numbers, right: Numbers) -> NDArray[np.float64]:
    rows, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    hashes, starts = shingles(texts[rows])
    counts = np.diff(np.append(starts, len(hashes)))
    pairs = np.tile(np.arange(len(left), dtype=np.uint64), 2)
    sides = np.repeat(np.array([0, 1], dtype=np.uint64), len(left))
    sizes = counts[places]
    owner = np.repeat(np.arange(len(places)), sizes)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    codes = hashes[starts[places][owner] + within].astype(np.uint64) << np.uint64(1)
    codes |= sides[owner]
    codes |= pairs[owner] << np.uint64(33)
    codes.sort()
    codes = codes[np.append(True, codes[1:] != codes[:-1])] >> np.uint64(1)
    shared = codes[1:][codes[1:] == codes[:-1]] >> np.uint64(32)
    n_each = np.bincount((codes >> np.uint64(32)).astype(np.int64), minlength=len(left))
    n_shared = np.bincount(shared.astype(np.int64), minlength=len(left))
    return n_shared / (n_each - n_shared)
