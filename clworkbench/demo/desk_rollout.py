"""Weeks of the desk behind `clw serve`: customers write to it, a rollout shares them out, and evidence moves it."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from clworkbench.demo.desk_people import Message, Ticket
from clworkbench.demo.desk_traces import events, messages
from clworkbench.demo.story import Say, write_lines
from clworkbench.display.progress import progress_bar
from clworkbench.errors import ClwError
from clworkbench.loop.evals.model import champion
from clworkbench.loop.releases import rollout as staged
from clworkbench.loop.releases import ship
from clworkbench.loop.signals import capture
from clworkbench.serving.serve import SOURCE
from clworkbench.workspace import Workspace
from clworkbench.workspace.rollouts import current_rollout, rollouts

STEP = timedelta(hours=12)
"""After each half day what happened is read and looked at."""

AT_ONCE = 32
SERVED = "served"
"""The source of what happened to tickets that the server answered."""

PATIENCE_S = 120.0


def send_out(workspace: Workspace, run: str, at: datetime, say: Say) -> None:
    """Lets a run go out whose gate blocks it, to see what a guardrail does; no verb of the product does that."""
    trained = workspace.find("run", run)
    release = str(ship.published(workspace, trained, None)["id"])
    if any(each.release == release for each in rollouts(workspace.catalog)):
        return
    with workspace.lease("release", "demo"):
        staged.begin(workspace, release, champion(workspace), at)
    say(f"  rollout  {release} goes out all the same, past its gate: only a demonstration does that")


def serve_customers(
    workspace: Workspace, asked: Sequence[Message], since: datetime, until: datetime, *, seed: int, say: Say
) -> list[Ticket]:
    """Has customers write to `clw serve` from `since` to `until`, and looks at the rollout after each half day.

    Args:
        workspace: the story's.
        asked: what they write, by time.
        since: the beginning, on the desk's clock.
        until: the end; what happens to tickets is read that far.
        seed: of what becomes of each ticket.
        say: told of each step of the rollout.

    Returns:
        The tickets, each with the id of its answer.

    Raises:
        ClwError: the server does not start or stops answering.
    """
    tickets: list[Ticket] = []
    steps = -(-(until - since) // STEP)
    with _server(workspace) as url, progress_bar("customers write to clw serve") as advance:
        for number in range(steps):
            begins = since + number * STEP
            ends = min(begins + STEP, until)
            some = [message for message in asked if begins <= message.at < ends]
            tickets += _answered(workspace, url, some, begins)
            _read(workspace, tickets, seed, since, begins, ends)
            _look(workspace, ends, say)
            _followed(workspace, url)
            advance(number + 1, steps, "")
    return tickets


@contextlib.contextmanager
def _server(workspace: Workspace) -> Iterator[str]:
    """A `clw serve` of its own, on any free port; its address."""
    command = [sys.executable, "-P", "-c", "from clworkbench.cli import main; main()", "serve", "--json"]
    options = ["--port", "0", "--every", "1", "--look-every", "0", "--simulated-time"]
    log = workspace.folder / "simulation" / "serve.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as said, subprocess.Popen(
        [*command, *options, "--workspace", str(workspace.folder)], stdout=subprocess.DEVNULL, stderr=said
    ) as process:  # fmt: skip
        try:
            yield _address(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        if found := re.search(r" at (http://\S+)/v1", log.read_text()):
            return found[1]
        time.sleep(0.2)
    raise ClwError(f"clw serve did not start: {log.read_text().strip()[-500:]}")


def _answered(workspace: Workspace, url: str, some: Sequence[Message], begins: datetime) -> list[Ticket]:
    """The tickets of half a day: answered now, or found answered by an earlier call."""
    store = workspace.folder / "simulation" / f"served-{begins:%Y-%m-%d-%H}.jsonl"
    if not store.exists():
        said = asyncio.run(_ask(url, some))
        rows = [{**asdict(m), "at": m.at.isoformat(), **answer} for m, answer in zip(some, said, strict=True)]
        write_lines(store, rows)
    return [ticket(json.loads(line)) for line in store.read_text().splitlines()] if store.exists() else []


def ticket(row: dict[str, object]) -> Ticket:
    """A kept row as a ticket."""
    asked = {name: row.pop(name) for name in ("ticket", "week", "at", "customer", "intent", "text")}
    message = Message(**asked | {"at": datetime.fromisoformat(str(asked["at"]))})  # type: ignore[arg-type]
    return Ticket(message, **row)  # type: ignore[arg-type]


async def _ask(url: str, some: Sequence[Message]) -> list[dict[str, object]]:
    import httpx

    gate = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:

        async def one(message: Message) -> dict[str, object]:
            body = {"model": "clw", "messages": messages(message.text), "max_tokens": 32, "user": message.customer}
            headers = {"X-Clw-Time": message.at.isoformat(), "X-Conversation-Id": message.ticket}
            async with gate:
                answer = await client.post("/v1/chat/completions", json=body, headers=headers)
            if answer.status_code != 200:
                raise ClwError(f"clw serve answered {answer.status_code}: {answer.text[:300]}")
            found = answer.json()
            return {
                "served_by": found["model"],
                "answer": found["choices"][0]["message"]["content"],
                "confidence": None,
                "n_input_tokens": found["usage"]["prompt_tokens"],
                "n_output_tokens": found["usage"]["completion_tokens"],
                "answer_id": found["id"],
            }

        return list(await asyncio.gather(*(one(message) for message in some)))


def _read(
    workspace: Workspace, tickets: Sequence[Ticket], seed: int, since: datetime, begins: datetime, ends: datetime
) -> None:
    """Waits until the server's ingest has caught up, and hands in what happened to tickets meanwhile."""
    end, wanted = time.monotonic() + PATIENCE_S, {each.answer_id for each in tickets}
    while wanted - _ingested(workspace, since):
        if time.monotonic() > end:
            raise ClwError("clw serve answered, and its answers are not in the tables: see simulation/serve.log")
        time.sleep(0.3)
    file = workspace.folder / "inbox" / f"served-{begins:%Y-%m-%d-%H}.jsonl"
    write_lines(file, events(tickets, seed, begins, ends))
    if file.exists():
        capture.ingest(workspace, [file], SERVED)
    for source in (SERVED, "tickets"):  # nothing else happened, and that is known as well
        workspace.catalog.note_watermark(source, ends)


def _ingested(workspace: Workspace, since: datetime) -> set[str | None]:
    rows = workspace.scan("interactions").filter(pl.col("source") == SOURCE, pl.col("started_at") >= since)
    return set(rows.select("source_id").collect()["source_id"])


def _look(workspace: Workspace, at: datetime, say: Say) -> None:
    if current_rollout(workspace.catalog) is None:
        return
    found = staged.look(workspace, at=at)
    decision = found.decision
    assert decision is not None
    if decision.action != "stay":
        say(f"  rollout  {at:%a %d %b %H:%M}: {decision.action} from {decision.stage}: {decision.because}")


def _followed(workspace: Workspace, url: str) -> None:
    """Waits until the server shares out as the rollout says."""
    import httpx

    going = current_rollout(workspace.catalog)
    wanted = (champion(workspace), going.stage if going else "full")
    end = time.monotonic() + PATIENCE_S
    while True:
        health = httpx.get(f"{url}/health", timeout=PATIENCE_S).json()
        if (health["champion"], health["stage"]) == wanted:
            return
        if time.monotonic() > end:
            raise ClwError(f"clw serve does not follow the rollout: {health.get('fault', 'see simulation/serve.log')}")
        time.sleep(0.2)
