import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b173"
START = 1_704_067_200 * 10**9


def value_of(value: object) -> dict[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [value_of(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def pairs(attributes: dict[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": value_of(value)} for key, value in attributes.items()]


def span(attributes: dict[str, object], **fields: object) -> dict[str, object]:
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 250_000_000),
        "attributes": pairs({"gen_ai.operation.name": "chat"} | attributes),
        "status": {},
    } | fields


def request(*spans: object, resource: dict[str, object] | None = None) -> dict[str, object]:
    scoped = {"scope": {"name": "lib", "version": "1"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": pairs(resource or {})}, "scopeSpans": [scoped]}]}


def said(messages: list[dict[str, object]] | None) -> list[tuple[object, object]]:
    return [(message["role"], message["content"]) for message in messages or []]


ASKED = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}]


def test_a_span_of_todays_dialect_fills_its_columns(ingest: Ingest) -> None:
    attributes = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.conversation.id": "c1",
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
        "gen_ai.input.messages": json.dumps(ASKED),
        "gen_ai.output.messages": json.dumps(ANSWERED),
        "gen_ai.tool.definitions": '[{"name":"f"}]',
        "enduser.id": "ann@example.com",
        "user.email": "ann@example.com",
        "app.queue": "billing",
    }
    resource = {"service.name": "desk", "deployment.environment.name": "prod", "host.name": "h"}
    link = {"traceId": TRACE, "spanId": PARENT, "attributes": pairs({"why": "retry"})}
    one = span(attributes, parentSpanId=PARENT, links=[link], traceState="a=b")
    [row] = ingest(request(one, resource=resource)).interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", f"{TRACE}:{SPAN}"),
        "source_id": f"{TRACE}:{SPAN}",
        "trace_id": TRACE,
        "parent_id": f"{TRACE}:{PARENT}",
        "conversation_id": "c1",
        "user_key": KEY.user("ann@example.com"),
        "app": "desk",
        "environment": "prod",
        "operation": "chat",
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "latency_ms": 250.0,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "model_version": "gpt-4o-mini-2024-07-18",
        "n_input_tokens": 12,
        "n_output_tokens": 3,
        "finish_reason": "length",
        "parameters": '{"temperature":0.5}',
        "tools": '[{"name":"f"}]',
        "error": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert said(row["input"]) == [("system", "Be brief."), ("user", "hi")]
    assert said(row["output"]) == [("assistant", "hello")]
    assert msgspec.json.decode(row["attributes"]) == {
        "app.queue": "billing",
        "user.email": KEY.user("ann@example.com"),
        "otel.resource": resource,
        "otel.scope": {"name": "lib", "version": "1"},
        "otel.span": {
            "name": "chat",
            "kind": 3,
            "traceState": "a=b",
            "links": [{"traceId": TRACE, "spanId": PARENT, "attributes": {"why": "retry"}}],
        },
    }


def snake(value: object) -> object:
    """The same JSON with snake_case keys, as Phoenix writes it."""
    if isinstance(value, list):
        return [snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(item) for key, item in value.items()}


ATTRIBUTES: dict[str, object] = {
    "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 7,
    "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
    "flag": True,
    "ratio": 0.5,
}


def test_other_spellings_and_other_batching_are_the_same_row(ingest: Ingest) -> None:
    plain = request(span(ATTRIBUTES, parentSpanId=PARENT), resource={"service.name": "desk"})
    numbers = json.loads(json.dumps(plain).replace('"intValue": "7"', '"intValue": 7'))
    odd = json.loads(json.dumps(plain))
    [only] = odd["resourceSpans"][0]["scopeSpans"][0]["spans"]
    only["traceId"] = base64.b64encode(bytes.fromhex(TRACE)).decode()
    only["spanId"] = base64.b64encode(bytes.fromhex(SPAN)).decode()
    only["parentSpanId"] = base64.b64encode(bytes.fromhex(PARENT)).decode()
    only["kind"], only["startTimeUnixNano"] = "SPAN_KIND_CLIENT", START
    old = json.loads(json.dumps(plain).replace("scopeSpans", "instrumentationLibrarySpans"))
    upper = json.loads(json.dumps(plain).replace(TRACE, TRACE.upper()))
    batched = request(
        span({"gen_ai.request.model": "n"}, spanId=PARENT),
        span(ATTRIBUTES, parentSpanId=PARENT),
        resource={"service.name": "desk"},
    )
    [wanted] = ingest(plain).interactions.drop("record").to_dicts()
    for other in (snake(plain), numbers, odd, old, upper):
        assert ingest(other).interactions.drop("record").to_dicts() == [wanted]
    assert ingest(batched).interactions.drop("record").to_dicts()[1] == wanted


def test_a_changed_attribute_of_the_resource_changes_the_hash_but_not_the_id(ingest: Ingest) -> None:
    one = ingest(request(span({}), resource={"service.name": "a"})).interactions
    two = ingest(request(span({}), resource={"service.name": "b"})).interactions
    assert one["interaction_id"][0] == two["interaction_id"][0]
    assert one["raw_sha256"][0] != two["raw_sha256"][0]


def test_each_span_is_a_record_and_spans_of_other_kinds_are_skipped(ingest: Ingest) -> None:
    http = span({}) | {"attributes": pairs({"http.method": "GET"})}
    whole = ingest(request(span({}), http, span({}, spanId=PARENT), 7, http), b"{")
    assert (whole.records, len(whole.interactions)) == (6, 2)
    assert whole.skipped == {"not a GenAI span": 2}
    assert whole.interactions["record"].to_list() == [0, 2]
    assert whole.quarantine["reason"].to_list() == [
        "span 3 of the line: a number, not an object",
        "not valid JSON at byte 1: it ends in the middle",
    ]


def test_metrics_are_skipped_with_a_reason(ingest: Ingest) -> None:
    whole = ingest({"resourceMetrics": []}, source=Source("s", format="otlp"))
    assert whole.skipped == {"OTLP metrics, no traces": 1}


def test_tool_calls_agents_and_retrievals_are_interactions(ingest: Ingest) -> None:
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.call.arguments": '{"city":"Ghent"}',
        "gen_ai.tool.call.result": {"t": 9},
    }
    search = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "fees"}
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk"}
    rows = ingest(request(*(span(one, spanId=f"{n:016x}") for n, one in enumerate([tool, search, agent], 1))))
    first, second, third = rows.interactions.to_dicts()
    assert first["input"][0]["tool_calls"] == [{"id": "c1", "name": "weather", "arguments": '{"city":"Ghent"}'}]
    assert (first["output"][0]["role"], first["output"][0]["content"]) == ("tool", '{"t":9}')
    assert first["output"][0]["tool_call_id"] == "c1"
    assert said(second["input"]) == [("user", "fees")]
    assert [row["operation"] for row in (first, second, third)] == ["execute_tool", "retrieval", "invoke_agent"]


