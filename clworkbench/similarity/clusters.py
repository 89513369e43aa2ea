"""Clusters: vectors that point the same way, in as many groups as the data tell apart, or in none."""

from dataclasses import dataclass, field
from math import log
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.display.html import html_table
from clworkbench.errors import ClwError
from clworkbench.similarity.embeddings import Embeddings, Vectors

TRIED = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
A_CLUSTER = 5
"""Texts that a cluster has at least on average, else no such number of clusters is tried."""

LOOKED_AT = 1_500
"""Texts on which the number of clusters is chosen."""

LEARNED_FROM = 20_000
REFERENCES = 3
MARGIN = 0.02
STEPS = 30
SEED = 2026

Labels = NDArray[np.int64]

_TRIED = pl.Schema({"k": pl.Int64, "silhouette": pl.Float64, "reference": pl.Float64})


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which texts belong together, and what spoke for so many clusters.

    Attributes:
        frame: a row for each text, in order: `cluster` (0 is the largest; null without a text), `similarity` (cosine
            to the cluster's middle, -1 to 1).
        k: how many there are; 1 where the data tell none apart.
        tried: one row for each number that was tried: `k`, `silhouette`, `reference` (the highest silhouette of
            three clouds without clusters, spread alike); empty where k was given.
        note: in words, why so many.
    """

    frame: pl.DataFrame
    k: int
    tried: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_TRIED))
    note: str = ""

    def __repr__(self) -> str:
        return f"Clusters({self.k} of {self.frame['cluster'].count():,} texts: {self.note})"

    def _repr_html_(self) -> str:
        sizes = self.frame.drop_nulls().group_by("cluster").agg(pl.len(), pl.col("similarity").mean()).sort("cluster")
        rows = [(f"{number}", n, alike) for number, n, alike in sizes.iter_rows()]
        return html_table(["cluster", "texts", "mean similarity to its middle"], rows, caption=self.note)


class _Fit(NamedTuple):
    middles: Vectors
    labels: Labels


def clusters(embeddings: Embeddings, *, k: int | None = None) -> Clusters:
    """Groups of texts whose vectors point the same way: k-means by cosine, the same for the same vectors.

    Without `k`, some numbers up to 64 are tried on 1,500 texts, and the one with the clearest silhouette over clouds
    that have the same spread but no clusters is taken: one cluster where none is clearer than those.

    Source: Dhillon and Modha 2001 (spherical k-means); Arthur and Vassilvitskii 2007 (k-means++); Rousseeuw 1987
        (silhouettes); a reference without clusters as in Tibshirani, Walther and Hastie 2001.

    Raises:
        ClwError: `k` is not from 1 to the number of texts.
    """
    vectors = embeddings.vectors[embeddings.known]
    different = len(np.unique(vectors[:LEARNED_FROM], axis=0))
    if k is not None and not 1 <= k <= max(1, len(vectors)):
        raise ClwError(f"clusters: k = {k} is not from 1 to {len(vectors)}, the number of texts.")
    random = np.random.default_rng(SEED)
    tried = pl.DataFrame(schema=_TRIED)
    note = f"{k} asked for"
    if k is None:
        tried = _tried(_drawn(vectors, LOOKED_AT, random), different, random)
        k, note = _chosen(tried, len(vectors))
    k = max(1, min(k, different))
    fit = _best_fit(_drawn(vectors, LEARNED_FROM, random), k, random)
    labels, similarity = _assigned(vectors, fit.middles)
    by_size = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    found = pl.DataFrame({"cluster": np.argsort(by_size)[labels], "similarity": similarity.astype(np.float64)})
    rows = pl.DataFrame({"row": np.flatnonzero(embeddings.known)}).with_columns(found)
    every = pl.DataFrame({"row": np.arange(len(embeddings.known))})
    frame = every.join(rows, on="row", how="left", maintain_order="left").drop("row")
    return Clusters(frame, int(found["cluster"].n_unique()) if len(found) else 0, tried, note)


def silhouette(vectors: Vectors, labels: Labels) -> float:
    """Mean silhouette by cosine distance (-1 to 1); a text alone in its cluster counts 0.

    Source: Rousseeuw 1987.
    """
    member = labels[:, None] == np.unique(labels)
    sizes = member.sum(axis=0)
    apart = (1 - vectors.astype(np.float64) @ vectors.T) @ member
    own = member.argmax(axis=1)
    rows = np.arange(len(vectors))
    within = apart[rows, own] / np.maximum(sizes[own] - 1, 1)
    to_others = apart / sizes
    to_others[rows, own] = np.inf
    nearest = to_others.min(axis=1)
    larger = np.maximum(np.maximum(within, nearest), 1e-12)
    return float(np.where(sizes[own] > 1, (nearest - within) / larger, 0.0).mean())


def _tried(vectors: Vectors, different: int, random: np.random.Generator) -> pl.DataFrame:
    numbers = [k for k in TRIED if k * A_CLUSTER <= len(vectors) and k < different]
    clouds = [_cloud(vectors, random) for _ in range(REFERENCES)] if numbers else []
    rows = []
    for k in numbers:
        own, *others = (_silhouette_of(part, k, random) for part in (vectors, *clouds))
        rows.append({"k": k, "silhouette": own, "reference": max(others)})
    return pl.DataFrame(rows, schema=_TRIED)


def _silhouette_of(vectors: Vectors, k: int, random: np.random.Generator) -> float:
    labels = _best_fit(vectors, k, random).labels
    return silhouette(vectors, labels) if len(np.unique(labels)) > 1 else 0.0


def _cloud(vectors: Vectors, random: np.random.Generator) -> Vectors:
    """As many vectors with the same mean and covariance, from one normal distribution, of unit length."""
    mean = vectors.mean(axis=0)
    spread = (vectors - mean) / np.sqrt(max(1, len(vectors) - 1))
    return _unit(mean + random.standard_normal((len(vectors), len(vectors))).astype(np.float32) @ spread)


def _chosen(tried: pl.DataFrame, n: int) -> tuple[int, str]:
    if tried.is_empty():
        return 1, f"not enough data: {n:,} texts, or too few different ones, to tell clusters apart"
    clear = tried.with_columns(over=pl.col("silhouette") - pl.col("reference"))
    best = clear.sort("over", "k", descending=[True, False]).row(0, named=True)
    said = f"silhouette {best['silhouette']:.2f}, without clusters up to {best['reference']:.2f}"
    if best["over"] < MARGIN:
        return 1, f"no clusters told apart ({said} at k = {best['k']})"
    return int(best["k"]), said


def _best_fit(vectors: Vectors, k: int, random: np.random.Generator) -> _Fit:
    """The best of three beginnings."""
    if not len(vectors):
        return _Fit(np.zeros((1, vectors.shape[1]), dtype=np.float32), np.empty(0, dtype=np.int64))
    fits = [_fit(vectors, k, random) for _ in range(1 if k == 1 else 3)]
    return max(fits, key=lambda fit: float((vectors * fit.middles[fit.labels]).sum()))


def _fit(vectors: Vectors, k: int, random: np.random.Generator) -> _Fit:
    middles = _beginning(vectors, k, random)
    labels = np.full(len(vectors), -1)
    for _ in range(STEPS):
        found, similarity = _assigned(vectors, middles)
        if np.array_equal(found, labels):
            break
        labels = found
        member = labels == np.arange(k)[:, None]
        sums = member.astype(np.float32) @ vectors
        empty = ~member.any(axis=1)
        # A cluster that lost all its texts begins anew at those that fit worst.
        sums[empty] = vectors[np.argsort(similarity, kind="stable")[: int(empty.sum())]]
        middles = _unit(sums)
    return _Fit(middles, labels)


def _beginning(vectors: Vectors, k: int, random: np.random.Generator) -> Vectors:
    """Far from each other: of some texts drawn by their distance to those chosen, the one that leaves least of it."""
    chosen = [int(random.integers(len(vectors)))]
    nearest = np.maximum(1 - vectors @ vectors[chosen[0]], 0)
    draws = 2 + int(log(k))
    while len(chosen) < k:
        sums = nearest.cumsum(dtype=np.float64)
        drawn = np.minimum(np.searchsorted(sums, random.random(draws) * sums[-1], side="right"), len(vectors) - 1)
        left = np.minimum(nearest[:, None], np.maximum(1 - vectors @ vectors[drawn].T, 0))
        best = int(left.sum(axis=0).argmin())
        chosen.append(int(drawn[best]))
        nearest = left[:, best]
    return vectors[chosen].copy()


def _assigned(vectors: Vectors, middles: Vectors) -> tuple[Labels, Vectors]:
    labels, similarity = np.empty(len(vectors), dtype=np.int64), np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), 50_000):
        alike = vectors[start : start + 50_000] @ middles.T
        best = alike.argmax(axis=1)
        labels[start : start + 50_000] = best
        similarity[start : start + 50_000] = alike[np.arange(len(best)), best]
    return labels, similarity


def _drawn(vectors: Vectors, n: int, random: np.random.Generator) -> Vectors:
    return vectors if len(vectors) <= n else vectors[np.sort(random.permutation(len(vectors))[:n])]


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return unit
