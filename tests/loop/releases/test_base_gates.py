"""A change is judged by its base's gates, whatever its own clw.toml says."""

import json

import pytest
from click.testing import CliRunner

from clworkbench.audit.checks import audit
from clworkbench.cli.main import clw
from clworkbench.errors import SettingsError
from clworkbench.loop.evals.scores import import_scores
from clworkbench.loop.releases.base_gates import JudgedByBase
from clworkbench.loop.releases.ship import gate
from tests.loop.evals.test_scores import AFTER, BEFORE, rows

LOOSE = """format = 1
[evals]
scorers = ["contains"]
[endpoints.theirs]
url = "http://127.0.0.1:1/v1"
model = "cheap"
[endpoints.own]
url = "http://127.0.0.1:2/v1"
model = "own"
[gates]
[[gates.rules]]
name = "anything goes"
metric = "score"
asks = "not_worse"
margin = 1.0
required = true
"""
BASE = """format = 1
[endpoints.theirs]
url = "http://127.0.0.1:3/v1"
model = "dear"
[gates]
metric = "score"
"""


@pytest.fixture
def change(workspace, tmp_path):
    """A challenger that is worse than the champion, and a clw.toml by which it would be promoted; gives the base's."""
    (workspace.folder / "clw.toml").write_text(BASE)
    for model, scores in (("good", AFTER), ("bad", BEFORE)):
        import_scores(workspace, rows(tmp_path / f"{model}.jsonl", scores), model=model, suite="tickets")
    (workspace.folder / "clw.toml").write_text(LOOSE)
    base = tmp_path / "base.toml"
    base.write_text(BASE)
    return base


def test_a_loosened_gate_does_not_judge_the_change_that_loosens_it(workspace, change):
    assert gate(workspace, "bad", against="good").report.decision == "promote"
    held = gate(workspace, "bad", against="good", gates_from=change)
    assert held.report.decision == "block"
    assert held.manifest["rules"][0]["name"] == "score better on all"
    details = held.report.findings.filter(kind="gates_edited")["detail"].to_list()
    assert details == [
        "clw.toml differs from the base's base.toml in [gates], [evals], [endpoints.theirs]: the base's judged"
    ]
    assert audit(workspace, held.id).ok


def test_the_report_that_is_kept_says_so_though_the_same_gates_were_judged_before(workspace, change):
    (workspace.folder / "clw.toml").write_text(BASE)
    before = gate(workspace, "bad", against="good")
    change.write_text(BASE.replace("dear", "cheap"))
    held = gate(workspace, "bad", against="good", gates_from=change)
    assert held.id != before.id
    kept = workspace.catalog.artefact(held.id)
    assert kept["gates_sha256"] == before.manifest["gates_sha256"]
    assert [each["detail"] for each in kept["findings"] if each["kind"] == "gates_edited"] == kept["base"]
    assert "[endpoints.theirs]" in kept["base"][0]
    assert audit(workspace, held.id).ok


def test_a_change_may_add_endpoints_and_cannot_change_the_bases(workspace, change):
    judging = JudgedByBase(workspace.folder, change).settings
    assert {name: each.model for name, each in judging.endpoints.items()} == {"theirs": "dear", "own": "own"}
    assert judging.evals.scorers == ("exact_match",)


def test_the_same_gates_are_no_finding(workspace, change):
    (workspace.folder / "clw.toml").write_text(BASE + '[outcomes]\ngood = { negative = "edited" }\n')
    held = gate(workspace, "bad", against="good", gates_from=change)
    assert "gates_edited" not in held.report.findings["kind"].to_list()


def test_a_base_that_is_missing_or_means_nothing_is_refused(workspace, change, tmp_path):
    with pytest.raises(SettingsError, match=r"none\.toml: not there"):
        gate(workspace, "bad", against="good", gates_from=tmp_path / "none.toml")
    change.write_text("[gates]\nmargin = 'x'\n")
    with pytest.raises(SettingsError, match=r"base\.toml"):
        gate(workspace, "bad", against="good", gates_from=change)


def asked(workspace, *words: str):
    return CliRunner().invoke(clw, ["gate", *words, "--workspace", str(workspace.folder)])


def test_markdown_holds_the_decision_the_gates_and_the_findings(workspace, change):
    told = asked(workspace, "bad", "--against", "good", "--gates-from", str(change), "--markdown")
    assert told.exit_code == 1
    lines = told.stdout.splitlines()
    assert lines[0] == "## Gate: block"
    assert sum(line.startswith("| score") for line in lines) == 3
    assert any(line.startswith("- `gates_edited`: clw.toml differs") for line in lines)
    payload = asked(workspace, "bad", "--against", "good", "--gates-from", str(change), "--markdown", "--json")
    assert json.loads(payload.stdout)["decision"] == "block"


def test_nothing_else_is_asked_of_the_bases_gates(workspace, change):
    for verb in ("--plan", "--drill"):
        assert asked(workspace, "--gates-from", str(change), verb).exit_code == 2
