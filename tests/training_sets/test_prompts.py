"""Which prompts have an answer that a verifier can grade."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.schemas import LABELS
from clworkbench.scorers.scorer import Place, within
from clworkbench.training_sets.descent import BuiltSet
from clworkbench.training_sets.prompts import build_prompts
from tests.training_sets.made import ALL, KEY, NOON, NOTHING_HELD, label, labels, said, signal, signals, taken, whole


def prompts(found: pl.DataFrame, verifier: str = "exact_match", judged: pl.DataFrame | None = None) -> BuiltSet:
    judged = pl.DataFrame(schema=LABELS) if judged is None else judged
    return whole(build_prompts(found, judged, NOTHING_HELD, ALL, KEY, verifier=verifier))


def expected(made: BuiltSet) -> dict[str, tuple[str, str]]:
    rows = made.frame.iter_rows(named=True)
    return {row["signal_ids"][0]: (row["expected"], row["rule"]) for row in rows}


def test_the_good_answer_is_expected_whoever_gave_it():
    better = {"improvement": [said("assistant", "B")], "improvement_id": "f"}
    judged = labels(label("l", "c", "improvement", improvement=[said("assistant", "C")]))
    found = signals(
        signal("a", "a?", "A", outcome=True),
        signal("b", "b?", "wrong", outcome=False, **better),
        signal("c", "c?", "wrong"),
        signal("d", "d?", "wrong", outcome=False),
    )
    made = prompts(found, judged=judged)
    assert expected(made) == {"a": ("A", "accepted"), "b": ("B", "corrected"), "c": ("C", "labelled")}
    assert set(made.frame["verifier"]) == {"exact_match"}
    assert taken(made) == {"negative": 1}


def test_what_the_verifier_cannot_grade_is_left_out():
    found = signals(
        signal("a", "a?", '{"intent": "card"}', outcome=True),
        signal("b", "b?", '{"queue": 7}', outcome=True),
        signal("c", "c?", "{broken", outcome=True),
    )
    assert set(expected(prompts(found, "json_field:intent"))) == {"a", "c"}
    assert set(expected(prompts(found, "valid_json"))) == {"a", "b"}
    assert taken(prompts(found, "valid_json")) == {"not_verifiable": 1}


def test_an_answer_without_words_cannot_be_expected():
    call = [{"role": "assistant", "content": None, "tool_calls": [{"id": "1", "name": "f", "arguments": "{}"}]}]
    assert taken(prompts(signals(signal("a", "a?", "", outcome=True, output=call)))) == {"no_words": 1}


def test_a_good_answer_that_calls_tools_is_expected_as_its_calls_where_calls_are_verified():
    calls = [
        {"id": "1", "name": "find", "arguments": '{"id": "a \\"b\\"", "deep": true}'},
        {"id": "2", "name": "stop", "arguments": None},
    ]
    asks = {"role": "assistant", "content": "Let me see.", "tool_calls": calls}
    found = signals(signal("a", "a?", "", outcome=True, output=[asks]), signal("b", "b?", "In words.", outcome=True))
    [(wanted, _)] = expected(prompts(found, "function_call")).values()
    assert [(call["name"], json.loads(call["arguments"] or "{}")) for call in json.loads(wanted)] == [
        ("find", {"id": 'a "b"', "deep": True}),
        ("stop", {}),
    ]
    assert taken(prompts(found, "function_name")) == {"not_verifiable": 1}
    assert expected(prompts(found)) == {"a": ("Let me see.", "accepted"), "b": ("In words.", "accepted")}


def test_of_several_answers_to_one_prompt_the_correction_counts_before_the_latest_accepted():
    better = {"improvement": [said("assistant", "C")], "improvement_id": "f"}
    found = [
        signal("old", "q?", "A", outcome=True),
        signal("new", "q?", "B", outcome=True, started_at=NOON + timedelta(days=1)),
        signal("edit", "q?", "A", outcome=False, started_at=NOON - timedelta(days=1), **better),
    ]
    assert expected(prompts(signals(*found))) == {"edit": ("C", "corrected")}
    assert taken(prompts(signals(*found))) == {"contradicted": 2}
    assert expected(prompts(signals(*found[:2]))) == {"new": ("B", "accepted")}


def test_a_verifier_that_is_none_is_refused_in_words():
    with pytest.raises(ClwError, match=r"exact_mach.*Did you mean exact_match"):
        prompts(signals(), "exact_mach")


def test_where_nobody_can_say_a_right_answer_what_can_be_graded_is_kept(tmp_path: Path):
    (tmp_path / "checks.py").write_text(
        "def polite(output, expected):\n    return 'please' in output\n\n\npolite.expected_is_answer = False\n"
    )
    found = signals(signal("a", "a?", "No.", outcome=True))
    with within(Place(tmp_path)):
        assert expected(prompts(found, "python:checks.py:polite")) == {"a": ("No.", "accepted")}
