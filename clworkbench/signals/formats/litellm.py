"""LiteLLM's standard logging payload: one call through its SDK or proxy, as callbacks, buckets and queues get it."""

from clworkbench.signals.gaps import FREE
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes import chat
from clworkbench.signals.shapes.exchanges import exchange
from clworkbench.signals.values import Fields, as_object, filled, nested, sha256_of, text_of

REDACTED = "redacted-by-litellm"
OPERATIONS = {
    "completion": "chat",
    "responses": "chat",
    "text_completion": "text_completion",
    "embedding": "embeddings",
}
"""`call_type`, without the `a` of asynchronous calls, to operation; any other stays as it is."""
WHO = ("user_api_key_end_user_id", "user_api_key_user_id", "user_api_key_user_email")
"""Keys of `metadata` that name a user; the team, the organisation and the key's hash name none."""
COLUMNS = {"clw.release_id": "release_id", "clw.propensity": "propensity"}
FACTS = frozenset({*COLUMNS, "clw.rollout", "clw.stage", "clw.arm", "clw.challenger_chance"})
"""What `clw rollout export` lets LiteLLM log in `request_tags`, as `name=value`."""


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    if "call_type" in record and ("response_cost" in record or "model_parameters" in record):
        return "an object with call_type and response_cost"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one payload.

    The chat, completion, embedding or Responses object in `response` gives the answer, and so does a message or a
    text. `end_user`, else the user of the API key, is the user; the key's team is the app; `session_id` the
    conversation; `model_group` and all else stays in `attributes`, less what is null. `latency_ms` is from
    `startTime` to `endTime`. A price of 0 is no price where LiteLLM says that it failed to find one; where it says
    nothing it stands. Both are noted, and so is what it redacted. Tags that `clw rollout export` wrote tell the
    release, its propensity, and the rollout's stage and arm. The `trace_id` of such a call is its conversation where
    it has no `session_id`: LiteLLM's router keeps `metadata.session_id` there, and without one each call is its own.

    Raises: Unreadable for a payload whose times, messages or response are of no known shape.
    Source: LiteLLM, StandardLoggingPayload; https://docs.litellm.ai/docs/proxy/logging_spec
    """
    digest = sha256_of(record)
    sent = as_object(record.pop("model_parameters", None), "model_parameters")
    sent |= {"model": record.pop("model", None), "messages": _messages(record.pop("messages", None))}
    told = exchange(sent, record.pop("response", None) or {}, {}, rows)
    if any(message.content == REDACTED for message in [*(told.turns.before or ()), *(told.turns.answer or ())]):
        rows.note("messages redacted at the source", REDACTED)
    fields = Fields(record, rows.note)
    kind = fields.text("call_type") or "completion"
    columns = told.columns | {"operation": OPERATIONS.get(kind.removeprefix("a"), kind)}
    columns |= {"trace_id": fields.text("trace_id"), **_times(fields)}
    call = told.record | _call(fields, told.record, rows)
    if drawn := _rollout(fields.rest.get("request_tags")):
        call |= drawn | {"conversation_id": call["conversation_id"] or columns["trace_id"]}
    call |= {key: _without_nothing(value) for key, value in fields.rest.items() if key not in call}
    rows.add(chat.call(call, told.turns, rows, digest) | columns)


def _call(fields: Fields, told: Row, rows: Rows) -> Row:
    """The record's own keys, under the names that `chat.call` knows."""
    metadata = as_object(fields.raw("metadata"), "metadata")
    used = {name: fields.integer(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    whose = [metadata[key] for key in WHO if metadata.get(key)]
    user = fields.text("end_user") or told.get("user") or (whose[0] if whose else None)
    keyed = {key: rows.pseudonyms.user(str(value)) for key, value in metadata.items() if key in WHO and value}
    error = fields.text("error_str")
    return {
        "id": fields.text("id", "litellm_call_id") or told.get("id"),
        "user": user,
        "conversation_id": fields.text("session_id"),
        "app": Fields(dict(metadata), rows.note).text("user_api_key_team_alias", "user_api_key_team_id"),
        "provider": fields.text("custom_llm_provider"),
        "cost_usd": _cost(fields, used["total_tokens"], rows),
        "usage": told.get("usage") or {key: count for key, count in used.items() if used["total_tokens"]},
        "error": error or told.get("error"),
        "metadata": _without_nothing(metadata | keyed),
    }


def _rollout(tags: object) -> Row:
    """What the tags tell of a rollout; a fact that stands twice with unlike values is none."""
    told: dict[str, set[str]] = {}
    for tag in tags if isinstance(tags, list) else []:
        name, sign, value = str(tag).partition("=")
        if sign and name in FACTS:
            told.setdefault(name, set()).add(value)
    return {COLUMNS.get(name, name): values.pop() for name, values in told.items() if len(values) == 1}


def _cost(fields: Fields, tokens: int | None, rows: Rows) -> float | None:
    cost = fields.number("response_cost")
    if cost == 0 and fields.rest.get("response_cost_failure_debug_info"):
        rows.note("no price for the model, its cost taken as unknown", "response_cost 0")
        return None
    if cost == 0 and tokens and not fields.rest.get("cache_hit"):
        rows.note(FREE, "response_cost 0")
    return cost


def _times(fields: Fields) -> Row:
    started_at, ended_at = fields.moment("startTime"), fields.moment("endTime")
    seconds = fields.number("response_time")
    if started_at is None:
        return {} if seconds is None else {"latency_ms": seconds * 1000}
    if ended_at is not None:
        return {"started_at": started_at, "latency_ms": (ended_at - started_at) / 1000}
    return {"started_at": started_at, "latency_ms": None if seconds is None else seconds * 1000}


def _messages(value: object) -> list[object]:
    """The messages, also where a text or one object stands for them."""
    value = nested(value)
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and "role" in value:
        return [value]
    return [{"role": "user", "content": text_of(value)}] if value else []


def _without_nothing(value: object) -> object:
    """The value without the nulls and empty texts in it, of which a payload has hundreds."""
    if isinstance(value, dict):
        return filled({key: _without_nothing(inner) for key, inner in value.items()})
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value
