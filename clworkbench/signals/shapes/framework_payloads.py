"""What one side of a call says: the messages in an input or output, whichever framework's envelope holds them."""

from clworkbench.signals.messages import Message, ToolCall
from clworkbench.signals.rows import Row
from clworkbench.signals.shapes import framework_reprs
from clworkbench.signals.shapes.framework_messages import is_message, unpacked
from clworkbench.signals.shapes.framework_parts import joined
from clworkbench.signals.shapes.framework_responses import (
    Reader,
    Said,
    candidates,
    choices,
    content,
    generations,
    one,
    read_messages,
    reason_of,
    text,
    whole_message,
    without,
)
from clworkbench.signals.shapes.responses import finish, from_items
from clworkbench.signals.values import Note, Unreadable, encoded, text_of


def said(value: object, note: Note, *, role: str) -> Said:
    """Reads one side of a call.

    Args:
        value: a text, JSON text (also encoded twice), an object or a list.
        note: takes what could not be carried over in full.
        role: whose a text is that names no speaker: `user` for an input, `assistant` for an output.

    Returns:
        The messages, in OpenAI's words. What is no message in any known envelope is one message of `role` whose
        content is its JSON, so that nothing is lost.

    Source: the requests and responses of OpenAI (chat, Responses), Anthropic, Gemini, Bedrock Converse and Ollama;
        OpenTelemetry GenAI messages and events; the message classes of LangChain, AutoGen and pydantic-ai; Vercel's
        AI SDK; as real traces of them hold them.
    """
    value = unpacked(value)
    if value is None or value == "":
        return Said(None)
    if isinstance(value, str):
        return Said([Message(role, value)])
    try:
        read = _of_list(value, note, role) if isinstance(value, list) else _of_object(value, note, role)
    except Unreadable as error:
        note("messages kept as JSON text", str(error))
        read = None
    return read or Said([Message(role, encoded(value))])


def tool_said(
    given: object, answered: object, note: Note, *, name: object, call_id: object = None
) -> tuple[Said, Said]:
    """Reads a tool's run: its arguments as the call that asked for it, its result as the tool's answer.

    Either side that holds messages (as LangGraph's nodes have them) is read as those. A name or id that is no text is
    none.
    """
    own_id, own_name = (text if isinstance(text, str) and text else None for text in (call_id, name))
    own = ToolCall(own_id, own_name, None)
    return _tool_side(given, note, own, asked=True), _tool_side(answered, note, own, asked=False)


def documents(found: list[object]) -> list[Message]:
    """What a retrieval found, as one message of a tool: the documents' texts, and whole in its parts."""
    held = [item.get("content", item.get("page_content")) for item in found if isinstance(item, dict)]
    texts = [text for text in held if isinstance(text, str)]
    return [Message("tool", "\n\n".join(texts) or None, parts=encoded(found))]


def _tool_side(value: object, note: Note, own: ToolCall, *, asked: bool) -> Said:
    inner = unpacked(value)
    if inner is None or inner == "":
        return Said(None)
    if is_message(inner) or (isinstance(inner, list) and inner and all(map(is_message, inner))):
        return said(inner, note, role="user" if asked else "tool")
    if not asked and isinstance(inner, dict) and inner.keys() == {"output"}:
        return _tool_side(inner["output"], note, own, asked=False)
    if asked:
        return Said([Message("assistant", None, (own._replace(arguments=text_of(inner)),))])
    return Said([Message("tool", text_of(inner), None, own.id, own.name)])


def _of_list(value: list[object], note: Note, role: str) -> Said | None:
    if not value:
        return Said([])
    if len(value) == 1 and isinstance(value[0], list) and value[0]:
        return _of_list(value[0], note, role)
    if all(isinstance(item, dict) and "toolCallId" in item and "toolName" in item for item in value):
        return read_messages([{"role": "assistant", "content": "", "toolCalls": value}], note, role)
    if all(isinstance(item, str) for item in value):
        found = [framework_reprs.message_in(str(item)) for item in value]
        if all(found):
            note("messages read from their Python representations", f"{len(found)} in one list")
            return read_messages(list(found), note, role)
        return None
    if all(is_message(item) for item in value):
        return read_messages(value, note, role)
    return None


def _of_object(value: object, note: Note, role: str) -> Said | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("choices"), list):
        return choices(value, note, "assistant")
    if is_message(value):
        return whole_message(value, note, role)
    for name, reader in ENVELOPES.items():
        if value.get(name) is not None and (found := reader(value, note, role)) is not None:
            return found
    return None


def _contents(value: Row, note: Note, role: str) -> Said | None:
    """Gemini's request, its system instruction first."""
    contents = value["contents"]
    config = value.get("config") if isinstance(value.get("config"), dict) else {}
    items = contents if isinstance(contents, list) else [contents]
    if not items or not all(isinstance(item, str) or is_message(item) for item in items):
        return None
    places = (config, value)
    system = next(
        (place[key] for place in places for key in INSTRUCTIONS if isinstance(place, dict) and place.get(key)), None
    )
    tools = [place["tools"] for place in places if isinstance(place, dict) and isinstance(place.get("tools"), list)]
    read = read_messages([*_system(system), *items], note, role)
    rest = without(value, "contents", "tools", *INSTRUCTIONS)
    if isinstance(config, dict) and config:
        rest["config"] = without(config, "tools", *INSTRUCTIONS)
    return read._replace(tools=[tool for several in tools for tool in several] or None, rest=rest)


