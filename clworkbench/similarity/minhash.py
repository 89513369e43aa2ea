"""Near-duplicates: candidates by MinHash, each verified, in groups around one text that all of them are like."""

from concurrent.futures import ThreadPoolExecutor
from math import ceil, log, log10
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ClwError
from clworkbench.similarity.masked import masked
from clworkbench.similarity.shingles import Numbers, batches, jaccard, shingles

MISSED = 0.01
"""Of pairs that are exactly as alike as the threshold asks, the share that no band may bring together."""

SEED = 2026
SMALL = 4
"""In a bucket of up to so many texts each pair is a candidate; in a larger one, each text with the first."""

ROUNDS = 4
"""How often texts that were only held against the first of a large bucket get another chance."""

Keys = NDArray[np.uint64]


class Bands(NamedTuple):
    """How minima are put together: `n` bands of `rows` minima each."""

    n: int
    rows: int


class _Sketches(NamedTuple):
    """What is kept of each text's minima: the band keys (a row for each band), and a byte of each (a row a text)."""

    keys: Keys
    bytes: NDArray[np.uint8]


class _Pairs(NamedTuple):
    """Pairs of texts that are alike, and how much."""

    low: Numbers
    high: Numbers
    similarity: NDArray[np.float64]


def near_duplicates(texts: pl.Series, *, threshold: float = 0.8, advance: Advance = silent) -> pl.DataFrame:
    """Texts that say nearly the same, in groups.

    Texts that are the same once masked come first; the rest by MinHash over shingles of the masked text. Every member
    of a group has at least `threshold` of Jaccard similarity with the group's example, computed, not estimated; the
    example is the text that most of what was said is like. Which texts end up together depends on the texts
    alone, not on their order or the machine.

    Args:
        texts: what was said; null and empty texts belong to no group.
        threshold: 0.5 to 1. Of two texts of 12 words that differ in one, about 0.75 is shared; below 0.5 texts are
            alike in topic, which clusters tell better.
        advance: told how far it is.

    Returns:
        A row for each text, in order: `group` (the row of the group's example; a text like no other is its own),
        `similarity` (to the example, 0 to 1); both null without a text.

    Source: Broder 1997 for shingles and minima; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4 for
        bands.
    """
    if not 0.5 <= threshold <= 1:
        raise ClwError(
            f"near-duplicates: a threshold of {threshold:g} is not within 0.5 to 1.\n"
            "Texts that share less are alike in topic: take clusters."
        )
    rows = pl.DataFrame({"text": texts.cast(pl.String)}).select(masked(pl.col("text"))).with_row_index("row")
    kept = rows.filter(pl.col("text").str.len_bytes() > 0)
    distinct = kept.group_by("text", maintain_order=True).agg(row=pl.col("row").first().cast(pl.Int64), n=pl.len())
    leader, similarity = _grouped(distinct["text"], distinct["n"].cast(pl.Int64).to_numpy(), threshold, advance)
    found = distinct.select("text", group=pl.col("row").gather(leader), similarity=pl.Series(similarity))
    return rows.join(found, on="text", how="left", maintain_order="left").select("group", "similarity")


def bands(n: int, threshold: float) -> Bands:
    """Bands for `n` texts: so many rows that unlike pairs, whose number grows with `n` squared, seldom meet."""
    rows = min(8, max(3, ceil(log10(max(n, 10))) + 1))
    if threshold == 1:
        return Bands(1, rows)
    while rows > 3 and threshold**rows < 0.05:
        rows -= 1
    return Bands(ceil(log(MISSED) / log(1 - threshold**rows)), rows)


def _grouped(
    texts: pl.Series, counts: Numbers, threshold: float, advance: Advance
) -> tuple[Numbers, NDArray[np.float64]]:
    """For each distinct text its group's example, and how like that it is."""
    sketches = _sketches(texts, bands(len(texts), threshold), advance)
    # Texts said most come first, then by what their minima are: that tells them apart without regard to their order.
    order = np.lexsort((np.bitwise_xor.reduce(sketches.keys, axis=0), -counts))
    counts = counts[order]
    texts, sketches = texts[order], _Sketches(sketches.keys[:, order], sketches.bytes[order])
    leader, similarity = np.arange(len(texts)), np.ones(len(texts))
    active = np.arange(len(texts))
    for _ in range(ROUNDS):
        candidates, crowded = _candidates(sketches.keys, active)
        likely = _likely(sketches.bytes, candidates, threshold)
        found = _led(_verified(texts, likely, threshold), counts)
        leader[found.high], similarity[found.high] = found.low, found.similarity
        alone = np.bincount(leader, minlength=len(leader))[leader] == 1
        active = crowded[alone[crowded]]
        if not len(active):
            break
    back = np.argsort(order)
    return order[leader][back], similarity[back]


