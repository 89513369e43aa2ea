"""Export requests for tests, built with OpenTelemetry's own messages."""

from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TEXTS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m",
    "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "Where is my card?"}]}]',
    "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "On its way"}]}]',
}


def export(*numbers: int, texts: dict[str, str] | None = None) -> ExportTraceServiceRequest:
    """A request with a GenAI span for each number, which makes its ids."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in numbers:
        start = 1_776_000_000_000_000_000 + number
        ids = {"trace_id": number.to_bytes(16, "big"), "span_id": number.to_bytes(8, "big")}
        span = spans.add(name="chat", start_time_unix_nano=start, end_time_unix_nano=start + 10**9, **ids)
        for key, value in (texts or TEXTS).items():
            span.attributes.add(key=key).value.string_value = value
    return request


def source_id(number: int) -> str:
    return f"{number:032x}:{number:016x}"


def as_json(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """The request as OTLP/JSON writes it: protobuf's JSON, but ids in hex."""
    made = MessageToDict(request)
    spans = made["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for span, sent in zip(spans, request.resource_spans[0].scope_spans[0].spans, strict=True):
        span |= {"traceId": sent.trace_id.hex(), "spanId": sent.span_id.hex()}
    return made


def log_records(*bodies: str) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for body in bodies:
        records.add(time_unix_nano=1_776_000_000_000_000_000).body.string_value = body
    return request
