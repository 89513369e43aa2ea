"""Messages as a chat template wants them: OpenAI's words, and nothing that is null."""

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


def prompt_tokens(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> list[int]:
    """The tokens of a prompt, up to where the assistant's answer begins.

    Raises:
        ModelError: the base's chat template refuses these messages.
    """
    return _rendered(tokenizer, messages, answer_next=True)


def dialogue_tokens(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> list[int]:
    """The tokens of a dialogue that ends with the assistant's answer.

    Raises:
        ModelError: the base's chat template refuses these messages.
    """
    return _rendered(tokenizer, messages, answer_next=False)


def _rendered(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], *, answer_next: bool) -> list[int]:
    from jinja2 import TemplateError

    try:
        rendered = tokenizer.apply_chat_template(
            chat_messages(messages), add_generation_prompt=answer_next, tokenize=True, return_dict=True
        )
    except TemplateError as error:
        roles = [str(message["role"]) for message in messages]
        raise ModelError(f"messages with roles {roles}: the model's chat template refuses them: {error}") from error
    return list(rendered["input_ids"])
