"""`clw label push`, killed at any moment and called again: each signal is asked about once."""

import random
import subprocess
import sys
import time

import pytest

from clworkbench.labels.argilla import Address, connect
from clworkbench.loop import data
from clworkbench.loop.signals.capture import ingest
from tests.audit.people import write_lines
from tests.loop.asking import make, turn

pytestmark = [pytest.mark.argilla, pytest.mark.slow]

N = 800


def test_a_push_that_is_killed_again_and_again_asks_each_once(workspace, argilla_server, monkeypatch):
    monkeypatch.setenv("ARGILLA_API_URL", argilla_server.url)
    monkeypatch.setenv("ARGILLA_API_KEY", argilla_server.api_key)
    asking = make(workspace)
    letters = random.Random(7)
    words = [" ".join("".join(letters.choices("aeiklmnorst", k=7)) for _ in range(6)) for _ in range(N)]
    turns = [turn(f"more{n}", words[n], f"Answer {n}.") for n in range(N)]
    ingest(workspace, write_lines(workspace.folder / "more.jsonl", turns), "app")
    data.choose(workspace, N)
    name = f"{asking.team}-review"
    code = "from clworkbench.cli.main import main; main()"
    command = [sys.executable, "-c", code, "label", "push", name, "--workspace", str(workspace.folder)]
    moment = random.Random(6)
    began = time.monotonic()
    subprocess.run([*command, "--dry-run"], check=True, capture_output=True)
    usual_s = time.monotonic() - began
    killed = 0
    for _ in range(5):
        push = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            push.communicate(timeout=moment.uniform(0.3, 1.5) * usual_s)
        except subprocess.TimeoutExpired:
            push.kill()
            push.communicate()
            killed += 1
    last = subprocess.run(command, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert killed
    rows = workspace.asked(name)
    assert rows.height == N
    assert set(rows["state"]) == {"asked"}
    with connect(Address(argilla_server.url, argilla_server.api_key, embedded=True)) as found:
        dataset = found.find(name, asking.team)
        there = [each.external_id for each in found.records(dataset, rows["interaction_id"])]
        total = found.http.get(f"/api/v1/datasets/{dataset.id}/progress").json()["total"]
    assert sorted(there) == sorted(rows["interaction_id"])
    assert total == N
