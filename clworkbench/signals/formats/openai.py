"""OpenAI-style chat logs: one JSON object a line, with `messages`, or a request and its response."""

import math
from collections.abc import Callable
from hashlib import sha256

from clworkbench.signals.feedback import feedback_row
from clworkbench.signals.messages import Message, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, canonical, encoded, kind_of, nested

PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "seed", "stop", "n"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "response_format", "tool_choice"),
        *("parallel_tool_calls", "reasoning_effort", "stream", "stream_options", "service_tier", "functions"),
        *("function_call", "modalities", "top_logprobs", "prediction", "verbosity", "store"),
    }
)
METADATA: dict[str, tuple[str, Callable[[Fields, str], object]]] = {
    **dict.fromkeys(("conversation_id", "session_id", "thread_id"), ("conversation_id", Fields.text)),
    **{name: (name, Fields.text) for name in ("app", "environment", "release_id", "model_version")},
    **{name: (name, Fields.share) for name in ("propensity", "confidence")},
    **{name: (name, Fields.number) for name in ("latency_ms", "cost_usd")},
}
"""What `metadata` may tell: key to column, and how it is read."""
REQUEST_ONLY = frozenset({"model", "messages", "user", "metadata", "tools", "safety_identifier"})


def why(record: dict[str, object]) -> str | None:
    """What makes an object one of this format, or None."""
    if "messages" in record:
        return "a JSON object with messages"
    if "response" in record and ("request" in record or "body" in record or "custom_id" in record):
        return "a JSON object with a request and its response"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one log line.

    The last assistant message is `output`, what stands before it `input`. `model` is the model that was asked for and
    `model_version` the one that the response names. Columns without a key of their own (`conversation_id`, `app`,
    `environment`, `release_id`, `model_version`, `propensity`, `confidence`, `latency_ms`, `cost_usd`) are taken from
    the record or its `metadata`, which stays in `attributes`.

    Raises: Unreadable for a line of another shape.
    Source: OpenAI API reference, chat completions and batch; https://platform.openai.com/docs/api-reference/chat
    """
    digest = sha256(canonical(record)).hexdigest()
    given = record.pop("feedback", None)
    if "messages" not in record:
        record = _joined(record)
    fields = Fields(record, rows.note)
    interaction = _interaction(fields, rows)
    own_id = fields.text("id")
    metadata = nested(record.get("metadata"))
    if isinstance(metadata, dict):
        record["metadata"] = metadata
        _from_metadata(interaction, Fields(dict(metadata), rows.note), rows)
    interaction |= {"source_id": own_id, "raw_sha256": digest, "attributes": rows.attributes(fields.rest)}
    feedback = _feedback(given, rows)
    interaction["interaction_id"] = target = rows.identity(own_id, digest)
    for at, row in enumerate(feedback):
        own_feedback_id = row.pop("own_id")
        parts = (str(own_feedback_id),) if own_feedback_id else (target, str(row["name"]), str(at))
        row["feedback_id"] = rows.pseudonyms.id(rows.source.name, "feedback", *parts)
        row["target_id"] = target
    rows.add(interaction, feedback)


def _interaction(fields: Fields, rows: Rows) -> Row:
    """The row as far as the record's own keys tell it."""
    usage = _object(fields.raw("usage"), "usage")
    tokens = Fields(usage, rows.note)
    tools = fields.raw("tools")
    parameters = {name: fields.raw(name) for name in PARAMETERS & fields.rest.keys()}
    user = fields.text("user", "safety_identifier")
    model, answered_by = fields.text("model"), fields.text("response_model")
    logprobs = fields.rest.get("logprobs")
    before, output, after = _split(nested(fields.raw("messages")), rows)
    row: Row = {
        "conversation_id": fields.text("conversation_id", "session_id", "thread_id"),
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": fields.text("app"),
        "environment": fields.text("environment"),
        "operation": "chat",
        "started_at": fields.moment("created", "created_at", "timestamp"),
        "latency_ms": fields.number("latency_ms"),
        "provider": fields.text("provider"),
        "model": model or answered_by,
        "model_version": fields.text("model_version") or answered_by,
        "release_id": fields.text("release_id"),
        "propensity": fields.share("propensity"),
        "input": before,
        "output": output,
        "tools": None if tools is None else encoded(tools),
        "parameters": encoded(dict(sorted(parameters.items()))) if parameters else None,
        "n_input_tokens": tokens.integer("prompt_tokens", "input_tokens"),
        "n_output_tokens": tokens.integer("completion_tokens", "output_tokens"),
        "cost_usd": fields.number("cost_usd"),
        "confidence": fields.share("confidence"),
        "finish_reason": fields.text("finish_reason"),
        "error": _error(fields.raw("error")),
    }
    if row["confidence"] is None:
        row["confidence"] = _confidence(logprobs)
    if usage := {key: value for key, value in usage.items() if key != "total_tokens"}:
        fields.rest["usage"] = usage
    if fields.rest.get("other_choices"):
        rows.note("more than one choice, the others kept in attributes", "one")
    if after:
        fields.rest["messages_after"] = after
    return row


