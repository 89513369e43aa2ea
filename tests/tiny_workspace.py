"""A workspace in which the loop went round on a 2-layer model: three weeks of logs, one release, one blocked run."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clworkbench.loop import data
from clworkbench.loop.cycle import cycle
from clworkbench.loop.releases import ship
from clworkbench.loop.runs.train import train
from clworkbench.workspace import Workspace

WORDS = ["card", "transfer", "balance", "charged", "twice", "rate", "today", "wrong", "cancel", "please", "arrived"]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOSTILE = "<script>alert('owned')</script> **card** $x$ "

SETTINGS = """\
format = 1
[model]
base = "{base}"
dtype = "float32"
threads = 1
[sources.app]
format = "openai"
paths = "inbox/*.jsonl"
[outcomes]
corrected = {{ negative = "edited", positive = "accepted" }}
[slices]
money = "text LIKE '%charged%'"
[training]
holdout = 0.1
min_new_rows = 10
steps = 25
batch_size = 8
learning_rate = 2e-2
max_tokens = 128
[evals]
suites = ["main"]
max_new_tokens = 8
[gates]
target = "money"
"""


def question(number: int) -> str:
    """A text of its own; every other one is about money."""
    words = " ".join(WORDS[(number * step + number // 7) % len(WORDS)] for step in (1, 2, 3, 5))
    hostile = HOSTILE if number == 61 else ""
    return f"{hostile}{words} {number}" + (" charged" if number % 2 else "")


def record(number: int) -> dict[str, object]:
    """An answer that an operator edited or, in the third week, accepted now and then."""
    at = START + timedelta(hours=8 * number)
    right = number > 40 and number % 3 == 0
    said = "refund" if right else "no idea"
    verdict: dict[str, object] = {"name": "accepted" if right else "edited", "origin": "operator"}
    if not right:
        verdict["improvement"] = "refund"
    return {
        "id": f"log:{number}",
        "created": at.isoformat(),
        "messages": [{"role": "user", "content": question(number)}, {"role": "assistant", "content": said}],
        "metadata": {"release_id": "release:older" if number < 42 else "release:newer", "confidence": 0.5},
        "feedback": [verdict | {"at": (at + timedelta(hours=1)).isoformat()}] if number < 62 else [],
    }


def write_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    """JSON lines."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_tiny_workspace(folder: Path, base: Path) -> Workspace:
    """Plays it in some seconds; the last two signals are pending."""
    workspace = Workspace.create(folder, settings=SETTINGS.format(base=base))
    write_lines(folder / "inbox" / "march.jsonl", [record(number) for number in range(64)])
    examples = [
        {"id": f"q{i}", "input": question(i), "expected": "refund", "slices": ["money" if i % 2 else "rest"]}
        for i in range(64, 184)
    ]
    data.freeze_suite(workspace, "main", write_lines(folder / "suite.jsonl", examples))
    turn = cycle(workspace)
    worse = train(workspace, str(turn.training_set), steps=1, learning_rate=1e-6)
    ship.gate(workspace, worse.id)
    return workspace
