"""What a model answers: the messages in the responses of providers and frameworks."""

from collections.abc import Callable
from typing import NamedTuple

from clworkbench.signals.messages import Message, finish_reason, messages
from clworkbench.signals.rows import Row
from clworkbench.signals.shapes.framework_messages import as_openai, is_message, unpacked
from clworkbench.signals.values import Fields, Note, Unreadable, filled

ABOUT = ("usage", "usage_metadata", "response_metadata", "model", "stop_reason", "stop_sequence")
"""What a message that is a whole response (Anthropic, LangChain) says of the call, and not of itself."""
CALL = frozenset({"name", "arguments"})
USAGE = (("usage_metadata",), ("usage",), ("llm_output", "token_usage"), ("llm_output", "usage"))
"""Where answers count their tokens."""


class Said(NamedTuple):
    """What one side of a call says.

    Attributes:
        messages: None where the side is missing.
        tools: the tools that were offered, where the side names them.
        finish_reason: why the model stopped, where the side says so.
        rest: what else the envelope held: usage, ids, other choices, parameters.
    """

    messages: list[Message] | None
    tools: list[object] | None = None
    finish_reason: str | None = None
    rest: Row = {}  # noqa: RUF012  # never altered

    @property
    def left(self) -> Row:
        """What the envelope said beside the messages, tools included, but for what it left empty."""
        return filled({**self.rest, "tools": self.tools})


Reader = Callable[[Row, Note, str], Said | None]


def read_messages(items: list[object], note: Note, role: str) -> Said:
    """The messages in a list of message objects; definitions of tools among them are taken out."""
    tools: list[object] = []
    found: list[Row] = []
    reason: str | None = None
    for item in items:
        if isinstance(item, str):
            found.append({"role": role, "content": item})
        elif not isinstance(item, dict):
            raise Unreadable("a list of messages with something in it that is no message")
        elif _defines_tool(item):
            tools.append(item["content"])
        else:
            found.extend(as_openai(item, role))
            reason = reason or reason_of(item)
    return Said(messages(found, note, role=role), tools or None, reason)


def _defines_tool(item: Row) -> bool:
    """Whether it is a tool's definition, which LangChain's callback writes as a message of the role tool."""
    content = item.get("content")
    return (
        item.get("role") == "tool"
        and not item.get("tool_call_id")
        and isinstance(content, dict)
        and content.get("type") == "function"
        and isinstance(content.get("function"), dict)
    )


def reason_of(item: Row) -> str | None:
    """Why the model stopped, where a message or a choice says so."""
    for place in (item, item.get("response_metadata"), item.get("generation_info"), item.get("kwargs")):
        if isinstance(place, dict):
            for name in ("finish_reason", "finishReason", "stop_reason", "stopReason"):
                if found := finish_reason(place.get(name)):
                    return found
    inner = unpacked(item.get("gen_ai.event.content"))
    return reason_of(inner) if isinstance(inner, dict) else None


def whole_message(value: Row, note: Note, role: str) -> Said:
    """An object that is one message, and may be a whole response."""
    read = read_messages([without(value, *ABOUT)], note, role)
    rest = {name: value[name] for name in ABOUT if value.get(name) not in (None, "", {})}
    return read._replace(finish_reason=reason_of(value), rest=rest)


def choices(value: Row, note: Note, role: str) -> Said | None:
    """OpenAI's chat completion, also one put together from a stream, and the older text completion."""
    choices = value["choices"]
    if not isinstance(choices, list) or not choices or not isinstance(first := choices[0], dict):
        return None
    inner = first.get("message") or first.get("delta")
    if not isinstance(inner, dict):
        inner = {"role": role, "content": first.get("text")}
    if len(choices) > 1:
        note("more than one choice, the others kept in attributes", "one")
    read = read_messages([inner], note, role)
    rest = without(value, "choices") | {"logprobs": first.get("logprobs"), "other_choices": choices[1:]}
    return read._replace(finish_reason=reason_of(first), rest=rest)