def _split(given: object, rows: Rows) -> tuple[list[Message], list[Message] | None, list[object]]:
    """The messages before the last answer, the answer, and what was said after it (as it stands)."""
    if not isinstance(given, list):
        raise Unreadable(f"messages: {kind_of(given)}, where a list is wanted")
    for at in range(len(given) - 1, -1, -1):
        if isinstance(given[at], dict) and given[at].get("role") in ("assistant", "model"):
            if given[at + 1 :]:
                messages(given[at + 1 :], rows.note)
                rows.note("messages after the last answer, kept in attributes", "one")
            output = messages([given[at]], rows.note)
            return messages(given[:at], rows.note), output, given[at + 1 :]
    return messages(given, rows.note), None, []


def _joined(record: Row) -> Row:
    """A request and its response as one record with `messages`, as the other kind of line has it."""
    if record.get("body") is not None and "request" not in record:
        record["request"] = record.pop("body")
    if why(record) is None:
        raise Unreadable("an object without messages, and without a request and its response")
    request = _body(record.pop("request", None), "request")
    answer = record.pop("response")
    status = answer.get("status_code") if isinstance(answer, dict) else None
    response = _body(answer, "response") if answer is not None else {}
    given = request.pop("messages", None)
    if not isinstance(given, list):
        raise Unreadable(f"request.messages: {kind_of(given)}, where a list is wanted")
    joined: Row = {key: value for key, value in request.items() if key in REQUEST_ONLY | PARAMETERS}
    if request := {key: value for key, value in request.items() if key not in joined}:
        joined["request"] = request
    choices = response.pop("choices", None) or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise Unreadable("response.choices is not a list of objects")
    error = response.pop("error", None) or record.pop("error", None)
    if error is None and isinstance(status, int) and status >= 400:
        error = f"status {status}"
    answered_by = response.pop("model", None)
    joined |= {key: value for key, value in response.items() if key not in joined and key != "object"}
    joined |= {key: value for key, value in record.items() if key not in joined}
    return joined | {
        "id": record.get("id") or response.get("id") or record.get("custom_id"),
        "messages": [*given, choices[0].get("message")] if choices else given,
        "finish_reason": choices[0].get("finish_reason") if choices else None,
        "logprobs": choices[0].get("logprobs") if choices else None,
        "other_choices": choices[1:] or None,
        "response_model": answered_by,
        "error": error,
    }


def _body(value: object, name: str) -> Row:
    if isinstance(value, dict) and "body" in value:
        value = value["body"]
    return _object(value, name)


def _object(value: object, name: str) -> Row:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{name}: {kind_of(value)}, where an object is wanted")
    return dict(value)


def _error(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("message") or value.get("code") or value.get("type") or encoded(value)
    return None if value is None or value is False else value if isinstance(value, str) else encoded(value)


def _from_metadata(row: Row, metadata: Fields, rows: Rows) -> None:
    """Fills the columns that are still empty from `metadata`."""
    for name, (column, take) in METADATA.items():
        if name in metadata.rest and row[column] is None:
            row[column] = take(metadata, name)
    if row["user_key"] is None and (user := metadata.text("user_id", "user")) is not None:
        row["user_key"] = rows.pseudonyms.user(user)


def _confidence(logprobs: object) -> float | None:
    """Mean token probability of the answer, where its log probabilities are there."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list):
        return None
    logs = [token.get("logprob") for token in tokens if isinstance(token, dict)]
    usable = [math.exp(log) for log in logs if isinstance(log, int | float) and log <= 0]
    return sum(usable) / len(usable) if usable and len(usable) == len(tokens) else None


def _feedback(given: object, rows: Rows) -> list[Row]:
    """The feedback that stands in the record itself; ids are set once the interaction has its own."""
    found: list[Row] = []
    items = given if isinstance(given, list) else [] if given is None else [given]
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise Unreadable(f"feedback[{at}] is {kind_of(item)}, not an object")
        digest = sha256(canonical(item)).hexdigest()
        fields = Fields(dict(item), rows.note)
        own_id = fields.text("id")
        try:
            row = feedback_row(fields, rows, target_id="", target_kind="interaction")
        except Unreadable as error:
            raise Unreadable(f"feedback[{at}]: {error}") from None
        found.append(row | {"raw_sha256": digest, "own_id": own_id})
    return found
