"""Argilla's background jobs without Redis: written to a file before they are due, done at least once.

Argilla enqueues webhook calls (queue 'high'), and recounts of records' status and exchange with the hub ('default')
through RQ. Here a job is a row of jobs.db until it is done; threads with event loops of their own do them, so that a
slow receiver of webhooks never holds the server's loop. A job that was begun when the process died is begun again,
which counts as a try, so one that kills the process is parked after its last.
"""

import asyncio
import importlib
import json
import logging
import sqlite3
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

Row = tuple[Any, ...]
Args = Sequence[object] | None
Kwargs = dict[str, object] | None

LOG = logging.getLogger("clw_argilla")

THREADS = {"high": 2, "default": 1}
"""Threads for each queue."""

KEPT_S = 86_400.0
"""How long what became of a job can be asked for; of a parked one a week. Its arguments, which may hold texts, go."""

LOOKS_EVERY_S = 1.0
"""How often a queue is asked for jobs that are due again; new ones are begun at once."""

SCHEMA = """
create table if not exists jobs (
    id text primary key,
    queue text not null,
    function text not null,
    arguments text,
    status text not null,
    tries integer not null default 0,
    waits text not null,
    due_at real not null,
    changed_at real not null,
    error text
);
create index if not exists due on jobs (queue, status, due_at);
"""

ADD = """
insert or ignore into jobs (id, queue, function, arguments, status, waits, due_at, changed_at)
values (?, ?, ?, ?, 'queued', ?, ?, ?)
"""

CLAIM = """
update jobs set status = 'started', tries = tries + 1, changed_at = :now
where id = (
    select id from jobs where queue = :queue and status in ('queued', 'scheduled') and due_at <= :now
    order by due_at, rowid limit 1
)
returning id, function, arguments, tries, waits
"""


class Retry(Protocol):
    """RQ's word for how often, and after how many seconds each, a job is tried again."""

    max: int
    intervals: list[int]


class Jobs:
    """The rows of jobs.db, and the threads that work on them."""

    def __init__(self, path: Path):
        self.lock = threading.Lock()
        self.new = threading.Condition()
        self.stopping = False
        self.unwritten: list[Row] = []
        self.db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self.db.execute("pragma journal_mode=wal")
        self.db.execute("pragma synchronous=normal")
        self.db.execute("pragma secure_delete=on")
        self.db.executescript(SCHEMA)
        self.do("update jobs set status = 'scheduled', due_at = ? + (1 << tries) where status = 'started'", time.time())
        self.do("delete from jobs where status = 'finished' and changed_at < ?", time.time() - KEPT_S)
        self.do("delete from jobs where status = 'failed' and changed_at < ?", time.time() - 7 * KEPT_S)

    def do(self, sql: str, *values: object, **named: object) -> list[Row]:
        """Runs one statement."""
        with self.lock:
            return self.db.execute(sql, named or values).fetchall()

    def add(self, queue: str, call: Callable[..., object], args: Args, kwargs: Kwargs, retry: Retry | None) -> "Job":
        """Writes a job down; it is begun as soon as a thread is free."""
        waits: list[float] = list(retry.intervals) if retry else []
        waits += [waits[-1] if waits else 0] * ((retry.max if retry else 0) - len(waits))
        waits = [wait or 2.0**number for number, wait in enumerate(waits)]
        job = Job(str(uuid4()))
        name = f"{call.__module__}:{call.__qualname__}"
        arguments = json.dumps([list(args or ()), kwargs or {}], default=typed)
        now = time.time()
        row = (job.id, queue, name, arguments, json.dumps(waits), now, now)
        try:
            self.do(ADD, *row)
        except sqlite3.Error as error:
            LOG.error("job %s cannot be written down (%s); it is tried again", name, error)
            self.unwritten.append(row)
        with self.new:
            self.new.notify_all()
        return job

    def write_down(self) -> None:
        """Writes down the jobs that could not be when they came, as on a full disk."""
        while self.unwritten:
            self.do(ADD, *self.unwritten[0])
            self.unwritten.pop(0)

    def status(self, job_id: str) -> str | None:
        """What became of a job, in RQ's words; None where nothing is known of it."""
        rows = self.do("select status from jobs where id = ?", job_id)
        if not rows and any(row[0] == job_id for row in [*self.unwritten]):
            return "queued"
        return str(rows[0][0]) if rows else None

    def work(self, queue: str) -> None:
        """Does the queue's jobs, one after the other, until it is told to stop."""
        while not self.stopping:
            try:
                with self.new:
                    self.write_down()
                    rows = self.do(CLAIM, queue=queue, now=time.time())
                    if not rows:
                        self.new.wait(timeout=LOOKS_EVERY_S)
                for row in rows:
                    self.attempt(*row)
            except sqlite3.Error as error:
                LOG.warning("jobs of %s wait: jobs.db cannot be written (%s)", queue, error)
                time.sleep(LOOKS_EVERY_S)

    def attempt(self, job_id: str, function: str, arguments: str, tries: int, waits: str) -> None:
        """One try; what fails is due again later, or parked after the last try."""
        intervals = json.loads(waits)
        error = "it was begun and never ended" if tries > len(intervals) + 1 else run(function, arguments)
        if error is None:
            self.do(
                "update jobs set status = 'finished', arguments = null, changed_at = ? where id = ?",
                *(time.time(), job_id),
            )
        elif tries <= len(intervals):
            wait = intervals[tries - 1]
            LOG.info("job %s %s: try %d failed (%s), next in %.0f s", function, job_id, tries, error, wait)
            self.do(
                "update jobs set status = 'scheduled', due_at = ?, error = ?, changed_at = ? where id = ?",
                *(time.time() + wait, error, time.time(), job_id),
            )
        else:
            LOG.warning("job %s %s: parked after %d tries (%s)", function, job_id, tries, error)
            self.do(
                "update jobs set status = 'failed', arguments = null, error = ?, changed_at = ? where id = ?",
                *(error, time.time(), job_id),
            )


