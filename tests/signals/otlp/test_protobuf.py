"""Requests in protobuf give the rows of the same requests in JSON, from the files that a collector writes."""

import gzip
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from clworkbench.settings import Source
from clworkbench.signals.otlp.protobuf import json_lines, signal_of
from clworkbench.signals.recognise import detect
from clworkbench.signals.values import Unreadable
from tests.signals.whole import Whole, read_whole

Ingest = Callable[..., Whole]
SAID = '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def request(number: int = 1) -> ExportTraceServiceRequest:
    """A request with a value of every kind."""
    parts = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="stop"), AnyValue(int_value=2)]))
    inner = AnyValue(kvlist_value=KeyValueList(values=[text("a", "b")]))
    attributes = [
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.input.messages", SAID),
        KeyValue(key="gen_ai.usage.input_tokens", value=AnyValue(int_value=7)),
        KeyValue(key="gen_ai.response.finish_reasons", value=parts),
        KeyValue(key="gen_ai.request.temperature", value=AnyValue(double_value=0.25)),
        KeyValue(key="app.flag", value=AnyValue(bool_value=False)),
        KeyValue(key="app.inner", value=inner),
        KeyValue(key="app.bytes", value=AnyValue(bytes_value=b"\x00\xff")),
    ]
    span = Span(
        trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"),
        span_id=number.to_bytes(8),
        parent_span_id=bytes.fromhex("eee19b7ec3c1b173"),
        trace_state="a=b",
        flags=257,
        name="chat m",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=1_704_067_200_000_000_000,
        end_time_unix_nano=1_704_067_200_250_000_000,
        attributes=attributes,
        dropped_attributes_count=3,
        events=[Span.Event(time_unix_nano=5, name="e", attributes=[text("k", "v")])],
        links=[Span.Link(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, attributes=[text("why", "retry")])],
        status=Status(code=Status.STATUS_CODE_ERROR, message="no"),
    )
    scoped = ScopeSpans(spans=[span], schema_url="https://opentelemetry.io/schemas/1.39.0")
    scoped.scope.name, scoped.scope.version = "lib", "1"
    group = ResourceSpans(scope_spans=[scoped])
    group.resource.attributes.append(text("service.name", "desk"))
    return ExportTraceServiceRequest(resource_spans=[group])


def framed(*records: bytes) -> bytes:
    return b"".join(len(record).to_bytes(4) + record for record in records)


def packed(raw: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


def rows(whole: Whole) -> list[dict[str, object]]:
    return whole.interactions.drop("record").sort("interaction_id").to_dicts()


def read_bytes(path: Path, data: bytes, format_: str = "auto") -> Whole:
    path.write_bytes(data)
    return read_whole(path, Source("desk", format=format_))


def test_a_message_gives_the_row_of_its_protobuf_json(ingest: Ingest, tmp_path: Path) -> None:
    by_google = json_format.MessageToJson(request(), indent=None)
    for name, raw in (("traceId", "5b8efff798038103d269b633813fc60c"), ("spanId", "0000000000000001")):
        assert f'"{name}": "{raw}"' not in by_google  # generic protobuf JSON has ids in base64
    [wanted] = rows(ingest(by_google.encode()))
    [row] = rows(read_bytes(tmp_path / "traces.binpb", request().SerializeToString()))
    assert row == wanted
    assert (row["trace_id"], row["error"]) == ("5b8efff798038103d269b633813fc60c", "no")
    attributes = msgspec.json.decode(row["attributes"])
    assert (attributes["app.flag"], attributes["app.inner"]) == (False, {"a": "b"})
    assert attributes["app.bytes"] == "AP8="
    assert attributes["otel.span"]["links"][0]["traceId"] == "01" * 16
    assert attributes["otel.schema"] == "https://opentelemetry.io/schemas/1.39.0"


@pytest.mark.parametrize(
    "layout", ["lengths", "zstd", "json in zstd", "json with lengths", "gzip", "one message", "zst"]
)
def test_each_way_of_the_collectors_file_exporter_gives_the_same_rows(tmp_path: Path, layout: str) -> None:
    requests = [request(number) for number in (1, 2, 3)]
    binary = [one.SerializeToString() for one in requests]
    written = {
        "lengths": framed(*binary),
        "zstd": framed(*map(packed, binary)),
        "json in zstd": framed(*(packed(json_lines(one, "traces")) for one in binary)),
        "json with lengths": framed(*(json_lines(one, "traces") for one in binary)),
        "gzip": gzip.compress(framed(*binary)),
        "one message": b"".join(binary),
        "zst": packed(framed(*binary)),
    }[layout]
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(b"\n".join(json_lines(one, "traces") for one in binary) + b"\n")
    whole = read_bytes(tmp_path / "traces.bin", written)
    assert rows(whole) == rows(read_whole(plain, Source("desk")))
    assert (whole.records, whole.quarantine.height) == (3, 0)
    told = detect(tmp_path / "traces.bin")
    json_inside = layout.startswith("json")
    reason = "a JSON object with resourceSpans" if json_inside else "a protobuf message of OTLP traces"
    assert told == ("otlp", reason)


def test_logs_and_metrics_are_told_from_traces(tmp_path: Path) -> None:
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add()
    record.time_unix_nano, record.trace_id, record.span_id = 5, b"\x01" * 16, b"\x02" * 8
    record.event_name = "gen_ai.user.message"
    record.body.kvlist_value.values.append(text("content", "hi"))
    metric = Metric(name="gen_ai.client.token.usage", gauge=Gauge())
    metrics = MetricsData(resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[metric])])])
    whole = read_bytes(tmp_path / "all.bin", framed(logs.SerializeToString(), metrics.SerializeToString()))
    assert [row["input"][0]["content"] for row in whole.interactions.to_dicts()] == ["hi"]
    assert whole.skipped == {"OTLP metrics, no traces": 1}
    assert [signal_of(one.SerializeToString()) for one in (logs, metrics, request())] == ["logs", "metrics", "traces"]


