"""Clusters: found where there are some, none where there are none, silhouettes as scikit-learn has them."""

import numpy as np
import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.similarity.clusters import clusters, silhouette
from clworkbench.similarity.embeddings import Embeddings


def made(vectors: np.ndarray, known: list[bool] | None = None) -> Embeddings:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return Embeddings(unit.astype(np.float32), np.array(known or [True] * len(vectors), dtype=bool), "made")


def around(k: int, each: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    middles = draw.standard_normal((k, 24))
    labels = np.repeat(np.arange(k), each)
    return middles[labels] + spread * draw.standard_normal((k * each, 24)), labels


@pytest.mark.parametrize("k", [2, 4, 8])
def test_as_many_clusters_as_were_made_are_found_and_hold_the_same_texts(k: int):
    vectors, labels = around(k, 40, 0.4)
    found = clusters(made(vectors))
    assert found.k == k
    assert len(set(zip(labels.tolist(), found.frame["cluster"], strict=True))) == k


@pytest.mark.parametrize("seed", range(5))
def test_a_cloud_without_clusters_is_left_whole(seed: int):
    draw = np.random.default_rng(seed)
    cloud = draw.standard_normal((300, 24)) * np.linspace(2, 0.2, 24)
    found = clusters(made(cloud))
    assert found.k == 1
    assert "no clusters told apart" in repr(found)


def test_silhouettes_are_those_of_scikit_learn():
    score = pytest.importorskip("sklearn.metrics").silhouette_score
    vectors, labels = around(3, 15, 1.5)
    labels[-1] = 7  # one alone
    unit = made(vectors).vectors
    assert silhouette(unit, labels) == pytest.approx(score(unit, labels, metric="cosine"), abs=1e-5)


def test_the_largest_cluster_is_the_first_and_rows_without_a_text_have_none():
    vectors, _ = around(2, 10, 0.1)
    vectors = np.vstack([vectors[:4], vectors[10:], np.zeros((1, 24))])
    found = clusters(made(vectors, [True] * 14 + [False]), k=2)
    assert found.frame["cluster"].to_list() == [1] * 4 + [0] * 10 + [None]
    assert found.frame["similarity"][:14].min() > 0.9


@pytest.mark.parametrize(("n", "k"), [(0, 0), (1, 1), (3, 1)])
def test_too_few_texts_are_not_enough_data(n: int, k: int):
    found = clusters(made(np.eye(4)[:n]))
    assert (found.k, found.frame.height) == (k, n)
    assert "not enough data" in found.note


def test_texts_that_are_all_the_same_are_one_cluster():
    assert clusters(made(np.ones((100, 5)))).k == 1
    assert clusters(made(np.ones((100, 5))), k=3).k == 1


def test_the_same_vectors_make_the_same_clusters():
    vectors, _ = around(6, 30, 1.2)
    assert clusters(made(vectors)).frame.equals(clusters(made(vectors)).frame)


@pytest.mark.parametrize("k", [0, 11])
def test_a_number_of_clusters_that_cannot_be_is_refused(k: int):
    with pytest.raises(ClwError, match=f"k = {k} is not from 1 to 10"):
        clusters(made(np.eye(10)), k=k)


def test_a_cell_shows_sizes_and_says_why_so_many():
    vectors, _ = around(2, 20, 0.1)
    html = clusters(made(vectors))._repr_html_()
    assert "silhouette 0.9" in html
    assert html.count("<tr>") == 3


def test_more_texts_than_are_learned_from_are_all_placed(monkeypatch):
    monkeypatch.setattr("clworkbench.similarity.clusters.LEARNED_FROM", 50)
    vectors, labels = around(4, 100, 0.3)
    found = clusters(made(vectors))
    assert len(set(zip(labels.tolist(), found.frame["cluster"], strict=True))) == 4
    assert isinstance(found.frame, pl.DataFrame)
