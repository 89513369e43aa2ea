"""Messages in OpenAI's words, out of the shapes in which sources write them."""

from collections.abc import Iterable
from typing import NamedTuple

from clworkbench.signals.values import Note, Unreadable, encoded, kind_of, nested, text_of

ROLES = {"model": "assistant", "ai": "assistant", "human": "user"}
TEXT = frozenset({"text", "input_text", "output_text", "raw_text"})
TOOL_CALL = frozenset({"tool_call", "tool_use", "function_call"})
TOOL_RESULT = frozenset({"tool_call_response", "tool_result", "function_call_output"})
KEPT = frozenset(
    {
        *("reasoning", "thinking", "thought", "redacted_thinking", "refusal", "blob", "uri", "file", "input_file"),
        *("file_search_call", "generic", "image", "image_url", "input_image", "input_audio", "audio", "video"),
        *("server_tool_call", "server_tool_call_response"),
    }
)
"""Part types that text cannot carry and that `parts` keeps; any other type is kept as well, and noted."""
MESSAGE_KEYS = frozenset(
    {"role", "content", "parts", "tool_calls", "function_call", "tool_call_id", "name", "finish_reason"}
)


class ToolCall(NamedTuple):
    """What a model asked a tool to do; `arguments` is JSON text."""

    id: str | None
    name: str | None
    arguments: str | None


class Message(NamedTuple):
    """One message, field for field as in `schemas.MESSAGE`; `parts` is JSON text."""

    role: str
    content: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    parts: str | None = None


def messages(value: object, note: Note, *, role: str = "user") -> list[Message]:
    """The messages in a plain text (one, of `role`), in a message object, or in a list of either.

    Multi-part content is joined into `content`, one line break between texts; where that loses something, `parts` keeps
    all parts as they stood. A tool's result inside another message becomes a message of role `tool`, before it.
    Raises Unreadable for any other shape.
    """
    if isinstance(value, str):
        return [Message(role, value)]
    if isinstance(value, dict):
        return list(_message(value, note, role))
    if not isinstance(value, list):
        raise Unreadable(f"messages: {kind_of(value)}, where a list is wanted")
    found: list[Message] = []
    for at, item in enumerate(value):
        if isinstance(item, dict):
            if (one := _simple(item)) is not None:
                found.append(one)
                continue
            if "role" not in item:
                raise Unreadable(f"messages[{at}] has no role")
            found.extend(_message(item, note, role))
        else:
            raise Unreadable(f"messages[{at}] is {kind_of(item)}, not an object")
    return found


def _simple(item: dict[str, object]) -> Message | None:
    """A message that is one text, one tool call or one tool's result, and nothing else: most messages are."""
    role = item.get("role")
    if type(role) is not str or len(item) != (3 if "finish_reason" in item else 2):
        return None
    content = item.get("content")
    if content is None:
        content = item.get("parts")
    if type(content) is str:
        return Message(ROLES.get(role, role), content)
    if type(content) is not list or len(content) != 1 or type(part := content[0]) is not dict:
        return None
    kind = part.get("type")
    if kind == "text" and len(part) == 2:
        text = part.get("content") or part.get("text")
        return Message(ROLES.get(role, role), text) if type(text) is str else None
    if kind == "tool_call":
        return Message(ROLES.get(role, role), None, (_tool_call(part),))
    return _tool_result(part) if kind == "tool_call_response" else None


def conversation(value: object, note: Note, *, role: str = "user") -> list[Message]:
    """Messages from a text that may itself be JSON (a list of messages, or one), or from the list itself.

    A text that only looks like JSON, or holds JSON that is no message, is one message of `role`.
    """
    inner = nested(value)
    if inner is not value:
        if are_messages(inner if isinstance(inner, list) else [inner]):
            return messages(inner, note, role=role)
        return [Message(role, str(value))]
    if isinstance(value, dict) and not {"role", "content", "parts"} & value.keys():
        return [Message(role, encoded(value))]
    return messages(value, note, role=role)


def _message(item: dict[str, object], note: Note, default_role: str) -> Iterable[Message]:
    role = item.get("role") or default_role
    if not isinstance(role, str):
        raise Unreadable(f"a message's role is {kind_of(role)}, not a text")
    content = item.get("content") if item.get("content") is not None else item.get("parts")
    calls = _tool_calls(item)
    extra = [{"type": key, key: item[key]} for key in item.keys() - MESSAGE_KEYS if item[key] not in (None, [], {})]
    extra.sort(key=lambda part: str(part["type"]))
    results: list[Message] = []
    text: object = content
    parts: list[object] = []
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        text, more_calls, results, parts = _from_parts(content, note)
        calls += more_calls
    elif content is not None and not isinstance(content, str):
        raise Unreadable(f"a message's content is {kind_of(content)}, neither text nor a list of parts")
    yield from results
    if results and text is None and not calls and not parts and not extra:
        return
    yield Message(
        ROLES.get(role, role),
        text,  # type: ignore[arg-type]  # a str or None by now
        tuple(calls) or None,
        _name(item.get("tool_call_id")),
        _name(item.get("name")),
        encoded([*parts, *extra]) if parts or extra else None,
    )


