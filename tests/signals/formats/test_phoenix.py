import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from clworkbench.settings import Source
from clworkbench.signals.reading import detect
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
TRACE, ROOT, CALL = "f1d73b9bfec73377d08f713a39af6be8", "597c2820fb419ee5", "ce4ab422d61f773d"
SPAN = {
    "id": "U3Bhbjox",
    "name": "ChatCompletion",
    "context": {"trace_id": TRACE, "span_id": CALL},
    "span_kind": "LLM",
    "parent_id": ROOT,
    "start_time": "2024-01-01T00:00:00.000000+00:00",
    "end_time": "2024-01-01T00:00:00.250000+00:00",
    "status_code": "OK",
    "status_message": "",
    "attributes": {
        "llm.model_name": "gpt-x",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "where is my order?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "Sent on Monday.",
        "llm.token_count.prompt": 20,
        "session.id": "s-1",
        "user.id": "ann",
        "metadata.team": "a",
    },
    "events": [],
}
NESTED = SPAN | {
    "attributes": {
        "openinference": {"span": {"kind": "LLM"}},
        "llm": {
            "model_name": "gpt-x",
            "input_messages": [{"message": {"role": "user", "content": "where is my order?"}}],
            "output_messages": [{"message": {"role": "assistant", "content": "Sent on Monday."}}],
            "token_count": {"prompt": 20},
        },
        "session": {"id": "s-1"},
        "user": {"id": "ann"},
        "metadata": {"team": "a"},
    }
}
TABLE = {
    "name": "ChatCompletion",
    "span_kind": "LLM",
    "parent_id": ROOT,
    "start_time": datetime(2024, 1, 1, tzinfo=UTC),
    "end_time": datetime(2024, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC),
    "status_code": "OK",
    "status_message": "",
    "events": [],
    "context.span_id": CALL,
    "context.trace_id": TRACE,
    "attributes.openinference.span.kind": "LLM",
    "attributes.llm.model_name": "gpt-x",
    "attributes.llm.input_messages": [
        {"message.role": "user", "message.content": "where is my order?", "message.tool_call_id": None}
    ],
    "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "Sent on Monday."}],
    "attributes.llm.token_count.prompt": 20.0,
    "attributes.session.id": "s-1",
    "attributes.user.id": "ann",
    "attributes.metadata": {"team": "a"},
    "attributes.tool.name": None,
}
PRINTED = {
    "name": "ChatCompletion",
    "context": {"trace_id": f"0x{TRACE}", "span_id": f"0x{CALL}", "trace_state": "[]"},
    "kind": "SpanKind.INTERNAL",
    "parent_id": f"0x{ROOT}",
    "start_time": "2024-01-01T00:00:00.000000Z",
    "end_time": "2024-01-01T00:00:00.250000Z",
    "status": {"status_code": "OK"},
    "attributes": SPAN["attributes"] | {"openinference.span.kind": "LLM"},
    "events": [],
    "links": [],
    "resource": {"attributes": {"service.name": "desk"}, "schema_url": ""},
}
COLUMNS = (
    *("interaction_id", "source_id", "trace_id", "parent_id", "conversation_id", "user_key", "operation"),
    *("started_at", "latency_ms", "model", "input", "output", "n_input_tokens", "error"),
)
ANNOTATION = {
    "id": "U3BhbkFubm90YXRpb246MQ==",
    "created_at": "2024-01-02T00:00:00+00:00",
    "updated_at": "2024-01-03T00:00:00+00:00",
    "source": "API",
    "user_id": None,
    "name": "correctness",
    "annotator_kind": "HUMAN",
    "result": {"label": "correct", "score": 1.0, "explanation": "fine"},
    "metadata": {},
    "identifier": "bob",
    "span_id": CALL,
}


def test_an_exported_span_is_an_interaction(ingest: Ingest) -> None:
    [row] = ingest(SPAN).interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", CALL),
        "source_id": CALL,
        "trace_id": TRACE,
        "parent_id": ROOT,
        "conversation_id": "s-1",
        "user_key": KEY.user("ann"),
        "operation": "chat",
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "latency_ms": 250.0,
        "model": "gpt-x",
        "n_input_tokens": 20,
        "error": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(m["role"], m["content"]) for m in row["input"]] == [("user", "where is my order?")]
    assert [(m["role"], m["content"]) for m in row["output"]] == [("assistant", "Sent on Monday.")]
    assert json.loads(row["attributes"]) == {
        "metadata": {"team": "a"},
        "span": {"id": "U3Bhbjox", "name": "ChatCompletion"},
    }


