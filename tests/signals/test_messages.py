import msgspec
import pytest

from clworkbench.signals.messages import Message, ToolCall, conversation, finish_reason, messages
from clworkbench.signals.values import Unreadable


class Notes(list[tuple[str, str]]):
    def __call__(self, kind: str, example: str) -> None:
        self.append((kind, example))


def test_the_role_model_is_called_assistant() -> None:
    assert messages([{"role": "model", "content": "hi"}], Notes()) == [Message("assistant", "hi")]


def test_a_single_text_part_needs_no_parts() -> None:
    openai = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    otel = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    assert messages(openai, Notes()) == messages(otel, Notes()) == [Message("user", "hi")]


def test_several_texts_are_joined_by_line_breaks_and_kept_apart_in_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    [message] = messages([{"role": "user", "content": parts}], Notes())
    assert message.content == "a\nb"
    assert msgspec.json.decode(message.parts or "") == parts


def test_an_image_stays_in_parts_and_an_unknown_part_is_noted_too() -> None:
    notes = Notes()
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "u"}},
        {"type": "smell", "x": 1},
    ]
    [message] = messages([{"role": "user", "content": parts}], notes)
    assert message.content == "see"
    assert msgspec.json.decode(message.parts or "") == parts
    assert notes == [("unknown part type", "smell")]


def test_tool_calls_of_three_dialects_become_the_same_call() -> None:
    openai = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
    }
    otel = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"x": 1}}]}
    anthropic = {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}]}
    wanted = [Message("assistant", None, (ToolCall("c1", "f", '{"x":1}'),))]
    for said in (openai, otel, anthropic):
        assert messages([said], Notes()) == wanted


def test_a_function_call_of_the_old_kind_is_a_tool_call() -> None:
    said = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert messages([said], Notes()) == [Message("assistant", None, (ToolCall(None, "f", "{}"),))]


@pytest.mark.parametrize("key", ["response", "result"])
def test_a_tools_response_inside_a_users_message_is_a_message_of_the_tool(key: str) -> None:
    parts = [{"type": "tool_call_response", "id": "c1", key: {"t": 21}}, {"type": "text", "content": "and now?"}]
    assert messages([{"role": "user", "parts": parts}], Notes()) == [
        Message("tool", '{"t":21}', None, "c1"),
        Message("user", "and now?"),
    ]


def test_a_tool_message_keeps_the_id_of_its_call() -> None:
    said = {"role": "tool", "tool_call_id": "c1", "content": "21", "name": "f"}
    assert messages([said], Notes()) == [Message("tool", "21", None, "c1", "f")]


def test_a_refusal_beside_an_empty_content_is_kept_as_a_part() -> None:
    [message] = messages([{"role": "assistant", "content": None, "refusal": "no", "annotations": []}], Notes())
    assert message.content is None
    assert msgspec.json.decode(message.parts or "") == [{"type": "refusal", "refusal": "no"}]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5, "messages: a number, where a list is wanted"),
        ([5], r"messages\[0\] is a number, not an object"),
        ([{"content": "hi"}], r"messages\[0\] has no role"),
        ([{"role": 5, "content": "hi"}], "a message's role is a number, not a text"),
        ([{"role": "user", "content": 5}], "a message's content is a number, neither text nor a list of parts"),
        ([{"role": "assistant", "tool_calls": {"id": 1}}], "tool_calls are an object, not a list"),
        ([{"role": "assistant", "tool_calls": ["f"]}], "a tool call is a text, not an object"),
    ],
)
def test_a_message_of_another_shape_is_refused_in_words(value: object, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        messages(value, Notes())


def test_a_text_that_holds_messages_is_read_as_messages_and_any_other_stays_text() -> None:
    assert conversation('[{"role":"user","content":"hi"}]', Notes()) == [Message("user", "hi")]
    for text in ("[not json", '["a"]', "{}", "plain", "[]"):
        assert conversation(text, Notes(), role="assistant") == [Message("assistant", text)]


def test_the_first_finish_reason_is_found_in_reasons_and_in_messages() -> None:
    assert finish_reason(["stop", "length"]) == "stop"
    assert finish_reason([{"role": "assistant"}, {"finish_reason": "length"}]) == "length"
    assert finish_reason("stop") == "stop"
    assert finish_reason(None) is None
    assert finish_reason([7]) is None
