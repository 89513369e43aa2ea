"""A conversation as an annotator reads it: who said what, which tools were called with what, and what they gave."""

import json
from collections.abc import Iterator, Mapping, Sequence

from clworkbench.labels.literal import MESSAGE, TEXT, both_ends, visible

MOST = 500
"""Messages that Argilla's chat field takes."""

ALL = 400_000
"""Characters of all messages together: a page holds no more, and a person reads less."""

ROLE = 20
"""Characters of a role that it takes."""

NO_TEXT = "(no text)"

SAID_ELSEWHERE = ("text", "tool_call", "tool_call_response")
"""Parts that stand in the message's own text, calls and results as well."""

Message = Mapping[str, object]


def chat(messages: Sequence[Message] | None, whole: str) -> list[dict[str, str]]:
    """The messages of a chat field, `role` and `content`, escaped and bounded.

    Args:
        messages: rows of `schemas.MESSAGE`.
        whole: the interaction whose table holds all of it.
    """
    messages = list(messages or ())
    names = _tool_names(messages)
    shown = [
        {"role": _role(each, names), "content": both_ends(said(each), MESSAGE, whole) or NO_TEXT} for each in messages
    ]
    if not shown:
        return [{"role": "conversation", "content": NO_TEXT}]
    sizes = [len(each["content"]) for each in shown]
    if len(shown) <= MOST and sum(sizes) <= ALL:
        return shown
    first = shown[:1] if messages[0].get("role") in ("system", "developer") else []
    last = _last_that_fit(sizes[len(first) :], MOST - 1 - len(first), ALL - sum(sizes[: len(first)]))
    mark = f"[{len(shown) - len(first) - last:,} messages are left out here; the whole: interaction {whole}]"
    return [*first, {"role": "left out", "content": mark}, *shown[-last:]]


def _last_that_fit(sizes: Sequence[int], n: int, characters: int) -> int:
    """How many of the last messages fit; one at least, each being smaller than what fits."""
    fit = 1
    while fit < n and sum(sizes[-fit - 1 :]) <= characters:
        fit += 1
    return fit


def said(message: Message) -> str:
    """All that a message says: its text, its calls of tools, and what it holds beside text."""
    return "\n".join(part for part in (str(message.get("content") or ""), *_calls(message), *_others(message)) if part)


def answer(messages: Sequence[Message] | None) -> str:
    """An answer as one text: that of its only message, or all messages, each other role named."""
    messages = list(messages or ())
    if len(messages) == 1:
        return said(messages[0])
    names = _tool_names(messages)
    return "\n\n".join(
        said(each) if each.get("role") == "assistant" else f"[{_role(each, names)}]\n{said(each)}" for each in messages
    )


def spoken(messages: Sequence[Message] | None) -> str:
    """The last text of the assistant among the messages, empty where there is none."""
    texts = [each.get("content") for each in messages or () if each.get("role") == "assistant" and each.get("content")]
    return str(texts[-1]) if texts else ""


def tools(offered: str | None, whole: str) -> str | None:
    """What tools there were, a line each: `get_weather(city, day): The forecast`. None where there were none."""
    if not offered:
        return None
    try:
        found = json.loads(offered)
    except (ValueError, RecursionError):
        return both_ends(offered, TEXT, whole)
    lines = [_tool(each) for each in (found if isinstance(found, list) else [found]) if each]
    return both_ends("\n".join(lines), TEXT, whole) if lines else None


def _tool(raw: object) -> str:
    about = raw.get("function", raw) if isinstance(raw, dict) else raw
    if not isinstance(about, dict) or "name" not in about:
        return json.dumps(raw, ensure_ascii=False)
    schema = about.get("parameters") or about.get("input_schema") or {}
    names = schema.get("properties", {}) if isinstance(schema, dict) else {}
    described = f": {about['description']}" if about.get("description") else ""
    return f"{about['name']}({', '.join(str(name) for name in names)}){described}"


def _tool_names(messages: Sequence[Message]) -> dict[str, str]:
    """By the id of a call, the tool that it called."""
    calls = (call for each in messages for call in _called(each))
    return {str(call["id"]): str(call["name"]) for call in calls if call.get("id") and call.get("name")}


def _role(message: Message, names: Mapping[str, str]) -> str:
    role = str(message.get("role") or "unknown")
    if role == "tool":
        name = message.get("name") or names.get(str(message.get("tool_call_id")))
        role = f"result of {name}" if name else "tool result"
    role = visible(role)
    return role if len(role) <= ROLE else role[: ROLE - 1] + "…"


def _called(message: Message) -> Sequence[Message]:
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) else []


def _calls(message: Message) -> Iterator[str]:
    for call in _called(message):
        yield f"→ calls {call.get('name') or 'a tool'}({_indented(str(call.get('arguments') or ''))})"


def _indented(arguments: str) -> str:
    """JSON over several lines where one would be long; what is no JSON as it is."""
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    line = json.dumps(found, ensure_ascii=False)
    return line if len(line) <= 80 else json.dumps(found, ensure_ascii=False, indent=2)


def _others(message: Message) -> Iterator[str]:
    """What a message holds beside text, named and not shown: images, files, reasoning."""
    try:
        parts = json.loads(str(message.get("parts") or "null"))
    except (ValueError, RecursionError):
        return
    for part in parts if isinstance(parts, list) else []:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind and kind not in SAID_ELSEWHERE:
            about = part.get("modality") or part.get("mime_type")
            yield f"[{kind}{f', {about}' if about else ''}: not shown here]"