@pytest.mark.parametrize("other", [NESTED, PRINTED], ids=["nested", "printed by an SDK"])
def test_another_spelling_of_a_span_says_the_same(ingest: Ingest, other: dict[str, object]) -> None:
    assert ingest(other).interactions.select(COLUMNS).to_dicts() == ingest(SPAN).interactions.select(COLUMNS).to_dicts()


def test_a_row_of_the_dataframe_says_the_same(ingest: Ingest, tmp_path: Path) -> None:
    pl.DataFrame([TABLE]).write_parquet(tmp_path / "spans.parquet")
    assert detect(tmp_path / "spans.parquet").format == "phoenix"
    whole = read_whole(tmp_path / "spans.parquet", Source("desk"))
    assert whole.interactions.select(COLUMNS).to_dicts() == ingest(SPAN).interactions.select(COLUMNS).to_dicts()


def test_a_page_of_the_api_is_as_many_records_as_it_holds(ingest: Ingest) -> None:
    whole = ingest({"data": [SPAN, NESTED, 7], "next_cursor": None})
    assert (whole.records, len(whole.interactions)) == (3, 2)
    assert whole.quarantine["reason"].to_list() == ["data[2]: a number, not an object"]


def test_a_failed_call_tells_why(ingest: Ingest) -> None:
    event = {"name": "exception", "timestamp": "2024-01-01T00:00:00Z", "attributes": {"exception.message": "no model"}}
    whole = ingest(
        SPAN | {"status_code": "ERROR", "events": [event]}, SPAN | {"status_code": "ERROR", "status_message": "late"}
    )
    assert whole.interactions["error"].to_list() == ["no model", "late"]


def test_an_answer_that_is_missing_is_noted(ingest: Ingest) -> None:
    said = {name: value for name, value in SPAN["attributes"].items() if "output" not in name}  # type: ignore[attr-defined]
    whole = ingest(SPAN | {"attributes": said | {"llm.cost.total": 0}})
    assert {(noted.kind, noted.count) for noted in whole.fidelity} == {
        ("output missing at the source", 1),
        ("a price of 0 where there were tokens", 1),
    }


def test_an_annotation_finds_its_span(ingest: Ingest) -> None:
    whole = ingest(SPAN, ANNOTATION)
    [row] = whole.feedback.to_dicts()
    wanted = {
        "target_id": whole.interactions["interaction_id"][0],
        "target_kind": "interaction",
        "name": "correctness",
        "kind": "rating",
        "score": 1.0,
        "comment": "fine",
        "origin": "reviewer",
        "explicit": True,
        "actor_key": KEY.user("bob"),
        "at": datetime(2024, 1, 3, tzinfo=UTC),
    }
    assert {name: row[name] for name in wanted} == wanted
    assert json.loads(row["value"]) == {"value": "correct", "source": "API"}


def test_annotations_of_traces_and_sessions_say_so(ingest: Ingest) -> None:
    said = {name: value for name, value in ANNOTATION.items() if name != "span_id"}
    whole = ingest(said | {"trace_id": TRACE}, said | {"session_id": "s-1"}, said | {"session_id": ""})
    assert whole.feedback.select("target_kind", "target_id").rows() == [("trace", TRACE), ("conversation", "s-1")]
    assert whole.quarantine["reason"].to_list() == ["an annotation whose target has no id"]


def test_a_row_of_the_annotations_dataframe_is_the_same_feedback(ingest: Ingest) -> None:
    row = {name: value for name, value in ANNOTATION.items() if name not in ("name", "result")}
    row |= {"annotation_name": "correctness", "result.label": "correct", "result.score": 1.0}
    one, other = ingest(ANNOTATION).feedback, ingest(row).feedback
    assert other["feedback_id"].to_list() == one["feedback_id"].to_list()
    assert other.select("target_id", "score", "value").rows() == one.select("target_id", "score", "value").rows()


