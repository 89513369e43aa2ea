"""Ingest as a user meets it: counts that add up, nothing twice, a kill at the worst moment."""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import psutil
import pytest

from clworkbench.errors import LeaseError, SettingsError, SourceError
from clworkbench.loop.signals import capture
from clworkbench.loop.signals.capture import ingest, preview
from clworkbench.loop.status import status
from clworkbench.schemas import KEYS
from clworkbench.signals import cores
from clworkbench.workspace import Workspace

TABLES = ("interactions", "feedback", "quarantine")


def chat(number: int, answer: str = "Hello", **more: object) -> str:
    messages = [{"role": "user", "content": f"Question {number}"}, {"role": "assistant", "content": answer}]
    return json.dumps(
        {"id": f"c-{number}", "created": 1_770_000_000 + number, "model": "m", "messages": messages} | more
    )


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def add_up(report) -> bool:
    return report.records == report.new + report.known + report.skipped + report.quarantined


def test_good_bad_and_double_records_are_counted_and_add_up(workspace, tmp_path):
    file = write(tmp_path / "a.jsonl", chat(1), "{half", chat(2), chat(1), "[]")
    report = ingest(workspace, [file], "openai")
    assert (report.records, report.new, report.known, report.quarantined) == (5, 2, 1, 2)
    assert add_up(report)
    assert report.tables == {"interactions": 2, "feedback": 0, "quarantine": 2}
    assert workspace.read("quarantine").filter(pl.col("reason") == "").is_empty()


def test_a_file_read_before_adds_nothing_and_its_records_are_known(workspace, tmp_path):
    file = write(tmp_path / "a.jsonl", chat(1), "{half", chat(2))
    ingest(workspace, [file], "openai")
    before = workspace.counts()
    report = ingest(workspace, [file], "openai")
    assert (report.new, report.known, report.quarantined) == (0, 2, 1)
    assert add_up(report)
    assert workspace.counts() == before


def test_a_log_that_grew_adds_only_what_is_new(workspace, tmp_path):
    ingest(workspace, [write(tmp_path / "a.jsonl", chat(1))], "openai")
    report = ingest(workspace, [write(tmp_path / "a.jsonl", chat(1), chat(2))], "openai")
    assert (report.new, report.known) == (1, 1)


def test_a_log_that_grew_is_read_from_where_it_ended(workspace, tmp_path, monkeypatch):
    parsed = []
    read = capture.read_on_cores
    monkeypatch.setattr(
        capture, "read_on_cores", lambda *args, **more: parsed.append(more["start"]) or read(*args, **more)
    )
    log = write(tmp_path / "a.jsonl", chat(1), "{half", chat(2))
    first = log.stat().st_size
    ingest(workspace, log, "openai")
    for number in (3, 4):
        log.write_text(log.read_text() + chat(number) + "\n")
        report = ingest(workspace, log, "openai")
        assert (report.records, report.new, report.known, report.quarantined) == (number + 1, 1, number - 1, 1)
    assert parsed == [0, first, log.stat().st_size - len(chat(4)) - 1]
    assert workspace.counts()["interactions"] == 4


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(chat(1) + "\n" + chat(2)[:20], chat(1) + "\n" + chat(2) + "\n", id="its last line was half"),
        pytest.param(chat(1) + "\n", chat(9) + "\n" + chat(2) + "\n", id="its beginning is another one now"),
        pytest.param('{"messages": []}\n', '{"messages": []}\n' * 2, id="its records have no ids"),
    ],
)
def test_a_log_of_which_one_cannot_go_on_reading_is_read_again_from_the_start(workspace, tmp_path, before, after):
    log = tmp_path / "a.jsonl"
    log.write_text(before)
    ingest(workspace, log, "openai")
    log.write_text(after)
    ingest(workspace, log, "openai")
    whole = Workspace.create(tmp_path / "whole", key=b"k" * 32)
    ingest(whole, log, "openai")
    wanted = set(whole.read("interactions")["raw_sha256"])
    assert wanted <= set(workspace.read("interactions")["raw_sha256"])
    assert (
        workspace.read("interactions").filter(pl.col("raw_sha256").is_in(wanted)).height
        == whole.counts()["interactions"]
    )


