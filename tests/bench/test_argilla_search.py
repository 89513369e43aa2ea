"""Searches over 100,000 records in the real server: medians of what a request takes, Argilla's own part included."""

import itertools
import json
import random
import sqlite3
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.argilla]

N = 100_000
DIMENSIONS = 64
REPEATS = 9


def body_of(rng: random.Random, words: list[str], chances: list[float], n: int) -> str:
    return " ".join(rng.choices(words, cum_weights=chances, k=n))


def fill(conn: sqlite3.Connection, dataset: str, question: str, space: str, user: str) -> None:
    """Records of about 1 kB with a suggestion and a vector each; one in three answered by `user`."""
    rng = random.Random(7)
    words = [f"w{i}" for i in range(30_000)]
    chances = list(itertools.accumulate(1 / (i + 20) for i in range(30_000)))
    for start in range(0, N, 5000):
        rows: dict[str, list[tuple[object, ...]]] = {"records": [], "responses": [], "suggestions": [], "vectors": []}
        for i in range(start, min(start + 5000, N)):
            at = f"{datetime(2026, 1, 1) + timedelta(seconds=i):%Y-%m-%d %H:%M:%S.%f}"
            made = [uuid.UUID(int=rng.getrandbits(128), version=4).hex for _ in range(4)]
            chat = [{"role": "user", "content": body_of(rng, words, chances, 60)}]
            fields = json.dumps({"chat": chat, "answer": body_of(rng, words, chances, 90)})
            metadata = json.dumps({"slice": rng.choice("abcdefgh"), "tokens": rng.randrange(5000)})
            status = "pending" if i % 3 else "completed"
            rows["records"].append((made[0], fields, f"b{i}", dataset, at, at, metadata, status))
            rows["suggestions"].append((made[1], '"accept"', str(i / N), "m", "model", made[0], question, at, at))
            vector = json.dumps([rng.random() - 0.5 for _ in range(DIMENSIONS)])
            rows["vectors"].append((vector, made[0], space, made[2], at, at))
            if i % 3 == 0:
                answer = json.dumps({"verdict": {"value": "accept"}})
                rows["responses"].append((made[3], answer, "submitted", made[0], user, at, at))
        with conn:
            for name, values in rows.items():
                conn.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)


@pytest.fixture(scope="module")
def many(argilla_server) -> Iterator[tuple[httpx.Client, str]]:
    headers = {"X-Argilla-Api-Key": argilla_server.api_key}
    with closing(httpx.Client(base_url=f"{argilla_server.url}/api/v1", headers=headers, timeout=600)) as client:

        def post(path: str, **body: object) -> str:
            answer = client.post(path, json=body)
            assert answer.is_success, answer.text
            return str(answer.json()["id"])

        at = f"/datasets/{post('/datasets', name='many', workspace_id=post('/workspaces', name='many'))}"
        post(f"{at}/fields", name="chat", title="chat", required=True, settings={"type": "chat"})
        post(f"{at}/fields", name="answer", title="answer", settings={"type": "text"})
        choices = [{"value": value, "text": value} for value in ("accept", "reject")]
        asked = {"type": "label_selection", "options": choices}
        question = post(f"{at}/questions", name="verdict", title="verdict", required=True, settings=asked)
        post(f"{at}/metadata-properties", name="slice", title="slice", settings={"type": "terms"})
        post(f"{at}/metadata-properties", name="tokens", title="tokens", settings={"type": "integer"})
        space = post(f"{at}/vectors-settings", name="meaning", title="meaning", dimensions=DIMENSIONS)
        assert client.put(f"{at}/publish").is_success
        user = client.get("/me").json()["id"]
        with closing(sqlite3.connect(argilla_server.home.folder / "argilla.db", timeout=60)) as conn:
            fill(conn, *(name.replace("-", "") for name in (at.split("/")[2], question, space, user)))
        started = time.perf_counter()
        assert client.post(f"{at}/records/search", json={}).json()["total"] == N
        print(f"\nindex of {N:,} records built in {time.perf_counter() - started:.0f} s")
        yield client, at


def test_searches_of_100_000_records_are_quick(many):
    client, at = many

    def took_ms(name: str, ask: Callable[[], httpx.Response]) -> float:
        took = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            answer = ask()
            took.append((time.perf_counter() - started) * 1000)
            assert answer.is_success, answer.text
        print(f"{name:32s} {statistics.median(took):6.0f} ms   {answer.json().get('total', '')}")
        return statistics.median(took)

    def search(mine: str = "", **body: object) -> Callable[[], httpx.Response]:
        return lambda: client.post(f"{mine}{at}/records/search?limit=10", json=body)

    def text(q: str) -> dict[str, object]:
        return {"text": {"q": q}}

    def terms(scope: dict[str, str], *values: str) -> dict[str, object]:
        return {"and": [{"type": "terms", "scope": scope, "values": list(values)}]}

    def least(scope: dict[str, str], ge: float) -> dict[str, object]:
        return {"and": [{"type": "range", "scope": scope, "ge": ge}]}

    of_slice = {"entity": "metadata", "metadata_property": "slice"}
    of_tokens = {"entity": "metadata", "metadata_property": "tokens"}
    of_status = {"entity": "record", "property": "status"}
    of_answer = {"entity": "response", "property": "status"}
    of_score = {"entity": "suggestion", "question": "verdict", "property": "score"}
    vector = {"vector": {"name": "meaning", "value": [float(i % 5 - 2) for i in range(DIMENSIONS)]}}
    mine = {"and": [*terms(of_answer, "pending")["and"], *terms(of_status, "pending")["and"]]}
    texts = [
        took_ms(f"text {q}", search(query=text(q)))
        for q in ("w2000", "w900 w400", '"w30 w40"', "w500 | w900", "w300 -w20")
    ]
    filters = [
        took_ms("metadata term", search(filters=terms(of_slice, "a"))),
        took_ms("metadata range", search(filters=least(of_tokens, 2500))),
        took_ms("record status", search(filters=terms(of_status, "pending"))),
        took_ms("answered by anyone", search(filters=terms(of_answer, "submitted"))),
        took_ms("suggestion score", search(filters=least(of_score, 0.5))),
        took_ms("pending for an annotator", search("/me", filters=mine)),
        took_ms("text and metadata", search(query=text("w300"), filters=least(of_tokens, 2500))),
    ]
    took_ms("sorted by metadata", search(sort=[{"scope": of_tokens, "order": "desc"}]))
    took_ms("sorted by suggestion score", search(sort=[{"scope": of_score, "order": "desc"}]))
    took_ms("vectors", search(query=vector))
    took_ms("vectors and metadata", search(query=vector, filters=terms(of_slice, "a")))
    took_ms("progress", lambda: client.get(f"{at}/progress"))
    took_ms("my progress", lambda: client.get(f"/me{at}/metrics"))
    assert statistics.median(texts) < 50
    assert statistics.median(filters) < 300
