"""OTLP as the OpenTelemetry collector's file exporter writes it: each record an export request of traces or logs."""

from clworkbench.signals.frames import FIELD_1
from clworkbench.signals.otlp import logs, protobuf, requests
from clworkbench.signals.otlp.spelling import either
from clworkbench.signals.otlp.traces import read_spans
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Unreadable, canonical, decoded, kind_of

NO_METRICS = "OTLP metrics, no traces"
METRICS = ("resourceMetrics", "resource_metrics")


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    for key in (*requests.GROUPS, *logs.GROUPS, *METRICS):
        if key in record:
            return f"a JSON object with {key}"
    return None


def why_raw(raw: bytes) -> str | None:
    """What makes bytes one of this format, or None."""
    if not raw.startswith(FIELD_1):
        return None
    try:
        return f"a protobuf message of OTLP {protobuf.signal_of(raw)}"
    except Unreadable:
        return None


def read(record: Row, rows: Rows) -> None:
    """Reads one export request that is decoded already, as `read_raw` does."""
    read_raw(canonical(record), rows)


def read_raw(raw: bytes, rows: Rows) -> None:
    """Reads one export request, in JSON or protobuf; each span and each log record is a record of its own.

    JSON may be in camelCase or snake_case, with numbers as texts, enums as names, ids in hex or base64.

    Raises: Unreadable for what is no export request, before any of its spans was read.
    Source: OTLP 1.9, JSON Protobuf encoding; https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    if raw.startswith(b'{"resourceSpans":'):
        return read_spans(raw, rows)
    if raw.startswith(FIELD_1):
        signal = protobuf.signal_of(raw)
        return rows.skip(NO_METRICS) if signal == "metrics" else read_raw(protobuf.json_lines(raw, signal), rows)
    line = decoded(raw)
    if not isinstance(line, dict):
        raise Unreadable(f"{kind_of(line)}, not an object with resourceSpans")
    if either(line, *requests.GROUPS) is not None:
        return read_spans(raw, rows)
    if either(line, *logs.GROUPS) is not None:
        return logs.read_logs(line, raw, rows)
    if either(line, *METRICS) is not None:
        return rows.skip(NO_METRICS)
    raise Unreadable("an object without resourceSpans or resourceLogs")
