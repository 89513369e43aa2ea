"""A small workspace to explore: chats with tool calls, hostile texts, two tenants, thumbs, and some pending."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace

HOSTILE = "<script>alert('owned')</script> <img src=x onerror=alert(1)> **card** $x$ & 'q' -- \"(select"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SETTINGS = """\
format = 1
[policy]
redaction = "off"
[outcomes]
thumbs = { score = "thumbs" }
[slices]
money = "text LIKE '%charged%'"
"""


def chat(number: int) -> dict[str, object]:
    """Every third is about money; every fifth is bad, every seventh pending; number 3 is hostile and calls a tool."""
    hostile = f" {HOSTILE}" if number == 3 else ""
    said = f"{'charged twice' if number % 3 == 0 else 'where is it'} {number}{hostile}"
    call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"order": "<b>7</b>"}'}}
    messages = [
        {"role": "user", "content": said},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": f"found {hostile}"},
        {"role": "assistant", "content": f"answer {number}{hostile}"},
    ]
    thumb = {"name": "thumbs", "score": -1 if number % 5 == 0 else 1, "comment": f"so so{hostile}"}
    return {
        "id": f"chat-{number}",
        "created": (START + timedelta(hours=7 * number)).isoformat(),
        "messages": messages,
        "model": "m<i>1</i>" if number % 2 else "m2",
        "metadata": {"conversation_id": f"talk-{number // 2}", "tenant": {"id": "ab"[number % 2]}},
        "feedback": [] if number % 7 == 0 else [thumb],
    }


def make_talks(folder: Path, n: int = 60) -> Workspace:
    """The workspace, in a second or so."""
    made = Workspace.create(folder, settings=SETTINGS)
    file = folder / "talks.jsonl"
    file.write_text("".join(json.dumps(chat(number)) + "\n" for number in range(n)))
    if n:
        ingest(made, [file], source="openai")
    return made