class Job:
    """What RQ's callers see of a job."""

    def __init__(self, job_id: str):
        self.id = job_id

    def get_status(self, refresh: bool = True) -> str:  # noqa: ARG002, FBT001, FBT002  (RQ's signature)
        """What became of it, in RQ's words."""
        return here().status(self.id) or "failed"


class Queue:
    """What RQ's `@job` needs of a queue."""

    def __init__(self, name: str):
        self.name = name

    def enqueue_call(
        self,
        func: Callable[..., object],
        args: Args = None,
        kwargs: Kwargs = None,
        retry: Retry | None = None,
        **_: object,
    ) -> Job:
        """Writes a call down. Where that must wait, what it is about was saved all the same, and is not refused."""
        return here().add(self.name, func, args, kwargs, retry)


class NoRedis:
    """Stands where Argilla has its connection to Redis."""

    def ping(self) -> bool:
        """There is nothing that could be down."""
        return True


_jobs: list[Jobs] = []


def here() -> Jobs:
    """The jobs of this process."""
    return _jobs[0]


def stand_in(path: Path) -> None:
    """Takes the place of `argilla_server.jobs.queues`, which connects to Redis; call it before importing Argilla."""
    _jobs[:] = [Jobs(path)]
    module = types.ModuleType("argilla_server.jobs.queues")
    queues = {"DEFAULT_QUEUE": Queue("default"), "HIGH_QUEUE": Queue("high")}
    vars(module).update(queues, REDIS_CONNECTION=NoRedis(), JOB_TIMEOUT_DISABLED=-1)
    sys.modules["argilla_server.jobs.queues"] = module

    import rq.job

    rq.job.Job.fetch = staticmethod(fetch)


def fetch(id: str, connection: object = None, serializer: object = None) -> Job:  # noqa: ARG001  (RQ's signature)
    """A job by its id, as RQ's `Job.fetch`."""
    from rq.exceptions import NoSuchJobError

    if here().status(id) is None:
        raise NoSuchJobError(id)
    return Job(id)


@contextmanager
def at_work() -> Iterator[None]:
    """Works on the jobs while the block runs; what is not done then is done after the next start."""
    jobs = here()
    threads = [
        threading.Thread(target=jobs.work, args=(queue,), name=f"{queue}-{number}", daemon=True)
        for queue, many in THREADS.items()
        for number in range(many)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        jobs.stopping = True
        with jobs.new:
            jobs.new.notify_all()
        for thread in threads:
            thread.join(timeout=2)


def run(function: str, arguments: str) -> str | None:
    """Calls the function; returns the kind of the error, where there was one."""
    module, _, name = function.partition(":")
    args, kwargs = json.loads(arguments, object_hook=untyped)
    try:
        asyncio.run(getattr(importlib.import_module(module), name)(*args, **kwargs))
    except Exception as error:  # noqa: BLE001  whatever a job raises is that job's end, not the thread's
        return type(error).__qualname__
    return None


def typed(value: object) -> dict[str, str]:
    """JSON for what it has no word for."""
    if isinstance(value, UUID):
        return {"$uuid": value.hex}
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    raise TypeError(f"a job's argument is a {type(value).__qualname__}")


def untyped(value: dict[str, Any]) -> object:
    """The other way round."""
    if set(value) == {"$uuid"}:
        return UUID(value["$uuid"])
    if set(value) == {"$datetime"}:
        return datetime.fromisoformat(value["$datetime"])
    return value