def _from_parts(content: list[object], note: Note) -> tuple[str | None, list[ToolCall], list[Message], list[object]]:
    texts: list[str] = []
    calls: list[ToolCall] = []
    results: list[Message] = []
    left: list[object] = []
    lossless = True
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        kind = kind if kind is None or isinstance(kind, str) else kind_of(kind)
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, dict):
            lossless = False
            note("unknown part type", kind_of(part))
        elif kind in TEXT or (kind is None and isinstance(part.get("text"), str)):
            texts.append(_text(part, note))
            lossless &= len(part) <= 2
        elif kind in TOOL_CALL:
            calls.append(_tool_call(part))
            continue
        elif kind in TOOL_RESULT:
            results.append(_tool_result(part))
            continue
        else:
            lossless = False
            if kind not in KEPT:
                note("unknown part type", kind[:40] if kind else "a part without a type")
        left.append(part)
    keep = not lossless or len(texts) > 1
    return ("\n".join(texts) if texts else None), calls, results, (left if keep else [])


def _text(part: dict[str, object], note: Note) -> str:
    for key in ("text", "content", "value", "arguments"):
        value = part.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            note("text part without text, its value kept as JSON", kind_of(value))
            return encoded(value)
    return ""


def _tool_calls(item: dict[str, object]) -> list[ToolCall]:
    calls = nested(item.get("tool_calls"))
    if calls is None:
        calls = []
    if not isinstance(calls, list):
        raise Unreadable(f"a message's tool_calls are {kind_of(calls)}, not a list")
    if isinstance(legacy := item.get("function_call"), dict):
        calls = [*calls, legacy]
    for call in calls:
        if not isinstance(call, dict):
            raise Unreadable(f"a tool call is {kind_of(call)}, not an object")
    return [_tool_call(call) for call in calls]


def _tool_call(call: dict[str, object]) -> ToolCall:
    inner = call.get("function") or call.get("custom")
    body = inner if isinstance(inner, dict) else call
    arguments: object = None
    for key in ("arguments", "raw_arguments", "input", "args"):
        if (arguments := body.get(key)) is not None:
            break
    if arguments is not None and not isinstance(arguments, str):
        arguments = encoded(arguments)
    name = body.get("name")
    if name is None:
        name = body.get("raw_name")
    return ToolCall(_name(call.get("id") or call.get("call_id")), _name(name), arguments)


def _tool_result(part: dict[str, object]) -> Message:
    result: object = None
    for key in ("response", "result", "content", "output"):
        if (result := part.get(key)) is not None:
            break
    if isinstance(result, list) and all(
        isinstance(piece, dict) and piece.get("type") == "text" and isinstance(piece.get("text"), str)
        for piece in result
    ):
        text: str | None = "\n".join(piece["text"] for piece in result)
    else:
        text = result if isinstance(result, str) or result is None else encoded(result)
    known = {"type", "id", "tool_use_id", "call_id", "name", "response", "result", "content", "output"}
    own_id = part.get("id") or part.get("tool_use_id") or part.get("call_id")
    parts = encoded([part]) if part.keys() - known else None
    return Message("tool", text, None, _name(own_id), _name(part.get("name")), parts)


def _name(value: object) -> str | None:
    """A name or id; what is neither text nor number is kept as JSON."""
    return None if value is None else text_of(value)


def finish_reason(value: object) -> str | None:
    """The first reason for which a model stopped that a list of messages, or of reasons, names."""
    for item in value if isinstance(value, list) else [value]:
        reason = item.get("finish_reason") if isinstance(item, dict) else item
        if isinstance(reason, str) and reason:
            return reason
    return None


def are_messages(value: object) -> bool:
    """Whether this is a list of objects that say who speaks, as messages do; an empty one is none."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def or_none(value: object, note: Note, *, role: str) -> list[Message] | None:
    """The messages in a value, or None, with a note, where they cannot be read."""
    try:
        return conversation(value, note, role=role)
    except Unreadable as error:
        note("messages kept in attributes only", str(error))
        return None
