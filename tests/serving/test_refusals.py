"""What the server does not take, and how it says so: each with the status and the shape that OTLP demands."""

import gzip
import json
import resource
import socket
import time
import zlib

import httpx
import psutil
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from clworkbench.serving.bodies import MOST_BYTES
from tests.serving.requests_of_spans import TEXTS, as_json, export, source_id

PROTOBUF, JSON = "application/x-protobuf", "application/json"
GOOD = export(1).SerializeToString()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One server for all requests that leave no trace."""
    from clworkbench.workspace import Workspace
    from tests.serving.conftest import Running

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(tmp_path_factory.mktemp("config")))
        place = Workspace.create(tmp_path_factory.mktemp("place") / "w")
        started = Running(place.folder, ())
    yield started
    end = started.stop()
    assert end["acknowledged"]["spans"] == end["ingested"]["records"]
    started.client.close()
    started.process.stdout.close()
    started.process.stderr.close()


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/v1/traces", {"content_type": "text/plain"}, b"{}", 415),
        ("/v1/traces", {"content_type": "application/x-www-form-urlencoded"}, b"a=1", 415),
        ("/v1/traces", {"content_type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ("/v1/traces", {}, b"{}", 415),
        ("/v1/traces", {"content_type": "application/json; charset=latin-1"}, b"{}", 415),
        ("/v1/traces", {"content_type": JSON, "content_encoding": "deflate"}, zlib.compress(b"{}"), 415),
        ("/v1/traces", {"content_type": JSON, "content_encoding": "gzip"}, b"{}", 400),
        ("/v1/traces", {"content_type": JSON, "content_encoding": "gzip"}, gzip.compress(b"{}", mtime=0)[:-4], 400),
        ("/v1/traces", {"content_type": JSON}, b"{half", 400),
        ("/v1/traces", {"content_type": JSON}, b"[]", 400),
        ("/v1/traces", {"content_type": JSON}, b'{"resourceMetrics": []}', 400),
        ("/v1/traces", {"content_type": JSON}, b'{"resourceSpans": [{"scopeSpans": 1}]}', 400),
        ("/v1/traces", {"content_type": JSON}, b'{"resourceSpans": ' + b"[" * 100_000, 400),
        ("/v1/traces", {"content_type": JSON}, b'{"\xff": 1}', 400),
        ("/v1/traces", {"content_type": PROTOBUF}, b"not protobuf", 400),
        ("/v1/traces", {"content_type": PROTOBUF}, GOOD[:-3], 400),
        ("/v1/logs", {"content_type": JSON}, b'{"resourceSpans": []}', 400),
        ("/v1/metrics", {"content_type": PROTOBUF}, b"", 404),
        ("/", {"content_type": JSON}, b"{}", 404),
        ("/v1/traces/", {"content_type": JSON}, b"{}", 404),
        ("/v1/traces/", {"content_type": JSON, "host": "evil.example"}, b"{}", 421),
        ("/v1/feedback", {"content_type": JSON}, b"{}", 401),
        ("/v1/feedback", {"content_type": JSON, "authorization": "Bearer wrong"}, b"{}", 401),
        ("/v1/feedback", {"content_type": JSON, "authorization": "Basic YTpi"}, b"{}", 401),
        ("/v1/feedback", {"content_type": JSON, "authorization": "Bearer \u00e9"}, b"{}", 401),
        ("/v1/traces", {"content_type": JSON, "host": "evil.example:4318"}, b"{}", 421),
        ("/v1/traces", {"content_type": JSON, "host": "127.0.0.1.evil.example"}, b"{}", 421),
    ],
)
def test_a_request_that_is_refused_gets_its_status_and_a_message_in_its_own_encoding(
    running, path, headers, body, status
):
    told = running.post(path, body, **headers)
    assert told.status_code == status, told.content
    if headers.get("content_type") == PROTOBUF:
        assert told.headers["content-type"] == PROTOBUF
        assert Status.FromString(told.content).message
    else:
        assert told.headers["content-type"] == JSON
        assert told.json()["message"]


@pytest.mark.parametrize("host", ["localhost:4318", "127.0.0.1", "[::1]:4318", "LOCALHOST"])
def test_the_names_of_this_machine_are_answered(running, host):
    assert running.post("/v1/traces", b"{}", content_type=JSON, host=host).status_code == 200


def test_browsers_are_given_no_way_in(running):
    asked = running.client.options(
        "/v1/traces", headers={"origin": "http://a.example", "access-control-request-method": "POST"}
    )
    posted = running.post("/v1/traces", b"{}", content_type=JSON, origin="http://a.example")
    assert asked.status_code == 405
    assert [name for told in (asked, posted) for name in told.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("members", [1, 4])
def test_a_gzip_bomb_stops_at_the_limit(running, members):
    packed = gzip.compress(bytes(2 * MOST_BYTES // members), 1) * members
    assert len(packed) < MOST_BYTES // 100
    told = running.post("/v1/traces", packed, content_type=PROTOBUF, content_encoding="gzip")
    assert told.status_code == 413
    assert "batches" in Status.FromString(told.content).message


def nested_in_a_span(piece: bytes) -> bytes:
    """A request whose only span is made of a piece again and again."""
    inner = piece * (MOST_BYTES // 2 // len(piece))
    for tag in (b"\x12", b"\x12", b"\x0a"):
        length, varint = len(inner), bytearray()
        while length > 0x7F:
            varint.append(length & 0x7F | 0x80)
            length >>= 7
        inner = tag + bytes([*varint, length]) + inner
    return inner


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        (PROTOBUF, b"\x00" * (MOST_BYTES // 2), 400),
        (PROTOBUF, b"\x08\x00" * (MOST_BYTES // 4), 413),
        (PROTOBUF, b"\x0a\x00" * (MOST_BYTES // 4), 413),
        (PROTOBUF, nested_in_a_span(b"\x4a\x00"), 413),
        (JSON, b'{"resourceSpans": [' + b"{}," * (MOST_BYTES // 6) + b"{}]}", 413),
    ],
    ids=["zeros", "unknown fields", "groups", "attributes", "objects"],
)
def test_a_bomb_of_tiny_fields_takes_neither_long_nor_much_memory(running, media, body, status):
    before = psutil.Process(running.process.pid).memory_info().rss
    began = time.monotonic()
    told = running.post("/v1/traces", gzip.compress(body, 1), content_type=media, content_encoding="gzip")
    assert told.status_code == status
    assert time.monotonic() - began < 20
    assert psutil.Process(running.process.pid).memory_info().rss - before < 5 * MOST_BYTES


def test_a_body_over_the_limit_is_refused_by_its_length_before_it_is_read(running):
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        head = ["POST /v1/traces HTTP/1.1", "Host: localhost", f"Content-Type: {PROTOBUF}"]
        wire.sendall("\r\n".join([*head, f"Content-Length: {MOST_BYTES + 1}", "", ""]).encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 413")


def test_a_sender_that_goes_away_in_the_middle_is_refused_without_a_traceback(capture):
    running = capture()
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        head = ["POST /v1/traces HTTP/1.1", "Host: localhost", f"Content-Type: {PROTOBUF}", "Content-Length: 1000"]
        wire.sendall("\r\n".join([*head, "", "half of it"]).encode())
        time.sleep(0.3)
    time.sleep(0.3)
    assert running.stop()["refused"] == 1
    assert "Traceback" not in "".join(running.said)


def test_a_body_over_the_limit_that_names_no_length_is_cut_off(running):
    piece = bytes(1 << 20)
    with httpx.Client(base_url=running.url, timeout=60) as client:
        told = client.post("/v1/traces", content=(piece for _ in range(70)), headers={"content-type": PROTOBUF})
    assert told.status_code == 413


def test_spans_that_cannot_be_read_are_rejected_and_the_others_kept(running):
    body = export(11, 12, 13)
    spans = body.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id = bytes(16)
    spans[2].span_id = b"short"
    told = ExportTraceServiceResponse.FromString(running.traces(body.SerializeToString()).content)
    assert told.partial_success.rejected_spans == 2
    assert "2 of 3 not kept" in told.partial_success.error_message


def test_one_text_with_broken_utf8_does_not_cost_the_whole_batch(running):
    body = export(21, 22, 23, texts=TEXTS | {"note": "@@@"}).SerializeToString().replace(b"@@@", b"\xff\xfe\xfd", 1)
    told = ExportTraceServiceResponse.FromString(running.traces(body).content)
    assert told.partial_success.rejected_spans == 1
    assert "UTF-8" in told.partial_success.error_message


@pytest.mark.parametrize(
    "wrong",
    [
        {"traceId": ""},
        {"traceId": "0" * 32},
        {"spanId": "xyz"},
        {"attributes": "none"},
        {"attributes": [{"key": "a", "value": 1}]},
        {"startTimeUnixNano": "soon"},
        {"events": [7]},
    ],
)
def test_a_span_in_json_that_cannot_be_read_is_rejected(running, wrong):
    body = as_json(export(31, 32))
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][1] |= wrong
    told = running.post("/v1/traces", json.dumps(body).encode(), content_type=JSON).json()
    assert told["partialSuccess"]["rejectedSpans"] == "1"
    assert told["partialSuccess"]["errorMessage"].startswith("1 of 2 not kept")


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"name": "thumbs"}, "names no target"),
        ({"target": "a", "name": "thumbs", "kind": "shrug"}, "kind"),
        ({"target": "a", "name": "thumbs", "at": "yesterday"}, "at"),
        ({"target": "a", "name": "thumbs", "target_kind": "user"}, "target_kind"),
        (7, "not an object"),
        ([], "no event"),
        ([{"target": "a", "name": "n"}, {"name": "n"}], "event 2"),
    ],
)
def test_an_event_that_cannot_be_read_is_told_at_once_and_nothing_of_its_body_kept(running, event, says):
    told = running.feedback(event)
    assert told.status_code == 400
    assert says in told.json()["message"]


def test_beyond_localhost_all_need_the_token_and_only_named_hosts_are_answered(capture):
    running = capture("--allow-host", "collector.internal")
    body, there = b"{}", {"content_type": JSON, "host": "collector.internal:4318"}
    assert running.post("/v1/traces", body, **there).status_code == 401
    told = running.post("/v1/traces", body, **there, authorization=f"bearer {running.token}")
    assert told.status_code == 200
    assert running.post("/v1/traces", body, content_type=JSON).status_code == 401
    running.stop()


def test_a_full_spool_pushes_back_and_takes_again_when_ingest_has_caught_up(capture, place):
    large = {**TEXTS, "note": "x" * 300_000}
    taken = []
    with place.lease("ingest otlp", "ingest"):
        running = capture("--spool-mb", "1")
        for number in range(1, 6):
            told = running.traces(export(number, texts=large).SerializeToString())
            if told.status_code == 200:
                taken.append(source_id(number))
        assert told.status_code == 429
        assert int(told.headers["retry-after"]) > 0
        assert len(taken) == 3
    for _ in range(100):
        if running.traces(export(6, texts=large).SerializeToString()).status_code == 200:
            break
        time.sleep(0.1)
    else:
        pytest.fail("it never took again")
    running.stop()
    assert sorted(place.read("interactions")["source_id"]) == [*taken, source_id(6)]


def test_what_the_disk_does_not_take_is_never_acknowledged(capture, place):
    """A limit on file sizes stands in for a full disk: writing fails after some bytes."""
    limit = 1_000_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    running = capture(preexec_fn=small_files)
    assert running.traces(export(1).SerializeToString()).status_code == 200
    told = running.traces(export(2, texts=TEXTS | {"note": "x" * 2 * limit}).SerializeToString())
    assert told.status_code == 503
    assert int(told.headers["retry-after"]) > 0
    assert "nothing of this was kept" in Status.FromString(told.content).message
    assert running.traces(export(3).SerializeToString()).status_code == 200
    assert running.stop()["acknowledged"]["spans"] == 2
    assert sorted(place.read("interactions")["source_id"]) == [source_id(1), source_id(3)]
