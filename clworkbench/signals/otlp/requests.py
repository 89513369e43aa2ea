"""A trace export request taken apart into spans: fast where it is written as the collector does, else patiently."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Annotated, NamedTuple

import msgspec

from clworkbench.signals.otlp.spelling import (
    VALUES,
    attributes_of,
    either,
    identifier,
    inner_records,
    kind_number,
    nanoseconds,
    objects,
    status_of,
)
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Unreadable, canonical, decoded, encoded, kind_of

GROUPS = ("resourceSpans", "resource_spans")
SPAN_GROUPS = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans")
SCOPES = ("scope", "instrumentationLibrary", "instrumentation_library")
OWN_KEYS = frozenset(
    {
        *("traceId", "trace_id", "spanId", "span_id", "parentSpanId", "parent_span_id", "startTimeUnixNano"),
        *("start_time_unix_nano", "endTimeUnixNano", "end_time_unix_nano", "attributes", "events", "links"),
        *("status", "kind"),
    }
)
CAMEL = {
    "trace_state": "traceState",
    "dropped_attributes_count": "droppedAttributesCount",
    "dropped_events_count": "droppedEventsCount",
    "dropped_links_count": "droppedLinksCount",
}
DROPPED = ("droppedAttributesCount", "droppedEventsCount", "droppedLinksCount")
NO_JSON = msgspec.Raw(b"")
MOST_ORIGINS = 4096


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class AnyValue(msgspec.Struct, gc=False, forbid_unknown_fields=True, frozen=True):
    """An attribute's value as the collector writes it; one of these is set."""

    stringValue: str | None = None
    intValue: Int64 | None = None
    doubleValue: float | str | None = None
    boolValue: object = None
    arrayValue: "ArrayValue | None" = None
    kvlistValue: "KeyValueList | None" = None
    bytesValue: str | None = None


NO_VALUE = AnyValue()


