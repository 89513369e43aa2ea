"""LangSmith's runs as interactions."""

from clworkbench.signals.gaps import note_gaps
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes.framework_messages import unpacked
from clworkbench.signals.shapes.framework_payloads import said, tool_said
from clworkbench.signals.shapes.framework_responses import Said, model_of, tokens_of
from clworkbench.signals.values import (
    Fields,
    Note,
    Unreadable,
    encoded,
    in_utc,
    milliseconds,
    nested,
    sha256_of,
    silent,
)

OPERATIONS = {
    **{"llm": "chat", "tool": "execute_tool", "retriever": "retrieval", "embedding": "embeddings"},
    **dict.fromkeys(("chain", "prompt", "parser"), "invoke_workflow"),
}
"""By the run's type; the type itself stays in `attributes`."""
THREAD = ("thread_id", "session_id", "conversation_id")


def own_id(run: Row) -> str | None:
    """A run's id: its own, else the last in its `dotted_order`, as updates of LangSmith's JavaScript client need."""
    given = run.get("id") or run.get("run_id")
    if isinstance(given, str) and given:
        return given
    path = _path(run)
    return path[-1] if path else None


def _path(run: Row) -> list[str]:
    """The ids from the trace's root to the run, out of `dotted_order` (start times and ids)."""
    order = run.get("dotted_order")
    if not isinstance(order, str) or not order:
        return []
    return [step.rpartition("Z")[2] for step in order.split(".")]


def run_row(run: Row, rows: Rows) -> Row:
    """The row of one run.

    `thread_id`, `session_id` or `conversation_id` in the metadata is the conversation; the run's own `session_id`,
    LangSmith's word for the project, stays in `attributes`. `model` is the model that was asked for, `model_version`
    the one that the answer names.

    Raises: Unreadable for a run that cannot be told from others, or whose times cannot be read.
    Source: https://docs.langchain.com/langsmith/run-data-format
    """
    digest = sha256_of(run)
    source_id, outputs = own_id(run), unpacked(run.get("outputs"))
    if source_id is None:
        raise Unreadable("a run without an id")
    kind = str(run.get("run_type") or "llm").lower()
    if kind not in OPERATIONS:
        rows.note("run of an unknown type, taken as a workflow's step", "one")
    fields = Fields(run, in_utc(rows.note))
    extra, metadata, invoked = _extra(fields)
    given, answered = _sides(fields, kind, rows)
    outputs = outputs if isinstance(outputs, dict) else {}
    row = _place(fields, run, metadata, {**invoked, **given.rest, **metadata}, rows) | {
        "source_id": source_id,
        "operation": OPERATIONS.get(kind, "invoke_workflow"),
        "model_version": model_of(outputs),
        "input": given.messages,
        "output": answered.messages,
        "tools": _tools(given, invoked),
        "parameters": _parameters(fields, given, invoked, kind),
        "finish_reason": answered.finish_reason or fields.text("finish_reason"),
        "error": fields.text("error") or ("error" if run.get("status") == "error" else None),
        "raw_sha256": digest,
        **_usage(fields, outputs, rows),
    }
    note_gaps(row, rows)
    rest = fields.rest | {"extra": extra, "inputs": given.rest, "outputs": answered.rest}
    row["attributes"] = rows.attributes(rest)
    row["interaction_id"] = rows.identity(source_id, digest)
    return row


def _place(fields: Fields, run: Row, metadata: Row, beside: Row, rows: Rows) -> Row:
    """Where and when a run was, whose it was, and what it asked; `beside` is all that may name user and model."""
    path = _path(run)
    told, asked = Fields(dict(metadata), silent), Fields(beside, silent)
    user = asked.text("user_id", "user")
    for name in ("id", "run_id"):
        fields.rest.pop(name, None)
    start, end = fields.moment("start_time"), fields.moment("end_time")
    return {
        "trace_id": fields.text("trace_id") or (path[0] if path else None),
        "parent_id": fields.text("parent_run_id") or (path[-2] if len(path) > 1 else None),
        "conversation_id": told.text(*THREAD),
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": fields.text("session_name", "project_name"),
        "environment": told.text("environment", "env"),
        "release_id": told.text("release_id", "revision_id"),
        "started_at": start,
        "latency_ms": _latency(fields, start, end),
        "provider": asked.text("ls_provider") or fields.text("provider"),
        "model": asked.text("ls_model_name", "model", "model_name") or fields.text("model"),
    }


def _extra(fields: Fields) -> tuple[Row, Row, Row]:
    """What `extra` holds, its metadata, and the parameters with which the model was invoked."""
    extra = nested(fields.raw("extra"))
    extra = dict(extra) if isinstance(extra, dict) else {}
    found = [nested(extra.get(name)) for name in ("metadata", "invocation_params")]
    metadata, invoked = (dict(value) if isinstance(value, dict) else {} for value in found)
    beside = nested(fields.rest.get("metadata"))
    return extra, {**(beside if isinstance(beside, dict) else {}), **metadata}, invoked


def _sides(fields: Fields, kind: str, rows: Rows) -> tuple[Said, Said]:
    given, answered = fields.raw("inputs", "input_messages"), fields.raw("outputs", "output_message")
    note = in_utc(rows.note)
    for side, value in (("inputs", given), ("outputs", answered)):
        if unpacked(value) in (None, "", {}, []) and fields.rest.get(f"{side}_s3_urls"):
            rows.note(f"{side} that the source keeps elsewhere ({side}_s3_urls)", "one")
    if kind == "tool":
        alone = unpacked(given)
        if isinstance(alone, dict) and alone.keys() == {"input"}:
            given = alone["input"]
        return tool_said(given, answered, note, name=fields.rest.get("name"))
    role = "tool" if kind == "retriever" else "assistant"
    return _side(given, note, "user"), _side(answered, note, role)


def _side(value: object, note: Note, role: str) -> Said:
    return Said(None) if unpacked(value) in ({}, []) else said(value, note, role=role)


def _latency(fields: Fields, start: int | None, end: int | None) -> float | None:
    latency = fields.number("latency_ms")
    took = milliseconds(start, end)
    return latency if took is None else took


def _tools(given: Said, invoked: Row) -> str | None:
    for place in (given.tools, invoked.get("tools"), invoked.get("functions")):
        if isinstance(tools := nested(place), list) and tools:
            return encoded(tools)
    return None


def _parameters(fields: Fields, given: Said, invoked: Row, kind: str) -> str | None:
    """What the model was asked with, out of the invocation or, where a client's call is the input, out of that."""
    known = {name: value for name, value in invoked.items() if name not in ("tools", "functions", "messages")}
    if not known and kind == "llm":
        known = {name: value for name, value in given.rest.items() if name != "model" and not isinstance(value, list)}
    temperature = fields.number("temperature")
    known |= {} if temperature is None else {"temperature": temperature}
    kept = {name: value for name, value in known.items() if value is not None}
    return encoded(kept) if kept else None


def _usage(fields: Fields, answered: Row, rows: Rows) -> Row:
    """Tokens and cost, from the run's own counts, else from what the model's answer says."""
    tokens: Row = {
        "n_input_tokens": fields.integer("prompt_tokens"),
        "n_output_tokens": fields.integer("completion_tokens"),
    }
    if all(count is None for count in tokens.values()):
        tokens |= tokens_of(answered, rows.note)
    return tokens | {"cost_usd": fields.number("total_cost")}
