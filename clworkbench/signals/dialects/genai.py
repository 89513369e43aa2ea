"""OpenTelemetry's GenAI conventions: what a span's attributes and events say, in today's dialect and in older ones."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from clworkbench.signals.dialects.genai_messages import written
from clworkbench.signals.messages import Message, ToolCall, finish_reason, messages, or_none
from clworkbench.signals.rows import Row
from clworkbench.signals.values import INT64, Fields, Note, Unreadable, encoded, nested, silent

EVENT_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
NUMBERED = re.compile(r"gen_ai\.(prompt|completion)\.(\d+)\.(.+)")
REQUEST_KINDS = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings", "rerank": "rerank"}
SPAN_KINDS = {"agent": "invoke_agent", "tool": "execute_tool", "workflow": "invoke_workflow"}

REQUEST = "gen_ai.request."
TOOL_ARGUMENTS, TOOL_RESULT = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"
QUERY = "gen_ai.retrieval.query.text"

PLAIN: tuple[tuple[str, str, type], ...] = (
    ("gen_ai.conversation.id", "conversation_id", str),
    ("gen_ai.provider.name", "provider", str),
    ("gen_ai.request.model", "model", str),
    ("gen_ai.response.model", "model_version", str),
    ("gen_ai.usage.input_tokens", "n_input_tokens", int),
    ("gen_ai.usage.output_tokens", "n_output_tokens", int),
)
"""Where a value of the type that today's conventions ask for goes as it stands."""

