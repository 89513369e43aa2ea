"""What is erased leaves no bytes in a real server's home, whatever happened to it before."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.server import erasing, process
from clworkbench.labels.server.erasing import erase
from clworkbench.labels.server.home import Home, write_secret
from clworkbench.labels.server.process import running, serve, stop
from tests.labels.annotating import Task, make_task

pytestmark = pytest.mark.argilla


def wait(home: Home, *names: str) -> None:
    """Calls of webhooks about these records or people, which are due in an hour."""
    with closing(sqlite3.connect(home.folder / "jobs.db", timeout=30)) as db:
        for name in names:
            about = {"user": {"username": name}, "record": {"external_id": name, "text": "a question"}}
            said = json.dumps([[{"$uuid": "0"}, "response.updated", about], {}])
            row = (name, "high", "a:b", said, "scheduled", "[]", time.time() + 3600, time.time())
            db.execute("insert into jobs values (?, ?, ?, ?, ?, 0, ?, ?, ?, null)", row)
        db.commit()


def waiting(home: Home) -> list[str]:
    with closing(sqlite3.connect(home.folder / "jobs.db", timeout=30)) as db:
        return [
            name for (name,) in db.execute("select id from jobs where due_at > ? order by 1", (time.time() + 1000,))
        ]


def nobody(_name: str) -> bool:
    return False


def holding(home: Home, word: str) -> list[str]:
    """The files of the home that hold a word."""
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if word.encode() in path.read_bytes())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    found = Home.of(tmp_path_factory.mktemp("erased"))
    yield found
    stop(found)


@pytest.fixture
def task(home: Home) -> Iterator[Task]:
    """A data set of ten records, `NAME-0` to `NAME-9`, with texts `word0` to `word9`, and one annotator `NAME_0`."""
    name = f"set{uuid4().hex[:8]}"
    made = make_task(serve(home, port=0).url, home.api_key, name=name, records=10, annotators=1)
    yield made
    made.owner.close()


def own(task: Task, number: int) -> str:
    return f"{next(iter(task.keys)).removesuffix('_0')}-{number}"


def test_what_was_deleted_in_the_ui_before_is_erased_as_well_and_other_records_stay(home: Home, task: Task) -> None:
    task.owner.delete(
        f"{task.base}/api/v1/datasets/{task.dataset_id}/records", params={"ids": task.record_ids[7]}
    ).raise_for_status()
    assert holding(home, "word7 parcel") != []
    wait(home, own(task, 7), own(task, 8))
    port = running(home).port
    task.owner.close()
    assert erase(home, [own(task, 7)], nobody).is_nothing
    assert waiting(home) == [own(task, 8)]
    assert holding(home, "word7 parcel") == holding(home, own(task, 7)) == []
    assert "argilla.db" in holding(home, "word8 parcel")
    assert running(home).port == port
    assert not home.erasing.exists()


def test_a_killed_erase_is_finished_by_the_next_which_starts_the_server_again(
    home: Home, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user,) = task.keys
    home.passwords.mkdir(exist_ok=True)
    write_secret(home.passwords / user, "a password")
    wait(home, user)
    task.owner.close()
    port = running(home).port

    def killed(_database: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_vacuum", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(home, [own(task, 7)], lambda name: name == user)
    assert running(home) is None
    assert erase(home, [own(task, 7)], lambda name: name == user).is_nothing
    assert holding(home, "word7 parcel") == holding(home, user) == []
    assert not (home.passwords / user).exists()
    assert user not in waiting(home)
    assert running(home).port == port
    assert not home.erasing.exists()


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_ended_before_and_started_after(
    home: Home, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process, as one whose machine has no time for it."""
    before = running(home)
    psutil.Process(before.pid).suspend()
    monkeypatch.setattr(process, "ENDS_WITHIN_S", 0.5)
    assert erase(home, [own(task, 7)], nobody).records == 1
    assert running(home).port == before.port
    assert running(home).pid != before.pid
    assert holding(home, own(task, 7)) == []


def test_a_log_that_another_process_reads_is_told_and_nothing_is_lost(
    home: Home, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of the database keeps its write-ahead log from being emptied."""
    stop(home)
    monkeypatch.setattr(erasing, "BUSY_S", 0.2)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from records").fetchone()
        with pytest.raises(LabelError, match="another process has been using it"):
            erase(home, [own(task, 7)], nobody)
    assert erase(home, [own(task, 7)], nobody).is_nothing
    assert holding(home, own(task, 7)) == []
    assert running(home) is None


def test_passwords_of_a_teams_annotators_go_where_no_own_server_ever_was(tmp_path: Path) -> None:
    elsewhere = Home.of(tmp_path)
    elsewhere.passwords.mkdir(parents=True)
    for name in ("eve", "ann"):
        write_secret(elsewhere.passwords / name, "a password")
    assert erase(elsewhere, [], lambda name: name == "eve").is_nothing
    assert [path.name for path in elsewhere.passwords.iterdir()] == ["ann"]
