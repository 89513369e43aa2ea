"""OTLP over HTTP: what can be read of an export request, and the answers that the protocol demands."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.responses import Response

from clworkbench.serving import wire
from clworkbench.serving.bodies import PROTOBUF, Refused
from clworkbench.serving.spool import Frame
from clworkbench.signals.otlp.requests import SPAN_GROUPS
from clworkbench.signals.otlp.spelling import attributes_of, either
from clworkbench.signals.values import Unreadable, as_integer, canonical, decoded, kind_of

Signal = Literal["traces", "logs"]

REQUESTS: dict[str, type[ExportTraceServiceRequest] | type[ExportLogsServiceRequest]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
}
ANSWERS: dict[str, tuple[type[ExportTraceServiceResponse] | type[ExportLogsServiceResponse], str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}
PATH = (1, 2, 2)
"""The fields that lead from a request to its records: resource, scope, record; the same for both signals."""

JSON_PATHS = {
    "traces": (("resourceSpans", "resource_spans"), SPAN_GROUPS, ("spans",)),
    "logs": (("resourceLogs", "resource_logs"), ("scopeLogs", "scope_logs"), ("logRecords", "log_records")),
}


class Taken(NamedTuple):
    """What can be kept of a request.

    Attributes:
        frame: for the spool; None where nothing is left.
        n: spans or log records in it.
        rejected: spans or log records that cannot be read and are not in it.
        why: the reason of the first of those.
    """

    frame: Frame | None
    n: int
    rejected: int = 0
    why: str = ""


def take(signal: Signal, media: str, body: bytes) -> Taken:
    """Checks an export request; raises Refused for a body that is none at all.

    Source: OTLP 1.9, "OTLP/HTTP"; https://opentelemetry.io/docs/specs/otlp/#otlphttp
    """
    if media == PROTOBUF:
        return _take_protobuf(signal, body)
    if body.count(b"{") + body.count(b"[") > wire.MOST_FIELDS:
        raise Refused(413, f"more than {wire.MOST_FIELDS:,} objects and lists: send smaller batches")
    return _take_json(signal, body)


# protobuf


def _take_protobuf(signal: Signal, body: bytes) -> Taken:
    try:
        wire.check_size(body)
        return _without_faults(signal, body)
    except wire.TooManyFields as error:
        raise Refused(413, f"{error}: send smaller batches") from None
    except DecodeError:
        return _salvaged(signal, body)


def _without_faults(signal: Signal, body: bytes) -> Taken:
    request = REQUESTS[signal].FromString(body)
    n, why = 0, []
    for records in _lists(signal, request):
        faults = [_fault(record) if signal == "traces" else "" for record in records]
        n += len(faults)
        if any(faults):
            why += [fault for fault in faults if fault]
            for at in reversed(range(len(faults))):
                if faults[at]:
                    del records[at]
    n -= len(why)
    kept = request.SerializeToString() if why else body
    return Taken(Frame(signal, kept) if n else None, n, len(why), why[0] if why else "")


def _lists(signal: Signal, request: Message) -> Iterator[list[Message]]:
    if signal == "traces":
        for group in request.resource_spans:
            for scope in group.scope_spans:
                yield scope.spans
    else:
        for group in request.resource_logs:
            for scope in group.scope_logs:
                yield scope.log_records


def _fault(span: Message) -> str:
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return "a trace id is not 16 bytes, or all zeros"
    if len(span.span_id) != 8 or not any(span.span_id):
        return "a span id is not 8 bytes, or all zeros"
    return ""


def _salvaged(signal: Signal, body: bytes) -> Taken:
    """Of a request that cannot be decoded as a whole, the records that can be decoded one by one.

    One attribute with broken UTF-8 must not cost the other 511 spans of its batch, which no exporter sends again.
    """
    unreadable: list[str] = []
    leaf = Span if signal == "traces" else LogRecord
    try:
        pruned = wire.pruned(body, PATH, lambda record: _decodes(leaf, record, unreadable))
        taken = _without_faults(signal, pruned)
    except (DecodeError, wire.NotProtobuf) as error:
        raise Refused(400, f"the body is no {REQUESTS[signal].DESCRIPTOR.name}: {error}") from None
    if not unreadable:
        raise Refused(400, f"the body is no {REQUESTS[signal].DESCRIPTOR.name}")
    return taken._replace(rejected=taken.rejected + len(unreadable), why=unreadable[0])


def _decodes(leaf: type[Message], record: bytes, unreadable: list[str]) -> bool:
    try:
        leaf.FromString(record)
    except DecodeError:
        unreadable.append("not valid protobuf: broken UTF-8 in a text, or nested too deeply")
        return False
    return True


# JSON


def _take_json(signal: Signal, body: bytes) -> Taken:
    try:
        request = decoded(body)
        lists = list(_json_lists(signal, request))
    except (Unreadable, RecursionError) as error:
        raise Refused(400, f"no OTLP/JSON {signal}: {error}") from None
    n, why = 0, []
    for records in lists:
        faults = [_json_fault(signal, record) for record in records]
        n += len(faults)
        if any(faults):
            why += [fault for fault in faults if fault]
            records[:] = [record for record, fault in zip(records, faults, strict=True) if not fault]
    n -= len(why)
    # Line ends stand only between the values of valid JSON, never in them.
    line = canonical(request) if why else body.replace(b"\n", b" ").replace(b"\r", b" ")
    return Taken(Frame("json", line) if n else None, n, len(why), why[0] if why else "")


def _json_lists(signal: Signal, request: object) -> Iterator[list[object]]:
    outer, middle, inner = JSON_PATHS[signal]
    if not isinstance(request, dict):
        raise Unreadable(f"{kind_of(request)}, not an object")
    if request and either(request, *outer) is None:
        raise Unreadable(f"an object without {outer[0]}")
    for group in _list(either(request, *outer), outer[0]):
        for scope in _list(either(_object(group, outer[0]), *middle), middle[0]):
            yield _list(either(_object(scope, middle[0]), *inner), inner[0])


def _list(value: object, name: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"{name} is {kind_of(value)}, not a list")
    return value


def _object(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Unreadable(f"{name} holds {kind_of(value)}, not an object")
    return value


def _json_fault(signal: Signal, record: object) -> str:
    """Why a record cannot be read; empty for one that can."""
    try:
        fields = _object(record, "the list")
        attributes_of(fields.get("attributes"))
        if signal == "traces":
            for event in _list(fields.get("events"), "events"):
                attributes_of(_object(event, "events").get("attributes"))
            for name in ("startTimeUnixNano", "endTimeUnixNano"):
                if (time := fields.get(name)) not in (None, "") and as_integer(time) < 0:
                    raise Unreadable(f"{name}: a negative time")
    except Unreadable as error:
        return str(error)
    except RecursionError:
        return "nested too deeply to be read"
    return "" if signal == "logs" else _id_fault(fields)


def _id_fault(span: dict[str, object]) -> str:
    for digits, names in ((32, ("traceId", "trace_id")), (16, ("spanId", "span_id"))):
        value = either(span, *names)
        if not isinstance(value, str) or not value.strip("0") or not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", value):
            return f"{names[0]} is not {digits} hex digits, or all zeros"
    return ""


# answers


def answer(signal: Signal, media: str, taken: Taken) -> Response:
    """The response to a request that was taken, with what of it was not."""
    if not taken.rejected:
        return Response(b"" if media == PROTOBUF else b"{}", media_type=media)
    response, field = ANSWERS[signal]
    said = response()
    setattr(said.partial_success, field, taken.rejected)
    said.partial_success.error_message = (
        f"{taken.rejected} of {taken.n + taken.rejected} not kept; the first: {taken.why}"
    )
    return Response(_encoded(said, media), media_type=media)


def status(code: int, why: str, media: str, headers: dict[str, str] | None = None) -> Response:
    """An error as OTLP wants it: a `google.rpc.Status` in the request's own encoding."""
    said = Status(message=why)
    return Response(_encoded(said, media), status_code=code, media_type=media, headers=headers)


def _encoded(message: Message, media: str) -> bytes:
    return bytes(message.SerializeToString()) if media == PROTOBUF else MessageToJson(message, indent=None).encode()
