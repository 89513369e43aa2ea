import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from clworkbench.signals.dialects import openinference, spans
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Fields
from tests.signals.whole import Whole

CALL = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-x-2",
    "llm.invocation_parameters": json.dumps({"model": "gpt-x", "temperature": 0.2, "user": "ann"}),
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "be brief",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "where is it?",
    "llm.input_messages.1.message.contents.1.message_content.type": "image",
    "llm.input_messages.1.message.contents.1.message_content.image.image.url": "http://x/y.png",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "lookup",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"order": 7}',
    "llm.tools.0.tool.json_schema": json.dumps({"type": "function", "function": {"name": "lookup"}}),
    "llm.token_count.prompt": 20,
    "llm.token_count.completion": 6,
    "llm.token_count.total": 26,
    "llm.cost.total": 0.25,
    "llm.finish_reason": "tool_calls",
    "session.id": "s-1",
    "metadata.user_id": "ann",
    "input.mime_type": "application/json",
}


class Read:
    """One span read: its columns, what is left of its attributes, the notes."""

    def __init__(self, attributes: Row) -> None:
        self.notes: list[str] = []
        self.left = dict(attributes)
        self.row = spans.columns(Fields(self.left, lambda kind, _: self.notes.append(kind)), [], self.note)

    def note(self, kind: str, _example: str) -> None:
        self.notes.append(kind)

    def said(self, column: str) -> list[tuple[str, str | None]]:
        return [(message.role, message.content) for message in self.row[column] or []]  # type: ignore[attr-defined]


def test_a_call_of_a_model_fills_the_columns() -> None:
    read = Read(CALL)
    wanted = {
        "conversation_id": "s-1",
        "provider": "openai",
        "model": "gpt-x",
        "model_version": "gpt-x-2",
        "n_input_tokens": 20,
        "n_output_tokens": 6,
        "cost_usd": 0.25,
        "finish_reason": "tool_calls",
        "parameters": '{"temperature":0.2}',
        "tools": '[{"type":"function","function":{"name":"lookup"}}]',
    }
    assert {name: read.row[name] for name in wanted} == wanted
    assert read.said("input") == [("system", "be brief"), ("user", "where is it?")]
    picture = json.loads(read.row["input"][1].parts)[1]  # type: ignore[index]
    assert picture == {"type": "image_url", "image_url": {"url": "http://x/y.png"}}
    [call] = read.row["output"][0].tool_calls  # type: ignore[index]
    assert call == ("c1", "lookup", '{"order": 7}')


def test_identities_stay_where_they_are_seen_by_name() -> None:
    left = Read(CALL).left
    assert left["metadata"] == {"user_id": "ann"}
    assert left["llm.invocation_parameters"] == {"user": "ann"}


def test_whole_messages_say_the_same_as_flattened_ones() -> None:
    whole: Row = {name: value for name, value in CALL.items() if "_messages." not in name}
    whole["llm.input_messages"] = [
        {"message.role": "system", "message.content": "be brief", "message.contents": None},
        {
            "message": {
                "role": "user",
                "contents": [
                    {"message_content": {"type": "text", "text": "where is it?"}},
                    {"message_content.type": "image", "message_content.image": {"image": {"url": "http://x/y.png"}}},
                ],
            }
        },
    ]
    whole["llm.output_messages"] = [
        {
            "message.role": "assistant",
            "message.tool_calls": [
                {
                    "tool_call.id": "c1",
                    "tool_call.function.name": "lookup",
                    "tool_call.function.arguments": '{"order": 7}',
                }
            ],
        }
    ]
    flat, other = Read(CALL).row, Read(whole).row
    assert other["output"] == flat["output"]
    assert [message[:5] for message in other["input"]] == [message[:5] for message in flat["input"]]  # type: ignore[attr-defined]


def test_the_tenth_message_comes_after_the_second() -> None:
    said: Row = {"openinference.span.kind": "LLM"}
    for at in range(11):
        said |= {f"llm.input_messages.{at}.message.role": "user", f"llm.input_messages.{at}.message.content": str(at)}
    assert [content for _, content in Read(said).said("input")] == [str(at) for at in range(11)]


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("LLM", "chat"),
        ("EMBEDDING", "embeddings"),
        ("TOOL", "execute_tool"),
        ("AGENT", "invoke_agent"),
        ("CHAIN", "invoke_workflow"),
        ("RETRIEVER", "retrieval"),
        ("SOMETHING_NEW", "something_new"),
        ("UNKNOWN", None),
        ("", None),
    ],
)
def test_a_kind_of_span_is_an_operation(kind: str, operation: str | None) -> None:
    assert openinference.operation({"openinference.span.kind": kind}, []) == operation


def test_a_named_operation_is_more_particular_than_the_kind() -> None:
    said = {"openinference.span.kind": "LLM", "gen_ai.operation.name": "generate_content"}
    assert spans.operation(said, []) == "generate_content"


def test_an_embedding_that_names_a_model_in_both_dialects_is_no_chat() -> None:
    assert spans.operation({"openinference.span.kind": "EMBEDDING", "gen_ai.request.model": "e"}, []) == "embeddings"


