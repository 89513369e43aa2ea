import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clworkbench.settings import Source
from tests.signals.test_any_shape import ODD, places, replaced
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]

GENERATION = {
    "id": "g1",
    "traceId": "t1",
    "type": "GENERATION",
    "name": "answer",
    "startTime": "2026-01-02T03:04:05.000Z",
    "endTime": "2026-01-02T03:04:06.500Z",
    "updatedAt": "2026-01-02T03:04:09.000Z",
    "parentObservationId": "s1",
    "level": "DEFAULT",
    "statusMessage": None,
    "input": '[{"role":"user","content":"hi"}]',
    "output": '"yo"',
    "model": "gpt-4o",
    "modelParameters": {"temperature": 0, "maxTokens": None},
    "latency": 1500,
    "usageDetails": {"input": 7, "output": 3, "total": 10, "input_cached_tokens": 2},
    "costDetails": {"input": 0.001, "output": 0.002, "total": 0.003},
    "totalCost": 0.003,
    "metadata": '{"attributes":{"gen_ai.system":"openai","gen_ai.response.model":"gpt-4o-2024"},"k":"v"}',
    "toolDefinitions": {},
}
SPAN = GENERATION | {
    **{"id": "s1", "type": "SPAN", "name": "desk", "parentObservationId": None, "input": "hi", "output": "yo"},
    **{"model": None, "modelParameters": None, "usageDetails": {}, "costDetails": {}, "totalCost": 0, "metadata": "{}"},
}
SCORE = {
    "id": "sc1",
    "traceId": "t1",
    "observationId": "g1",
    "name": "helpful",
    "value": 0.5,
    "dataType": "NUMERIC",
    "source": "ANNOTATION",
    "authorUserId": "ann",
    "comment": "fine",
    "timestamp": "2026-01-02T04:00:00.000Z",
    "metadata": "{}",
}
CORRECTION = SCORE | {
    **{"id": "co1", "name": "output", "dataType": "CORRECTION", "value": 0, "longStringValue": "better"},
    **{"observationId": None, "comment": None},
}
TRACE = {
    "id": "t1",
    "name": "desk",
    "timestamp": "2026-01-02T03:04:05.000Z",
    "userId": "bob",
    "sessionId": "chat-7",
    "release": "v3",
    "version": None,
    "environment": "prod",
    "tags": ["vip"],
    "public": True,
    "input": "hi",
    "output": "other",
    "metadata": '{"shop":"north"}',
    "latency": 1.5,
}


def page(*observations: object, scores: object = (), corrections: object = (), **trace: object) -> dict[str, object]:
    """A trace as Langfuse's page exports it: the trace's own observations lack inputs and outputs."""
    bare = [{**o, "input": None, "output": None} if isinstance(o, dict) else o for o in observations]
    held = {"scores": list(scores), "corrections": list(corrections), "observations": bare}  # type: ignore[call-overload]
    return {"trace": TRACE | held | trace, "observations": list(observations)}


def snake(record: Mapping[str, object]) -> dict[str, object]:
    """The record under the names of the exports."""
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): value for name, value in record.items()}


def test_a_generation_becomes_a_chat_with_what_its_trace_says(ingest: Ingest) -> None:
    whole = ingest(page(SPAN, GENERATION))
    assert (whole.records, len(whole.interactions), whole.fidelity) == (2, 2, [])
    row = whole.interactions.filter(pl.col("source_id") == "g1").to_dicts()[0]
    wanted = {
        "interaction_id": KEY.id("desk", "g1"),
        "trace_id": "t1",
        "parent_id": "s1",
        "conversation_id": "chat-7",
        "user_key": KEY.user("bob"),
        "app": "desk",
        "environment": "prod",
        "release_id": "v3",
        "operation": "chat",
        "started_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "updated_at": datetime(2026, 1, 2, 3, 4, 9, tzinfo=UTC),
        "latency_ms": 1500.0,
        "provider": "openai",
        "model": "gpt-4o",
        "model_version": "gpt-4o-2024",
        "parameters": '{"temperature":0}',
        "n_input_tokens": 7,
        "n_output_tokens": 3,
        "cost_usd": 0.003,
        "error": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(m["role"], m["content"]) for side in ("input", "output") for m in row[side]] == [
        ("user", "hi"),
        ("assistant", "yo"),
    ]
    kept = json.loads(row["attributes"])
    assert (kept["type"], kept["tags"], kept["metadata"]["k"]) == ("GENERATION", ["vip"], "v")
    assert kept["usageDetails"]["input_cached_tokens"] == 2


