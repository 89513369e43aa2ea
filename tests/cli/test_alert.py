"""`clw alert`: one JSON object with the fixed keys, exit status 1 while an alert stands, words for everything else."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import SettingsError
from tests.loop.alerting import FAIL, START, answers, settings


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLW_WORKSPACE", str(tmp_path / "w"))
    runner = CliRunner()
    assert runner.invoke(clw, ["init", str(tmp_path / "w")]).exit_code == 0
    return lambda *words: runner.invoke(clw, [*words])


@pytest.fixture
def failing(run, tmp_path):
    """Refunds that fail now: the planted days are moved to the present."""
    present = int((datetime.now(UTC) - START) / timedelta(days=1))
    rows = answers(present - 9, 167, 23) + answers(present - 1, 145, 65)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "w" / "clw.toml").write_text(settings(to=("stdout", "file:alerts.jsonl")))
    assert run("ingest", str(tmp_path / "in.jsonl"), "--source", "openai").exit_code == 0
    return run


def test_an_alert_exits_with_1_and_stays_there_while_it_stands_but_is_said_once(failing):
    first = failing("alert")
    assert first.exit_code == 1
    assert first.stdout.startswith("ALERT refunds_fail (warning): failures in slice refunds: 31% [25%, 38%] of 210 in")
    assert "next: clw slice find --slice=refunds" in first.stdout
    later = failing("alert")
    assert later.exit_code == 1
    assert "ALERT" not in later.stdout
    assert "stands          refunds_fail: failures in slice refunds" in later.stdout
    assert "refunds_fail: stdout was told; quiet until" in later.stdout
    assert failing("alert", "--only-new").output == ""
    assert "clw alert --dry-run   (stands: refunds_fail since" in failing("status").stdout


def test_json_is_one_object_with_the_fixed_keys_and_counts_as_told(failing):
    found = failing("alert", "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert list(told) == ["alerts", "sent", "quiet", "resolved", "failed", "rules"]
    sent = [(s["rule"], s["kind"], s["sink"]) for s in told["sent"]]
    assert sent == [("refunds_fail", "alert", "stdout"), ("refunds_fail", "alert", "file:alerts.jsonl")]
    [alert] = told["alerts"]
    assert (alert["figures"]["n"], alert["figures"]["above"]) == (210, 0.2)
    again = json.loads(failing("alert", "--json").stdout)
    assert again["sent"] == []
    assert len(again["quiet"]) == 2
    assert len(again["alerts"]) == 1


def test_a_dry_run_says_what_would_be_sent_and_the_history_what_was(failing):
    assert "would be sent to stdout" in failing("alert", "--dry-run").stdout
    assert failing("alert", "--history").stdout == "Nothing was told yet.\n"
    failing("alert")
    lines = failing("alert", "--history").stdout.splitlines()
    assert lines[0].split() == ["at", "kind", "sink", "rule", "since", "until"]
    assert len(lines) == 3
    history = json.loads(failing("alert", "--history", "--json").stdout)["history"]
    assert [row["kind"] for row in history] == ["alert", "alert"]
    assert history[0]["says"].startswith("failures in slice refunds")


def test_a_place_that_fails_is_told_on_standard_error(failing, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_HOOK", raising=False)
    (tmp_path / "w" / "clw.toml").write_text(settings(to=("webhook:NO_SUCH_HOOK",)))
    found = failing("alert", "--json")
    assert json.loads(found.stdout)["failed"][0]["sink"] == "webhook:NO_SUCH_HOOK"
    assert "NO_SUCH_HOOK is not set" in found.stderr
    assert "It is owed word of refunds_fail; the next call tries again." in found.stderr


def test_a_rule_that_cannot_be_asked_is_named_on_standard_error_without_its_expression(failing, tmp_path):
    toml = tmp_path / "w" / "clw.toml"
    toml.write_text(toml.read_text() + "[alerts.rules.broken]\nrate = \"nosuch = 'Ann'\"\nabove = 0.1\n")
    failing("alert")
    again = failing("alert", "--only-new")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "the rule broken cannot be asked" in again.stderr
    assert "Ann" not in again.stderr


def test_an_empty_workspace_is_well(run, tmp_path):
    assert run("alert").stdout == "No rules: declare some in [alerts.rules] of clw.toml.\n"
    (tmp_path / "w" / "clw.toml").write_text(settings())
    found = run("alert")
    assert found.exit_code == 0
    assert "not enough data refunds_fail: failures in slice refunds: no settled signal" in found.stdout


def test_looking_back_is_for_a_dry_run_only(failing):
    back = (START + timedelta(days=10)).isoformat()
    refused = failing("alert", "--as-of", back)
    assert refused.exit_code == 2
    assert "only with --dry-run" in refused.output
    assert failing("alert", "--dry-run", "--as-of", back, "--event-time").exit_code == 0


def test_settings_that_mean_nothing_are_told_in_words(run, tmp_path):
    text = settings(rules=FAIL.replace('"refunds"', '"refund"'))
    Path(tmp_path / "w" / "clw.toml").write_text(text)
    found = run("alert")
    assert isinstance(found.exception, SettingsError)
    assert "Did you mean 'refunds'?" in str(found.exception)
