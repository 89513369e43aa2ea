"""The annotation server under load, killed and out of room: what was acknowledged is there, and is found."""

import random
import threading
import time

import psutil
import pytest

from clworkbench.labels.server import process
from clworkbench.labels.server.home import Home
from tests.labels.annotating import Task, make_task

pytestmark = [pytest.mark.argilla, pytest.mark.slow]


@pytest.fixture
def own(tmp_path):
    home = Home.of(tmp_path)
    yield home
    process.stop(home)


def check_whole(task: Task) -> None:
    """Every acknowledged answer is saved, once; records' status and searches say the same as the answers."""
    saved = task.saved()
    assert {key: saved.get(key) for key in task.acknowledged} == task.acknowledged
    per_record = {r: sum(record == r for _, record in saved) for r in task.record_ids}
    wanted = {r: "completed" if n >= len(task.keys) else "pending" for r, n in per_record.items()}
    assert task.status_of_records() == wanted
    for user in list(task.keys)[:5]:
        submitted = {record for name, record in saved if name == user}
        assert task.found_by_search(user, "submitted") == submitted
        assert task.found_by_search(user, "pending") <= set(task.record_ids) - submitted


def test_20_annotators_who_submit_at_once_lose_nothing(argilla_server):
    task = make_task(argilla_server.url, argilla_server.api_key, name="crowd", records=15, annotators=20)
    task.annotate(threading.Event())
    assert task.refused == []
    assert len(task.acknowledged) == 15 * 20
    check_whole(task)
    task.owner.close()


def test_kills_and_stops_at_any_moment_lose_no_acknowledged_answer_and_the_index_agrees_afterwards(own):
    """The server is killed (-9), or stopped, while 20 annotators submit; they send again what was not acknowledged."""
    wheel = random.Random(1)
    serving = process.serve(own, port=0)
    task = make_task(serving.url, own.api_key, name="kills", records=15, annotators=20)
    stopped = threading.Event()
    at_work = threading.Thread(target=task.annotate, args=(stopped,))
    at_work.start()
    for way in ("kill", "kill", "stop", "kill"):
        time.sleep(wheel.uniform(0.2, 1.5))
        ended = psutil.Process(serving.pid)
        if way == "stop":
            assert process.stop(own)
        else:
            ended.kill()
            psutil.wait_procs([ended])
        serving = process.serve(own, port=serving.port)
    at_work.join()
    assert len(task.acknowledged) == 15 * 20
    check_whole(task)
    task.owner.close()


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="this system cannot bound another process's files")
def test_a_full_disk_refuses_answers_and_keeps_those_that_were_acknowledged(own):
    """The server's files may not grow; then there is room again, and what was refused is sent again."""
    serving = process.serve(own, port=0)
    task = make_task(serving.url, own.api_key, name="full", records=10, annotators=10)
    stopped = threading.Event()
    at_work = threading.Thread(target=task.annotate, args=(stopped,))
    server = psutil.Process(serving.pid)
    server.rlimit(psutil.RLIMIT_FSIZE, (40_000, -1))
    at_work.start()
    while not task.refused and at_work.is_alive():
        time.sleep(0.05)
    assert task.refused
    assert process.running(own) is not None
    server.rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
    at_work.join()
    assert len(task.acknowledged) == 10 * 10
    check_whole(task)
    assert "word" not in own.log.read_text()
    task.owner.close()
