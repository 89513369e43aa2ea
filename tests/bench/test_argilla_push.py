"""Records into the annotation server, by its bulk endpoint as `clw label push` uses it, up to 100,000 of them."""

import random
import time

import httpx
import psutil
import pytest

from clworkbench.labels.server import process
from tests.labels.annotating import make_task

pytestmark = [pytest.mark.slow, pytest.mark.argilla]

RECORDS, BULK = 100_000, 500
WORDS = ["refund", "order", "late", "parcel", "invoice", "login", "password", "reset", "please", "thanks", "broken"]


def bulk(wheel: random.Random, name: str, question: str) -> list[dict]:
    """Records with an answer of 100 words, what is known of it, and a suggestion."""
    return [
        {
            "external_id": f"{name}-{number}",
            "fields": {"text": " ".join(wheel.choices(WORDS, k=100))},
            "metadata": {"slice": wheel.choice(WORDS), "model": "m", "confidence": wheel.random()},
            "suggestions": [{"question_id": question, "value": "accept", "score": 0.5, "agent": "m"}],
        }
        for number in range(BULK)
    ]


def test_records_are_taken_at_200_a_second_up_to_100_000(argilla_server):
    task = make_task(argilla_server.url, argilla_server.api_key, name="bench", records=1, annotators=1)
    (question,) = task.ask(f"datasets/{task.dataset_id}/questions")["items"]
    wheel = random.Random(1)
    server = psutil.Process(process.running(argilla_server.home).pid)
    url = f"{argilla_server.url}/api/v1/datasets/{task.dataset_id}/records/bulk"
    rates, cpu_before = [], sum(server.cpu_times()[:2])
    with httpx.Client(headers={"X-Argilla-Api-Key": argilla_server.api_key}, timeout=300) as client:
        for tenth in range(10):
            bulks = [bulk(wheel, f"{tenth}-{number}", question["id"]) for number in range(RECORDS // BULK // 10)]
            began = time.perf_counter()
            for items in bulks:
                client.put(url, json={"items": items}).raise_for_status()
            rates.append(RECORDS / 10 / (time.perf_counter() - began))
    cpu_ms = 1000 * (sum(server.cpu_times()[:2]) - cpu_before) / RECORDS
    said = ", ".join(f"{rate:,.0f}" for rate in rates)
    print(f"\nrecords a second, by tenth of {RECORDS:,}: {said}; {cpu_ms:.2f} CPU ms each")
    assert task.ask(f"datasets/{task.dataset_id}/progress")["total"] == RECORDS + 1
    task.owner.close()
    assert min(rates) >= 200
