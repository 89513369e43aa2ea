"""Scorers: what is right, what is wrong, and what cannot be graded."""

from random import Random

import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.scorers.names import scorer
from clworkbench.scorers.text import longest_common


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
    assert scorer("json_field:x.y").gold(expected).to_list() == ['{"x": {"y": "a"}}', '{"x": {"y": "b"}}', None]
    assert scorer("json_field:x.y")(scorer("json_field:x.y").gold(expected), expected).to_list() == [1.0, 1.0, None]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("exact_mach", "Did you mean exact_match?"),
        ("jsonfield:intent", "Did you mean json_field?"),
        ("json_field:", "after json_field: stands a field"),
        ("json_field:a..b", "after json_field: stands a field"),
        ("", "Known are exact_match, normalised_match, .* json_field:<path>"),
    ],
)
def test_an_unknown_scorer_says_which_are_known(name: str, says: str):
    with pytest.raises(ClwError, match=r"(?s)" + says.replace("?", r"\?")):
        scorer(name)


@pytest.mark.parametrize(
    ("output", "expected", "score"),
    [
        ("Where IS my card?!", "where is my card", 1.0),
        ("\uff26\uff29\uff33\uff28", "fish", 1.0),  # full-width letters
        ("my card", "my cards", 0.0),
        (None, "a", 0.0),
        ("a", None, None),
        ("a", "?!", None),
    ],
)
def test_normalised_match(output: str | None, expected: str | None, score: float | None):
    assert graded("normalised_match", output, expected) == score


@pytest.mark.parametrize(
    ("output", "expected", "score"),
    [
        ("Your CARD, now: it is here.", "card now", 1.0),
        ("discard it", "card", 0.0),
        ("card", "Card", 1.0),
        (None, "card", 0.0),
        ("card", "", None),
        ("card", None, None),
    ],
)
def test_contains(output: str | None, expected: str | None, score: float | None):
    assert graded("contains", output, expected) == score


@pytest.mark.parametrize(
    ("output", "expected", "score"),
    [
        ("order 17", r"^order \d+$", 1.0),
        ("order x", r"^order \d+$", 0.0),
        (None, "a", 0.0),
        ("a", "(", None),
        ("a", None, None),
        ("a" * 5_000, "(a+)+$b", 0.0),
    ],
)
def test_a_pattern_is_looked_for_and_a_broken_one_cannot_grade(output, expected, score):
    assert graded("regex", output, expected) == score
    assert scorer("regex").gold(pl.Series([expected], dtype=pl.String)).to_list() == [None]


@pytest.mark.parametrize(
    ("output", "score"),
    # Lin 2004, section 3.1: two candidates and their ROUGE-L for one reference.
    [
        ("police kill the gunman", 0.75),
        ("the gunman kill police", 0.5),
        ("Police killed the gunman!", 1.0),
        (None, 0.0),
    ],
)
def test_rouge_l_of_the_papers_examples(output: str | None, score: float):
    assert graded("rouge_l", output, "police killed the gunman") == score


def test_rouge_l_is_f_of_the_longest_common_subsequence():
    # 'a b c d e' and 'a c e f': 'a c e' in common, P = 3/5, R = 3/4, F = 2/3.
    assert graded("rouge_l", "a b c d e", "a c e f") == pytest.approx(2 / 3)
    assert graded("rouge_l", "a", " ?") is None


def test_the_longest_common_subsequence_is_that_of_the_textbook_table():
    draw = Random(0)
    for _ in range(200):
        ours, theirs = ([draw.choice("abcd") for _ in range(draw.randint(0, 25))] for _ in range(2))
        table = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
        for i, x in enumerate(ours):
            for j, y in enumerate(theirs):
                table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
        assert longest_common(ours, theirs) == table[-1][-1]


CALL = '{"name": "refund", "arguments": {"order": 17, "full": true}}'


@pytest.mark.parametrize(
    ("output", "score"),
    [
        (CALL, 1.0),
        ('[{"name": "refund", "arguments": {"full": true, "order": 17.0}}]', 1.0),
        (
            '{"type": "function", "function": {"name": "refund", "arguments": "{\\"order\\": 17, \\"full\\": true}"}}',
            1.0,
        ),
        (f"Let me see.\n<tool_call>\n{CALL}\n</tool_call>", 1.0),
        (f"```json\n{CALL}\n```", 1.0),
        ('{"name": "refund", "arguments": {"order": "17", "full": true}}', 0.0),
        ('{"name": "refund", "arguments": {"order": 17}}', 0.0),
        ('{"name": "refund", "arguments": "{oops"}', 0.0),
        (f"[{CALL}, {CALL}]", 0.0),
        ("I refund it.", 0.0),
        (None, 0.0),
    ],
)
def test_function_call(output: str | None, score: float):
    assert graded("function_call", output, CALL) == score


def test_calls_match_in_any_order_and_none_where_none_must_be_made():
    other = '{"name": "close", "arguments": {}}'
    assert graded("function_call", f"[{other}, {CALL}]", f"[{CALL}, {other}]") == 1
    assert graded("function_call", "No tool is needed.", "[]") == 1
    assert graded("function_call", CALL, "[]") == 0
    assert graded("function_call", CALL, "no call") is None
    assert graded("function_name", '{"name": "refund"}', CALL) == 1
    assert graded("function_name", other, CALL) == 0


def test_calls_that_differ_by_the_type_of_a_value_only_are_told_apart_in_any_order():
    one, true = (f'{{"name": "f", "arguments": {{"a": {value}}}}}' for value in ("1", "true"))
    assert graded("function_call", f"[{true}, {one}]", f"[{one}, {true}]") == 1
    assert graded("function_call", f"[{true}, {true}]", f"[{one}, {true}]") == 0
