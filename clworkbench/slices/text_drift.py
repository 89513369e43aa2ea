"""Drift of texts: whether a small model tells the windows apart, how far their vectors lie apart, and topics."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.similarity.clusters import clusters
from clworkbench.similarity.embeddings import Embeddings, Vectors
from clworkbench.similarity.terms import names
from clworkbench.slices.evidently_tests import Tested

SHUFFLES = 1_999
FOLDS = 5
RIDGE = 1.0
TOPICS = 12
PAIRED = 500
"""Texts of a window whose distances are all measured."""

SEED = 2026

Flags = NDArray[np.bool_]


def told_apart(vectors: Vectors, is_now: Flags) -> Tested:
    """How well a linear model tells the window of texts that it has not seen: the area under its ROC curve.

    Ridge regression in five folds. p is exact: the windows are shuffled among the texts 1,999 times, and as often the
    same model is fitted to what came of it.

    Args:
        vectors: one for each text, made without knowing the window.
        is_now: its window; texts in both.

    Source: Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests"; Phipson and Smyth 2010 (the p).
    """
    random = np.random.default_rng(SEED)
    order = random.permutation(len(vectors))
    rows = (vectors[order] - vectors.mean(axis=0)).astype(np.float32)
    rows /= max(float(np.linalg.norm(rows) / np.sqrt(len(rows))), 1e-12)
    told = _shuffled(is_now[order], random)
    scores = np.empty(told.shape, dtype=np.float32)
    fold = np.arange(len(rows)) % FOLDS
    for number in range(FOLDS):
        seen, held = rows[fold != number], rows[fold == number]
        labels = told[fold != number].astype(np.float32)
        labels -= labels.mean(axis=0)
        weights = np.linalg.solve(seen.T @ seen + RIDGE * np.eye(rows.shape[1], dtype=np.float32), seen.T @ labels)
        scores[fold == number] = held @ weights
    area = _areas(scores, told)
    return Tested(float(area[0]), _rank_p(area))


def apart(vectors: Vectors, is_now: Flags) -> Tested:
    """The maximum mean discrepancy of the windows (0 to 1.4), with a Gaussian kernel as wide as the median distance.

    The square root of the unbiased estimate, 0 where that is negative. p is exact, of 1,999 shuffles.

    Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola 2012, JMLR 13:723-773, eq. (3).
    """
    random = np.random.default_rng(SEED)
    rows = np.concatenate([random.permutation(np.flatnonzero(is_now == side))[:PAIRED] for side in (False, True)])
    some = vectors[rows].astype(np.float64)
    squared = np.maximum((some**2).sum(axis=1)[:, None] + (some**2).sum(axis=1) - 2 * some @ some.T, 0)
    off = squared[np.triu_indices(len(rows), 1)]
    width = float(np.median(off)) or float(off.mean()) or 1.0
    kernel = np.exp(-squared / width)
    np.fill_diagonal(kernel, 0.0)
    told = _shuffled(is_now[rows], random).astype(np.float64)
    n, m = told[:, 0].sum(), (1 - told[:, 0]).sum()
    inside = ((kernel @ told) * told).sum(axis=0)
    total, reached = kernel.sum(), kernel.sum(axis=1) @ told
    outside = total - 2 * reached + inside
    discrepancy = inside / (n * (n - 1)) + outside / (m * (m - 1)) - 2 * (reached - inside) / (n * m)
    return Tested(float(np.sqrt(max(0.0, discrepancy[0]))), _rank_p(discrepancy))


def topics(texts: pl.Series, embedded: Embeddings) -> pl.Series:
    """The topic of each text: one of up to twelve clusters of both windows, named by its telling terms."""
    known = int(embedded.known.sum())
    found = clusters(embedded, k=max(1, min(TOPICS, known // 20))).frame["cluster"]
    called = names(texts, found.alias("group"))
    named = found.to_frame("group").join(called, on="group", how="left", maintain_order="left")
    told = pl.format("topic {}: {}", "group", pl.col("name").fill_null("no telling term"))
    return named.select(topic=pl.when(pl.col("group").is_not_null()).then(told))["topic"]


def _shuffled(is_now: Flags, random: np.random.Generator) -> NDArray[np.bool_]:
    """A column of windows as they are, then one for each shuffle."""
    told = np.repeat(is_now[:, None], SHUFFLES + 1, axis=1)
    told[:, 1:] = random.permuted(told[:, 1:], axis=0)
    return told


def _areas(scores: NDArray[np.float32], told: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The area under the ROC curve of each column. Source: Mann and Whitney 1947, by the sum of ranks."""
    order = scores.argsort(axis=0)
    ranks = np.arange(1, len(scores) + 1, dtype=np.float64)
    n = told.sum(axis=0)
    summed = ranks @ np.take_along_axis(told, order, axis=0)
    area: NDArray[np.float64] = (summed - n * (n + 1) / 2) / (n * (len(scores) - n))
    return area


def _rank_p(found: NDArray[np.float64]) -> float:
    """The share of shuffles, the truth among them, that reach the truth."""
    return float((found >= found[0] - 1e-12).mean())
