"""OTLP in protobuf, as the collector's file exporter and every SDK send it, turned into OTLP/JSON."""

import base64
import math
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from clworkbench.signals.rows import Row
from clworkbench.signals.values import Unreadable

Signal = Literal["traces", "logs", "metrics"]

Message = Any
"""A message whose class protobuf makes at run time."""

_encode = msgspec.json.Encoder().encode


def json_lines(body: bytes, signal: Literal["traces", "logs"]) -> bytes:
    """One line of OTLP/JSON, without its end, out of a serialized export request (or `TracesData`, `LogsData`).

    Ids are in hex, whole numbers texts, what is not set is left out, as the collector writes it.

    Raises: Unreadable for bytes that are no such message.
    Source: OTLP 1.9, JSON Protobuf encoding; https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    request = _parsed(body, signal)
    if signal == "traces":
        return _encode({"resourceSpans": [_resource_spans(group) for group in request.resource_spans]})
    return _encode({"resourceLogs": [_resource_logs(group) for group in request.resource_logs]})


def _resource_spans(group: Message) -> Row:
    return _group(group, "scopeSpans", [_scoped(one, "spans", map(_span, one.spans)) for one in group.scope_spans])


def _resource_logs(group: Message) -> Row:
    scoped = [_scoped(one, "logRecords", map(_log_record, one.log_records)) for one in group.scope_logs]
    return _group(group, "scopeLogs", scoped)


def signal_of(body: bytes) -> Signal:
    """Which of OTLP's messages these bytes are, which all begin alike; raises Unreadable for none.

    Spans are told by their ids, metrics by their names, log records by a time or a body.
    """
    for signal in ("traces", "metrics", "logs"):
        try:
            request = _parsed(body, signal)
        except Unreadable:
            continue
        if _speaks(request, signal):
            return signal
    raise Unreadable("no protobuf message of OTLP")


def _parsed(body: bytes, signal: str) -> Message:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
    from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    kinds: dict[str, Message] = {"traces": TracesData, "logs": LogsData, "metrics": MetricsData}
    try:
        return kinds[signal].FromString(body)
    except DecodeError:
        raise Unreadable(f"not a valid protobuf message of OTLP {signal}") from None


def _speaks(request: Message, signal: str) -> bool:
    """Whether the first records say what only this signal's do."""
    if signal == "traces":
        spans = [span for group in request.resource_spans for inner in group.scope_spans for span in inner.spans]
        has_ids = (len(span.trace_id) == 16 and len(span.span_id) == 8 for span in spans)
        return len(request.resource_spans) > 0 and all(has_ids)
    if signal == "metrics":
        metrics = [one for group in request.resource_metrics for inner in group.scope_metrics for one in inner.metrics]
        return len(metrics) > 0 and all(metric.name for metric in metrics)
    records = [one for group in request.resource_logs for inner in group.scope_logs for one in inner.log_records]
    return all(one.time_unix_nano or one.observed_time_unix_nano or one.HasField("body") for one in records)


def _group(group: Message, name: str, scoped: list[Row]) -> Row:
    resource = group.resource
    told = {
        "attributes": _pairs(resource.attributes),
        "droppedAttributesCount": resource.dropped_attributes_count,
        "entityRefs": [_entity(one) for one in getattr(resource, "entity_refs", ())],
    }
    return {"resource": _set(told), name: scoped} | _set({"schemaUrl": group.schema_url})


def _entity(one: Message) -> Row:
    told = {"schemaUrl": one.schema_url, "type": one.type, "idKeys": list(one.id_keys)}
    return _set(told | {"descriptionKeys": list(one.description_keys)})


def _scoped(inner: Message, name: str, records: Iterable[Row]) -> Row:
    scope = inner.scope
    told = {
        "name": scope.name,
        "version": scope.version,
        "attributes": _pairs(scope.attributes),
        "droppedAttributesCount": scope.dropped_attributes_count,
    }
    return {"scope": _set(told), name: list(records)} | _set({"schemaUrl": inner.schema_url})


def _span(span: Message) -> Row:
    told = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "traceState": span.trace_state,
        "parentSpanId": span.parent_span_id.hex(),
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": _count(span.start_time_unix_nano),
        "endTimeUnixNano": _count(span.end_time_unix_nano),
        "attributes": _pairs(span.attributes),
        "droppedAttributesCount": span.dropped_attributes_count,
        "events": [_event(event) for event in span.events],
        "droppedEventsCount": span.dropped_events_count,
        "links": [_link(link) for link in span.links],
        "droppedLinksCount": span.dropped_links_count,
        "status": _set({"message": span.status.message, "code": span.status.code}),
    }
    return _set(told)


def _event(event: Message) -> Row:
    told = {
        "timeUnixNano": _count(event.time_unix_nano),
        "name": event.name,
        "attributes": _pairs(event.attributes),
        "droppedAttributesCount": event.dropped_attributes_count,
    }
    return _set(told)


def _link(link: Message) -> Row:
    told = {
        "traceId": link.trace_id.hex(),
        "spanId": link.span_id.hex(),
        "traceState": link.trace_state,
        "attributes": _pairs(link.attributes),
        "droppedAttributesCount": link.dropped_attributes_count,
        "flags": link.flags,
    }
    return _set(told)


def _log_record(record: Message) -> Row:
    told = {
        "timeUnixNano": _count(record.time_unix_nano),
        "observedTimeUnixNano": _count(record.observed_time_unix_nano),
        "severityNumber": record.severity_number,
        "severityText": record.severity_text,
        "body": _any(record.body) if record.HasField("body") else None,
        "attributes": _pairs(record.attributes),
        "droppedAttributesCount": record.dropped_attributes_count,
        "flags": record.flags,
        "traceId": record.trace_id.hex(),
        "spanId": record.span_id.hex(),
        "eventName": record.event_name,
    }
    return _set(told)


def _pairs(pairs: Message) -> list[Row]:
    return [{"key": pair.key, "value": _any(pair.value)} for pair in pairs]


def _any(value: Message) -> Row:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return {"stringValue": value.string_value}
    if kind == "int_value":
        return {"intValue": str(value.int_value)}
    if kind == "bool_value":
        return {"boolValue": value.bool_value}
    if kind == "double_value":
        return {"doubleValue": _double(value.double_value)}
    if kind == "array_value":
        return {"arrayValue": {"values": [_any(inner) for inner in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": _pairs(value.kvlist_value.values)}}
    if kind == "bytes_value":
        return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
    return {}


def _double(number: float) -> float | str:
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _count(number: int) -> str:
    return str(number) if number else ""


def _set(told: Row) -> Row:
    return {name: value for name, value in told.items() if value}
