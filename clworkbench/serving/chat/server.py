"""The addresses of `clw serve`: chat completions, models, health and feedback, and who may knock."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clworkbench.models.engine import Engine, Piece
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.serving import events
from clworkbench.serving.bodies import JSON, LINES, Body, InFlight, Refused, media_type
from clworkbench.serving.chat.answering import FULL, Answering, Growing, finish_reason, gone, usage
from clworkbench.serving.chat.errors import Wrong, body, response
from clworkbench.serving.chat.record import Answer
from clworkbench.serving.chat.request import Chat, messages, read
from clworkbench.serving.chat.routing import Drawn, Router, conversation_of
from clworkbench.serving.server import check_host, check_token
from clworkbench.serving.spool import Spool, SpoolFull, SpoolUnwritable
from clworkbench.settings import Source

TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
LONGEST_NAME = 512


@dataclass
class Door:
    """What the server knows while it runs.

    Attributes:
        name: the model name that the rollout shares out.
        engine: answers.
        router: says who.
        answering: asks the engine, and writes down.
        spool: where answers and feedback become durable.
        token: what senders of feedback show, and beyond localhost all others.
        names: the host names that it answers to.
        is_local: whether requests for answers need no token.
        source: how feedback is read.
        tells_time: whether a request may say when it was made (`X-Clw-Time`), for simulations.
        fault: why the state of the rollout could not be followed, if so.
        counts: requests, answers, cancelled, failed, refused, events.
    """

    name: str
    engine: Engine
    router: Router
    answering: Answering
    spool: Spool
    token: str
    names: frozenset[str]
    is_local: bool
    source: Source
    pseudonyms: Pseudonyms
    tells_time: bool = False
    fault: str = ""
    in_flight: InFlight = field(default_factory=InFlight)
    counts: Counter[str] = field(default_factory=Counter)


def app(door: Door) -> ASGIApp:
    """The ASGI application."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        door.counts["requests"] += 1
        try:
            answer = await _guarded(request, door)
        except Refused as no:
            door.counts["refused"] += 1
            answer = response(no)
        await answer(scope, receive, send)

    return serve


async def _guarded(request: Request, door: Door) -> Response:
    """Lets in who may come in; raises Refused for all else."""
    check_host(request, door.names)
    method, path = request.method, request.url.path
    if path == "/health" and method == "GET":
        return JSONResponse(_health(door))
    if path == "/v1/feedback" or not door.is_local:
        check_token(request, door.token)
    if path == "/v1/models" and method == "GET":
        return JSONResponse({"object": "list", "data": [_model(name) for name in [door.name, *door.engine.models]]})
    if path.startswith("/v1/models/") and method == "GET":
        if (name := path.removeprefix("/v1/models/")) in (door.name, *door.engine.models):
            return JSONResponse(_model(name))
        raise _unknown(name, door)
    takers = {"/v1/chat/completions": _chat, "/v1/feedback": _feedback}
    if path not in takers:
        here = "POST /v1/chat/completions, POST /v1/feedback, GET /v1/models, GET /health"
        raise Wrong(f"nothing here. There: {here}.", status=404, code="unknown_url")
    if method != "POST":
        raise Wrong("POST only", status=405)
    return await takers[path](request, door)


def _health(door: Door) -> dict[str, object]:
    rollout = door.router.rollout
    return {
        "status": "degraded" if door.fault else "ok",
        "models": door.engine.models,
        "champion": door.router.champion,
        "stage": rollout.stage if rollout else "full",
        "requests": door.engine.load,
        **({"fault": door.fault} if door.fault else {}),
    }


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "clworkbench"}


def _unknown(name: str, door: Door) -> Wrong:
    there = ", ".join([door.name, *door.engine.models])
    return Wrong(f"no model {name[:80]!r} here. There: {there}.", status=404, param="model", code="model_not_found")


async def _chat(request: Request, door: Door) -> Response:
    media_type(request, JSON)
    with Body(request, door.in_flight) as raw:
        chat = read(await raw.read())
    answer = _asked(request, chat, door)
    growing = door.answering.begin(answer)
    if door.router.shadow and answer.drawn.stage and answer.drawn.model == door.router.champion:
        door.answering.shadow(answer, door.router.shadow)
    if chat.stream:
        return Streamed(growing, door)
    return await _whole(request, growing, door)