TAKE: dict[str, Callable[[Fields], object]] = {
    "conversation_id": lambda fields: fields.text(
        "gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"
    ),
    "provider": lambda fields: fields.text("gen_ai.provider.name", "gen_ai.system"),
    "model": lambda fields: fields.text("gen_ai.request.model"),
    "model_version": lambda fields: fields.text("gen_ai.response.model"),
    "release_id": lambda fields: fields.text("clw.release_id"),
    "propensity": lambda fields: fields.share("clw.propensity"),
    "confidence": lambda fields: fields.share("clw.confidence"),
    "cost_usd": lambda fields: fields.number("clw.cost_usd", "gen_ai.usage.cost"),
    "n_input_tokens": lambda fields: fields.integer("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "n_output_tokens": lambda fields: fields.integer("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
}
"""How a column is read where its value stands under another name or is of another type."""

ODD = frozenset(
    {
        *(name for name, _, _ in PLAIN),
        *("session.id", "traceloop.association.properties.session_id", "gen_ai.system", "clw.release_id"),
        *("clw.propensity", "clw.confidence", "clw.cost_usd", "gen_ai.usage.cost"),
        *("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
    }
)
"""The names that `TAKE` looks for."""


DECIDING = frozenset(
    {
        *("gen_ai.operation.name", "llm.request.type", "traceloop.span.kind", "gen_ai.tool.name"),
        *("gen_ai.request.model", "gen_ai.response.model", "gen_ai.agent.name"),
    }
)
"""The attributes that `operation` looks at: a span without any of them, and without events, is no model's."""


def operation(attributes: Mapping[str, object], events: list[Row]) -> str | None:
    """The operation that a span records, in the conventions' words; None for a span that is no GenAI operation."""
    name = attributes.get("gen_ai.operation.name")
    if isinstance(name, str) and name:
        return name
    kind = attributes.get("llm.request.type")
    if isinstance(kind, str) and kind in REQUEST_KINDS:
        return REQUEST_KINDS[kind]
    kind = attributes.get("traceloop.span.kind")
    if isinstance(kind, str) and kind in SPAN_KINDS:
        return SPAN_KINDS[kind]
    if "gen_ai.tool.name" in attributes:
        return "execute_tool"
    if "gen_ai.request.model" in attributes or "gen_ai.response.model" in attributes:
        return "chat"
    if "gen_ai.agent.name" in attributes:
        return "invoke_agent"
    return "chat" if events and any(str(event.get("name")) in EVENT_ROLES for event in events) else None


def columns(attributes: Fields, events: list[Row], note: Note) -> Row:
    """The columns that a GenAI span fills; what it takes leaves `attributes` and `events`.

    `model` is the model that was asked for, `model_version` the one that answered. `conversation_id` falls back to
    `session.id`.

    Source: https://github.com/open-telemetry/semantic-conventions-genai; older dialects (semantic conventions up to
        1.36 with one event for each message; `gen_ai.prompt.N.*` of OpenLLMetry) as their emitters write them.
    """
    rest = attributes.rest
    if events:
        _hoist(rest, events)
    rest.pop("gen_ai.operation.name", None)
    reasons = rest.pop("gen_ai.response.finish_reasons", None)
    row: Row = {}
    row["input"], row["output"], said_reason = _texts(attributes, events, note)
    row["finish_reason"] = (None if reasons is None else finish_reason(nested(reasons))) or said_reason
    for name, column, kind in PLAIN:
        value = rest.pop(name, None)
        if type(value) is kind and (value in INT64 if kind is int else value):
            row[column] = value
        elif value is not None:
            rest[name] = value
    if not ODD.isdisjoint(rest):
        for column, take in TAKE.items():
            if row.get(column) is None:
                row[column] = take(attributes)
    tools = rest.pop("gen_ai.tool.definitions", None)
    row["tools"] = tools if tools is None or isinstance(tools, str) else encoded(tools)
    if requested := [name for name in rest if name.startswith(REQUEST)]:
        row["parameters"] = encoded({name[len(REQUEST) :]: rest.pop(name) for name in sorted(requested)})
    row["model_version"] = answered = row.get("model_version")
    row["model"] = row.get("model") or answered
    return row


def _hoist(attributes: Row, events: list[Row]) -> None:
    """Takes the attributes of the one event that holds a whole call's details to where older spans have them."""
    for event in events:
        inner = event.get("attributes")
        if isinstance(inner, dict) and str(event.get("name")).startswith(
            ("gen_ai.client.inference.operation", "gen_ai.content.")
        ):
            for name in [name for name in inner if name.startswith("gen_ai.") and name not in attributes]:
                attributes[name] = inner.pop(name)


def _texts(
    attributes: Fields, events: list[Row], note: Note
) -> tuple[list[Message] | None, list[Message] | None, str | None]:
    """Input, output and finish reason, from the newest dialect that the span speaks."""
    input_, _ = _taken(attributes, "gen_ai.input.messages", "user", note)
    output, reason = _taken(attributes, "gen_ai.output.messages", "assistant", note)
    system = _system(attributes, note)
    if input_ is None and output is None:
        input_, output, event_reason = _older_texts(attributes, events, note)
        reason = reason or event_reason
    if system:
        input_ = system + (input_ or [])
    return input_, output, reason


def _older_texts(
    attributes: Fields, events: list[Row], note: Note
) -> tuple[list[Message] | None, list[Message] | None, str | None]:
    """The same from the dialects before, and from what tools and retrievals say."""
    reason = None
    input_ = output = None
    if events:
        input_, output, reason = _from_events(events, note)
    if input_ is None and output is None:
        input_, output, reason = _numbered(attributes, note)
    if input_ is None and output is None:
        input_, _ = _taken(attributes, "gen_ai.prompt", "user", note)
        output, _ = _taken(attributes, "gen_ai.completion", "assistant", note)
    if input_ is None and output is None:
        input_, output = tool_texts(attributes.rest)
    return input_, output, reason


def _taken(attributes: Fields, name: str, role: str, note: Note) -> tuple[list[Message] | None, str | None]:
    """The messages in an attribute, and the reason for which a model stopped that they name."""
    value = attributes.rest.get(name)
    if value is None or value == "":
        return None, None
    if type(value) is str and (found := written(value)):
        del attributes.rest[name]
        return found
    inner = nested(value)
    reason = finish_reason(inner) if isinstance(inner, list | dict) else None
    is_said = isinstance(inner, list) and inner and all(isinstance(item, dict) and "role" in item for item in inner)
    read = or_none(inner if is_said else value, note, role=role)
    if read is not None:
        del attributes.rest[name]
    return read, reason


def _system(attributes: Fields, note: Note) -> list[Message] | None:
    """`gen_ai.system_instructions`: a text, or a list of parts."""
    said = attributes.rest.get("gen_ai.system_instructions")
    if said is None or said == "" or said == []:
        return None
    read, noted = instructions_in(said) if isinstance(said, str) else _instructions(said)
    for kind, example in noted:
        note(kind, example)
    if read is not None:
        del attributes.rest["gen_ai.system_instructions"]
    return read


@lru_cache(maxsize=64)
def instructions_in(said: str) -> tuple[list[Message] | None, list[tuple[str, str]]]:
    """`_instructions`, once for all the spans that repeat them."""
    return _instructions(nested(said))


def _instructions(said: object) -> tuple[list[Message] | None, list[tuple[str, str]]]:
    """The messages, and what is to be noted of them."""
    noted: list[tuple[str, str]] = []
    if said == []:
        return None, noted
    if not (isinstance(said, list) and all(isinstance(item, dict) and "role" in item for item in said)):
        said = [{"role": "system", "content": said}]
    return or_none(said, lambda *words: noted.append(words), role="system"), noted


def _from_events(events: list[Row], note: Note) -> tuple[list[Message] | None, list[Message] | None, str | None]:
    """The dialect of one event for each message; events that were read are taken out of the list."""
    input_: list[Message] = []
    output: list[Message] = []
    reason = None
    for event in [event for event in events if str(event.get("name")) in EVENT_ROLES]:
        name = str(event["name"])
        try:
            found, stopped = _event_message(event, EVENT_ROLES[name], note)
        except Unreadable as error:
            note("message event kept in attributes only", str(error))
            continue
        (output if name == "gen_ai.choice" else input_).extend(found)
        reason = reason or stopped
        events.remove(event)
    return input_ or None, output or None, reason


def _event_message(event: Row, role: str, note: Note) -> tuple[list[Message], str | None]:
    said = event.get("attributes")
    if not isinstance(said, dict):
        raise Unreadable("an event without attributes")
    inner = nested(said.get("gen_ai.event.content"))
    body = inner if isinstance(inner, dict) else said
    message = nested(body.get("message"))
    whole = message if isinstance(message, dict) else body
    if role == "assistant" and isinstance(message, str):
        whole = {"content": message}
    content = nested(whole.get("content"))
    if not isinstance(content, list):
        content = whole.get("content")
    one: Row = {"role": whole.get("role") or role, "content": content, "tool_calls": whole.get("tool_calls")}
    if role == "tool":
        one |= {"tool_call_id": whole.get("id"), "name": whole.get("name")}
    return messages([one], note), finish_reason(body.get("finish_reason"))


def _numbered(attributes: Fields, note: Note) -> tuple[list[Message] | None, list[Message] | None, str | None]:
    """`gen_ai.prompt.N.role`, `.content`, `.tool_calls.M.name` and so on, as OpenLLMetry flattens messages."""
    sides: dict[str, dict[int, Row]] = {"prompt": {}, "completion": {}}
    for name in [name for name in attributes.rest if name.startswith(("gen_ai.prompt.", "gen_ai.completion."))]:
        if found := NUMBERED.fullmatch(name):
            side, number, key = found.groups()
            sides[side].setdefault(int(number[:6]), {})[key] = attributes.rest[name]
    if not any(sides.values()):
        return None, None, None
    try:
        read = {
            side: messages([_unflattened(said, side) for _, said in sorted(items.items())], note)
            for side, items in sides.items()
        }
    except Unreadable as error:
        note("messages kept in attributes only", str(error))
        return None, None, None
    reason = next((finish_reason(said.get("finish_reason")) for said in sides["completion"].values()), None)
    for name in [name for name in attributes.rest if NUMBERED.fullmatch(name)]:
        del attributes.rest[name]
    return read["prompt"] or None, read["completion"] or None, reason


def _unflattened(said: Row, side: str) -> Row:
    message: Row = {"role": said.get("role") or ("user" if side == "prompt" else "assistant")}
    calls: dict[str, Row] = {}
    for key, value in said.items():
        if key.startswith("tool_calls."):
            number, _, name = key.removeprefix("tool_calls.").partition(".")
            calls.setdefault(number, {})[name] = value
        elif key not in ("role", "finish_reason"):
            message[key] = value
    content = nested(message.get("content"))
    if isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content):
        message["content"] = content
    if calls:
        message["tool_calls"] = list(calls.values())
    return message


def tool_texts(rest: Row) -> tuple[list[Message] | None, list[Message] | None]:
    """A tool's call as the message that asked for it, its result as the message that answered; a retrieval's query."""
    given, result = rest.pop(TOOL_ARGUMENTS, None), rest.pop(TOOL_RESULT, None)
    query = rest.pop(QUERY, None)
    name, call_id = _as_text(rest.get("gen_ai.tool.name")), _as_text(rest.get("gen_ai.tool.call.id"))
    input_ = output = None
    if given is not None:
        input_ = [Message("assistant", None, (ToolCall(call_id or None, name, _as_text(given)),))]
    elif query is not None:
        input_ = [Message("user", _as_text(query))]
    if isinstance(result, str):
        output = [Message("tool", result, None, call_id or None, name)]
    elif result is not None:
        part: Row = {"type": "tool_result", "id": call_id, "name": name, "result": result}
        output = messages([{"role": "tool", "content": [part]}], silent)
    return input_, output


def _as_text(value: object) -> str | None:
    """A text as it stands, anything else as JSON."""
    return value if value is None or isinstance(value, str) else encoded(value)
