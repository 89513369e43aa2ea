import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
T0 = Source("t0", format="tensorzero")
INFERENCE = {
    "id": "018cc251-f400-7000-8000-000000000001",
    "function_name": "answer",
    "variant_name": "openai::gpt-4o-mini",
    "episode_id": "018cc251-f400-7000-8000-00000000000e",
    "input": json.dumps(
        {"system": {"topic": "x"}, "messages": [{"role": "user", "content": [{"type": "text", "value": "hi"}]}]}
    ),
    "output": '[{"type":"text","text":"hello"}]',
    "processing_time_ms": 120,
    "inference_params": '{"chat_completion":{"temperature":0.5}}',
    "tags": '{"user_id":"ann","k":"v"}',
}


def test_an_inference_row_becomes_an_interaction(ingest: Ingest) -> None:
    [row] = ingest(INFERENCE).interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", "018cc251-f400-7000-8000-000000000001"),
        "conversation_id": "018cc251-f400-7000-8000-00000000000e",
        "user_key": KEY.user("ann"),
        "app": "answer",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "model_version": "openai::gpt-4o-mini",
        "latency_ms": 120.0,
        # 0x018cc251f400 is 1704067200000 ms.
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "parameters": '{"chat_completion":{"temperature":0.5}}',
        "attributes": json.dumps({"tags": {"user_id": KEY.user("ann"), "k": "v"}}, separators=(",", ":")),
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(m["role"], m["content"]) for m in row["input"]] == [("system", '{"topic":"x"}'), ("user", "hi")]


def test_a_json_answer_is_its_raw_text(ingest: Ingest) -> None:
    output = json.dumps({"raw": '{ "a": 1}', "parsed": {"a": 1}})
    [row] = ingest(INFERENCE | {"output": output}).interactions.to_dicts()
    assert row["output"][0]["content"] == '{ "a": 1}'


def test_two_metrics_under_one_id_are_two_rows(ingest: Ingest) -> None:
    one = {"id": "f", "target_id": "t", "metric_name": "solved", "value": False}
    whole = ingest(one, one | {"metric_name": "rating", "value": 0.3}, one | {"metric_name": "turns", "value": 7})
    assert whole.feedback["feedback_id"].n_unique() == 3
    assert whole.feedback["score"].to_list() == [-1.0, 0.3, None]
    assert whole.feedback["value"].to_list() == [None, None, "7"]
    assert whole.feedback["kind"].to_list() == ["outcome", "rating", "rating"]
    assert set(whole.feedback["target_kind"]) == {"any"}
    assert [noted.count for noted in whole.fidelity] == [1]


def test_a_demonstration_is_a_correction_of_its_inference(ingest: Ingest) -> None:
    said = {"id": "d", "inference_id": INFERENCE["id"], "value": '[{"type":"text","text":"better"}]'}
    whole = ingest(INFERENCE, said)
    [row] = whole.feedback.to_dicts()
    assert row["target_id"] == whole.interactions["interaction_id"][0]
    assert (row["kind"], row["target_kind"]) == ("correction", "interaction")
    assert (row["improvement"][0]["role"], row["improvement"][0]["content"]) == ("assistant", "better")


def test_a_comment_on_an_episode_is_about_a_conversation(ingest: Ingest) -> None:
    [row] = ingest({"id": "c", "target_id": "e", "target_type": "episode", "value": "slow"}).feedback.to_dicts()
    assert (row["target_kind"], row["target_id"], row["comment"]) == ("conversation", "e", "slow")


def test_rows_of_other_tables_are_skipped_with_a_reason(ingest: Ingest) -> None:
    whole = ingest({"dataset_name": "d", "function_name": "f"}, {"inference_id": "i", "raw_response": "{}"}, source=T0)
    assert whole.skipped == {"a datapoint, no inference": 1, "a provider's call inside an inference": 1}


