import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.signals.messages import Message, ToolCall
from clworkbench.signals.shapes.framework_payloads import said
from tests.signals.test_any_shape import ODD, places, replaced

CALL = ToolCall("c1", "weather", '{"city":"Rome"}')
ASKED = Message("user", "Rome?")
CALLED = Message("assistant", None, (CALL,))
CALLED_EMPTY = Message("assistant", "", (CALL,))
ANSWERED = Message("tool", "21", None, "c1")
ANSWERED_BY_NAME = Message("tool", "21", None, "c1", "weather")
SAID = Message("assistant", "21 degrees")


class Notes(list[tuple[str, str]]):
    def __call__(self, kind: str, example: str) -> None:
        self.append((kind, example))


def read(value: object, role: str = "user") -> list[Message]:
    return said(value, Notes(), role=role).messages or []


def bare(messages: list[Message]) -> list[Message]:
    """The messages without what only `parts` keeps."""
    return [message._replace(parts=None) for message in messages]


CONVERSATIONS: dict[str, tuple[object, list[Message]]] = {
    "openai": (
        [
            {"role": "user", "content": "Rome?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "21"},
            {"role": "assistant", "content": "21 degrees"},
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "openai responses and its agents": (
        [
            {"role": "user", "content": [{"type": "input_text", "text": "Rome?"}]},
            {"type": "function_call", "id": "fc", "call_id": "c1", "name": "weather", "arguments": '{"city":"Rome"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "21"},
            {
                "type": "message",
                "id": "msg",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "21 degrees", "annotations": []}],
            },
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "anthropic": (
        [
            {"role": "user", "content": "Rome?"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "21"}]}],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "21 degrees"}]},
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "gemini": (
        [
            {"role": "user", "parts": [{"text": "Rome?"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Rome"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "weather", "response": {"t": 21}}}]},
            {"role": "model", "parts": [{"text": "21 "}, {"text": "degrees"}]},
        ],
        [ASKED, CALLED, Message("tool", '{"t":21}', None, "c1", "weather"), SAID],
    ),
    "google adk, as its python client dumps it": (
        [
            {"role": "user", "parts": [{"text": "Rome?", "function_call": None, "thought": None}]},
            {
                "role": "model",
                "parts": [{"text": None, "function_call": {"id": "c1", "name": "weather", "args": {"city": "Rome"}}}],
            },
            {"role": "user", "parts": [{"function_response": {"name": "weather", "response": {"result": "21"}}}]},
            {"role": "model", "parts": [{"text": "21 degrees"}]},
        ],
        [ASKED, CALLED, Message("tool", '{"result":"21"}', None, None, "weather"), SAID],
    ),
    "bedrock converse and strands": (
        [
            {"role": "user", "content": [{"text": "Rome?"}]},
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Rome"}}}],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "c1", "status": "success", "content": [{"text": "21"}]}}],
            },
            {"role": "assistant", "content": [{"text": "21 degrees"}]},
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "opentelemetry, pydantic-ai and microsoft's agents": (
        [
            {"role": "user", "parts": [{"type": "text", "content": "Rome?"}]},
            {
                "role": "assistant",
                "parts": [
                    {"type": "tool_call", "id": ["run_1", "c1"], "name": "weather", "arguments": {"city": "Rome"}}
                ],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": ["run_1", "c1"], "response": "21"}]},
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "21 "}, {"type": "text", "content": "degrees"}],
            },
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "events of opentelemetry, one a message": (
        [
            {"event.name": "gen_ai.user.message", "gen_ai.message.index": 0, "role": "user", "content": "Rome?"},
            {
                "event.name": "gen_ai.assistant.message",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
                ],
            },
            {"event.name": "gen_ai.tool.message", "role": "tool", "tool_call_id": "c1", "content": "21"},
            {
                "event.name": "gen_ai.choice",
                "index": 0,
                "message": {"role": "assistant", "content": "21 degrees"},
                "gen_ai.system": "openai",
            },
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "semantic kernel": (
        [
            {"role": "user", "gen_ai.event.content": '{"role":"user","content":"Rome?","tool_calls":[]}'},
            {
                "gen_ai.event.content": json.dumps(
                    {
                        "index": 0,
                        "message": {
                            "role": "Assistant",
                            "content": None,
                            "tool_calls": [
                                {"id": "c1", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
                            ],
                        },
                        "tool_calls": [],
                        "finish_reason": "ToolCalls",
                    }
                )
            },
            {"gen_ai.event.content": '{"role":"tool","content":"21","tool_call_id":"c1"}'},
            {"gen_ai.event.content": '{"index":0,"message":{"role":"Assistant","content":"21 degrees"}}'},
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "langchain, as objects dump themselves": (
        [
            {"type": "human", "content": "Rome?", "additional_kwargs": {}, "response_metadata": {}, "example": False},
            {
                "type": "ai",
                "content": "",
                "additional_kwargs": {
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"R"}'}}
                    ]
                },
                "tool_calls": [{"id": "c1", "type": "tool_call", "name": "weather", "args": {"city": "Rome"}}],
                "invalid_tool_calls": [],
                "usage_metadata": {"input_tokens": 3},
            },
            {"type": "tool", "content": "21", "tool_call_id": "c1", "name": "weather", "artifact": None},
            {"type": "AIMessageChunk", "content": "21 degrees", "tool_calls": []},
        ],
        [ASKED, CALLED_EMPTY, ANSWERED_BY_NAME, SAID],
    ),
    "langchain, as `dumpd` writes it": (
        [
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "schema", "messages", "HumanMessage"],
                "kwargs": {"content": "Rome?", "type": "human"},
            },
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "schema", "messages", "AIMessage"],
                "kwargs": {
                    "content": [
                        {"type": "text", "text": ""},
                        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}},
                    ],
                    "tool_calls": [{"id": "c1", "name": "weather", "args": {"city": "Rome"}, "type": "tool_call"}],
                },
            },
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "schema", "messages", "ToolMessage"],
                "kwargs": {"content": "21", "tool_call_id": "c1"},
            },
            {"type": "ai", "data": {"content": "21 degrees", "additional_kwargs": {}}},
        ],
        [ASKED, CALLED_EMPTY, ANSWERED, SAID],
    ),
    "langchain's callback of langfuse": (
        [
            {"role": "user", "content": "Rome?"},
            {
                "role": "assistant",
                "content": "",
                "additional_kwargs": {
                    "refusal": None,
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                        }
                    ],
                },
            },
            {"role": "tool", "content": "21", "tool_call_id": "c1"},
            {"role": "assistant", "content": "21 degrees"},
        ],
        [ASKED, CALLED_EMPTY, ANSWERED, SAID],
    ),
    "vercel's ai sdk": (
        [
            {"role": "user", "content": [{"type": "text", "text": "Rome?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Rome"}}
                ],
            },
            {
                "role": "tool",
                "content": [
                    {
                        "type": "tool-result",
                        "toolCallId": "c1",
                        "toolName": "weather",
                        "output": {"type": "text", "value": "21"},
                    }
                ],
            },
            {"role": "assistant", "content": "21 degrees"},
        ],
        [ASKED, CALLED, ANSWERED_BY_NAME, SAID],
    ),
    "autogen": (
        [
            {"type": "UserMessage", "source": "user", "content": "Rome?"},
            {
                "type": "AssistantMessage",
                "source": "helper",
                "content": [{"id": "c1", "name": "weather", "arguments": '{"city":"Rome"}'}],
            },
            {
                "type": "FunctionExecutionResultMessage",
                "content": [{"content": "21", "name": "weather", "call_id": "c1", "is_error": False}],
            },
            {"type": "AssistantMessage", "source": "helper", "content": "21 degrees"},
        ],
        [
            ASKED._replace(name="user"),
            CALLED._replace(name="helper"),
            ANSWERED_BY_NAME,
            SAID._replace(name="helper"),
        ],
    ),
    "pydantic-ai's own history": (
        [
            {"kind": "request", "parts": [{"part_kind": "user-prompt", "content": "Rome?", "timestamp": "t"}]},
            {
                "kind": "response",
                "parts": [
                    {
                        "part_kind": "tool-call",
                        "tool_name": "weather",
                        "tool_call_id": "c1",
                        "args": '{"city":"Rome"}',
                    }
                ],
            },
            {
                "kind": "request",
                "parts": [{"part_kind": "tool-return", "tool_name": "weather", "tool_call_id": "c1", "content": "21"}],
            },
            {"kind": "response", "parts": [{"part_kind": "text", "content": "21 degrees"}]},
        ],
        [ASKED, CALLED, ANSWERED_BY_NAME, SAID],
    ),
    "llamaindex": (
        [
            {"role": "user", "blocks": [], "content": "Rome?", "additional_kwargs": {}},
            {
                "role": "assistant",
                "content": None,
                "additional_kwargs": {
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                        }
                    ]
                },
            },
            {"role": "tool", "content": "21", "additional_kwargs": {"tool_call_id": "c1", "name": "weather"}},
            {"role": "MessageRole.ASSISTANT", "blocks": [{"block_type": "text", "text": "21 degrees"}]},
        ],
        [ASKED, CALLED, ANSWERED_BY_NAME, SAID],
    ),
    "autogen's chat": (
        [
            {"type": "TextMessage", "source": "user", "content": "Rome?", "id": "m1", "models_usage": None},
            {
                "type": "ToolCallRequestEvent",
                "source": "helper",
                "content": [{"id": "c1", "name": "weather", "arguments": '{"city":"Rome"}'}],
            },
            {
                "type": "ToolCallExecutionEvent",
                "source": "helper",
                "id": "m3",
                "content": [{"content": "21", "name": "weather", "call_id": "c1", "is_error": False}],
            },
            {"type": "TextMessage", "source": "helper", "content": "21 degrees"},
        ],
        [
            ASKED._replace(name="user"),
            CALLED._replace(name="helper"),
            ANSWERED_BY_NAME,
            SAID._replace(name="helper"),
        ],
    ),
    "semantic kernel's own history": (
        [
            {
                "content_type": "message",
                "role": "user",
                "items": [{"content_type": "text", "text": "Rome?", "metadata": {}}],
            },
            {
                "role": "assistant",
                "items": [
                    {
                        "content_type": "function_call",
                        "id": "c1",
                        "name": "weather",
                        "function_name": "weather",
                        "arguments": '{"city":"Rome"}',
                    }
                ],
            },
            {
                "role": "tool",
                "items": [{"content_type": "function_result", "id": "c1", "name": "weather", "result": "21"}],
            },
            {"role": {"Label": "assistant"}, "items": [{"$type": "text", "text": "21 degrees"}]},
        ],
        [ASKED, CALLED, ANSWERED_BY_NAME, SAID],
    ),
    "microsoft's agents, as they dump themselves": (
        [
            {
                "type": "chat_message",
                "role": {"type": "role", "value": "user"},
                "contents": [{"type": "text", "text": "Rome?"}],
            },
            {
                "role": "assistant",
                "contents": [
                    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Rome"}'}
                ],
            },
            {"role": "tool", "contents": [{"type": "function_result", "call_id": "c1", "result": "21"}]},
            {"role": "assistant", "contents": [{"type": "text", "text": "21 degrees"}]},
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "haystack": (
        [
            {"role": "user", "meta": {}, "name": None, "content": [{"text": "Rome?"}]},
            {
                "role": "assistant",
                "content": [{"tool_call": {"id": "c1", "tool_name": "weather", "arguments": {"city": "Rome"}}}],
            },
            {
                "role": "tool",
                "content": [
                    {
                        "tool_call_result": {
                            "result": "21",
                            "error": False,
                            "origin": {"id": "c1", "tool_name": "weather", "arguments": {"city": "Rome"}},
                        }
                    }
                ],
            },
            {"role": "assistant", "content": [{"text": "21 degrees"}]},
        ],
        [ASKED, CALLED, ANSWERED_BY_NAME, SAID],
    ),
    "cohere and ollama": (
        [
            {"role": "USER", "message": "Rome?"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": {"city": "Rome"}}}],
            },
            {"role": "tool", "content": "21", "tool_call_id": "c1"},
            {"role": "CHATBOT", "message": "21 degrees"},
        ],
        [ASKED, CALLED, ANSWERED, SAID],
    ),
    "livekit and vapi": (
        [
            {"type": "message", "role": "user", "content": ["Rome?"], "interrupted": False},
            {
                "role": "assistant",
                "toolCalls": [{"id": "c1", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}],
            },
            {"type": "function_call_output", "call_id": "c1", "name": "weather", "output": "21", "is_error": False},
            {"type": "message", "role": "assistant", "content": ["21 degrees"]},
        ],
        [ASKED, CALLED, ANSWERED_BY_NAME, SAID],
    ),
    "python representations, as agno writes them": (
        [
            "role='user' content='Rome?' name=None tool_calls=None metrics=Metrics(a=1, b={'c': ')'}) created_at=1",
            "role='assistant' content=None tool_calls=[{'id': 'c1', 'function': {'name': 'weather', "
            "'arguments': '{\"city\":\"Rome\"}'}, 'type': 'function'}] timer=<agno.Timer object at 0x3>",
            "role='tool' content='21' name=None tool_call_id='c1' tool_name='weather'",
            "Message(role='assistant', content=\"21 degrees\", name=None)",
        ],
        [ASKED, CALLED, ANSWERED_BY_NAME, SAID],
    ),
}


@pytest.mark.parametrize("framework", CONVERSATIONS)
def test_one_conversation_is_the_same_in_each_framework(framework: str) -> None:
    given, wanted = CONVERSATIONS[framework]
    assert bare(read(given)) == wanted


@pytest.mark.parametrize("framework", CONVERSATIONS)
def test_each_message_alone_reads_like_the_message_in_a_list(framework: str) -> None:
    given, wanted = CONVERSATIONS[framework]
    assert isinstance(given, list)
    if isinstance(given[0], dict):
        assert [message for item in given for message in bare(read(item, "assistant"))] == wanted


def test_a_conversation_encoded_as_json_twice_reads_the_same() -> None:
    given, wanted = CONVERSATIONS["openai"]
    assert read(json.dumps(json.dumps(given))) == wanted
    assert read(json.dumps({"messages": json.dumps(given)})) == wanted


def test_what_a_langchain_message_says_beyond_its_text_is_kept_in_parts() -> None:
    [message] = read([{"type": "ai", "content": "hi", "id": "run-1", "usage_metadata": {"input_tokens": 3}}])
    assert json.loads(message.parts or "") == [
        {"type": "id", "id": "run-1"},
        {"type": "usage_metadata", "usage_metadata": {"input_tokens": 3}},
    ]


def test_reasoning_and_images_are_parts_and_no_text() -> None:
    thought = {"text": "hm", "thought": True}
    image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    [message] = read([{"role": "model", "parts": [thought, {"text": "a cat"}, image]}])
    assert (message.role, message.content) == ("assistant", "a cat")
    assert json.loads(message.parts or "") == [
        {**thought, "type": "thinking"},
        {"type": "text", "text": "a cat"},
        {**image, "type": "blob"},
    ]
    [reasoned] = read([{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}])
    assert (reasoned.role, reasoned.content) == ("assistant", "")
    assert "summary_text" in (reasoned.parts or "")


def test_two_results_in_one_message_are_two_messages() -> None:
    parts = [
        {"type": "tool-result", "toolCallId": name, "toolName": "f", "result": {"x": name}} for name in ("c1", "c2")
    ]
    assert read([{"role": "tool", "content": parts}]) == [
        Message("tool", '{"x":"c1"}', None, "c1", "f"),
        Message("tool", '{"x":"c2"}', None, "c2", "f"),
    ]


def test_a_message_of_results_alone_gives_no_empty_message_and_keeps_the_calls_id() -> None:
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "21"}
    [message] = read([{"id": "m1", "role": "user", "content": [result], "created": 5}])
    assert bare([message]) == [ANSWERED]
    assert json.loads(message.parts or "")[0]["message_id"] == "m1"