def _asked(request: Request, chat: Chat, door: Door) -> Answer:
    said = messages(chat)
    named = [request.headers.get("x-conversation-id"), (chat.metadata or {}).get("conversation_id")]
    if any(name and len(name) > LONGEST_NAME for name in named):
        raise Wrong(f"the conversation's id is longer than {LONGEST_NAME} characters", param="metadata")
    conversation = conversation_of(named, chat.user, said)
    if chat.model == door.name:
        drawn = door.router.draw(conversation)
    elif chat.model in door.engine.models:
        drawn = Drawn(chat.model)
    else:
        raise _unknown(chat.model, door)
    answer = Answer(chat, said, conversation, drawn, began=_now(request, door))
    if within := TRACEPARENT.fullmatch(request.headers.get("traceparent", "")):
        answer.trace, answer.parent = within.groups()
    return answer


def _now(request: Request, door: Door) -> datetime:
    told = request.headers.get("x-clw-time")
    if not door.tells_time or told is None:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except ValueError:
        raise Wrong(f"X-Clw-Time: {told[:40]!r} is no time in ISO 8601.") from None


async def _whole(request: Request, growing: Growing, door: Door) -> Response:
    """The answer in one piece; where the client goes away meanwhile, nobody is told."""
    reading = asyncio.ensure_future(_last(growing))
    leaving = asyncio.ensure_future(gone(request.receive))
    try:
        await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            growing.cancel()
        last = await reading
    finally:
        leaving.cancel()
        if not reading.done():
            growing.cancel()
    await door.answering.keep(growing.answer)
    _counted(door, last)
    if last.finish == "error":
        raise Wrong(f"the model could not answer: {last.error}", status=500, code="generation_failed")
    if last.finish == "cancelled" and not leaving.done():
        raise Wrong("the server is ending: ask again", status=503, retry_after_s=5)
    answer = growing.answer
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(last)}
    return JSONResponse({**_head(answer, "chat.completion"), "choices": [choice], "usage": usage(last)})


async def _last(growing: Growing) -> Piece:
    return [piece async for piece in growing.pieces()][-1]


def _counted(door: Door, last: Piece) -> None:
    door.counts[{"error": "failed", "cancelled": "cancelled"}.get(str(last.finish), "answers")] += 1


def _head(answer: Answer, kind: str) -> dict[str, object]:
    return {"id": answer.id, "object": kind, "created": int(time.time()), "model": answer.drawn.model}


class Streamed(Response):
    """An answer as server-sent events, piece by piece; the last is sent once the whole is written down."""

    def __init__(self, growing: Growing, door: Door) -> None:
        self._growing, self._door = growing, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends, until the end or until the client goes away."""
        del scope
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self._growing.cancel()
            with contextlib.suppress(OSError):  # the client went away between two pieces
                await sending
        finally:
            leaving.cancel()
            self._growing.cancel()

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        answer, door = self._growing.answer, self._door
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        broken = not await self._event(send, self._chunk({"role": "assistant", "content": ""}))
        last: Piece | None = None
        async for piece in self._growing.pieces():
            last = piece
            if piece.text and not broken:
                broken = not await self._event(send, self._chunk({"content": piece.text}))
        assert last is not None
        ends: list[object] = []
        try:
            await door.answering.keep(answer)
            _counted(door, last)
            ends = self._ends(last)
        except Refused as no:
            ends = [body(no)]
        for each in ends:
            await self._event(send, each)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    def _ends(self, last: Piece) -> list[object]:
        if last.finish == "error":
            return [body(Wrong(f"the model could not answer: {last.error}", status=500, code="generation_failed"))]
        if last.finish == "cancelled":
            return [body(Wrong("the server is ending: ask again", status=503))]
        ends: list[object] = [self._chunk({}, finish_reason(last))]
        options = self._growing.answer.chat.stream_options
        if options and options.include_usage:
            ends.append({**_head(self._growing.answer, "chat.completion.chunk"), "choices": [], "usage": usage(last)})
        return ends

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**_head(self._growing.answer, "chat.completion.chunk"), "choices": [choice]}

    async def _event(self, send: Send, said: object) -> bool:
        """Whether it could be sent."""
        with contextlib.suppress(OSError):
            event = b"data: " + msgspec.json.encode(said) + b"\n\n"
            await send({"type": "http.response.body", "body": event, "more_body": True})
            return True
        return False


async def _feedback(request: Request, door: Door) -> Response:
    media = media_type(request, JSON, *LINES)
    with Body(request, door.in_flight) as raw:
        made, ids = events.lines(await raw.read(), media, door.source, door.pseudonyms)
        try:
            await door.spool.add("events", made)
        except SpoolFull:
            raise Wrong(FULL, status=429, retry_after_s=5) from None
        except SpoolUnwritable as error:
            raise Wrong(
                f"nothing of this was kept: the spool cannot be written ({error})", status=503, retry_after_s=30
            ) from None
    door.counts["events"] += len(ids)
    return JSONResponse({"accepted": len(ids), "ids": ids})
