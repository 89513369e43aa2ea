"""Real traces and gateway rows through the whole ingest, counted once more with plain JSON."""

import json
from pathlib import Path

from clworkbench.loop.signals.capture import ingest


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def test_real_otlp_traces_arrive_once_with_their_tokens_and_models(workspace, shared_data):
    folder = shared_data / "otlp_genai_traces"
    spans = [
        span
        for path in sorted(folder.glob("*.jsonl"))
        for line in lines(path)
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    report = ingest(workspace, [folder], "otlp")
    own = {(span["traceId"], span["spanId"]): {a["key"]: a["value"] for a in span["attributes"]} for span in spans}
    assert report.records == len(spans)
    assert report.new == workspace.counts()["interactions"] == len(own)
    kept = workspace.read("interactions")
    for row in kept.iter_rows(named=True):
        attributes = own[tuple(row["source_id"].split(":"))]
        assert row["n_output_tokens"] == int(attributes["gen_ai.usage.output_tokens"]["intValue"])
        assert row["model"] == attributes["gen_ai.request.model"]["stringValue"]
    assert ingest(workspace, [folder], "otlp").new == 0


def test_real_gateway_rows_join_their_feedback(workspace, shared_data):
    folder = shared_data / "tensorzero_fixtures"
    inferences = [row for name in ("chat", "json") for row in lines(folder / f"{name}_inference_examples.jsonl")]
    demonstrations = lines(folder / "demonstration_feedback_examples.jsonl")
    others = [
        row
        for kind in ("boolean_metric", "float_metric", "comment")
        for row in lines(folder / f"{kind}_feedback_examples.jsonl")
    ]
    ids = {row["id"] for row in inferences} | {row["episode_id"] for row in inferences}
    joined = [row for row in others if row["target_id"] in ids]
    joined += [row for row in demonstrations if row["inference_id"] in ids]
    report = ingest(workspace, [folder], "tensorzero")
    assert report.records == report.new == len(inferences) + len(demonstrations) + len(others)
    signals = workspace.signals()
    assert signals.height == len(inferences)
    assert signals["n_feedback"].sum() == len(joined)
    corrected = {row["inference_id"] for row in demonstrations if row["inference_id"] in ids}
    assert set(signals.filter(signals["improvement"].is_not_null())["source_id"]) == corrected
