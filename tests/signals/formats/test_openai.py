import math
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from tests.signals.whole import KEY, Whole

Ingest = Callable[..., Whole]
SYSTEM = {"role": "system", "content": "Be brief."}
ASKED = {"role": "user", "content": "Where is my card?"}
SAID = {"role": "assistant", "content": "On its way."}


def text_of(messages: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(message["role"], message["content"]) for message in messages]


def test_a_chat_log_line_fills_the_columns_it_speaks_of(ingest: Ingest) -> None:
    line = {
        "id": "chatcmpl-1",
        "created": 1_704_067_200,
        "model": "gpt-4o-mini",
        "user": "ann@example.com",
        "messages": [SYSTEM, ASKED, SAID],
        "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
        "temperature": 0.2,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "finish_reason": "stop",
        "metadata": {"conversation_id": "c1", "app": "desk", "ticket": 7, "cost_usd": 0, "propensity": 0.5},
    }
    [row] = ingest(line).interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", "chatcmpl-1"),
        "source": "desk",
        "source_id": "chatcmpl-1",
        "conversation_id": "c1",
        "user_key": KEY.user("ann@example.com"),
        "app": "desk",
        "operation": "chat",
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "model": "gpt-4o-mini",
        "n_input_tokens": 11,
        "n_output_tokens": 4,
        "cost_usd": 0.0,
        "propensity": 0.5,
        "finish_reason": "stop",
        "parameters": '{"temperature":0.2}',
        "tools": '[{"type":"function","function":{"name":"f"}}]',
    }
    assert {name: row[name] for name in wanted} == wanted
    assert text_of(row["input"]) == [("system", "Be brief."), ("user", "Where is my card?")]
    assert text_of(row["output"]) == [("assistant", "On its way.")]
    assert msgspec.json.decode(row["attributes"]) == {"metadata": line["metadata"]}


def test_what_is_said_after_the_last_answer_stays_in_attributes_and_is_noted(ingest: Ingest) -> None:
    whole = ingest({"id": "1", "messages": [ASKED, SAID, {"role": "user", "content": "Thanks"}]})
    [row] = whole.interactions.to_dicts()
    assert text_of(row["input"]) == [("user", "Where is my card?")]
    assert msgspec.json.decode(row["attributes"]) == {"messages_after": [{"role": "user", "content": "Thanks"}]}
    assert [noted.kind for noted in whole.fidelity] == ["messages after the last answer, kept in attributes"]


def test_a_call_without_an_answer_has_no_output(ingest: Ingest) -> None:
    [row] = ingest({"messages": [ASKED], "error": {"message": "rate limit", "code": 429}}).interactions.to_dicts()
    assert row["output"] is None
    assert row["error"] == "rate limit"


def test_user_names_never_stay_in_attributes(ingest: Ingest) -> None:
    metadata = {"user_id": "ann@example.com", "user": {"email": "ann@example.com", "tags": ["ann@example.com"]}}
    [row] = ingest({"messages": [ASKED, SAID], "metadata": metadata}).interactions.to_dicts()
    key = KEY.user("ann@example.com")
    assert row["user_key"] == key
    assert msgspec.json.decode(row["attributes"]) == {
        "metadata": {"user_id": key, "user": {"email": key, "tags": [key]}}
    }


REQUEST = {"model": "gpt-4o-mini", "messages": [ASKED], "user": "ann", "temperature": 0.7, "custom": 1}
RESPONSE = {
    "id": "chatcmpl-9",
    "object": "chat.completion",
    "created": 1_704_067_200,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {
            "index": 0,
            "message": SAID,
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": math.log(0.5)}]},
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3},
}


