"""`clw serve` as its clients meet it: the real openai client, and others that behave badly, against a real server."""

import asyncio
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import polars as pl
import pytest

from clworkbench.loop.releases import ship
from clworkbench.loop.releases.rollout import advance, begin
from clworkbench.serving.chat.routing import conversation_of
from clworkbench.workspace import Workspace
from tests.serving.conftest import CLW, Running

HELLO = [{"role": "user", "content": "where is my card"}]


class Serving(Running):
    """A `clw serve` that was started."""

    VERB = "serve"
    GREETING = r"serving .* at (http://\S+)/v1"

    def ask(self, messages: object = HELLO, model: str = "clw", **more: object) -> httpx.Response:
        headers = more.pop("headers", {})
        body = {"model": model, "messages": messages, "max_tokens": 12, **more}
        return self.client.post("/v1/chat/completions", json=body, headers=headers)

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="any", max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def two_releases(tiny_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace where the loop went round, with a second release that waits to go out."""
    folder = tmp_path_factory.mktemp("serve") / "w"
    shutil.copytree(tiny_workspace, folder)
    place = Workspace(folder)
    served, _, _ = place.catalog.champions()[-1]
    other = next(m for m in place.catalog.artefacts("run") if str(m["id"]) not in place.catalog.parents(served))
    ship.published(place, other, None)
    return folder


@pytest.fixture
def folder(two_releases: Path, tmp_path: Path) -> Path:
    shutil.copytree(two_releases, tmp_path / "w")
    return tmp_path / "w"


def names(folder: Path) -> tuple[str, str]:
    """The champion, and the other release."""
    place = Workspace(folder)
    served = place.catalog.champions()[-1][0]
    return served, next(str(m["id"]) for m in place.catalog.artefacts("release") if m["id"] != served)


def go_out(folder: Path, stages: int = 0) -> tuple[str, str]:
    """Begins a rollout of the other release, and moves it on."""
    place = Workspace(folder)
    champion, other = names(folder)
    begin(place, other, champion)
    for _ in range(stages):
        advance(place, "a test")
    return champion, other


@pytest.fixture
def serve() -> Iterator[object]:
    started: list[Serving] = []

    def start(folder: Path, *options: str, **popen: object) -> Serving:
        started.append(Serving(folder, ("--look-every", "0", *options), **popen))
        return started[-1]

    yield start
    for running in started:
        running.end()


def refused(folder: Path) -> str:
    """What a `clw serve` says that does not start."""
    command = [*CLW, "serve", "--workspace", str(folder), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


def captured(folder: Path) -> pl.DataFrame:
    return Workspace(folder).signals().filter(pl.col("source") == "serve")


def wait_for(what: object, seconds: float = 20) -> None:
    """Waits until a call gives something true."""
    for _ in range(int(seconds * 10)):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


def test_the_real_client_is_answered_and_its_answers_become_signals(serve, folder):
    champion, _ = names(folder)
    running = serve(folder)
    client = running.openai()
    assert [each.id for each in client.models.list()] == ["clw", champion]
    assert client.models.retrieve("clw").id == "clw"
    whole = client.chat.completions.create(model="clw", messages=HELLO, max_tokens=12, user="anna@example.com")
    pieces = list(
        client.chat.completions.create(
            model="clw", messages=HELLO, max_tokens=12, stream=True, stream_options={"include_usage": True}
        )
    )
    told = "".join(each.choices[0].delta.content or "" for each in pieces if each.choices)
    assert told == whole.choices[0].message.content
    assert pieces[-1].usage.total_tokens == whole.usage.total_tokens
    assert [each.choices[0].finish_reason for each in pieces if each.choices][-1] == whole.choices[0].finish_reason
    assert whole.model == champion
    assert running.feedback({"target": whole.id, "name": "edited"}).status_code == 200
    end = running.stop()
    assert end["counts"] == {"requests": 5, "answers": 2, "failed": 0, "cancelled": 0, "refused": 0, "events": 1}
    assert end["ingested"]["new"] == 3
    assert end["waiting"] == 0
    rows = captured(folder)
    assert sorted(rows["source_id"]) == sorted([whole.id, pieces[0].id])
    first = rows.row(by_predicate=pl.col("source_id") == whole.id, named=True)
    assert first["answer"] == whole.choices[0].message.content
    assert first["text"] == "where is my card"
    assert first["release_id"] == champion
    assert first["propensity"] is None
    assert 0 < first["confidence"] <= 1
    assert first["latency_ms"] > 0
    assert (first["n_input_tokens"], first["n_output_tokens"]) == (
        whole.usage.prompt_tokens,
        whole.usage.completion_tokens,
    )
    assert first["user_key"] == Workspace(folder).pseudonyms.user("anna@example.com")
    assert first["outcome"] is False


def test_a_stage_shares_conversations_out_and_keeps_them_together(serve, folder):
    champion, other = go_out(folder, stages=2)
    running = serve(folder)
    assert running.client.get("/health").json()["stage"] == "25%"
    asked = {f"c{number}": running.ask(headers={"X-Conversation-Id": f"c{number}"}).json() for number in range(40)}
    again = {name: running.ask(metadata={"conversation_id": name}).json()["model"] for name in asked}
    assert again == {name: each["model"] for name, each in asked.items()}
    assert {champion, other} == set(again.values())
    assert running.ask(model=other).json()["model"] == other
    running.stop()
    rows = captured(folder)
    chosen = rows.drop_nulls("propensity")
    assert chosen.height == 80
    assert set(chosen.select("release_id", "propensity").unique().rows()) == {(champion, 0.75), (other, 0.25)}
    facts = [json.loads(each) for each in chosen["attributes"]]
    assert {each["clw.stage"] for each in facts} == {"25%"}
    assert {float(each["clw.challenger_chance"]) for each in facts} == {0.25}
    assert rows.filter(pl.col("propensity").is_null())["release_id"].to_list() == [other]
    assert "clw.stage" not in json.loads(rows.filter(pl.col("propensity").is_null())["attributes"].item())


@pytest.mark.slow
def test_in_the_shadow_both_answer_and_the_champions_is_sent(serve, folder):
    champion, other = go_out(folder)
    running = serve(folder)
    said = [running.ask([{"role": "user", "content": f"refund {n}"}]).json() for n in range(8)]
    assert {each["model"] for each in said} == {champion}
    assert running.stop()["ingested"]["new"] == 16
    rows = Workspace(folder).read("interactions").filter(pl.col("source") == "serve")
    silent = rows.filter(operation="shadow")
    assert set(silent["release_id"]) == {other}
    assert {json.loads(each)["clw.shadow_of"] for each in silent["attributes"]} == {each["id"] for each in said}
    assert captured(folder).height == 8


def test_a_rollback_takes_effect_while_requests_run_and_none_is_lost(serve, folder):
    champion, other = go_out(folder, stages=3)
    running = serve(folder)
    n = 120

    async def ask(client: httpx.AsyncClient, number: int) -> tuple[int, str]:
        body = {"model": "clw", "messages": [{"role": "user", "content": f"card {number}"}], "max_tokens": 12}
        answer = await client.post("/v1/chat/completions", json=body)
        return answer.status_code, answer.json()["model"]

    async def all_of_them() -> list[tuple[int, str]]:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as client:
            early = [asyncio.create_task(ask(client, number)) for number in range(n // 2)]
            await asyncio.to_thread(lambda: ship.rollback(Workspace(folder), "complaints"))
            asked = await asyncio.gather(*early)
            began = time.monotonic()
            while (await client.get("/health")).json()["stage"] != "full":
                assert time.monotonic() - began < 5
                await asyncio.sleep(0.1)
            return asked + await asyncio.gather(*(ask(client, number) for number in range(n // 2, n)))

    told = asyncio.run(all_of_them())
    assert {status for status, _ in told} == {200}
    assert other in {model for _, model in told[: n // 2]}
    assert {model for _, model in told[n // 2 :]} == {champion}
    assert running.client.get("/health").json()["models"] == [champion]
    assert running.stop()["counts"]["answers"] == n
    assert captured(folder).height == n


@pytest.mark.slow
def test_fifty_at_once_are_all_answered(serve, folder):
    running = serve(folder)

    async def ask(client: httpx.AsyncClient, number: int) -> int:
        body = {"model": "clw", "messages": [{"role": "user", "content": f"balance {number}"}], "max_tokens": 20}
        return (await client.post("/v1/chat/completions", json=body)).status_code

    async def fifty() -> list[int]:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(50)))

    assert asyncio.run(fifty()) == [200] * 50
    assert running.stop()["counts"]["answers"] == 50
    assert captured(folder)["source_id"].n_unique() == 50


@pytest.mark.slow
def test_a_client_that_leaves_in_the_middle_is_written_down_and_hurts_nobody(serve, folder):
    running = serve(folder)
    body = {"model": "clw", "messages": HELLO, "max_tokens": 400, "temperature": 2, "seed": 3, "stream": True}
    with running.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert next(answer.iter_lines()).startswith("data: ")
    body = {"model": "clw", "messages": HELLO, "max_tokens": 400, "temperature": 2, "seed": 3}
    with pytest.raises(httpx.ReadTimeout):
        running.client.post("/v1/chat/completions", json=body, timeout=0.03)
    assert running.ask().status_code == 200
    wait_for(lambda: running.client.get("/health").json()["requests"] == 0)
    counts = running.stop()["counts"]
    assert counts["answers"] + counts["cancelled"] == 3
    rows = Workspace(folder).read("interactions").filter(pl.col("source") == "serve")
    assert rows.height == 3
    assert set(rows["finish_reason"]) <= {"cancelled", "stop", "length"}


WRONG = [
    ({"model": "gpt-9"}, 404, "model", "no model 'gpt-9' here. There: clw"),
    ({"messages": []}, 400, "messages", "length >= 1"),
    ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0].role", "One of system, developer"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages[0].content", "no pictures"),
    ({"messages": [{"role": "user", "content": "card " * 900}]}, 400, "messages", "exceed the model's 512"),
    ({"n": 2}, 400, "n", "one answer for each request"),
    ({"logprobs": True}, 400, "logprobs", "not offered here"),
    ({"response_format": {"type": "json_object"}}, 400, "response_format", "only text"),
    ({"max_tokens": 0}, 400, "max_tokens", ">= 1"),
    ({"temperature": 9}, 400, "temperature", "<= 2"),
    ({"stop": ["a", "b", "c", "d", "e"]}, 400, "stop", "four texts"),
    ({"messages": [{"role": "assistant", "tool_calls": [7]}]}, 400, "messages[0].tool_calls", "a call has an id"),
]


def test_what_means_nothing_is_refused_in_openais_shape_and_the_server_stays_up(serve, folder):
    running = serve(folder)
    for more, status, param, words in WRONG:
        body = {"model": "clw", "messages": HELLO, "max_tokens": 12, **more}
        answer = running.client.post("/v1/chat/completions", json=body)
        error = answer.json()["error"]
        assert answer.status_code == status, error
        assert error["param"] == param, error
        assert words in error["message"]
        assert set(error) == {"message", "type", "param", "code"}
    raw = {"content_type": "application/json"}
    for body, words in (
        (b"{", "no JSON that can be read"),
        (b"[" * 100_000, "no JSON that can be read"),
        (b"[1]", "xpected `object`"),
        (b"\xff\xfe", "no JSON that can be read"),
    ):
        answer = running.post("/v1/chat/completions", body, **raw)
        assert answer.status_code == 400
        assert words in answer.json()["error"]["message"]
    huge = running.ask([{"role": "user", "content": "x" * 10_000_000}])
    assert huge.status_code == 400
    assert huge.json()["error"]["code"] == "context_length_exceeded"
    assert running.post("/v1/chat/completions", b"a=b", content_type="text/plain").status_code == 415
    assert running.client.get("/v1/chat/completions").status_code == 405
    assert running.client.post("/v1/embeddings", json={}).json()["error"]["code"] == "unknown_url"
    assert running.client.get("/v1/models/other").status_code == 404
    assert running.client.get("/health", headers={"host": "evil.example"}).status_code == 421
    without = running.client.post("/v1/feedback", json={"target": "a", "name": "thumbs", "score": 1})
    assert without.status_code == 401
    assert without.json()["error"]["type"] == "authentication_error"
    assert running.feedback({"name": "thumbs"}).status_code == 400
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-9'"):
        running.openai().chat.completions.create(model="gpt-9", messages=HELLO)
    assert running.ask().status_code == 200
    running.stop()
    assert captured(folder).height == 1


def test_what_was_acknowledged_is_there_after_a_kill(serve, folder):
    running = serve(folder, "--every", "3600")
    said = [running.ask([{"role": "user", "content": f"rate {n}"}]).json()["id"] for n in range(9)]
    assert running.feedback({"target": said[0], "name": "accepted"}).status_code == 200
    running.kill()
    again = serve(folder)
    again.stop()
    rows = captured(folder)
    assert sorted(rows["source_id"]) == sorted(said)
    assert rows.row(by_predicate=pl.col("source_id") == said[0], named=True)["outcome"] is True


@pytest.mark.slow
def test_a_full_spool_refuses_instead_of_answering_what_is_not_kept(serve, folder):
    running = serve(folder, "--every", "3600", "--spool-mb", "1")
    large = [{"role": "system", "content": "x "}, {"role": "user", "content": "card"}]
    junk = {"name": "thumbs", "score": 1, "target": "t", "comment": "y" * 300_000}
    answers = [running.feedback(junk).status_code for _ in range(5)]
    assert answers.count(429) >= 1
    while (answer := running.ask(large)).status_code == 200:
        pass
    assert answer.status_code == 503
    assert "the spool is full" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "5"
    with running.client.stream(
        "POST", "/v1/chat/completions", json={"model": "clw", "messages": large, "stream": True}
    ) as stream:
        lines = [line for line in stream.iter_lines() if line]
    assert "the spool is full" in lines[-2]
    assert lines[-1] == "data: [DONE]"


@pytest.mark.slow
def test_an_adapter_that_is_gone_or_changed_is_named_before_anything_is_served(folder):
    _, other = go_out(folder, stages=1)
    place = Workspace(folder)
    run = next(parent for parent in place.catalog.parents(other) if parent.startswith("run:"))
    weights = place.artefact_folder(run) / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    told = refused(folder)
    assert "The file was changed after the run" in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_a_challenger_that_does_not_load_leaves_the_champion_serving(serve, folder):
    champion, other = names(folder)
    running = serve(folder)
    place = Workspace(folder)
    run = next(parent for parent in place.catalog.parents(other) if parent.startswith("run:"))
    (place.artefact_folder(run) / "adapter" / "adapter_model.safetensors").unlink()
    begin(place, other, champion)
    wait_for(lambda: running.client.get("/health").json()["status"] == "degraded")
    assert "adapter_model.safetensors" in running.client.get("/health").json()["fault"]
    assert running.ask().json()["model"] == champion
    ship.rollback(place)
    wait_for(lambda: running.client.get("/health").json()["status"] == "ok")
    running.stop()
    assert "the rollout is not followed" in "".join(running.said)


@pytest.mark.slow
def test_two_servers_of_one_workspace_do_not_go_together(serve, folder):
    serve(folder)
    assert "serve" in refused(folder)


@pytest.mark.slow
def test_a_stop_lets_answers_end_first(serve, folder):
    running = serve(folder)
    body = {"model": "clw", "messages": HELLO, "max_tokens": 60, "stream": True}
    with running.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        running.process.send_signal(signal.SIGINT)
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert running.process.wait(timeout=60) == 0
    assert captured(folder).height == 1


@pytest.mark.slow
def test_a_guardrail_sends_the_challenger_back_by_itself(serve, folder):
    champion, other = go_out(folder, stages=2)
    running = serve(folder, "--look-every", "1")

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        body = {"model": "clw", "messages": [{"role": "user", "content": f"card {number}"}], "max_tokens": 12}
        said = (await client.post("/v1/chat/completions", json=body)).json()
        event = {"target": said["id"], "name": "edited" if said["model"] == other else "accepted"}
        await client.post("/v1/feedback", json=event, headers={"authorization": f"Bearer {running.token}"})

    async def customers() -> None:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as client:
            for first in range(0, 400, 20):
                await asyncio.gather(*(ask(client, number) for number in range(first, first + 20)))

    asyncio.run(customers())
    wait_for(lambda: running.client.get("/health").json()["stage"] == "full", 60)
    running.stop()
    assert Workspace(folder).catalog.champions()[-1][0] == champion
    assert "rollout: roll back: shown worse than allowed (outcome" in "".join(running.said)


def test_conversations_are_told_apart_by_how_they_begin():
    begin_ = [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]
    later = [*begin_, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert conversation_of([None, None], None, begin_) == conversation_of([None], None, later)
    assert conversation_of([], "anna", begin_) != conversation_of([], "ben", begin_)
    assert conversation_of([], None, begin_) != conversation_of([], None, [{"role": "user", "content": "a"}])
    assert conversation_of([None, "mine"], "anna", begin_) == "mine"


def test_help_teaches(place):
    from click.testing import CliRunner

    from clworkbench.cli.main import clw

    told = CliRunner().invoke(clw, ["serve", "--help"]).output
    for word in ("X-Conversation-Id", "/v1/feedback", "OpenAI(base_url", "--look-every"):
        assert word in told
