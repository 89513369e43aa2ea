"""A rollout's traffic made up: drawn by the real router, written as the real server does, ingested as its spool is."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from clworkbench.loop.signals import capture
from clworkbench.models.engine import Piece
from clworkbench.serving.chat.record import SHADOW, Answer
from clworkbench.serving.chat.request import Chat
from clworkbench.serving.chat.routing import Drawn, Router, state
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[sources.serve]
format = "otlp"
[sources.tickets]
format = "mapping"
record = "feedback"
target_source = "serve"
columns = { id = "id", target = "target", name = "name", at = "at" }
[outcomes]
resolved = { negative = "reopened", within = "24h", source = "tickets" }
[rollout]
shadow = { agreement = 0.5, at_least = "1h" }
stages = [{ share = 0.25, margin = 0.2, at_least = "1h" }, { share = 0.5, margin = 0.1, at_least = "1h" }]
"""


def workspace_for_rollouts(folder: Path, more: str = "") -> Workspace:
    return Workspace.create(folder, settings=SETTINGS + more, key=b"\7" * 32)


def answered(
    conversation: str,
    drawn: Drawn,
    at: datetime,
    *,
    text: str = "done",
    ms: float = 500.0,
    error: str | None = None,
    shadow_of: str | None = None,
) -> Answer:
    """An answer that has ended."""
    messages = [{"role": "user", "content": f"about {conversation}"}]
    operation = "chat" if shadow_of is None else SHADOW
    answer = Answer(Chat("clw", messages), messages, conversation, drawn, operation, shadow_of, began=at)
    answer.take(
        Piece("" if error else text, 9, 0 if error else 20, None if error else 0.9, "error" if error else "stop", error)
    )
    answer.took_ms = ms
    return answer


def hand_in(workspace: Workspace, answers: list[Answer], events: list[str], until: datetime, name: str) -> None:
    """Ingests them, and says that tickets are read up to `until`."""
    spans = workspace.folder / f"spans-{name}.jsonl"
    spans.write_bytes(b"".join(answer.line() + b"\n" for answer in answers))
    capture.ingest(workspace, [spans], "serve")
    told = workspace.folder / f"events-{name}.jsonl"
    told.write_text("\n".join(events) + "\n")
    capture.ingest(workspace, [told], "tickets", read_until=until)


def reopened(answer: Answer) -> str:
    at = (answer.began + timedelta(hours=2)).isoformat()
    return f'{{"id": "r {answer.id}", "target": "{answer.id}", "name": "reopened", "at": "{at}"}}'


def traffic(
    workspace: Workspace,
    n: int,
    *,
    since: datetime,
    good: Callable[[Drawn], float],
    name: str,
    fails: Callable[[Drawn], float] = lambda _: 0.0,
    ms: Callable[[Drawn], float] = lambda _: 500.0,
    per_hour: int = 60,
    turns: int = 1,
) -> datetime:
    """Conversations from `since` on, shared out as the rollout stands; returns the moment when all have settled."""
    random = Random(name)
    router = Router(*state(workspace))
    answers, events = [], []
    for number in range(n):
        at = since + timedelta(hours=number / per_hour)
        drawn = router.draw(f"{name} {number}")
        for turn in range(turns):
            error = "generation failed" if random.random() < fails(drawn) else None
            answer = answered(f"{name} {number}", drawn, at + timedelta(minutes=turn), ms=ms(drawn), error=error)
            answers.append(answer)
            if error is None and random.random() >= good(drawn):
                events.append(reopened(answer))
            if router.shadow:
                other = Drawn(router.shadow, "challenger", drawn.stage, drawn.chance, drawn.rollout)
                answers.append(
                    answered(
                        answer.conversation, other, answer.began, ms=ms(other), shadow_of=answer.id, text="done so"
                    )
                )
    until = since + timedelta(hours=n / per_hour + 25)
    hand_in(workspace, answers, events, until, name)
    return until
