"""Texts in a plane: the directions are those of a singular value decomposition, and the same texts lie together."""

import numpy as np
import polars as pl
import pytest

from clworkbench.errors import ClwError, ModelError
from clworkbench.similarity.embeddings import embed
from clworkbench.similarity.plane import plane

TEXTS = pl.Series(
    [f"refund my order {word}" for word in ("now", "please", "today", "twice")]
    + [f"what is the weather in {place}" for place in ("Bonn", "Rome", "Oslo", "Bern")]
)


def test_the_directions_are_those_of_a_singular_value_decomposition():
    made = plane(TEXTS)
    vectors = embed(TEXTS, "hashed").vectors.astype(np.float64)
    _, lengths, turned = np.linalg.svd(vectors - vectors.mean(axis=0))
    places = (vectors - vectors.mean(axis=0)) @ turned[:2].T
    np.testing.assert_allclose(np.abs(made.x), np.abs(places[:, 0]), atol=1e-5)
    np.testing.assert_allclose(np.abs(made.y), np.abs(places[:, 1]), atol=1e-5)
    assert made.kept == pytest.approx((lengths[:2] ** 2).sum() / (lengths**2).sum(), abs=1e-5)


def test_texts_that_are_alike_lie_near_each_other():
    made = plane(TEXTS)
    sides = made.x.to_numpy() > (made.x.min() + made.x.max()) / 2
    assert sides[:4].all() != sides[4:].all()
    assert sides[:4].any() != sides[4:].any()


def test_equal_texts_share_a_place_and_what_said_nothing_has_none():
    texts = pl.Series(["refund now", None, " refund now ", "  ", "weather in Bonn", "hello there"])
    made = plane(texts)
    assert made.x.is_null().to_list() == [False, True, False, True, False, False]
    assert (made.x[0], made.y[0]) == (made.x[2], made.y[2])
    assert made.left_out == 0


def test_the_same_texts_have_the_same_places():
    first, again = plane(TEXTS), plane(TEXTS)
    assert first.x.equals(again.x)
    assert first.y.equals(again.y)


@pytest.mark.parametrize("texts", [[], [None, ""], ["a b", "a b", "c d"]], ids=["none", "empty", "two"])
def test_too_few_texts_are_told_in_words(texts):
    with pytest.raises(ClwError, match=r"too few to be laid out\. It takes 3"):
        plane(pl.Series(texts, dtype=pl.String))


def test_a_model_that_is_not_there_is_told_in_words():
    with pytest.raises(ModelError):
        plane(TEXTS, "pypi:no-such-model")
    with pytest.raises(ModelError):
        plane(TEXTS, "/no/such/folder")


def test_of_too_many_different_texts_some_are_laid_out_and_the_others_counted(monkeypatch):
    monkeypatch.setitem(plane.__globals__["MOST"], "hashed", 4)
    made = plane(pl.concat([TEXTS, TEXTS.head(1)]))
    assert made.x.is_not_null().to_list() == [True, False] * 4 + [True]
    assert made.left_out == 4
