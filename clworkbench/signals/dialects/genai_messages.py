"""Messages as OpenTelemetry's GenAI conventions write them: most spans' texts, read without a detour."""

import msgspec

from clworkbench.signals.messages import ROLES, Message, ToolCall
from clworkbench.signals.values import encoded


class TextPart(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A piece of text."""

    content: str


class CallPart(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="tool_call"):
    """What a model asks a tool to do."""

    id: str | None = None
    name: str | None = None
    arguments: object = None


class ResultPart(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="tool_call_response"):
    """What a tool answered."""

    response: str
    id: str | None = None


class Turn(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A message."""

    role: str
    parts: list[TextPart | CallPart | ResultPart]
    finish_reason: str | None = None


_turns = msgspec.json.Decoder(list[Turn]).decode


def written(text: str) -> tuple[list[Message], str | None] | None:
    """The messages in a JSON text, and the first finish reason in it; as `messages.messages` reads them.

    None for everything but a list of messages that each hold tool calls and at most one text, or one tool's result.

    Source: https://github.com/open-telemetry/semantic-conventions-genai, gen-ai-input-messages.json.
    """
    try:
        turns = _turns(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found: list[Message] = []
    reason = None
    for turn in turns:
        if (one := _message(turn)) is None:
            return None
        found.append(one)
        reason = reason or turn.finish_reason
    return (found, reason) if found else None


def _message(turn: Turn) -> Message | None:
    role, parts = ROLES.get(turn.role, turn.role), turn.parts
    if len(parts) == 1:
        part = parts[0]
        if type(part) is TextPart:
            return Message(role, part.content)
        if type(part) is ResultPart:
            return Message("tool", part.response, None, part.id or None)
    text, calls = None, []
    for part in parts:
        if type(part) is CallPart:
            arguments = part.arguments
            if arguments is not None and not isinstance(arguments, str):
                arguments = encoded(arguments)
            calls.append(ToolCall(part.id or None, part.name, arguments))
        elif text is None and type(part) is TextPart:
            text = part.content
        else:
            return None
    return Message(role, text, tuple(calls)) if calls else None
