"""Log records as rows: what was logged of a call of a model belongs to the span that it names.

A span and the events logged within it are one interaction. Spans and logs come in files of their own and in any
order, so that what was logged becomes a row of its own, a version of the span's row (the same `interaction_id`) with
`otel.log` in its attributes. The view (signals/view.py) takes the span's row as the latest version whenever it came,
and fills what it leaves empty, often the texts, from what was logged. Where no span is ever read, the row stands for
itself. Of one span, all that a chunk of a file logs is one row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from clworkbench.signals.dialects import genai
from clworkbench.signals.dialects import spans as dialects
from clworkbench.signals.otlp.evaluations import EVALUATION, evaluation
from clworkbench.signals.otlp.requests import Origin, Origins, Span
from clworkbench.signals.otlp.spans import NESTED, content_digest, origins_of, quarantine_part, span_row
from clworkbench.signals.otlp.spelling import attributes_of, either, identifier, nanoseconds, objects, plain
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Unreadable, kind_of

GROUPS = ("resourceLogs", "resource_logs")
LOG_GROUPS = ("scopeLogs", "scope_logs", "instrumentationLibraryLogs", "instrumentation_library_logs")
RECORDS = ("logRecords", "log_records", "logs")
DETAILS = "gen_ai.client.inference.operation."
PROVIDERS = frozenset({"gen_ai.system", "gen_ai.provider.name"})
OWN_KEYS = frozenset(
    {
        *("traceId", "trace_id", "spanId", "span_id", "timeUnixNano", "time_unix_nano", "observedTimeUnixNano"),
        *("observed_time_unix_nano", "attributes", "body", "eventName", "event_name"),
    }
)
JOINED = "logged of a span whose row another record gives"
TWICE = "the same log record a second time"


@dataclass
class Logged:
    """What was logged of one span so far.

    Attributes:
        digests: hashes of its records.
    """

    origin: Origin
    span: Span
    attributes: Row = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)


def read_logs(line: Row, raw: bytes, rows: Rows) -> None:
    """Reads a log export request; each log record is a record of its own.

    Raises: Unreadable for a line that is no such request, before any of its records was read.
    """
    for number, (origin, record) in enumerate(list(_records(line, origins_of(rows)))):
        try:
            _read_record(origin, record, rows)
        except Unreadable as error:
            quarantine_part("log record", number, str(error), raw, rows)
        except RecursionError:
            quarantine_part("log record", number, NESTED, raw, rows)


def _records(line: Row, origins: Origins) -> Iterator[tuple[Origin, object]]:
    for group in objects(either(line, *GROUPS), "resourceLogs"):
        for inner in objects(either(group, *LOG_GROUPS), "scopeLogs"):
            schema = either(inner, "schemaUrl", "schema_url") or either(group, "schemaUrl", "schema_url")
            scope = either(inner, "scope", "instrumentationLibrary", "instrumentation_library")
            origin = origins.of(group.get("resource"), scope, schema)
            found = either(inner, *RECORDS)
            if not isinstance(found, list | None):
                raise Unreadable(f"logRecords is {kind_of(found)}, not a list")
            for record in found or ():
                yield origin, record


def _read_record(origin: Origin, record: object, rows: Rows) -> None:
    if not isinstance(record, dict):
        raise Unreadable(f"{kind_of(record)}, not an object")
    attributes = attributes_of(record.get("attributes"))
    event_name = attributes.pop("event.name", None)
    name = str(either(record, "eventName", "event_name") or event_name or "")
    if name == EVALUATION or name in genai.EVENT_ROLES or name.startswith(DETAILS) or _tells_texts(attributes):
        said = plain(record.get("body"))
        span = _span_of(record, name)
        digest = content_digest([origin.digest, span, attributes, said])
        if name == EVALUATION:
            return rows.add(None, [evaluation(attributes, span, digest, rows)])
        return _gather(origin, span, name, attributes, said, digest, rows)
    return rows.skip("another GenAI event" if name.startswith("gen_ai.") else "not a GenAI log record")


def _tells_texts(attributes: Row) -> bool:
    return "gen_ai.input.messages" in attributes or "gen_ai.output.messages" in attributes


def _span_of(record: Row, name: str) -> Span:
    """The span that a record was logged in, as far as it is known; its start is the record's time."""
    at = nanoseconds(either(record, "timeUnixNano", "time_unix_nano"), "timeUnixNano")
    at = at or nanoseconds(either(record, "observedTimeUnixNano", "observed_time_unix_nano"), "observedTimeUnixNano")
    rest = {key: value for key, value in record.items() if key not in OWN_KEYS and value}
    return Span(
        identifier(either(record, "traceId", "trace_id"), 16),
        identifier(either(record, "spanId", "span_id"), 8),
        None,
        at,
        None,
        {"name": name} | rest if name else rest,
    )


def _gather(origin: Origin, span: Span, name: str, attributes: Row, said: object, digest: str, rows: Rows) -> None:
    """Adds a record to what else was logged of its span."""
    is_message = name in genai.EVENT_ROLES
    own_id = f"{span.trace_id}:{span.span_id}" if span.trace_id and span.span_id else ""
    if is_message and not own_id:
        return rows.skip("a message event that names no span")
    logged = rows.growing.get(own_id) if own_id else None
    if not isinstance(logged, Logged):
        logged = Logged(origin, span)
        _take(logged, span, name, attributes, said, rows)
        logged.digests.add(digest)
        if own_id:
            rows.growing[own_id] = logged
        return rows.add_later(partial(_row, logged, rows), digest)
    if digest in logged.digests:
        return rows.skip(TWICE)
    _take(logged, span, name, attributes, said, rows)
    logged.digests.add(digest)
    return rows.skip(JOINED)


def _take(logged: Logged, span: Span, name: str, attributes: Row, said: object, rows: Rows) -> None:
    """Takes over what one record says: a message as an event of the span, all else as attributes of the span."""
    if name in genai.EVENT_ROLES:
        body = attributes if said is None else said if isinstance(said, dict) else {"content": said}
        if name != "gen_ai.choice" and not {"content", "tool_calls", "gen_ai.event.content"} & body.keys():
            rows.note("message event without its text", name)
        logged.events.append({"name": name, "timeUnixNano": span.start, "attributes": dict(body)})
        attributes = {key: attributes[key] for key in PROVIDERS & attributes.keys()} if said is None else attributes
    elif isinstance(said, dict):
        attributes = {key: value for key, value in said.items() if key.startswith("gen_ai.")} | attributes
        said = {key: value for key, value in said.items() if not key.startswith("gen_ai.")}
    if name not in genai.EVENT_ROLES and said:
        span.rest["body"] = said
    logged.attributes |= attributes
    logged.span.rest.update(span.rest)
    times = [at for at in (logged.span.start, span.start) if at is not None]
    logged.span = logged.span._replace(start=min(times, default=None))


def _row(logged: Logged, rows: Rows) -> Row:
    operation = dialects.operation(logged.attributes, logged.events) or "chat"
    row = span_row(logged.origin, logged.span, logged.attributes, logged.events, operation, rows, "otel.log")
    row["raw_sha256"] = digest = content_digest(sorted(logged.digests))
    row["interaction_id"] = rows.identity(row["source_id"], digest)  # type: ignore[arg-type]
    return row
