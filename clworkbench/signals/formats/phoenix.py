"""Spans of one object each, as Phoenix exports and OpenTelemetry's SDKs print them, and Phoenix's annotations."""

from collections.abc import Iterator

from clworkbench.signals.dialects import openinference, spans
from clworkbench.signals.dialects.annotations import Targets, annotation, feedback
from clworkbench.signals.dialects.flattened import flat
from clworkbench.signals.feedback import target_of
from clworkbench.signals.gaps import note_gaps
from clworkbench.signals.otlp.spans import USERS
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import (
    Fields,
    Unreadable,
    as_integer,
    filled,
    kind_of,
    milliseconds,
    nested,
    sha256_of,
    silent,
)

TARGETS = {
    "span_id": "interaction",
    "context.span_id": "interaction",
    "trace_id": "trace",
    "session_id": "conversation",
}
NAMED_BY_A_TABLE = "attributes."


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    if {"context.span_id", "context.trace_id"} <= record.keys():
        return "a table's row with context.span_id and context.trace_id"
    for key, ids in (("context", ("trace_id", "span_id")), ("spanContext", ("traceId", "spanId"))):
        context = nested(record.get(key))
        if isinstance(context, dict) and all(name in context for name in ids):
            return f"a JSON object of a span, with {key}.{ids[0]} and {key}.{ids[1]}"
    if "annotator_kind" in record and TARGETS.keys() & record.keys():
        return "an object with annotator_kind and the id of what it annotates"
    items = record.get("data")
    if isinstance(items, list) and items and isinstance(items[0], dict) and why(items[0]):
        return "a JSON object with data, a list of spans or annotations"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads a span, an annotation, or a page of either as the REST API gives it; each is a record of its own.

    Spans may be nested objects (REST, the download as JSON lines, an SDK's console exporter in Python or JavaScript) or
    rows of a dataframe with columns such as `context.span_id` and `attributes.llm.input_messages`. `source_id` is the
    span's id alone, which Phoenix keeps unique and by which its annotations name it; an annotation of a span that was
    captured as OTLP itself does not find it. Annotations among a span's attributes are feedback on that span, its
    trace or its session.

    Raises: Unreadable for an object that is neither.
    Source: https://arize.com/docs/phoenix/tracing/how-to-tracing/importing-and-exporting-traces/extract-data-from-spans
    """
    page = record.get("data")
    if not isinstance(page, list):
        return _one(record, rows)
    for at, item in enumerate(page):
        read_unit(item, rows, _one, place=f"data[{at}]")
    return None if page else rows.skip("an empty page")


def _one(record: Row, rows: Rows) -> None:
    if "annotator_kind" in record:
        return rows.add(None, [_annotation(record, rows)])
    return _span(_nested_span(record), rows)


def _annotation(record: Row, rows: Rows) -> Row:
    """A row of `span_annotations` and its like: what was said, and the id of what it is about."""
    fields = Fields(record, rows.note)
    at = fields.moment("updated_at", "created_at")
    found = next((name for name in TARGETS if record.get(name)), None)
    target = None if found is None else fields.text(found)
    kind = "any" if found is None else TARGETS[found]
    target = target_of(target, kind, rows) if target else None
    result = nested(fields.raw("result"))
    said: Row = dict(result) if isinstance(result, dict) else {}
    for name in [name for name in record if name.startswith("result.")]:
        said[name.removeprefix("result.")] = record.pop(name)
    record["name"] = fields.text("name", "annotation_name")
    record["metadata"] = nested(fields.raw("metadata"))
    for name in ("id", "created_at"):
        record.pop(name, None)
    row = annotation(record | said, rows, target=target, kind=kind)
    row["at"] = at
    return row


def _nested_span(record: Row) -> Row:
    """A row of a dataframe as the object that it was: `attributes.*` and `context.*` below one name each."""
    if "context.span_id" not in record:
        return record
    attributes: Row = {}
    context: Row = {}
    left: Row = {}
    for name, value in record.items():
        if name.startswith(NAMED_BY_A_TABLE):
            if value is not None and value != "":
                attributes[name.removeprefix(NAMED_BY_A_TABLE)] = value
        elif name.startswith("context."):
            context[name.removeprefix("context.")] = value
        else:
            left[name] = value
    return left | {"context": context, "attributes": attributes}


def _span(record: Row, rows: Rows) -> None:
    trace_id, span_id = _ids(record)
    attributes = _attributes(record)
    fields = Fields(attributes, rows.note)
    session = attributes.get("session.id")
    conversation = session if isinstance(session, str) else None
    own = rows.pseudonyms.id(rows.source.name, span_id) if span_id else None
    linked = _linked(record)
    about = rows.pseudonyms.id(rows.source.name, linked) if linked else own
    said = feedback(fields, rows, Targets(about, trace_id, conversation), at=_moment(record, rows) if linked else None)
    events = [event for event in _events(record) if isinstance(event, dict)]
    operation = spans.operation(attributes, events)
    if operation is None and not said:
        return rows.skip("not a GenAI span")
    operation = operation or ("evaluate" if linked else "invoke_workflow")
    row = _interaction(record, fields, events, operation, rows)
    row |= {"source_id": span_id, "trace_id": trace_id}
    row["interaction_id"] = own or rows.identity(None, str(row["raw_sha256"]))
    return rows.add(row, said)


def _interaction(record: Row, attributes: Fields, events: list[Row], operation: str, rows: Rows) -> Row:
    """The row of one span, but for its ids; takes the record apart."""
    digest = sha256_of(record | {"attributes": attributes.rest})
    fields = Fields(record, rows.note)
    start, end = _time(fields, "start_time", "startTime"), _time(fields, "end_time", "endTime")
    user = attributes.text(*USERS)
    resource = record.get("resource")
    shared = resource.get("attributes") if isinstance(resource, dict) else None
    error = _error(fields, events)
    row = spans.columns(attributes, events, rows.note) | {
        "parent_id": _hex(fields.text("parent_id", "parentSpanId") or _parent(fields)),
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": _app(shared),
        "operation": operation,
        "started_at": start,
        "latency_ms": milliseconds(start, end),
        "error": error,
        "raw_sha256": digest,
    }
    note_gaps(row, rows)
    for name in ("context", "spanContext", "attributes", "events", "span_kind"):
        record.pop(name, None)
    row["attributes"] = rows.attributes(attributes.rest | filled({"span": filled(record), "events": events}))
    return row


def _ids(record: Row) -> tuple[str | None, str | None]:
    for key, names in (("context", ("trace_id", "span_id")), ("spanContext", ("traceId", "spanId"))):
        context = nested(record.get(key))
        if isinstance(context, dict):
            fields = Fields(dict(context), silent)
            return _hex(fields.text(names[0])), _hex(fields.text(names[1]))
    raise Unreadable("a span without a context that holds its ids")


def _hex(value: str | None) -> str | None:
    """An id without the 0x that Python's SDK prints before it."""
    return value.removeprefix("0x") if value else None


def _parent(fields: Fields) -> str | None:
    context = fields.raw("parentSpanContext")
    span_id = context.get("spanId") if isinstance(context, dict) else None
    return span_id if isinstance(span_id, str) else None


def _attributes(record: Row) -> Row:
    """The attributes under dotted names, nested or not, with the kind of span that Phoenix keeps beside them."""
    given = nested(record.get("attributes"))
    if given is not None and not isinstance(given, dict):
        raise Unreadable(f"attributes are {kind_of(given)}, not an object")
    attributes = dict(flat(given or {}))
    kind = record.get("span_kind")
    if isinstance(kind, str) and openinference.KIND not in attributes:
        attributes[openinference.KIND] = kind
    return attributes


def _events(record: Row) -> Iterator[object]:
    events = nested(record.get("events"))
    if isinstance(events, list):
        yield from events


def _linked(record: Row) -> str | None:
    """The one span that a span links to: what annotations on a carrier are about."""
    links = record.get("links")
    if not isinstance(links, list) or len(links) != 1 or not isinstance(links[0], dict):
        return None
    context = links[0].get("context")
    return _hex(str(context.get("span_id") or context.get("spanId") or "")) if isinstance(context, dict) else None


def _moment(record: Row, rows: Rows) -> int | None:
    return _time(Fields(dict(record), rows.note), "start_time", "startTime")


def _time(fields: Fields, *names: str) -> int | None:
    """A time, also as JavaScript's SDK has it: seconds and nanoseconds in a list."""
    for name in names:
        value = fields.rest.get(name)
        if isinstance(value, list) and len(value) == 2:
            del fields.rest[name]
            seconds, nanoseconds = (as_integer(part) for part in value)
            if not (0 <= seconds < 10**10 and 0 <= nanoseconds < 10**9):
                raise Unreadable(f"{name}: numbers that are no time")
            return seconds * 10**6 + nanoseconds // 1000
    return fields.moment(*names)


def _error(fields: Fields, events: list[Row]) -> str | None:
    """What went wrong: the status's message, else the exception's."""
    status = fields.raw("status")
    said = dict(status) if isinstance(status, dict) else {}
    code = fields.raw("status_code") or said.get("status_code") or said.get("code")
    message = fields.raw("status_message") or said.get("message") or said.get("description")
    error = spans.failure(code, message, events)
    if message and error is None:
        fields.rest["status_message"] = message
    return error


def _app(shared: object) -> str | None:
    name = shared.get("service.name") if isinstance(shared, dict) else None
    return name if isinstance(name, str) and name and not name.startswith("unknown_service") else None