def test_a_folder_of_many_formats_is_read_each_file_as_what_it_is(workspace, tmp_path):
    inbox = tmp_path / "inbox"
    (inbox / "deeper").mkdir(parents=True)
    write(inbox / "a.jsonl", chat(1), chat(2))
    write(inbox / "deeper" / "b.jsonl", json.dumps({"metric_name": "liked", "target_id": "t", "value": True}))
    write(inbox / "notes.json", '{"title": "what this is"}')
    write(inbox / "LICENSE", "free")
    report = ingest(workspace, inbox)
    assert report.source == "openai, tensorzero"
    assert {Path(f.file).name: (f.detection.format, f.records) for f in report.files} == {
        "a.jsonl": ("openai", 2),
        "b.jsonl": ("tensorzero", 1),
    }
    assert add_up(report)
    [(left, found)] = report.left_out.items()
    assert left.endswith("notes.json")
    assert found == "JSON objects with the keys 'title'"
    with pytest.raises(SourceError, match="keys 'title'"):
        ingest(workspace, inbox / "notes.json")


def test_a_changed_record_wins(workspace, tmp_path):
    ingest(workspace, [write(tmp_path / "a.jsonl", chat(1, "first"))], "openai")
    report = ingest(workspace, [write(tmp_path / "b.jsonl", chat(1, "second"))], "openai")
    assert (report.new, report.known) == (1, 0)
    assert workspace.signals()["answer"].to_list() == ["second"]


def test_personal_values_never_reach_the_disk(workspace, tmp_path):
    hidden = ["jane.roe@example.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "192.0.2.17"]
    line = chat(1, f"Write to {hidden[0]}, pay by {hidden[1]} or {hidden[2]} from {hidden[3]}", user="jane.roe")
    report = ingest(workspace, [write(tmp_path / "a.jsonl", line)], "openai")
    kept = workspace.read("interactions").write_json()
    assert [value for value in [*hidden, "jane.roe"] if value in kept] == []
    on_disk = b"".join(p.read_bytes() for p in (workspace.folder).rglob("*") if p.is_file())
    assert [value for value in [*hidden, "jane.roe"] if value.encode() in on_disk] == []
    assert sum(report.redacted.values()) == 4


def test_redaction_switched_off_keeps_the_text_and_reads_a_known_file_again(workspace, tmp_path):
    file = write(tmp_path / "a.jsonl", chat(1, "jane.roe@example.com"))
    ingest(workspace, [file], "openai")
    settings = workspace.folder / "clw.toml"
    settings.write_text(settings.read_text().replace('redaction = "patterns"', 'redaction = "off"'))
    assert ingest(workspace, [file], "openai").known == 1
    other = ingest(workspace, [write(tmp_path / "b.jsonl", chat(2, "john.doe@example.com"))], "openai")
    assert other.new == 1
    assert "john.doe@example.com" in workspace.signals()["answer"].to_list()


def test_events_from_a_csv_join_the_answers_of_another_source(workspace, tmp_path):
    settings = workspace.folder / "clw.toml"
    settings.write_text(
        settings.read_text()
        + """
[sources.tickets]
format = "mapping"
record = "feedback"
target_source = "openai"
columns = { ticket = "target", reopened_at = "at" }
constants = { name = "reopened", score = -1 }
"""
    )
    ingest(workspace, [write(tmp_path / "a.jsonl", chat(1), chat(2))], "openai")
    events = write(tmp_path / "e.csv", "ticket,reopened_at", "c-2,2026-02-03T10:00:00Z", "c-9,2026-02-03T10:00:00Z")
    report = ingest(workspace, [events], "tickets")
    assert (report.new, report.unmatched) == (2, 1)
    named = workspace.signals().filter(pl.col("n_feedback") > 0)
    assert named.select("source_id", "feedback_names").rows() == [("c-2", ["reopened"])]


def test_a_dry_run_shows_what_would_be_kept_and_writes_nothing(workspace, tmp_path):
    chunk = preview(workspace, write(tmp_path / "a.jsonl", chat(1, "jane.roe@example.com")), "openai")
    assert re.fullmatch(r"\[EMAIL_[0-9a-f]{8}\]", chunk.interactions["output"][0][0]["content"])
    assert workspace.counts()["interactions"] == 0


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [("missing.jsonl", None, "not there"), ("empty.jsonl", "", "empty"), ("odd.jsonl", '{"a": 1}\n', "format")],
)
def test_what_cannot_be_read_at_all_says_so(workspace, tmp_path, name, text, says):
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(SourceError, match=says):
        ingest(workspace, [file], "auto")


