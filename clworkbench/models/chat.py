"""Messages as a chat template wants them: OpenAI's words, and nothing that is null."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from clworkbench.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, object]


def chat_messages(messages: Sequence[Message]) -> list[dict[str, object]]:
    """Rows of the MESSAGE type as chat templates read them; content that is null becomes the empty string."""
    return [dict(_fields(message)) for message in messages]


def _fields(message: Message) -> Iterator[tuple[str, object]]:
    yield "role", message["role"]
    yield "content", message.get("content") or ""
    calls = message.get("tool_calls")
    if isinstance(calls, Sequence) and calls:
        yield "tool_calls", [_function_call(call) for call in calls]
    for name in ("tool_call_id", "name"):
        if message.get(name) is not None:
            yield name, message[name]


def _function_call(call: Message) -> dict[str, object]:
    function = {"name": call["name"], "arguments": call.get("arguments") or "{}"}
    return {"id": call.get("id"), "type": "function", "function": function}


def prompt_tokens(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], tools: str | None = None
) -> list[int]:
    """The tokens of a prompt, up to where the assistant's answer begins.

    Args:
        tokenizer: of the base, with its chat template.
        messages: rows of the MESSAGE type.
        tools: the schemas that the model may call, as JSON.

    Raises:
        ModelError: the base's chat template refuses these messages.
    """
    return _rendered(tokenizer, messages, tools, answer_next=True)


def dialogue_tokens(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], tools: str | None = None
) -> list[int]:
    """The tokens of a dialogue that ends with the assistant's answer; as `prompt_tokens` else.

    Raises:
        ModelError: the base's chat template refuses these messages.
    """
    return _rendered(tokenizer, messages, tools, answer_next=False)


def unrendered(tokenizer: "PreTrainedTokenizerBase") -> tuple[str, ...]:
    """Which of `tools`, `tool_calls` and `tool` messages the chat template leaves out without a word.

    Many templates read a message's content only: a call, or a schema, is then not there for the model.
    """
    from jinja2 import TemplateError

    function = {"name": "schema_q7", "description": "", "parameters": {"type": "object", "properties": {}}}
    call = {"id": "c", "type": "function", "function": {"name": "call_q7", "arguments": {"key_q7": "value_q7"}}}
    messages: list[dict[str, object]] = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "answer_q7", "tool_call_id": "c", "name": "call_q7"},
        {"role": "assistant", "content": "a"},
    ]
    probes = {"tools": ["schema_q7"], "tool_calls": ["call_q7", "value_q7"], "tool": ["answer_q7"]}
    try:
        text = str(
            tokenizer.apply_chat_template(messages, tools=[{"type": "function", "function": function}], tokenize=False)
        )
    except (TemplateError, TypeError):
        return tuple(probes)
    return tuple(name for name, words in probes.items() if not all(word in text for word in words))


def _rendered(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], tools: str | None, *, answer_next: bool
) -> list[int]:
    from jinja2 import TemplateError

    try:
        rendered = tokenizer.apply_chat_template(
            template_messages(messages),
            tools=schemas(tools),
            add_generation_prompt=answer_next,
            tokenize=True,
            return_dict=True,
        )
    except (TemplateError, TypeError) as error:
        roles = [str(message["role"]) for message in messages]
        raise ModelError(f"messages with roles {roles}: the model's chat template refuses them: {error}") from error
    return list(rendered["input_ids"])


def template_messages(messages: Sequence[Message]) -> list[dict[str, object]]:
    """`chat_messages` with the arguments of calls as objects, where they are such."""
    return [_with_parsed_calls(message) for message in chat_messages(messages)]


def _with_parsed_calls(message: dict[str, object]) -> dict[str, object]:
    """Templates write a call's arguments as JSON themselves, and would quote a text that is JSON already."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    return message | {
        "tool_calls": [
            call | {"function": call["function"] | {"arguments": _parsed(call["function"]["arguments"])}}
            for call in calls
        ]
    }


def _parsed(arguments: str) -> object:
    try:
        found = json.loads(arguments)
    except ValueError:
        return arguments
    return found if isinstance(found, dict) else arguments


def schemas(tools: str | None) -> list[object] | None:
    """The list of schemas in `tools`, in OpenAI's form; None where there is none, or where it is no JSON list."""
    try:
        found = json.loads(tools) if tools else None
    except ValueError:
        return None
    return [_schema(each) for each in found] if isinstance(found, list) and found else None


def _schema(tool: object) -> object:
    """A schema in OpenAI's form; OpenTelemetry and others write the function's own fields beside its type."""
    if not isinstance(tool, dict) or "function" in tool or "name" not in tool:
        return tool
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}
