"""Items of OpenAI's Responses API, as the messages that the same turn would be in a chat."""

from clworkbench.signals.messages import Message, messages
from clworkbench.signals.values import Note, Unreadable, kind_of

CALLS = frozenset({"function_call", "custom_tool_call"})
RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})
FINISHED = {"completed": "stop", "max_output_tokens": "length", "incomplete": "length"}
"""What a status, or the reason why a response is incomplete, is called in a chat."""


def from_items(value: object, note: Note, *, role: str = "user") -> list[Message]:
    """The messages in a text, or in a list of items.

    What a model wrote, thought and asked of tools in one go becomes one assistant message, as in a chat: texts in
    `content`, function calls in `tool_calls`, reasoning and built-in tools (web search, code, MCP) whole in `parts`.
    A function's output is a message of role `tool`. Items that are chat messages are read as such.

    Raises: Unreadable for anything else.
    Source: OpenAI API reference, responses; https://platform.openai.com/docs/api-reference/responses
    """
    if isinstance(value, str):
        return [Message(role, value)] if value else []
    if not isinstance(value, list):
        raise Unreadable(f"items: {kind_of(value)}, where a list is wanted")
    found: list[dict[str, object]] = []
    for at, item in enumerate(value):
        if not isinstance(item, dict):
            raise Unreadable(f"items[{at}] is {kind_of(item)}, not an object")
        said = _said(item)
        if said.get("role") == "assistant" and found and _goes_on(found[-1], said):
            found[-1] = found[-1] | {"content": [*_parts(found[-1]), *_parts(said)]}
        else:
            found.append(said)
    return messages(found, note, role=role)


def finish(response: dict[str, object]) -> str | None:
    """Why a response ended, in a chat's words."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    said = reason or response.get("status")
    return FINISHED.get(said, said) if isinstance(said, str) else None


def _said(item: dict[str, object]) -> dict[str, object]:
    """One item as a chat message; the model's own as one with a list of parts."""
    kind = item.get("type")
    kind = kind if isinstance(kind, str) else None
    if kind in RESULTS:
        content = item.get("output")
        return {"role": "tool", "tool_call_id": item.get("call_id"), "content": _bare_parts(content)}
    if kind in CALLS:
        called = {"type": "function_call", "id": item.get("call_id") or item.get("id"), "name": item.get("name")}
        arguments = item.get("arguments") if item.get("arguments") is not None else item.get("input")
        return {"role": "assistant", "content": [called | {"arguments": arguments}]}
    if "role" in item:
        left = {key: inner for key, inner in item.items() if key not in ("type", "id", "status", "phase")}
        return left | {"content": _bare_parts(item.get("content"))}
    if kind is None:
        raise Unreadable("an item with neither a role nor a type")
    return {"role": "assistant", "content": [item]}


def _goes_on(before: dict[str, object], said: dict[str, object]) -> bool:
    """Whether two messages of the model, one after the other, are items of one turn, and not two chat messages."""
    return before.get("role") == "assistant" and bool(_parts(before)) and bool(_parts(said))


def _parts(said: dict[str, object]) -> list[object]:
    content = said.get("content")
    return content if isinstance(content, list) and "tool_calls" not in said else []


def _bare_parts(content: object) -> object:
    """Parts without the empty lists (annotations, logprobs) that the API adds to each text."""
    if not isinstance(content, list):
        return content
    return [
        {key: inner for key, inner in part.items() if inner not in (None, [], {})} if isinstance(part, dict) else part
        for part in content
    ]