def test_an_unknown_source_names_the_nearest(workspace, tmp_path):
    with pytest.raises(SettingsError, match="Did you mean 'openai'"):
        ingest(workspace, [write(tmp_path / "a.jsonl", chat(1))], "opnai")


def test_two_ingests_of_one_source_wait_for_each_other_and_lose_nothing(workspace, tmp_path):
    parts = {"a": range(300), "b": range(200, 500)}
    files = [write(tmp_path / f"{name}.jsonl", *map(chat, part)) for name, part in parts.items()]
    code = (
        "import sys; from clworkbench.loop.signals.capture import ingest; from clworkbench.workspace import Workspace\n"
        "ingest(Workspace(sys.argv[1]), [sys.argv[2]], 'openai')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(workspace.folder), str(f)]) for f in files]
    assert [process.wait() for process in running] == [0, 0]
    assert workspace.read("interactions")["interaction_id"].n_unique() == workspace.counts()["interactions"] == 500


def test_a_held_source_is_refused_with_the_holder_named(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("clworkbench.loop.signals.capture.WAIT_S", 0.0)
    with workspace.catalog.transaction() as db:
        me = (socket.gethostname(), os.getpid(), psutil.Process().create_time(), time.time())
        db.execute("insert into leases values ('ingest openai', ?, ?, ?, 'ingest', ?)", me)
    with pytest.raises(LeaseError, match=f"held by process {os.getpid()}"):
        ingest(workspace, [write(tmp_path / "a.jsonl", chat(1))], "openai")


KILLED = """
import sys, os, signal
from clworkbench.workspace import Workspace, folder
from clworkbench.workspace.tables import Tables
from clworkbench.workspace.catalog import Catalog
from clworkbench.loop.signals import capture

after = int(sys.argv[3])
count = 0
def deadly(original):
    def call(*args, **kwargs):
        global count
        found = original(*args, **kwargs)
        count += 1
        if count == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return call
Tables.append = deadly(Tables.append)
Catalog.commit_batch = deadly(Catalog.commit_batch)
Catalog.begin_batch = deadly(Catalog.begin_batch)
Catalog.note_file = deadly(Catalog.note_file)
from clworkbench.signals import cores
cores.STEP = 2000
capture.ingest(Workspace(sys.argv[1]), [sys.argv[2]], "openai")
"""


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 7, 11])
def test_a_kill_at_any_write_then_the_same_command_ends_like_an_undisturbed_ingest(
    workspace, tmp_path, monkeypatch, after
):
    feedback = [{"name": "thumbs", "score": 1, "at": "2026-03-01T00:00:00Z"}]
    lines = [chat(i, feedback=feedback) if i % 7 else "{half" for i in range(40)]
    file = write(tmp_path / "a.jsonl", *lines)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(workspace.folder), str(file), str(after)], check=False)
    assert killed.returncode == -signal.SIGKILL
    key = next((tmp_path / "config" / "keys").iterdir()).read_text()
    monkeypatch.setenv("CLW_KEY", key)
    whole = Workspace.create(tmp_path / "whole")
    monkeypatch.setattr(cores, "STEP", 2000)
    for place in (workspace, whole):
        report = ingest(place, [file], "openai")
        assert add_up(report)
    for table in TABLES:
        key = pl.col(*KEYS[table])
        mine, undisturbed = (place.read(table).drop("seq").sort(key) for place in (workspace, whole))
        assert mine.equals(undisturbed), table
        on_disk = pl.read_delta(str(workspace.folder / "tables" / table))
        assert on_disk.height == mine.height


