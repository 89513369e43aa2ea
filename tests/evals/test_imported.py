"""Scores of other harnesses: each form read as it is written, with what could not be read named."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from clworkbench.errors import EvidenceError, SourceError
from clworkbench.evals.imported import read_scores


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def simulation(task: str, reward: object, **more: object) -> dict[str, object]:
    said = [
        {"role": "assistant", "content": "hello", "usage": {"completion_tokens": 7, "prompt_tokens": 20}},
        {"role": "user", "content": "hi", "usage": {"completion_tokens": 90, "prompt_tokens": 1}},
        {"role": "assistant", "content": "bye", "usage": {"completion_tokens": 5, "prompt_tokens": 30}},
    ]
    full = {"task_id": task, "trial": 0, "termination_reason": "user_stop", "agent_cost": 0.02, "messages": said}
    return full | {"reward_info": {"reward": reward}} | more


def tau2_file(path: Path, simulations: list[object]) -> Path:
    info = {"agent_info": {"llm": "small"}, "environment_info": {"domain_name": "retail"}}
    path.write_text(json.dumps({"info": info, "tasks": [], "simulations": simulations}))
    return path


def test_tau2_gives_a_reward_for_each_task_and_trial_with_the_agents_own_tokens(tmp_path: Path):
    runs = [simulation("1", 1.0), simulation("1", 0.0, trial=1), simulation("2", None, termination_reason="max_steps")]
    found = read_scores(tau2_file(tmp_path / "r.json", [*runs, {"trial": 3}, "rubbish"]))
    assert (found.model, found.suite) == ("small", "tau2-retail")
    rows = found.rows.select(
        "example_id", "repetition", "scorer", "score", "termination", "n_output_tokens", "cost_usd"
    )
    assert rows.rows() == [
        ("1", 0, "reward", 1.0, "user_stop", 12, 0.02),
        ("1", 1, "reward", 0.0, "user_stop", 12, 0.02),
        ("2", 0, "reward", None, "max_steps", 12, 0.02),
    ]
    assert found.left_out.rows() == [("simulations[3]", "no task_id"), ("simulations[4]", "no task_id")]


def test_the_real_runs_of_tau2_have_the_rewards_that_their_source_states(shared_data: Path):
    folder = shared_data / "tau2_finetune_runs"
    means = {}
    for file in sorted(folder.glob("*trials.json")):
        found = read_scores(file)
        assert found.rows.height == 40
        means[found.model, found.suite] = found.rows["score"].mean()
    tuned = "ft:gpt-4.1-2025-04-14:sierra:tau2-full-sft:BzrYdMNm"
    assert means == pytest.approx(
        {
            ("gpt-4.1", "tau2-retail"): 0.85, (tuned, "tau2-retail"): 0.85,
            ("gpt-4.1", "tau2-telecom"): 0.5, (tuned, "tau2-telecom"): 0.85,
        }
    )  # fmt: skip


def sample(name: str, scores: object, **more: object) -> dict[str, object]:
    usage = {"m": {"input_tokens": 11, "output_tokens": 3}}
    output = {"completion": "42", "choices": [{"stop_reason": "stop"}]}
    return {"id": name, "epoch": 1, "scores": scores, "output": output, "model_usage": usage} | more


LOG: dict[str, Any] = {
    "version": 2,
    "status": "success",
    "eval": {"task": "sums", "model": "openai/gpt-x"},
    "samples": [
        sample("a", {"match": {"value": "C"}, "judge": {"value": {"tone": 3, "fit": True}}}, metadata={"lang": "en"}),
        sample("a", {"match": {"value": "P"}}, epoch=2, metadata={"lang": "en"}),
        sample("b", {"match": {"value": "I"}}, limit={"type": "token"}, metadata={"lang": "de"}),
        sample("c", {}, error={"message": "refused"}, metadata={"lang": "de"}),
        sample("d", {"match": {"value": "hmm"}}, metadata={"lang": "de"}),
        {"epoch": 1},
    ],
}


def packed(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("header.json", json.dumps({key: value for key, value in LOG.items() if key != "samples"}))
        for at, each in enumerate(LOG["samples"]):
            file.writestr(f"samples/{at}_epoch_1.json", json.dumps(each))
        file.writestr("summaries.json", "[]")
    return path


def test_a_log_of_inspect_gives_each_scorers_values_packed_or_not(tmp_path: Path):
    (tmp_path / "log.json").write_text(json.dumps(LOG))
    found, same = read_scores(tmp_path / "log.json"), read_scores(packed(tmp_path / "log.eval"))
    assert found.rows.equals(same.rows)
    assert (found.model, found.suite) == ("openai/gpt-x", "sums")
    rows = found.rows.sort("example_id", "scorer", "repetition")
    assert rows.select("example_id", "scorer", "repetition", "score", "termination").rows() == [
        ("a", "judge.fit", 0, 1.0, "stop"),
        ("a", "judge.tone", 0, 3.0, "stop"),
        ("a", "match", 0, 1.0, "stop"),
        ("a", "match", 1, 0.5, "stop"),
        ("b", "match", 0, 0.0, "limit:token"),
        ("c", "judge.fit", 0, None, "error"),
        ("c", "judge.tone", 0, None, "error"),
        ("c", "match", 0, None, "error"),
        ("d", "match", 0, None, "stop"),
    ]
    assert set(rows.filter(example_id="b")["slices"].explode()) == {"lang=de"}
    assert rows.filter(example_id="d")["error"].item() == "the scorer gave no number"
    assert found.left_out.rows() == [("samples[5]", "no id")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK no zip", "cannot be unpacked"),
        (b"", "cannot be unpacked"),
    ],
    ids=["rubbish", "empty"],
)
def test_a_packed_log_that_is_damaged_says_so(tmp_path: Path, content: bytes, says: str):
    (tmp_path / "x.eval").write_bytes(content)
    with pytest.raises(SourceError, match=says):
        read_scores(tmp_path / "x.eval")


def test_a_packed_log_without_a_header_or_with_a_broken_sample_says_so(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as file:
        file.writestr("samples/1.json", "{}")
    with pytest.raises(SourceError, match=r"no header\.json"):
        read_scores(tmp_path / "a.eval")
    with zipfile.ZipFile(tmp_path / "b.eval", "w") as file:
        file.writestr("header.json", json.dumps(LOG["eval"]))
        file.writestr("samples/1.json", "{")
    with pytest.raises(SourceError, match=r"samples/1\.json is no JSON"):
        read_scores(tmp_path / "b.eval")


def zstd(path: Path, members: dict[str, object]) -> Path:
    """As recent versions of Inspect pack a log: method 93 in the directory, which `zipfile` cannot write."""
    with zipfile.ZipFile(path, "w") as file:
        for name, member in members.items():
            whole = json.dumps(member).encode()
            sink = pa.BufferOutputStream()
            with pa.CompressedOutputStream(sink, "zstd") as out:
                out.write(whole)
            file.writestr(name, sink.getvalue().to_pybytes())
            told = file.filelist[-1]
            told.compress_type, told.file_size, told.CRC = 93, len(whole), zlib.crc32(whole)
    return path


def test_a_log_that_is_packed_with_zstd_is_read_like_any_other(tmp_path: Path):
    members = {"header.json": {key: value for key, value in LOG.items() if key != "samples"}}
    members |= {f"samples/{at}_epoch_1.json": each for at, each in enumerate(LOG["samples"])}
    path = zstd(tmp_path / "new.eval", members)
    assert read_scores(path).rows.equals(read_scores(packed(tmp_path / "old.eval")).rows)
    whole = path.read_bytes()
    mark = whole.index(b"\x28\xb5\x2f\xfd")
    path.write_bytes(whole[:mark] + b"rubbish" + whole[mark + 7 :])
    with pytest.raises(SourceError, match=r"header\.json is no JSON|cannot be unpacked"):
        read_scores(path)


def test_words_and_digits_are_the_numbers_that_inspects_own_metrics_take_them_for(tmp_path: Path):
    """Source: `value_to_float` of inspect_ai 0.3.285; what it takes for 0 with a warning stays ungraded here."""
    values = {"yes": 1, "No": 0, "TRUE": 1, "false": 0, "0.5": 0.5, "C": 1, "P": 0.5, "N": 0, "nan": None, "c": None}
    samples = [sample(value, {"s": {"value": value}}) for value in values]
    samples.append(sample("list", {"s": {"value": [1, 0]}}))
    (tmp_path / "log.json").write_text(json.dumps(LOG | {"samples": samples}))
    found = dict(read_scores(tmp_path / "log.json").rows.select("example_id", "score").iter_rows())
    assert found == {**values, "list": None}


def test_a_sample_that_failed_after_some_scorers_is_ungraded_by_the_others(tmp_path: Path):
    both = {"match": {"value": "C"}, "judge": {"value": "C"}}
    half = sample("b", {"match": {"value": "C"}}, error={"message": "boom"})
    unknown = sample("c", both, output={"completion": "x", "choices": [{"stop_reason": "unknown"}]})
    (tmp_path / "log.json").write_text(json.dumps(LOG | {"samples": [sample("a", both), half, unknown]}))
    rows = read_scores(tmp_path / "log.json").rows.sort("example_id", "scorer")
    assert rows.select("example_id", "scorer", "score", "termination").rows() == [
        ("a", "judge", 1.0, "stop"),
        ("a", "match", 1.0, "stop"),
        ("b", "judge", None, "error"),
        ("b", "match", 1.0, "error"),
        ("c", "judge", 1.0, None),
        ("c", "match", 1.0, None),
    ]


def test_samples_of_lm_eval_are_scored_by_the_metrics_that_they_list(tmp_path: Path):
    line = {"doc_id": 0, "doc": {"q": 1}, "resps": [["x"]], "filtered_resps": ["x"], "doc_hash": "f", "target": 3}
    path = tmp_path / "samples_gsm8k_2026-01-02T03-04-05.678.jsonl"
    written(
        path,
        line | {"filter": "strict-match", "metrics": ["exact_match"], "exact_match": 1.0},
        line | {"filter": "flexible-extract", "metrics": ["exact_match"], "exact_match": 0.0},
        line | {"doc_id": 1, "filter": "none", "metrics": ["acc", "ppl"], "acc": True, "ppl": [1.0, 2]},
        line | {"doc_id": 2, "filter": "none", "metrics": ["ppl"], "ppl": [1.0, 2]},
        {"no": "sample"},
    )
    found = read_scores(path)
    assert found.suite == "gsm8k"
    assert found.rows.select("example_id", "scorer", "score", "output").rows() == [
        ("0", "exact_match,strict-match", 1.0, "x"),
        ("0", "exact_match,flexible-extract", 0.0, "x"),
        ("1", "acc", 1.0, "x"),
    ]
    assert found.left_out.rows() == [
        ("line 4", "no metric that is a number"),
        ("line 5", "no doc_id and responses"),
    ]


def test_older_samples_of_lm_eval_that_list_no_metrics_are_scored_by_what_is_a_number_and_no_answer(tmp_path: Path):
    line = {"doc_id": 0, "doc": {"q": 1}, "target": 3, "resps": [["x"]], "filtered_resps": ["x"], "acc": 0.0}
    assert read_scores(written(tmp_path / "s.jsonl", line)).rows["scorer"].to_list() == ["acc"]
    ppl = line | {"metrics": ["word_perplexity"], "word_perplexity": [-3.0, 1]}
    with pytest.raises(SourceError, match="no sample has a metric that is a number, as where"):
        read_scores(written(tmp_path / "p.jsonl", ppl))


def test_a_text_that_many_examples_share_makes_no_slice_and_0_does(tmp_path: Path):
    rows = [{"example_id": n, "score": 1, "prompt": "You are " * 9, "level": n % 2} for n in range(4)]
    found = read_scores(written(tmp_path / "s.jsonl", *rows)).rows
    assert found["slices"].to_list() == [["level=0"], ["level=1"]] * 2


def test_ids_of_digits_keep_their_zeros_and_counts_that_no_column_holds_are_left_out(tmp_path: Path):
    (tmp_path / "s.csv").write_text("example_id,score\n007,1\n7,0\n")
    assert read_scores(tmp_path / "s.csv").rows["example_id"].to_list() == ["007", "7"]
    large = {"example_id": "a", "score": 1, "repetition": 2**40, "n_output_tokens": 10**30}
    found = read_scores(written(tmp_path / "s.jsonl", large)).rows
    assert found.select("repetition", "n_output_tokens").rows() == [(0, None)]


def test_plain_rows_make_slices_of_the_columns_that_sort_them(tmp_path: Path):
    rows = [
        {
            "example_id": n,
            "score": n % 2,
            "team": "red" if n < 3 else "blue",
            "hard": n == 2,
            "note": f"n{n}",
            "x": n / 7,
        }
        for n in range(6)
    ]
    found = read_scores(
        written(tmp_path / "s.jsonl", *rows, {"example_id": "7"}, {"example_id": "8", "score": "good"}, 3)
    )
    assert found.rows["scorer"].unique().to_list() == ["score"]
    assert dict(found.rows.select("example_id", "slices").iter_rows())["2"] == ["hard", "team=red"]
    assert dict(found.rows.select("example_id", "slices").iter_rows())["5"] == ["team=blue"]
    assert found.left_out.rows() == [
        ("line 7", "no score"),
        ("line 8", "score is no finite number"),
        ("line 9", "no JSON object"),
    ]
    frame = pl.DataFrame(rows)
    frame.write_parquet(tmp_path / "s.parquet")
    frame.write_csv(tmp_path / "s.csv")
    assert read_scores(tmp_path / "s.parquet").rows.equals(found.rows)
    assert read_scores(tmp_path / "s.csv").rows["score"].to_list() == [0, 1, 0, 1, 0, 1]


def test_a_score_that_was_not_graded_stays_as_null(tmp_path: Path):
    found = read_scores(written(tmp_path / "s.jsonl", {"example_id": "a", "score": None, "error": "timeout"}))
    assert found.rows.select("score", "error").rows() == [(None, "timeout")]


@pytest.mark.parametrize(
    ("name", "text", "form", "says"),
    [
        ("a.json", "{", "auto", "no JSON"),
        ("a.json", "[" * 100_000, "auto", "no JSON"),
        ("a.json", "[]", "auto", "neither a result of tau2-bench nor a log of Inspect"),
        ("a.json", "[]", "tau2", "no result of tau2-bench"),
        ("a.jsonl", "{}\n", "lm-eval", "no line is a sample"),
        ("a.jsonl", "not json\n", "auto", "no record has an 'example_id'"),
        ("a.jsonl", "", "auto", "no record has an 'example_id'"),
        ("a.parquet", "PAR1", "auto", "cannot be read"),
        ("a.eval", "x", "auto", "cannot be unpacked"),
    ],
)
def test_what_is_no_score_is_refused_in_words(tmp_path: Path, name: str, text: str, form: Any, says: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=says):
        read_scores(tmp_path / name, form)


def test_an_example_that_is_scored_twice_is_refused(tmp_path: Path):
    row = {"example_id": "a", "score": 1}
    with pytest.raises(EvidenceError, match=r"2 rows have the example.*'a'"):
        read_scores(written(tmp_path / "s.jsonl", row, row))
    assert read_scores(written(tmp_path / "s.jsonl", row, row | {"repetition": 1})).rows.height == 2
    with pytest.raises(SourceError, match="no such file"):
        read_scores(tmp_path / "nowhere.jsonl")
