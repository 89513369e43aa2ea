import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clworkbench.errors import SourceError
from clworkbench.settings import Source
from tests.signals.test_any_shape import ODD, places, replaced
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]

ROOT, CHILD = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
RUN = {
    "id": CHILD,
    "name": "ChatOpenAI",
    "run_type": "llm",
    "start_time": "2026-01-02T03:04:05.000000",
    "end_time": "2026-01-02T03:04:06.500000",
    "trace_id": ROOT,
    "parent_run_id": ROOT,
    "dotted_order": f"20260102T030404000000Z{ROOT}.20260102T030405000000Z{CHILD}",
    "session_id": "project-1",
    "session_name": "desk",
    "status": "success",
    "extra": {
        "metadata": {
            "ls_provider": "openai",
            "ls_model_name": "gpt-4o",
            "thread_id": "chat-7",
            "user_id": "bob",
            "revision_id": "v3",
        },
        "invocation_params": {"temperature": 0, "tools": [{"type": "function", "function": {"name": "f"}}]},
    },
    "inputs": {"messages": [[{"type": "human", "content": "hi"}]]},
    "outputs": {
        "generations": [[{"text": "yo", "generation_info": {"finish_reason": "stop"}}]],
        "llm_output": {"model_name": "gpt-4o-2024", "token_usage": {"prompt_tokens": 9, "completion_tokens": 9}},
    },
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_cost": "0.003",
    "feedback_stats": {"helpful": {"n": 1, "avg": 1.0}},
    "tags": ["vip"],
}
CHAIN = {
    **{"id": ROOT, "name": "desk", "run_type": "chain", "start_time": "2026-01-02T03:04:04Z", "trace_id": ROOT},
    **{"end_time": "2026-01-02T03:04:07Z", "inputs": {"input": "hi"}, "outputs": {"output": "yo"}},
}
FEEDBACK = {
    "id": "f1",
    "run_id": CHILD,
    "key": "helpful",
    "score": 1,
    "value": None,
    "comment": "fine",
    "correction": None,
    "created_at": "2026-01-02T04:00:00",
    "modified_at": "2026-01-02T04:00:00",
    "feedback_source": {"type": "app", "user_id": "ann", "metadata": None},
    "session_id": "project-1",
}


def test_a_models_run_becomes_a_chat(ingest: Ingest) -> None:
    whole = ingest(RUN)
    [row] = whole.interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", CHILD),
        "source_id": CHILD,
        "trace_id": ROOT,
        "parent_id": ROOT,
        "conversation_id": "chat-7",
        "user_key": KEY.user("bob"),
        "app": "desk",
        "release_id": "v3",
        "operation": "chat",
        "started_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "latency_ms": 1500.0,
        "provider": "openai",
        "model": "gpt-4o",
        "model_version": "gpt-4o-2024",
        "tools": '[{"type":"function","function":{"name":"f"}}]',
        "parameters": '{"temperature":0}',
        "n_input_tokens": 7,
        "n_output_tokens": 3,
        "cost_usd": 0.003,
        "finish_reason": "stop",
        "error": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(m["role"], m["content"]) for m in (*row["input"], *row["output"])] == [("user", "hi"), ("assistant", "yo")]
    kept = json.loads(row["attributes"])
    assert kept["feedback_stats"] == RUN["feedback_stats"]
    assert kept["extra"]["metadata"]["user_id"] == KEY.user("bob")
    assert (kept["run_type"], kept["session_id"], kept["tags"]) == ("llm", "project-1", ["vip"])
    assert whole.fidelity == []


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("llm", "chat"),
        ("chain", "invoke_workflow"),
        ("tool", "execute_tool"),
        ("retriever", "retrieval"),
        ("embedding", "embeddings"),
        ("prompt", "invoke_workflow"),
        ("parser", "invoke_workflow"),
    ],
)
def test_each_type_of_run_has_its_operation(ingest: Ingest, kind: str, operation: str) -> None:
    assert ingest(RUN | {"run_type": kind}).interactions["operation"].to_list() == [operation]


@pytest.mark.parametrize(
    "wrap", [lambda runs: {"runs": runs}, lambda runs: {"data": runs}, lambda runs: {"post": runs}]
)
def test_a_page_of_runs_is_read_run_by_run(ingest: Ingest, wrap: Callable[[object], object]) -> None:
    whole = ingest(wrap([CHAIN, RUN]))
    assert (whole.records, whole.interactions["source_id"].to_list()) == (2, [ROOT, CHILD])
    assert whole.interactions["parent_id"].to_list() == [None, ROOT]


def test_a_list_and_a_pretty_printed_document_are_read(tmp_path: Path) -> None:
    for name, value in (("list.json", [CHAIN, RUN]), ("page.json", {"runs": [CHAIN, RUN]})):
        path = tmp_path / name
        path.write_text(json.dumps(value, indent=2))
        assert len(read_whole(path, Source("desk")).interactions) == 2


