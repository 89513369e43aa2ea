"""One call of a chat model in OpenAI's words: its messages, parameters, usage and metadata as one interaction."""

import math
from collections.abc import Callable
from typing import NamedTuple

from clworkbench.signals.messages import Message, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, as_object, encoded, kind_of, nested, text_of

PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "seed", "stop", "n"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "response_format", "tool_choice"),
        *("parallel_tool_calls", "reasoning_effort", "stream", "stream_options", "service_tier", "functions"),
        *("function_call", "modalities", "top_logprobs", "prediction", "verbosity", "store"),
        *("max_output_tokens", "max_tool_calls", "reasoning", "text", "truncation", "include", "background"),
    }
)
METADATA: dict[str, tuple[str, Callable[[Fields, str], object]]] = {
    **dict.fromkeys(("conversation_id", "session_id", "thread_id"), ("conversation_id", Fields.text)),
    **{name: (name, Fields.text) for name in ("app", "environment", "release_id", "model_version")},
    **{name: (name, Fields.share) for name in ("propensity", "confidence")},
    **{name: (name, Fields.number) for name in ("latency_ms", "cost_usd")},
}
"""What `metadata` may tell: key to column, and how it is read."""


class Turns(NamedTuple):
    """The messages before an answer, the answer, and what was said after it, as it stands."""

    before: list[Message] | None
    answer: list[Message] | None
    after: list[object] | None = None


def split(given: object, rows: Rows) -> Turns:
    """Splits a conversation at its last answer; raises Unreadable for what is no list of messages."""
    given = nested(given)
    if not isinstance(given, list):
        raise Unreadable(f"messages: {kind_of(given)}, where a list is wanted")
    for at in range(len(given) - 1, -1, -1):
        if isinstance(given[at], dict) and given[at].get("role") in ("assistant", "model"):
            if given[at + 1 :]:
                messages(given[at + 1 :], rows.note)
                rows.note("messages after the last answer, kept in attributes", "one")
            return Turns(messages(given[:at], rows.note), messages([given[at]], rows.note), given[at + 1 :])
    return Turns(messages(given, rows.note), None)


def call(record: Row, turns: Turns, rows: Rows, digest: str) -> Row:
    """The interaction that a record and its messages make, with its id.

    Columns without a key of their own (`conversation_id`, `app`, `environment`, `release_id`, `model_version`,
    `propensity`, `confidence`, `latency_ms`, `cost_usd`) are taken from the record or its `metadata`, which stays in
    `attributes` as all else does. `model` is the model that was asked for, `model_version` the one that
    `response_model` names.
    """
    fields = Fields(record, rows.note)
    row = _columns(fields, turns, rows)
    own_id = fields.text("id")
    metadata = nested(record.get("metadata"))
    if isinstance(metadata, dict):
        record["metadata"] = metadata
        _from_metadata(row, Fields(dict(metadata), rows.note), rows)
    if turns.after:
        record["messages_after"] = turns.after
    row |= {"source_id": own_id, "raw_sha256": digest, "attributes": rows.attributes(record)}
    row["interaction_id"] = rows.identity(own_id, digest)
    return row


def _columns(fields: Fields, turns: Turns, rows: Rows) -> Row:
    """The row as far as the record's own keys tell it."""
    given_usage = fields.raw("usage")
    usage = as_object(given_usage, "usage")
    tokens = Fields(usage, rows.note)
    tools = nested(fields.raw("tools")) or None
    set_ = PARAMETERS & {name for name, value in fields.rest.items() if value is not None}
    parameters = {name: fields.raw(name) for name in sorted(set_)}
    user = fields.text("user", "safety_identifier")
    model, answered_by = fields.text("model"), fields.text("response_model")
    logprobs = fields.rest.get("logprobs")
    row: Row = {
        "conversation_id": fields.text("conversation_id", "session_id", "thread_id"),
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": fields.text("app", "workload_id"),
        "environment": fields.text("environment"),
        "operation": "chat",
        "started_at": fields.moment("created", "created_at", "timestamp"),
        "latency_ms": fields.number("latency_ms"),
        "provider": fields.text("provider"),
        "model": model or answered_by,
        "model_version": fields.text("model_version") or answered_by,
        "release_id": fields.text("release_id"),
        "propensity": fields.share("propensity"),
        "input": turns.before,
        "output": turns.answer,
        "tools": None if tools is None else encoded(tools),
        "parameters": encoded(parameters) if parameters else None,
        "n_input_tokens": tokens.integer("prompt_tokens", "input_tokens"),
        "n_output_tokens": tokens.integer("completion_tokens", "output_tokens"),
        "cost_usd": fields.number("cost_usd"),
        "confidence": fields.share("confidence"),
        "finish_reason": fields.text("finish_reason"),
        "error": error_text(fields.raw("error")),
    }
    if row["confidence"] is None:
        row["confidence"] = confidence(logprobs)
    if usage := {key: value for key, value in usage.items() if key != "total_tokens"}:
        fields.rest["usage"] = usage
    if fields.rest.get("other_choices"):
        rows.note("more than one choice, the others kept in attributes", "one")
    return row


def error_text(value: object) -> str | None:
    """What an error says, out of the object in which it stands."""
    if isinstance(value, dict):
        value = value.get("message") or value.get("code") or value.get("type") or (encoded(value) if value else None)
    return None if value in (None, False, "") else text_of(value)


def _from_metadata(row: Row, metadata: Fields, rows: Rows) -> None:
    """Fills the columns that are still empty from `metadata`."""
    for name, (column, take) in METADATA.items():
        if name in metadata.rest and row[column] is None:
            row[column] = take(metadata, name)
    if row["user_key"] is None and (user := metadata.text("user_id", "user")) is not None:
        row["user_key"] = rows.pseudonyms.user(user)


def confidence(logprobs: object) -> float | None:
    """Mean token probability of the answer, where its log probabilities are there."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list):
        return None
    logs = [token.get("logprob") for token in tokens if isinstance(token, dict)]
    usable = [math.exp(log) for log in logs if isinstance(log, int | float) and log <= 0]
    return sum(usable) / len(usable) if usable and len(usable) == len(tokens) else None