def _sketches(texts: pl.Series, shape: Bands, advance: Advance) -> _Sketches:
    random = np.random.default_rng(SEED)
    factors = random.integers(0, 1 << 32, shape.n * shape.rows, dtype=np.uint32) | np.uint32(1)
    shifts = random.integers(0, 1 << 32, shape.n * shape.rows, dtype=np.uint32)
    fold = random.integers(0, 1 << 63, shape.rows, dtype=np.uint64) | np.uint64(1)
    keys = np.empty((shape.n, len(texts)), dtype=np.uint64)
    some = np.empty((len(texts), len(factors)), dtype=np.uint8)

    def fill(part: slice) -> int:
        hashes, starts = shingles(texts[part])
        turned = np.empty_like(hashes)
        minima = np.empty((len(factors), len(starts)), dtype=np.uint32)
        for number, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
            np.multiply(hashes, factor, out=turned)
            np.add(turned, shift, out=turned)
            np.minimum.reduceat(turned, starts, out=minima[number])
        by_band = minima.reshape(shape.n, shape.rows, -1).astype(np.uint64)
        keys[:, part] = (by_band * fold[:, None]).sum(axis=1, dtype=np.uint64)
        some[part] = (minima >> np.uint32(13)).T
        return int(part.stop)

    # 100,000 characters at a time stay in the processor's cache.
    parts = batches(texts.str.len_chars().cast(pl.Int64).to_numpy(), 100_000)
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        for done in pool.map(fill, parts):
            advance(done, len(texts), "texts hashed")
    return _Sketches(keys, some)


def _candidates(keys: Keys, active: Numbers) -> tuple[NDArray[np.uint64], Numbers]:
    """Pairs of active texts that share a key, as low << 32 | high; and which met only the first of a large bucket."""
    found, crowded = [np.empty(0, dtype=np.uint64)], np.zeros(keys.shape[1], dtype=bool)
    for band in keys:
        here = band[active]
        order = np.argsort(here, kind="stable")
        sorted_keys, members = here[order], active[order]
        starts = np.flatnonzero(np.append(True, sorted_keys[1:] != sorted_keys[:-1])) if len(here) else np.empty(0, int)
        sizes = np.diff(np.append(starts, len(here)))
        size, start = np.repeat(sizes, sizes), np.repeat(starts, sizes)
        place = np.arange(len(here)) - start
        later = np.flatnonzero(place > 0)
        found.append(_coded(members[start[later]], members[later]))
        for back in range(1, SMALL - 1):
            near = np.flatnonzero((size <= SMALL) & (place > back))
            found.append(_coded(members[near - back], members[near]))
        crowded[members[(size > SMALL) & (place > 0)]] = True
        if sum(len(part) for part in found) > 8_000_000:
            found = [_distinct(found)]
    return _distinct(found), np.flatnonzero(crowded)


def _distinct(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """As np.unique, which hashes before it sorts and takes four times as long."""
    codes = np.sort(np.concatenate(parts))
    return codes[np.append(True, codes[1:] != codes[:-1])] if len(codes) else codes


def _coded(low: Numbers, high: Numbers) -> NDArray[np.uint64]:
    return low.astype(np.uint64) << np.uint64(32) | high.astype(np.uint64)


def _decoded(codes: NDArray[np.uint64]) -> tuple[Numbers, Numbers]:
    return (codes >> np.uint64(32)).astype(np.int64), (codes & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _likely(some: NDArray[np.uint8], candidates: NDArray[np.uint64], threshold: float) -> NDArray[np.uint64]:
    """The candidates whose minima agree about as often as they would at the threshold: three standard errors below.

    Source: Li and König 2010, b-bit minwise hashing.
    """
    least = threshold - 3 * (threshold * (1 - threshold) / some.shape[1]) ** 0.5
    kept = [np.empty(0, dtype=np.uint64)]
    for start in range(0, len(candidates), 200_000):
        part = candidates[start : start + 200_000]
        low, high = _decoded(part)
        kept.append(part[(some[low] == some[high]).mean(axis=1) >= least])
    return np.concatenate(kept)


def _verified(texts: pl.Series, candidates: NDArray[np.uint64], threshold: float) -> _Pairs:
    low, high = _decoded(candidates)
    similarity = jaccard(texts, low, high)
    alike = similarity >= threshold
    return _Pairs(low[alike], high[alike], similarity[alike])


def _led(pairs: _Pairs, counts: Numbers) -> _Pairs:
    """Of pairs that are alike, those of an example (low) and its member (high).

    Texts take their turn by how often they and all that is like them were said. One that no example before it is like
    becomes an example, the others join the first that is: done for all at once that nothing earlier holds up.
    """
    weight = counts + np.bincount(pairs.low, counts[pairs.high], len(counts))
    weight += np.bincount(pairs.high, counts[pairs.low], len(counts))
    turn = np.argsort(-weight, kind="stable")
    place = np.argsort(turn)
    low, high = np.sort([place[pairs.low], place[pairs.high]], axis=0)
    order = np.lexsort((low, high))
    low, high, alike = low[order], high[order], pairs.similarity[order]
    examples, members, similarity = [low[:0]], [low[:0]], [alike[:0]]
    while len(low):
        waits = np.zeros(len(counts), dtype=bool)
        waits[high] = True
        leads = np.flatnonzero(~waits[low])
        member, first = np.unique(high[leads], return_index=True)
        examples.append(low[leads[first]])
        members.append(member)
        similarity.append(alike[leads[first]])
        decided = np.zeros(len(counts), dtype=bool)
        decided[member] = decided[low[leads]] = True
        left = ~(decided[low] | decided[high])
        low, high, alike = low[left], high[left], alike[left]
    return _Pairs(turn[np.concatenate(examples)], turn[np.concatenate(members)], np.concatenate(similarity))