def test_a_tools_result_that_is_an_object_is_its_json() -> None:
    assert read([{"role": "tool", "tool_call_id": "c", "content": {"t": 21}}]) == [
        Message("tool", '{"t":21}', None, "c")
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"role": "Software developer", "goal": "write code"},
        {"id": 1, "title": "a row"},
        [{"title": "a"}, {"title": "b"}],
        [1, 2],
        ["a", "b"],
    ],
)
def test_what_is_no_message_is_one_message_with_its_json(value: object) -> None:
    [message] = read(value, "assistant")
    assert (message.role, json.loads(message.content or "")) == ("assistant", value)


@pytest.mark.parametrize("text", ["plain", "None", "42", "true", "[not json", '{"half":', "user: hi\nassistant: yo"])
def test_a_text_that_is_no_json_object_stays_the_text_it_is(text: str) -> None:
    assert read(text) == [Message("user", text)]


def test_a_message_that_cannot_be_read_is_kept_as_json_and_noted() -> None:
    notes = Notes()
    broken = [{"role": "assistant", "content": "x", "tool_calls": {"id": 1}}]
    [message] = said(broken, notes, role="assistant").messages or []
    assert json.loads(message.content or "") == broken
    assert [kind for kind, _ in notes] == ["messages kept as JSON text"]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_stands_where_every_conversation_gives_messages(data: st.DataObject) -> None:
    value: object = data.draw(st.sampled_from([given for given, _ in CONVERSATIONS.values()]))
    for _ in range(data.draw(st.integers(1, 3))):
        value = replaced(value, data.draw(st.sampled_from(places(value))), data.draw(ODD))
    found = said(value, Notes(), role="user").messages
    assert found is None or all(isinstance(message.role, str) for message in found)
