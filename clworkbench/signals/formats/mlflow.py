"""MLflow's traces: `Trace.to_json()` and the rows of `mlflow.search_traces()`, their assessments as feedback."""

from functools import partial
from typing import NamedTuple

from clworkbench.signals.dialects import assessments, mlflow, spans
from clworkbench.signals.gaps import note_gaps
from clworkbench.signals.otlp.spelling import identifier
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes.framework_payloads import said
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import (
    Fields,
    Unreadable,
    as_time,
    filled,
    kind_of,
    mapped,
    milliseconds,
    nested,
    sha256_of,
    silent,
)

PREVIEWS = ("mlflow.traceInputs", "mlflow.traceOutputs")
WHO = frozenset({"mlflow.user", "mlflow.auth.userId", "mlflow.auth.username"})


class Trace(NamedTuple):
    """What the spans of a trace share: its id, session and user, and what else is known of it."""

    id: str | None
    session: str | None
    user: str | None
    about: Row


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    info, data = nested(record.get("info")), nested(record.get("data"))
    if isinstance(info, dict) and isinstance(data, dict) and "spans" in data:
        return "a JSON object with info and data.spans"
    if "spans" in record and ("trace_metadata" in record or "request_metadata" in record):
        return "a row with spans and trace_metadata"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one trace; each span and each assessment is a record of its own, a trace without spans one.

    Both spellings of a span are read (`context.span_id` of MLflow 2, `span_id` in base64 of MLflow 3). `source_id` is
    the trace's id, a colon and the span's id in hex. Session and user are those of the trace; its tags and metadata
    stand in the attributes of its first root. A text that is a function's only argument is what the user said.

    Raises: Unreadable for an object that is no trace, before any of its spans was read.
    Source: https://mlflow.org/docs/latest/genai/concepts/trace
    """
    record = _whole(record)
    info, found = _object(record.get("info"), "info"), _spans(record.get("data"))
    said = nested(info.pop("assessments", None))
    if not isinstance(said, list | None):
        raise Unreadable(f"assessments are {kind_of(said)}, not a list")
    trace = _trace(info, rows)
    first = next((at for at, span in enumerate(found) if isinstance(span, dict) and not _parent(span)), 0)
    for at, span in enumerate(found):
        add = partial(_add_span, trace=trace, is_root=at == first)
        read_unit(span, rows, add, place=f"span {at} of the trace")
    if not found:
        rows.add(_without_spans(trace, rows))
    assessments.add_all(said or (), trace.id, trace.user, rows)


def _whole(record: Row) -> Row:
    """A trace as `to_dict()` gives it, also out of a row of `search_traces()`."""
    if "info" in record and "data" in record:
        return record
    held = nested(record.get("trace"))
    if isinstance(held, dict) and "info" in held and "data" in held:
        return held
    if "spans" not in record:
        raise Unreadable("neither a trace with info and data nor a row with spans")
    spans_ = record.pop("spans")
    repeated = ("trace", "request", "response") if spans_ else ()
    return {"info": {name: value for name, value in record.items() if name not in repeated}, "data": {"spans": spans_}}


def _object(value: object, name: str) -> Row:
    value = nested(value)
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is {kind_of(value)}, not an object")
    return {key: inner for key, inner in value.items() if inner is not None}


def _spans(data: object) -> list[object]:
    found = nested(_object(data, "data").get("spans"))
    if not isinstance(found, list | None):
        raise Unreadable(f"data.spans is {kind_of(found)}, not a list")
    return [nested(span) for span in found or ()]


def _trace(info: Row, rows: Rows) -> Trace:
    fields = Fields(info, rows.note)
    trace_id = fields.text("trace_id", "request_id")
    metadata, older, tags = (
        filled(mapped(fields.raw(name)) or {}) for name in ("trace_metadata", "request_metadata", "tags")
    )
    metadata |= older
    named = Fields(metadata, rows.note)
    session, user = named.text("mlflow.trace.session"), named.text("mlflow.trace.user")
    for pairs in (metadata, tags):
        for name in WHO & pairs.keys():
            pairs[name] = rows.pseudonyms.user(str(pairs[name]))
    if info.get("state") == "IN_PROGRESS" or info.get("status") == "IN_PROGRESS":
        rows.note("a trace still in progress at the source", "IN_PROGRESS")
    about = info | {"trace_metadata": metadata, "tags": tags}
    return Trace(trace_id, session, user, filled(about))


def _parent(span: Row) -> object:
    return span.get("parent_span_id") or span.get("parent_id")


def _add_span(written: Row, rows: Rows, *, trace: Trace, is_root: bool) -> None:
    about = _about(trace) if is_root else {}
    digest = sha256_of([written, trace.id, trace.session, trace.user, about])
    span = Fields({key: value for key, value in written.items() if value is not None}, rows.note)
    span_id, parent = _ids(span)
    attributes = Fields(_attributes(span.raw("attributes")), rows.note)
    attributes.rest.setdefault("mlflow.spanType", "UNKNOWN")
    attributes.rest.setdefault("mlflow.spanFunctionName", span.rest.get("name"))
    events = nested(span.raw("events"))
    events = [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []
    operation = spans.operation(attributes.rest, events)
    row = spans.columns(attributes, events, rows.note)
    start, end = span.moment("start_time_unix_nano", "start_time"), span.moment("end_time_unix_nano", "end_time")
    own_id = f"{trace.id}:{span_id}" if trace.id and span_id else None
    row |= {
        "operation": operation,
        "source_id": own_id,
        "trace_id": trace.id,
        "parent_id": f"{trace.id}:{parent}" if trace.id and parent else None,
        "conversation_id": row.get("conversation_id") or trace.session,
        "user_key": None if trace.user is None else rows.pseudonyms.user(trace.user),
        "started_at": start,
        "latency_ms": milliseconds(start, end),
        "error": _error(span, events),
        "raw_sha256": digest,
    }
    note_gaps(row, rows)
    others = filled({"span": filled(span.rest), "events": events, "trace": about})
    row["attributes"] = rows.attributes(attributes.rest | others)
    row["interaction_id"] = rows.identity(own_id, digest)
    rows.add(row)


def _about(trace: Trace) -> Row:
    """What is known of the trace but for the previews, which only repeat what its root says."""
    kept = {key: value for key, value in trace.about.items() if key not in ("request_preview", "response_preview")}
    metadata = kept.get("trace_metadata")
    if isinstance(metadata, dict):
        kept["trace_metadata"] = {key: value for key, value in metadata.items() if key not in PREVIEWS}
    return kept


def _ids(span: Fields) -> tuple[str | None, str | None]:
    """The span's id and its parent's, in hex without the 0x of MLflow 2."""
    context = nested(span.raw("context"))
    held = Fields(dict(context) if isinstance(context, dict) else {}, silent)
    span.raw("trace_id", "request_id")
    own, parent = span.text("span_id") or held.text("span_id"), span.text("parent_span_id", "parent_id")
    own_id, parent_id = (identifier(value.removeprefix("0x"), 8) if value else None for value in (own, parent))
    return own_id, parent_id


def _attributes(given: object) -> Row:
    """The attributes, each of which MLflow writes as JSON text; its own stay so, as they are anywhere."""
    given = nested(given)
    if not isinstance(given, dict | None):
        raise Unreadable(f"attributes are {kind_of(given)}, not an object")
    return {
        name: value if name.startswith("mlflow.") else mlflow.unpacked(value)
        for name, value in (given or {}).items()
        if value is not None
    }


def _error(span: Fields, events: list[Row]) -> str | None:
    """What went wrong: the status's message, else the exception's."""
    status = nested(span.raw("status"))
    said = dict(status) if isinstance(status, dict) else {"code": status}
    code, message = said.get("code") or span.raw("status_code"), said.get("message") or span.raw("status_message")
    return spans.failure(code, message, events)


def _without_spans(trace: Trace, rows: Rows) -> Row:
    """A trace of which only the previews are there, which MLflow cuts after some hundred characters."""
    rows.note("a trace without spans, read from its previews, which may be cut", "request_preview")
    about = Fields(dict(trace.about), rows.note)
    asked, answered = about.raw("request_preview"), about.raw("response_preview")
    digest = sha256_of([trace.id, trace.session, trace.user, trace.about])
    at = about.rest.get("request_time") or about.rest.get("timestamp_ms")
    return {
        "source_id": trace.id,
        "trace_id": trace.id,
        "conversation_id": trace.session,
        "user_key": None if trace.user is None else rows.pseudonyms.user(trace.user),
        "operation": "invoke_workflow",
        "started_at": None if at is None else as_time(at, rows.note),
        "latency_ms": about.number("execution_duration_ms", "execution_duration", "execution_time_ms"),
        "input": said(asked, rows.note, role="user").messages,
        "output": said(answered, rows.note, role="assistant").messages,
        "raw_sha256": digest,
        "attributes": rows.attributes({"trace": about.rest}),
        "interaction_id": rows.identity(trace.id, digest),
    }
