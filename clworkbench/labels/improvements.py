"""Better answers as reviewers write them: plain text, or messages as JSON."""

import json

_MESSAGE = ("role", "content", "tool_calls", "tool_call_id", "name", "parts")


class BadRow(ValueError):
    """Why a row of a reviewers' file is left out."""


def improvement(cell: object) -> list[dict[str, object]] | None:
    """A better answer as messages of `schemas.MESSAGES`, None where the cell is empty.

    Args:
        cell: text, a message or a list of messages (as objects, or as JSON in text).

    Raises:
        BadRow: it is none of these.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if text[:1] in ("{", "["):
            try:
                cell = json.loads(text)
            except (ValueError, RecursionError):
                cell = text
            messages = cell if isinstance(cell, list) else [cell]
            if not all(isinstance(m, dict) and "role" in m for m in messages):
                cell = text
        if isinstance(cell, str):
            check_unicode(text, "improvement")
            return [_message({"content": text})] if text else None
    if not cell:
        return None
    messages = cell if isinstance(cell, list) else [cell]
    return [_message(m) for m in messages]


def _message(raw: object) -> dict[str, object]:
    if not isinstance(raw, dict):
        raise BadRow("improvement is neither text nor messages")
    found = {name: raw.get(name) for name in _MESSAGE} | {"role": raw.get("role") or "assistant", "tool_calls": None}
    if not all(isinstance(part, str | None) for part in found.values()):
        raise BadRow("improvement holds a message whose content is not text")
    if calls := raw.get("tool_calls"):
        found["tool_calls"] = [_call(call) for call in calls] if isinstance(calls, list) else _call(calls)
    for part in found.values():
        if isinstance(part, str):
            check_unicode(part, "improvement")
    return found


def _call(raw: object) -> dict[str, str | None]:
    """A tool call, flat or as OpenAI writes it."""
    if not isinstance(raw, dict):
        raise BadRow("improvement holds a tool call that is no object")
    function = raw.get("function") if isinstance(raw.get("function"), dict) else raw
    assert isinstance(function, dict)
    arguments = function.get("arguments")
    found = {
        "id": raw.get("id"),
        "name": function.get("name"),
        "arguments": arguments if isinstance(arguments, str | None) else json.dumps(arguments),
    }
    if not all(isinstance(part, str | None) for part in found.values()):
        raise BadRow("improvement holds a tool call whose id or name is not text")
    return found


def check_unicode(text: str, name: str) -> None:
    """Refuse half characters, which JSON can write and no table can hold.

    Raises:
        BadRow: with the column's name.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRow(f"{name} holds half a character (a lone surrogate)") from None
