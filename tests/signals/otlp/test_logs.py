"""What is logged of a span joins the span: one interaction, its texts kept, each record accounted for."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import polars as pl

from clworkbench.settings import Source
from clworkbench.signals import view
from tests.signals.whole import KEY, Whole

Ingest = Callable[..., Whole]
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
START = 1_704_067_200 * 10**9
SAID = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}]


def value_of(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [value_of(item) for item in value]}}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def pairs(attributes: dict[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": value_of(value)} for key, value in attributes.items()]


def record(name: str, body: object = None, after_ms: int = 0, **attributes: object) -> dict[str, object]:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    one = {
        "timeUnixNano": str(START + after_ms * 10**6),
        "severityNumber": 9,
        "attributes": pairs(named),
        "traceId": TRACE,
        "spanId": SPAN,
        "eventName": name,
    }
    return one if body is None else one | {"body": value_of(body)}


def logs(*records: object) -> dict[str, object]:
    resource = {"attributes": pairs({"service.name": "desk"})}
    return {
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "lib"}, "logRecords": [*records]}]}]
    }


def trace(**fields: object) -> dict[str, object]:
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat m",
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 250_000_000),
        "attributes": pairs({"gen_ai.operation.name": "chat", "gen_ai.usage.output_tokens": 5}),
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span | fields]}]}]}


DETAILS = record(
    "gen_ai.client.inference.operation.details",
    after_ms=200,
    gen_ai__operation__name="chat",
    gen_ai__request__model="m",
    gen_ai__input__messages=SAID,
    gen_ai__output__messages=ANSWERED,
    app__queue="billing",
)
MESSAGES = [
    record("gen_ai.system.message", {"content": "Be brief."}, gen_ai__system="openai"),
    record("gen_ai.user.message", {"content": "hi"}, 1, gen_ai__system="openai"),
    record(
        "gen_ai.choice",
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yo"}},
        240,
        gen_ai__system="openai",
    ),
]


def said(messages: list[dict[str, object]] | None) -> list[tuple[object, object]]:
    return [(message["role"], message["content"]) for message in messages or []]


def test_the_event_with_a_calls_details_is_a_row_of_its_span(ingest: Ingest) -> None:
    [row] = ingest(logs(DETAILS)).interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", f"{TRACE}:{SPAN}"),
        "source_id": f"{TRACE}:{SPAN}",
        "app": "desk",
        "operation": "chat",
        "model": "m",
        "finish_reason": "stop",
        "started_at": datetime(2024, 1, 1, 0, 0, 0, 200_000, tzinfo=UTC),
        "latency_ms": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert (said(row["input"]), said(row["output"])) == ([("user", "hi")], [("assistant", "hello")])
    left = msgspec.json.decode(row["attributes"])
    assert left["app.queue"] == "billing"
    assert left["otel.log"] == {"name": DETAILS["eventName"], "severityNumber": 9}


def test_one_event_for_each_message_makes_one_row_even_over_several_requests(ingest: Ingest) -> None:
    system, user, choice = MESSAGES
    for lines in (
        [logs(*MESSAGES)],
        [logs(system, user), logs(choice)],
        [logs(choice), logs(user), logs(system, user)],
    ):
        whole = ingest(*lines)
        [row] = whole.interactions.to_dicts()
        assert sorted(said(row["input"])) == [("system", "Be brief."), ("user", "hi")]
        assert (said(row["output"]), row["finish_reason"]) == ([("assistant", "yo")], "stop")
        assert (row["provider"], row["operation"]) == ("openai", "chat")
        assert row["started_at"] == datetime(2024, 1, 1, tzinfo=UTC)
        assert whole.skipped["logged of a span whose row another record gives"] == 2
    assert whole.skipped["the same log record a second time"] == 1
    assert whole.records == 4


def test_the_same_records_in_another_order_are_the_same_version(ingest: Ingest) -> None:
    one, two = (ingest(logs(*records)).interactions for records in (MESSAGES, MESSAGES[::-1]))
    assert one["raw_sha256"].to_list() == two["raw_sha256"].to_list()


def test_a_span_and_what_was_logged_of_it_are_one_signal_with_texts_and_latency_in_any_order(ingest: Ingest) -> None:
    for order in ([trace(), logs(DETAILS)], [logs(DETAILS), trace()]):
        whole = ingest(*order)
        assert whole.records == whole.interactions.height == 2
        versions = whole.interactions.drop("record").with_columns(
            batch_id=pl.lit("b"), seq=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        feedback = whole.feedback.drop("record").with_columns(batch_id=pl.lit("b"), seq=pl.lit(0, pl.Int64))
        [signal] = view.signals(versions, feedback, [], {}).to_dicts()
        assert (signal["text"], signal["answer"], signal["model"]) == ("hi", "hello", "m")
        assert (signal["latency_ms"], signal["n_output_tokens"]) == (250.0, 5)
        assert signal["started_at"] == datetime(2024, 1, 1, tzinfo=UTC)


def test_what_was_logged_in_two_files_of_a_span_that_never_came_is_one_signal(ingest: Ingest) -> None:
    system, user, choice = MESSAGES
    parts = [ingest(logs(*records)).interactions.drop("record") for records in ((system, user), (choice,))]
    for order in (parts, parts[::-1]):
        versions = pl.concat(order).with_columns(batch_id=pl.lit("b"), seq=pl.int_range(pl.len(), dtype=pl.Int64))
        nothing = ingest(logs(user)).feedback.drop("record").with_columns(batch_id=pl.lit("b"), seq=pl.lit(0, pl.Int64))
        [signal] = view.signals(versions, nothing, [], {}).to_dicts()
        assert (signal["text"], signal["answer"]) == ("hi", "yo")


def test_an_evaluation_is_feedback_on_its_span(ingest: Ingest) -> None:
    evaluation = record(
        "gen_ai.evaluation.result",
        gen_ai__evaluation__name="Relevance",
        gen_ai__evaluation__score__value=0.5,
        gen_ai__evaluation__score__label="relevant",
        gen_ai__evaluation__explanation="on topic",
        gen_ai__response__id="r1",
    )
    whole = ingest(logs(evaluation, evaluation))
    row, again = whole.feedback.to_dicts()
    wanted = {
        "target_id": KEY.id("desk", f"{TRACE}:{SPAN}"),
        "target_kind": "interaction",
        "name": "Relevance",
        "kind": "rating",
        "score": 0.5,
        "comment": "on topic",
        "origin": "system",
        "explicit": False,
        "at": datetime(2024, 1, 1, tzinfo=UTC),
    }
    assert {name: row[name] for name in wanted} == wanted
    assert msgspec.json.decode(row["value"]) == {"value": "relevant", "gen_ai.response.id": "r1"}
    assert row["feedback_id"] == again["feedback_id"]
    assert whole.interactions.is_empty()


def test_an_evaluation_without_a_span_is_about_what_it_names(ingest: Ingest) -> None:
    def about(trace_id: str = "", **attributes: object) -> dict[str, object]:
        one = record("gen_ai.evaluation.result", gen_ai__evaluation__name="n", **attributes)
        return one | {"traceId": trace_id, "spanId": ""}

    in_conversation = about(gen_ai__conversation__id="c")
    of_response = about(gen_ai__response__id="r")
    whole = ingest(logs(in_conversation, about(TRACE), of_response, about()))
    assert whole.feedback.select("target_kind", "target_id").rows() == [
        ("conversation", "c"),
        ("trace", TRACE),
        ("any", "r"),
    ]
    [reason] = whole.quarantine["reason"]
    assert reason == "log record 3 of the line: an evaluation of no span, conversation, trace or response"
    assert [noted.kind for noted in whole.fidelity] == ["evaluation of a response known by its id only"]


def test_an_evaluation_may_be_an_event_of_its_span(ingest: Ingest) -> None:
    said_of_it = {
        "name": "gen_ai.evaluation.result",
        "timeUnixNano": str(START),
        "attributes": pairs({"gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": 1}),
    }
    other = trace(attributes=pairs({"http.route": "/"}), events=[said_of_it], spanId="00000000000000ff")
    whole = ingest(trace(events=[said_of_it]), other)
    assert (whole.interactions.height, whole.records) == (1, 2)
    targets = [KEY.id("desk", f"{TRACE}:{span}") for span in (SPAN, "00000000000000ff")]
    assert whole.feedback.select("target_id", "score").rows() == [(target, 1.0) for target in targets]
    assert "gen_ai.evaluation" not in whole.interactions["attributes"][0]


def test_other_records_are_skipped_or_quarantined_alone(ingest: Ingest) -> None:
    nameless = record("gen_ai.user.message", {"content": "hi"}) | {"spanId": ""}
    broken = record("gen_ai.user.message", {"content": "hi"}) | {"timeUnixNano": "noon"}
    whole = ingest(
        logs(record("", "GET / 200"), record("gen_ai.client.operation.exception"), nameless, broken, 7, MESSAGES[1]),
        source=Source("desk", format="otlp"),
    )
    assert whole.skipped == {
        "not a GenAI log record": 1,
        "another GenAI event": 1,
        "a message event that names no span": 1,
    }
    assert [reason.split(":")[0] for reason in whole.quarantine["reason"]] == [
        "log record 3 of the line",
        "log record 4 of the line",
    ]
    assert whole.records == 6
    assert said(whole.interactions["input"][0].to_list()) == [("user", "hi")]


def test_older_and_looser_spellings_are_read_alike(ingest: Ingest) -> None:
    loose = {
        "time_unix_nano": START + 10**6,
        "body": {"kvlist_value": {"values": [{"key": "content", "value": {"string_value": "hi"}}]}},
        "attributes": pairs({"event.name": "gen_ai.user.message", "gen_ai.system": "openai"}),
        "trace_id": TRACE,
        "span_id": SPAN,
        "severity_number": 9,
    }
    line = {"resource_logs": [{"scope_logs": [{"log_records": [loose]}]}]}
    [row] = ingest(line).interactions.to_dicts()
    assert (said(row["input"]), row["provider"]) == ([("user", "hi")], "openai")


def test_a_message_whose_text_was_not_captured_is_noted(ingest: Ingest) -> None:
    whole = ingest(logs(record("gen_ai.user.message", {"role": "user"})))
    assert [noted.kind for noted in whole.fidelity] == ["message event without its text"]