def test_bytes_that_are_no_message_are_refused_in_words() -> None:
    with pytest.raises(Unreadable, match="no protobuf message of OTLP"):
        signal_of(b"\n\xff\xff")
    with pytest.raises(Unreadable, match="not a valid protobuf message of OTLP traces"):
        json_lines(b"\n\xff\xff", "traces")


def test_numbers_that_json_cannot_hold_are_told_as_texts() -> None:
    attributes = [KeyValue(key=str(n), value=AnyValue(double_value=n)) for n in (float("nan"), float("-inf"))]
    one = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(attributes=attributes)])])]
    )
    [span] = msgspec.json.decode(json_lines(one.SerializeToString(), "traces"))["resourceSpans"][0]["scopeSpans"][0][
        "spans"
    ]
    assert [pair["value"]["doubleValue"] for pair in span["attributes"]] == ["NaN", "-Infinity"]


def test_what_is_damaged_is_quarantined_and_its_neighbours_are_read(tmp_path: Path) -> None:
    good = request().SerializeToString()
    zstd = packed(request(2).SerializeToString())
    damaged = framed(good, b"\n\xff\xff", zstd[:-4], request(3).SerializeToString()) + b"\x00\x00\x10\x00half"
    whole = read_bytes(tmp_path / "a.bin", damaged)
    assert len(whole.interactions) == 2
    assert whole.quarantine["reason"].to_list() == [
        "no protobuf message of OTLP",
        "packed with zstd, and damaged",
        "cut off: 4 of its 4096 bytes are there",
    ]
    assert whole.records == 5
    assert whole.quarantine["offset"].to_list()[0] == 4 + len(good) + 4


def test_a_message_that_is_cut_off_keeps_what_is_whole(tmp_path: Path) -> None:
    both = request(1).SerializeToString() + request(2).SerializeToString()
    path = tmp_path / "a.bin"
    path.write_bytes(framed(both)[4:-5])
    whole = read_whole(path, Source("desk", format="otlp"))
    assert whole.records == len(whole.interactions) + len(whole.quarantine)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.floats(0.5, 1),
)
def test_whatever_bytes_are_changed_every_record_is_accounted_for(
    tmp_path: Path, changes: list[tuple[float, int]], cut: float
) -> None:
    good = [request(1).SerializeToString(), packed(request(2).SerializeToString()), request(3).SerializeToString()]
    data = bytearray(framed(*good))
    for place, byte in changes:
        data[int(place * len(data))] = byte
    data[:6] = framed(*good)[:6]
    whole = read_bytes(tmp_path / "a.bin", bytes(data[: int(cut * len(data))]), "otlp")
    assert whole.records == len(whole.interactions) + len(whole.quarantine) + whole.skipped.total()