class KeyValue(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An attribute."""

    key: str
    value: AnyValue = NO_VALUE


class ArrayValue(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Values one after another."""

    values: list[AnyValue] = []


class KeyValueList(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Attributes within an attribute."""

    values: list[KeyValue] = []


class WrittenSpan(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A span as the collector writes it."""

    traceId: str = ""
    spanId: str = ""
    traceState: str = ""
    parentSpanId: str = ""
    flags: int = 0
    name: str = ""
    kind: int | str = 0
    startTimeUnixNano: Nanoseconds = 0
    endTimeUnixNano: Nanoseconds = 0
    attributes: list[KeyValue] = []
    droppedAttributesCount: int = 0
    events: object = None
    droppedEventsCount: int = 0
    links: object = None
    droppedLinksCount: int = 0
    status: object = None


class ScopeSpans(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The spans of one scope."""

    scope: msgspec.Raw = NO_JSON
    spans: list[WrittenSpan] = []
    schemaUrl: str = ""


class ResourceSpans(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The spans of one resource."""

    resource: msgspec.Raw = NO_JSON
    scopeSpans: list[ScopeSpans] = []
    schemaUrl: str = ""


class Request(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A request as the collector writes it."""

    resourceSpans: list[ResourceSpans]


_request = msgspec.json.Decoder(Request, strict=False).decode
"""Not strict: whole numbers may be texts, and are in OTLP/JSON; the types above leave it nothing else to bend."""


class Origin(NamedTuple):
    """What the spans or log records of one scope share.

    Attributes:
        app: the service's name.
        environment: where it was deployed.
        digest: hash of resource, scope and schema.
        kept: what of them goes into each row's `attributes`, as JSON without identities.
    """

    app: str | None
    environment: str | None
    digest: str
    kept: Row


class Span(NamedTuple):
    """What a span says beside its attributes and events, in one spelling.

    Attributes:
        trace_id: in hex, like the other ids; None where it is missing.
        start: in ns, like `end`.
        rest: its name, kind, status, links and all else that is set.
    """

    trace_id: str | None
    span_id: str | None
    parent_id: str | None
    start: int | None
    end: int | None
    rest: Row


class Origins:
    """Makes each origin once: most requests of a file share theirs with others."""

    def __init__(self, keyed: Callable[[object], object]) -> None:
        self._keyed = keyed
        self._known: dict[tuple[bytes, bytes, str], Origin] = {}

    def written(self, resource: msgspec.Raw, scope: msgspec.Raw, schema: str) -> Origin:
        """The origin that JSON says."""
        key = (bytes(resource), bytes(scope), schema)
        if (known := self._known.get(key)) is None:
            if len(self._known) >= MOST_ORIGINS:
                self._known.clear()
            told = [decoded(one) if one else None for one in key[:2]]
            known = self._known[key] = self.of(told[0], told[1], schema)
        return known

    def of(self, resource: object, scope: object, schema: object) -> Origin:
        """The origin that a decoded resource and scope say; raises Unreadable for attributes of another shape."""
        shared = attributes_of(resource.get("attributes")) if isinstance(resource, dict) else {}
        scope = dict(scope) if isinstance(scope, dict) else {}
        if "attributes" in scope:
            scope["attributes"] = attributes_of(scope["attributes"])
        told: Row = {"otel.resource": shared, "otel.scope": scope, "otel.schema": schema}
        told = {name: value for name, value in told.items() if value}
        kept = {name: msgspec.Raw(encoded(self._keyed(value)).encode()) for name, value in told.items()}
        environment = _first_text(shared, "deployment.environment.name", "deployment.environment")
        return Origin(_app(shared), environment, sha256(canonical(told)).hexdigest(), dict(kept))


def _first_text(resource: Row, *names: str) -> str | None:
    value = either(resource, *names)
    return value if isinstance(value, str) and value else None


def _app(resource: Row) -> str | None:
    """The service's name; what an SDK writes where nobody set one is no name."""
    name = _first_text(resource, "service.name")
    return None if name is None or name.startswith("unknown_service") else name


def spans(raw: bytes, origins: Origins) -> list[tuple[Origin, object]]:
    """The spans of a request, each a `WrittenSpan` or whatever else stands where a span should.

    Raises: Unreadable for what is no trace export request.
    """
    try:
        request = _request(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return list(_loose_spans(decoded(raw), origins))
    return [
        (origin, span)
        for group in request.resourceSpans
        for inner in group.scopeSpans
        for origin in (origins.written(group.resource, inner.scope, inner.schemaUrl or group.schemaUrl),)
        for span in inner.spans
    ]


def _loose_spans(line: object, origins: Origins) -> Iterator[tuple[Origin, object]]:
    for group in objects(either(line, *GROUPS) if isinstance(line, dict) else None, "resourceSpans"):
        for inner in objects(either(group, *SPAN_GROUPS), "scopeSpans"):
            schema = either(inner, "schemaUrl", "schema_url") or either(group, "schemaUrl", "schema_url")
            origin = origins.of(group.get("resource"), either(inner, *SCOPES), schema)
            found = inner.get("spans")
            if not isinstance(found, list | None):
                raise Unreadable(f"spans is {kind_of(found)}, not a list")
            for span in found or ():
                yield origin, span


def attributes_and_events(span: object) -> tuple[Row, list[Row]]:
    """What decides whether a span is a model's; raises Unreadable for one of another shape."""
    if type(span) is WrittenSpan:
        return written_attributes(span.attributes), [] if span.events is None else inner_records(span.events, "events")
    if not isinstance(span, dict):
        raise Unreadable(f"{kind_of(span)}, not an object")
    return attributes_of(span.get("attributes")), inner_records(span.get("events"), "events")


def written_attributes(pairs: list[KeyValue]) -> Row:
    """Attributes as the collector writes them, as one object; raises Unreadable for a number that is none."""
    read: Row = {}
    for pair in pairs:
        value = pair.value
        text = value.stringValue
        read[pair.key] = text if text is not None else _value(value)
    return read


def _value(value: AnyValue) -> object:
    """A value that is no text."""
    if (number := value.intValue) is not None:
        return number
    if value.boolValue is not None:
        return value.boolValue
    if (double := value.doubleValue) is not None:
        return double if type(double) is float else VALUES["doubleValue"](double)
    if (array := value.arrayValue) is not None:
        return [_value(inner) if inner.stringValue is None else inner.stringValue for inner in array.values]
    return value.bytesValue if value.kvlistValue is None else written_attributes(value.kvlistValue.values)


def span_of(span: object) -> Span:
    """A span's ids, times and the rest, in one spelling; raises Unreadable for times or links that are none."""
    if type(span) is WrittenSpan:
        parent = span.parentSpanId
        return Span(
            identifier(span.traceId, 16),
            identifier(span.spanId, 8),
            identifier(parent, 8) if parent else None,
            span.startTimeUnixNano or None,
            span.endTimeUnixNano or None,
            rest_written(span),
        )
    assert isinstance(span, dict)  # attributes_and_events has refused all else
    rest: Row = {CAMEL.get(str(key), str(key)): value for key, value in span.items() if key not in OWN_KEYS}
    rest |= {"kind": kind_number(span.get("kind")), "status": status_of(span.get("status"))}
    rest["links"] = inner_records(span.get("links"), "links")
    return Span(
        identifier(either(span, "traceId", "trace_id"), 16),
        identifier(either(span, "spanId", "span_id"), 8),
        identifier(either(span, "parentSpanId", "parent_span_id"), 8),
        nanoseconds(either(span, "startTimeUnixNano", "start_time_unix_nano"), "startTimeUnixNano"),
        nanoseconds(either(span, "endTimeUnixNano", "end_time_unix_nano"), "endTimeUnixNano"),
        {key: value for key, value in rest.items() if value not in (None, "", [], {}, 0)},
    )


def rest_written(span: WrittenSpan) -> Row:
    """What is left of a span; most often its name, its kind and a flag."""
    rest: Row = {}
    if span.name:
        rest["name"] = span.name
    if kind := span.kind:
        rest["kind"] = kind if type(kind) is int else kind_number(kind)
    if span.status and (status := status_of(span.status)):
        rest["status"] = status
    if span.links is not None and (links := inner_records(span.links, "links")):
        rest["links"] = links
    if span.flags:
        rest["flags"] = span.flags
    if span.traceState:
        rest["traceState"] = span.traceState
    if span.droppedAttributesCount or span.droppedEventsCount or span.droppedLinksCount:
        rest |= {name: n for name in DROPPED if (n := getattr(span, name))}
    return rest