def event(name: str, **attributes: object) -> dict[str, object]:
    return {"name": name, "timeUnixNano": str(START), "attributes": pairs(attributes)}


def test_one_event_for_each_message_is_read_as_messages(ingest: Ingest) -> None:
    events = [
        event("gen_ai.system.message", content="Be brief."),
        event("gen_ai.user.message", content="hi", role="user"),
        event("gen_ai.choice", index=0, finish_reason="stop", message='{"role":"assistant","content":"yo"}'),
        event("cache.miss", key="k"),
    ]
    old = {"gen_ai.system": "openai", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 5}
    one = span(old, events=events)
    one["attributes"] = pairs(old)
    [row] = ingest(request(one)).interactions.to_dicts()
    assert said(row["input"]) == [("system", "Be brief."), ("user", "hi")]
    assert said(row["output"]) == [("assistant", "yo")]
    assert (row["operation"], row["provider"], row["finish_reason"]) == ("chat", "openai", "stop")
    assert row["n_input_tokens"] == 5
    left = msgspec.json.decode(row["attributes"])["otel.span"]["events"]
    assert left == [{"name": "cache.miss", "timeUnixNano": START, "attributes": {"key": "k"}}]


def test_the_event_with_a_calls_details_is_read_like_span_attributes(ingest: Ingest) -> None:
    details = {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": ANSWERED}
    one = span({}, events=[event("gen_ai.client.inference.operation.details", **details)])
    [row] = ingest(request(one)).interactions.to_dicts()
    assert (said(row["input"]), said(row["output"])) == ([("user", "hi")], [("assistant", "hello")])
    assert row["finish_reason"] == "stop"


def test_openllmetrys_numbered_attributes_are_read_as_messages(ingest: Ingest) -> None:
    attributes = {
        "gen_ai.prompt.10.role": "user",
        "gen_ai.prompt.10.content": "and now?",
        "gen_ai.prompt.2.role": "user",
        "gen_ai.prompt.2.content": "hi",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.finish_reason": "tool_calls",
        "gen_ai.completion.0.tool_calls.0.id": "c1",
        "gen_ai.completion.0.tool_calls.0.name": "f",
        "gen_ai.completion.0.tool_calls.0.arguments": "{}",
        "gen_ai.usage.completion_tokens": 4,
        "llm.request.type": "chat",
    }
    one = span({})
    one["attributes"] = pairs(attributes)
    [row] = ingest(request(one)).interactions.to_dicts()
    assert said(row["input"]) == [("user", "hi"), ("user", "and now?")]
    assert row["output"][0]["tool_calls"] == [{"id": "c1", "name": "f", "arguments": "{}"}]
    assert (row["finish_reason"], row["n_output_tokens"]) == ("tool_calls", 4)
    assert "gen_ai.prompt" not in row["attributes"]


@pytest.mark.parametrize("prompt", ["hi", json.dumps([{"role": "user", "content": "hi"}])])
def test_a_prompt_in_one_attribute_is_read_as_text_or_as_messages(ingest: Ingest, prompt: str) -> None:
    [row] = ingest(request(span({"gen_ai.prompt": prompt, "gen_ai.completion": "yo"}))).interactions.to_dicts()
    assert (said(row["input"]), said(row["output"])) == ([("user", "hi")], [("assistant", "yo")])


def test_messages_that_cannot_be_read_stay_in_attributes_and_are_noted(ingest: Ingest) -> None:
    whole = ingest(request(span({"gen_ai.input.messages": [{"role": 7, "content": "hi"}]})))
    [row] = whole.interactions.to_dicts()
    assert row["input"] is None
    assert msgspec.json.decode(row["attributes"])["gen_ai.input.messages"] == [{"role": 7, "content": "hi"}]
    assert [noted.kind for noted in whole.fidelity] == ["messages kept in attributes only"]


@pytest.mark.parametrize(
    ("status", "attributes", "error"),
    [
        ({"code": 2, "message": "timeout"}, {}, "timeout"),
        ({"code": "STATUS_CODE_ERROR"}, {"error.type": "rate_limit"}, "rate_limit"),
        ({"code": 2}, {}, "error"),
        ({"code": 1}, {}, None),
    ],
)
def test_a_failed_span_has_an_error(
    ingest: Ingest, status: object, attributes: dict[str, object], error: str | None
) -> None:
    assert ingest(request(span(attributes, status=status))).interactions["error"].to_list() == [error]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"attributes": 5}, "attributes are not a list of keys with values"),
        ({"attributes": [{"key": 5, "value": {"boolValue": True}}]}, "an attribute's key is not a text"),
        ({"attributes": [{"key": [], "value": {}}]}, "attributes are not a list of keys with values"),
        ({"attributes": [{"key": "a", "value": "raw"}]}, "an attribute's value is a text"),
        ({"startTimeUnixNano": "yesterday"}, "startTimeUnixNano: a text written like 'aaaaaaaaa'"),
        ({"startTimeUnixNano": -5}, "startTimeUnixNano: a negative time"),
        ({"events": {}}, "events is not a list of objects"),
    ],
)
def test_a_span_of_another_shape_is_quarantined_alone(ingest: Ingest, fields: dict[str, object], reason: str) -> None:
    whole = ingest(request(span({}), span({}) | fields))
    assert len(whole.interactions) == 1
    assert whole.quarantine["reason"][0].startswith(f"span 1 of the line: {reason}")


