"""OTLP/JSON traces as the OpenTelemetry collector's file exporter writes them: one export request a line."""

import base64
import binascii
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

from clworkbench.signals.dialects import genai
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, as_integer, as_number, canonical, decoded, kind_of

SPAN_GROUPS = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans")
OWN_KEYS = frozenset(
    {
        *("traceId", "trace_id", "spanId", "span_id", "parentSpanId", "parent_span_id", "startTimeUnixNano"),
        *("start_time_unix_nano", "endTimeUnixNano", "end_time_unix_nano", "attributes", "events", "links"),
        *("status", "kind"),
    }
)
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
USERS = ("enduser.id", "user.id", "enduser.pseudo.id", "user.email", "traceloop.association.properties.user_id")
NESTED = "nested too deeply to be read"


class Origin(NamedTuple):
    """What the spans of one scope share: attributes of the resource, the scope, and the hash of both."""

    resource: Row
    scope: Row
    digest: str


def why(record: dict[str, object]) -> str | None:
    """What makes an object one of this format, or None."""
    for key in ("resourceSpans", "resource_spans", "resourceLogs", "resource_logs"):
        if key in record:
            return f"a JSON object with {key}"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one export request that is decoded already, as `read_raw` does."""
    read_raw(canonical(record), rows)


def read_raw(raw: bytes, rows: Rows) -> None:
    """Reads one export request; each span is a record of its own.

    Accepts camelCase and snake_case, numbers as texts, enums as names, ids in hex or base64. A span's hash is that of
    its normalised content, with its resource and scope: other batching or another of these spellings is no change.

    Raises: Unreadable for a line that is no export request, before any of its spans was read.
    Source: OTLP 1.9, JSON Protobuf encoding; https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    line = decoded(raw)
    if not isinstance(line, dict):
        raise Unreadable(f"{kind_of(line)}, not an object with resourceSpans")
    if either(line, "resourceSpans", "resource_spans") is None:
        if either(line, "resourceLogs", "resource_logs") is not None:
            return rows.skip("OTLP log records, not read yet")
        if either(line, "resourceMetrics", "resource_metrics") is not None:
            return rows.skip("OTLP metrics, no traces")
        raise Unreadable("an object without resourceSpans")
    for number, (origin, span) in enumerate(list(_spans(line))):
        try:
            _read_span(origin, span, rows)
        except Unreadable as error:
            rows.quarantine(f"span {number} of the line: {error}", _digest_of(raw, number))
        except RecursionError:
            rows.quarantine(f"span {number} of the line: {NESTED}", _digest_of(raw, number))
    return None


def _digest_of(raw: bytes, number: int) -> str:
    return sha256(raw + b"#%d" % number).hexdigest()


def either(record: Row, *names: str) -> object:
    """The value under the first of these names that is there."""
    for name in names:
        if (value := record.get(name)) is not None:
            return value
    return None


def _objects(value: object, name: str) -> list[Row]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Unreadable(f"{name} is not a list of objects")
    return value


def _spans(line: Row) -> Iterator[tuple[Origin, object]]:
    for group in _objects(either(line, "resourceSpans", "resource_spans"), "resourceSpans"):
        resource = group.get("resource")
        shared = attributes_of(resource.get("attributes")) if isinstance(resource, dict) else {}
        for inner in _objects(either(group, *SPAN_GROUPS), "scopeSpans"):
            scope = either(inner, "scope", "instrumentationLibrary", "instrumentation_library")
            scope = dict(scope) if isinstance(scope, dict) else {}
            if "attributes" in scope:
                scope["attributes"] = attributes_of(scope["attributes"])
            origin = Origin(shared, scope, sha256(canonical([shared, scope])).hexdigest())
            spans = inner.get("spans")
            if not isinstance(spans, list | None):
                raise Unreadable(f"spans is {kind_of(spans)}, not a list")
            for span in spans or ():
                yield origin, span


def plain(value: object) -> object:
    """An OTLP AnyValue as a plain value; raises Unreadable for what is none."""
    if not isinstance(value, dict):
        if value is None:
            return None
        raise Unreadable(f"an attribute's value is {kind_of(value)}, not an object")
    for kind, inner in value.items():
        if kind == "stringValue" or kind == "boolValue":
            return inner
        if reader := VALUES.get(kind):
            return reader(inner)
    return value or None


def _list(value: object) -> object:
    return [plain(item) for item in _objects(value.get("values") if isinstance(value, dict) else value, "arrayValue")]


def _map(value: object) -> object:
    return attributes_of(value.get("values") if isinstance(value, dict) else value)


def _double(value: object) -> object:
    return value if value in ("NaN", "Infinity", "-Infinity") else as_number(value)


VALUES: dict[str, Callable[[object], object]] = {
    "intValue": as_integer,
    "int_value": as_integer,
    "doubleValue": _double,
    "double_value": _double,
    "arrayValue": _list,
    "array_value": _list,
    "kvlistValue": _map,
    "kvlist_value": _map,
    "string_value": lambda value: value,
    "bool_value": lambda value: value,
    "bytesValue": lambda value: value,
    "bytes_value": lambda value: value,
}