def test_what_only_the_trace_says_stays_with_its_root(ingest: Ingest) -> None:
    rows = ingest(page(SPAN, GENERATION)).interactions
    root = json.loads(rows.filter(pl.col("source_id") == "s1")["attributes"][0])
    assert root["trace"]["output"] == "other"
    assert "input" not in root["trace"]
    assert root["trace"]["metadata"] == {"shop": "north"}
    assert "trace" not in json.loads(rows.filter(pl.col("source_id") == "g1")["attributes"][0])


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("GENERATION", "chat"),
        ("EMBEDDING", "embeddings"),
        ("TOOL", "execute_tool"),
        ("AGENT", "invoke_agent"),
        ("RETRIEVER", "retrieval"),
        ("CHAIN", "invoke_workflow"),
        ("SPAN", "invoke_workflow"),
        ("EVENT", "invoke_workflow"),
        ("GUARDRAIL", "invoke_workflow"),
        ("EVALUATOR", "invoke_workflow"),
    ],
)
def test_each_type_has_its_operation_and_stays_in_the_attributes(ingest: Ingest, kind: str, operation: str) -> None:
    [row] = ingest(GENERATION | {"type": kind}).interactions.to_dicts()
    assert row["operation"] == operation
    assert json.loads(row["attributes"])["type"] == kind


def test_a_span_is_what_its_attributes_say_it_is(ingest: Ingest) -> None:
    attributes = [
        {"openinference.span.kind": "TOOL"},
        {"openinference.span.kind": "RETRIEVER"},
        {"gen_ai.operation.name": "invoke_agent"},
        {"ai.operationId": "ai.toolCall"},
    ]
    spans = [SPAN | {"id": str(at), "metadata": {"attributes": said}} for at, said in enumerate(attributes)]
    found = ingest(*spans).interactions["operation"].to_list()
    assert found == ["execute_tool", "retrieval", "invoke_agent", "execute_tool"]
    embedding = GENERATION | {"model": "text-embedding-3-small"}
    assert ingest(embedding).interactions["operation"].to_list() == ["embeddings"]


def test_a_tools_run_is_a_call_and_its_result(ingest: Ingest) -> None:
    tool = SPAN | {"type": "TOOL", "name": "weather", "input": '{"city":"Rome"}', "output": '{"t":21}'}
    [row] = ingest(tool).interactions.to_dicts()
    assert row["input"][0]["tool_calls"] == [{"id": None, "name": "weather", "arguments": '{"city":"Rome"}'}]
    assert (row["output"][0]["role"], row["output"][0]["content"]) == ("tool", '{"t":21}')


def test_latency_is_the_time_between_start_and_end_whatever_latency_says(ingest: Ingest) -> None:
    said = [GENERATION | {"id": str(latency), "latency": latency} for latency in (1.5, 1500, None)]
    assert ingest(*said).interactions["latency_ms"].to_list() == [1500.0, 1500.0, 1500.0]
    whole = ingest(GENERATION | {"endTime": None, "latency": 2.5})
    assert whole.interactions["latency_ms"].to_list() == [2500.0]
    assert [noted.kind for noted in whole.fidelity] == ["latency without an end, taken as seconds"]


def test_a_price_of_0_is_kept_and_noted_where_there_were_tokens_and_unknown_where_there_were_none(
    ingest: Ingest,
) -> None:
    free = GENERATION | {"costDetails": {}, "totalCost": 0}
    whole = ingest(free, SPAN, GENERATION | {"id": "g2", "costDetails": {}, "totalCost": None})
    assert whole.interactions["cost_usd"].to_list() == [0.0, None, None]
    assert [(noted.kind, noted.count) for noted in whole.fidelity] == [("a price of 0 where there were tokens", 1)]


