"""Spans as rows: what a span of a model, a tool or an agent says, in the columns of an interaction."""

from hashlib import sha256

import msgspec

from clworkbench.signals.dialects import annotations, openinference
from clworkbench.signals.dialects import spans as dialects
from clworkbench.signals.otlp.evaluations import EVALUATION, evaluation
from clworkbench.signals.otlp.requests import Origin, Origins, Span, attributes_and_events, span_of
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, canonical

USERS = (
    *("enduser.id", "user.id", "enduser.pseudo.id", "user.email", "traceloop.association.properties.user_id"),
    *("ai.telemetry.metadata.userId", "ai.telemetry.metadata.user_id", "gen_ai.user", "llm.user"),
)
USER_NAMES = frozenset(USERS)
NESTED = "nested too deeply to be read"

_packed = msgspec.msgpack.Encoder(order="sorted").encode


def quarantine_part(what: str, number: int, reason: str, raw: bytes, rows: Rows) -> None:
    """Ends one record of a line that holds several."""
    rows.quarantine(f"{what} {number} of the line: {reason}", sha256(raw + b"#%d" % number).hexdigest())


def origins_of(rows: Rows) -> Origins:
    """The origins met so far in the file that is read."""
    known = rows.memory.get("otlp origins")
    if not isinstance(known, Origins):
        known = rows.memory["otlp origins"] = Origins(rows.keyed)
    return known


def content_digest(content: object) -> str:
    """The hash of what a record says: equal contents have equal hashes."""
    try:
        return sha256(_packed(content)).hexdigest()
    except OverflowError:
        return sha256(canonical(content)).hexdigest()


def read_span(origin: Origin, written: object, rows: Rows) -> None:
    """Reads one span, however it is written, as a record of its own; raises Unreadable.

    Its hash is that of its normalised content, with its resource and scope: other batching or another spelling is no
    change.
    """
    attributes, events = attributes_and_events(written)
    operation = dialects.operation(attributes, events)
    evaluated = [event for event in events if event.get("name") == EVALUATION] if events else events
    if operation is None and not evaluated:
        return rows.skip("not a GenAI span")
    span = span_of(written)
    feedback = annotations.of_otlp(attributes, span, rows) if openinference.KIND in attributes else []
    digest = content_digest([origin.digest, span, attributes, events])
    if evaluated:
        feedback += [_evaluation(event, span, digest, number, rows) for number, event in enumerate(evaluated)]
        events = [event for event in events if event not in evaluated]
    if operation is None:
        return rows.add(None, feedback)
    row = span_row(origin, span, attributes, events, operation, rows)
    row["raw_sha256"] = digest
    row["interaction_id"] = rows.identity(row["source_id"], digest)  # type: ignore[arg-type]
    return rows.add(row, feedback)


def _evaluation(event: Row, span: Span, digest: str, number: int, rows: Rows) -> Row:
    """The feedback row of an event that evaluates its span."""
    said = event.get("attributes")
    at = event.get("timeUnixNano")
    told = span._replace(start=at if isinstance(at, int) else None)
    return evaluation(dict(said) if isinstance(said, dict) else {}, told, f"{digest}#{number}", rows)


def span_row(
    origin: Origin,
    span: Span,
    attributes: Row,
    events: list[Row],
    operation: str,
    rows: Rows,
    kept_as: str = "otel.span",
) -> Row:
    """The columns of an interaction that a span, or what was logged of one, fills, but for its hash and id."""
    trace_id, span_id, parent_id, start, end, rest = span
    fields = Fields(attributes, rows.note)
    user = None if USER_NAMES.isdisjoint(attributes) else fields.text(*USERS)
    row = dialects.columns(fields, events, rows.note)
    row["source_id"] = f"{trace_id}:{span_id}" if trace_id and span_id else None
    row["trace_id"] = trace_id
    row["parent_id"] = f"{trace_id}:{parent_id}" if trace_id and parent_id else None
    row["user_key"] = None if user is None else rows.pseudonyms.user(user)
    row["app"] = origin.app
    row["environment"] = origin.environment
    row["operation"] = operation
    row["started_at"] = None if start is None else start // 1000
    row["latency_ms"] = (end - start) / 1e6 if start is not None and end is not None and end >= start else None
    row["error"] = _error(rest.get("status"), attributes)
    if events:
        rest["events"] = events
    attributes |= origin.kept
    attributes[kept_as] = rest
    row["attributes"] = rows.attributes(attributes)
    return row


def _error(status: object, attributes: Row) -> str | None:
    if not isinstance(status, dict) or status.get("code") != 2:
        kind = attributes.get("error.type")
        return kind if isinstance(kind, str) and kind else None
    message = status.get("message") or attributes.get("error.type")
    return message if isinstance(message, str) else "error"
