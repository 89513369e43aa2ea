"""Records and answers taken out of an annotation server for good: its database, its index, its jobs and its log."""

import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from clworkbench.errors import LabelError
from clworkbench.files import told_when_full
from clworkbench.labels.server.home import USERNAME, Home
from clworkbench.labels.server.process import running, serve, stop

BUSY_S = 30.0
DISPOSABLE = ("search.db*", "jobs.db*", "server.log*", "start.log*")
"""Files of the home that may hold texts, beside the database; the server makes them anew."""


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
    database. Nothing of what goes is left in free pages, the search index, waiting jobs or the log.

    Raises:
        LabelError: another process has been using the database for half a minute.
    """
    found = standing(home, records, is_gone)
    if found.is_nothing:
        return found
    serving = running(home)
    if serving:
        stop(home)
    with told_when_full("the annotators' database", home.folder), _told_when_busy(home):
        with _opened(home, records, is_gone) as db:
            db.execute("pragma secure_delete = on")
            db.executescript(_ERASE)
            db.commit()
        _vacuum(home)
    for pattern in DISPOSABLE:
        for path in home.folder.glob(pattern):
            path.unlink()
    for name in found.accounts:
        (home.passwords / name).unlink(missing_ok=True)
    shutil.rmtree(home.folder / "tmp", ignore_errors=True)
    if serving:
        serve(home, port=serving.port)
    return found


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


def _vacuum(home: Home) -> None:
    """The database written anew without its free pages, and its write-ahead log emptied."""
    with closing(sqlite3.connect(home.database, timeout=BUSY_S, isolation_level=None)) as db:
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)")


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