INSTRUCTIONS = ("system_instruction", "systemInstruction")


def _system(value: object) -> list[object]:
    """The system prompt that stands beside the messages, as the message that it is; a list of blocks is its parts."""
    if value in (None, "", [], {}):
        return []
    if isinstance(value, dict) and isinstance(value.get("parts"), list):
        value = value["parts"]
    if isinstance(value, list):
        return [{"role": "system", "parts": joined(value)}]
    return [{"role": "system", "content": value}]


def _messages(value: Row, note: Note, role: str) -> Said | None:
    """A request or a state with `messages`, and the system prompt that some keep beside them."""
    if role == "assistant" and isinstance(value.get("content"), str):
        return content(value, note, role)
    given = unpacked(value["messages"])
    read = _of_list(given, note, role) if isinstance(given, list) else said(given, note, role=role)
    if read is None or read.messages is None:
        return None
    system = read_messages(_system(value.get("system") or value.get("instructions")), note, role).messages or []
    tools = value.get("tools")
    offered = [*(read.tools or []), *(tools if isinstance(tools, list) else [])]
    rest = without(value, "messages", "system", "instructions", *(["tools"] if isinstance(tools, list) else []))
    return Said([*system, *read.messages], offered or None, read.finish_reason, rest)


def _items(value: Row, note: Note, role: str) -> Said | None:
    """A chat context that keeps its messages and calls as items (LiveKit)."""
    items = value["items"]
    read = _of_list(items, note, role) if isinstance(items, list) and items and all(map(is_message, items)) else None
    return read and read._replace(rest=without(value, "items"))


def _output(value: Row, note: Note, role: str) -> Said | None:
    """OpenAI's Responses, Bedrock's Converse, or a chain's one output."""
    inner = unpacked(value["output"])
    if isinstance(inner, dict) and is_message(inner.get("message")):
        inner = inner["message"]
    if isinstance(inner, str):
        read = Said([Message(role, inner)])
    elif value.get("object") == "response":
        read = Said(from_items(inner, note, role="assistant"), finish_reason=finish(value))
    elif is_message(inner) or (isinstance(inner, list) and inner and all(map(is_message, inner))):
        read = read_messages(inner if isinstance(inner, list) else [inner], note, "assistant")
    else:
        return None
    tools = value.get("tools")
    rest = without(value, "output", "tools")
    return Said(read.messages, tools if isinstance(tools, list) else None, read.finish_reason or reason_of(value), rest)


def _input(value: Row, note: Note, role: str) -> Said | None:
    """OpenAI's Responses request, or a chain's one input."""
    inner = unpacked(value["input"])
    read = said(inner, note, role=role) if isinstance(inner, str) else None
    if isinstance(inner, list):
        read = _of_list(inner, note, role)
    if read is None or read.messages is None:
        return None
    system = read_messages(_system(value.get("instructions")), note, role).messages or []
    tools = value.get("tools")
    rest = without(value, "input", "instructions", "tools")
    return Said([*system, *read.messages], tools if isinstance(tools, list) else None, None, rest)


def _prompt(value: Row, note: Note, role: str) -> Said | None:
    """One prompt, which may be messages again, with a system prompt beside it (Vercel's AI SDK)."""
    read = said(value["prompt"], note, role=role)
    system = read_messages(_system(value.get("system")), note, role).messages or []
    return read._replace(
        messages=[*system, *(read.messages or [])], rest=read.rest | without(value, "prompt", "system")
    )


def _prompts(value: Row, _note: Note, role: str) -> Said | None:
    prompts = value["prompts"]
    if not isinstance(prompts, list) or not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        return None
    return Said([Message(role, str(prompt)) for prompt in prompts], rest=without(value, "prompts"))


def _called(value: Row, note: Note, role: str) -> Said | None:
    """A traced function's arguments, where they are messages or one text."""
    kwargs, args = value.get("kwargs"), value.get("args")
    for inner in (kwargs, args[0] if isinstance(args, list) and len(args) == 1 else None):
        read = None
        if isinstance(inner, dict):
            read = _of_object(inner, note, role)
        elif isinstance(inner, list):
            read = _of_list(inner, note, role)
        elif isinstance(inner, str) and not kwargs:
            read = Said([Message(role, inner)])
        if read is not None and value.keys() <= {"args", "kwargs"}:
            return read
    return None


ENVELOPES: dict[str, Reader] = {
    "candidates": candidates,
    "generations": generations,
    "contents": _contents,
    "messages": _messages,
    "items": _items,
    "output": _output,
    "message": one("message"),
    "prompt": _prompt,
    "prompts": _prompts,
    "input": _input,
    "toolCalls": text,
    "text": text,
    "completion": one("completion"),
    "response": one("response"),
    "content": content,
    "kwargs": _called,
    "args": _called,
}
"""By the key that tells the envelope, in the order in which they are tried."""
