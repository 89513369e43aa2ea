"""Argilla's background jobs without Redis: written down, tried again, parked; none lost over a restart."""

import asyncio
import importlib
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest

jobs = importlib.import_module("clworkbench.labels.server.embedded.clw_argilla.jobs")
database = importlib.import_module("clworkbench.labels.server.embedded.clw_argilla.database")

CALLS: list[tuple] = []


async def heard(*args, **kwargs):
    await asyncio.sleep(0)
    CALLS.append((args, kwargs))


async def refuses(*args, **kwargs):
    CALLS.append((args, kwargs))
    raise ConnectionError("nobody listens")


def retry(*intervals: int) -> SimpleNamespace:
    """RQ's word for it."""
    return SimpleNamespace(max=len(intervals), intervals=list(intervals))


@pytest.fixture
def queue(tmp_path):
    CALLS.clear()
    found = jobs.Jobs(tmp_path / "jobs.db")
    yield found
    found.db.close()


def next_one(queue) -> tuple | None:
    """What a thread would do now."""
    rows = queue.do(jobs.CLAIM, queue="high", now=time.time())
    return rows[0] if rows else None


def make_due(queue) -> None:
    queue.do("update jobs set due_at = 0")


def test_a_job_gets_its_arguments_as_they_were_given_and_keeps_none_of_them_when_it_is_done(queue):
    given = UUID(int=7), "record.created", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), {"text": ["é", None, 1.5]}
    job = queue.add("high", heard, given, {"n": 1}, None)
    assert queue.status(job.id) == "queued"
    queue.attempt(*next_one(queue))
    assert [(given, {"n": 1})] == CALLS
    assert queue.status(job.id) == "finished"
    assert queue.do("select arguments from jobs") == [(None,)]


def test_a_job_that_fails_is_due_again_after_its_waits_and_parked_without_its_arguments_after_the_last(queue):
    job = queue.add("high", refuses, (1,), {"token": "secret", "text": "a question"}, retry(10, 60))
    for wait in (10, 60):
        began = time.time()
        queue.attempt(*next_one(queue))
        assert queue.status(job.id) == "scheduled"
        ((due,),) = queue.do("select due_at from jobs")
        assert due - began == pytest.approx(wait, abs=5)
        assert next_one(queue) is None
        make_due(queue)
    queue.attempt(*next_one(queue))
    assert queue.status(job.id) == "failed"
    assert len(CALLS) == 3
    assert queue.do("select arguments, error from jobs") == [(None, "ConnectionError")]


def test_a_job_without_waits_of_its_own_waits_longer_each_time(queue):
    queue.add("high", refuses, (), {}, retry(0, 0, 0))
    assert queue.do("select waits from jobs") == [("[1.0, 2.0, 4.0]",)]


def test_a_restart_does_what_waited_and_begins_again_what_was_begun(queue, tmp_path):
    """The connection is left as a kill leaves it: one job was claimed, the other waits."""
    begun, waits = (queue.add("high", heard, (n,), {}, retry(10)) for n in (1, 2))
    assert next_one(queue)[0] == begun.id
    after = jobs.Jobs(tmp_path / "jobs.db")
    make_due(after)
    for _ in range(2):
        after.attempt(*next_one(after))
    assert sorted(args for args, _ in CALLS) == [(1,), (2,)]
    assert {after.status(begun.id), after.status(waits.id)} == {"finished"}
    after.db.close()


def test_a_job_that_kills_the_process_each_time_is_parked_without_another_try(queue, tmp_path):
    job = queue.add("high", heard, (), {}, retry(10))
    for _ in range(3):
        assert next_one(queue)[0] == job.id
        queue.db.close()
        queue.__init__(tmp_path / "jobs.db")
        make_due(queue)
    queue.attempt(*next_one(queue))
    assert queue.status(job.id) == "failed"
    assert CALLS == []


def test_a_file_that_cannot_be_written_refuses_no_request_and_what_came_meanwhile_is_done_when_it_can(
    queue, monkeypatch
):
    """A full disk, as a table that is gone."""
    monkeypatch.setattr(jobs, "_jobs", [queue])
    monkeypatch.setattr(jobs, "LOOKS_EVERY_S", 0.01)
    queue.do("alter table jobs rename to away")
    with jobs.at_work():
        late = jobs.Queue("high").enqueue_call(heard, args=(1,))
        time.sleep(0.1)
        assert CALLS == []
        queue.do("alter table away rename to jobs")
        kept = jobs.Queue("high").enqueue_call(heard, args=(2,))
        deadline = time.monotonic() + 10
        while {late.get_status(), kept.get_status()} != {"finished"} and time.monotonic() < deadline:
            time.sleep(0.005)
    assert sorted(CALLS) == [((1,), {}), ((2,), {})]


def test_threads_begin_a_job_at_once_and_end_when_they_are_told(queue, monkeypatch):
    monkeypatch.setattr(jobs, "_jobs", [queue])
    with jobs.at_work():
        time.sleep(0.05)
        began = time.monotonic()
        job = jobs.Queue("high").enqueue_call(heard, args=(1,))
        while job.get_status() != "finished":
            assert time.monotonic() - began < 10
            time.sleep(0.005)
    assert CALLS == [((1,), {})]


def test_records_whose_status_a_kill_left_behind_are_mended(tmp_path):
    """Three records that want two answers each: one has them and says pending, one lost its second, one is right."""
    path = tmp_path / "argilla.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """
            create table datasets (id, distribution);
            create table records (id, dataset_id, status, updated_at);
            create table responses (record_id, status);
            insert into datasets values ('d', '{"strategy": "overlap", "min_submitted": 2}');
            insert into records values
                ('has', 'd', 'pending', ''), ('lost', 'd', 'completed', ''), ('right', 'd', 'pending', '');
            insert into responses values ('has', 'submitted'), ('has', 'submitted'), ('lost', 'submitted'),
                ('right', 'submitted'), ('right', 'draft');
            """
        )
    assert database.recount(path) == 2
    assert database.recount(path) == 0
    with closing(sqlite3.connect(path)) as db:
        found = dict(db.execute("select id, status from records").fetchall())
    assert found == {"has": "completed", "lost": "pending", "right": "pending"}
