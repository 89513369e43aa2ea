"""Capture killed at any moment: all that was acknowledged ends in the tables, exactly once."""

import random
import threading
import time

import httpx
import polars as pl
import psutil
import pytest

from tests.serving.conftest import Running
from tests.serving.requests_of_spans import export, source_id


class Sender(threading.Thread):
    """Sends spans and an event after another until the server is gone; knows what was acknowledged."""

    def __init__(self, running: Running, numbers: "iter[int]") -> None:
        super().__init__()
        self.running, self.numbers = running, numbers
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.events: list[str] = []

    def run(self) -> None:
        while True:
            first = next(self.numbers)
            spans = range(first * 20 + 1, first * 20 + 21)
            ids = {source_id(number) for number in spans}
            self.sent |= ids
            try:
                if self.running.traces(export(*spans).SerializeToString()).status_code == 200:
                    self.acknowledged |= ids
                told = self.running.feedback({"target": source_id(spans[0]), "name": "thumbs", "score": 1})
                if told.status_code == 200:
                    self.events += told.json()["ids"]
            except httpx.HTTPError:
                return


def killed_and_checked(capture, place, moments: list[float], server_only: random.Random) -> None:
    """Kills a busy capture at each moment after its start, then lets one end in order, and looks at the tables."""
    numbers = iter(range(1_000_000))
    sent: set[str] = set()
    acknowledged: set[str] = set()
    events: list[str] = []
    for moment in moments:
        running = capture()
        senders = [Sender(running, numbers) for _ in range(2)]
        for sender in senders:
            sender.start()
        time.sleep(moment)
        if server_only.random() < 0.5:
            running.process.kill()  # its ingest finishes the log in hand, beside the next capture
            running.process.wait()
        else:
            running.kill()
        for sender in senders:
            sender.join()
            sent |= sender.sent
            acknowledged |= sender.acknowledged
            events += sender.events
    capture().stop()
    kept = place.read("interactions")["source_id"]
    assert kept.n_unique() == len(kept)
    assert acknowledged <= set(kept) <= sent
    assert acknowledged
    feedback = place.read("feedback")
    assert feedback["feedback_id"].n_unique() == feedback.height
    wanted = {place.pseudonyms.id("feedback", "feedback", own_id) for own_id in events}
    assert len(wanted) == len(events)
    assert wanted <= set(feedback["feedback_id"])
    assert list((place.folder / "spool").iterdir()) == []
    assert place.catalog.pending() == {}


def test_capture_killed_at_a_few_moments_loses_nothing_that_it_acknowledged(capture, place):
    killed_and_checked(capture, place, [0.3, 1.6, 2.6], random.Random(0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_capture_killed_at_50_random_moments_loses_nothing_that_it_acknowledged(capture, place):
    chance = random.Random(4)
    killed_and_checked(capture, place, [chance.uniform(0, 4) for _ in range(50)], chance)


def test_an_ingest_that_is_killed_is_started_again_and_the_log_read(capture, place):
    running = capture()
    running.traces(export(1).SerializeToString())
    for number in range(2, 5):
        until = time.monotonic() + 60
        while not (children := psutil.Process(running.process.pid).children()):
            assert time.monotonic() < until, "no ingest was started"
            time.sleep(0.05)
        children[0].kill()
        assert running.traces(export(number).SerializeToString()).status_code == 200
        time.sleep(0.5)
    running.stop()
    assert sorted(place.read("interactions")["source_id"]) == [source_id(number) for number in range(1, 5)]


def test_the_same_spans_sent_again_after_a_kill_are_known(capture, place):
    body = export(*range(1, 101)).SerializeToString()
    running = capture()
    running.traces(body)
    running.kill()
    again = capture()
    again.traces(body)
    end = again.stop()
    assert end["ingested"]["new"] == 100
    assert end["ingested"]["known"] == 100
    assert place.read("interactions").select(pl.len()).item() == 100