def attributes_of(pairs: object) -> Row:
    """A list of OTLP key-value pairs as one object; an object (as some emitters write it) as it stands."""
    if pairs is None:
        return {}
    if isinstance(pairs, dict):
        return dict(pairs)
    try:
        read = {pair["key"]: plain(pair.get("value")) for pair in pairs}  # type: ignore[attr-defined]
    except (TypeError, KeyError, AttributeError):
        raise Unreadable("attributes are not a list of keys with values") from None
    if not {type(key) for key in read} <= {str}:
        raise Unreadable("an attribute's key is not a text")
    return read


def identifier(value: object, n_bytes: int) -> str | None:
    """A trace or span id in hex, also from base64; None where it is missing or all zeros."""
    if not isinstance(value, str) or not value.strip("0"):
        return None
    if len(value) == 4 * -(-n_bytes // 3):
        try:
            return base64.b64decode(value, validate=True).hex()
        except binascii.Error:
            return value
    return value.lower() if len(value) == 2 * n_bytes else value


def _nanoseconds(span: Row, *names: str) -> int | None:
    value = either(span, *names)
    if value is None or value == "":
        return None
    try:
        number = as_integer(value)
    except Unreadable as error:
        raise Unreadable(f"{names[0]}: {error}") from None
    if number < 0:
        raise Unreadable(f"{names[0]}: a negative time")
    return number or None


def _status(value: object) -> Row:
    status = dict(value) if isinstance(value, dict) else {}
    code = status.get("code")
    if isinstance(code, str):
        status["code"] = STATUS.get(code, code)
    return {key: inner for key, inner in status.items() if inner not in (None, "", 0)}


def _kind(value: object) -> object:
    name = value.removeprefix("SPAN_KIND_") if isinstance(value, str) else ""
    return KINDS.index(name) if name in KINDS else value


def _inner(value: object, name: str) -> list[Row]:
    """Events or links, their attributes as objects and their times and ids in one spelling."""
    found: list[Row] = []
    for item in _objects(value, name):
        one: Row = {key: inner for key, inner in item.items() if key != "attributes"}
        if (at := _nanoseconds(one, "timeUnixNano", "time_unix_nano")) is not None:
            one.pop("time_unix_nano", None)
            one["timeUnixNano"] = at
        if "attributes" in item:
            one["attributes"] = attributes_of(item["attributes"])
        found.append(one)
    return found


def _read_span(origin: Origin, span: object, rows: Rows) -> None:
    if not isinstance(span, dict):
        raise Unreadable(f"{kind_of(span)}, not an object")
    attributes = attributes_of(span.get("attributes"))
    events = _inner(span.get("events"), "events")
    operation = genai.operation(attributes, events)
    if operation is None:
        return rows.skip("not a GenAI span")
    trace_id = identifier(either(span, "traceId", "trace_id"), 16)
    span_id = identifier(either(span, "spanId", "span_id"), 8)
    parent = identifier(either(span, "parentSpanId", "parent_span_id"), 8)
    start = _nanoseconds(span, "startTimeUnixNano", "start_time_unix_nano")
    end = _nanoseconds(span, "endTimeUnixNano", "end_time_unix_nano")
    rest: Row = {key: value for key, value in span.items() if key not in OWN_KEYS}
    rest |= {"kind": _kind(span.get("kind")), "status": _status(span.get("status"))}
    rest["links"] = _inner(span.get("links"), "links")
    content = [origin.digest, trace_id, span_id, parent, start, end, attributes, events, rest]
    digest = sha256(canonical(content)).hexdigest()
    own_id = f"{trace_id}:{span_id}" if trace_id and span_id else None
    fields = Fields(attributes, rows.note)
    user = fields.text(*USERS)
    row = genai.columns(fields, events, rows.note) | {
        "source_id": own_id,
        "trace_id": trace_id,
        "parent_id": f"{trace_id}:{parent}" if trace_id and parent else None,
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": _app(origin.resource),
        "environment": _first_text(origin.resource, "deployment.environment.name", "deployment.environment"),
        "operation": operation,
        "started_at": None if start is None else start // 1000,
        "latency_ms": (end - start) / 1e6 if start is not None and end is not None and end >= start else None,
        "error": _error(rest["status"], attributes),
        "raw_sha256": digest,
    }
    rest["events"] = events
    kept = {key: value for key, value in rest.items() if value not in (None, "", [], {}, 0)}
    others: Row = {"otel.resource": origin.resource, "otel.scope": origin.scope, "otel.span": kept}
    row["attributes"] = rows.attributes(attributes | {key: value for key, value in others.items() if value})
    row["interaction_id"] = rows.identity(own_id, digest)
    return rows.add(row)


def _first_text(resource: Row, *names: str) -> str | None:
    value = either(resource, *names)
    return value if isinstance(value, str) and value else None


def _app(resource: Row) -> str | None:
    """The service's name; what an SDK writes where nobody set one is no name."""
    name = _first_text(resource, "service.name")
    return None if name is None or name.startswith("unknown_service") else name


def _error(status: object, attributes: Row) -> str | None:
    if not isinstance(status, dict) or status.get("code") != 2:
        kind = attributes.get("error.type")
        return kind if isinstance(kind, str) and kind else None
    message = status.get("message") or attributes.get("error.type")
    return message if isinstance(message, str) else "error"
