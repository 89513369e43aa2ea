"""`clw drift`: one JSON object with the fixed keys, exit status 1 for an alert, words for everything else."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import ClwError


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLW_WORKSPACE", str(tmp_path / "w"))
    runner = CliRunner()
    assert runner.invoke(clw, ["init", str(tmp_path / "w")]).exit_code == 0
    return lambda *words: runner.invoke(clw, [*words])


@pytest.fixture
def ran(run, tmp_path):
    """After twenty days: ten answers an hour, in the last week half of them from another app."""

    def answer(number: int) -> dict[str, object]:
        at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=number)
        messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
        app = "phone" if number >= 312 and number % 2 else "desk"
        return {"id": f"a{number}", "created": at.isoformat(), "app": app, "messages": messages}

    (tmp_path / "a.jsonl").write_text("".join(json.dumps(answer(n)) + "\n" for n in range(480)))
    assert run("ingest", str(tmp_path / "a.jsonl"), "--source", "openai").exit_code == 0
    return run


def test_an_alert_exits_with_1_and_names_the_column(ran):
    found = ran("drift", "--against", "window", "--columns", "app, text", "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert told["alert"] is True
    assert [(c["name"], c["test"], c["drifted"], c["harm"]) for c in told["columns"]] == [
        ("app", "chi-square", True, "not enough data")
    ]
    assert told["advice"] == "label"
    assert "text" in told["skipped"]
    words = ran("drift", "--against", "window", "--columns", "app").stdout
    assert "DRIFT app" in words
    assert "label: app drifted" in words


def test_without_an_alert_it_exits_with_0(ran):
    found = ran("drift", "--days", "4", "--columns", "app", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["alert"] is False


def test_an_empty_workspace_has_no_alert_and_says_so(run):
    found = run("drift", "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["columns"] == []
    assert "not enough data" in run("drift").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--columns", "ap"], "Did you mean app?"), (["--against", "desk"], "no training set 'desk'")],
)
def test_what_is_wrong_is_told_in_words(ran, words, says):
    found = ran("drift", *words)
    assert isinstance(found.exception, ClwError)
    assert says in str(found.exception)


def test_days_that_are_none_are_wrong_usage(run):
    assert run("drift", "--days", "0").exit_code == 2
