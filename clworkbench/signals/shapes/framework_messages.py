"""One message as an agent framework or a provider writes it, brought to the shape that `messages` reads."""

from collections.abc import Mapping, Sequence

from clworkbench.signals.dialects.genai import EVENT_ROLES
from clworkbench.signals.messages import TOOL_CALL, TOOL_RESULT
from clworkbench.signals.rows import Row
from clworkbench.signals.shapes.framework_parts import call_id, joined, part_of
from clworkbench.signals.values import Unreadable, decoded, encoded, filled, nested, text_of

ROLES = frozenset(
    {
        *("system", "developer", "user", "assistant", "tool", "function", "model", "human", "ai", "chatbot"),
        *("tool-call", "tool-response"),
    }
)
CLASSES = {
    **{"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "function", "chat": ""},
    **{"developer": "developer", "user": "user", "assistant": "assistant", "textmessage": ""},
    **{"toolcallrequest": "assistant", "toolcallexecution": "tool", "functionexecutionresult": "tool"},
    **{"toolcallsummary": "assistant", "text": "", "chatbot": "assistant", "aimessagechunk": "assistant"},
}
"""What a message's class, or its `type` where it has no role, says about who speaks; "" leaves it open."""
ITEMS = frozenset({"function_call", "tool_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"})
BOOKKEEPING = frozenset(
    {"event.name", "gen_ai.message.index", "gen_ai.system", "lc", "example", "_type", "content_type"}
)
"""What says nothing that the row, or the message's role and place, does not say already."""


def is_message(item: object) -> bool:
    """Whether an object is a message, in any of the ways in which frameworks write one."""
    if not isinstance(item, dict):
        return False
    if "role" in item:
        role = _role_of(item)
        return role.lower() in ROLES or "content" in item or "parts" in item
    if "gen_ai.event.content" in item or str(item.get("event.name")).startswith("gen_ai."):
        return True
    if item.get("kind") in ("request", "response") and isinstance(item.get("parts"), list):
        return True
    content = item.get("content")
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        return True
    if isinstance(parts := item.get("parts"), list):
        return all(isinstance(part, dict | str) for part in parts)
    return _is_item(item) or _class_role(item) is not None


def _is_item(item: Row) -> bool:
    """Whether it is an item of OpenAI's Responses that is no message with a role."""
    kind = item.get("type")
    if not isinstance(kind, str):
        return False
    if kind in ITEMS:
        return "call_id" in item or "name" in item
    return (kind == "reasoning" and ("summary" in item or "content" in item)) or (
        kind.endswith("_call") and "id" in item and "status" in item
    )


def _class_role(item: Row) -> str | None:
    """Who speaks by the message's class (LangChain, AutoGen), "" where it leaves that open; None for no message."""
    name, holds = item.get("type"), "content" in item
    if name == "constructor" and isinstance(path := item.get("id"), list) and path and isinstance(path[-1], str):
        name, holds = path[-1], isinstance(item.get("kwargs"), dict) and "Message" in path[-1]
    elif isinstance(inner := item.get("data"), dict):
        holds = "content" in inner
    if not isinstance(name, str) or not holds:
        return None
    short = name.lower().removesuffix("chunk").removesuffix("message").removesuffix("event")
    if short == name.lower() == "text" or (short == name.lower() and short in ("user", "chat")):
        return None
    return CLASSES.get(short)


def as_openai(item: Row, role: str) -> list[Row]:
    """The messages, mostly one, that an object which `is_message` stands for; `role` where it names none."""
    item = _unwrapped(item)
    if item.get("kind") in ("request", "response") and isinstance(item.get("parts"), list):
        return _pydantic_turn(item, role)
    if "role" not in item and _is_item(item):
        return [_response_item(item)]
    said = _class_role(item)
    message = {key: value for key, value in item.items() if key not in BOOKKEEPING and value is not None}
    if "role" not in item and said is not None:
        message.pop("type", None)
        source = message.pop("source", None)
        message.setdefault("name", source)
        said = said or ("user" if source == "user" else "assistant" if source else "")
    elif message.get("type") in ("message", "human", "ai", "tool", "system"):
        del message["type"]
    message["role"] = _role_of(item) or said or EVENT_ROLES.get(str(item.get("event.name")), role)
    _with_calls(message)
    _with_content(message)
    if "type" in message:
        message["message_type"] = message.pop("type")
    return [message]


def _role_of(item: Mapping[str, object]) -> str:
    role = item.get("role")
    if isinstance(role, dict):
        role = role.get("Label") or role.get("label") or role.get("value")
    if not isinstance(role, str):
        return ""
    short = role.rpartition(".")[2].lower() if role.startswith("MessageRole.") else role.lower()
    return {"chatbot": "assistant"}.get(short, short) if short in ROLES else role


def _unwrapped(item: Row) -> Row:
    """The message inside a constructor, an event or a candidate."""
    if item.get("type") == "constructor" and isinstance(inner := item.get("kwargs"), dict):
        path = item.get("id")
        name = path[-1] if isinstance(path, list) and path else None
        return {"type": name, **{key: value for key, value in inner.items() if key != "type"}}
    if isinstance(inner := item.get("data"), dict) and "content" in inner and "role" not in item:
        return {**inner, "type": item.get("type")}
    if isinstance(written := item.get("gen_ai.event.content"), str):
        inner = nested(written)
        rest = {key: value for key, value in item.items() if key != "gen_ai.event.content"}
        item = {**rest, **inner} if isinstance(inner, dict) else {**rest, "content": written}
    if isinstance(inner := item.get("message"), dict) and "content" not in item:
        rest = {key: value for key, value in item.items() if key not in ("message", "index", "role")}
        return {**rest, **inner}
    if isinstance(inner := item.get("content"), dict) and isinstance(inner.get("parts"), list):
        return {**{key: value for key, value in item.items() if key != "content"}, **inner}
    return item


def _with_calls(message: Row) -> None:
    """Takes a message's tool calls to where OpenAI has them, whichever of several places they stand in."""
    kwargs = message.pop("additional_kwargs", None)
    if isinstance(kwargs, dict):
        for key, value in kwargs.items():
            if value is not None and not message.get(key):
                message[key] = value
    for name in ("toolCalls", "toolcalls"):
        if isinstance(calls := message.get(name), list) and not message.get("tool_calls"):
            message["tool_calls"] = calls
            del message[name]
    if isinstance(calls := nested(message.get("tool_calls")), list):
        message["tool_calls"] = [_call(call) if isinstance(call, dict) else call for call in calls]
        message.pop("function_call", None) if calls else None
    if "toolCallId" in message:
        message.setdefault("tool_call_id", message.pop("toolCallId"))


def _call(call: Row) -> Row:
    if "toolName" in call or "toolUseId" in call:
        return {
            "id": call.get("toolCallId") or call.get("toolUseId"),
            "name": call.get("toolName") or call.get("name"),
            "arguments": call.get("args", call.get("input", {})),
        }
    return {**call, "id": call_id(call.get("id"))} if isinstance(call.get("id"), list) else call


def _with_content(message: Row) -> None:
    """Brings a message's parts, or its content, to typed parts or to one text."""
    parts = message.pop("parts", None)
    content = message.get("content")
    if content is None and isinstance(message.get("message"), str):
        message["content"] = content = message.pop("message")
    for name in ("blocks", "items", "contents"):
        if content is None and isinstance(message.get(name), list):
            message["content"] = content = message.pop(name)
    if isinstance(parts, list) and content in (None, "", []):
        message["content"] = joined([part_of(part) for part in parts])
    elif isinstance(content, list):
        translated = [part_of(part) for part in content]
        # The parts of Vercel's AI SDK are pieces of one text, as its own model messages are.
        pieces = any(isinstance(part, dict) and str(part.get("type")).startswith("tool-") for part in content)
        message["content"] = joined(translated) if pieces else translated
        if isinstance(parts, list):
            message["other_parts"] = parts
    elif isinstance(content, dict):
        message["content"] = [part_of(content)] if "type" in content and "text" in content else encoded(content)
    elif content is not None and not isinstance(content, str):
        message["content"] = encoded(content)
    if isinstance(read := message.get("content"), list) and message.get("tool_calls"):
        message["content"] = _without(read, message["tool_calls"]) or None
    _only_results(message)


def _only_results(message: Row) -> None:
    """Where a message is nothing but tools' results, what it says beside them goes with the first of them."""
    parts = message.get("content")
    if (
        isinstance(parts, list)
        and parts
        and all(isinstance(p, dict) and str(p.get("type")) in TOOL_RESULT for p in parts)
    ):
        beside = {
            key: message.pop(key) for key in message.keys() - {"role", "content", "tool_call_id", "finish_reason"}
        }
        kept = filled(beside)
        kept |= {"message_id": kept.pop("id")} if "id" in kept else {}
        message["content"] = [{**kept, **parts[0]}, *parts[1:]]


def _without(parts: Sequence[object], calls: object) -> list[object]:
    """The parts but for the tool calls that stand in `tool_calls` as well, as LangChain writes Anthropic's."""
    given = calls if isinstance(calls, list) else []
    known = [call.get("id") for call in given if isinstance(call, dict) and call.get("id") is not None]
    return [
        part
        for part in parts
        if not (isinstance(part, dict) and str(part.get("type")) in TOOL_CALL and call_id(part.get("id")) in known)
    ]


def _response_item(item: Row) -> Row:
    """An item of OpenAI's Responses that is a call, its result, or reasoning; of other tools the item is the part."""
    kind = str(item["type"])
    if kind.endswith("_output") and kind in ITEMS:
        output = item.get("output")
        content = text_of("" if output is None else output)
        return {"role": "tool", "content": content, "tool_call_id": item.get("call_id"), "name": item.get("name")}
    if kind in ITEMS:
        given: object = next((item[name] for name in ("arguments", "input", "args") if item.get(name) is not None), {})
        call = {"id": item.get("call_id") or call_id(item.get("id")), "name": item.get("name"), "arguments": given}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"role": "assistant", "content": [{"type": "text", "text": ""}, item] if kind == "reasoning" else [item]}