def test_an_update_is_joined_to_the_run_that_its_batch_creates(ingest: Ingest) -> None:
    post = {key: value for key, value in RUN.items() if key not in ("end_time", "outputs")} | {"outputs": {}}
    update = {"end_time": RUN["end_time"], "outputs": RUN["outputs"], "dotted_order": RUN["dotted_order"], "inputs": {}}
    whole = ingest({"post": [CHAIN, post], "patch": [update]})
    wanted = ingest(RUN).interactions.drop("record", "raw_sha256", "attributes").to_dicts()
    found = whole.interactions.filter(pl.col("source_id") == CHILD).drop("record", "raw_sha256", "attributes")
    assert (whole.records, found.to_dicts()) == (2, wanted)
    assert whole.fidelity == []


def test_an_update_that_stands_alone_is_a_row_of_what_it_says_and_is_noted(ingest: Ingest) -> None:
    update = {"id": CHILD, "trace_id": ROOT, "dotted_order": RUN["dotted_order"], "outputs": RUN["outputs"]}
    whole = ingest({"patch": [update]})
    [row] = whole.interactions.to_dicts()
    assert (row["interaction_id"], row["input"]) == (KEY.id("desk", CHILD), None)
    assert "update of a run that the batch does not create" in {noted.kind for noted in whole.fidelity}


def test_runs_below_a_run_and_feedback_in_it_are_units_of_their_own(ingest: Ingest) -> None:
    said = {key: value for key, value in FEEDBACK.items() if key != "run_id"}
    tree = CHAIN | {"child_runs": [RUN | {"child_runs": [], "feedback": [said]}]}
    whole = ingest(tree)
    assert (whole.records, len(whole.interactions), len(whole.feedback)) == (3, 2, 1)
    assert whole.feedback["target_id"].to_list() == [KEY.id("desk", CHILD)]


def test_a_run_without_its_own_id_or_parent_is_known_by_its_order(ingest: Ingest) -> None:
    bare = {key: value for key, value in RUN.items() if key not in ("id", "trace_id", "parent_run_id")}
    [row] = ingest(bare).interactions.to_dicts()
    assert (row["source_id"], row["trace_id"], row["parent_id"]) == (CHILD, ROOT, ROOT)


@pytest.mark.parametrize(
    ("outputs", "tokens"),
    [
        ({"choices": [], "usage_metadata": {"input_tokens": 1, "output_tokens": 2}}, (1, 2)),
        ({"usage": {"prompt_tokens": 1, "completion_tokens": 2}, "choices": [{"message": {"content": "x"}}]}, (1, 2)),
        ({"role": "assistant", "content": "x", "usage": {"input_tokens": 1, "output_tokens": 2}}, (1, 2)),
        ({"generations": [[{"text": "x"}]], "llm_output": {"token_usage": {"prompt_tokens": 1}}}, (1, None)),
        ({"choices": [{"message": {"content": "x"}}], "usage_metadata": None}, (None, None)),
    ],
)
def test_tokens_are_found_where_each_client_writes_them(
    ingest: Ingest, outputs: dict[str, object], tokens: tuple[int | None, int | None]
) -> None:
    [row] = ingest(RUN | {"outputs": outputs, "prompt_tokens": None, "completion_tokens": None}).interactions.to_dicts()
    assert (row["n_input_tokens"], row["n_output_tokens"]) == tokens


def test_a_tools_run_and_a_retrievers_are_read_as_such(ingest: Ingest) -> None:
    message = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "ToolMessage"],
        "kwargs": {"content": "21", "tool_call_id": "c1", "name": "weather", "status": "success"},
    }
    tool = RUN | {
        "run_type": "tool",
        "name": "weather",
        "inputs": {"input": "{'city': 'Rome'}"},
        "outputs": {"output": message},
    }
    found = RUN | {
        **{"id": "r", "run_type": "retriever", "inputs": {"query": "Rome"}},
        "outputs": {"documents": [{"page_content": "Rome is warm", "metadata": {}, "type": "Document"}]},
    }
    first, second = ingest(tool, found).interactions.to_dicts()
    assert first["input"][0]["tool_calls"] == [{"id": None, "name": "weather", "arguments": "{'city': 'Rome'}"}]
    assert (first["output"][0]["role"], first["output"][0]["tool_call_id"]) == ("tool", "c1")
    assert "Rome is warm" in second["output"][0]["content"]