def test_annotations_among_attributes_are_feedback_on_span_trace_and_session(ingest: Ingest) -> None:
    said = {
        "annotations.0.annotation.name": "correctness",
        "annotations.0.annotation.score": 1,
        "annotations.0.annotation.annotator_kind": "HUMAN",
        "annotations.0.annotation.identifier": "bob",
        "evaluations.0.evaluation.name": "tone",
        "evaluations.0.evaluation.label": "curt",
        "evaluations.0.evaluation.annotator_kind": "LLM",
        "trace.annotations.0.annotation.name": "solved",
        "trace.annotations.0.annotation.score": -1,
        "session.annotations.0.annotation.name": "user feedback",
        "session.annotations.0.annotation.explanation": "thanks",
        "session.annotations.0.annotation.annotator_kind": "HUMAN",
        "annotations.1.annotation.name": "empty",
    }
    whole = ingest(SPAN | {"attributes": SPAN["attributes"] | said}, ANNOTATION)  # type: ignore[operator]
    [row] = whole.interactions.to_dicts()
    found = {f["name"]: f for f in whole.feedback.to_dicts()}
    assert {name: (f["target_kind"], f["target_id"], f["kind"], f["origin"]) for name, f in found.items()} == {
        "correctness": ("interaction", row["interaction_id"], "rating", "reviewer"),
        "tone": ("interaction", row["interaction_id"], "rating", "system"),
        "solved": ("trace", TRACE, "rating", None),
        "user feedback": ("conversation", "s-1", "comment", "user"),
    }
    assert found["tone"]["value"] == '{"value":"curt","annotator_kind":"LLM"}'
    assert json.loads(row["attributes"])["annotations"] == [{"annotation": {"name": "empty"}}]
    # The same result, exported with the span and by itself, is one feedback with one id.
    assert whole.feedback["feedback_id"].n_unique() == len(whole.feedback) - 1


def test_a_new_annotation_does_not_change_the_span(ingest: Ingest) -> None:
    said = {"annotations.0.annotation.name": "x", "annotations.0.annotation.score": 1}
    both = ingest(SPAN, SPAN | {"attributes": SPAN["attributes"] | said}).interactions  # type: ignore[operator]
    assert both["raw_sha256"].n_unique() == 1


def test_annotations_on_a_carrier_are_about_the_span_it_links_to(ingest: Ingest) -> None:
    carrier = PRINTED | {
        "context": {"trace_id": "0x" + "1" * 32, "span_id": "0x" + "2" * 16},
        "attributes": {"annotations.0.annotation.name": "good", "annotations.0.annotation.score": 1},
        "links": [{"context": {"trace_id": f"0x{TRACE}", "span_id": f"0x{CALL}"}, "attributes": {}}],
    }
    [row] = ingest(carrier).feedback.to_dicts()
    assert (row["target_id"], row["at"]) == (KEY.id("desk", CALL), datetime(2024, 1, 1, tzinfo=UTC))


def test_a_span_of_no_kind_is_skipped_unless_somebody_judged_it(ingest: Ingest) -> None:
    plain = SPAN | {"span_kind": "UNKNOWN", "attributes": {"http.method": "GET"}}
    judged = plain | {"attributes": {"annotations.0.annotation.name": "x", "annotations.0.annotation.score": 1}}
    whole = ingest(plain, judged)
    assert whole.skipped == {"not a GenAI span": 1}
    assert whole.interactions["operation"].to_list() == ["invoke_workflow"]


def test_half_a_span_is_quarantined_in_words(ingest: Ingest) -> None:
    source = Source("desk", format="phoenix")
    whole = ingest({"name": "x"}, SPAN | {"attributes": 7}, SPAN | {"start_time": "soon"}, source=source)
    assert whole.quarantine["reason"].to_list() == [
        "a span without a context that holds its ids",
        "attributes are a number, not an object",
        "start_time: a text written like 'aaaa', where an ISO 8601 or epoch time is wanted",
    ]


def test_the_real_spans_of_the_ai_sdk_are_read(shared_data: Path) -> None:
    path = shared_data / "openinference_spans" / "all-spans.json"
    written = json.loads(path.read_text())
    whole = read_whole(path, Source("js"))
    rows = whole.interactions
    assert (whole.records, len(rows), len(whole.quarantine), whole.skipped.total()) == (
        len(written),
        len(written),
        0,
        0,
    )
    inner = [span for span in written if ".do" in span["name"]]
    calls = Counter("embeddings" if "Embed" in span["name"] else "chat" for span in inner)
    assert Counter(rows["operation"]) - Counter(["invoke_agent"] * 4 + ["invoke_workflow"]) == calls
    assert rows["source_id"].to_list() == [span["spanContext"]["spanId"] for span in written]
    for span, row in zip(written, rows.to_dicts(), strict=True):
        said = span["attributes"]
        answer = said.get("ai.response.text") or said.get("ai.response.object")
        assert (row["output"][0]["content"] if row["output"] else None) == answer
        tokens = next(
            said[f"ai.usage.{name}"] for name in ("inputTokens", "promptTokens", "tokens") if f"ai.usage.{name}" in said
        )
        assert row["n_input_tokens"] == tokens
        seconds, nanoseconds = (b - a for a, b in zip(span["startTime"], span["endTime"], strict=True))
        assert row["latency_ms"] == pytest.approx(seconds * 1e3 + nanoseconds / 1e6, abs=0.002)
        if "ai.prompt.messages" in said:
            assert [m["role"] for m in row["input"]] == [m["role"] for m in json.loads(said["ai.prompt.messages"])]