def test_what_the_source_cut_or_lacks_is_noted(ingest: Ingest) -> None:
    cut = GENERATION | {"metadata": {"long": "x" * 200}, "input": None, "output": ""}
    failed = GENERATION | {"id": "g2", "output": None, "level": "ERROR", "statusMessage": "timeout"}
    whole = ingest(cut, failed)
    assert Counter(noted.kind for noted in whole.fidelity) == {
        "metadata of 200 characters, where Langfuse's API cuts it": 1,
        "input missing at the source": 1,
        "output missing at the source": 1,
    }
    assert whole.interactions["error"].to_list() == [None, "timeout"]


def test_observations_that_only_the_traces_own_list_has_are_read_and_noted(ingest: Ingest) -> None:
    record = page(SPAN, GENERATION)
    record["observations"] = [SPAN]
    whole = ingest(record)
    assert whole.interactions["source_id"].to_list() == ["s1", "g1"]
    assert "observation only in the trace's own list, which lacks inputs and outputs" in {
        noted.kind for noted in whole.fidelity
    }


def test_a_users_name_in_the_metadata_is_a_key_as_well(ingest: Ingest) -> None:
    metadata = {"langfuse_user_id": "bob", "userId": "bob", "attributes": {"langfuse.user.id": "bob"}}
    [row] = ingest(GENERATION | {"metadata": metadata}).interactions.to_dicts()
    assert row["user_key"] == KEY.user("bob")
    assert "bob" not in row["attributes"]


def test_a_generation_inside_another_is_a_row_and_noted(ingest: Ingest) -> None:
    whole = ingest(
        page(GENERATION | {"parentObservationId": None}, GENERATION | {"id": "g2", "parentObservationId": "g1"})
    )
    assert whole.interactions["operation"].to_list() == ["chat", "chat"]
    assert [noted.kind for noted in whole.fidelity] == ["generation inside another generation, each a row"]


def test_a_trace_of_the_api_is_read_with_the_observations_it_holds(ingest: Ingest) -> None:
    whole = ingest(TRACE | {"observations": [SPAN, GENERATION], "scores": [SCORE]})
    assert (len(whole.interactions), len(whole.feedback), whole.records) == (2, 1, 3)
    assert whole.interactions["user_key"].to_list() == [KEY.user("bob")] * 2


def test_a_trace_without_observations_is_a_workflow(ingest: Ingest) -> None:
    [row] = ingest(TRACE | {"observations": ["g1", "s1"], "scores": ["sc1"]}).interactions.to_dicts()
    wanted = {"source_id": "t1", "trace_id": "t1", "operation": "invoke_workflow", "conversation_id": "chat-7"}
    assert {name: row[name] for name in wanted} == wanted
    assert [(m["role"], m["content"]) for m in (*row["input"], *row["output"])] == [
        ("user", "hi"),
        ("assistant", "other"),
    ]
    assert json.loads(row["attributes"])["observations"] == ["g1", "s1"]


def test_a_score_is_about_an_observation_a_trace_or_a_session(ingest: Ingest) -> None:
    about: list[dict[str, object]] = [
        {"observationId": "g1", "traceId": "t1"},
        {"observationId": None, "traceId": "t1"},
        {"observationId": None, "traceId": None, "sessionId": "chat-7"},
    ]
    scores = [SCORE | {"id": str(at)} | target for at, target in enumerate(about)]
    found = ingest(*scores).feedback.select("target_kind", "target_id").rows()
    assert found == [("interaction", KEY.id("desk", "g1")), ("trace", "t1"), ("conversation", "chat-7")]