def test_a_file_that_is_written_while_it_is_read_loses_nothing(workspace, tmp_path, monkeypatch):
    log = tmp_path / "a.jsonl"
    log.write_text(chat(1) + "\n" + chat(2)[:30])
    read = capture.read_on_cores

    def written_meanwhile(*args, **more):
        log.write_text(chat(1) + "\n" + chat(2) + "\n" + chat(3)[:20])
        yield from read(*args, **more)

    monkeypatch.setattr(capture, "read_on_cores", written_meanwhile)
    first = ingest(workspace, log, "openai")
    assert (first.records, first.new, first.quarantined) == (2, 1, 1)
    monkeypatch.setattr(capture, "read_on_cores", read)
    log.write_text(chat(1) + "\n" + chat(2) + "\n" + chat(3) + "\n")
    second = ingest(workspace, log, "openai")
    assert (second.records, second.new, second.known) == (3, 2, 1)
    assert workspace.counts()["interactions"] == 3


def test_a_file_that_is_rewritten_while_it_is_read_is_not_taken_for_known(workspace, tmp_path, monkeypatch):
    log = write(tmp_path / "a.jsonl", chat(1, "first"), chat(2))
    read = capture.read_on_cores

    def rewritten(*args, **more):
        write(log, chat(1, "other"), chat(2))
        os.utime(log, ns=(1, 1))
        yield from read(*args, **more)

    monkeypatch.setattr(capture, "read_on_cores", rewritten)
    report = ingest(workspace, log, "openai")
    assert report.left_out == {str(log): "it was rewritten while it was read. Read it again."}
    monkeypatch.setattr(capture, "read_on_cores", read)
    assert ingest(workspace, log, "openai").known == 2
    assert workspace.catalog.query("select count(*) from files")[0][0] == 1


def test_one_damaged_file_does_not_keep_the_others_from_being_read(workspace, tmp_path):
    lines = "".join(chat(number) + "\n" for number in range(10, 20_000)).encode()
    write(tmp_path / "a.jsonl", chat(1))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines)[:-2000])
    write(tmp_path / "c.jsonl", chat(2))
    report = ingest(workspace, tmp_path, "openai")
    [(left, why)] = report.left_out.items()
    assert left.endswith("b.jsonl.gz")
    assert "packed, and damaged after" in why
    assert [f.records for f in report.files if "b.jsonl" not in f.file] == [1, 1]
    assert workspace.counts()["interactions"] > 10_000  # what came before the damage is kept
    (tmp_path / "d.gz").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(SourceError, match="damaged after 0 bytes"):
        ingest(workspace, tmp_path / "d.gz", "openai")


def test_a_folder_that_holds_the_workspace_gives_none_of_its_own_files(workspace, tmp_path):
    inside = workspace.folder / "inbox"
    inside.mkdir()
    ingest(workspace, write(inside / "a.jsonl", chat(1)), "openai")
    report = ingest(workspace, workspace.folder)
    assert [Path(file.file).name for file in report.files] == ["a.jsonl"]
    assert (report.new, report.known) == (0, 1)


def test_auto_reads_a_file_as_the_source_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    settings = 'format = 1\n[sources.desk]\nformat = "openai"\npaths = ["inbox/*.jsonl"]\n'
    workspace = Workspace.create(tmp_path / "w", settings=settings)
    (workspace.folder / "inbox").mkdir()
    write(workspace.folder / "inbox" / "a.jsonl", chat(1))
    assert ingest(workspace, workspace.folder / "inbox").source == "desk"
    assert ingest(workspace, workspace.folder / "inbox", "desk").known == 1
    assert workspace.counts()["interactions"] == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_with_the_way_out(workspace, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="a pipe or a device, which cannot be read twice"):
        ingest(workspace, tmp_path / "pipe", "openai")


def test_status_names_what_waits_in_the_spool_and_what_could_not_be_read(workspace):
    unread = workspace.folder / "spool" / "unread"
    unread.mkdir(parents=True)
    (workspace.folder / "spool" / "1.log").write_bytes(b"x")
    (workspace.folder / "spool" / "2.log").touch()
    (unread / "1.jsonl").write_text("{half\n")
    first, second, *_ = status(workspace).next
    assert first.startswith("clw capture   (1 logs wait in spool/")
    assert second.startswith("look into spool/unread/: 1 files")
