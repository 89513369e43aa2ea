"""Following answers: deliveries that are Argilla's and new are taken, and nothing else; none is lost."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from clworkbench.labels.webhook import Touched, Verifier
from clworkbench.serving.answers import receiver
from tests.loop.annotators import REQUIRED, Desk, good, opened, values
from tests.serving.conftest import CLW

Sent = Mapping[str, str | bytes]
SECRET = base64.b64encode(b"s" * 64).decode()
EVENT = {
    "type": "response.created",
    "version": 1,
    "timestamp": "2026-11-23T12:00:00.000000Z",
    "data": {"id": "a", "record": {"id": "r1", "fields": {}, "dataset": {"id": "d", "name": "review"}}},
}


def signed(body: bytes, own: str = "msg_1", at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    """The headers that Argilla sends, made by the library that it makes them with."""
    at = at or datetime.now(UTC)
    return {
        "webhook-id": own,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(own, at, body.decode()),
        "content-type": "application/json",
    }


class Post:
    """Sends bodies to a receiver and keeps what it hands on."""

    def __init__(self) -> None:
        self.told: list[Touched] = []
        self.app = receiver(Verifier(SECRET), self.told.append)

    def __call__(
        self, body: bytes, headers: Mapping[str, str | bytes], *, path: str = "/answers", host: str = "127.0.0.1"
    ) -> int:
        async def send() -> int:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return (await client.post(path, content=body, headers=headers)).status_code

        return asyncio.run(send())


def test_a_delivery_of_argillas_tells_the_record_and_its_copy_tells_nothing():
    post, body = Post(), json.dumps(EVENT).encode()

    assert [post(body, signed(body)), post(body, signed(body)), post(body, signed(body, "msg_2"))] == [204, 204, 204]
    assert post.told == [Touched("review", "r1")] * 2


@pytest.mark.parametrize(
    "headers",
    [
        lambda body: signed(body, secret=base64.b64encode(b"x" * 64).decode()),
        lambda _: signed(b"{}"),
        lambda _: {"content-type": "application/json"},
        lambda body: signed(body) | {"webhook-timestamp": "soon"},
    ],
    ids=["another's secret", "another body", "unsigned", "no time"],
)
def test_a_delivery_that_is_not_argillas_tells_nothing(headers):
    post, body = Post(), json.dumps(EVENT).encode()

    assert post(body, headers(body)) == 401
    assert post.told == []


@pytest.mark.parametrize("signature", ["v1,", "v1,!!!", "v2,AAAA", "", "v1", "v1,é", ",,, ,"])
def test_a_signature_that_is_none_is_refused_in_words(signature):
    post, body = Post(), json.dumps(EVENT).encode()
    headers = signed(body) | {"webhook-signature": signature.encode()}

    assert post(body, headers) == 401
    assert post.told == []


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_delivery_from_long_ago_or_from_the_future_is_refused(minutes):
    post, body = Post(), json.dumps(EVENT).encode()

    assert post(body, signed(body, at=datetime.now(UTC) + timedelta(minutes=minutes))) == 401


def test_a_signature_beside_that_of_an_older_secret_is_taken():
    post, body = Post(), json.dumps(EVENT).encode()
    headers = signed(body)
    headers["webhook-signature"] = "v1,bm90IGl0 " + headers["webhook-signature"]

    assert post(body, headers) == 204


def test_copies_are_remembered_while_they_could_come_and_no_longer():
    verifier, body = Verifier(SECRET), b"{}"
    for number in range(50):
        headers = signed(body, f"msg_{number}", datetime.fromtimestamp(10_000 + 60 * number, UTC))
        assert verifier.check(headers, body, 10_000 + 60 * number)
    assert len(verifier._taken) == 10


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 401),
        (b"[]", 401),
        (b'{"type": "response.created", "data": {}}', 401),
        (b'{"type": "ping", "data": {}}', 204),
    ],
    ids=["no JSON", "no object", "no record", "a ping"],
)
def test_what_is_signed_and_no_answer_tells_nothing(body, status):
    post = Post()

    assert post(body, signed(body)) == status
    assert post.told == []


def test_another_host_another_path_and_a_form_are_refused():
    post, body = Post(), json.dumps(EVENT).encode()

    assert post(body, signed(body), host="evil.example") == 421
    assert post(body, signed(body), path="/") == 404
    assert post(body, signed(body) | {"content-type": "text/plain"}) == 415
    assert post.told == []


class Follower:
    """`clw label pull --follow`, running."""

    def __init__(self, desk: Desk) -> None:
        command = [*CLW, "label", "pull", desk.name, "--follow", "--json", "--workspace", str(desk.workspace.folder)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        self.said = ""
        assert self.process.stderr is not None
        while "new labels" not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line

    def stop(self) -> dict:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return json.loads(out)


@pytest.fixture
def desk(tmp_path, argilla_server) -> Iterator[Desk]:
    with opened(tmp_path, argilla_server) as made:
        yield made


@pytest.fixture
def following(desk) -> Iterator[list[Follower]]:
    running: list[Follower] = []
    yield running
    for each in running:
        each.process.kill()
        each.process.communicate()


def hooks(desk: Desk) -> list[dict]:
    found = good(desk.owner.get("/webhooks"))["items"]
    return [each for each in found if str(desk.workspace.catalog.meta("workspace_id")) in each["description"]]


def labels_within(desk: Desk, n: int, seconds: float) -> float:
    began = time.monotonic()
    while desk.workspace.counts()["labels"] < n:
        assert time.monotonic() - began < seconds, desk.workspace.counts()
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.argilla
def test_an_answer_is_here_in_a_moment_a_killed_follower_is_replaced_and_the_end_leaves_no_webhook(desk, following):
    desk.push(desk.ids[:3])
    ann = desk.annotator(f"ann-{desk.name}")
    desk.answer(ann, desk.ids[0], REQUIRED)
    following.append(Follower(desk))
    assert desk.workspace.counts()["labels"] == 5  # caught up at the start
    response = desk.answer(ann, desk.ids[1], REQUIRED)
    labels_within(desk, 10, 10)
    following[0].process.kill()
    following[0].process.wait()
    good(ann.put(f"/responses/{response}", json={"values": values(REQUIRED | {"rating": 1}), "status": "submitted"}))

    following.append(Follower(desk))
    assert len(hooks(desk)) == 1
    assert desk.workspace.counts()["labels"] == 11  # what the killed one missed
    good(ann.delete(f"/responses/{response}"))
    labels_within(desk, 16, 10)
    end = following[1].stop()

    assert (end["new"], end["changed"], end["withdrawn"]) == (0, 1, 5)
    assert hooks(desk) == []
    assert desk.workspace.read("labels")["label_id"].is_unique().all()
