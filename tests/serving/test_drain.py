"""A closed log into the tables: once, whole, and what cannot be read kept."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest
from deltalake import DeltaTable

from clworkbench.loop.signals.capture import ingest
from clworkbench.serving import otlp_lines
from clworkbench.serving.drain import LiveWorkspace, drain
from clworkbench.serving.spool import Frame, Kind, Spool
from clworkbench.workspace import compaction
from tests.serving.requests_of_spans import TEXTS, as_json, export, source_id


def closed_log(folder: Path, *frames: Frame) -> Path:
    async def add() -> Path:
        spool = Spool(folder / "spool", 1 << 30)
        for frame in frames:
            await spool.add(frame.kind, frame.body)
        return (await spool.seal())[-1]

    return asyncio.run(add())


def spans(*numbers: int, kind: Kind = "traces") -> Frame:
    request = export(*numbers)
    return Frame(kind, request.SerializeToString() if kind == "traces" else json.dumps(as_json(request)).encode())


def test_a_log_of_both_encodings_and_of_events_is_read_and_deleted(place):
    event = Frame("events", b'{"target": "a", "name": "thumbs", "score": 1, "id": "e"}')
    log = closed_log(place.folder, spans(1, 2), event, spans(3, kind="json"))
    report = drain(LiveWorkspace(place.folder, "otlp"), log, "otlp")
    assert (report.records, report.new) == (4, 4)
    assert sorted(place.read("interactions")["source_id"]) == [source_id(number) for number in (1, 2, 3)]
    assert list(log.parent.iterdir()) == []


def test_a_log_that_was_read_but_not_deleted_adds_nothing(place):
    log = closed_log(place.folder, spans(1, 2))
    held = log.read_bytes()
    drain(LiveWorkspace(place.folder, "otlp"), log, "otlp")
    log.write_bytes(held)
    report = drain(LiveWorkspace(place.folder, "otlp"), log, "otlp")
    assert (report.new, report.known) == (0, 2)
    assert place.counts()["interactions"] == 2


def test_a_log_that_another_has_read_meanwhile_is_told_and_leaves_nothing_behind(place):
    log = closed_log(place.folder, spans(1))
    drain(LiveWorkspace(place.folder, "otlp"), log, "otlp")
    with pytest.raises(FileNotFoundError):
        drain(LiveWorkspace(place.folder, "otlp"), log, "otlp")
    assert list(log.parent.iterdir()) == []


def test_rows_are_synced_before_they_count_and_all_is_before_the_log_is_deleted(place, monkeypatch):
    log = closed_log(place.folder, spans(1, 2), Frame("json", b'{"resourceSpans": 5}'))
    live = LiveWorkspace(place.folder, "otlp")
    table, counted, there, fsync = place.folder / "tables" / "interactions", {}, [], os.fsync

    def spy(file: int) -> None:
        counted[os.fstat(file).st_ino] = place.counts()["interactions"]
        there.append(log.exists())
        fsync(file)

    monkeypatch.setattr(os, "fsync", spy)
    drain(live, log, "otlp")
    files = [*map(Path, DeltaTable(str(table)).file_uris()), table / "_delta_log" / f"{1:020d}.json", table]
    assert [counted[path.stat().st_ino] for path in files] == [0, 0, 0]
    unread = log.parent / "unread" / log.with_suffix(".otlp.jsonl").name
    assert counted[unread.stat().st_ino] == 2
    assert all(there)
    assert not log.exists()


def test_spans_go_into_the_source_that_is_asked_for(place):
    drain(LiveWorkspace(place.folder, "desk"), closed_log(place.folder, spans(1)), "desk")
    assert place.read("interactions")["source"].to_list() == ["desk"]


def test_a_log_of_known_spans_adds_nothing_whoever_has_read_them_meanwhile(place, tmp_path):
    live = LiveWorkspace(place.folder, "otlp")
    drain(live, closed_log(place.folder, spans(1, 2)), "otlp")
    file = tmp_path / "traces.jsonl"
    file.write_bytes(spans(2, 3, kind="json").body + b"\n")
    assert ingest(place, file, "otlp").new == 1
    report = drain(live, closed_log(place.folder, spans(1, 2, 3, 4)), "otlp")
    assert (report.new, report.known) == (1, 3)
    assert sorted(place.read("interactions")["source_id"]) == [source_id(number) for number in (1, 2, 3, 4)]


def test_keys_that_are_held_are_not_read_again(place, monkeypatch):
    live = LiveWorkspace(place.folder, "otlp")
    drain(live, closed_log(place.folder, spans(1, 2)), "otlp")
    read = []
    monkeypatch.setattr(live.tables, "scan", lambda name, _: read.append(name))
    report = drain(live, closed_log(place.folder, spans(2, 3)), "otlp")
    assert (report.new, report.known, read) == (1, 1, [])


def test_logs_leave_no_trace_among_the_known_files(place):
    live = LiveWorkspace(place.folder, "otlp")
    for number in range(3):
        drain(live, closed_log(place.folder, spans(number + 1)), "otlp")
    assert place.catalog.query("select count(*) from files") == [(0,)]


def test_many_small_logs_leave_few_files(place, monkeypatch):
    monkeypatch.setattr(compaction, "MOST_FILES", {1 << 20: 5})
    live = LiveWorkspace(place.folder, "otlp")
    for number in range(1, 24):
        drain(live, closed_log(place.folder, spans(number)), "otlp")
    files = DeltaTable(str(place.folder / "tables" / "interactions")).file_uris()
    assert len(files) <= 6
    rows = place.read("interactions").sort("seq")
    assert rows["source_id"].to_list() == [source_id(number) for number in range(1, 24)]


def test_what_ingest_cannot_read_is_kept_for_its_owner_only(place):
    bad = b'{"resourceSpans": 5}'
    log = closed_log(place.folder, spans(1), Frame("json", bad), spans(2))
    report = drain(LiveWorkspace(place.folder, "otlp"), log, "otlp")
    assert (report.new, report.quarantined) == (2, 1)
    (kept,) = (place.folder / "spool" / "unread").iterdir()
    assert kept.read_bytes() == bad + b"\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_large_request_becomes_several_lines_of_all_its_spans():
    request = export(*range(1, 41), texts=TEXTS | {"note": "x" * 500_000})
    made = [json.loads(line) for line in otlp_lines.lines(request.SerializeToString(), "traces")]
    assert len(made) > 1
    ids = [span["spanId"] for line in made for span in line["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert ids == [f"{number:016x}" for number in range(1, 41)]
