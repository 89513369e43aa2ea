"""What a chat endpoint answers: the completion, or why there is none and whether to ask again."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

from clworkbench.display.text import short
from clworkbench.models.wire import Answered, Broken
from clworkbench.settings.endpoints import EndpointSettings

BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
"""Answers after which the same request may go well."""

MOST_TOKENS = 1 << 40

HOPELESS = (401, 402, 403, 404, 405, 407, 410)
"""Answers that every other request would get as well."""


@dataclass(frozen=True)
class Reply:
    """What an endpoint answered.

    Attributes:
        text: of the answer; empty where it only calls tools.
        tool_calls: `{id, name, arguments}` each, arguments as JSON text.
        finish_reason: the endpoint's word: `stop`, `length`, `tool_calls`, `content_filter`; None where it says none.
        prompt_tokens: None where the endpoint does not count; so the next two.
        completion_tokens: of the answer.
        cost_usd: by the prices of the settings; None without them.
        latency_ms: of the request that was answered, from before it was sent to its last byte.
    """

    text: str
    tool_calls: tuple[Mapping[str, str | None], ...]
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    latency_ms: float


@dataclass(frozen=True)
class Failed:
    """Why there is no answer.

    Attributes:
        kind: `refused`: this request is, and would be again; `unavailable`: nothing is known about it, for the
            endpoint was busy, out of reach, or made no sense; `unasked`: it was never sent.
        why: in words, without the key.
        everywhere: any other request would fail as well.
    """

    kind: Literal["refused", "unavailable", "unasked"]
    why: str
    everywhere: bool = False


def judged(
    answer: Answered | Broken, latency_ms: float, settings: EndpointSettings, key: str
) -> tuple[Reply | Failed, float | None]:
    """The reply, or why there is none; and how long to wait before the next try: 0 as always, None for never."""
    if isinstance(answer, Broken):
        return Failed("unavailable", answer.why, everywhere=not answer.again), 0.0 if answer.again else None
    status, said = answer.status, _said(answer, key)
    words = f"it answered {status}" + (f" ({said})" if said else "")
    if status == 200:
        return _completion(answer, latency_ms, settings, key)
    if 300 <= status < 400:
        return Failed("unavailable", f"it answered {status}, a redirect; none is followed", everywhere=True), None
    if status in (401, 403):
        name = f"Check {settings.key_env}" if settings.key_env else "Name the key's variable in key_env"
        return Failed("unavailable", f"it answered {status}: the key is refused. {name}.", everywhere=True), None
    if status in HOPELESS or "insufficient_quota" in said:
        return Failed("unavailable", words, everywhere=True), None
    if status in BUSY:
        return Failed("unavailable", words), _retry_after(answer.headers.get("retry-after"))
    return Failed("refused", words), None


def _completion(
    answer: Answered, latency_ms: float, settings: EndpointSettings, key: str
) -> tuple[Reply | Failed, float | None]:
    try:
        found = msgspec.json.decode(answer.body, type=_Completion)
    except (msgspec.DecodeError, RecursionError):
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()[:60]
        if "json" not in kind:
            words = f"what it answered is no chat completion but {short(kind) or 'of no kind'}. Check url."
            return Failed("unavailable", words, everywhere=True), None
        return Failed("unavailable", "what it answered is no chat completion"), 0.0
    if not found.choices:
        said = _said(answer, key)
        return Failed("unavailable", "it answered without a choice" + (f" ({said})" if said else "")), 0.0
    choice, usage = found.choices[0], found.usage or _Usage()
    if choice.finish_reason == "error":
        return Failed("unavailable", "it broke off in the middle of its answer"), 0.0
    prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
    reply = Reply(
        text=choice.message.content or choice.message.refusal or "",
        tool_calls=tuple(call.plain() for call in choice.message.tool_calls or ()),
        finish_reason=choice.finish_reason,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_usd=_cost_usd(prompt, completion, settings),
        latency_ms=latency_ms,
    )
    return reply, None


def _count(told: object) -> int | None:
    """Tokens as an endpoint tells them; None for what is no count, as -1 is where nobody counted."""
    return told if type(told) is int and 0 <= told <= MOST_TOKENS else None


def _cost_usd(n_prompt: int | None, n_completion: int | None, settings: EndpointSettings) -> float | None:
    prompt, completion = settings.usd_per_million_prompt, settings.usd_per_million_completion
    if prompt is None or completion is None or n_prompt is None or n_completion is None:
        return None
    return (n_prompt * prompt + n_completion * completion) / 1e6


def _said(answer: Answered, key: str) -> str:
    """What an endpoint says of an error, on one short line, without the key."""
    said = ""
    with suppress(msgspec.DecodeError, RecursionError):
        error = msgspec.json.decode(answer.body, type=_Error).error
        parts = (error.code, error.message) if isinstance(error, _Said) else (error,)
        said = ": ".join(str(part) for part in parts if part)
    return short(said.replace(key, "…") if key else said, 160)


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | dict[str, object] | None = None


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None

    def plain(self) -> Mapping[str, str | None]:
        given = self.function.arguments
        text = given if isinstance(given, str) else msgspec.json.encode(given or {}).decode()
        return {"id": self.id, "name": self.function.name, "arguments": text}


class _Text(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Text
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: object = None
    completion_tokens: object = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


class _Said(msgspec.Struct):
    code: str | int | None = None
    message: str | None = None


class _Error(msgspec.Struct):
    error: _Said | str | None = None


def _retry_after(header: str | None) -> float:
    """Seconds that a server asks to wait; 0 where it says nothing that means any."""
    text = (header or "").strip()
    if re.fullmatch(r"\d{1,7}(\.\d{1,6})?", text):
        return float(text)
    with suppress(ValueError, OverflowError):
        at = parsedate_to_datetime(text)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
    return 0.0
