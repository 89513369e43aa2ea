"""TensorZero's tables as JSON lines: inferences, and the feedback on them and on episodes."""

from typing import NamedTuple

from clworkbench.signals.feedback import feedback_row, identified, target_of
from clworkbench.signals.messages import Message, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, encoded, kind_of, nested, sha256_of

TARGETS = {"inference": "interaction", "episode": "conversation"}
EVALUATION = "tensorzero::evaluation_name::"


def why(record: dict[str, object]) -> str | None:
    """What makes an object one of this format, or None."""
    if "function_name" in record and "episode_id" in record:
        return "a JSON object with function_name and episode_id"
    if "metric_name" in record and "target_id" in record:
        return "a JSON object with metric_name and target_id"
    if "target_type" in record and "target_id" in record:
        return "a JSON object with target_type and target_id"
    if "inference_id" in record and ("value" in record or "raw_response" in record):
        return "a JSON object with inference_id"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one row of any of the tables.

    `function_name` is the app, `episode_id` the conversation and `variant_name` the `model_version`: the rows do not
    name the model itself, but for variants written as provider::model. Template arguments stand in place of the text
    that was made of them, as JSON. A metric does not say what its target is: `target_kind` is `any`.

    Raises: Unreadable for a row of no known table.
    Source: TensorZero data model; https://www.tensorzero.com/docs/gateway/data-model
    """
    digest = sha256_of(record)
    if "function_name" in record and "dataset_name" not in record and "input" in record:
        return rows.add(_inference(record, digest, rows))
    if "dataset_name" in record:
        return rows.skip("a datapoint, no inference")
    if "raw_response" in record:
        return rows.skip("a provider's call inside an inference")
    return rows.add(None, [_feedback(record, digest, rows)])


def _inference(record: Row, digest: str, rows: Rows) -> Row:
    fields = Fields(record, rows.note)
    own_id = fields.text("id")
    started_at = fields.moment("timestamp")
    input_, system = _input(fields.raw("input"), rows)
    output = nested(fields.raw("output"))
    tool_params = nested(fields.raw("tool_params"))
    tools = tool_params.pop("tools_available", None) if isinstance(tool_params, dict) else None
    if tool_params:
        record["tool_params"] = tool_params
    parameters = nested(fields.raw("inference_params"))
    tags = nested(fields.rest.get("tags"))
    if isinstance(tags, dict):
        record["tags"] = tags
    user = Fields(dict(tags), rows.note).text("user_id", "user") if isinstance(tags, dict) else None
    variant = fields.text("variant_name")
    provider, _, model = (variant or "").rpartition("::")
    row: Row = {
        "source_id": own_id,
        "conversation_id": fields.text("episode_id"),
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": fields.text("function_name"),
        "operation": "chat",
        "started_at": _from_uuid7(own_id) if started_at is None else started_at,
        "latency_ms": fields.number("processing_time_ms"),
        "provider": provider or None,
        "model": model if provider else None,
        "model_version": variant,
        "input": system + input_,
        "output": _output(output, rows),
        "tools": encoded(tools) if tools else None,
        "parameters": encoded(parameters) if parameters else None,
        "raw_sha256": digest,
    }
    if isinstance(output, dict) and "parsed" in output:
        record["parsed"] = output["parsed"]
    row["attributes"] = rows.attributes(record)
    row["interaction_id"] = rows.identity(own_id, digest)
    return row


def _input(given: object, rows: Rows) -> tuple[list[Message], list[Message]]:
    """The messages, and the system prompt as one before them."""
    given = nested(given)
    if not isinstance(given, dict):
        raise Unreadable(f"input: {kind_of(given)}, where an object with messages is wanted")
    system = given.get("system")
    before = [] if system is None else messages([{"role": "system", "content": _templated(system)}], rows.note)
    return messages(given.get("messages") or [], rows.note), before


def _templated(value: object) -> object:
    return value if isinstance(value, str | list) else [{"type": "text", "value": value}]


def _output(output: object, rows: Rows) -> list[Message] | None:
    """A chat answer is a list of parts; a JSON answer an object with the raw text."""
    if isinstance(output, dict) and "raw" in output:
        output = output["raw"]
    elif isinstance(output, dict):
        output = encoded(output)
    if output is None:
        return None
    return messages([{"role": "assistant", "content": output}], rows.note)


class Said(NamedTuple):
    """What one feedback row says of which target, before it is a row of ours."""

    target: str | None
    kind: str
    words: Row
    better: list[Message] | None = None


def _feedback(record: Row, digest: str, rows: Rows) -> Row:
    fields = Fields(record, rows.note)
    own_id = fields.text("id")
    at = fields.moment("timestamp")
    tags = nested(fields.raw("tags"))
    said = _said(fields, rows)
    if not said.target:
        raise Unreadable("feedback that names no target")
    name = str(said.words["name"])
    words = Fields({**record, **({"tags": tags} if tags else {}), **said.words}, rows.note)
    target_id = target_of(said.target, said.kind, rows)
    row = feedback_row(words, rows, target_id=target_id, target_kind=said.kind, origin=_origin(name, tags))
    # One call that reports two metrics gives both rows the same id, so the name belongs to the key.
    own = (own_id, name) if own_id else (said.target, name, "content", digest)
    row |= {"improvement": said.better, "at": _from_uuid7(own_id) if at is None else at}
    if said.kind == "any":
        row["explicit"] = None
    return identified(row, rows, digest, *own)


def _said(fields: Fields, rows: Rows) -> Said:
    value = fields.raw("value")
    metric = fields.text("metric_name")
    if metric is not None:
        if not isinstance(value, bool | int | float):
            raise Unreadable(f"a metric's value is {kind_of(value)}, not a number and not true or false")
        kind = "outcome" if isinstance(value, bool) else "rating"
        return Said(fields.text("target_id"), "any", {"name": metric, "score": value, "kind": kind})
    if "inference_id" in fields.rest:
        words: Row = {"name": "demonstration", "kind": "correction"}
        return Said(fields.text("inference_id"), "interaction", words, _demonstration(value, rows))
    if "target_type" in fields.rest:
        if not isinstance(value, str):
            raise Unreadable(f"a comment's value is {kind_of(value)}, not a text")
        target_kind = TARGETS.get(str(fields.raw("target_type")), "any")
        return Said(fields.text("target_id"), target_kind, {"name": "comment", "comment": value, "kind": "comment"})
    raise Unreadable("a row of none of TensorZero's tables")


def _demonstration(value: object, rows: Rows) -> list[Message]:
    """The better answer: parts of a chat answer, or a JSON answer."""
    better = _output(nested(value), rows)
    if not better:
        raise Unreadable("a demonstration without a value")
    return better


def _origin(name: str, tags: object) -> str | None:
    """Who said it, as far as the row tells: metrics carry no word on that."""
    if name.startswith(EVALUATION):
        return "system"
    if isinstance(tags, dict) and "tensorzero::human_feedback" in tags:
        return "reviewer"
    return "user" if name == "comment" else "reviewer" if name == "demonstration" else None


def _from_uuid7(own_id: str | None) -> int | None:
    """The time in a version 7 UUID, in µs since 1970 (RFC 9562, 5.7); None for any other id."""
    if own_id is None or len(own_id) != 36 or own_id[14] != "7":
        return None
    try:
        return int(own_id[:8] + own_id[9:13], 16) * 1000
    except ValueError:
        return None