def test_a_score_of_the_third_api_names_its_subject(ingest: Ingest) -> None:
    base = {key: value for key, value in SCORE.items() if key not in ("traceId", "observationId")}
    scores = [
        base | {"id": kind, "subject": {"kind": kind, "id": "x"}}
        for kind in ("observation", "trace", "session", "experiment")
    ]
    whole = ingest({"data": scores, "meta": {"limit": 50}})
    assert whole.feedback["target_kind"].to_list() == ["interaction", "trace", "conversation"]
    assert whole.skipped == {"a score of an experiment's run, about no interaction": 1}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"dataType": "NUMERIC", "value": 0.5}, {"score": 0.5, "kind": "rating"}),
        ({"dataType": "NUMERIC", "value": 4}, {"score": None, "kind": "rating"}),
        ({"dataType": "BOOLEAN", "value": 1, "stringValue": "True"}, {"score": 1.0, "kind": "rating"}),
        ({"dataType": "BOOLEAN", "value": 0.0, "stringValue": "False"}, {"score": -1.0, "kind": "rating"}),
        ({"dataType": "CATEGORICAL", "value": 2, "stringValue": "rude"}, {"score": None, "kind": "rating"}),
        ({"dataType": "TEXT", "value": 0, "stringValue": "too long", "comment": None}, {"comment": "too long"}),
    ],
)
def test_each_type_of_score_keeps_its_value(ingest: Ingest, said: dict[str, object], wanted: dict[str, object]) -> None:
    [row] = ingest(SCORE | said).feedback.to_dicts()
    assert {name: row[name] for name in wanted} == wanted
    value = json.loads(row["value"]) if row["value"] else {}
    if said["dataType"] == "CATEGORICAL":
        assert (value["value"], value["category"]) == ("rude", 2)
    if said["value"] == 4:
        assert value["score"] == 4


def test_who_scored_is_the_origin_and_the_author_a_key(ingest: Ingest) -> None:
    scores = [SCORE | {"id": source, "source": source} for source in ("EVAL", "ANNOTATION", "API")]
    rows = ingest(*scores).feedback
    assert rows["origin"].to_list() == ["system", "reviewer", None]
    assert rows["explicit"].to_list() == [False, True, None]
    assert rows["actor_key"].to_list() == [KEY.user("ann")] * 3
    assert rows["at"].to_list() == [datetime(2026, 1, 2, 4, tzinfo=UTC)] * 3
    assert "ann" not in str(rows["value"].to_list()).replace("ANNOTATION", "")


def test_a_correction_is_the_better_answer_of_what_it_is_about(ingest: Ingest) -> None:
    whole = ingest(
        page(
            SPAN,
            GENERATION,
            scores=[SCORE],
            corrections=[CORRECTION, CORRECTION | {"id": "co2", "observationId": "g1"}],
        )
    )
    rows = whole.feedback.filter(pl.col("kind") == "correction").to_dicts()
    assert [(row["target_kind"], row["improvement"][0]["content"]) for row in rows] == [
        ("trace", "better"),
        ("interaction", "better"),
    ]
    assert rows[1]["target_id"] in whole.interactions["interaction_id"].to_list()
    assert (whole.records, rows[0]["score"], rows[0]["origin"]) == (5, None, "reviewer")


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ({"traceId": None, "observationId": None}, "a score that names no trace, observation or session"),
        ({"value": None}, "a score whose value is nothing"),
        ({"dataType": "CORRECTION", "value": 0}, "a correction without a text"),
        ({"dataType": "CATEGORICAL", "value": 1}, "a category without a name"),
        ({"timestamp": "yesterday"}, "at: a text written like"),
        ({"dataType": "BOOLEAN", "value": 7}, "where true or false is wanted"),
    ],
)
def test_a_score_that_says_nothing_usable_is_quarantined_with_the_reason(
    ingest: Ingest, score: dict[str, object], reason: str
) -> None:
    whole = ingest(SCORE | score, source=Source("desk", format="langfuse"))
    assert reason in whole.quarantine["reason"][0]


def test_a_bad_unit_does_not_take_the_others_with_it(ingest: Ingest) -> None:
    bad = GENERATION | {"id": "g9", "startTime": "soon"}
    whole = ingest(page(SPAN, bad, 5, GENERATION, scores=[SCORE, None]))
    assert (len(whole.interactions), len(whole.feedback), whole.records) == (2, 1, 6)
    assert sorted(whole.quarantine["reason"].to_list()) == [
        "observations[1]: startTime: a text written like 'aaaa', where an ISO 8601 or epoch time is wanted",
        "observations[2]: a number, not an object",
        "scores[1]: nothing, not an object",
    ]


