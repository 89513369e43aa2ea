"""Payloads as LiteLLM 1.x gives them to callbacks (tried with real ones, made by mock responses)."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole

Ingest = Callable[..., Whole]
PAYLOAD: dict[str, object] = {
    "id": "chatcmpl-1",
    "litellm_call_id": "6a896461",
    "trace_id": "t-1",
    "session_id": "s-1",
    "call_type": "acompletion",
    "stream": True,
    "status": "success",
    "custom_llm_provider": "openai",
    "startTime": 1704067200.5,
    "endTime": 1704067201.25,
    "completionStartTime": 1704067200.75,
    "response_time": 0.75,
    "model": "gpt-4o-mini",
    "model_group": "small",
    "metadata": {
        "user_api_key_hash": "88dc",
        "user_api_key_team_alias": "support",
        "user_api_key_user_id": "ann@example.com",
        "user_api_key_alias": None,
        "requester_metadata": {"ticket": 7},
    },
    "cache_hit": None,
    "response_cost": 0.0000135,
    "request_tags": ["desk"],
    "end_user": "bob@example.com",
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "total_tokens": 30,
    "messages": [{"role": "user", "content": "Where is my card?"}],
    "model_parameters": {"temperature": 0.2, "stop": None, "user": "bob@example.com", "tools": [{"type": "function"}]},
    "response": {
        "id": "chatcmpl-1",
        "created": 1704067200,
        "model": "gpt-4o-mini-2024-07-18",
        "object": "chat.completion",
        "choices": [
            {
                "finish_reason": "tool_calls",
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "On its way.",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "track", "arguments": "{}"}}],
                    "function_call": None,
                },
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    },
    "error_str": None,
    "error_information": {"error_code": "", "traceback": ""},
    "model_map_information": {"model_map_key": "gpt-4o-mini", "model_map_value": {"max_tokens": 16384, "rpm": None}},
    "response_cost_failure_debug_info": None,
}


def test_a_payload_fills_the_columns_it_speaks_of(ingest: Ingest) -> None:
    whole = ingest(PAYLOAD)
    [row] = whole.interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", "chatcmpl-1"),
        "source_id": "chatcmpl-1",
        "trace_id": "t-1",
        "conversation_id": "s-1",
        "user_key": KEY.user("bob@example.com"),
        "app": "support",
        "operation": "chat",
        "started_at": datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
        "latency_ms": 750.0,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "model_version": "gpt-4o-mini-2024-07-18",
        "tools": '[{"type":"function"}]',
        "parameters": '{"stream":true,"temperature":0.2}',
        "n_input_tokens": 10,
        "n_output_tokens": 20,
        "cost_usd": 0.0000135,
        "finish_reason": "tool_calls",
        "error": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert row["output"][0]["tool_calls"] == [{"id": "c1", "name": "track", "arguments": "{}"}]
    left = msgspec.json.decode(row["attributes"])
    assert left["metadata"] == {
        "user_api_key_hash": "88dc",
        "user_api_key_team_alias": "support",
        "user_api_key_user_id": KEY.user("ann@example.com"),
        "requester_metadata": {"ticket": 7},
    }
    assert (left["request_tags"], left["model_group"]) == (["desk"], "small")
    assert left["model_map_information"]["model_map_value"] == {"max_tokens": 16384}
    assert "example.com" not in row["attributes"]
    assert whole.fidelity == []


def test_without_an_end_user_the_keys_user_is_the_user(ingest: Ingest) -> None:
    given = PAYLOAD | {"end_user": None, "model_parameters": {}}
    assert ingest(given).interactions["user_key"][0] == KEY.user("ann@example.com")


def test_a_failure_has_its_error_and_no_answer(ingest: Ingest) -> None:
    failed = {"status": "failure", "response": {}, "error_str": "litellm.RateLimitError: slow down", "total_tokens": 0}
    [row] = ingest(PAYLOAD | failed | {"prompt_tokens": 0, "completion_tokens": 0}).interactions.to_dicts()
    assert (row["output"], row["error"]) == (None, "litellm.RateLimitError: slow down")
    assert (row["n_input_tokens"], row["input"][0]["content"]) == (None, "Where is my card?")


@pytest.mark.parametrize(
    ("told", "cost", "noted"),
    [
        ({"response_cost_failure_debug_info": {"error_str": "isn't mapped yet"}}, None, "no price for the model"),
        ({}, 0.0, "a price of 0 where there were tokens"),
        ({"cache_hit": True}, 0.0, None),
    ],
)
def test_a_price_of_zero_is_unknown_where_litellm_found_none(
    ingest: Ingest, told: dict[str, object], cost: float | None, noted: str | None
) -> None:
    whole = ingest(PAYLOAD | {"response_cost": 0.0} | told)
    assert whole.interactions["cost_usd"][0] == cost
    assert [fidelity.kind[: len(noted or "")] for fidelity in whole.fidelity] == ([noted] if noted else [])


def test_what_litellm_redacted_is_noted(ingest: Ingest) -> None:
    whole = ingest(
        PAYLOAD
        | {
            "messages": [{"role": "user", "content": "redacted-by-litellm"}],
            "response": {"text": "redacted-by-litellm"},
        }
    )
    assert [fidelity.kind for fidelity in whole.fidelity] == ["messages redacted at the source"]
    assert whole.interactions["output"][0][0]["content"] == "redacted-by-litellm"


def test_a_dumped_payloads_times_are_texts_without_a_zone(ingest: Ingest) -> None:
    times = {"startTime": "2024-01-01 00:00:00.250000", "endTime": "2024-01-01 00:00:01.250000", "response_time": None}
    [row] = ingest(PAYLOAD | times).interactions.to_dicts()
    assert (row["started_at"], row["latency_ms"]) == (datetime(2024, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC), 1000.0)


def test_texts_responses_and_embeddings_are_read_as_what_they_are(ingest: Ingest) -> None:
    items = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "resp"}]}]
    vectors = {"object": "list", "data": [{"object": "embedding", "embedding": [0.1]}]}
    whole = ingest(
        PAYLOAD | {"id": "1", "response": "plain"},
        PAYLOAD | {"id": "2", "call_type": "aresponses", "response": {"object": "response", "output": items}},
        PAYLOAD | {"id": "3", "call_type": "embedding", "response": vectors},
    )
    rows = whole.interactions.to_dicts()
    assert [row["operation"] for row in rows] == ["chat", "chat", "embeddings"]
    assert [[said["content"] for said in row["output"] or []] for row in rows] == [["plain"], ["resp"], []]
    assert all(row["input"][0]["content"] == "Where is my card?" for row in rows)


def test_a_payload_of_a_wrong_shape_is_quarantined_in_words(ingest: Ingest) -> None:
    source = Source("desk", format="litellm")
    bad = [{"model_parameters": []}, {"response": {"choices": "x"}}, {"startTime": "soon"}, {"messages": [[]]}]
    whole = ingest(*(PAYLOAD | part for part in bad), source=source)
    assert whole.quarantine["reason"].to_list() == [
        "model_parameters: a list, where an object is wanted",
        "response.choices is not a list of objects",
        "startTime: a text written like 'aaaa', where an ISO 8601 or epoch time is wanted",
        "messages[0] is a list, not an object",
    ]


def test_tags_of_an_exported_rollout_tell_release_propensity_stage_and_arm(ingest: Ingest):
    tags = ["desk", "clw.release_id=release:new", "clw.propensity=0.25", "clw.stage=25%", "clw.arm=challenger"]
    record = PAYLOAD | {"request_tags": [*tags, "clw.rollout=a", "clw.rollout=b", "clw.made_up=1"], "session_id": ""}
    row = ingest(record, source=Source("desk", format="litellm")).interactions.row(0, named=True)
    assert (row["release_id"], row["propensity"], row["conversation_id"]) == ("release:new", 0.25, "t-1")
    told = msgspec.json.decode(row["attributes"])
    assert (told["clw.stage"], told["clw.arm"]) == ("25%", "challenger")
    assert "clw.rollout" not in told
    assert "clw.made_up" not in told
