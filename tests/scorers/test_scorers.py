"""Scorers: what is right, what is wrong, and what cannot be graded."""

import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.scorers.names import gold_outputs, scorer


def graded(name: str, output: str | None, expected: str | None) -> float | None:
    pair = [pl.Series([text], dtype=pl.String) for text in (output, expected)]
    score = scorer(name)(*pair)
    assert score.dtype == pl.Float64
    return score[0]


@pytest.mark.parametrize(
    ("output", "expected", "score"),
    [
        ("card_arrival", "card_arrival", 1.0),
        ("  card_arrival\n", "card_arrival", 1.0),
        ("a\t b", "a b", 1.0),
        ("Card_arrival", "card_arrival", 0.0),
        ("card_arrival.", "card_arrival", 0.0),
        ("", "card_arrival", 0.0),
        ("", "", 1.0),
        (None, "card_arrival", 0.0),
        ("card_arrival", None, None),
        (None, None, None),
        ("é", "e\u0301", 0.0),
    ],
)
def test_exact_match(output: str | None, expected: str | None, score: float | None):
    assert graded("exact_match", output, expected) == score


@pytest.mark.parametrize(
    ("output", "expected", "score"),
    [
        ('{"intent": "a", "queue": "b"}', '{"intent": "a"}', 1.0),
        ('{"intent": "a"}', "a", 1.0),
        ('{"intent": "b"}', "a", 0.0),
        ('{"queue": "a"}', "a", 0.0),
        ("a", "a", 0.0),
        ('{"intent": "a"', "a", 0.0),
        ('Sure: {"intent": "a"}', "a", 0.0),
        (None, "a", 0.0),
        ('{"intent": 1}', "1", 1.0),
        ('{"intent": "1"}', "1", 1.0),
        ('{"intent": 1.0}', '{"intent": 1}', 1.0),
        ('{"intent": "1"}', '{"intent": 1}', 0.0),
        ('{"intent": true}', '{"intent": 1}', 0.0),
        ('{"intent": null}', '{"intent": null}', 1.0),
        ('{"intent": {"b": 2, "a": 1}}', '{"intent": {"a": 1, "b": 2}}', 1.0),
        ('{"intent": NaN}', "NaN", 0.0),
        ('{"intent": "a"}', '{"queue": "a"}', None),
        ('{"intent": "a"}', None, None),
        ("[" * 100_000, "a", 0.0),
    ],
)
def test_json_field(output: str | None, expected: str | None, score: float | None):
    assert graded("json_field:intent", output, expected) == score


def test_a_json_field_is_reached_through_objects_and_lists():
    assert graded("json_field:calls.1.name", '{"calls": [{"name": "a"}, {"name": "b"}]}', "b") == 1.0
    assert graded("json_field:calls.2.name", '{"calls": [{"name": "a"}, {"name": "b"}]}', "b") == 0.0


@pytest.mark.parametrize(
    ("output", "score"),
    [
        ('{"a": [1, 2.5e3, null, "é"]}', 1.0),
        ("  7 ", 1.0),
        ("", 0.0),
        (None, 0.0),
        ("{'a': 1}", 0.0),
        ('{"a": NaN}', 0.0),
        ('{"a": 1} and more', 0.0),
        ("```json\n{}\n```", 0.0),
    ],
)
def test_valid_json_is_what_rfc_8259_says_it_is(output: str | None, score: float):
    assert graded("valid_json", output, None) == score


def test_the_gold_answer_of_a_bare_field_is_put_into_an_object():
    expected = pl.Series(["a", '{"x": {"y": "b"}}', None])
    assert gold_outputs("json_field:x.y", expected).to_list() == ['{"x": {"y": "a"}}', '{"x": {"y": "b"}}', None]
    assert scorer("json_field:x.y")(gold_outputs("json_field:x.y", expected), expected).to_list() == [1.0, 1.0, None]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("exact_mach", "Did you mean exact_match?"),
        ("jsonfield:intent", "Did you mean json_field?"),
        ("json_field:", "after json_field: stands a field"),
        ("json_field:a..b", "after json_field: stands a field"),
        ("", "Known are exact_match, valid_json, json_field:<path>"),
    ],
)
def test_an_unknown_scorer_says_which_are_known(name: str, says: str):
    with pytest.raises(ClwError, match=r"(?s)" + says.replace("?", r"\?")):
        scorer(name)
