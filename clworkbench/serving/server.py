"""The door: three addresses that take traces, log records and feedback, and who may knock."""

import hmac
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.serving import events, otlp
from clworkbench.serving.bodies import JSON, LINES, PROTOBUF, Body, InFlight, Refused, media_type
from clworkbench.serving.spool import UNREAD, Frame, Spool, SpoolFull, SpoolUnwritable
from clworkbench.settings import Source

FULL_RETRY_S, UNWRITABLE_RETRY_S = 5, 30
SPOOL_FULL = f"the spool is full until ingest has caught up, or spool/{UNREAD} is emptied: come again later"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass
class Door:
    """What the server knows while it runs.

    Attributes:
        spool: where bodies become durable.
        token: what senders of feedback show, and beyond localhost all others.
        names: the host names that it answers to.
        open_to_spans: whether spans and log records need no token.
        source: how events are read.
        counts: acknowledged requests, spans, log records and events; records rejected; requests refused.
    """

    spool: Spool
    token: str
    names: frozenset[str]
    open_to_spans: bool
    source: Source
    pseudonyms: Pseudonyms
    in_flight: InFlight = field(default_factory=InFlight)
    counts: Counter[str] = field(default_factory=Counter)


Taker = Callable[[Request, Door], Awaitable[Response]]
"""What becomes of a request that was let in."""


def app(door: Door) -> ASGIApp:
    """The ASGI application, without a framework's routing, which would cost as much as all else that a request does."""
    takers: dict[str, Taker] = {
        "/v1/traces": partial(_take_records, signal="traces"),
        "/v1/logs": partial(_take_records, signal="logs"),
        "/v1/feedback": _take_events,
    }

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await _guarded(request, door, takers.get(scope["path"]))
            door.counts["requests"] += 1
        except Refused as no:
            door.counts["refused"] += 1
            response = _refusal(request, no)
        await response(scope, receive, send)

    return serve


async def _guarded(request: Request, door: Door, take: Taker | None) -> Response:
    """Lets in who may come in; raises Refused, with words and a status, for all else."""
    check_host(request, door.names)
    if take is None:
        raise Refused(404, "nothing here: POST to /v1/traces, /v1/logs or /v1/feedback (metrics are not captured)")
    if request.method != "POST":
        raise Refused(405, "POST only")
    if take is _take_events or not door.open_to_spans:
        check_token(request, door.token)
    return await take(request, door)


async def _take_records(request: Request, door: Door, signal: otlp.Signal) -> Response:
    media = media_type(request, PROTOBUF, JSON)
    with Body(request, door.in_flight) as body:
        taken = otlp.take(signal, media, await body.read())
        if taken.frame:
            await _keep(door, taken.frame)
    door.counts["spans" if signal == "traces" else "log_records"] += taken.n
    door.counts["rejected"] += taken.rejected
    return otlp.answer(signal, media, taken)


async def _take_events(request: Request, door: Door) -> Response:
    media = media_type(request, JSON, *LINES)
    with Body(request, door.in_flight) as body:
        made, ids = events.lines(await body.read(), media, door.source, door.pseudonyms)
        await _keep(door, Frame("events", made))
    door.counts["events"] += len(ids)
    return JSONResponse({"accepted": len(ids), "ids": ids})


async def _keep(door: Door, frame: Frame) -> None:
    try:
        await door.spool.add(frame.kind, frame.body)
    except SpoolFull:
        raise Refused(429, SPOOL_FULL, FULL_RETRY_S) from None
    except SpoolUnwritable as error:
        why = f"nothing of this was kept: the spool cannot be written ({error})"
        raise Refused(503, why, UNWRITABLE_RETRY_S) from None


def check_host(request: Request, names: frozenset[str]) -> None:
    """Raises Refused for another Host than ours: a page in a browser must not reach in by a name of its own."""
    host = request.headers.get("host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in names:
        raise Refused(421, f"no host {name[:80]!r} here. Beyond localhost, name it with --allow-host NAME")


def check_token(request: Request, token: str) -> None:
    """Raises Refused without the token."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token.encode()):
        raise Refused(401, "no token, or not this workspace's: send the header Authorization: Bearer TOKEN")


def _refusal(request: Request, no: Refused) -> Response:
    headers = {"Retry-After": str(no.retry_after_s)} if no.retry_after_s else {}
    if no.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return otlp.status(no.status, no.why, PROTOBUF if sent == PROTOBUF else JSON, headers)
