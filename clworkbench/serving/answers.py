"""`clw label pull --follow`: answers come back as they are given, by signed webhook, with polling behind it."""

import contextlib
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clworkbench.errors import ClwError, LabelError
from clworkbench.labels.argilla import address, connect
from clworkbench.labels.webhook import BadDelivery, Touched, Verifier, hang_up, listen, touched
from clworkbench.loop.labels.agreement import agreement
from clworkbench.loop.labels.answers import bring, pull_records
from clworkbench.loop.labels.asked import question_sets
from clworkbench.loop.labels.pulled import Pulled
from clworkbench.serving.bodies import JSON, Body, InFlight, Refused, media_type
from clworkbench.serving.capture import Address
from clworkbench.serving.capture import listen as listening_socket
from clworkbench.serving.server import LOOPBACK, check_host
from clworkbench.workspace import Workspace

POLL_S = 60.0
"""Seconds between two looks for what no delivery told."""

GATHER_S = 0.3
"""Answers that come so close together are pulled as one batch."""

MANY = 200
"""Touched records beyond which the whole set is read."""

REST = 10.0
"""A whole reading may take one tenth of the time: the next poll waits ten times as long as the last took."""

PATH = "/answers"
Say = Callable[[str], None]
Told = Touched | None
"""What the receiver hands on; None: stop."""


def follow(workspace: Workspace, name: str | None = None, *, poll_s: float = POLL_S, say: Say) -> Pulled:
    """Pulls what there is, then every answer within about a second, until Ctrl-C or SIGTERM.

    A webhook of Argilla's tells which records were touched; its secret signs each delivery. What no delivery told
    (a team's Argilla cannot reach this machine, a delivery was lost) is found by looking every `poll_s` seconds. The
    webhook is taken away at the end; one that a killed follower left is replaced at the next start.

    Args:
        workspace: whose question sets and labels.
        name: one of `[labels.ask]`; all when None.
        poll_s: seconds between two looks.
        say: told of the start, of what came, and of faults.

    Returns:
        All that came.

    Raises:
        LeaseError: somebody follows already.
        LabelError: no such set, or Argilla cannot be reached at the start.
    """
    names = {each.name for each in question_sets(workspace, name)}
    inbox: queue.SimpleQueue[Told] = queue.SimpleQueue()
    with workspace.lease("follow", "label pull --follow"), _stopping(inbox), _receiving(workspace, inbox, say):
        total = bring(workspace, name)
        say("\n".join(total.lines()))
        due = time.monotonic() + poll_s
        while (found := _gathered(inbox, due - time.monotonic(), names)) is not None:
            began = time.monotonic()
            try:
                poll = began >= due or len(found) > MANY
                came = bring(workspace, name) if poll else pull_records(workspace, _by_set(found))
            except ClwError as error:
                say(f"{error}\nTrying again in {poll_s:.0f} s.")
                poll, came = True, Pulled()
            if poll:
                due = time.monotonic() + max(poll_s, REST * (time.monotonic() - began))
            total += came
            if came.is_news:
                say("\n".join(came.lines()))
    return replace(total, agreement=agreement(workspace, name))


def _by_set(found: set[Touched]) -> dict[str, set[str]]:
    return {name: {each.record_id for each in found if each.data_set == name} for name, _ in found}


def _gathered(inbox: "queue.SimpleQueue[Told]", wait_s: float, names: set[str]) -> set[Touched] | None:
    """The records that were touched, as soon as some were; none after `wait_s` seconds, None when told to stop."""
    found: set[Touched] = set()
    until = time.monotonic() + max(wait_s, 0.0)
    while (left := until - time.monotonic()) > 0 or not inbox.empty():
        try:
            told = inbox.get(timeout=max(left, 0.0))
        except queue.Empty:
            break
        if told is None:
            return None
        if told.data_set in names:
            until = min(until, time.monotonic() + GATHER_S) if not found else until
            found.add(told)
    return found


@contextlib.contextmanager
def _stopping(inbox: "queue.SimpleQueue[Told]") -> Iterator[None]:
    """Ends the following in order at SIGINT and SIGTERM; a second one is obeyed at once."""

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        inbox.put(None)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _receiving(workspace: Workspace, inbox: "queue.SimpleQueue[Told]", say: Say) -> Iterator[None]:
    """Has Argilla tell us what is touched, where it can reach us and the key is an owner's."""
    place = address(workspace.folder)
    owner = f"clw label pull --follow, workspace {workspace.catalog.meta('workspace_id')}"
    with connect(place) as argilla:
        if not _is_near(place.url) or argilla.role != "owner":
            why = "is on another machine" if not _is_near(place.url) else "lets owners alone set webhooks"
            say(f"following {place.url} by looking from time to time: it {why}. Ctrl-C ends.")
            yield
            return
        listening = listening_socket(Address(port=0))
        hook = listen(argilla, f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}", owner)
    with _served(receiver(Verifier(hook.secret), inbox.put), listening):
        say(f"following {place.url}: answers come as they are given. Ctrl-C ends.")
        try:
            yield
        finally:
            with contextlib.suppress(LabelError), connect(address(workspace.folder)) as argilla:
                hang_up(argilla, hook.id)  # else the next follower does


def _is_near(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0]
    return (host if host.endswith("]") else host.partition(":")[0]).lower() in LOOPBACK


@contextlib.contextmanager
def _served(app: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """Serves from a thread; the workspace stays with the one that called."""
    config = uvicorn.Config(
        app, access_log=False, log_config=None, lifespan="off", ws="none", server_header=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def receiver(verifier: Verifier, tell: Callable[[Touched], None]) -> ASGIApp:
    """The application that takes deliveries, and hands on which records were touched; texts are not kept."""
    in_flight = InFlight()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            check_host(request, LOOPBACK)
            if scope["path"] != PATH or request.method != "POST":
                raise Refused(404, f"nothing here: POST to {PATH}")
            media_type(request, JSON)
            with Body(request, in_flight) as body:
                content = await body.read()
            if verifier.check(request.headers, content, time.time()) and (found := touched(content)):
                tell(found)
            response = Response(status_code=204)
        except BadDelivery as no:
            response = Response(str(no), 401)
        except Refused as no:
            response = Response(no.why, no.status)
        await response(scope, receive, send)

    return serve
