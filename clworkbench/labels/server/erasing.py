"""Records and answers taken out of an annotation server for good: its database, its index, its jobs and its log."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clworkbench.errors import LabelError
from clworkbench.files import told_when_full, write_atomically
from clworkbench.labels.server.held import held
from clworkbench.labels.server.home import USERNAME, Home
from clworkbench.labels.server.process import READY_WITHIN_S, port_of, serve, stop

BUSY_S = 30.0
DISPOSABLE = (".argilla.db.partial*", "search.db*", "server.log*", "start.log*")
"""Files of the home that may hold texts, beside the database and the jobs; the server makes them anew."""

_WORD = re.compile(r"[\w-]+")
_USERNAME = re.compile(r'"username": "([^"]*)"')


@dataclass(frozen=True)
class Standing:
    """What of some signals and annotators stands in a server's database.

    Attributes:
        records: how many records.
        answers: how many answers of these annotators, to other records too.
        accounts: the annotators' names.
    """

    records: int
    answers: int
    accounts: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {"records": self.records, "answers": self.answers}

    @property
    def is_nothing(self) -> bool:
        """Whether none of it stands."""
        return not (self.records or self.answers or self.accounts)


def standing(home: Home, records: Collection[str], is_gone: Callable[[str], bool]) -> Standing:
    """Counts what stands; nothing is changed.

    Args:
        home: the server's.
        records: the records' own ids (`external_id`), whatever their data set.
        is_gone: tells of an annotator's name whether the annotator goes.
    """
    if not home.database.is_file():
        return Standing(0, 0, ())
    with _opened(home, records, is_gone) as db:
        return _counted(db)


def erase(home: Home, records: Collection[str], is_gone: Callable[[str], bool]) -> Standing:
    """Takes records, and annotators with their answers, out of a server; returns what was taken.

    A server that runs is stopped meanwhile. What annotators had answered before stays acknowledged: it is in the
    database. Nothing of what goes is left in free pages, the search index, waiting jobs or the log, also of what was
    deleted before: so they are cleared whether or not something still stands. A killed erase is finished by the next.

    Raises:
        LabelError: another process has been using the database for half a minute, or the server does not end, or not
            start again.
    """
    for file in home.passwords.glob("*"):
        if is_gone(file.name):
            file.unlink()
    if not home.database.is_file():
        return Standing(0, 0, ())
    with held(home.starting, wait_s=READY_WITHIN_S):  # nobody starts the server meanwhile
        port = _noted_port(home)
        stop(home)
        with told_when_full("the annotators' database", home.folder):
            found = _erase(home, records, is_gone)
    if port is not None:
        serve(home, port=port)
    home.erasing.unlink()
    return found


class _Erasing(msgspec.Struct):
    port: int | None


def _noted_port(home: Home) -> int | None:
    """Where the server is to listen again, if at all: written down, for the next erase, should this one be killed."""
    port = port_of(home)
    if port is None and home.erasing.exists():
        port = msgspec.json.decode(home.erasing.read_bytes(), type=_Erasing).port
    write_atomically(home.erasing, msgspec.json.encode(_Erasing(port)).decode())
    return port


def _erase(home: Home, records: Collection[str], is_gone: Callable[[str], bool]) -> Standing:
    jobs = home.folder / "jobs.db"
    with _told_when_busy(home):
        with _opened(home, records, is_gone) as db:
            found = _counted(db)
            db.execute("pragma secure_delete = on")
            db.executescript(_ERASE)
        _vacuum(home.database)
        if jobs.is_file():
            _drop_jobs(jobs, {*records}, is_gone)
            _vacuum(jobs)
    for pattern in DISPOSABLE:
        for path in home.folder.glob(pattern):
            path.unlink()
    shutil.rmtree(home.folder / "tmp", ignore_errors=True)
    return found


def _drop_jobs(jobs: Path, records: set[str], is_gone: Callable[[str], bool]) -> None:
    """Deletes the jobs that name one of these records or people, as the calls of webhooks do that are still due."""
    with closing(sqlite3.connect(jobs, timeout=BUSY_S, isolation_level=None)) as db:
        db.execute("pragma secure_delete = on")
        waiting = db.execute("select id, arguments from jobs where arguments is not null").fetchall()
        for job, arguments in waiting:
            if not records.isdisjoint(_WORD.findall(arguments)) or any(map(is_gone, _USERNAME.findall(arguments))):
                db.execute("delete from jobs where id = ?", (job,))


_MARK = """
create temp table going (external_id text primary key);
create temp table leaving (id text primary key, username text);
"""

_ERASE = f"""
begin immediate;
delete from records where external_id in (select external_id from going);
delete from responses where user_id in (select id from leaving);
delete from users where id in (select id from leaving where username != '{USERNAME}');
update records set status = 'pending' where status = 'completed' and (
  select count(*) from responses where record_id = records.id and status = 'submitted'
) < (select json_extract(distribution, '$.min_submitted') from datasets where id = records.dataset_id);
commit;
"""
"""What hangs on a record or a user goes with it. A record that lost an answer may want another one."""


@contextmanager
def _opened(home: Home, records: Collection[str], is_gone: Callable[[str], bool]) -> Iterator[sqlite3.Connection]:
    """The database, with what goes in `going` (records) and `leaving` (users)."""
    with closing(sqlite3.connect(home.database, timeout=BUSY_S, isolation_level=None)) as db:
        db.execute("pragma foreign_keys = on")
        db.execute("pragma temp_store = memory")
        db.executescript(_MARK)
        db.executemany("insert or ignore into going values (?)", ((own,) for own in records))
        users = db.execute("select id, username from users").fetchall()
        db.executemany("insert into leaving values (?, ?)", (user for user in users if is_gone(str(user[1]))))
        yield db


def _counted(db: sqlite3.Connection) -> Standing:
    (records,) = db.execute("select count(*) from records join going using (external_id)").fetchone()
    (answers,) = db.execute("select count(*) from responses where user_id in (select id from leaving)").fetchone()
    accounts = db.execute(f"select username from leaving where username != '{USERNAME}' order by 1").fetchall()
    return Standing(records, answers, tuple(str(name) for (name,) in accounts))


def _vacuum(database: Path) -> None:
    """A database written anew without its free pages, and its write-ahead log emptied."""
    with closing(sqlite3.connect(database, timeout=BUSY_S, isolation_level=None)) as db:
        db.execute("vacuum")
        (is_busy, *_) = db.execute("pragma wal_checkpoint(truncate)").fetchone()
        if is_busy:
            raise sqlite3.OperationalError("the write-ahead log is busy")


@contextmanager
def _told_when_busy(home: Home) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        raise LabelError(
            f"{home.database}: another process has been using it for {BUSY_S:.0f} s.\n"
            "End it (`clw label stop`), then run the command again: it goes on from here."
        ) from error
