"""Spans read together give what the same spans give one by one, whatever one of them says."""

import json
from collections.abc import Callable
from itertools import islice

import msgspec
import pytest

from clworkbench.settings import Source
from clworkbench.signals.dialects import genai
from clworkbench.signals.otlp.regular import regular
from clworkbench.signals.otlp.requests import Origins, spans
from clworkbench.signals.otlp.traces import FEW
from clworkbench.signals.rows import Rows
from tests.bench.otlp_traffic import lines, pairs
from tests.signals.whole import KEY, Whole

Ingest = Callable[..., Whole]
Span = dict[str, object]

MANY = 2 * FEW
TEXT = {"type": "text", "content": "hi"}


def request(*several: Span) -> dict[str, object]:
    scoped = {"scope": {"name": "lib", "version": "1"}, "spans": list(several)}
    resource = {"attributes": pairs({"service.name": "desk", "user.id": "ann"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}


def traffic() -> list[Span]:
    """Spans of every kind that the bench's generator makes."""
    [group] = json.loads(next(lines(7, MANY)))["resourceSpans"]
    return [span for scoped in group["scopeSpans"] for span in scoped["spans"]]


def told(whole: Whole) -> dict[str, object]:
    """All that was read, but for where it stood."""
    return {
        "rows": whole.interactions.drop("record").to_dicts(),
        "feedback": whole.feedback.drop("record").to_dicts(),
        "quarantine": [reason.partition(": ")[2] for reason in whole.quarantine["reason"]],
        "records": whole.records,
        "skipped": whole.skipped,
        "fidelity": whole.fidelity,
    }


def assert_same(ingest: Ingest, several: list[Span]) -> Whole:
    source = Source("desk", format="otlp")
    alone = ingest(*map(request, several), source=source, name="alone.jsonl")
    together = ingest(request(*several), source=source, name="together.jsonl")
    assert told(together) == told(alone)
    assert together.interactions["record"].is_sorted()
    return together


def test_plain_traffic_is_read_together_as_one_by_one(ingest: Ingest) -> None:
    whole = assert_same(ingest, traffic())
    assert len(whole.interactions) + whole.skipped["not a GenAI span"] == whole.records >= MANY


def test_every_span_of_plain_traffic_is_regular() -> None:
    for line in islice(lines(3), 3):
        found = spans(line, Origins(lambda value: value))
        read = regular(found, Rows(Source("desk"), KEY, "f"))
        assert not read.others
        assert len(read.at) == len(read.columns["attributes"]) > len(found) / 2


ATTRIBUTES: list[dict[str, object]] = [
    {"gen_ai.operation.name": ""},
    {"gen_ai.operation.name": 7},
    {"gen_ai.request.model": ""},
    {"gen_ai.request.model": 4.5},
    {"gen_ai.conversation.id": 12},
    {"gen_ai.usage.input_tokens": "many"},
    {"gen_ai.usage.input_tokens": 0},
    {"gen_ai.response.finish_reasons": '["stop"]'},
    {"gen_ai.request.stop_sequences": ["a", "b"]},
    {"gen_ai.input.messages": ""},
    {"gen_ai.input.messages": "hi"},
    {"gen_ai.input.messages": json.dumps([{"role": 7, "parts": []}])},
    {"gen_ai.input.messages": json.dumps([{"role": "user", "parts": [TEXT, TEXT, {"type": "image"}]}])},
    {"gen_ai.input.messages": json.dumps([{"role": "model", "parts": [TEXT]}])},
    {"gen_ai.output.messages": [{"role": "assistant", "parts": [TEXT]}]},
    {"gen_ai.system_instructions": "Be brief."},
    {"gen_ai.system_instructions": json.dumps([{"type": "hologram"}])},
    {"gen_ai.system_instructions": 7},
    {"gen_ai.tool.definitions": [{"name": "f"}]},
    {"gen_ai.tool.call.result": {"t": 9}},
    {"gen_ai.tool.call.result": ""},
    {"gen_ai.retrieval.query.text": "fees"},
    {"gen_ai.tool.call.arguments": {"x": 1}, "gen_ai.tool.name": 7},
    {"gen_ai.prompt.0.content": "hi", "gen_ai.prompt.0.role": "user"},
    {"gen_ai.system": "openai"},
    {"clw.propensity": 0.5},
    {"openinference.span.kind": "LLM"},
    {"enduser.id": "ann"},
    {"enduser.id": ""},
    {"enduser.id": 7},
    {"enduser.id": []},
    {"enduser.id": "ann", "user.email": "ann@example.com"},
    {"user_id": "ann"},
    {"app.said": {"user_id": "ann", "list": [{"user.id": "bob"}]}},
    {"app.empty": "", "app.zero": 0, "app.false": False, "app.none": []},
    {"otel.span": "mine", "otel.resource": "mine"},
    {"error.type": "timeout"},
    {"ratio": float("inf")},
]


def value_of(value: object) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if value < 1e308 else "Infinity"}
        case list():
            return {"arrayValue": {"values": [value_of(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": [{"key": key, "value": value_of(one)} for key, one in value.items()]}}
    return {"stringValue": value}


@pytest.mark.parametrize("attributes", ATTRIBUTES, ids=str)
def test_an_odd_attribute_of_one_span_is_read_as_it_is_alone(ingest: Ingest, attributes: dict[str, object]) -> None:
    several = traffic()
    for span in several[1::5]:
        kept = [pair for pair in span["attributes"] if pair["key"] not in attributes]  # type: ignore[attr-defined]
        span["attributes"] = kept + [{"key": key, "value": value_of(value)} for key, value in attributes.items()]
    assert_same(ingest, several)


EVENT = {"name": "gen_ai.choice", "timeUnixNano": "5", "attributes": pairs({"content": "yo"})}
FIELDS: list[Span] = [
    {"traceId": ""},
    {"traceId": "0" * 32},
    {"traceId": "AB" * 16},
    {"traceId": "W47/95gDgQPSabYzgT/GDA=="},
    {"spanId": "short"},
    {"spanId": "0" * 16},
    {"parentSpanId": "0" * 16},
    {"parentSpanId": "7uGbfsPBsXQ="},
    {"parentSpanId": "EEE19B7EC3C1B174"},
    {"startTimeUnixNano": "0"},
    {"endTimeUnixNano": "5"},
    {"startTimeUnixNano": "0", "endTimeUnixNano": "0"},
    {"name": "", "kind": 0, "flags": 0},
    {"kind": "SPAN_KIND_CLIENT", "traceState": "a=b", "droppedEventsCount": 2},
    {"flags": 2**70},
    {"status": {"code": 2, "message": "timeout"}},
    {"status": {"code": 0}},
    {"events": []},
    {"events": [EVENT]},
    {"events": {}},
    {"links": [{"traceId": "AB" * 16, "spanId": "AB" * 8}]},
    {"links": {}},
    {"attributes": []},
    {"attributes": pairs({"gen_ai.operation.name": "chat"}) * 2},
    {"attributes": [{"key": "gen_ai.operation.name", "value": {"doubleValue": "much"}}]},
    {"attributes": [{"key": "gen_ai.operation.name"}]},
]


@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_an_odd_field_of_one_span_is_read_as_it_is_alone(ingest: Ingest, fields: Span) -> None:
    several = traffic()
    for span in several[2::6]:
        span |= fields
    assert_same(ingest, several)


@pytest.mark.parametrize("depth", range(20, 500, 80))
def test_a_deeply_nested_value_among_many_spans_costs_no_other_span(ingest: Ingest, depth: int) -> None:
    value = '{"arrayValue":{"values":[' * depth + '{"boolValue":true}' + "]}}" * depth
    several = traffic()
    several[4]["attributes"] = [*several[4]["attributes"], {"key": "deep", "value": "HERE"}]  # type: ignore[misc]
    line = msgspec.json.encode(request(*several)).replace(b'"HERE"', value.encode())
    whole = ingest(line, source=Source("s", format="otlp"))
    assert whole.records == len(whole.interactions) + len(whole.quarantine) + whole.skipped.total()
    assert whole.quarantine.height <= 1


def test_spans_that_cannot_be_read_stay_in_their_order_among_those_that_can(ingest: Ingest) -> None:
    several = traffic()
    several[3]["links"], several[9]["attributes"] = 5, [{"key": "gen_ai.agent.name", "value": {"doubleValue": "x"}}]
    whole = ingest(request(*several), source=Source("s", format="otlp"))
    assert [reason.split(":")[0] for reason in whole.quarantine["reason"]] == [
        "span 3 of the line",
        "span 9 of the line",
    ]
    assert not {3, 9} & set(whole.interactions["record"])


@pytest.mark.parametrize("name", sorted(genai.DECIDING))
def test_each_deciding_attribute_can_make_a_span_a_models(name: str) -> None:
    values = {"llm.request.type": "chat", "traceloop.span.kind": "tool"}
    assert genai.operation({name: values.get(name, "x")}, [])
