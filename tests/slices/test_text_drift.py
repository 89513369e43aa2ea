"""Drift of texts: against plain code and another library, and honest where nothing changed."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from clworkbench.similarity.embeddings import embed
from clworkbench.slices.text_drift import _areas, apart, told_apart, topics


def test_areas_are_mann_and_whitneys_statistic_over_all_pairs():
    draw = np.random.default_rng(0)
    scores, told = draw.random((40, 3), dtype=np.float32), draw.random((40, 3)) < 0.4
    for column, area in enumerate(_areas(scores, told)):
        inside, outside = scores[told[:, column], column], scores[~told[:, column], column]
        assert area == pytest.approx(stats.mannwhitneyu(inside, outside).statistic / (len(inside) * len(outside)))


def test_the_discrepancy_is_that_of_plain_loops():
    draw = np.random.default_rng(1)
    vectors = np.concatenate([draw.normal(size=(12, 3)), draw.normal(size=(9, 3)) + 2]).astype(np.float32)
    is_now = np.repeat([False, True], [12, 9])
    pairs = [(i, j) for i in range(21) for j in range(21) if i != j]
    apart_by = {(i, j): float(((vectors[i].astype(float) - vectors[j]) ** 2).sum()) for i, j in pairs}
    width = np.median([apart_by[i, j] for i, j in pairs if i < j])
    k = {pair: np.exp(-value / width) for pair, value in apart_by.items()}
    inside = np.mean([k[i, j] for i, j in pairs if i >= 12 and j >= 12])
    outside = np.mean([k[i, j] for i, j in pairs if i < 12 and j < 12])
    across = np.mean([k[i, j] for i, j in pairs if i >= 12 and j < 12])
    found = apart(vectors, is_now)
    assert found.score == pytest.approx(np.sqrt(inside + outside - 2 * across), rel=1e-6)
    assert found.p <= 0.005


def test_a_model_tells_shifted_vectors_apart_as_well_as_can_be():
    draw = np.random.default_rng(2)
    vectors = draw.normal(size=(2_000, 5)).astype(np.float32)
    is_now = np.arange(2_000) % 2 == 0
    vectors[is_now, 0] += 1.0
    # Two normal distributions a standard deviation apart: the area is the normal's share below 1 / sqrt(2).
    assert told_apart(vectors, is_now).score == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.03)


def test_without_drift_p_is_evenly_spread_even_of_windows_of_unequal_size():
    draw, found = np.random.default_rng(3), []
    for _ in range(60):
        vectors, is_now = draw.normal(size=(150, 8)).astype(np.float32), np.arange(150) < 30
        found += [(told_apart(vectors, is_now).p, apart(vectors, is_now).p)]
    for p in zip(*found, strict=True):
        assert stats.kstest(p, "uniform").pvalue > 0.01


def test_vectors_that_are_all_one_are_no_drift():
    vectors, is_now = np.ones((120, 4), dtype=np.float32), np.arange(120) < 60
    assert apart(vectors, is_now).score == 0
    assert apart(vectors, is_now).p == 1


def test_topics_are_named_and_a_text_of_signs_alone_has_one_too():
    said = ["where is my parcel today", "parcel parcel is late", "refund my card please", "card refund again"] * 30
    texts = pl.Series([*said, "???", "12 12"])
    found = topics(texts, embed(texts, "hashed"))
    assert len(found) == 122
    assert found.str.starts_with("topic ").all()
    assert any("parcel" in name for name in found.unique())