def test_errors_missing_sides_and_free_prices_are_said(ingest: Ingest) -> None:
    failed = RUN | {"error": "RateLimitError()", "status": "error", "outputs": None}
    away = RUN | {"id": "2", "inputs": {}, "inputs_s3_urls": {"ROOT": "s3://x"}, "total_cost": 0}
    silent = RUN | {"id": "3", "outputs": {}}
    whole = ingest(failed, away, silent)
    assert whole.interactions["error"].to_list() == ["RateLimitError()", None, None]
    assert whole.interactions["cost_usd"].to_list() == [0.003, 0.0, 0.003]
    assert {noted.kind: noted.count for noted in whole.fidelity} == {
        "inputs that the source keeps elsewhere (inputs_s3_urls)": 1,
        "a price of 0 where there were tokens": 1,
        "input missing at the source": 1,
        "output missing at the source": 1,
    }


def test_feedback_is_about_a_run_a_trace_or_a_thread(ingest: Ingest) -> None:
    about = [{}, {"run_id": None, "trace_id": ROOT}, {"run_id": None, "feedback_thread_id": "chat-7", "trace_id": None}]
    whole = ingest(*(FEEDBACK | {"id": str(at)} | target for at, target in enumerate(about)))
    assert whole.feedback.select("target_kind", "target_id").rows() == [
        ("interaction", KEY.id("desk", CHILD)),
        ("trace", ROOT),
        ("conversation", "chat-7"),
    ]
    row = whole.feedback.to_dicts()[0]
    assert (row["name"], row["score"], row["comment"], row["kind"]) == ("helpful", 1.0, "fine", "rating")
    assert (row["origin"], row["actor_key"], row["explicit"]) == ("reviewer", KEY.user("ann"), True)
    assert row["at"] == datetime(2026, 1, 2, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ({"type": "app"}, "reviewer"),
        ({"type": "model"}, "system"),
        ({"type": "auto_eval"}, "system"),
        ({"type": "api"}, None),
        ({"type": "api", "metadata": {"__run": {"run_id": "e"}}}, "system"),
        (None, None),
    ],
)
def test_who_gave_feedback_is_its_origin(ingest: Ingest, source: object, origin: str | None) -> None:
    assert ingest(FEEDBACK | {"feedback_source": source}).feedback["origin"].to_list() == [origin]


