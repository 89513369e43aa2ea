import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from clworkbench.settings import Source
from clworkbench.signals.reading import detect
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
TRACE, ROOT, CALL, TOOL = (
    "tr-115645262caaa4f10038dd7b5b7dcdf5",
    "97b3831ed40a8d45",
    "80b3f64fdf765852",
    "d586c227695b451e",
)
TIME = "a text written like 'aaaa', where an ISO 8601 or epoch time is wanted"
START = 1704067200 * 10**9
REQUEST = {
    "messages": [{"role": "user", "content": "where is it?"}],
    "model": "gpt-x",
    "temperature": 0.2,
    "tools": None,
}
RESPONSE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-x-2",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"order":7}'}}
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
}


def span(own: str, parent: str | None, name: str, kind: str, given: object, result: object) -> dict[str, object]:
    """A span as MLflow 3 writes it: ids in base64, every value of an attribute JSON text."""
    return {
        "trace_id": base64.b64encode(bytes.fromhex(TRACE[3:])).decode(),
        "span_id": base64.b64encode(bytes.fromhex(own)).decode(),
        "parent_span_id": base64.b64encode(bytes.fromhex(parent)).decode() if parent else None,
        "name": name,
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 1_500_000,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {
            "mlflow.traceRequestId": json.dumps(TRACE),
            "mlflow.spanType": json.dumps(kind),
            "mlflow.spanInputs": json.dumps(given),
            "mlflow.spanOutputs": json.dumps(result),
        },
        "links": [],
    }


SPANS = [
    span(ROOT, None, "agent", "AGENT", {"question": "where is it?"}, "It was sent."),
    span(CALL, ROOT, "llm", "CHAT_MODEL", REQUEST, RESPONSE),
    span(TOOL, ROOT, "lookup", "TOOL", {"order": 7}, {"status": "sent"}),
]


def said(own_id: str, name: str, **more: object) -> dict[str, object]:
    """An assessment by a person, as MLflow 3 writes it."""
    return {
        "assessment_id": own_id,
        "assessment_name": name,
        "trace_id": TRACE,
        "source": {"source_type": "HUMAN", "source_id": "bob"},
        "create_time": "2024-01-02T00:00:00Z",
        "last_update_time": "2024-01-03T00:00:00Z",
        "valid": True,
    } | more


