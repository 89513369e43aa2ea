import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole

Ingest = Callable[..., Whole]
FEEDBACK = {
    "inference_log_id": "inf-1",
    "score": -0.5,
    "weight": 0.25,
    "improvement": {"role": "assistant", "content": "It left on Monday."},
    "qualitative_feedback": "too vague",
    "signal_name": "edited",
    "signal_source": "system",
    "signal_type": "implicit",
    "metadata": {"ticket": 7},
    "created_at": "2024-01-01T00:00:00Z",
}
LOG = {
    "id": "inf-1",
    "input": [{"role": "user", "content": "Where is my card?"}],
    "output": {"role": "assistant", "content": "Soon."},
    "metadata": {"conversation_id": "c1"},
    "meta_tags": ["desk"],
}


def test_feedback_keeps_its_score_weight_improvement_and_words(ingest: Ingest) -> None:
    whole = ingest(FEEDBACK)
    [row] = whole.feedback.to_dicts()
    wanted = {
        "target_id": KEY.id("desk", "inf-1"),
        "target_kind": "interaction",
        "name": "edited",
        "kind": "correction",
        "score": -0.5,
        "weight": 0.25,
        "comment": "too vague",
        "origin": "system",
        "explicit": False,
        "at": datetime(2024, 1, 1, tzinfo=UTC),
        "value": '{"metadata":{"ticket":7}}',
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(said["role"], said["content"]) for said in row["improvement"]] == [("assistant", "It left on Monday.")]


def test_what_is_absent_means_what_the_service_says_it_means(ingest: Ingest) -> None:
    [row] = ingest({"inference_id": "i", "signal_name": "thumbs", "score": 1}).feedback.to_dicts()
    assert (row["origin"], row["explicit"], row["weight"], row["kind"]) == ("user", True, 1.0, "rating")


def test_feedback_joins_the_log_it_is_about(ingest: Ingest) -> None:
    whole = ingest(LOG, FEEDBACK)
    [row] = whole.interactions.to_dicts()
    assert whole.feedback["target_id"].to_list() == [row["interaction_id"]]
    assert (row["conversation_id"], row["output"][0]["content"]) == ("c1", "Soon.")
    assert json.loads(row["attributes"]) == {"metadata": {"conversation_id": "c1"}, "meta_tags": ["desk"]}


@pytest.mark.parametrize(
    "sent",
    [
        {"url": "https://gw.example/p/feedback/inf-1?x=1", "body": {"score": 1, "signal_name": "thumbs"}},
        {"url": "https://gw.example/p/e/feedback/inf-1/", "body": '{"score": 1, "signal_name": "thumbs"}'},
        {"headers": {"X-Feedback-Url": "/p/feedback/inf-1"}, "score": 1, "signal_name": "thumbs"},
    ],
)
def test_the_inference_may_stand_in_the_address(ingest: Ingest, sent: dict[str, object]) -> None:
    [row] = ingest(sent).feedback.to_dicts()
    assert (row["target_id"], row["score"], row["value"]) == (KEY.id("desk", "inf-1"), 1.0, None)


def test_tokens_never_stay(ingest: Ingest) -> None:
    whole = ingest(FEEDBACK | {"X-Feedback-Token": "eyJ0b2tlbiI6MX0", "headers": {"Authorization": "secret"}})
    said = str(whole.feedback.to_dicts()) + str(whole.fidelity)
    assert "eyJ0b2tlbiI6MX0" not in said
    assert "secret" not in said
    assert [noted.kind for noted in whole.fidelity] == ["headers or a token, left out"]


def test_the_same_words_sent_twice_are_one_feedback_and_other_words_another(ingest: Ingest) -> None:
    whole = ingest(FEEDBACK, FEEDBACK, FEEDBACK | {"score": 1})
    assert whole.feedback["feedback_id"].n_unique() == 2


def test_feedback_without_a_target_and_a_log_without_texts_are_quarantined(ingest: Ingest) -> None:
    source = Source("desk", format="datawizz")
    whole = ingest({"signal_name": "thumbs", "score": 1}, {"meta_tags": [], "input": None}, source=source)
    assert whole.quarantine["reason"].to_list() == [
        "feedback that names no inference, by a field or by the address it was sent to",
        "a log with neither input nor output",
    ]


def test_an_unknown_source_of_a_signal_is_kept_and_noted(ingest: Ingest) -> None:
    whole = ingest(FEEDBACK | {"signal_source": "cat"})
    assert whole.feedback["origin"].to_list() == [None]
    assert json.loads(whole.feedback["value"][0])["signal_source"] == "cat"
    assert [noted.kind for noted in whole.fidelity] == ["signal_source unknown, kept in value"]
