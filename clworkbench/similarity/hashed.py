"""Hashed n-grams: vectors from the wording alone, where speed matters or no model is there."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.display.progress import Advance, silent
from clworkbench.similarity.masked import masked
from clworkbench.similarity.shingles import Hashes, Numbers, batches, mixed_up, runs, spelled

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COLUMNS = 1 << 18
SIZE = 96
"""Numbers in a vector, or as many as there are texts."""

RUNS = (3, 4, 5)
SAMPLE = 10_000
"""Texts from which the weights and the directions of a vector are learned."""

LONGEST = 20_000
"""Characters of a text that are read."""

SEED = 2026
BLANK = 32

_FACTOR = np.uint64(0xD6E8FEB86659FD93)


def hashed_vectors(texts: pl.Series, *, advance: Advance = silent) -> NDArray[np.float32]:
    """A vector of unit length for each text of a series without nulls; zeros where no n-gram is known.

    Counted are words, pairs of words, and runs of 3 to 5 characters, each in one of 262,144 columns by its hash; their
    logarithms, weighted by how rare they are in a sample, are turned to the sample's main directions.

    Source: Weinberger et al. 2009 (hashing); Deerwester et al. 1990 (latent semantic analysis); Halko, Martinsson and
        Tropp 2011, algorithms 4.4 and 5.1 (the decomposition).
    """
    short = texts.to_frame("text").select(masked(pl.col("text").str.head(LONGEST)))["text"]
    n = len(short)
    if n == 0:
        return np.zeros((0, 1), dtype=np.float32)
    drawn = np.sort(np.random.default_rng(SEED).permutation(n)[:SAMPLE])
    sample = _counted(short[drawn])
    rare = np.log((1 + len(drawn)) / (1 + np.bincount(sample.indices, minlength=COLUMNS))) + 1
    rare = rare.astype(np.float32)
    turn = _directions((sample * rare).tocsr(), min(SIZE, n)) * rare[:, None]
    vectors = np.empty((n, turn.shape[1]), dtype=np.float32)
    for part in batches(short.str.len_chars().cast(pl.Int64).to_numpy(), 1_000_000):
        vectors[part] = _counted(short[part]) @ turn
        advance(part.stop, n, "texts embedded")
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def _counted(texts: pl.Series) -> "csr_array":
    """The logarithms of the counts: a row for each text."""
    from scipy.sparse import csr_array

    letters, ends = spelled(texts)
    owner = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))
    found = [(owner, runs(letters, ends, length)) for length in RUNS]
    found += _words(letters, owner)
    owners = np.concatenate([rows for rows, _ in found])
    columns = np.concatenate([hashes for _, hashes in found]) & np.uint32(COLUMNS - 1)
    ones = np.ones(len(owners), dtype=np.float32)
    counted = csr_array((ones, (owners, columns)), shape=(len(texts), COLUMNS))
    counted.sum_duplicates()
    counted.data = 1 + np.log(counted.data)
    return counted


def _words(letters: Hashes, owner: Numbers) -> list[tuple[Numbers, Hashes]]:
    """Words and pairs of neighbouring words of a text, each with the text's row."""
    inside = letters != BLANK
    starts = np.flatnonzero(inside & np.append(True, ~inside[:-1]))
    if not len(starts):
        return []
    place = (
        np.arange(len(letters)) - starts[np.maximum(np.searchsorted(starts, np.arange(len(letters)), "right") - 1, 0)]
    )
    weighted = letters.astype(np.uint64) * _FACTOR ** (place % 64).astype(np.uint64)
    weighted[~inside] = 0
    words = np.add.reduceat(weighted, starts)
    rows = owner[starts]
    pairs = words[:-1] * _FACTOR + (words[1:] << np.uint64(1)) + np.uint64(1)
    same = rows[:-1] == rows[1:]
    return [(rows, mixed_up(words)), (rows[:-1][same], mixed_up(pairs[same]))]


def _directions(sample: "csr_array", size: int) -> NDArray[np.float32]:
    """The sample's first right singular vectors, a column each; zeros for columns that it does not use."""
    scale = 1 / np.maximum(np.sqrt(sample.power(2).sum(axis=1)), 1e-12)
    used = np.unique(sample.indices)
    unit = (sample.tocsc()[:, used].tocsr() * scale[:, None]).tocsr().astype(np.float32)
    random = np.random.default_rng(SEED)
    reach = unit @ random.standard_normal((len(used), min(size + 10, unit.shape[0])), dtype=np.float32)
    for _ in range(2):
        basis, _ = np.linalg.qr(reach)
        reach = unit @ (unit.T @ basis)
    basis, _ = np.linalg.qr(reach)
    small = unit.T @ basis
    lengths, turned = np.linalg.eigh((small.T @ small).astype(np.float64))
    kept = np.flatnonzero(lengths > 1e-9)[::-1][:size]
    found = np.zeros((sample.shape[1], len(kept)), dtype=np.float32)
    found[used] = small @ (turned[:, kept] / np.sqrt(lengths[kept])).astype(np.float32)
    return found
