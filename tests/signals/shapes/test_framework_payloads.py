import json

import pytest

from clworkbench.signals.messages import Message, ToolCall
from clworkbench.signals.shapes.framework_payloads import documents, said, tool_said
from clworkbench.signals.shapes.framework_responses import Said, model_of, tokens_of

HI = Message("user", "hi")
YO = Message("assistant", "yo")
BRIEF = Message("system", "be brief")
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


class Notes(list[tuple[str, str]]):
    def __call__(self, kind: str, example: str) -> None:
        self.append((kind, example))


def request(value: object) -> Said:
    return said(value, Notes(), role="user")


def answer(value: object) -> Said:
    return said(value, Notes(), role="assistant")


@pytest.mark.parametrize(
    "value",
    [
        [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        [[{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]],
        {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]},
        {"messages": [[{"type": "system", "content": "be brief"}, {"type": "human", "content": "hi"}]]},
        {"system": "be brief", "messages": [{"role": "user", "content": "hi"}]},
        {"system": [{"type": "text", "text": "be brief"}], "messages": [{"role": "user", "content": "hi"}]},
        {"system": [{"text": "be brief"}], "messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        {"instructions": "be brief", "input": "hi"},
        {"instructions": "be brief", "input": [{"role": "user", "content": "hi"}]},
        {"system_instruction": "be brief", "contents": "hi"},
        {"systemInstruction": {"parts": [{"text": "be brief"}]}, "contents": [{"parts": [{"text": "hi"}]}]},
        {"config": {"system_instruction": "be brief"}, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        {"system": "be brief", "prompt": "hi"},
        {"prompt": json.dumps({"system": "be brief", "messages": [{"role": "user", "content": "hi"}]})},
        {"kwargs": {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]}},
    ],
)
def test_a_request_is_its_system_prompt_and_its_messages(value: object) -> None:
    assert request(value).messages == [BRIEF, HI]


@pytest.mark.parametrize(
    "value",
    [
        "yo",
        {"role": "assistant", "content": "yo"},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"role": "assistant", "content": "yo"}, "finish_reason": {"finish_reason": "stop"}}]},
        {"choices": [{"text": "yo"}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "yo"}]}, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": [{"text": "y"}, {"text": "o"}]}}], "usage_metadata": {}},
        {"content": {"parts": [{"text": "yo"}], "role": "model"}, "finish_reason": "STOP"},
        {"output": {"message": {"role": "assistant", "content": [{"text": "yo"}]}}, "stopReason": "end_turn"},
        {"id": "r", "object": "response", "output": [{"type": "message", "role": "assistant", "content": "yo"}]},
        {"model": "llama", "message": {"role": "assistant", "content": "yo"}, "done": True},
        {"id": "m", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "yo"}]},
        {"generations": [[{"text": "yo", "type": "Generation"}]], "llm_output": None},
        {
            "generations": [
                [
                    {
                        "text": "yo",
                        "message": {
                            "lc": 1,
                            "type": "constructor",
                            "id": ["langchain", "schema", "messages", "AIMessage"],
                            "kwargs": {"content": "yo"},
                        },
                    }
                ]
            ]
        },
        {
            "generations": [
                [{"lc": 1, "type": "constructor", "id": ["ChatGeneration"], "kwargs": {"text": "yo", "message": None}}]
            ]
        },
        {"items": [{"type": "message", "role": "assistant", "content": ["yo"]}]},
        {"finish_reason": "stop", "content": [{"type": "text", "text": "yo"}], "usage": {}},
        {"message": {"role": "assistant", "blocks": [{"block_type": "text", "text": "yo"}]}, "raw": {}},
        {"completion": "yo"},
        {"text": "yo"},
        {"output": "yo"},
        {"output": "yo", "intermediate_steps": []},
        {"content": "yo", "messages": [{"role": "user", "content": "hi"}], "run_id": "agno"},
        {"index": 0, "message": {"role": "assistant", "content": "yo"}, "event.name": "gen_ai.choice"},
    ],
)
def test_an_answer_is_its_one_message(value: object) -> None:
    [message] = answer(value).messages or []
    assert message._replace(parts=None) == YO


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}, "length"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": {"finish_reason": "stop"}}]}, "stop"),
        ({"candidates": [{"content": {"parts": []}, "finishReason": "MAX_TOKENS"}]}, "MAX_TOKENS"),
        ({"role": "assistant", "content": "x", "stop_reason": "end_turn"}, "end_turn"),
        ([{"role": "assistant", "parts": [], "finish_reason": "stop"}], "stop"),
        ({"type": "ai", "content": "x", "response_metadata": {"finish_reason": "tool_calls"}}, "tool_calls"),
        ({"generations": [[{"text": "x", "generation_info": {"finish_reason": "stop"}}]]}, "stop"),
        ({"gen_ai.event.content": '{"message":{"role":"Assistant","content":"x"},"finish_reason":"Stop"}'}, "Stop"),
        ({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "tool_use"}, "tool_use"),
    ],
)
def test_why_a_model_stopped_is_found_where_each_provider_says_it(value: object, reason: str) -> None:
    assert answer(value).finish_reason == reason


