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


new = tuple.__new__
"""Makes a named tuple without the detour over its defaults, which takes longer than all else that a message needs."""

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
        parts = turn.parts
        if len(parts) == 1 and type(part := parts[0]) is TextPart:
            role = turn.role
            found.append(new(Message, (ROLES.get(role, role), part.content, None, None, None, None)))
        elif (one := _message(turn.role, parts)) is not None:
            found.append(one)
        else:
            return None
        reason = reason or turn.finish_reason
    return (found, reason) if found else None


def _message(role: str, parts: list[TextPart | CallPart | ResultPart]) -> Message | None:
    """One message of tool calls and a text, or of a tool's result; None for any other."""
    if len(parts) == 1 and type(result := parts[0]) is ResultPart:
        return new(Message, ("tool", result.response, None, result.id or None, None, None))
    text, calls = None, []
    for part in parts:
        if type(part) is CallPart:
            arguments = part.arguments
            if arguments is not None and not isinstance(arguments, str):
                arguments = encoded(arguments)
            calls.append(new(ToolCall, (part.id or None, part.name, arguments)))
        elif text is None and type(part) is TextPart:
            text = part.content
        else:
            return None
    if not calls:
        return None
    return new(Message, (ROLES.get(role, role), text, tuple(calls), None, None, None))
