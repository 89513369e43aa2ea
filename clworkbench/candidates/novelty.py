"""Novelty: how far what users say is from all that was learned, by the measure of what was learned itself."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.similarity.embeddings import HASHED, embed
from clworkbench.similarity.masked import masked_groups

LEARNED, LOOKED_AT = 1_000, 1_000
"""Most texts of each side: the directions of hashed n-grams cost more than linear in their number."""

LEAST = 20
"""With fewer learned prompts, none can be said to be beyond 95 % of them."""

AT_ONCE = 1_000


class Novelty(NamedTuple):
    """How new what was said is.

    Attributes:
        values: for each text the share of learned prompts that are nearer to their own nearest (0 to 1); null where it
            was not looked at.
        n: how many texts were looked at.
    """

    values: pl.Series
    n: int


def novelty(texts: pl.Series, learned: pl.Series, *, order: pl.Series) -> Novelty:
    """How new texts are beside learned prompts, by the distance to the nearest in hashed n-grams.

    Of texts like the learned ones, 5 in 100 have more than 0.95. At most 1,000 texts and 1,000 prompts are
    looked at.

    Args:
        texts: what users said; null and empty ones have no novelty.
        learned: the prompts of a training set, likewise.
        order: by which texts are taken, the lowest first: for each text, a keyed hash.

    Source: inductive conformal anomaly detection, Laxhammar and Falkman 2015, with the distance to the nearest.
    """
    rows = pl.DataFrame({"text": texts.cast(pl.String), "order": order}).with_row_index("row")
    taken = rows.drop_nulls("text").bottom_k(LOOKED_AT, by="order").sort("order")
    taken = taken.with_columns(group=masked_groups(taken["text"])).drop_nulls("group")
    asked = taken.unique("group", keep="first", maintain_order=True)
    known = learned.gather(masked_groups(learned).drop_nulls().unique().sort())
    known = known.gather_every(max(1, -(-len(known) // LEARNED)))
    if len(known) < LEAST or asked.is_empty():
        return Novelty(pl.repeat(None, len(texts), dtype=pl.Float64, eager=True), 0)
    vectors = embed(pl.concat([known.cast(pl.String), asked["text"]]), HASHED).vectors
    ours, theirs = vectors[: len(known)], vectors[len(known) :]
    usual = np.sort(_farthest_from(ours, ours, itself=True))
    share = np.searchsorted(usual, _farthest_from(theirs, ours, itself=False), "left") / len(usual)
    found = asked.select("group", novelty=pl.Series(share, dtype=pl.Float64))
    told = taken.select("row", "group").join(found, on="group")
    return Novelty(rows.select("row").join(told, on="row", how="left", maintain_order="left")["novelty"], told.height)


def _farthest_from(vectors: NDArray[np.float32], others: NDArray[np.float32], *, itself: bool) -> NDArray[np.float64]:
    """The distance of each to its nearest other, rounded so that threads that add up otherwise change nothing."""
    nearest = np.empty(len(vectors))
    for start in range(0, len(vectors), AT_ONCE):
        part = vectors[start : start + AT_ONCE] @ others.T
        if itself:
            np.fill_diagonal(part[:, start:], -1.0)
        nearest[start : start + AT_ONCE] = part.max(axis=1)
    return np.round(1 - nearest, 4)