def test_tools_are_taken_from_beside_the_messages_and_from_between_them() -> None:
    asked = {"role": "user", "content": "hi"}
    assert request({"messages": [asked], "tools": [TOOL]}) == Said([HI], [TOOL], None, {})
    assert request([asked, {"role": "tool", "content": TOOL}]) == Said([HI], [TOOL], None, {})
    assert request({"contents": "hi", "config": {"tools": [{"function_declarations": []}]}}).tools == [
        {"function_declarations": []}
    ]


def test_what_the_envelope_says_beside_the_messages_is_kept() -> None:
    read = answer({"id": "r", "choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}], "usage": {}})
    assert read.rest == {"id": "r", "usage": {}, "logprobs": None, "other_choices": [{"message": {"content": "b"}}]}
    assert request({"messages": [], "temperature": 0}).rest == {"temperature": 0}


def test_a_second_choice_is_noted() -> None:
    notes = Notes()
    said({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}, notes, role="assistant")
    assert notes == [("more than one choice, the others kept in attributes", "one")]


def test_bare_tool_calls_of_the_ai_sdk_are_one_answer() -> None:
    calls = [
        {"toolCallId": "c1", "toolName": "f", "input": '{"x":1}'},
        {"toolCallId": "c2", "toolName": "g", "args": {}},
    ]
    wanted = [Message("assistant", "", (ToolCall("c1", "f", '{"x":1}'), ToolCall("c2", "g", "{}")))]
    assert answer(calls).messages == wanted
    assert answer({"text": "", "toolCalls": calls}).messages == wanted


@pytest.mark.parametrize("value", [None, "", '""'])
def test_a_side_that_is_not_there_has_no_messages(value: object) -> None:
    assert not answer(value).messages


def test_a_tools_run_is_the_call_and_its_result() -> None:
    given, answered = tool_said('{"city":"Rome"}', {"output": "21"}, Notes(), name="weather")
    assert given.messages == [Message("assistant", None, (ToolCall(None, "weather", '{"city":"Rome"}'),))]
    assert answered.messages == [Message("tool", "21", None, None, "weather")]
    rows = [{"title": "a"}]
    assert tool_said(None, rows, Notes(), name="f")[1].messages == [Message("tool", '[{"title":"a"}]', name="f")]


def test_a_tools_run_has_the_id_of_its_call_where_it_is_known() -> None:
    given, answered = tool_said({"x": 1}, 21, Notes(), name="f", call_id="c1")
    assert given.messages == [Message("assistant", None, (ToolCall("c1", "f", '{"x":1}'),))]
    assert answered.messages == [Message("tool", "21", None, "c1", "f")]
    assert tool_said(None, "21", Notes(), name=["f"], call_id=7)[1].messages == [Message("tool", "21")]


def test_what_a_model_wrote_and_called_in_one_response_is_one_message() -> None:
    items = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yo"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    ]
    read = answer({"object": "response", "status": "completed", "model": "m", "output": items})
    assert read.messages == [Message("assistant", "yo", (ToolCall("c1", "f", "{}"),))]
    assert (read.finish_reason, read.left["model"]) == ("stop", "m")


def test_documents_are_one_message_of_their_texts_that_keeps_them_whole() -> None:
    found: list[object] = [{"content": "one", "score": 1}, {"page_content": "two"}, 3]
    assert documents(found) == [Message("tool", "one\n\ntwo", parts=json.dumps(found, separators=(",", ":")))]


@pytest.mark.parametrize(
    ("value", "model", "tokens"),
    [
        ({"model": "m", "usage": {"prompt_tokens": 2, "completion_tokens": 1}}, "m", (2, 1)),
        ({"model_name": "m", "usage": {"input_tokens": 2, "output_tokens": 1}}, "m", (2, 1)),
        ({"usage": {}, "llm_output": {"model": "m", "token_usage": {"prompt_tokens": 2}}}, "m", (2, None)),
        ({"usage_metadata": {"prompt_token_count": 2, "candidates_token_count": 1}}, None, (2, 1)),
    ],
)
def test_an_answer_tells_its_model_and_its_tokens(
    value: dict[str, object], model: str | None, tokens: tuple[int | None, int | None]
) -> None:
    counted = tokens_of(value, Notes())
    assert (model_of(value), (counted["n_input_tokens"], counted["n_output_tokens"])) == (model, tokens)
    assert tokens_of({"usage": "many"}, Notes()) == {}


def test_a_tools_run_that_holds_messages_is_read_as_them() -> None:
    result = {"type": "tool", "content": "21", "tool_call_id": "c1", "name": "weather"}
    answered = tool_said("{'city': 'Rome'}", {"output": result}, Notes(), name="weather")[1]
    assert answered.messages == [Message("tool", "21", None, "c1", "weather")]


def test_nothing_is_evaluated_in_a_python_representation() -> None:
    text = "role='user' content=__import__('os').system('true') name='ann'"
    assert request([text]).messages == [Message("user", json.dumps([text]))]


def test_an_endless_representation_stays_text() -> None:
    for text in ("role='user' content='" + "\\" * 5000, "role='user' x=" + "(" * 5000, "role=" * 2000):
        assert request([text]).messages
