"""A workspace whose failures are planted by the day, so that every figure of an alert is known beforehand."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)

BASE = """\
format = 1
[outcomes]
thumbs = {{ score = "thumbs" }}
[slices]
refunds = "text LIKE '%refund%'"
{more}
[alerts]
to = {to}
quiet = "24h"
{rules}
"""

FAIL = """\
[alerts.rules.refunds_fail]
rate = "failure"
slice = "refunds"
above = 0.2
"""


def settings(rules: str = FAIL, *, to: Sequence[str] = ("file:alerts.jsonl",), more: str = "") -> str:
    return BASE.format(rules=rules, to=json.dumps(list(to)), more=more)


def answers(day: int, good: int, bad: int, *, text: str = "refund", user: str | None = None) -> list[dict[str, object]]:
    """So many answers at noon of a day, each a conversation of its own, the bad ones with a thumb down."""
    at = START + day * DAY + timedelta(hours=12)
    rows = []
    for number in range(good + bad):
        score = -1 if number < bad else 1
        said = [{"role": "user", "content": f"{text} {number}"}, {"role": "assistant", "content": "done"}]
        rows.append(
            {
                "id": f"{text}-{day}-{number}",
                "created": (at + timedelta(seconds=number)).isoformat(),
                "messages": said,
                "metadata": {"conversation_id": user} if user else {},
                "feedback": [{"name": "thumbs", "score": score, "at": (at + timedelta(minutes=5)).isoformat()}],
            }
        )
    return rows


def bring(workspace: Workspace, *parts: list[dict[str, object]], more: str = "") -> None:
    """Ingests them as one file."""
    rows = [row for part in parts for row in part]
    number = len(list(workspace.folder.parent.glob("in-*.jsonl")))
    path = workspace.folder.parent / f"in-{number}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + more)
    ingest(workspace, path, "openai")


def told(workspace: Workspace, name: str = "alerts.jsonl") -> list[dict[str, object]]:
    """The lines of the file that alerts go to."""
    path: Path = workspace.folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
