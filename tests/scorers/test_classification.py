"""Classification: labels as they are compared."""

import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.scorers.classification import is_classification, labels
from clworkbench.scorers.names import scorer


def test_a_whole_output_is_the_label_whatever_its_case_and_punctuation():
    outputs, expected = (
        pl.Series(["Card_arrival.", "lost card", None, "x"]),
        pl.Series(["card arrival", "lost", "a", None]),
    )
    assert scorer("classification")(outputs, expected).to_list() == [1, 0, 0, None]
    assert labels("classification", outputs, expected).rows() == [
        ("card arrival", "card arrival"), ("lost", "lost card"), ("a", None), (None, "x"),
    ]  # fmt: skip


def test_a_field_of_json_is_the_label():
    name = "classification:intent"
    outputs = pl.Series(['{"intent": "lost"}', '{"intent": 1}', "lost", '{"other": 2}'])
    expected = pl.Series(["lost", '{"intent": 1}', "lost", '{"intent": "lost"}'])
    assert scorer(name)(outputs, expected).to_list() == [1, 1, 0, 0]
    assert labels(name, outputs, expected).rows() == [("lost", "lost"), ("1", "1"), ("lost", None), ("lost", None)]
    assert scorer(name).gold(pl.Series(["lost"])).to_list() == ['{"intent": "lost"}']


def test_no_field_is_refused_and_other_scorers_are_no_classification():
    with pytest.raises(ClwError, match="after classification: stands a field"):
        scorer("classification:")
    assert [is_classification(name) for name in ("classification:a", "classification", "exact_match")] == [
        True,
        True,
        False,
    ]


def test_the_label_is_the_expected_one_where_and_only_where_the_score_is_1():
    name = "classification:intent"
    outputs = pl.Series(['{"intent": 1.0}', '{"intent": "lost"}', '{"intent": "1"}', '{"intent": true}'])
    expected = pl.Series(['{"intent": 1}', '"lost"', '{"intent": 1}', "true"])
    assert scorer(name)(outputs, expected).to_list() == [1, 1, 0, 1]
    assert labels(name, outputs, expected).rows() == [("1", "1"), ("lost", "lost"), ("1", None), ("true", "true")]


def test_a_label_of_half_a_character_or_nested_without_end_is_a_wrong_one():
    outputs = pl.Series(['{"intent": "\\ud800"}', '{"intent": ' + "[" * 700 + "]" * 700 + "}"])
    name, expected = "classification:intent", pl.Series(["lost", "lost"])
    assert scorer(name)(outputs, expected).to_list() == [0, 0]
    assert labels(name, outputs, expected)["expected"].to_list() == ["lost", "lost"]
    assert "lost" not in labels(name, outputs, expected)["predicted"].to_list()
