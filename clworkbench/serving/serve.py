"""`clw serve` itself: the engine, the server, what follows the rollout, the ingest behind it, and how all end."""

import asyncio
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from clworkbench.errors import ClwError
from clworkbench.loop.evals.model import resolve
from clworkbench.loop.releases.rollout import look, shares
from clworkbench.models.engine import Engine
from clworkbench.models.names import ModelSpec
from clworkbench.releases.rollout import moment
from clworkbench.serving.capture import GRACE_S, Address, Server, check_source, listen, serve_until_told
from clworkbench.serving.chat.answering import Answering
from clworkbench.serving.chat.routing import Router, recalled, state
from clworkbench.serving.chat.server import Door, app
from clworkbench.serving.events import SOURCE as FEEDBACK
from clworkbench.serving.events import event_source
from clworkbench.serving.ingesting import COUNTS, Ingest
from clworkbench.serving.spool import Spool
from clworkbench.serving.token import token, token_path
from clworkbench.workspace import Workspace

SOURCE = "serve"
"""The source that its own traffic is read as."""

FOLLOW_S = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class ServeOptions:
    """How the server behaves.

    Attributes:
        name: the model name that the rollout shares out; each model answers under its own name as well.
        batch: requests answered together, at most.
        waiting: requests that may wait beside them.
        every_s: seconds between two ingests of its own traffic.
        look_s: seconds between two looks at the rollout's evidence; None leaves them to `clw rollout look`.
        spool_bytes: what may wait to be ingested before requests are refused.
        tells_time: whether requests may say when they were made, for simulations.
    """

    name: str = "clw"
    batch: int = 32
    waiting: int = 512
    every_s: float = 5.0
    look_s: float | None = 300.0
    spool_bytes: int = 1 << 30
    tells_time: bool = False


@dataclass(frozen=True)
class ServeReport:
    """What the server did, until it was told to stop.

    Attributes:
        counts: `requests`, and of them `answers`, `failed`, `cancelled` (the client went away), `refused`; `events`.
        ingested: records by what became of them, as `clw ingest` counts.
        waiting: logs that still wait in the spool; the next `clw serve` reads them.
    """

    counts: dict[str, int]
    ingested: dict[str, int]
    waiting: int


def serve(workspace: Workspace, address: Address, options: ServeOptions, *, say: Say) -> ServeReport:
    """Serves until it is told to stop (SIGINT or SIGTERM), and ingests its own traffic.

    Raises:
        LeaseError: another one serves from this workspace.
        SettingsError: its traffic cannot be read as `clw.toml` declares.
        ClwError: the address is taken, a model does not load, or the key is not usable.
    """
    check_source(workspace.settings.sources.get(SOURCE), SOURCE, declared_needed=False)
    with workspace.lease("serve", "serve"):
        router = Router(*state(workspace))
        if router.rollout is not None:
            for conversation, drawn in recalled(workspace, router.rollout).items():
                router.remember(conversation, drawn)
        listening = listen(address)
        say("loading " + " and ".join(router.models) + " ...")
        engine = Engine(
            [_spec(workspace, name) for name in router.models],
            batch=options.batch,
            waiting=options.waiting,
            threads=workspace.settings.model.threads,
        )
        try:
            folder = workspace.folder / "spool"
            folder.mkdir(mode=0o700, exist_ok=True)
            spool = Spool(folder / SOURCE, options.spool_bytes)
            door = Door(
                name=options.name,
                engine=engine,
                router=router,
                answering=Answering(engine, spool),
                spool=spool,
                token=token(workspace),
                names=address.names,
                is_local=address.is_local,
                source=event_source(workspace.settings.sources.get(FEEDBACK), SOURCE),
                pseudonyms=workspace.pseudonyms,
                tells_time=options.tells_time,
            )
            say(_greeting(workspace, address, listening.getsockname()[1], door))
            ingest = Ingest(workspace.folder, SOURCE, spool, say)
            _run(workspace, door, ingest, listening, options, say)
        finally:
            engine.close()
    counts = {name: door.counts[name] for name in ("requests", "answers", "failed", "cancelled", "refused", "events")}
    waiting = len(list(spool.folder.glob("*.log")))
    return ServeReport(counts, {name: ingest.counts[name] for name in COUNTS}, waiting)


def _run(
    workspace: Workspace, door: Door, ingest: Ingest, listening: socket.socket, options: ServeOptions, say: Say
) -> None:
    config = uvicorn.Config(
        app(door),
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    follower = Follower(workspace, door, say)
    beside = [follower.follow()]
    if options.look_s is not None:
        beside.append(follower.look(options.look_s))
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(
            serve_until_told(
                Server(config), listening, ingest, options.every_s, beside=beside, before_last=door.answering.drained
            )
        )


class Follower:
    """Follows the rollout's state, which a person or a guardrail may change at any time."""

    def __init__(self, workspace: Workspace, door: Door, say: Say) -> None:
        self._workspace, self._door, self._say = workspace, door, say

    async def follow(self) -> None:
        """Each second: who serves, and how the traffic is shared out."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                await self._once()
            except (ClwError, sqlite3.Error) as error:
                self._told(str(error))

    async def _once(self) -> None:
        router = self._door.router
        champion, rollout = state(self._workspace)
        if (champion, rollout) == (router.champion, router.rollout) and not self._door.fault:
            return
        wanted = [champion, *([rollout.release] if rollout else [])]
        await self._hold([*wanted, *(name for name in router.models if name not in wanted)])
        before = (router.champion, router.rollout and router.rollout.stage)
        router.follow(champion, rollout)
        self._door.fault = ""
        if before != (champion, rollout and rollout.stage):
            self._say(_where(self._door))
        await self._hold(wanted)

    async def _hold(self, names: list[str]) -> None:
        if set(names) != set(self._door.engine.models):
            specs = [_spec(self._workspace, name) for name in names]
            await asyncio.to_thread(self._door.engine.swap, specs)

    def _told(self, fault: str) -> None:
        if fault != self._door.fault:
            self._say(f"the rollout is not followed, and all goes on as before: {fault}")
        self._door.fault = fault

    async def look(self, every_s: float) -> None:
        """Looks at the evidence, and moves the rollout on or back."""
        while True:
            await asyncio.sleep(every_s)
            if self._door.router.rollout is not None:
                await asyncio.to_thread(self._looked, self._workspace.folder)

    def _looked(self, folder: Path) -> None:
        try:
            found = look(Workspace(folder))
        except ClwError as error:
            self._say(f"rollout: no look was possible: {error}")
            return
        if found.decision is not None and found.decision.action != "stay":
            self._say(f"rollout: {found.decision.action}: {found.decision.because}")


def _spec(workspace: Workspace, name: str) -> ModelSpec:
    """What to load; it answers under the name by which the registry knows it."""
    return replace(resolve(workspace, name), name=name)


def _where(door: Door) -> str:
    rollout = door.router.rollout
    if rollout is None:
        return f"  {door.router.champion} answers all"
    shared = ", ".join(f"{model} {share:.0%}" for model, share in shares(rollout).items())
    return f"  rollout at {rollout.stage} since {moment(rollout.stage_began)}: {shared}"


def _greeting(workspace: Workspace, address: Address, port: int, door: Door) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    whom = "feedback needs the token" if address.is_local else "all needs the token"
    return (
        f"serving {workspace.folder} at http://{host}:{port}/v1 (an OpenAI client's base_url), model {door.name!r}\n"
        f"{_where(door)}\n"
        f"  {whom}, which is in {token_path(workspace)}\n"
        "  Ctrl-C stops it; what was answered is ingested first."
    )