@pytest.mark.parametrize("depth", range(20, 500, 40))
def test_however_deeply_a_span_is_nested_its_neighbours_or_its_line_are_accounted_for(
    ingest: Ingest, depth: int
) -> None:
    value = '{"arrayValue":{"values":[' * depth + '{"boolValue":true}' + "]}}" * depth
    deep = span({}) | {"attributes": [{"key": "gen_ai.operation.name", "value": "HERE"}]}
    line = msgspec.json.encode(request(span({}), deep)).replace(b'"HERE"', value.encode())
    whole = ingest(line, request(span({})), source=Source("s", format="otlp"))
    assert whole.records == len(whole.interactions) + len(whole.quarantine) + whole.skipped.total()
    assert whole.interactions["record"].to_list()[-1] == whole.records - 1


def test_a_span_without_ids_is_known_by_its_content(ingest: Ingest) -> None:
    whole = ingest(request(*[span({}, traceId="", spanId="")] * 2))
    assert whole.interactions["interaction_id"].n_unique() == 2
    assert whole.interactions["source_id"].to_list() == [None, None]


def test_real_traces_give_the_rows_that_plain_json_gives(shared_data: Path) -> None:
    wanted = []
    path = shared_data / "otlp_genai_traces" / "traces.jsonl"
    for line in path.read_text().splitlines():
        for group in json.loads(line)["resourceSpans"]:
            for scoped in group["scopeSpans"]:
                wanted.extend(scoped["spans"])
    whole = read_whole(path, Source("t0"))
    assert whole.records == len(whole.interactions) == len(wanted) == 6
    assert not whole.fidelity
    for row, one in zip(whole.interactions.to_dicts(), wanted, strict=True):
        told = {pair["key"]: next(iter(pair["value"].values())) for pair in one["attributes"]}
        asked = json.loads(told["gen_ai.input.messages"])
        [answer] = json.loads(told["gen_ai.output.messages"])
        text = "".join(part["content"] for part in answer["parts"] if part["type"] == "text")
        assert row["source_id"] == f"{one['traceId']}:{one['spanId']}"
        assert row["model"] == told["gen_ai.request.model"]
        assert row["model_version"] == told["gen_ai.response.model"]
        assert row["provider"] == told["gen_ai.provider.name"]
        assert row["n_input_tokens"] == int(told["gen_ai.usage.input_tokens"])
        assert row["n_output_tokens"] == int(told["gen_ai.usage.output_tokens"])
        assert row["finish_reason"] == answer["finish_reason"]
        assert len(row["input"]) == len(asked)
        assert row["output"][0]["content"] == text
        nanoseconds = int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"])
        assert row["latency_ms"] == pytest.approx(nanoseconds / 1e6)
        calls = [part for part in answer["parts"] if part["type"] == "tool_call"]
        made = row["output"][0]["tool_calls"] or []
        assert [json.loads(call["arguments"]) for call in made] == [call["arguments"] for call in calls]


def test_the_other_real_files_repeat_the_spans_of_the_first(shared_data: Path) -> None:
    folder = shared_data / "otlp_genai_traces"
    known = read_whole(folder / "traces.jsonl", Source("t0")).interactions.select("interaction_id", "raw_sha256").rows()
    for name in ("openai_chat.jsonl", "anthropic_tool_use.jsonl"):
        rows = read_whole(folder / name, Source("t0")).interactions.select("interaction_id", "raw_sha256").rows()
        assert len(rows) == 2
        assert set(rows) <= set(known)