@pytest.fixture(scope="module")
def fixtures(shared_data: Path) -> dict[str, list[dict[str, object]]]:
    """The files' rows, read with plain json."""
    return {
        path.name.removesuffix("_examples.jsonl"): [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted((shared_data / "tensorzero_fixtures").glob("*.jsonl"))
    }


@pytest.fixture(scope="module")
def wholes(shared_data: Path) -> dict[str, Whole]:
    return {
        path.name.removesuffix("_examples.jsonl"): read_whole(path, Source("t0"))
        for path in sorted((shared_data / "tensorzero_fixtures").glob("*.jsonl"))
    }


def test_every_row_of_the_real_files_is_read(
    fixtures: dict[str, list[dict[str, object]]], wholes: dict[str, Whole]
) -> None:
    for name, records in fixtures.items():
        whole = wholes[name]
        rows = whole.interactions if "inference" in name else whole.feedback
        assert (whole.records, len(rows), len(whole.quarantine)) == (len(records), len(records), 0), name
        assert not whole.skipped


def test_real_inferences_keep_ids_episodes_functions_and_answers(
    fixtures: dict[str, list[dict[str, object]]], wholes: dict[str, Whole]
) -> None:
    for name in ("chat_inference", "json_inference"):
        rows = wholes[name].interactions
        records = fixtures[name]
        assert rows["source_id"].to_list() == [record["id"] for record in records]
        assert rows["conversation_id"].to_list() == [record["episode_id"] for record in records]
        assert Counter(rows["app"]) == Counter(record["function_name"] for record in records)
        assert rows["latency_ms"].sum() == sum(float(str(record["processing_time_ms"])) for record in records)
        said = [json.loads(str(record["output"])) for record in records]
        wanted = [
            output["raw"] if isinstance(output, dict) else "".join(part.get("text", "") for part in output)
            for output in said
        ]
        assert [row[0]["content"] or "" for row in rows["output"].to_list()] == wanted
        turns = [json.loads(str(record["input"])) for record in records]
        assert rows["input"].list.len().sum() == sum(len(turn["messages"]) + ("system" in turn) for turn in turns)


def test_real_feedback_joins_an_inference_or_an_episode_as_plain_json_joins_it(
    fixtures: dict[str, list[dict[str, object]]], wholes: dict[str, Whole]
) -> None:
    inferences = [record for name in ("chat_inference", "json_inference") for record in fixtures[name]]
    known = {record["id"] for record in inferences} | {record["episode_id"] for record in inferences}
    feedback_files = [name for name in fixtures if "feedback" in name]
    targets = [row.get("target_id") or row["inference_id"] for name in feedback_files for row in fixtures[name]]
    orphans = sum(target not in known for target in targets)

    rows = pl.concat([wholes[name].interactions for name in ("chat_inference", "json_inference")])
    feedback = pl.concat([wholes[name].feedback for name in feedback_files])
    of_interaction = pl.col("target_id").is_in(rows["interaction_id"].to_list())
    of_own_id = pl.col("target_id").is_in(rows["source_id"].to_list())
    of_conversation = pl.col("target_id").is_in(rows["conversation_id"].to_list())
    joined = feedback.filter(
        pl.when(pl.col("target_kind") == "interaction")
        .then(of_interaction)
        .when(pl.col("target_kind") == "conversation")
        .then(of_conversation)
        .otherwise(of_own_id | of_conversation)
    )
    assert orphans == 1
    assert len(feedback) - len(joined) == orphans
    assert feedback["feedback_id"].n_unique() == len(feedback)


def test_real_metrics_keep_their_values(fixtures: dict[str, list[dict[str, object]]], wholes: dict[str, Whole]) -> None:
    floats = [float(str(row["value"])) for row in fixtures["float_metric_feedback"]]
    rows = wholes["float_metric_feedback"].feedback
    read = rows.select(pl.coalesce("score", pl.col("value").cast(pl.Float64)))["score"].to_list()
    assert read == floats
    true = sum(row["value"] is True for row in fixtures["boolean_metric_feedback"])
    assert (wholes["boolean_metric_feedback"].feedback["score"] == 1.0).sum() == true
