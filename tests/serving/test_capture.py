"""Live capture as applications meet it: real exporters against a server that really runs."""

import json
import signal
import socket
import stat
import subprocess
import time
from datetime import date

import polars as pl
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.serving.conftest import CLW
from tests.serving.requests_of_spans import TEXTS, as_json, export, log_records, source_id

JSON = {"content_type": "application/json"}


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_of_the_real_exporter_and_feedback_on_them_become_signals(capture, place, compression):
    running = capture()
    provider = TracerProvider(resource=Resource.create({"service.name": "desk"}))
    exporter = OTLPSpanExporter(endpoint=f"{running.url}/v1/traces", compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    ids = []
    for number in range(700):
        with tracer.start_as_current_span("chat", attributes=TEXTS | {"gen_ai.conversation.id": f"c-{number}"}) as span:
            context = span.get_span_context()
            ids.append(f"{context.trace_id:032x}:{context.span_id:016x}")
    provider.shutdown()
    for target, score in ((ids[0], 1), (ids[1], -1)):
        assert running.feedback({"target": target, "name": "thumbs", "score": score}).status_code == 200
    end = running.stop()
    assert end["acknowledged"] == {"requests": 4, "spans": 700, "log_records": 0, "events": 2}
    assert end["ingested"] == {"records": 702, "new": 702, "known": 0, "skipped": 0, "quarantined": 0}
    signals = place.signals()
    assert sorted(signals["source_id"]) == sorted(ids)
    assert set(signals["app"]) == {"desk"}
    assert set(signals["answer"]) == {"On its way"}
    judged = signals.filter(pl.col("n_feedback") > 0).select("source_id", "outcome").sort("source_id").rows()
    assert judged == sorted([(ids[0], True), (ids[1], False)])


def test_a_request_in_json_over_several_lines_is_the_same_spans(capture, place):
    running = capture()
    body = json.dumps(as_json(export(1, 2)), indent=2).encode()
    told = running.post("/v1/traces", body, **JSON)
    assert (told.status_code, told.headers["content-type"], told.json()) == (200, "application/json", {})
    assert running.traces(export(2, 3).SerializeToString()).status_code == 200
    end = running.stop()
    assert end["ingested"] == {"records": 4, "new": 3, "known": 1, "skipped": 0, "quarantined": 0}
    assert sorted(place.read("interactions")["source_id"]) == [source_id(n) for n in (1, 2, 3)]


def test_log_records_are_taken_in_both_encodings(capture):
    running = capture()
    protobuf = {"content_type": "application/x-protobuf"}
    assert running.post("/v1/logs", log_records("a", "b").SerializeToString(), **protobuf).status_code == 200
    assert running.post("/v1/logs", json.dumps(MessageToDict(log_records("c"))).encode(), **JSON).json() == {}
    end = running.stop()
    assert end["acknowledged"]["log_records"] == 3
    assert end["ingested"]["records"] > 0


def test_a_request_of_many_megabytes_is_read_whole(capture, place):
    running = capture()
    large = TEXTS | {"note": "x" * 300_000}
    assert running.traces(export(*range(1, 61), texts=large).SerializeToString()).status_code == 200
    assert running.stop()["ingested"]["new"] == 60
    assert set(place.read("interactions")["attributes"].str.len_bytes() > 300_000) == {True}


def test_events_are_taken_as_an_object_a_list_or_lines_and_told_their_ids(capture, place):
    running = capture()
    one = {"target": source_id(1), "name": "thumbs", "score": 1, "id": "e-1", "at": "2026-03-01T10:00:00Z"}
    assert running.feedback(one).json() == {"accepted": 1, "ids": ["e-1"]}
    assert running.feedback(one).json() == {"accepted": 1, "ids": ["e-1"]}
    two = {"target": source_id(2), "name": "copied"}
    told = running.feedback(two, two).json()
    assert told["accepted"] == len(set(told["ids"])) == 2
    lines = json.dumps({"target": "t-1", "target_kind": "trace", "name": "edited", "improvement": "Soon"}) + "\n\n"
    bearer = f"Bearer {running.token}"
    told = running.post("/v1/feedback", lines.encode(), content_type="application/x-ndjson", authorization=bearer)
    assert told.json()["accepted"] == 1
    assert running.stop()["ingested"] == {"records": 5, "new": 4, "known": 1, "skipped": 0, "quarantined": 0}
    kept = place.read("feedback")
    assert sorted(kept["name"]) == ["copied", "copied", "edited", "thumbs"]
    assert kept["at"].null_count() == 0
    assert kept.filter(name="edited")["target_id"].to_list() == ["t-1"]


def test_a_source_feedback_of_ones_own_says_what_the_fields_are_called(capture, place):
    settings = place.folder / "clw.toml"
    settings.write_text(
        settings.read_text()
        + '[sources.feedback]\nformat = "mapping"\nrecord = "feedback"\ntarget_source = "openai"\n'
        + 'columns = { ticket = "target", event = "id" }\nconstants = { name = "reopened", score = -1 }\n'
    )
    running = capture()
    assert running.feedback({"ticket": "c-2", "event": "e-7", "actor": "ann"}).json()["ids"] == ["e-7"]
    running.stop()
    kept = place.read("feedback").row(0, named=True)
    assert (kept["name"], kept["score"], kept["source"]) == ("reopened", -1.0, "feedback")
    assert kept["target_id"] == place.pseudonyms.id("openai", "c-2")
    assert kept["actor_key"] == place.pseudonyms.user("ann")


def test_a_file_that_is_called_like_a_module_is_never_run(capture, place, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("polars", "msgspec", "json"):
        (data / f"{name}.py").write_text("raise SystemExit('a data file was run')")
    running = capture(cwd=data)
    running.traces(export(1).SerializeToString())
    assert running.stop()["ingested"]["new"] == 1


def test_ids_and_times_that_stand_deeper_in_an_event_are_found_or_put_there(capture, place):
    settings = place.folder / "clw.toml"
    settings.write_text(
        settings.read_text()
        + '[sources.feedback]\nformat = "mapping"\nrecord = "feedback"\n'
        + 'columns = { "meta.id" = "id", "meta.time" = "at" }\n'
    )
    running = capture()
    event = {"target": source_id(1), "name": "thumbs", "score": 1}
    given = event | {"meta": {"id": "e-1", "time": "2026-03-01T10:00:00Z"}}
    as_text = event | {"meta": json.dumps({"id": "e-2", "time": "2026-03-01T10:00:00Z"})}
    told = running.feedback(given, as_text, event | {"meta": {"app": "desk"}}).json()["ids"]
    assert told[:2] == ["e-1", "e-2"]
    running.stop()
    kept = place.read("feedback")
    assert set(kept["feedback_id"]) == {place.pseudonyms.id("feedback", "feedback", own_id) for own_id in told}
    assert kept.filter(pl.col("at").dt.date() == date(2026, 3, 1)).height == 2


def test_nothing_of_the_texts_is_left_in_the_spool_and_nobody_else_could_read_it(capture, place):
    with place.lease("ingest otlp", "ingest"):
        running = capture()
        running.traces(export(1).SerializeToString())
        held = list((place.folder / "spool").iterdir())
        assert [stat.S_IMODE(path.stat().st_mode) for path in held] == [0o600] * len(held)
        assert stat.S_IMODE((place.folder / "spool").stat().st_mode) == 0o700
        assert any(b"Where is my card" in path.read_bytes() for path in held)
    running.stop()
    assert list((place.folder / "spool").iterdir()) == []
    assert place.counts()["interactions"] == 1


def test_what_is_captured_is_redacted_before_it_enters_the_tables(capture, place):
    running = capture()
    said = '[{"role": "user", "parts": [{"type": "text", "content": "I am jane.roe@example.com"}]}]'
    running.traces(export(1, texts=TEXTS | {"gen_ai.input.messages": said}).SerializeToString())
    running.feedback({"target": source_id(1), "name": "note", "comment": "call jane.roe@example.com"})
    running.stop()
    on_disk = b"".join(path.read_bytes() for path in place.folder.rglob("*") if path.is_file())
    assert b"jane.roe" not in on_disk
    assert place.counts()["interactions"] == place.counts()["feedback"] == 1


def test_the_token_is_made_once_and_lies_outside_the_workspace_for_its_owner_only(capture, place):
    first = capture()
    token, file = first.token, first.token_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert place.folder not in file.parents
    assert token not in "".join(first.said)
    first.stop()
    second = capture()
    assert second.token == token
    second.stop()


def refused(place, *options: str) -> str:
    command = [*CLW, "capture", "--workspace", str(place.folder), *options]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_a_second_capture_of_a_workspace_is_refused_with_the_first_one_named(capture, place):
    running = capture()
    assert f"held by process {running.process.pid}" in refused(place, "--port", "0")
    assert running.traces(export(1).SerializeToString()).status_code == 200
    running.stop()


def test_a_port_that_is_taken_is_told_with_the_way_out(place):
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = refused(place, "--port", str(other.getsockname()[1]))
    assert "--port N" in said


def test_a_token_that_others_may_read_is_refused(capture, place):
    running = capture()
    running.stop()
    running.token_file.chmod(0o644)
    assert "chmod 600" in refused(place, "--port", "0")


def test_a_second_ctrl_c_leaves_the_rest_to_the_next_capture(capture, place):
    running = capture()
    with place.lease("ingest otlp", "ingest"):
        running.traces(export(1).SerializeToString())
        running.process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert running.process.poll() is None
        end = running.stop()
    assert (end["waiting"], end["ingested"]["records"]) == (1, 0)
    assert capture().stop()["ingested"]["new"] == 1


@pytest.mark.parametrize(("name", "says"), [("desk", "Declare"), ("chats", "'openai'")])
def test_a_source_that_spans_cannot_be_read_as_is_told(place, name, says):
    settings = place.folder / "clw.toml"
    settings.write_text(settings.read_text() + '[sources.chats]\nformat = "openai"\n')
    assert says in refused(place, "--port", "0", "--source", name)


@pytest.mark.parametrize(("declared", "says"), [('format = "openai"', "record"), ('format = "mapping"', "feedback")])
def test_a_source_feedback_that_is_something_else_is_told(place, declared, says):
    settings = place.folder / "clw.toml"
    settings.write_text(settings.read_text() + f"[sources.feedback]\n{declared}\n")
    assert says in refused(place, "--port", "0")