def _pydantic_turn(item: Row, role: str) -> list[Row]:
    """A request or a response of pydantic-ai: each part of a request speaks for itself."""
    speakers = {"system-prompt": "system", "user-prompt": "user", "retry-prompt": "user", "tool-return": "tool"}
    turns: list[Row] = []
    answer: list[object] = []
    for part in item["parts"] if isinstance(item["parts"], list) else []:
        kind = str(part.get("part_kind", "")) if isinstance(part, dict) else ""
        if kind in speakers:
            content = part.get("content")
            said: Row = {"role": speakers[kind], "content": content, "tool_call_id": part.get("tool_call_id")}
            said["name"] = part.get("tool_name")
            if said["tool_call_id"]:
                said["role"] = "tool"
            _with_content(said)
            turns.append(said)
        elif kind == "tool-call":
            call = {"id": part.get("tool_call_id"), "name": part.get("tool_name"), "arguments": part.get("args")}
            answer.append({"type": "tool_call", **call})
        elif kind == "text":
            answer.append({"type": "text", "text": part.get("content")})
        else:
            answer.append({**part, "type": kind} if kind else part)
    if answer:
        turns.append({"role": "assistant" if item["kind"] == "response" else role, "content": joined(answer)})
    return turns


def unpacked(value: object) -> object:
    """What a text says that is JSON, once or several times over (a list, an object or a text); else the value."""
    for _ in range(3):
        if not isinstance(value, str) or value[:1] not in ("[", "{", '"'):
            break
        inner = _json(value)
        if not isinstance(inner, dict | list | str) or inner == value:
            break
        value = inner
    return value


def _json(text: str) -> object:
    try:
        return decoded(text)
    except (Unreadable, RecursionError):
        return None
