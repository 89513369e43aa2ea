"""Langfuse's observations as interactions, and its traces where they stand alone."""

from typing import NamedTuple

from clworkbench.signals.gaps import note_gaps
from clworkbench.signals.messages import finish_reason
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes.framework_messages import is_message, unpacked
from clworkbench.signals.shapes.framework_payloads import said, tool_said
from clworkbench.signals.shapes.framework_responses import Said
from clworkbench.signals.values import Fields, Note, encoded, in_utc, mapped, milliseconds, nested, sha256_of

OPERATIONS = {
    **{"GENERATION": "chat", "EMBEDDING": "embeddings", "TOOL": "execute_tool", "AGENT": "invoke_agent"},
    **{"RETRIEVER": "retrieval", "CHAIN": "invoke_workflow", "SPAN": "invoke_workflow", "EVENT": "invoke_workflow"},
    **{"GUARDRAIL": "invoke_workflow", "EVALUATOR": "invoke_workflow"},
}
"""By the observation's type; the type itself stays in `attributes`."""
SPAN_KINDS = {
    **{"LLM": "chat", "EMBEDDING": "embeddings", "TOOL": "execute_tool", "AGENT": "invoke_agent"},
    **{"RETRIEVER": "retrieval", "RERANKER": "retrieval"},
}
"""OpenInference's kinds, which Langfuse left SPAN before it had types of its own."""
ANSWERS = ("chat", "text_completion", "generate_content", "embeddings")
CUT_AT = 200
"""Langfuse's API cuts each value of the metadata here, unless it is asked not to."""
PARENT = "parentObservationId"


class Context(NamedTuple):
    """What a trace says about all its observations."""

    user: object = None
    session: object = None
    release: object = None
    environment: object = None
    name: object = None
    tags: object = None
    trace_id: object = None


def observation(item: Row, context: Context, rows: Rows, beyond: Row | None = None) -> Row:
    """The row of one observation; `beyond` is what its trace says and only the root keeps."""
    carried = {name: value for name, value in context._asdict().items() if value not in (None, "", [])}
    digest = sha256_of([item, carried, beyond or {}])
    note = in_utc(rows.note)
    fields = Fields(item, note)
    metadata = _metadata(fields, rows)
    spans = metadata.get("attributes")
    spans = spans if isinstance(spans, dict) else {}
    kind = str(item.get("type") or "SPAN").upper()
    model = fields.text("providedModelName", "model")
    operation = _operation(kind, spans, model, rows)
    operation, given, answered = _sides(fields, operation, note)
    row = _shared(fields, context, metadata, spans, rows) | {
        "parent_id": fields.text(PARENT),
        "operation": operation,
        "provider": _first(spans, "gen_ai.provider.name", "gen_ai.system", "llm.provider", "ai.model.provider")
        or _first(metadata, "ls_provider"),
        "model": model,
        "model_version": _first(spans, "gen_ai.response.model", "ai.response.model"),
        "input": given.messages,
        "output": answered.messages,
        "tools": _tools(fields, given, answered, metadata, spans),
        "parameters": _parameters(fields),
        "finish_reason": answered.finish_reason or _finish_reason(spans),
        "raw_sha256": digest,
        **_usage(fields, rows),
    }
    if str(item.get("level")).upper() == "ERROR":
        row["error"] = fields.text("statusMessage") or "error"
    note_gaps(row, rows)
    rest = fields.rest | {"input": given.rest, "output": answered.rest, "trace": beyond}
    row["attributes"] = rows.attributes(rest)
    row["interaction_id"] = rows.identity(str(row["source_id"]) if row["source_id"] else None, digest)
    return row


def trace_row(trace: Row, rows: Rows) -> Row:
    """The row of a trace that stands without its observations: a workflow with its input and output."""
    digest = sha256_of(trace)
    fields = Fields(trace, in_utc(rows.note))
    metadata = _metadata(fields, rows)
    _, given, answered = _sides(fields, "invoke_workflow", in_utc(rows.note))
    row = _shared(fields, Context(name=fields.raw("name")), metadata, {}, rows)
    row |= {"trace_id": row["source_id"], "operation": "invoke_workflow", "raw_sha256": digest}
    row |= {"input": given.messages, "output": answered.messages, "finish_reason": answered.finish_reason}
    row["attributes"] = rows.attributes(fields.rest | {"type": "TRACE", "input": given.rest, "output": answered.rest})
    row["interaction_id"] = rows.identity(str(row["source_id"]) if row["source_id"] else None, digest)
    return row


def _shared(fields: Fields, context: Context, metadata: Row, spans: Row, rows: Rows) -> Row:
    """The columns that traces and observations fill alike."""
    for name, value in context._asdict().items():
        theirs = {"user": "userId", "session": "sessionId", "name": "traceName", "trace_id": "traceId"}.get(name, name)
        if value not in (None, "", []) and fields.rest.get(theirs) in (None, "", []):
            fields.rest[theirs] = value
    tags = nested(fields.rest.get("tags"))
    if isinstance(tags, list):
        fields.rest["tags"] = tags
    user = fields.text("userId") or _first(spans, "user.id", "langfuse.user.id")
    start, end = fields.moment("startTime", "timestamp"), fields.moment("endTime")
    return {
        "source_id": fields.text("id"),
        "trace_id": fields.text("traceId"),
        "conversation_id": fields.text("sessionId")
        or _first(spans, "session.id", "gen_ai.conversation.id")
        or _first(metadata, "thread_id", "session_id", "conversation_id"),
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": fields.text("traceName"),
        "environment": fields.text("environment"),
        "release_id": fields.text("release"),
        "started_at": start,
        "updated_at": fields.moment("updatedAt"),
        "latency_ms": _latency(fields, start, end, rows),
    }


