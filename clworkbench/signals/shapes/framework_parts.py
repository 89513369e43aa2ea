"""The parts of a message as providers and frameworks write them, brought to types that `messages` knows."""

from clworkbench.signals.rows import Row
from clworkbench.signals.values import text_of

KEYED = {
    **dict.fromkeys(("function_call", "functionCall", "toolUse", "tool_call"), "tool_call"),
    **dict.fromkeys(("function_response", "functionResponse", "toolResult", "tool_call_result"), "tool_call_response"),
    **{"inline_data": "blob", "inlineData": "blob", "file_data": "file", "fileData": "file"},
    **{"reasoningContent": "reasoning", "image": "image", "document": "file", "video": "video"},
    **dict.fromkeys(("executable_code", "executableCode"), "executable_code"),
    **dict.fromkeys(("code_execution_result", "codeExecutionResult"), "code_execution_result"),
}
"""Parts that are known by a key (Gemini, Bedrock, Haystack) instead of by a `type`, and the type that each has here."""
TYPES = {
    **dict.fromkeys(("tool-call", "tool_call", "tool-use", "function_call", "functionCall"), "tool_call"),
    **dict.fromkeys(("tool-result", "function_result", "functionResult"), "tool_result"),
}
"""What some call a part, and the type that it has here."""
OUTPUTS = frozenset({"text", "json", "error-text", "error-json"})
"""What Vercel's AI SDK says a tool's `value` is."""
KINDS = ("type", "$type", "block_type", "content_type")
"""Where a part says what it is: most, Microsoft's in C#, LlamaIndex, Semantic Kernel."""
IDS = ("toolCallId", "toolUseId", "tool_call_id", "callId", "call_id", "id")
NAMES = ("toolName", "tool_name", "name")
GIVEN = ("arguments", "args", "input", "tool_kwargs")


def call_id(value: object) -> object:
    """The id of a tool call; of several (a run's and the call's, as Microsoft's agents write them) the call's own."""
    if isinstance(value, list):
        named = [item for item in value if isinstance(item, str)]
        return next((item for item in named if item.startswith("call_")), named[-1] if named else None)
    return value


def joined(parts: list[object]) -> list[object]:
    """The parts with all plain texts made one, in the first one's place: such texts are pieces of one answer."""
    texts: list[str] = []
    kept: list[object] = []
    for part in parts:
        text = part if isinstance(part, str) else None
        if isinstance(part, dict) and part.get("type") == "text" and part.keys() <= {"type", "text", "content"}:
            text = part.get("text", part.get("content"))
        if not isinstance(text, str):
            kept.append(part)
            continue
        if not texts:
            kept.append(texts)
        texts.append(text)
    return [{"type": "text", "text": "".join(texts)} if part is texts else part for part in kept]


def part_of(part: object) -> object:
    """A part with a `type` that `messages` knows, without what it leaves empty."""
    if not isinstance(part, dict):
        return part
    part = {key: value for key, value in part.items() if value is not None and value != {}} or dict(part)
    at = next((key for key in KINDS if isinstance(part.get(key), str)), None)
    if at is None:
        return _keyed_part(part) if "type" not in part else part
    kind = str(part.pop(at))
    kind = TYPES.get(kind, kind)
    if kind == "tool_call" or ("toolName" in part and kind != "tool_result"):
        given: object = next((part[key] for key in GIVEN if key in part), {})
        return {"type": "tool_call", "id": _own_id(part), "name": _first(part, NAMES), "arguments": given}
    if kind == "tool_result" and not ("tool_use_id" in part or "content" in part):
        result = part.get("output", part.get("result"))
        if isinstance(result, dict) and str(result.get("type")) in OUTPUTS:
            result = result.get("value")
        return {"type": kind, "id": _own_id(part), "name": _first(part, NAMES), "result": result}
    if isinstance(part.get("id"), list):
        part["id"] = call_id(part["id"])
    return {"type": kind, **part}


def _own_id(part: Row) -> object:
    return call_id(_first(part, IDS))


def _first(values: Row, names: tuple[str, ...]) -> object:
    return next((value for name in names if (value := values.get(name)) is not None), None)


def _keyed_part(part: Row) -> object:
    for key, kind in KEYED.items():
        inner = part.get(key)
        if inner is None:
            continue
        if not isinstance(inner, dict) or kind not in ("tool_call", "tool_call_response"):
            return {**part, "type": kind}
        asked = origin if isinstance(origin := inner.get("origin"), dict) else inner
        same = {"type": kind, "id": _own_id(asked), "name": _first(asked, NAMES)}
        if kind == "tool_call":
            given = _first(inner, GIVEN)
            return {**same, "arguments": {} if given is None else given}
        return {**same, "response": _result(inner)}
    if part.get("thought") is True:
        return {**part, "type": "thinking"}
    if "text" in part:
        text = part["text"]
        return {**part, "type": "text", "text": text_of(text)}
    if isinstance(part.get("name"), str) and "arguments" in part:
        return {**part, "type": "tool_call"}
    if "call_id" in part and "content" in part:
        return {"type": "tool_result", "id": part["call_id"], "name": part.get("name"), "result": part["content"]}
    return part


def _result(inner: Row) -> object:
    """What a tool answered: Gemini's `response`; Bedrock's blocks, as text where they are texts."""
    blocks = inner.get("content")
    if "response" in inner or not isinstance(blocks, list):
        return inner.get("response", inner.get("result", blocks))
    read = [block.get("text", block.get("json", block)) if isinstance(block, dict) else block for block in blocks]
    return "\n".join(map(text_of, read))
