"""OpenAI's other shapes: Responses, batches, stored completions, fine-tuning rows, evals."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
ASKED = {"role": "user", "content": "Where is my card?"}
SAID = {"role": "assistant", "content": "On its way."}
OPENAI = Source("desk", format="openai")


def text_of(messages: list[dict[str, object]] | None) -> list[tuple[object, object]]:
    return [(message["role"], message["content"]) for message in messages or []]


RESPONSE = {
    "id": "resp_2",
    "object": "response",
    "created_at": 1_704_067_200,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": "Be brief.",
    "model": "gpt-4.1-2025-04-14",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look it up."}]},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "One moment.", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "track", "arguments": '{"card":7}'},
    ],
    "parallel_tool_calls": True,
    "previous_response_id": "resp_1",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tools": [],
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 87,
        "total_tokens": 123,
    },
    "metadata": {"conversation_id": "c1"},
}
REQUEST = {
    "model": "gpt-4.1",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Where is my card?"}]},
        {"type": "function_call", "call_id": "call_0", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": "card 7"},
    ],
    "previous_response_id": "resp_1",
    "user": "ann",
}


def test_a_turn_of_the_responses_api_is_one_answer_with_its_calls_and_reasoning(ingest: Ingest) -> None:
    whole = ingest({"request": REQUEST, "response": RESPONSE})
    [row] = whole.interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", "resp_2"),
        "source_id": "resp_2",
        "parent_id": "resp_1",
        "conversation_id": "c1",
        "user_key": KEY.user("ann"),
        "operation": "chat",
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "model": "gpt-4.1",
        "model_version": "gpt-4.1-2025-04-14",
        "n_input_tokens": 36,
        "n_output_tokens": 87,
        "finish_reason": "stop",
    }
    assert {name: row[name] for name in wanted} == wanted
    assert text_of(row["input"]) == [
        ("system", "Be brief."),
        ("user", "Where is my card?"),
        ("assistant", None),
        ("tool", "card 7"),
    ]
    assert (row["input"][2]["tool_calls"], row["input"][3]["tool_call_id"]) == (
        [{"id": "call_0", "name": "find", "arguments": "{}"}],
        "call_0",
    )
    [said] = row["output"]
    assert said["content"] == "One moment."
    assert said["tool_calls"] == [{"id": "call_1", "name": "track", "arguments": '{"card":7}'}]
    assert "Look it up." in said["parts"]
    assert [noted.kind for noted in whole.fidelity] == [
        "input goes on from an earlier response, whose turns stand there"
    ]


def test_a_response_alone_has_no_input_and_says_so(ingest: Ingest) -> None:
    whole = ingest(RESPONSE | {"instructions": None, "previous_response_id": None})
    [row] = whole.interactions.to_dicts()
    assert (row["input"], row["output"][0]["content"], row["parent_id"]) == (None, "One moment.", None)
    assert "no request in the record, so no input" in [noted.kind for noted in whole.fidelity]


@pytest.mark.parametrize(
    ("ended", "finish_reason", "error"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", None),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", None),
        ({"status": "failed", "error": {"code": "server_error", "message": "broke"}, "output": []}, "failed", "broke"),
    ],
)
def test_how_a_response_ended_is_told_in_a_chats_words(
    ingest: Ingest, ended: dict[str, object], finish_reason: str, error: str | None
) -> None:
    [row] = ingest({"request": {"input": "hi"}, "response": RESPONSE | ended}).interactions.to_dicts()
    assert (row["finish_reason"], row["error"]) == (finish_reason, error)
    assert (row["output"] is None) == (error is not None)


def test_a_failed_call_does_not_take_an_earlier_answer_for_its_own(ingest: Ingest) -> None:
    request = {"model": "m", "messages": [ASKED, SAID, ASKED]}
    [row] = ingest({"request": request, "response": {"status_code": 500, "body": {}}}).interactions.to_dicts()
    assert (len(row["input"]), row["output"], row["error"]) == (3, None, "status 500")


COMPLETION = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_704_067_200, "model": "m"} | {
    "choices": [{"index": 0, "message": SAID, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3},
}


def test_a_batchs_requests_are_skipped_and_its_outputs_read_without_input(ingest: Ingest) -> None:
    asked = {"custom_id": "q1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [ASKED]}}
    done = {"id": "batch_req_1", "custom_id": "q1", "response": {"status_code": 200, "body": COMPLETION}, "error": None}
    failed = {"id": "batch_req_2", "custom_id": "q2", "response": None, "error": {"code": "expired", "message": "late"}}
    whole = ingest(asked, done, failed)
    assert whole.skipped == {"a batch's request without its response": 1}
    rows = whole.interactions.to_dicts()
    assert [(row["source_id"], row["input"], row["error"]) for row in rows] == [
        ("batch_req_1", None, None),
        ("batch_req_2", None, "late"),
    ]
    assert text_of(rows[0]["output"]) == [("assistant", "On its way.")]
    assert msgspec.json.decode(rows[0]["attributes"]) == {"custom_id": "q1"}
    assert [(noted.kind, noted.count) for noted in whole.fidelity] == [("no request in the record, so no input", 2)]


def test_a_page_of_stored_completions_counts_each(ingest: Ingest) -> None:
    page = {"object": "list", "data": [COMPLETION, COMPLETION | {"id": "chatcmpl-2"}, "x"], "has_more": True}
    whole = ingest(page, {"object": "list", "data": []})
    assert whole.interactions["source_id"].to_list() == ["chatcmpl-1", "chatcmpl-2"]
    assert (whole.records, whole.quarantine["reason"].to_list()) == (4, ["data[2]: a text, not an object"])
    assert whole.skipped == {"an empty page of a list": 1}
    assert whole.fidelity[0].kind == "a page of a list that goes on, the other pages missing"


def test_a_plain_completion_and_an_embedding_are_operations_of_their_own(ingest: Ingest) -> None:
    text = {"object": "text_completion", "id": "cmpl-1", "choices": [{"text": " world", "finish_reason": "length"}]}
    vector = {"object": "list", "data": [{"object": "embedding", "embedding": [0.5]}], "usage": {"prompt_tokens": 1}}
    whole = ingest(
        {"request": {"model": "m", "prompt": "hello"}, "response": text},
        {"request": {"model": "e", "input": ["hello"]}, "response": vector},
    )
    rows = whole.interactions.to_dicts()
    assert [row["operation"] for row in rows] == ["text_completion", "embeddings"]
    assert [text_of(row["input"]) for row in rows] == [[("user", "hello")], [("user", "hello")]]
    assert [text_of(row["output"]) for row in rows] == [[("assistant", " world")], []]


def test_a_preference_row_is_the_answer_that_lost_and_the_better_one_as_feedback(ingest: Ingest) -> None:
    row = {
        "input": {"messages": [ASKED], "tools": [{"type": "function"}], "parallel_tool_calls": True},
        "preferred_output": [SAID],
        "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
    }
    whole = ingest(row)
    [interaction], [feedback] = whole.interactions.to_dicts(), whole.feedback.to_dicts()
    assert text_of(interaction["input"]) == [("user", "Where is my card?")]
    assert text_of(interaction["output"]) == [("assistant", "No idea.")]
    assert interaction["tools"] == '[{"type":"function"}]'
    assert text_of(feedback["improvement"]) == [("assistant", "On its way.")]
    assert (feedback["target_id"], feedback["target_kind"]) == (interaction["interaction_id"], "interaction")
    assert [feedback[name] for name in ("name", "kind", "score", "origin", "explicit")] == [
        "preferred",
        "preference",
        -1.0,
        None,
        None,
    ]


def test_openpipes_rejected_message_is_the_answer_that_lost(ingest: Ingest) -> None:
    rejected = {"role": "assistant", "content": "No idea."}
    whole = ingest(
        {"messages": [ASKED, SAID], "rejected_message": rejected, "split": "TEST"},
        {"messages": [ASKED, SAID], "rejected_message": None, "split": "TRAIN"},
    )
    assert [text_of(output) for output in whole.interactions["output"].to_list()] == [
        [("assistant", "No idea.")],
        [("assistant", "On its way.")],
    ]
    assert [text_of(better) for better in whole.feedback["improvement"].to_list()] == [[("assistant", "On its way.")]]
    assert [msgspec.json.decode(left) for left in whole.interactions["attributes"]] == [
        {"split": "TEST"},
        {"split": "TRAIN"},
    ]


def test_openpipes_log_of_input_and_output_is_an_interaction(ingest: Ingest) -> None:
    line = {"input": {"model": "m", "messages": [ASKED]}, "output": SAID, "tags": {"prompt_id": "p"}}
    [row] = ingest(line).interactions.to_dicts()
    assert (text_of(row["input"]), text_of(row["output"])) == (
        [("user", "Where is my card?")],
        [("assistant", "On its way.")],
    )
    assert msgspec.json.decode(row["attributes"]) == {"tags": {"prompt_id": "p"}}


def test_fine_tuning_rows_keep_tools_weights_and_reference_fields(ingest: Ingest) -> None:
    tuned = {"messages": [ASKED, SAID | {"weight": 0}], "tools": [{"type": "function"}], "parallel_tool_calls": False}
    graded = {"messages": [ASKED], "reference_answer": "Monday", "difficulty": 2}
    rows = ingest(tuned, graded).interactions.to_dicts()
    assert rows[0]["tools"] == '[{"type":"function"}]'
    assert rows[0]["parameters"] == '{"parallel_tool_calls":false}'
    assert '"weight":0' in rows[0]["output"][0]["parts"]
    assert rows[1]["output"] is None
    assert msgspec.json.decode(rows[1]["attributes"]) == {"reference_answer": "Monday", "difficulty": 2}


def test_an_evals_example_has_no_answer_and_what_would_be_ideal(ingest: Ingest) -> None:
    whole = ingest({"input": [ASKED], "ideal": ["Monday", "On Monday"]}, {"input": [ASKED], "ideal": "Monday"})
    assert whole.interactions["output"].to_list() == [None, None]
    assert [text_of(better)[0][1] for better in whole.feedback["improvement"].to_list()] == [
        "Monday",
        "On Monday",
        "Monday",
    ]
    assert set(whole.feedback["kind"]) == {"correction"}
    assert whole.feedback["feedback_id"].n_unique() == 3


def test_a_flywheels_line_has_its_workload_as_app_and_its_time(ingest: Ingest) -> None:
    line = {
        "timestamp": 1_704_067_200,
        "workload_id": "desk-router",
        "client_id": "dev",
        "request": {"model": "m", "messages": [ASKED]},
        "response": {"choices": [{"message": SAID, "finish_reason": "stop"}]},
    }
    [row] = ingest(line).interactions.to_dicts()
    assert row["started_at"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert row["app"] == "desk-router"
    assert msgspec.json.decode(row["attributes"]) == {"client_id": "dev"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"preferred_output": [SAID], "non_preferred_output": []}, "non_preferred_output: no message"),
        ({"messages": [ASKED], "rejected_message": SAID}, "a rejected_message, but messages that do not end with"),
        ({"request": {"input": [1]}, "response": RESPONSE}, "items[0] is a number, not an object"),
        ({"request": {"input": [{"x": 1}]}, "response": RESPONSE}, "an item with neither a role nor a type"),
        ({"request": {"messages": [ASKED]}, "response": {"choices": 1}}, "response.choices is not a list of objects"),
    ],
)
def test_half_a_shape_is_quarantined_in_words(ingest: Ingest, line: dict[str, object], reason: str) -> None:
    whole = ingest(line, source=OPENAI)
    assert whole.quarantine["reason"][0].startswith(reason)


@pytest.mark.parametrize("lost", [[], None, 7])
def test_a_preference_row_without_one_of_its_answers_is_quarantined(ingest: Ingest, lost: object) -> None:
    row = {"input": {"messages": [ASKED]}, "preferred_output": [SAID], "non_preferred_output": lost}
    whole = ingest(row, source=OPENAI)
    assert whole.quarantine["reason"][0].startswith("non_preferred_output: ")


def test_a_tables_texts_hold_messages_and_objects(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "messages", "usage", "metadata", "feedback", "error"])
        texts = [
            json.dumps(v) for v in ([ASKED, SAID], {"prompt_tokens": 3}, {"app": "desk"}, {"name": "up", "score": 1})
        ]
        writer.writerow(["1", *texts, ""])
        writer.writerow(["2", texts[0], "", "", "", ""])
    whole = read_whole(path, Source("desk"))
    rows = whole.interactions.to_dicts()
    assert [text_of(row["output"]) for row in rows] == [[("assistant", "On its way.")]] * 2
    assert [(row["n_input_tokens"], row["app"], row["error"]) for row in rows] == [
        (3, "desk", None),
        (None, None, None),
    ]
    assert whole.feedback["name"].to_list() == ["up"]
