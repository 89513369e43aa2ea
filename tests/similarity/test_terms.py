"""Telling terms: the log-odds by plain arithmetic, and nothing hostile in a name."""

from math import log, sqrt

import polars as pl
import pytest

from clworkbench.similarity.terms import names, telling_terms

TEXTS = pl.Series(["late refund", "late refund now", "refund late", "camera now", "camera", "the camera now", None])
GROUPS = pl.Series(["a", "a", "a", "b", "b", "b", "b"])


def test_the_log_odds_are_those_of_the_paper():
    # Texts with each term, once a text. a: late 3, refund 3, now 1, "late refund" 2, "refund now" 1, "refund late" 1:
    # 11 in all. b: camera 3, now 2, the 1, "camera now" 2, "the camera" 1: 9 in all. The prior is 0.01 of 20.
    prior, all_prior = 0.01 * 3, 0.01 * 20
    inside, outside = 3 + prior, 0 + prior
    difference = log(inside / (11 + all_prior - inside)) - log(outside / (9 + all_prior - outside))
    z = difference / sqrt(1 / inside + 1 / outside)
    found = telling_terms(TEXTS, GROUPS, n=50)
    # With so few texts nothing is clear; the values are read before the cut.
    assert z < 1.96
    assert found.is_empty()
    many = telling_terms(pl.concat([TEXTS] * 200), pl.concat([GROUPS] * 200), n=50)
    inside, outside, own, rest = 600 + 6, 0 + 6, 2200 + 40, 1800 + 40
    difference = log(inside / (own - inside)) - log(outside / (rest - outside))
    expected = difference / sqrt(1 / inside + 1 / outside)
    row = many.filter(pl.col("group") == "a", pl.col("term") == "refund").row(0, named=True)
    assert row["z"] == pytest.approx(expected)
    assert (row["inside"], row["outside"]) == (600, 0)


def test_a_name_is_made_of_terms_that_share_no_word():
    found = names(pl.concat([TEXTS] * 200), pl.concat([GROUPS] * 200))
    assert found.rows() == [("a", "refund · late"), ("b", "camera · now · the")]


def test_hostile_texts_leave_only_letters_in_a_name():
    hostile = "<script>alert('x')</script> \u202edrowssap \x1b[31m {{7*7}} %{x} $y$ "
    texts = pl.Series([hostile] * 200 + ["plain words here"] * 200)
    said = " ".join(names(texts, pl.Series([0] * 200 + [1] * 200))["name"])
    assert not set(said) & set("<>{}%$\x1b\u202e[]()")


def test_words_of_any_script_tell():
    texts = pl.Series(["отмените заказ"] * 100 + ["فاتورة خاطئة"] * 100 + ["रिफंड चाहिए"] * 100)
    found = names(texts, pl.Series([0] * 100 + [1] * 100 + [2] * 100))
    assert [name.replace(" · ", " ") for name in found["name"]] == ["отмените заказ", "فاتورة خاطئة", "रिफंड चाहिए"]


@pytest.mark.parametrize("texts", [[], [None], ["", ""], ["one word"], ["x" * 1_000_000, "y y"]])
def test_where_nothing_tells_there_is_no_term(texts: list[str | None]):
    groups = pl.Series([0] * len(texts), dtype=pl.Int64)
    assert telling_terms(pl.Series(texts, dtype=pl.String), groups).rows() == []
    assert names(pl.Series(texts, dtype=pl.String), groups).schema == {"group": pl.Int64, "name": pl.String}
