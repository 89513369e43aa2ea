"""Imported scores: brought in once, gated like our own, audited, and refused in words where they do not meet."""

import json
from pathlib import Path

import pytest

from clworkbench.audit.checks import audit
from clworkbench.errors import ArtefactError, EvidenceError, ModelError, SourceError
from clworkbench.loop.scores import import_scores
from clworkbench.loop.ship import gate
from clworkbench.workspace import Workspace


def rows(path: Path, scores: list[float], **more: object) -> Path:
    lines = [
        {"example_id": f"e{n}", "score": score, "team": "red" if n < 40 else "blue"} | more
        for n, score in enumerate(scores)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


BEFORE = [0.0] * 30 + [1.0] * 50
AFTER = [1.0] * 28 + [0.0] * 2 + [1.0] * 50


def test_a_better_model_is_promoted_on_the_suites_only_scorer_with_a_guard_for_each_slice(workspace, tmp_path):
    import_scores(workspace, rows(tmp_path / "a.jsonl", BEFORE), model="old", suite="tickets")
    new = import_scores(workspace, rows(tmp_path / "b.jsonl", AFTER), model="new", suite="tickets")
    assert new.as_dict() | {"metrics": 0} == {
        "model": "new", "suite": "tickets", "examples": 80, "scores": 80, "known": False, "left_out": {}, "metrics": 0,
    }  # fmt: skip
    held = gate(workspace, "new", against="old")
    assert held.report.decision == "promote"
    names = held.report.gates["name"].to_list()
    assert names[:3] == ["score better on all", "score not worse on team=blue", "score not worse on team=red"]
    assert held.report.gates["n"].to_list()[:3] == [80, 40, 40]
    assert audit(workspace, held.id).ok


def test_the_same_file_again_adds_nothing_and_another_takes_its_place(workspace, tmp_path):
    first = import_scores(workspace, rows(tmp_path / "a.jsonl", BEFORE), model="old", suite="tickets")
    again = import_scores(workspace, rows(tmp_path / "a.jsonl", BEFORE), model="old", suite="tickets")
    assert (first.known, again.known) == (False, True)
    assert workspace.counts()["scores"] == 80
    import_scores(workspace, rows(tmp_path / "b.jsonl", AFTER), model="new", suite="tickets")
    assert gate(workspace, "new", against="old").report.gates["champion"][0] == pytest.approx(50 / 80)
    import_scores(workspace, rows(tmp_path / "c.jsonl", [1.0] * 80), model="old", suite="tickets")
    assert gate(workspace, "new", against="old").report.gates["champion"][0] == 1


def test_gates_that_were_edited_after_the_import_are_a_finding(workspace, tmp_path):
    for model, scores in (("old", BEFORE), ("new", AFTER)):
        import_scores(workspace, rows(tmp_path / f"{model}.jsonl", scores), model=model, suite="tickets")
    toml = workspace.folder / "clw.toml"
    toml.write_text(toml.read_text().replace("[gates]", '[gates]\ntarget = "team=red"'))
    found = gate(Workspace(workspace.folder), "new", against="old").report.findings["kind"].to_list()
    assert "gates_edited" in found


def test_without_a_common_suite_it_says_what_there_is(workspace, tmp_path):
    import_scores(workspace, rows(tmp_path / "a.jsonl", BEFORE), model="old", suite="tickets")
    import_scores(workspace, rows(tmp_path / "b.jsonl", AFTER), model="new", suite="calls")
    with pytest.raises(EvidenceError, match=r"(?s)no suite on which both.*new on suite:calls; old on suite:tickets"):
        gate(workspace, "new", against="old")
    with pytest.raises(EvidenceError, match="no suite:other on which both"):
        gate(workspace, "new", against="old", suite="other")
    with pytest.raises(ModelError, match=r"(?s)nobody.*clw scores import PATH --model nobody"):
        gate(workspace, "nobody", against="old")
    with pytest.raises(EvidenceError, match="cannot be held against itself"):
        gate(workspace, "old", against="old")


def test_scores_without_a_name_or_of_an_unknown_run_are_refused(workspace, tmp_path):
    path = rows(tmp_path / "a.jsonl", BEFORE)
    with pytest.raises(EvidenceError, match="--model NAME"):
        import_scores(workspace, path, suite="s")
    with pytest.raises(EvidenceError, match="--suite NAME"):
        import_scores(workspace, path, model="m")
    with pytest.raises(ArtefactError, match="no run 'none'"):
        import_scores(workspace, path, model="run:none", suite="s")
    for name in ("", " ", "..", "//"):
        with pytest.raises(EvidenceError, match="suite"):
            import_scores(workspace, path, model="m", suite=name)
    assert import_scores(workspace, path, model="m", suite="../a\n<b>").report.suite == "a-b"
    named = import_scores(workspace, rows(tmp_path / "n.jsonl", BEFORE, model="theirs", suite="own"))
    assert (named.report.model, named.report.suite) == ("theirs", "own")
    with pytest.raises(SourceError, match="no such file"):
        import_scores(workspace, tmp_path / "none.jsonl", model="m", suite="s")
    assert workspace.counts()["scores"] == 2 * 80


def test_outputs_are_cleared_of_personal_data_before_they_are_kept(workspace, tmp_path):
    path = rows(tmp_path / "a.jsonl", BEFORE, output="Write to jo@example.org")
    import_scores(workspace, path, model="old", suite="tickets")
    assert "jo@example.org" not in str(workspace.read("scores")["output"].to_list())


def test_the_real_fine_tune_is_promoted_where_it_helped_and_not_where_it_did_not(workspace, shared_data):
    for file in sorted((shared_data / "tau2_finetune_runs").glob("*trials.json")):
        import_scores(workspace, file, model="tuned" if file.name.startswith("ft-") else "base")
    retail, telecom = (gate(workspace, "tuned", against="base", suite=f"tau2-{name}") for name in ("retail", "telecom"))
    assert (retail.report.decision, telecom.report.decision) == ("hold", "promote")
    assert "price_missing" in telecom.report.findings["kind"].to_list()
