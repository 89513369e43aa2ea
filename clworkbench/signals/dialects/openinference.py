"""OpenInference's conventions, which Phoenix and its instrumentations speak: what a span's attributes say."""

from collections.abc import Mapping
from functools import partial

from clworkbench.signals.dialects.flattened import gather, taken, taken_messages
from clworkbench.signals.messages import Message
from clworkbench.signals.rows import IDENTITIES, Row
from clworkbench.signals.shapes.framework_messages import unpacked
from clworkbench.signals.shapes.framework_payloads import documents, said, tool_said
from clworkbench.signals.values import Fields, Note, Unreadable, encoded, nested, silent

KIND = "openinference.span.kind"
OPERATIONS = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "CHAIN": "invoke_workflow",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
    "PROMPT": "prompt",
    "DECISION": "decision",
}
"""Span kinds in the words of `gen_ai.operation.name`, in words of their own where OpenTelemetry has none."""

VALUES = ("input.value", "output.value")
HIDDEN = "__REDACTED__"
"""What stands in place of a value that the instrumentation was told to hide."""

MEDIA = {"image": "image_url", "audio": "audio", "video": "video", "document": "file"}


def operation(attributes: Mapping[str, object], _events: list[Row]) -> str | None:
    """The operation, by the span's kind; None for a span without one. `gen_ai.operation.name` is more particular."""
    kind = attributes.get(KIND)
    if not isinstance(kind, str) or kind in ("", "UNKNOWN"):
        return None
    named = attributes.get("gen_ai.operation.name")
    if isinstance(named, str) and named:
        return named
    if kind == "LLM" and "llm.prompts.0.prompt.text" in attributes:
        return "text_completion"
    return OPERATIONS.get(kind.upper(), kind.lower())


def columns(attributes: Fields, _events: list[Row], note: Note) -> Row:
    """The columns that an OpenInference span fills; what it takes leaves `attributes`.

    `model` is the model that was asked for, where the request tells it, `model_version` the one that answered. Messages
    come from `llm.input_messages` and `llm.output_messages`, flattened or whole, else out of `input.value` and
    `output.value`, which stay in `attributes` where they tell more. A tool's input is the call that a model would
    have made, its output the message that answers it; retrieved documents are one message of role `tool`.

    Source: https://arize-ai.github.io/openinference/spec/semantic_conventions.html
    """
    kind = attributes.rest.pop(KIND, None)
    name = kind.upper() if isinstance(kind, str) else ""
    gather(attributes, "metadata")
    asked, parameters = _parameters(attributes)
    tools = taken(attributes, "llm.tools")
    input_, output, reason = _sides(attributes, name, note)
    model = attributes.text("llm.model_name", "embedding.model_name", "reranker.model_name", "decision.model_name")
    requested = attributes.text("llm.request.model_name")
    answered = attributes.text("llm.response.model_name") or model
    return {
        "conversation_id": attributes.text("session.id"),
        "provider": attributes.text("llm.provider", "llm.system", "decision.provider"),
        "model": requested or asked or model or answered,
        "model_version": answered,
        "input": input_,
        "output": output,
        "tools": encoded([_tool(tool) for tool in tools]) if tools else None,
        "parameters": parameters,
        "n_input_tokens": attributes.integer("llm.token_count.prompt", "decision.token_count.input"),
        "n_output_tokens": attributes.integer("llm.token_count.completion", "decision.token_count.output"),
        "cost_usd": attributes.number("llm.cost.total"),
        "finish_reason": attributes.text("llm.finish_reason") or reason,
    }


def _parameters(attributes: Fields) -> tuple[str | None, str | None]:
    """The model that was asked for, and the other parameters as JSON; identities among them stay in attributes."""
    for name in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        given = nested(attributes.rest.get(name))
        if isinstance(given, dict):
            given = {key: value for key, value in given.items() if value is not None}
            left = {key: given.pop(key) for key in list(given) if key in IDENTITIES or key == "metadata"}
            attributes.rest[name] = left
            model = given.pop("model", None) or given.pop("model_name", None)
            return (model if isinstance(model, str) else None), (encoded(given) if given else None)
    return None, None


def _tool(item: object) -> object:
    """A tool's definition out of `{"tool": {"json_schema": "<JSON>"}}`."""
    inner = item.get("tool") if isinstance(item, dict) else None
    schema = inner.get("json_schema") if isinstance(inner, dict) else None
    return item if schema is None else nested(schema)


