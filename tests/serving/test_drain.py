"""A closed log into the tables: once, whole, and what cannot be read kept."""

import asyncio
import json
import os
import stat
from pathlib import Path

import polars as pl
import pytest

from clworkbench.serving import otlp_lines
from clworkbench.serving.drain import LiveWorkspace, drain
from clworkbench.serving.spool import Frame, Kind, Spool
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
    unread = log.parent / "unread" / log.with_suffix(".otlp.jsonl").name
    seen = []

    def sync() -> None:
        written = pl.read_delta(str(place.folder / "tables" / "interactions")).height
        seen.append((written, place.counts()["interactions"], unread.exists(), log.exists()))

    monkeypatch.setattr(os, "sync", sync)
    drain(LiveWorkspace(place.folder, "otlp"), log, "otlp")
    assert seen[0] == (2, 0, False, True)
    assert seen[-1] == (2, 2, True, True)
    assert not log.exists()


def test_spans_go_into_the_source_that_is_asked_for(place):
    drain(LiveWorkspace(place.folder, "desk"), closed_log(place.folder, spans(1)), "desk")
    assert place.read("interactions")["source"].to_list() == ["desk"]


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