def _latency(fields: Fields, start: int | None, end: int | None, rows: Rows) -> float | None:
    """Milliseconds from start to end; without an end what `latency` says, taken as seconds."""
    if start is not None and end is not None:
        fields.rest.pop("latency", None)
        if end < start:
            rows.note("an end before the start, no latency", "one")
        return milliseconds(start, end)
    seconds = fields.number("latency")
    if seconds is None or seconds < 0:
        return None
    rows.note("latency without an end, taken as seconds", "one")
    return seconds * 1000


def _metadata(fields: Fields, rows: Rows) -> Row:
    """The metadata, which may be JSON text or a table's map; it stays in `attributes` as an object."""
    metadata = mapped(fields.rest.get("metadata"))
    if metadata is None:
        return {}
    fields.rest["metadata"] = metadata
    if any(isinstance(value, str) and len(value) == CUT_AT for value in metadata.values()):
        rows.note(f"metadata of {CUT_AT} characters, where Langfuse's API cuts it", "one value or more")
    if isinstance(inner := nested(metadata.get("attributes")), dict):
        metadata["attributes"] = inner
    return metadata


def _operation(kind: str, spans: Row, model: str | None, rows: Rows) -> str:
    named = _first(spans, "gen_ai.operation.name")
    if kind == "GENERATION":
        if named in ANSWERS:
            return named
        return "embeddings" if model and "embed" in model.lower() else "chat"
    if kind == "SPAN":
        if named or spans.get("ai.operationId") == "ai.toolCall":
            return named or "execute_tool"
        return SPAN_KINDS.get(str(spans.get("openinference.span.kind")).upper(), "invoke_workflow")
    if kind not in OPERATIONS:
        rows.note("observation of an unknown type, taken as a workflow's step", "one")
    return OPERATIONS.get(kind, "invoke_workflow")


def _sides(fields: Fields, operation: str, note: Note) -> tuple[str, Said, Said]:
    """The operation, and what went in and came out; a step that gives one tool's message is that tool's run."""
    given, answered = fields.raw("input"), fields.raw("output")
    result = unpacked(answered) if operation == "invoke_workflow" else None
    if is_message(result) and isinstance(result, dict) and result.get("tool_call_id"):
        operation = "execute_tool"
    if operation == "execute_tool":
        return operation, *tool_said(given, answered, note, name=fields.rest.get("name"))
    role = "tool" if operation == "retrieval" else "assistant"
    return operation, said(given, note, role="user"), said(answered, note, role=role)


def _tools(fields: Fields, given: Said, answered: Said, metadata: Row, spans: Row) -> str | None:
    """The tools that were offered, from the first place that names them."""
    definitions = mapped(fields.rest.get("toolDefinitions"))
    if definitions:
        del fields.rest["toolDefinitions"]
        return encoded(definitions)
    request = nested(spans.get("model_request_parameters"))
    places = (
        given.tools,
        answered.tools,
        spans.get("gen_ai.tool.definitions"),
        request.get("function_tools") if isinstance(request, dict) else None,
        metadata.get("tools"),
    )
    for place in places:
        tools = nested(place)
        if isinstance(tools, list) and tools:
            return encoded([nested(tool) for tool in tools])
    return None


def _parameters(fields: Fields) -> str | None:
    parameters = mapped(fields.rest.get("modelParameters"))
    if parameters is None:
        return None
    del fields.rest["modelParameters"]
    kept = {name: nested(value) for name, value in parameters.items() if value not in (None, "")}
    return encoded(kept) if kept else None


def _usage(fields: Fields, rows: Rows) -> Row:
    """Tokens and cost: 0 is kept where there were tokens; without tokens and prices it is unknown."""
    usage = mapped(fields.rest.get("usageDetails")) or mapped(fields.rest.get("usage")) or {}
    tokens = Fields(dict(usage), rows.note) if usage.get("unit") in (None, "TOKENS") else Fields({}, rows.note)
    row: Row = {
        "n_input_tokens": tokens.integer("input", "promptTokens"),
        "n_output_tokens": tokens.integer("output", "completionTokens"),
    }
    if usage:
        fields.rest["usageDetails" if "usageDetails" in fields.rest else "usage"] = usage
    if row["n_input_tokens"] is None and row["n_output_tokens"] is None:
        row |= {"n_input_tokens": fields.integer("promptTokens"), "n_output_tokens": fields.integer("completionTokens")}
    costs = mapped(fields.rest.get("costDetails")) or {}
    if costs:
        fields.rest["costDetails"] = costs
    cost = Fields(dict(costs), rows.note).number("total")
    total = fields.number("totalCost", "calculatedTotalCost")
    cost = total if cost is None else cost
    counted = bool(row["n_input_tokens"] or row["n_output_tokens"])
    row["cost_usd"] = None if cost == 0 and not counted and not costs else cost
    return row


def _first(values: Row, *names: str) -> str | None:
    return next((value for name in names if isinstance(value := values.get(name), str) and value), None)


def _finish_reason(spans: Row) -> str | None:
    return finish_reason(nested(spans.get("gen_ai.response.finish_reasons"))) or _first(
        spans, "ai.response.finishReason"
    )
