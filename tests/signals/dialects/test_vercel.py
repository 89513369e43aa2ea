import json
from collections.abc import Callable

import pytest

from clworkbench.signals.dialects import spans, vercel
from clworkbench.signals.messages import Message
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Fields
from tests.signals.whole import KEY, Whole

INNER: Row = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.id": "gpt-x",
    "ai.model.provider": "openai.responses",
    "ai.prompt.messages": json.dumps(
        [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
            {
                "role": "assistant",
                "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Ulm"}}],
            },
            {
                "role": "tool",
                "content": [
                    {
                        "type": "tool-result",
                        "toolCallId": "c1",
                        "toolName": "weather",
                        "output": {"type": "json", "value": {"sky": "clear"}},
                    }
                ],
            },
        ]
    ),
    "ai.prompt.tools": [json.dumps({"type": "function", "name": "weather"})],
    "ai.prompt.toolChoice": '{"type":"auto"}',
    "ai.response.text": "Clear.",
    "ai.response.toolCalls": json.dumps([{"toolCallId": "c2", "toolName": "weather", "args": '{"city":"Bonn"}'}]),
    "ai.response.model": "gpt-x-2",
    "ai.response.finishReason": "tool-calls",
    "ai.settings.temperature": 0.5,
    "ai.telemetry.metadata.sessionId": "s-1",
    "ai.telemetry.metadata.userId": "ann",
    "ai.usage.promptTokens": 14,
    "ai.usage.completionTokens": 20,
    "gen_ai.request.model": "gpt-x",
    "gen_ai.system": "openai.responses",
    "gen_ai.response.finish_reasons": ["tool-calls"],
}


def columns(attributes: Row) -> Row:
    return spans.columns(Fields(attributes, lambda _kind, _example: None), [], lambda _kind, _example: None)


def said(row: Row, column: str) -> list[tuple[str, str | None]]:
    return [(message.role, message.content) for message in row[column] or []]  # type: ignore[attr-defined]


def test_the_providers_call_fills_the_columns() -> None:
    left = dict(INNER)
    row = columns(left)
    wanted = {
        "conversation_id": "s-1",
        "provider": "openai.responses",
        "model": "gpt-x",
        "model_version": "gpt-x-2",
        "n_input_tokens": 14,
        "n_output_tokens": 20,
        "finish_reason": "tool-calls",
        "tools": '[{"type":"function","name":"weather"}]',
        "parameters": '{"temperature":0.5,"toolChoice":{"type":"auto"}}',
    }
    assert {name: row[name] for name in wanted} == wanted
    assert said(row, "input") == [
        ("system", "be brief"),
        ("user", "weather?"),
        ("assistant", None),
        ("tool", '{"sky":"clear"}'),
    ]
    assert row["input"][2].tool_calls == (("c1", "weather", '{"city":"Ulm"}'),)  # type: ignore[index]
    assert row["input"][3].tool_call_id == "c1"  # type: ignore[index]
    assert said(row, "output") == [("assistant", "Clear.")]
    assert row["output"][0].tool_calls == (("c2", "weather", '{"city":"Bonn"}'),)  # type: ignore[index]
    assert left == {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.telemetry.metadata": {"sessionId": "s-1", "userId": "ann"},
    }


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("ai.generateText", "invoke_agent"),
        ("ai.generateText.doGenerate", "chat"),
        ("ai.streamObject.doStream", "chat"),
        ("ai.embedMany", "invoke_workflow"),
        ("ai.embedMany.doEmbed", "embeddings"),
        ("ai.toolCall", "execute_tool"),
        ("http.get", None),
        (None, None),
    ],
)
def test_only_the_inner_span_is_a_models_call(name: str | None, operation: str | None) -> None:
    assert vercel.operation({} if name is None else {"ai.operationId": name}, []) == operation


def test_the_callers_prompt_is_system_and_user() -> None:
    row = columns({"ai.operationId": "ai.generateText", "ai.prompt": '{"system":"be brief","prompt":"hi"}'})
    assert said(row, "input") == [("system", "be brief"), ("user", "hi")]


def test_an_object_that_was_generated_is_the_answer() -> None:
    row = columns({"ai.operationId": "ai.generateObject.doGenerate", "ai.response.object": '{"a":1}'})
    assert said(row, "output") == [("assistant", '{"a":1}')]


def test_reasoning_is_kept_beside_the_answer() -> None:
    row = columns(
        {"ai.operationId": "ai.generateText.doGenerate", "ai.response.text": "4", "ai.response.reasoning": "2+2"}
    )
    assert said(row, "output") == [("assistant", "4")]
    assert json.loads(row["output"][0].parts)[0] == {"type": "reasoning", "text": "2+2"}  # type: ignore[index]


def test_a_tool_that_ran_is_a_call_and_its_answer() -> None:
    row = columns(
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "weather",
            "ai.toolCall.id": "c1",
            "ai.toolCall.args": '{"city":"Ulm"}',
            "ai.toolCall.result": '{"sky":"clear"}',
        }
    )
    assert row["input"][0].tool_calls == (("c1", "weather", '{"city":"Ulm"}'),)  # type: ignore[index]
    assert (said(row, "output"), row["output"][0].tool_call_id) == ([("tool", '{"sky":"clear"}')], "c1")  # type: ignore[index]


def test_the_texts_to_embed_are_read_out_of_their_quotes() -> None:
    row = columns({"ai.operationId": "ai.embedMany.doEmbed", "ai.values": ['"one"', '"two \\"2\\""']})
    assert said(row, "input") == [("user", "one"), ("user", 'two "2"')]


def test_older_names_of_the_answer_are_read() -> None:
    row = columns({"ai.operationId": "ai.generateText", "ai.result.text": "yo", "ai.finishReason": "stop"})
    assert (said(row, "output"), row["finish_reason"]) == ([("assistant", "yo")], "stop")


def test_a_prompt_of_another_shape_is_kept_as_json() -> None:
    row = columns({"ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": "[1]"})
    assert row["input"] == [Message("user", "[1]")]


def test_the_caller_and_its_user_are_known_over_otlp(ingest: Callable[..., Whole]) -> None:
    pairs = [{"key": name, "value": {"stringValue": value}} for name, value in INNER.items() if isinstance(value, str)]
    sent = {
        "resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "a" * 32, "spanId": "b" * 16, "attributes": pairs}]}]}]
    }
    [row] = ingest(sent).interactions.to_dicts()
    assert (row["operation"], row["user_key"], row["conversation_id"]) == ("chat", KEY.user("ann"), "s-1")
    assert '"ann"' not in row["attributes"]