def _sides(attributes: Fields, kind: str, note: Note) -> tuple[list[Message] | None, list[Message] | None, str | None]:
    """What went in, what came out and why the model stopped, by the kind of span."""
    rest = attributes.rest
    for name in [name for name in VALUES if rest.get(name) == HIDDEN]:
        note("hidden at the source", name)
        del rest[name]
    input_, output = (
        taken_messages(attributes, prefix, partial(_message, role=role), note)
        for prefix, role in (("llm.input_messages", "user"), ("llm.output_messages", "assistant"))
    )
    if input_ is None:
        input_ = _texts(attributes, ("llm.prompts", "prompt", "text"), ("embedding.embeddings", "embedding", "text"))
    if output is None:
        output = _texts(attributes, ("llm.choices", "completion", "text"), role="assistant")
    if kind == "TOOL" and input_ is None and output is None:
        given, result = map(attributes.raw, VALUES)
        asked, answer = tool_said(given, result, note, name=rest.get("tool.name"), call_id=rest.get("tool.id"))
        input_, output, reason = asked.messages, answer.messages, None
    else:
        output = _documents(attributes) if output is None else output
        sought = kind != "EMBEDDING" and "gen_ai.output.messages" not in rest
        input_, _ = _beside(attributes, "input", input_, note, sought="gen_ai.input.messages" not in rest)
        output, reason = _beside(attributes, "output", output, note, sought=sought)
    for name in VALUES:
        if not rest.get(name):
            rest.pop(name, None)
            rest.pop(name.replace("value", "mime_type"), None)
    return input_, output, reason


def _beside(
    attributes: Fields, side: str, found: list[Message] | None, note: Note, *, sought: bool
) -> tuple[list[Message] | None, str | None]:
    """The messages that were found elsewhere, else, where they are sought, those in the side's value; why it ended.

    The value keeps what it says beside these messages.
    """
    name = f"{side}.value"
    whole = unpacked(attributes.rest.get(name))
    is_source = found is None and sought
    read = said(whole, note if is_source else silent, role="user" if side == "input" else "assistant")
    if is_source or (found is not None and found == read.messages):
        attributes.rest[name] = read.left
        return read.messages or None, read.finish_reason
    if isinstance(whole, dict | list):
        attributes.rest[name] = whole
    return found, read.finish_reason


def _message(item: object, role: str) -> Row:
    """A message in OpenAI's words out of `{"message": {…}}`."""
    inner = item.get("message") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(inner, dict):
        raise Unreadable("an item of the messages without a message")
    found: Row = {"role": role} | inner | {key: value for key, value in item.items() if key != "message"}
    contents, calls_ = found.pop("contents", None), found.get("tool_calls")
    legacy = found.pop("function_call_name", None), found.pop("function_call_arguments_json", None)
    if any(legacy):
        found["function_call"] = {"name": legacy[0], "arguments": legacy[1]}
    if isinstance(calls_, list):
        found["tool_calls"] = [_unwrapped(call, "tool_call") for call in calls_]
    if isinstance(contents, list):
        parts = [_part(part) for part in contents]
        text = found.get("content")
        if isinstance(text, str) and text and not any(isinstance(p, dict) and p.get("text") == text for p in parts):
            parts = [{"type": "text", "text": text}, *parts]
        found["content"] = parts
    return found


def _unwrapped(item: object, name: str) -> object:
    """What stands under `name`, with what stands beside it."""
    inner = item.get(name) if isinstance(item, dict) else None
    return {**item, **inner, name: None} if isinstance(item, dict) and isinstance(inner, dict) else item


def _part(item: object) -> object:
    """One part of a message's contents; media as OpenAI names them."""
    part = _unwrapped(item, "message_content")
    if not isinstance(part, dict):
        return part
    part = {key: value for key, value in part.items() if value is not None}
    kind = part.get("type")
    if isinstance(kind, str) and kind in MEDIA and isinstance(media := part.get(kind), dict):
        del part[kind]
        part |= {"type": MEDIA[kind], MEDIA[kind]: _without_nulls(_unwrapped(media, kind))}
    return part


def _without_nulls(value: object) -> object:
    return {key: inner for key, inner in value.items() if inner is not None} if isinstance(value, dict) else value


def _texts(attributes: Fields, *places: tuple[str, str, str], role: str = "user") -> list[Message] | None:
    """One message for each text of a list such as `llm.prompts.N.prompt.text`; what else stands there is kept."""
    for prefix, name, key in places:
        items = taken(attributes, prefix)
        found = []
        for item in items:
            inner = item.get(name) if isinstance(item, dict) else item
            text = inner.pop(key, None) if isinstance(inner, dict) else inner
            if isinstance(text, str):
                found.append(Message(role, text))
        left = [item for item in items if isinstance(item, dict) and any(item.values())]
        if left:
            attributes.rest[prefix] = left
        if found:
            return found
    return None


def _documents(attributes: Fields) -> list[Message] | None:
    """The documents that were found."""
    for prefix in ("retrieval.documents", "reranker.output_documents"):
        if items := taken(attributes, prefix):
            return documents([_without_nulls(_unwrapped(item, "document")) for item in items])
    return None
