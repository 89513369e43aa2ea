"""OpenTelemetry's GenAI conventions: what a span's attributes and events say, in today's dialect and in older ones."""

import re
from collections.abc import Mapping

from clworkbench.signals.messages import Message, finish_reason, messages, or_none
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Fields, Note, Unreadable, encoded, nested

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
    return "chat" if any(str(event.get("name")) in EVENT_ROLES for event in events) else None


def columns(attributes: Fields, events: list[Row], note: Note) -> Row:
    """The columns that a GenAI span fills; what it takes leaves `attributes` and `events`.

    `model` is the model that was asked for, `model_version` the one that answered. `conversation_id` falls back to
    `session.id`.

    Source: https://github.com/open-telemetry/semantic-conventions-genai; older dialects (semantic conventions up to
        1.36 with one event for each message; `gen_ai.prompt.N.*` of OpenLLMetry) as their emitters write them.
    """
    _hoist(attributes.rest, events)
    attributes.rest.pop("gen_ai.operation.name", None)
    reasons = attributes.raw("gen_ai.response.finish_reasons")
    output_reason = finish_reason(nested(attributes.rest.get("gen_ai.output.messages")))
    input_, output, event_reason = _texts(attributes, events, note)
    asked, answered = attributes.text("gen_ai.request.model"), attributes.text("gen_ai.response.model")
    tools = attributes.raw("gen_ai.tool.definitions")
    prefix = "gen_ai.request."
    parameters = {
        name.removeprefix(prefix): attributes.raw(name) for name in sorted(attributes.rest) if name.startswith(prefix)
    }
    return {
        "conversation_id": attributes.text(
            "gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"
        ),
        "provider": attributes.text("gen_ai.provider.name", "gen_ai.system"),
        "model": asked or answered,
        "model_version": answered,
        "release_id": attributes.text("clw.release_id"),
        "propensity": attributes.share("clw.propensity"),
        "confidence": attributes.share("clw.confidence"),
        "cost_usd": attributes.number("clw.cost_usd", "gen_ai.usage.cost"),
        "input": input_,
        "output": output,
        "tools": None if tools is None else tools if isinstance(tools, str) else encoded(tools),
        "parameters": encoded(parameters) if parameters else None,
        "n_input_tokens": attributes.integer("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "n_output_tokens": attributes.integer("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "finish_reason": finish_reason(nested(reasons)) or output_reason or event_reason,
    }


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
    input_ = _taken(attributes, "gen_ai.input.messages", "user", note)
    output = _taken(attributes, "gen_ai.output.messages", "assistant", note)
    system = _system(attributes, note)
    reason = None
    if input_ is None and output is None:
        input_, output, reason = _from_events(events, note)
    if input_ is None and output is None:
        input_, output, reason = _numbered(attributes, note)
    if input_ is None and output is None:
        input_ = _taken(attributes, "gen_ai.prompt", "user", note)
        output = _taken(attributes, "gen_ai.completion", "assistant", note)
    if input_ is None and output is None:
        input_, output = _tool(attributes)
    if system:
        input_ = system + (input_ or [])
    return input_, output, reason


def _taken(attributes: Fields, name: str, role: str, note: Note) -> list[Message] | None:
    value = attributes.rest.get(name)
    read = None if value is None or value == "" else or_none(value, note, role=role)
    if read is not None:
        del attributes.rest[name]
    return read


def _system(attributes: Fields, note: Note) -> list[Message] | None:
    """`gen_ai.system_instructions`: a text, or a list of parts."""
    value = nested(attributes.rest.get("gen_ai.system_instructions"))
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, list) and all(isinstance(item, dict) and "role" in item for item in value):
        return _taken(attributes, "gen_ai.system_instructions", "system", note)
    read = or_none([{"role": "system", "content": value}], note, role="system")
    if read is not None:
        del attributes.rest["gen_ai.system_instructions"]
    return read


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


def _tool(attributes: Fields) -> tuple[list[Message] | None, list[Message] | None]:
    """A tool's call as the message that asked for it, its result as the message that answered; a retrieval's query."""
    name, call_id = attributes.rest.get("gen_ai.tool.name"), attributes.rest.get("gen_ai.tool.call.id")
    given, result = attributes.raw("gen_ai.tool.call.arguments"), attributes.raw("gen_ai.tool.call.result")
    query = attributes.raw("gen_ai.retrieval.query.text")
    input_ = output = None
    if given is not None:
        call: Row = {"id": call_id, "name": name, "arguments": given}
        input_ = messages([{"role": "assistant", "tool_calls": [call]}], _silent)
    elif query is not None:
        input_ = [Message("user", query if isinstance(query, str) else encoded(query))]
    if result is not None:
        part: Row = {"type": "tool_result", "id": call_id, "name": name, "result": result}
        output = messages([{"role": "tool", "content": [part]}], _silent)
    return input_, output


def _silent(_kind: str, _example: str) -> None:
    """A tool's call loses nothing."""