def test_a_tools_run_is_a_call_and_its_answer() -> None:
    read = Read(
        {"openinference.span.kind": "TOOL", "tool.name": "lookup", "input.value": '{"order":7}', "output.value": "sent"}
    )
    assert read.row["input"][0].tool_calls == ((None, "lookup", '{"order":7}'),)  # type: ignore[index]
    assert read.said("output") == [("tool", "sent")]


def test_retrieved_documents_are_an_answer_that_keeps_them_whole() -> None:
    read = Read(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "where?",
            "retrieval.documents.0.document.content": "one",
            "retrieval.documents.0.document.score": 0.9,
            "retrieval.documents.1.document.content": "two",
        }
    )
    assert (read.said("input"), read.said("output")) == ([("user", "where?")], [("tool", "one\n\ntwo")])
    parts = json.loads(read.row["output"][0].parts)  # type: ignore[index]
    assert parts == [{"content": "one", "score": 0.9}, {"content": "two"}]


def test_messages_are_found_in_the_request_and_response_where_nothing_else_has_them() -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 4}
    response = {"choices": [{"message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}]}
    read = Read(
        {
            "openinference.span.kind": "LLM",
            "input.value": json.dumps(request),
            "output.value": json.dumps(response),
        }
    )
    assert (read.said("input"), read.said("output")) == ([("user", "hi")], [("assistant", "yo")])
    assert read.row["finish_reason"] == "stop"
    assert read.left["input.value"] == {"model": "m", "seed": 4}


def test_a_value_that_only_repeats_the_messages_is_not_kept_twice() -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 4}
    read = Read(
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "hi",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "yo",
            "input.value": json.dumps(request),
            "input.mime_type": "application/json",
            "output.value": "yo",
            "output.mime_type": "text/plain",
        }
    )
    assert (read.said("input"), read.said("output")) == ([("user", "hi")], [("assistant", "yo")])
    assert read.left == {"input.value": {"model": "m", "seed": 4}, "input.mime_type": "application/json"}


def test_a_value_that_says_something_else_than_the_messages_is_kept_whole() -> None:
    messages = {"llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "yo"}
    read = Read({"openinference.span.kind": "LLM", **messages, "output.value": '{"steps": [1]}'})
    assert (read.said("output"), read.left) == ([("assistant", "yo")], {"output.value": {"steps": [1]}})


def test_a_hidden_text_is_missing_and_noted() -> None:
    read = Read({"openinference.span.kind": "CHAIN", "input.value": "__REDACTED__", "output.value": "done"})
    assert read.row["input"] is None
    assert read.notes == ["hidden at the source"]


def test_a_completion_of_a_prompt_is_no_chat() -> None:
    said = {
        "openinference.span.kind": "LLM",
        "llm.prompts.0.prompt.text": "once",
        "llm.choices.0.completion.text": " upon",
    }
    assert openinference.operation(said, []) == "text_completion"
    read = Read(said)
    assert (read.said("input"), read.said("output")) == ([("user", "once")], [("assistant", " upon")])


def test_messages_without_a_role_are_the_users_and_the_assistants() -> None:
    said = {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.content": "hi",
        "llm.output_messages.0.message.content": "yo",
    }
    read = Read(said)
    assert (read.said("input"), read.said("output")) == ([("user", "hi")], [("assistant", "yo")])


def test_messages_of_another_shape_are_kept_and_noted() -> None:
    read = Read({"openinference.span.kind": "LLM", "llm.input_messages.0": "hi"})
    assert (read.row["input"], read.left["llm.input_messages"]) == (None, ["hi"])
    assert read.notes == ["messages kept in attributes only"]


def exported(attributes: Row, span_id: str, **more: object) -> Row:
    """An OTLP request of one span."""
    pairs = []
    for name, value in attributes.items():
        kind = "stringValue" if isinstance(value, str) else "intValue" if isinstance(value, int) else "doubleValue"
        pairs.append({"key": name, "value": {kind: value}})
    span = {"traceId": "a" * 32, "spanId": span_id, "startTimeUnixNano": "1704067200000000000", "attributes": pairs}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span | more]}]}]}


def test_annotations_travel_in_otlp_on_the_span_or_on_a_carrier(ingest: Callable[..., Whole]) -> None:
    said = {"annotations.0.annotation.name": "good", "annotations.0.annotation.score": 1}
    carrier: Row = {"openinference.span.kind": "EVALUATOR", **said, "trace.evaluations.0.evaluation.name": "solved"}
    carrier["trace.evaluations.0.evaluation.label"] = "yes"
    link = {"traceId": "a" * 32, "spanId": "1" * 16}
    whole = ingest(
        exported(CALL | said, "1" * 16),
        exported(CALL, "1" * 16),
        exported(carrier, "2" * 16, links=[link]),
    )
    call = whole.interactions["interaction_id"][0]
    at = datetime(2024, 1, 1, tzinfo=UTC)
    assert whole.feedback.select("name", "target_kind", "target_id", "at").rows() == [
        ("good", "interaction", call, None),
        ("good", "interaction", call, at),
        ("solved", "trace", "a" * 32, at),
    ]
    assert whole.interactions["operation"].to_list() == ["chat", "chat", "evaluate"]
    # A span that was annotated since is the same span.
    assert whole.interactions["raw_sha256"].n_unique() == 2
