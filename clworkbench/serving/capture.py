"""`clw capture` itself: the server, the ingest behind it, and how both end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass

import uvicorn

from clworkbench.errors import ClwError, SettingsError
from clworkbench.serving.events import SOURCE, event_source
from clworkbench.serving.ingesting import COUNTS, Ingest
from clworkbench.serving.server import LOOPBACK, Door, app
from clworkbench.serving.spool import Spool
from clworkbench.serving.token import token, token_path
from clworkbench.settings import Source
from clworkbench.workspace import Workspace

SPANS = "otlp"
EVERY_S = 5.0
GRACE_S = 10
BACKLOG = 2048
Say = Callable[[str], None]


@dataclass(frozen=True)
class Address:
    """Where to listen, and to which other names than localhost's to answer."""

    port: int = 4318
    host: str = "127.0.0.1"
    allowed_hosts: Sequence[str] = ()

    @property
    def is_local(self) -> bool:
        """Whether nobody beyond this machine is meant."""
        return self.host in ("127.0.0.1", "localhost", "::1") and not self.allowed_hosts

    @property
    def names(self) -> frozenset[str]:
        """What a request's Host may be."""
        bound = f"[{self.host}]" if ":" in self.host else self.host
        return LOOPBACK | {bound.lower()} | {name.lower() for name in self.allowed_hosts}


@dataclass(frozen=True)
class CaptureReport:
    """What a capture did: what it acknowledged, what it refused, and what became of all that was ingested meanwhile.

    Attributes:
        acknowledged: `requests`, `spans`, `log_records` and `events`.
        rejected: spans and log records that could not be read, told to their senders.
        refused: requests that were not taken.
        ingested: records by what became of them, as `clw ingest` counts.
        waiting: logs that still wait in the spool; the next capture reads them.
    """

    acknowledged: dict[str, int]
    rejected: int
    refused: int
    ingested: dict[str, int]
    waiting: int


def capture(
    workspace: Workspace,
    address: Address,
    *,
    source: str = SPANS,
    spool_bytes: int = 1 << 30,
    every_s: float = EVERY_S,
    say: Say,
) -> CaptureReport:
    """Serves until it is told to stop (SIGINT or SIGTERM), and ingests what it took.

    Args:
        workspace: whose spool and tables.
        address: where to listen.
        source: the source that spans and log records are read as.
        spool_bytes: what may wait in the spool before senders are told to come again later.
        every_s: seconds between two ingests.
        say: told of the start, of faults, and of the end.

    Raises:
        LeaseError: another capture runs on this workspace.
        SettingsError: spans or events cannot be read as the sources that `clw.toml` declares.
        ClwError: the address is taken, or the key is not usable.
    """
    check_source(workspace.settings.sources.get(source), source)
    with workspace.lease("capture", "capture"):
        events = event_source(workspace.settings.sources.get(SOURCE), source)
        door = Door(
            spool=Spool(workspace.folder / "spool", spool_bytes),
            token=token(workspace),
            names=address.names,
            open_to_spans=address.is_local,
            source=events,
            pseudonyms=workspace.pseudonyms,
        )
        listening = listen(address)
        ingest = Ingest(workspace.folder, source, door.spool, say)
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
        say(_greeting(workspace, address, listening.getsockname()[1]))
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve_until_told(Server(config), listening, ingest, every_s))
    counts = {name: door.counts[name] for name in ("requests", "spans", "log_records", "events")}
    ingested = {name: ingest.counts[name] for name in COUNTS}
    waiting = len(list(door.spool.folder.glob("*.log")))
    return CaptureReport(counts, door.counts["rejected"], door.counts["refused"], ingested, waiting)


def check_source(declared: Source | None, name: str, *, declared_needed: bool = True) -> None:
    """Raises SettingsError where spans cannot be read as this source."""
    if declared is None and name != SPANS and declared_needed:
        raise SettingsError(f'no source {name!r} in clw.toml. Declare [sources.{name}] with format = "otlp".')
    if declared and declared.format not in ("otlp", "auto"):
        raise SettingsError(
            f"[sources.{name}] in clw.toml is of format {declared.format!r}, and what is captured is OTLP.\n"
            'Name a source with format = "otlp".'
        )


def listen(address: Address) -> socket.socket:
    """The socket, bound; raises ClwError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ClwError(
            f"cannot listen on {address.host}, port {address.port}: {error.strerror}.\n"
            "Is another collector there? Name another with --port N (0 takes any that is free)."
        ) from error
    return listening


def _greeting(workspace: Workspace, address: Address, port: int) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    whom = "feedback needs the token" if address.is_local else "all needs the token"
    return (
        f"capturing into {workspace.folder} at http://{host}:{port}\n"
        f"  OTLP: OTEL_EXPORTER_OTLP_ENDPOINT=http://{host}:{port} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n"
        f"  {whom}, which is in {token_path(workspace)}\n"
        "  Ctrl-C stops it; what was acknowledged is ingested first."
    )


class Server(uvicorn.Server):
    """uvicorn's server, but for signals: ours stop it in order and then go on to the last ingest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to `serve_until_told`."""
        yield


async def serve_until_told(
    server: Server,
    listening: socket.socket,
    ingest: Ingest,
    every_s: float,
    *,
    beside: Sequence[Coroutine[None, None, None]] = (),
    before_last: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serves until a signal, then ingests the rest; a second signal leaves the rest to the next start.

    Args:
        server: whose requests.
        listening: where they come in.
        ingest: reads what the spool holds.
        every_s: seconds between two ingests.
        beside: what runs meanwhile, and is cancelled then.
        before_last: what is waited for before the last ingest.
    """
    finished, hurried = asyncio.Event(), asyncio.Event()

    def told_to_stop() -> None:
        if server.should_exit:
            hurried.set()
        server.should_exit = True

    def ingest_ended(_: asyncio.Task[None]) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
    ingesting = asyncio.create_task(ingest.run(finished, every_s))
    ingesting.add_done_callback(ingest_ended)
    others = [asyncio.create_task(each) for each in beside]
    try:
        await server.serve(sockets=[listening])
        for each in others:
            each.cancel()
        if before_last is not None:
            await before_last()
        finished.set()
        hurry = asyncio.create_task(hurried.wait())
        await asyncio.wait({ingesting, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
    finally:
        if not ingesting.done():
            ingesting.cancel()
            ingest.abandon()
    if not ingesting.cancelled() and ingesting.done():
        ingesting.result()
    await ingest.end()