@pytest.mark.parametrize(
    "line",
    [
        {"request": REQUEST, "response": RESPONSE},
        {"request": {"body": REQUEST}, "response": {"status_code": 200, "body": RESPONSE}},
        {"custom_id": "q1", "method": "POST", "body": REQUEST, "response": {"status_code": 200, "body": RESPONSE}},
    ],
)
def test_a_request_with_its_response_is_one_interaction(ingest: Ingest, line: dict[str, object]) -> None:
    [row] = ingest(line).interactions.to_dicts()
    assert (row["source_id"], row["model"], row["model_version"], row["finish_reason"]) == (
        "chatcmpl-9",
        "gpt-4o-mini",
        "gpt-4o-mini-2024-07-18",
        "stop",
    )
    assert text_of(row["input"]) == [("user", "Where is my card?")]
    assert text_of(row["output"]) == [("assistant", "On its way.")]
    assert row["confidence"] == pytest.approx(0.75)
    assert row["user_key"] == KEY.user("ann")
    assert row["started_at"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert (row["n_input_tokens"], row["n_output_tokens"]) == (9, 3)
    assert msgspec.json.decode(row["attributes"])["request"] == {"custom": 1}


def test_a_failed_request_keeps_its_error_and_has_no_output(ingest: Ingest) -> None:
    whole = ingest({"custom_id": "q", "request": REQUEST, "response": {"status_code": 500, "body": {}}})
    [row] = whole.interactions.to_dicts()
    assert (row["source_id"], row["output"], row["error"]) == ("q", None, "status 500")


def test_further_choices_are_kept_and_noted(ingest: Ingest) -> None:
    response = RESPONSE | {"choices": [{"message": SAID}, {"message": {"role": "assistant", "content": "Soon."}}]}
    whole = ingest({"request": REQUEST, "response": response})
    assert "Soon." in whole.interactions["attributes"][0]
    assert [noted.kind for noted in whole.fidelity] == ["more than one choice, the others kept in attributes"]


def test_feedback_inside_a_line_points_at_its_interaction(ingest: Ingest) -> None:
    given = [
        {"name": "thumbs", "score": True, "at": "2024-01-01T00:00:00Z", "actor": "ann"},
        {"name": "edited", "improvement": "It left on Monday.", "origin": "operator", "weight": 0.5},
        {"name": "note", "comment": "rude"},
        {"id": "f4", "name": "reopened", "at": 1_704_067_200, "value": {"ticket": 7}, "queue": "q"},
    ]
    whole = ingest({"id": "1", "messages": [ASKED, SAID], "feedback": given})
    rows = whole.feedback.to_dicts()
    target = KEY.id("desk", "1")
    assert {row["target_id"] for row in rows} == {target}
    assert [row["kind"] for row in rows] == ["rating", "correction", "comment", "event"]
    assert [row["score"] for row in rows] == [1.0, None, None, None]
    assert [row["weight"] for row in rows] == [1.0, 0.5, 1.0, 1.0]
    assert [row["origin"] for row in rows] == ["user", "operator", "user", "user"]
    assert [row["explicit"] for row in rows] == [True, True, True, None]
    assert rows[0]["actor_key"] == KEY.user("ann")
    assert text_of(rows[1]["improvement"]) == [("assistant", "It left on Monday.")]
    assert msgspec.json.decode(rows[3]["value"]) == {"value": {"ticket": 7}, "queue": "q"}
    assert rows[3]["feedback_id"] == KEY.id("desk", "feedback", "f4")
    assert rows[2]["feedback_id"] == KEY.id("desk", "feedback", target, "note", "2")
    assert whole.records == 1


@pytest.mark.parametrize(("score", "value"), [(4, "4"), ("up", '"up"'), (-1.01, "-1.01")])
def test_a_score_out_of_range_is_kept_raw_and_noted(ingest: Ingest, score: object, value: str) -> None:
    whole = ingest({"id": "1", "messages": [ASKED, SAID], "feedback": [{"name": "stars", "score": score}]})
    [row] = whole.feedback.to_dicts()
    assert (row["score"], row["value"]) == (None, value)
    assert len(whole.fidelity) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"messages": "hi"}, "messages: a text, where a list is wanted"),
        ({"messages": [{"content": "hi"}]}, "messages[0] has no role"),
        ({"prompt": "hi"}, "an object without messages, and without a request and its response"),
        ({"request": {"model": "m"}, "response": {}}, "request.messages: nothing, where a list is wanted"),
        ({"messages": [], "created": "12/31/2024"}, "created: a text written like '99/99/9999'"),
        ({"messages": [], "feedback": ["good"]}, "feedback[0] is a text, not an object"),
        ({"messages": [], "feedback": [{"at": "soon"}]}, "feedback[0]: at: a text written like 'aaaa'"),
        ({"messages": [], "feedback": [{"origin": "cat"}]}, "feedback[0]: origin: a text written like 'aaa', none of"),
        ([1], "a list, not an object"),
    ],
)
def test_a_line_of_another_shape_is_quarantined_in_words(ingest: Ingest, line: object, reason: str) -> None:
    good = {"messages": [ASKED, SAID]}
    whole = ingest(good, line)
    assert len(whole.interactions) == 1
    assert whole.quarantine["reason"][0].startswith(reason)
    assert whole.feedback.is_empty()