def export(record: Mapping[str, object]) -> dict[str, object]:
    """An observation as the enriched export has it: trace fields on each row, times without a zone."""
    trace = {"userId": "bob", "sessionId": "chat-7", "traceName": "desk", "release": "v3", "environment": "prod"}
    row = snake({**record, **trace, "providedModelName": record["model"] or ""})
    del row["model"]
    row |= {"start_time": "2026-01-02 03:04:05.000000", "end_time": "2026-01-02 03:04:06.500000", "latency": 1.5}
    return row | {"updated_at": "2026-01-02 03:04:09.000000", "tags": ["vip"], "metadata": {"k": "v"}}


COMPARED = (
    *("interaction_id", "trace_id", "parent_id", "conversation_id", "user_key", "app", "environment", "release_id"),
    *("operation", "started_at", "updated_at", "latency_ms", "model", "input", "output", "cost_usd"),
    *("n_input_tokens", "n_output_tokens", "parameters"),
)


def test_the_files_of_an_export_read_like_the_page_in_each_file_type(ingest: Ingest, tmp_path: Path) -> None:
    wanted = ingest(page(SPAN, GENERATION)).interactions.select(COMPARED).to_dicts()
    rows = [export(SPAN), export(GENERATION)]
    assert ingest(*rows).interactions.select(COMPARED).to_dicts() == wanted

    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
    writer.writeheader()
    texts = [
        {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        for row in rows
    ]
    writer.writerows(texts)
    from_csv = tmp_path / "observations.csv"
    from_csv.write_text(file.getvalue())
    assert read_whole(from_csv, Source("desk")).interactions.select(COMPARED).to_dicts() == wanted

    maps = pa.map_(pa.string(), pa.float64())
    columns = {name: [row[name] for row in rows] for name in rows[0] if name not in ("usage_details", "cost_details")}
    columns["metadata"] = columns["model_parameters"] = None  # type: ignore[assignment]
    table = pa.table(
        {
            **{
                name: pa.array(values)
                for name, values in columns.items()
                if values is not None and name != "tool_definitions"
            },
            "model_parameters": pa.array([None, '{"temperature":0,"maxTokens":null}']),
            "start_time": pa.array([datetime(2026, 1, 2, 3, 4, 5)] * 2),
            "usage_details": pa.array([list(row["usage_details"].items()) for row in rows], maps),  # type: ignore[attr-defined]
            "cost_details": pa.array([list(row["cost_details"].items()) for row in rows], maps),  # type: ignore[attr-defined]
        }
    )
    from_parquet = tmp_path / "observations.parquet"
    pq.write_table(table, from_parquet)
    whole = read_whole(from_parquet, Source("desk"))
    assert whole.interactions.select(COMPARED).to_dicts() == wanted
    assert whole.fidelity == []


def test_scores_and_traces_of_an_export_are_told_by_their_columns(tmp_path: Path) -> None:
    score = snake(SCORE) | {"string_value": "", "dataset_run_id": "", "session_id": "", "value": "0.5"}
    trace = snake(TRACE) | {"tags": '["vip"]', "public": "true", "version": ""}
    for name, row in (("scores", score), ("traces", trace)):
        path = tmp_path / f"{name}.csv"
        path.write_text(
            ",".join(row) + "\n" + ",".join('"' + str(value).replace('"', '""') + '"' for value in row.values())
        )
        whole = read_whole(path, Source("desk"))
        assert (whole.records, len(whole.quarantine)) == (1, 0), name
        assert len(whole.feedback if name == "scores" else whole.interactions) == 1
    assert json.loads(whole.interactions["attributes"][0])["tags"] == ["vip"]


def test_what_is_not_langfuses_is_not_taken_for_it(ingest: Ingest) -> None:
    source = Source("desk", format="langfuse")
    whole = ingest({"messages": []}, {"trace": []}, {"trace": {}, "observations": 5}, source=source)
    assert whole.quarantine["reason"].to_list() == [
        "none of Langfuse's traces, observations and scores",
        "none of Langfuse's traces, observations and scores",
        "observations: a number, where a list is wanted",
    ]


RECORDS = [
    page(SPAN, GENERATION, scores=[SCORE], corrections=[CORRECTION]),
    GENERATION,
    SCORE,
    export(GENERATION),
    TRACE,
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_accounted_for(tmp_path: Path, data: st.DataObject) -> None:
    record: object = data.draw(st.sampled_from(RECORDS))
    for _ in range(data.draw(st.integers(1, 3))):
        record = replaced(record, data.draw(st.sampled_from(places(record))), data.draw(ODD))
    path = tmp_path / "odd.jsonl"
    path.write_text('{"question": "hi"}\n' + json.dumps(record) + "\n")
    whole = read_whole(path, Source("s", format="langfuse"))
    assert (
        whole.records == len(whole.interactions) + len(whole.feedback) + len(whole.quarantine) + whole.skipped.total()
    )
    assert not set(whole.interactions["record"]) & set(whole.feedback["record"])


@pytest.fixture(scope="module")
def exports(shared_data: Path) -> dict[str, tuple[dict[str, object], Whole]]:
    """The real traces as plain json reads them, and as the reader does."""
    paths = sorted((shared_data / "langfuse_framework_traces").glob("*.trace.json"))
    return {path.name: (json.loads(path.read_text()), read_whole(path, Source("l"))) for path in paths}


def test_every_unit_of_the_real_traces_is_read(exports: dict[str, tuple[dict[str, object], Whole]]) -> None:
    counts: Counter[str] = Counter()
    for name, (plain, whole) in exports.items():
        trace, observations = plain["trace"], plain["observations"]
        assert isinstance(trace, dict)
        assert isinstance(observations, list)
        feedback = len(trace["scores"]) + len(trace["corrections"])
        found = (len(whole.interactions), len(whole.feedback), len(whole.quarantine), whole.skipped.total())
        assert found == (len(observations), feedback, 0, 0), name
        assert whole.records == len(observations) + feedback
        counts += Counter(interactions=len(observations), feedback=feedback)
    assert counts == {"interactions": 41, "feedback": 15}


def test_the_real_traces_keep_their_trees_times_tokens_and_costs(
    exports: dict[str, tuple[dict[str, object], Whole]],
) -> None:
    for plain, whole in exports.values():
        observations = plain["observations"]
        assert isinstance(observations, list)
        rows = {row["source_id"]: row for row in whole.interactions.to_dicts()}
        for said in observations:
            row = rows[said["id"]]
            assert row["parent_id"] == said["parentObservationId"]
            ends = [datetime.fromisoformat(said[name]) for name in ("startTime", "endTime")]
            assert row["latency_ms"] == pytest.approx((ends[1] - ends[0]).total_seconds() * 1000)
            assert row["n_input_tokens"] == said["usageDetails"].get("input")
            assert row["n_output_tokens"] == said["usageDetails"].get("output")
            assert row["cost_usd"] == (said["totalCost"] if said["costDetails"] else None)
            assert row["model"] == said["model"]
        if plain["trace"]["userId"]:  # type: ignore[index]
            assert {row["user_key"] for row in rows.values()} == {KEY.user(plain["trace"]["userId"])}  # type: ignore[index]
            assert plain["trace"]["userId"] not in str(whole.interactions["attributes"].to_list())  # type: ignore[index]


def test_the_real_corrections_are_better_answers(exports: dict[str, tuple[dict[str, object], Whole]]) -> None:
    for plain, whole in exports.values():
        texts = [said["longStringValue"] for said in plain["trace"]["corrections"]]  # type: ignore[index]
        rows = whole.feedback.filter(pl.col("kind") == "correction")
        assert [better[0]["content"] for better in rows["improvement"].to_list()] == texts
        values = [said["value"] for said in plain["trace"]["scores"]]  # type: ignore[index]
        assert whole.feedback.filter(pl.col("kind") == "rating")["score"].to_list() == values
