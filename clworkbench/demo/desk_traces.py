"""The desk's telemetry: tickets as spans of the OpenTelemetry SDK, in OTLP/JSON; what happened later as JSON lines."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from clworkbench.demo.desk_people import Ticket, reactions
from clworkbench.errors import ClwError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

PROMPT = "Support desk. Answer with JSON."
REQUEST_SPANS = 50
"""Spans in one export request, and so on one line."""

MODEL_S = 0.6
"""The model's answer takes as long on the desk's clock; a batch's true time would say nothing about one message."""


def span_ids(ticket: str, seed: int) -> tuple[int, int, int]:
    """The ids of a ticket's trace, of its request's span, and of the model's span within it."""
    digest = sha256(f"{seed} {ticket}".encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24]), int.from_bytes(digest[24:])


def span_name(ticket: str, seed: int) -> str:
    """The model's span as the app's events name it, `trace:span` in hex."""
    trace, _, span = span_ids(ticket, seed)
    return f"{trace:032x}:{span:016x}"


def messages(text: str) -> list[dict[str, str]]:
    """What the model is asked."""
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}]


def traces(tickets: Sequence[Ticket], seed: int) -> list[dict[str, object]]:
    """OTLP/JSON export requests: for each ticket the request that came in, and the model's call within it.

    Ids come from the seed and times from the desk's clock; the spans are the SDK's own, and so is their encoding.

    Raises:
        ClwError: OpenTelemetry is missing or switched off.
    """
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    spans = _spans(tickets, seed)
    batches = [spans[at : at + REQUEST_SPANS] for at in range(0, len(spans), REQUEST_SPANS)]
    return [_hex_ids(MessageToDict(encode_spans(batch), use_integers_for_enums=True)) for batch in batches]


def events(tickets: Sequence[Ticket], seed: int, start: datetime, stop: datetime) -> list[dict[str, object]]:
    """What happened to tickets from `start` to before `stop`, by time: `reactions`, with times as text."""
    found = [event for t in tickets for event in reactions(t, t.answer_id or span_name(t.message.ticket, seed), seed)]
    dated = [(event["at"], event) for event in found if isinstance(event["at"], datetime)]
    kept = sorted((at, str(event["id"]), event) for at, event in dated if start <= at < stop)
    return [event | {"at": at.isoformat()} for at, _, event in kept]


def _spans(tickets: Sequence[Ticket], seed: int) -> "list[ReadableSpan]":
    try:
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    except ImportError as error:
        raise ClwError(
            f"the desk writes its traces with OpenTelemetry, and {error.name} is not installed.\n"
            "Install it: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-common"
        ) from error
    kept = InMemorySpanExporter()
    provider = _provider(tickets, seed)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for ticket in tickets:
        _record(provider, ticket)
    spans = list(kept.get_finished_spans())
    if len(spans) != 2 * len(tickets):
        raise ClwError("OpenTelemetry recorded nothing: it is switched off. Unset OTEL_SDK_DISABLED.")
    return spans


def _provider(tickets: Sequence[Ticket], seed: int) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class Seeded(IdGenerator):
        """Each ticket's ids, in the order of the tickets."""

        def __init__(self) -> None:
            ids = [span_ids(ticket.message.ticket, seed) for ticket in tickets]
            self.traces = iter([trace for trace, _, _ in ids])
            self.spans = iter([span for _, *both in ids for span in both])

        def generate_trace_id(self) -> int:
            return next(self.traces)

        def generate_span_id(self) -> int:
            return next(self.spans)

    # What a user's environment says about samplers, limits and resources is meant for another program.
    whole = SpanLimits(
        max_attributes=128,
        max_span_attributes=128,
        max_attribute_length=SpanLimits.UNSET,
        max_span_attribute_length=SpanLimits.UNSET,
    )
    resource = Resource({"service.name": "desk", "deployment.environment.name": "simulation"})
    return TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=Seeded(), span_limits=whole)


def _record(provider: "TracerProvider", ticket: Ticket) -> None:
    """The request's span and, within it, the model's, with the attributes that GenAI spans have.

    Source: https://github.com/open-telemetry/semantic-conventions-genai, with `clw.*` for what they have no name for.
    """
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, set_span_in_context

    tracer = provider.get_tracer("desk", "1.0")
    message, begins = ticket.message, _nanoseconds(ticket.message.at)
    answers, ends = (_nanoseconds(message.at + timedelta(seconds=s)) for s in (0.1, 0.1 + MODEL_S))
    request = tracer.start_span(
        "POST /tickets",
        Context(),
        SpanKind.SERVER,
        {"http.request.method": "POST", "http.route": "/tickets", "http.response.status_code": 201},
        start_time=begins,
    )
    within = set_span_in_context(request, Context())
    name = f"chat {ticket.served_by}"
    call = tracer.start_span(name, within, SpanKind.CLIENT, _attributes(ticket), start_time=answers)
    call.end(ends)
    request.end(_nanoseconds(message.at + timedelta(seconds=0.2 + MODEL_S)))


def _attributes(ticket: Ticket) -> dict[str, str | int | float | list[str]]:
    message = ticket.message
    said = [{"role": "user", "parts": [{"type": "text", "content": message.text}]}]
    answered = {"role": "assistant", "parts": [{"type": "text", "content": ticket.answer}], "finish_reason": "stop"}
    attributes: dict[str, str | int | float | list[str] | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "desk",
        "gen_ai.request.model": ticket.served_by,
        "gen_ai.response.model": ticket.served_by,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.conversation.id": message.ticket,
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": PROMPT}]),
        "gen_ai.input.messages": json.dumps(said, ensure_ascii=False),
        "gen_ai.output.messages": json.dumps([answered], ensure_ascii=False),
        "gen_ai.usage.input_tokens": ticket.n_input_tokens,
        "gen_ai.usage.output_tokens": ticket.n_output_tokens,
        "enduser.id": message.customer,
        "clw.release_id": ticket.served_by if ticket.served_by.startswith("release:") else None,
        "clw.confidence": ticket.confidence,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000) * 1_000_000


def _hex_ids(request: dict[str, object]) -> dict[str, object]:
    """The request with its spans' ids in hex, as OTLP/JSON wants them; protobuf's own JSON has base64.

    Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    for span in _spans_of(request):
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64decode(str(span[name])).hex()
    return request


def _spans_of(request: object) -> list[dict[str, object]]:
    assert isinstance(request, dict)
    return [span for group in request["resourceSpans"] for scope in group["scopeSpans"] for span in scope["spans"]]
