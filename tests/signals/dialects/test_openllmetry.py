import json
from collections.abc import Callable

import pytest

from clworkbench.signals.dialects import spans
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Fields
from tests.signals.whole import KEY, Whole


def columns(attributes: Row) -> Row:
    return spans.columns(Fields(attributes, lambda _kind, _example: None), [], lambda _kind, _example: None)


def said(row: Row, column: str) -> list[tuple[str, str | None]]:
    return [(message.role, message.content) for message in row[column] or []]  # type: ignore[attr-defined]


NUMBERED: Row = {
    "llm.request.type": "chat",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "where?",
    "gen_ai.prompt.1.role": "assistant",
    "gen_ai.prompt.1.tool_calls.0.id": "c1",
    "gen_ai.prompt.1.tool_calls.0.name": "lookup",
    "gen_ai.prompt.1.tool_calls.0.arguments": '{"order": 7}',
    "gen_ai.prompt.2.role": "tool",
    "gen_ai.prompt.2.tool_call_id": "c1",
    "gen_ai.prompt.2.content": "sent",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Sent on Monday.",
    "gen_ai.completion.0.finish_reason": "stop",
    "llm.request.functions.0.name": "lookup",
    "llm.request.functions.0.parameters": '{"type": "object"}',
    "llm.frequency_penalty": 0.5,
    "gen_ai.request.temperature": 0.2,
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 4,
}


def test_numbered_prompts_keep_their_tool_calls_and_tools() -> None:
    row = columns(dict(NUMBERED))
    assert said(row, "input") == [("user", "where?"), ("assistant", None), ("tool", "sent")]
    assert row["input"][1].tool_calls == (("c1", "lookup", '{"order": 7}'),)  # type: ignore[index]
    assert row["input"][2].tool_call_id == "c1"  # type: ignore[index]
    assert said(row, "output") == [("assistant", "Sent on Monday.")]
    assert json.loads(str(row["parameters"])) == {"frequency_penalty": 0.5, "temperature": 0.2}
    assert (row["finish_reason"], row["n_input_tokens"], row["n_output_tokens"]) == ("stop", 12, 4)
    assert json.loads(str(row["tools"])) == [
        {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
    ]


def test_the_names_before_gen_ai_say_the_same() -> None:
    older: Row = {
        "llm.request.type": "chat",
        "llm.vendor": "openai",
        "llm.request.model": "gpt-x",
        "llm.response.model": "gpt-x-2",
        "llm.prompts.0.role": "user",
        "llm.prompts.0.content": "hi",
        "llm.completions.0.content": "yo",
        "llm.usage.prompt_tokens": 3,
        "llm.usage.completion_tokens": 1,
        "llm.response.finish_reason": "stop",
        "llm.top_k": 4,
    }
    row = columns(older)
    assert (said(row, "input"), said(row, "output")) == ([("user", "hi")], [("assistant", "yo")])
    wanted = {"provider": "openai", "model": "gpt-x", "model_version": "gpt-x-2", "parameters": '{"top_k":4}'}
    wanted |= {"n_input_tokens": 3, "n_output_tokens": 1, "finish_reason": "stop"}  # type: ignore[dict-item]
    assert {name: row[name] for name in wanted} == wanted
    assert older == {}


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("workflow", "invoke_workflow"), ("task", "invoke_workflow"), ("agent", "invoke_agent"), ("tool", "execute_tool")],
)
def test_every_step_is_an_operation(kind: str, operation: str) -> None:
    assert spans.operation({"traceloop.span.kind": kind}, []) == operation


def test_a_tools_step_is_a_call_and_its_answer() -> None:
    row = columns(
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "lookup",
            "traceloop.entity.input": '{"order":7}',
            "traceloop.entity.output": '"sent"',
        }
    )
    assert row["input"][0].tool_calls == ((None, "lookup", '{"order":7}'),)  # type: ignore[index]
    assert said(row, "output") == [("tool", "sent")]


def test_the_user_of_a_call_is_known_by_a_key_only(ingest: Callable[..., Whole]) -> None:
    for name in ("gen_ai.user", "llm.user"):
        pairs = [{"key": key, "value": {"stringValue": "ann"}} for key in (name, "gen_ai.request.model")]
        span = {"traceId": "a" * 32, "spanId": "b" * 16, "attributes": pairs}
        [row] = ingest({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).interactions.to_dicts()
        assert row["user_key"] == KEY.user("ann")
        assert name not in (row["attributes"] or "")
