"""The desk's traces and events, read back by the loop's own readers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clworkbench.demo.desk_people import TARGET, Message, Ticket, expected
from clworkbench.demo.desk_traces import events, span_name, traces
from clworkbench.errors import ClwError
from clworkbench.settings import Source
from tests.signals.whole import Whole, read_whole

AT = datetime(2026, 1, 26, 9, 30, tzinfo=UTC)
EVENT_COLUMNS = {name: name for name in ("id", "target", "name", "at", "origin", "actor", "improvement", "score")}


def ticket(number: int, text: str = "Stop billing me!!!", served_by: str = "release:a") -> Ticket:
    message = Message(f"T3{number:04d}", 3, AT + timedelta(minutes=number), "anna.fox1@example.com", TARGET, text)
    return Ticket(message, served_by, expected(TARGET, new_policy=False), 0.875, 31, 18)


def read(rows: list[dict[str, object]], place: Path, source: Source) -> Whole:
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_whole(place, source)


def spans(requests: list[dict[str, object]]) -> list[dict[str, str]]:
    found = json.loads(json.dumps(requests))
    return [
        s for line in found for group in line["resourceSpans"] for scope in group["scopeSpans"] for s in scope["spans"]
    ]


def test_each_ticket_is_one_signal_and_one_span_that_is_none(tmp_path):
    tickets = [ticket(n) for n in range(60)]
    requests = traces(tickets, seed=0)
    whole = read(requests, tmp_path / "traces.jsonl", Source("desk", format="otlp"))
    assert len(requests) == 3  # 120 spans, 50 in a request
    assert whole.records == 120
    assert whole.interactions.height == 60
    assert dict(whole.skipped) == {"not a GenAI span": 60}
    assert whole.quarantine.is_empty()
    assert whole.interactions["source_id"].to_list() == [span_name(t.message.ticket, 0) for t in tickets]


def test_a_ticket_comes_back_with_all_that_it_said(tmp_path):
    said = 'Zoë wrote: "stop",\n\tthen <b>left</b> 🙂'
    whole = read(traces([ticket(1, said)], seed=0), tmp_path / "t.jsonl", Source("desk", format="otlp"))
    row = whole.interactions.row(0, named=True)
    assert [(m["role"], m["content"]) for m in row["input"]] == [
        ("system", "Support desk. Answer with JSON."),
        ("user", said),
    ]
    assert [m["content"] for m in row["output"]] == ['{"intent": "billing_cancellation", "action": "cancel_now"}']
    assert row["conversation_id"] == "T30001"
    assert (row["release_id"], row["model"]) == ("release:a", "release:a")
    assert (row["confidence"], row["n_input_tokens"], row["n_output_tokens"]) == (0.875, 31, 18)
    assert (row["app"], row["operation"], row["finish_reason"]) == ("desk", "chat", "stop")
    assert row["started_at"] == datetime(2026, 1, 26, 9, 31, 0, 100_000, tzinfo=UTC)
    assert row["latency_ms"] == 600.0
    assert row["user_key"] is not None
    assert "anna.fox1" not in str(row)


def test_what_an_operator_answered_has_no_release_tokens_or_confidence(tmp_path):
    asked = ticket(1, served_by="operators").message
    by_hand = Ticket(asked, "operators", expected(TARGET, new_policy=False), None, None, None)
    whole = read(traces([by_hand], seed=0), tmp_path / "t.jsonl", Source("desk", format="otlp"))
    row = whole.interactions.row(0, named=True)
    assert (row["release_id"], row["confidence"], row["n_input_tokens"]) == (None, None, None)


def test_the_models_span_stands_within_the_requests(tmp_path):
    call, request = spans(traces([ticket(1)], seed=0))
    assert call["parentSpanId"] == request["spanId"]
    assert call["traceId"] == request["traceId"]
    assert "parentSpanId" not in request
    assert (len(call["traceId"]), len(call["spanId"])) == (32, 16)
    times = [int(s[name]) for name in ("startTimeUnixNano", "endTimeUnixNano") for s in (request, call)]
    assert times[0] < times[1] < times[3] < times[2]
    assert times[0] == 1_769_419_860 * 10**9  # 2026-01-26T09:31:00Z


def test_a_seed_repeats_the_bytes_and_another_seed_has_other_ids():
    first, again, other = (traces([ticket(n) for n in range(3)], seed) for seed in (1, 1, 2))
    assert json.dumps(first) == json.dumps(again)
    assert not {s["spanId"] for s in spans(first)} & {s["spanId"] for s in spans(other)}


def test_a_users_own_opentelemetry_settings_change_nothing(monkeypatch):
    plain = traces([ticket(1)], seed=0)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine")
    assert traces([ticket(1)], seed=0) == plain


def test_opentelemetry_switched_off_is_said_in_words(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(ClwError, match="Unset OTEL_SDK_DISABLED"):
        traces([ticket(1)], seed=0)


def test_events_find_the_signals_that_they_are_about(tmp_path):
    tickets = [ticket(n) for n in range(40)]
    rows = events(tickets, 0, AT - timedelta(days=1), AT + timedelta(days=9))
    source = Source("tickets", format="mapping", record="feedback", target_source="desk", columns=EVENT_COLUMNS)
    said = read(rows, tmp_path / "e.jsonl", source)
    signals = read(traces(tickets, seed=0), tmp_path / "t.jsonl", Source("desk", format="otlp"))
    assert said.feedback.height == len(rows) > 40
    assert set(said.feedback["target_id"]) == set(signals.interactions["interaction_id"])
    topic = f"topic:{TARGET}"
    assert set(said.feedback["name"]) == {"accepted", "edited", "overridden", "reopened", "thumbs", topic}
    assert (said.feedback["name"] == topic).sum() == 40
    better = said.feedback.drop_nulls("improvement")
    assert set(better["name"]) == {"edited"}
    texts = {message["content"] for row in better["improvement"] for message in row}
    assert texts == {'{"intent": "billing_cancellation", "action": "offer_pause"}'}


def test_events_of_a_week_are_those_that_happened_in_it():
    tickets = [ticket(n) for n in range(40)]
    cut = AT + timedelta(hours=4)
    first, later = events(tickets, 0, AT, cut), events(tickets, 0, cut, AT + timedelta(days=9))
    whole = events(tickets, 0, AT, AT + timedelta(days=9))
    assert first
    assert later
    assert first + later == whole
    assert max(str(e["at"]) for e in first) < cut.isoformat() <= min(str(e["at"]) for e in later)
