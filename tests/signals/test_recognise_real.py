"""Real files are known by their content: which format each folder of them is in."""

from pathlib import Path

import pytest

from clworkbench.errors import SourceError
from clworkbench.signals.recognise import FORMATS, detect

FOLDERS = {
    "abcd/abcd_sample.json": "datasets",
    "bfcl/**/*.json": "datasets",
    "ifeval/*.jsonl": "datasets",
    "iterater_r3/**/*.json": "datasets",
    "oasst_en100/*.jsonl": "datasets",
    "swe_agent_traj/*.traj": "trajectories",
    "tau_bench/*.json*": "tau",
    "tau2_finetune_runs/*.json": "tau",
    "tau2_finetune_runs/*/*.jsonl": "openai",
}
OF_OTHERS = (
    "langfuse_framework_traces",
    "langsmith_runs",
    "openinference_spans",
    "otlp_genai_traces",
    "tensorzero_fixtures",
)
MINE = frozenset({"argilla", "datasets", "datawizz", "litellm", "openai", "tau", "trajectories"})
WITHOUT_TURNS = (
    "abcd/guidelines.json",
    "abcd/kb.json",
    "abcd/ontology.json",
    "banking77/train.csv",
    "presidio_research",
)


@pytest.mark.parametrize(("pattern", "format_"), FOLDERS.items())
def test_real_files_are_known_by_their_content(shared_data: Path, pattern: str, format_: str) -> None:
    files = sorted(shared_data.glob(pattern))
    assert files
    assert {path.name: detect(path).format for path in files} == dict.fromkeys((path.name for path in files), format_)


@pytest.mark.parametrize("folder", OF_OTHERS)
def test_no_general_format_claims_what_is_anothers(shared_data: Path, folder: str) -> None:
    for path in sorted((shared_data / folder).glob("*.json*")):
        try:
            assert detect(path).format not in MINE, path.name
        except SourceError:
            continue


@pytest.mark.parametrize("name", WITHOUT_TURNS)
def test_texts_without_a_conversation_are_left_to_a_mapping(shared_data: Path, name: str) -> None:
    place = shared_data / name
    for path in sorted(place.glob("*.json")) if place.is_dir() else [place]:
        with pytest.raises(SourceError, match='format = "mapping"'):
            detect(path)


@pytest.mark.parametrize(
    "record",
    [
        {"id": "1", "text": "hi"},
        {"prompt": "hi", "reply": "yo", "who": "ann"},
        {"input": "hi", "output": "yo"},
        {"question": "hi", "answer": "yo", "score": 1},
        {"status": "ok", "responses": 3},
        {"score": 0.5, "improvement": "better"},
        {"trajectory": "north", "reward": 1},
    ],
)
def test_a_teams_own_table_is_claimed_by_none(record: dict[str, object]) -> None:
    assert [name for name, known in FORMATS.items() if known.why(dict(record))] == []


@pytest.mark.parametrize("key", ["input", "messages", "history", "conversations", "body", "prompt", "response"])
def test_a_text_that_nests_without_end_is_a_text(key: str) -> None:
    record = {key: "[" * 200_000 + "]" * 200_000, "output": 1, "reward": 1, "score": 1, "url": "/feedback/1"}
    for known in FORMATS.values():
        known.why(dict(record))