JUDGE = {"source_type": "LLM_JUDGE", "source_id": "gpt-4o"}
ASSESSMENTS = [
    said("a-1", "helpful", feedback={"value": True}, valid=False),
    said("a-2", "helpful", feedback={"value": False}, rationale="not clear", overrides="a-1"),
    said("a-3", "quality", feedback={"value": 0.5}, span_id=CALL, source=JUDGE),
    said("a-4", "safe", feedback={"value": "yes"}, source=JUDGE),
    said("a-5", "expected_response", expectation={"value": "It was sent on Monday."}),
    said(
        "a-6",
        "expected_facts",
        expectation={"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '["sent"]'}},
    ),
    said("a-7", "judge", feedback={"value": None, "error": {"error_code": "ValueError"}}, source=JUDGE),
    said("a-8", "thumb", feedback={"value": True}, source={"source_type": "HUMAN", "source_id": "ann"}),
]
INFO = {
    "trace_id": TRACE,
    "client_request_id": "req-9",
    "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "4"}},
    "request_time": "2024-01-01T00:00:00Z",
    "state": "OK",
    "trace_metadata": {
        "mlflow.trace.session": "s-1",
        "mlflow.trace.user": "ann",
        "mlflow.user": "root",
        "mlflow.traceInputs": '{"question": "where',
    },
    "tags": {"team": "a", "mlflow.traceName": "agent"},
    "request_preview": '{"question": "where',
    "response_preview": "It was",
    "execution_duration_ms": 14,
}
WHOLE = {"info": INFO | {"assessments": ASSESSMENTS}, "data": {"spans": SPANS}}


@pytest.fixture
def whole(ingest: Ingest) -> Whole:
    return ingest(WHOLE)


def test_every_span_and_every_assessment_is_a_record(whole: Whole) -> None:
    assert whole.records == len(SPANS) + len(ASSESSMENTS)
    assert (len(whole.interactions), len(whole.feedback)) == (3, 7)
    assert whole.skipped == {"an assessment that was withdrawn or overridden": 1}


def test_spans_have_their_parents_session_and_user(whole: Whole) -> None:
    rows = whole.interactions
    assert rows["source_id"].to_list() == [f"{TRACE}:{own}" for own in (ROOT, CALL, TOOL)]
    assert rows["parent_id"].to_list() == [None, f"{TRACE}:{ROOT}", f"{TRACE}:{ROOT}"]
    assert rows["operation"].to_list() == ["invoke_agent", "chat", "execute_tool"]
    assert set(rows["trace_id"]) == {TRACE}
    assert set(rows["conversation_id"]) == {"s-1"}
    assert set(rows["user_key"]) == {KEY.user("ann")}
    assert rows["started_at"].to_list() == [datetime(2024, 1, 1, tzinfo=UTC)] * 3
    assert rows["latency_ms"].to_list() == [1.5] * 3


def test_a_models_call_is_read_out_of_its_request_and_response(whole: Whole) -> None:
    row = whole.interactions.row(1, named=True)
    wanted = {
        "model": "gpt-x",
        "model_version": "gpt-x-2",
        "parameters": '{"temperature":0.2}',
        "tools": None,
        "n_input_tokens": 12,
        "n_output_tokens": 7,
        "finish_reason": "tool_calls",
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(m["role"], m["content"]) for m in row["input"]] == [("user", "where is it?")]
    assert row["output"][0]["tool_calls"] == [{"id": "c1", "name": "lookup", "arguments": '{"order":7}'}]


def test_the_only_argument_of_an_agent_is_what_the_user_said(whole: Whole) -> None:
    row = whole.interactions.row(0, named=True)
    assert [(m["role"], m["content"]) for m in row["input"]] == [("user", "where is it?")]
    assert [(m["role"], m["content"]) for m in row["output"]] == [("assistant", "It was sent.")]
    kept = json.loads(row["attributes"])
    assert kept["mlflow.spanInputs"] == ["question"]
    assert kept["trace"]["tags"] == {"team": "a", "mlflow.traceName": "agent"}
    assert kept["trace"]["trace_metadata"] == {"mlflow.user": KEY.user("root")}
    assert "request_preview" not in kept["trace"]


def test_a_tools_run_is_a_call_and_its_answer(whole: Whole) -> None:
    row = whole.interactions.row(2, named=True)
    assert row["input"][0]["tool_calls"] == [{"id": None, "name": "lookup", "arguments": '{"order":7}'}]
    assert [(m["role"], m["content"], m["name"]) for m in row["output"]] == [("tool", '{"status":"sent"}', "lookup")]


def test_assessments_are_feedback_on_the_trace_or_the_span(whole: Whole) -> None:
    found = {row["name"]: row for row in whole.feedback.to_dicts()}
    call = whole.interactions["interaction_id"][1]
    told = {name: (row["kind"], row["score"], row["origin"], row["target_kind"]) for name, row in found.items()}
    assert told == {
        "helpful": ("rating", -1.0, "reviewer", "trace"),
        "quality": ("rating", 0.5, "system", "interaction"),
        "safe": ("rating", 1.0, "system", "trace"),
        "expected_response": ("correction", None, "reviewer", "trace"),
        "expected_facts": ("event", None, "reviewer", "trace"),
        "judge": ("event", None, "system", "trace"),
        "thumb": ("rating", 1.0, "user", "trace"),
    }
    assert (found["quality"]["target_id"], found["thumb"]["target_id"]) == (call, TRACE)
    assert found["helpful"]["comment"] == "not clear"
    assert found["helpful"]["actor_key"] == KEY.user("bob")
    assert found["helpful"]["at"] == datetime(2024, 1, 3, tzinfo=UTC)
    assert found["expected_response"]["improvement"][0]["content"] == "It was sent on Monday."
    assert found["expected_facts"]["value"] == '["sent"]'
    assert json.loads(found["judge"]["value"])["error"] == {"error_code": "ValueError"}
    assert {noted.kind for noted in whole.fidelity} == {
        "a judge that failed at the source",
        "an expectation that is no answer, kept as a value",
    }


def test_an_assessment_takes_the_place_of_the_one_it_overrides(ingest: Ingest) -> None:
    before = ingest({"info": INFO | {"assessments": [ASSESSMENTS[0] | {"valid": True}]}, "data": {"spans": []}})
    after = ingest({"info": INFO | {"assessments": ASSESSMENTS[:2]}, "data": {"spans": []}})
    assert after.feedback["feedback_id"].to_list() == before.feedback["feedback_id"].to_list()
    assert after.feedback["score"].to_list() == [-1.0]


def test_a_span_of_mlflow_2_says_the_same(ingest: Ingest) -> None:
    older = []
    for new in SPANS:
        own, parent = (
            new[key] and "0x" + base64.b64decode(str(new[key])).hex() for key in ("span_id", "parent_span_id")
        )
        older.append(
            {
                "name": new["name"],
                "context": {"span_id": own, "trace_id": "0x" + TRACE[3:]},
                "parent_id": parent,
                "start_time": new["start_time_unix_nano"],
                "end_time": new["end_time_unix_nano"],
                "status_code": "OK",
                "status_message": "",
                "attributes": new["attributes"],
                "events": [],
            }
        )
    info = {
        "request_id": TRACE,
        "timestamp_ms": START // 10**6,
        "status": "OK",
        "request_metadata": [{"key": name, "value": value} for name, value in INFO["trace_metadata"].items()],  # type: ignore[attr-defined]
        "tags": INFO["tags"],
    }
    one, other = (ingest({"info": i, "data": {"spans": s}}).interactions for i, s in ((INFO, SPANS), (info, older)))
    same = [name for name in one.columns if name not in ("raw_sha256", "attributes")]
    assert other.select(same).to_dicts() == one.select(same).to_dicts()


def searched(spans: object, assessments: object) -> dict[str, object]:
    names = ("trace_id", "client_request_id", "state", "trace_metadata", "tags")
    times = {"request_time": START // 10**6, "execution_duration": 14}
    return {name: INFO[name] for name in names} | times | {"spans": spans, "assessments": assessments}


def test_rows_of_search_traces_say_the_same(ingest: Ingest, whole: Whole, tmp_path: Path) -> None:
    row = searched(SPANS, ASSESSMENTS[2:3])
    path = tmp_path / "traces.parquet"
    pl.DataFrame([row | {"trace": None, "request": '"x"', "response": '"y"'}]).write_parquet(path)
    assert detect(path).format == "mlflow"
    for other in (read_whole(path, Source("desk")), ingest(row), ingest({"trace": json.dumps(WHOLE), **row})):
        names = ("interaction_id", "source_id", "parent_id", "operation", "input", "output", "conversation_id")
        assert other.interactions.select(names).to_dicts() == whole.interactions.select(names).to_dicts()
        assert "quality" in set(other.feedback["name"])


def test_a_row_whose_lists_are_json_text_is_read(ingest: Ingest) -> None:
    row = {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in searched(SPANS, []).items()
    }
    assert len(ingest(row).interactions) == 3


def test_a_trace_without_spans_is_read_from_its_previews_and_noted(ingest: Ingest) -> None:
    found = ingest({"info": INFO, "data": {"spans": []}})
    [row] = found.interactions.to_dicts()
    assert (row["source_id"], row["operation"], row["latency_ms"]) == (TRACE, "invoke_workflow", 14.0)
    assert (row["input"][0]["content"], row["output"][0]["content"]) == ('{"question": "where', "It was")
    assert [noted.kind for noted in found.fidelity] == [
        "a trace without spans, read from its previews, which may be cut"
    ]


def test_a_failed_span_tells_why_and_a_missing_answer_is_noted(ingest: Ingest) -> None:
    failed = SPANS[1] | {"status": {"code": "STATUS_CODE_ERROR", "message": "RuntimeError: no such order"}}
    attributes = {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": json.dumps(REQUEST)}
    found = ingest({"info": INFO, "data": {"spans": [failed, SPANS[1] | {"attributes": attributes}]}})
    assert found.interactions["error"].to_list() == ["RuntimeError: no such order", None]
    assert [noted.kind for noted in found.fidelity] == ["output missing at the source"]


def test_retrieved_documents_are_an_answer_that_keeps_them_whole(ingest: Ingest) -> None:
    documents = [{"page_content": "one", "metadata": {"uri": "a"}}, {"page_content": "two"}]
    found = ingest({"info": INFO, "data": {"spans": [span(CALL, None, "search", "RETRIEVER", {"q": "x"}, documents)]}})
    [message] = found.interactions["output"][0]
    assert (message["role"], message["content"]) == ("tool", "one\n\ntwo")
    assert json.loads(message["parts"]) == documents


def test_messages_of_langchain_are_read(ingest: Ingest) -> None:
    given = [[{"content": "be brief", "type": "system"}, {"content": "hi", "type": "human", "id": None}]]
    result = {
        "generations": [[{"text": "yo", "message": {"content": "yo", "type": "ai", "tool_calls": []}}]],
        "llm_output": {"model_name": "m"},
    }
    [row] = ingest(
        {"info": INFO, "data": {"spans": [span(CALL, None, "llm", "CHAT_MODEL", given, result)]}}
    ).interactions.to_dicts()
    assert [(m["role"], m["content"]) for m in row["input"]] == [("system", "be brief"), ("user", "hi")]
    assert [(m["role"], m["content"]) for m in row["output"]] == [("assistant", "yo")]


def test_half_a_trace_is_accounted_for_in_words(ingest: Ingest) -> None:
    source = Source("desk", format="mlflow")
    spans = [7, SPANS[0] | {"start_time_unix_nano": "soon"}]
    broken = {"info": INFO | {"assessments": ["good", {"assessment_name": "x"}]}, "data": {"spans": spans}}
    found = ingest(broken, {"info": 7, "data": {"spans": []}}, {"x": 1}, source=source)
    assert found.records == 6
    assert found.quarantine["reason"].to_list() == [
        "span 0 of the trace: a number, not an object",
        f"span 1 of the trace: start_time_unix_nano: {TIME}",
        "assessment 0: a text, not an object",
        "assessment 1: neither feedback nor an expectation",
        "info is a number, not an object",
        "neither a trace with info and data nor a row with spans",
    ]


def test_spans_that_mlflow_sent_as_otlp_are_read_as_well(ingest: Ingest) -> None:
    attributes = [{"key": name, "value": {"stringValue": text}} for name, text in SPANS[1]["attributes"].items()]  # type: ignore[attr-defined]
    sent = {"traceId": TRACE[3:], "spanId": CALL, "startTimeUnixNano": str(START), "attributes": attributes}
    [row] = ingest({"resourceSpans": [{"scopeSpans": [{"spans": [sent]}]}]}).interactions.to_dicts()
    assert (row["operation"], row["model"], row["n_input_tokens"]) == ("chat", "gpt-x", 12)
    assert row["output"][0]["tool_calls"][0]["name"] == "lookup"
