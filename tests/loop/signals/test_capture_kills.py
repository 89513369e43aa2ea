"""Ingest killed at fifty random moments: the rows that count are those of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from clworkbench.loop.signals.capture import ingest
from clworkbench.signals import cores
from clworkbench.workspace import Workspace
from tests.loop.signals.test_capture import chat

pytestmark = pytest.mark.slow

INGEST = """
import sys
from clworkbench.loop.signals import capture
from clworkbench.signals import cores
from clworkbench.workspace import Workspace
cores.WORTH_IT, cores.STEP = 0, 40_000
workspace = Workspace(sys.argv[1])
print("ready", flush=True)
capture.ingest(workspace, sys.argv[2], "openai")
"""


def committed(workspace: Workspace, table: str) -> pl.DataFrame:
    """The rows that count, less what says in which batch they came."""
    rows = workspace.read(table)
    return rows.drop("batch_id", "seq").sort("raw_sha256" if table != "quarantine" else "offset", rows.columns[0])


def test_fifty_kills_at_random_moments_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    drawn, log = random.Random(50), tmp_path / "log.jsonl"
    disturbed = Workspace.create(tmp_path / "disturbed")
    killed = written = 0
    while killed < 50:
        with log.open("a") as file:  # it grows between the runs, as logs do
            for number in range(written, written + 1500):
                file.write("{half\n" if number % 97 == 0 else chat(number, f"answer {number}") + "\n")
        written += 1500
        words = [sys.executable, "-c", INGEST, str(disturbed.folder), str(log)]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ, text=True)
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        try:
            running.wait(drawn.uniform(0, 1.5))
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            killed += running.wait() == -signal.SIGKILL
        running.stdout.close()
    monkeypatch.setattr(cores, "STEP", 40_000)
    ingest(disturbed, log, "openai")
    whole = Workspace.create(tmp_path / "whole")
    ingest(whole, log, "openai")
    for table in ("interactions", "feedback", "quarantine"):
        assert committed(disturbed, table).equals(committed(whole, table)), table
    assert whole.counts()["interactions"] > 50_000
