"""Imported scores that are withdrawn gate no longer, history is kept, and audits say so."""

import json

import pytest

from clworkbench.audit.checks import audit
from clworkbench.cli.main import clw
from clworkbench.errors import EvidenceError, ModelError
from clworkbench.loop.data import freeze_suite
from clworkbench.loop.evals.scores import import_scores
from clworkbench.loop.evals.withdraw import withdraw_scores
from clworkbench.loop.releases.ship import gate, last_gate, power
from clworkbench.workspace import Workspace
from tests.loop.evals.test_scores import AFTER, BEFORE, rows

WHY = "graded with the wrong answers"


@pytest.fixture
def held(workspace, tmp_path):
    """A gate on the imported scores of `new` against `old`."""
    for model, scores in (("old", BEFORE), ("new", AFTER)):
        import_scores(workspace, rows(tmp_path / f"{model}.jsonl", scores), model=model, suite="tickets")
    return gate(workspace, "new", against="old")


def test_withdrawn_scores_gate_no_longer_and_stay_in_the_table(workspace, held):
    done = withdraw_scores(workspace, "new", why=WHY)
    assert (done.gates, done.served, done.counts_again) == ((held.id,), (), None)
    with pytest.raises(ModelError, match="clw scores import PATH --model new"):
        gate(workspace, "new", against="old")
    assert workspace.counts()["scores"] == 160
    assert power(workspace)["n"].to_list()[0] == 80


def test_the_audit_of_a_gate_on_them_fails_and_says_why_and_since_when(workspace, held):
    assert audit(workspace, held.id).ok
    done = withdraw_scores(workspace, "new", why=f"{WHY}\nsince <b>May</b>")
    found = audit(workspace, held.id)
    said = next(check for check in found.checks if check.name == "withdrawn")
    assert not found.ok
    assert "new on tickets, withdrawn on " in said.detail
    assert f"{WHY} since <b>May</b>" in said.detail
    assert "<b>" not in found._repr_html_()
    assert audit(workspace, str(done.manifest["id"])).ok


def test_the_import_before_counts_again_and_the_withdrawn_file_is_not_taken_twice(workspace, held, tmp_path):
    second = import_scores(workspace, rows(tmp_path / "c.jsonl", [1.0] * 80), model="new", suite="tickets")
    assert gate(workspace, "new", against="old").report.gates["challenger"][0] == 1
    done = withdraw_scores(workspace, "new", why=WHY)
    assert done.manifest["parents"] == [second.manifest["id"]]
    assert done.counts_again is not None
    assert gate(workspace, "new", against="old").id == held.id
    with pytest.raises(EvidenceError, match=rf"(?s)this very file was withdrawn on .*{WHY}.*--model NAME"):
        import_scores(workspace, tmp_path / "c.jsonl", model="new", suite="tickets")
    assert import_scores(workspace, tmp_path / "c.jsonl", model="newer", suite="tickets").scores == 80


def test_a_release_takes_no_gate_that_rests_on_withdrawn_scores(workspace, tmp_path):
    examples = [{"id": f"e{n}", "input": f"q{n}", "expected": "a"} for n in range(80)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in examples))
    freeze_suite(workspace, "tickets", tmp_path / "s.jsonl")
    base = workspace.settings.model.base
    for model, scores in ((base, BEFORE), ("new", AFTER)):
        import_scores(workspace, rows(tmp_path / "x.jsonl", scores, scorer="exact_match"), model=model, suite="tickets")
    held = gate(workspace, "new")
    assert last_gate(workspace, "new")["id"] == held.id
    withdraw_scores(workspace, base, why=WHY)
    assert last_gate(workspace, "new") is None


def test_what_cannot_be_withdrawn_is_said_in_words(workspace, held, tmp_path):
    with pytest.raises(EvidenceError, match="nobody has imported scores on: none"):
        withdraw_scores(workspace, "nobody", why=WHY)
    with pytest.raises(EvidenceError, match="no reason"):
        withdraw_scores(workspace, "new", why=" \n")
    import_scores(workspace, rows(tmp_path / "b.jsonl", AFTER), model="new", suite="calls")
    with pytest.raises(EvidenceError, match=r"tickets, calls\. Name one with --suite"):
        withdraw_scores(workspace, "new", why=WHY)
    assert withdraw_scores(workspace, "new", "calls", why=WHY).gates == ()
    with pytest.raises(EvidenceError, match="imported scores on: tickets"):
        withdraw_scores(workspace, "new", "calls", why=WHY)


def test_withdrawals_outlive_a_rebuilt_catalog(workspace, held):
    withdraw_scores(workspace, "new", why=WHY)
    workspace.reindex()
    with pytest.raises(ModelError):
        gate(Workspace(workspace.folder), "new", against="old")


def test_the_command_says_what_rested_on_them(workspace, held, capsys):
    words = ["scores", "withdraw", "new", "--why", WHY, "--workspace", str(workspace.folder)]
    clw.main([*words, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told | {"eval": 0} == {
        "model": "new", "suite": "tickets", "eval": 0, "why": WHY, "gates": [held.id], "releases": [],
        "counts_again": None,
    }  # fmt: skip