def candidates(value: Row, note: Note, _role: str) -> Said | None:
    """Gemini's response."""
    candidates = value["candidates"]
    if not isinstance(candidates, list) or not candidates or not isinstance(first := candidates[0], dict):
        return None
    content = first.get("content")
    if not isinstance(content, dict):
        return None
    if len(candidates) > 1:
        note("more than one choice, the others kept in attributes", "one")
    content = {"role": "model", **content, "parts": content.get("parts") or []}
    rest = without(value, "candidates") | {"candidate": without(first, "content"), "other_choices": candidates[1:]}
    return read_messages([content], note, "assistant")._replace(finish_reason=reason_of(first), rest=rest)


def generations(value: Row, note: Note, role: str) -> Said | None:
    """LangChain's result of a model: a list of generations for each prompt."""
    several = value["generations"]
    alone = True
    while isinstance(several, list) and several and isinstance(several[0], list):
        alone &= len(several) == 1
        several = several[0]
    if not isinstance(several, list) or not several or not isinstance(first := several[0], dict):
        return None
    if first.get("type") == "constructor" and isinstance(inner := first.get("kwargs"), dict):
        first = inner
    if not (alone := alone and len(several) == 1):
        note("more than one choice, the others kept in attributes", "one")
    message = first.get("message")
    text = {"role": role, "content": first.get("text") or ""}
    read = read_messages([message if is_message(message) and isinstance(message, dict) else text], note, role)
    reason = reason_of(first) or (reason_of(message) if isinstance(message, dict) else None) or read.finish_reason
    others = None if alone else value["generations"]
    rest = without(value, "generations") | {"other_choices": others, "info": first.get("generation_info")}
    return read._replace(finish_reason=reason, rest=rest)


def text(value: Row, note: Note, role: str) -> Said | None:
    """An answer's text with tool calls beside it (Vercel's AI SDK), or alone."""
    calls, text = unpacked(value.get("toolCalls")), value.get("text")
    if isinstance(calls, list) and calls:
        return read_messages([{"role": "assistant", "content": text or "", "toolCalls": calls}], note, role)._replace(
            rest=without(value, "text", "toolCalls"), finish_reason=reason_of(value)
        )
    return one("text")(value, note, role)


def content(value: Row, note: Note, role: str) -> Said | None:
    """An answer's content: a text, or its parts (AutoGen's result of a model)."""
    parts = value["content"]
    if (
        isinstance(parts, list)
        and parts
        and all(isinstance(p, dict) and (p.keys() >= CALL or "type" in p) for p in parts)
    ):
        read = read_messages([{"role": role, "content": parts}], note, role)
        return read._replace(finish_reason=reason_of(value), rest=without(value, "content"))
    return one("content")(value, note, role)


def one(name: str) -> Reader:
    """Reads an envelope of which one key holds the text."""

    def read(value: Row, note: Note, role: str) -> Said | None:
        inner = value[name]
        if isinstance(inner, str):
            return Said([Message(role, inner)], None, reason_of(value), without(value, name))
        if is_message(inner):
            return read_messages([inner], note, role)._replace(rest=without(value, name))
        return None

    return read


def model_of(answer: Row) -> str | None:
    """The model that an answer says it is by."""
    inner = answer.get("llm_output")
    for place in (answer, inner if isinstance(inner, dict) else {}):
        for name in ("model", "model_name"):
            if isinstance(found := place.get(name), str) and found:
                return found
    return None


def tokens_of(answer: Row, note: Note) -> Row:
    """`n_input_tokens` and `n_output_tokens`, as far as an answer counts them."""
    for path in USAGE:
        place: object = answer
        for step in path:
            place = place.get(step) if isinstance(place, dict) else None
        counts = Fields(dict(place), note) if isinstance(place, dict) else Fields({}, note)
        tokens: Row = {
            "n_input_tokens": counts.integer("input_tokens", "prompt_tokens", "prompt_token_count"),
            "n_output_tokens": counts.integer("output_tokens", "completion_tokens", "candidates_token_count"),
        }
        if any(value is not None for value in tokens.values()):
            return tokens
    return {}


def without(value: Row, *names: str) -> Row:
    """The object but for these keys."""
    return {key: inner for key, inner in value.items() if key not in names}
