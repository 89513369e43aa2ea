"""Export requests in protobuf as lines of OTLP/JSON, none of them longer than ingest reads."""

from collections.abc import Iterator

from clworkbench.serving.otlp import REQUESTS, Signal
from clworkbench.signals.otlp.protobuf import json_lines

PART_BYTES = 8 << 20
"""A request larger than this makes several lines: as JSON it may become some times as large."""

FIELDS: dict[Signal, tuple[str, str, str]] = {
    "traces": ("resource_spans", "scope_spans", "spans"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
}


def lines(body: bytes, signal: Signal) -> Iterator[bytes]:
    """The lines of one request; each record stands in one of them, with its resource and its scope."""
    for part in [body] if len(body) <= PART_BYTES else _parts(body, signal):
        yield json_lines(part, signal)


def _parts(body: bytes, signal: Signal) -> Iterator[bytes]:
    outer, middle, inner = FIELDS[signal]
    for group in getattr(REQUESTS[signal].FromString(body), outer):
        for scope in getattr(group, middle):
            records = getattr(scope, inner)
            start = 0
            while start < len(records):
                stop, size = start + 1, records[start].ByteSize()
                while stop < len(records) and (size := size + records[stop].ByteSize()) <= PART_BYTES:
                    stop += 1
                part = REQUESTS[signal]()
                of_resource = getattr(part, outer).add(resource=group.resource, schema_url=group.schema_url)
                of_scope = getattr(of_resource, middle).add(scope=scope.scope, schema_url=scope.schema_url)
                getattr(of_scope, inner).extend(records[start:stop])
                yield part.SerializeToString()
                start = stop
