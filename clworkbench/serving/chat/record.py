"""What the server writes down of an answer: a span in OTLP/JSON, as any instrumented application would send it."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

import msgspec

from clworkbench.models.chat import Message
from clworkbench.models.engine import Piece
from clworkbench.releases.traffic import SHADOW_OPERATION
from clworkbench.serving.chat.request import Chat
from clworkbench.serving.chat.routing import Drawn

SENT, SHADOW = "chat", SHADOW_OPERATION


@dataclass
class Answer:
    """One answer on its way.

    Attributes:
        chat: the request; `messages` what it says.
        conversation: which it belongs to.
        drawn: who answers.
        user: who asks, as the request says.
        operation: `chat`, or `shadow` for one that is not sent.
        shadow_of: the id of the answer that was sent in its place.
        began: when it was asked for.
        trace, parent: of the caller's own trace, where it tells.
        span: the answer's own id within the trace.
        text: what was said so far.
        last: its last piece so far.
        first_token_ms, took_ms: until the first token, and until the end; None before.
    """

    chat: Chat
    messages: Sequence[Message]
    conversation: str
    drawn: Drawn
    operation: str = SENT
    shadow_of: str | None = None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    trace: str = field(default_factory=lambda: secrets.token_hex(16))
    parent: str | None = None
    span: str = field(default_factory=lambda: secrets.token_hex(8))
    text: str = ""
    last: Piece | None = None
    first_token_ms: float | None = None
    took_ms: float | None = None
    _clock: float = field(default_factory=perf_counter)

    @property
    def id(self) -> str:
        """What the client knows it by, and what feedback names: `trace:span`."""
        return f"{self.trace}:{self.span}"

    def take(self, piece: Piece) -> None:
        """Adds what the answer has grown by."""
        if self.first_token_ms is None and piece.n_output_tokens:
            self.first_token_ms = self.elapsed_ms
        if piece.finish is not None:
            self.took_ms = self.elapsed_ms
        self.text += piece.text
        self.last = piece

    @property
    def elapsed_ms(self) -> float:
        """Since it was asked for."""
        return 1000 * (perf_counter() - self._clock)

    def line(self) -> bytes:
        """The span, as one line of OTLP/JSON; made when the answer has ended.

        Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and the semantic conventions for
        generative AI, with `clw.*` for what they have no name for.
        """
        begins = round(self.began.timestamp() * 1e6) * 1000
        ends = begins + round(1e6 * (self.elapsed_ms if self.took_ms is None else self.took_ms))
        failed = self.last is None or self.last.finish == "error"
        span: dict[str, object] = {
            "traceId": self.trace,
            "spanId": self.span,
            "name": f"{self.operation} {self.drawn.model}",
            "kind": 2,
            "startTimeUnixNano": str(begins),
            "endTimeUnixNano": str(ends),
            "attributes": _attributes(self._facts(failed=failed)),
        }
        if self.parent:
            span["parentSpanId"] = self.parent
        if failed:
            span["status"] = {"code": 2, "message": (self.last and self.last.error) or "no answer"}
        resource = {"attributes": _attributes({"service.name": "clw serve"})}
        scope = {"scope": {"name": "clworkbench.serving"}, "spans": [span]}
        return msgspec.json.encode({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]})

    def _facts(self, *, failed: bool) -> Mapping[str, object]:
        chat, drawn, last = self.chat, self.drawn, self.last
        system = [each for each in self.messages if each["role"] == "system"]
        answered = {"role": "assistant", "parts": [{"type": "text", "content": self.text}]}
        return {
            "gen_ai.operation.name": self.operation,
            "gen_ai.provider.name": "clworkbench",
            "gen_ai.request.model": chat.model,
            "gen_ai.response.model": drawn.model,
            "gen_ai.response.id": self.id,
            "gen_ai.response.finish_reasons": [last.finish] if last and last.finish else None,
            "gen_ai.conversation.id": self.conversation,
            "gen_ai.request.max_tokens": chat.limit,
            "gen_ai.request.temperature": chat.temperature,
            "gen_ai.request.top_p": chat.top_p,
            "gen_ai.request.seed": chat.seed,
            "gen_ai.system_instructions": _parts(system) if system else None,
            "gen_ai.input.messages": _json([_as_parts(each) for each in self.messages if each["role"] != "system"]),
            "gen_ai.output.messages": None if failed else _json([answered]),
            "gen_ai.tool.definitions": _json(chat.tools) if chat.tools else None,
            "gen_ai.usage.input_tokens": last.n_input_tokens if last else None,
            "gen_ai.usage.output_tokens": last.n_output_tokens if last else None,
            "enduser.id": chat.user,
            "error.type": "generation_failed" if failed else None,
            "clw.release_id": drawn.model,
            "clw.confidence": last.confidence if last else None,
            "clw.propensity": drawn.propensity,
            "clw.rollout": drawn.rollout,
            "clw.stage": drawn.stage,
            "clw.arm": drawn.arm,
            "clw.challenger_chance": drawn.chance,
            "clw.shadow_of": self.shadow_of,
            "clw.first_token_ms": self.first_token_ms,
        }


def _parts(system: Sequence[Message]) -> str:
    return _json([{"type": "text", "content": each.get("content") or ""} for each in system])


def _as_parts(message: Message) -> dict[str, object]:
    """A message as the conventions write it."""
    role, content = message["role"], message.get("content")
    if role == "tool":
        part = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}
        return {"role": role, "parts": [part]}
    parts: list[dict[str, object]] = [{"type": "text", "content": content}] if content else []
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        parts.append({"type": "tool_call", "id": call["id"], "name": call["name"], "arguments": call["arguments"]})
    return {"role": role, "parts": parts}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _attributes(facts: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": _value(value)} for key, value in facts.items() if value is not None]


def _value(value: object) -> dict[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": str(value)}