@pytest.mark.parametrize(
    ("correction", "better"),
    [
        ("better", "better"),
        ({"answer": "better"}, "better"),
        ({"role": "assistant", "content": "better"}, "better"),
        ({"messages": [{"role": "assistant", "content": "better"}]}, "better"),
        ('{"output": "better"}', "better"),
        ({"score": 0}, None),
        ({"value": "no", "comment": "why"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_correction_is_the_better_answer_but_where_it_corrects_a_grade(
    ingest: Ingest, correction: object, better: str | None
) -> None:
    [row] = ingest(FEEDBACK | {"correction": correction}).feedback.to_dicts()
    assert (row["improvement"] and row["improvement"][0]["content"]) == better
    assert row["kind"] == ("correction" if better else "rating")
    if correction and better is None:
        assert json.loads(row["value"])["correction"] == correction


def test_feedback_of_a_group_is_a_preference(ingest: Ingest) -> None:
    one = FEEDBACK | {"feedback_group_id": "g", "comparative_experiment_id": "e"}
    rows = ingest(one, one | {"id": "f2", "run_id": ROOT, "score": 0}).feedback
    assert rows["kind"].to_list() == ["preference", "preference"]
    assert [json.loads(value)["feedback_group_id"] for value in rows["value"]] == ["g", "g"]
    assert rows["score"].to_list() == [1.0, 0.0]


def test_feedback_about_no_run_is_skipped_or_quarantined(ingest: Ingest) -> None:
    whole = ingest(FEEDBACK, FEEDBACK | {"run_id": None}, FEEDBACK | {"run_id": None, "session_id": None})
    assert whole.skipped == {"feedback on a project, about no interaction": 1}
    assert whole.quarantine["reason"].to_list() == ["feedback that names no run, trace or thread"]


TABLE = {
    **{"trace_id": ROOT, "run_id": CHILD, "parent_run_id": ROOT, "model": "gpt-4o", "provider": "openai"},
    **{"input_messages": '[{"role":"user","content":"hi"}]', "output_message": '{"role":"assistant","content":"yo"}'},
    **{"temperature": "0.5", "finish_reason": "stop", "status": "success", "error": "", "latency_ms": "1500"},
    **{"total_tokens": "10", "prompt_tokens": "7", "completion_tokens": "3", "prompt_cost": "0.001"},
    **{"total_cost": "0.003", "completion_cost": "0.002", "start_time": "2026-01-02T03:04:05Z"},
    **{"end_time": "2026-01-02T03:04:06.5Z", "tags": "vip"},
}


def test_a_table_of_21_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(TABLE))
        writer.writeheader()
        writer.writerow(TABLE)
    assert len(TABLE) == 21
    [row] = read_whole(path, Source("desk")).interactions.to_dicts()
    wanted = {
        **{"source_id": CHILD, "parent_id": ROOT, "operation": "chat", "provider": "openai", "model": "gpt-4o"},
        **{"parameters": '{"temperature":0.5}', "n_input_tokens": 7, "n_output_tokens": 3, "cost_usd": 0.003},
        **{"latency_ms": 1500.0, "finish_reason": "stop", "error": None},
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(m["role"], m["content"]) for m in (*row["input"], *row["output"])] == [("user", "hi"), ("assistant", "yo")]


def test_a_bulk_export_in_parquet_reads_like_the_runs(ingest: Ingest, tmp_path: Path) -> None:
    texts = [
        {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in run.items()}
        for run in (CHAIN, RUN)
    ]
    frame = pl.DataFrame(texts, infer_schema_length=None).with_columns(
        pl.col("start_time", "end_time").str.strip_suffix("Z").str.to_datetime(time_unit="us")
    )
    path = tmp_path / "runs.parquet"
    frame.write_parquet(path)
    columns = ("source_id", "operation", "started_at", "latency_ms", "input", "output", "model", "cost_usd", "tools")
    wanted = ingest(CHAIN, RUN).interactions.select(columns).to_dicts()
    assert read_whole(path, Source("desk")).interactions.select(columns).to_dicts() == wanted


def test_what_is_not_langsmiths_is_refused_in_words(ingest: Ingest) -> None:
    source = Source("desk", format="langsmith")
    whole = ingest({"messages": []}, {"runs": 5}, {"post": 5}, {"runs": [5, RUN]}, {"runs": []}, source=source)
    assert whole.quarantine["reason"].to_list() == [
        "neither a LangSmith run nor feedback, nor a list of either",
        "neither a LangSmith run nor feedback, nor a list of either",
        "a number, where a list of runs is wanted",
        "record 0: a number, not an object",
    ]
    assert (len(whole.interactions), whole.skipped) == (1, {"a page without records": 1})


RECORDS = [
    {"post": [CHAIN, RUN], "patch": [{"id": ROOT, "outputs": {"output": "yo"}}]},
    CHAIN | {"child_runs": [RUN], "feedback": [FEEDBACK]},
    RUN,
    FEEDBACK | {"correction": {"answer": "better"}},
    {"runs": [RUN]},
    TABLE,
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_accounted_for(tmp_path: Path, data: st.DataObject) -> None:
    record: object = data.draw(st.sampled_from(RECORDS))
    for _ in range(data.draw(st.integers(1, 3))):
        record = replaced(record, data.draw(st.sampled_from(places(record))), data.draw(ODD))
    path = tmp_path / "odd.jsonl"
    path.write_text('{"question": "hi"}\n' + json.dumps(record) + "\n")
    whole = read_whole(path, Source("s", format="langsmith"))
    assert (
        whole.records == len(whole.interactions) + len(whole.feedback) + len(whole.quarantine) + whole.skipped.total()
    )
    assert not set(whole.interactions["record"]) & set(whole.feedback["record"])


def test_the_real_batches_are_read_as_plain_json_joins_them(shared_data: Path) -> None:
    paths = sorted((shared_data / "langsmith_runs").glob("*.json"))
    assert len(paths) == 4
    for path in paths:
        batch = json.loads(path.read_text())
        posts = {run["id"]: run for run in batch["post"]}
        patches = {(run.get("id") or run["dotted_order"][-36:]): run for run in batch["patch"]}
        assert posts.keys() == patches.keys()
        whole = read_whole(path, Source("ls"))
        assert (whole.records, len(whole.interactions), len(whole.quarantine)) == (len(posts), len(posts), 0)
        for row in whole.interactions.to_dicts():
            post, patch = posts[row["source_id"]], patches[row["source_id"]]
            assert row["trace_id"] == post["trace_id"]
            assert row["model"] == post["extra"]["metadata"]["ls_model_name"]
            assert row["model_version"] == patch["outputs"]["model"]
            assert [m["content"] for m in row["input"]] == [m["content"] for m in post["inputs"]["messages"]]
            assert row["output"][0]["content"] == patch["outputs"]["choices"][0]["message"]["content"]
            usage = patch["outputs"]["usage_metadata"] or {}
            assert (row["n_input_tokens"], row["n_output_tokens"]) == (
                usage.get("input_tokens"),
                usage.get("output_tokens"),
            )
            assert row["finish_reason"] == "stop"
            kept = json.loads(row["attributes"])
            assert len(kept.get("events") or []) == len(patch.get("events") or [])


def test_a_log_of_a_clients_own_calls_is_no_langsmith_file(shared_data: Path) -> None:
    with pytest.raises(SourceError, match="JSON"):
        read_whole(shared_data / "langsmith_runs" / "anthropic_managed_custom_tools.jsonl", Source("ls"))
