"""OTLP/JSON as a collector's file exporter writes it, made up: agents, chats, tools and plain HTTP, of any size."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

START_NS = 1_776_000_000 * 10**9
SPANS_A_LINE = 100
SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vo", "du", "pel", "shi", "gor", "ana", "bet", "cul", "fre", "ix", "jo")
INSTRUCTIONS = (
    'You help customers of a bank.\n\nRules:\n- never promise a date\n- say "I don\'t know" when you do not\n' * 3
)
TOOLS = json.dumps(
    [
        {
            "type": "function",
            "name": name,
            "description": f"Looks up the {name.removeprefix('find_')} of a customer.",
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        }
        for name in ("find_order", "find_card", "find_invoice")
    ]
)
MODELS = {"gpt-4o-mini": "openai", "gpt-4.1": "openai", "claude-sonnet-4-5": "anthropic", "mistral-large": "mistral_ai"}


class Traffic:
    """Traces of made-up conversations, the same for the same seed; no two texts are equal."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        words = ["".join(self._random.choices(SYLLABLES, k=self._random.choice((1, 2, 2, 3)))) for _ in range(5000)]
        self._sentences = [
            " ".join(self._random.choices(words, k=self._random.randint(5, 18))).capitalize() for _ in range(20_000)
        ]
        self._at = START_NS

    def text(self, n: int) -> str:
        """About `n` sentences; some end a line, some quote, some leave ASCII."""
        pick = self._random.random
        ends = (". ", ". ", "? ", ".\n", ' "so". ', " — né. ")
        parts = self._random.choices(self._sentences, k=n)
        return "".join(part + ends[int(pick() * len(ends))] for part in parts) + str(self._random.getrandbits(40))

    def trace(self) -> list[dict[str, object]]:
        """A request to a server, in it an agent, in it calls of a model and of a tool, beside them a database."""
        self._at += self._random.randint(10**6, 10**9)
        trace_id, conversation = f"{self._random.getrandbits(128):032x}", f"conv_{self._random.getrandbits(64):016x}"
        model = self._random.choice(list(MODELS))
        user = f"user-{self._random.randint(1, 50_000)}"
        server = self._span(trace_id, None, "POST /chat", 2, http("POST", "/chat"))
        agent_attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "desk",
            "gen_ai.agent.id": "agent_7",
            "gen_ai.conversation.id": conversation,
            "enduser.id": user,
        }
        agent = self._span(trace_id, server, "invoke_agent desk", 1, agent_attributes)
        history: list[object] = [said("user", self.text(3))]
        first = self._chat(trace_id, agent, model, conversation, history, call=f"call_{self._random.getrandbits(48):x}")
        call = f"call_{self._random.getrandbits(48):x}"
        found = {"status": "open", "notes": self.text(6), "total": self._random.randint(1, 999)}
        tool_attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "find_order",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call,
            "gen_ai.tool.call.arguments": json.dumps({"id": str(self._random.getrandbits(30))}),
            "gen_ai.tool.call.result": json.dumps(found),
        }
        tool = self._span(trace_id, agent, "execute_tool find_order", 1, tool_attributes)
        sql = {"db.system": "postgresql", "db.statement": "select * from orders where id = $1", "db.rows": 1}
        database = self._span(trace_id, tool, "select orders", 3, sql)
        part = {"type": "tool_call_response", "id": call, "response": json.dumps(found)}
        history += [{"role": "tool", "parts": [part]}, said("user", self.text(2))]
        second = self._chat(trace_id, agent, model, conversation, history)
        return [server, agent, first, tool, database, second]

    def _chat(
        self,
        trace_id: str,
        parent: dict[str, object],
        model: str,
        conversation: str,
        history: list[object],
        call: str | None = None,
    ) -> dict[str, object]:
        part = {"type": "tool_call", "id": call, "name": "find_order", "arguments": {"id": "x" * 8}}
        answer = {"role": "assistant", "parts": [part]} if call else said("assistant", self.text(8))
        answer["finish_reason"] = reason = "tool_call" if call else "stop"
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": MODELS[model],
            "gen_ai.request.model": model,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.response.model": f"{model}-2026-01-01",
            "gen_ai.response.id": f"chatcmpl-{self._random.getrandbits(64):x}",
            "gen_ai.response.finish_reasons": [reason],
            "gen_ai.usage.input_tokens": self._random.randint(50, 4000),
            "gen_ai.usage.output_tokens": self._random.randint(5, 800),
            "gen_ai.conversation.id": conversation,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": INSTRUCTIONS}]),
            "gen_ai.tool.definitions": TOOLS,
            "gen_ai.input.messages": json.dumps(history, ensure_ascii=False),
            "gen_ai.output.messages": json.dumps([answer], ensure_ascii=False),
            "server.address": "api.example.com",
            "server.port": 443,
        }
        return self._span(trace_id, parent, f"chat {model}", 3, attributes)

    def _span(
        self, trace_id: str, parent: dict[str, object] | None, name: str, kind: int, attributes: dict[str, object]
    ) -> dict[str, object]:
        start = self._at + self._random.randint(0, 10**8)
        return {
            "traceId": trace_id,
            "spanId": f"{self._random.getrandbits(64):016x}",
            "parentSpanId": parent["spanId"] if parent else "",
            "flags": 257,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + self._random.randint(10**6, 9 * 10**9)),
            "attributes": pairs(attributes),
            "status": {},
        }


def said(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def http(method: str, route: str) -> dict[str, object]:
    return {
        "http.request.method": method,
        "http.route": route,
        "url.scheme": "https",
        "http.response.status_code": 200,
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
        "network.protocol.version": "1.1",
    }


def value_of(value: object) -> dict[str, object]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [value_of(item) for item in value]}}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def pairs(attributes: dict[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": value_of(value)} for key, value in attributes.items()]


def lines(seed: int, spans_a_line: int = SPANS_A_LINE) -> Iterator[bytes]:
    """Export requests without end, each of one service with two scopes."""
    traffic = Traffic(seed)
    number = 0
    while True:
        spans: list[dict[str, object]] = []
        while len(spans) < spans_a_line:
            spans += traffic.trace()
        resource = {
            "service.name": ("desk", "checkout", "search")[number % 3],
            "service.version": "1.4.2",
            "service.instance.id": f"pod-{number % 17}",
            "deployment.environment.name": "production",
            "host.name": f"node-{number % 5}",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.39.0",
        }
        gen_ai = [span for span in spans if str(span["name"]).startswith(("chat", "invoke", "execute"))]
        plain = [span for span in spans if not str(span["name"]).startswith(("chat", "invoke", "execute"))]
        scopes = [
            {"scope": {"name": "opentelemetry.instrumentation.openai_v2", "version": "2.3b0"}, "spans": gen_ai},
            {"scope": {"name": "opentelemetry.instrumentation.asgi", "version": "0.60b0"}, "spans": plain},
        ]
        group = {"resource": {"attributes": pairs(resource)}, "scopeSpans": scopes}
        yield msgspec.json.encode({"resourceSpans": [group | {"schemaUrl": "https://opentelemetry.io/schemas/1.39.0"}]})
        number += 1


def write_traffic(path: Path, n_bytes: int, seed: int = 0, spans_a_line: int = SPANS_A_LINE) -> Path:
    """Writes a file of at least so many bytes."""
    written = 0
    with path.open("wb") as file:
        for line in lines(seed, spans_a_line):
            written += file.write(line + b"\n")
            if written >= n_bytes:
                return path
    return path
