"""Imported scores: brought in once, gated like our own, audited, and refused in words where they do not meet."""

import json
from pathlib import Path

import pytest

from clworkbench.audit.checks import audit
from clworkbench.errors import ArtefactError, EvidenceError, ModelError, SettingsError, SourceError
from clworkbench.loop.data import freeze_suite
from clworkbench.loop.evals.scores import import_scores
from clworkbench.loop.releases.ship import drill, gate, power, release
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.training_sets.convert import build
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


def test_what_others_import_later_and_more_suites_or_slices_do_not_change_the_gates(workspace, tmp_path):
    for suite in ("tickets", "calls"):
        for model, scores in (("new", AFTER), ("old", BEFORE)):
            more = {suite: "x"} | ({"app": "chat"} if model == "old" else {})
            path = rows(tmp_path / f"{model}-{suite}.jsonl", scores, **more)
            import_scores(workspace, path, model=model, suite=suite)
    both = [{"example_id": f"e{n}", "score": 1, "scorer": scorer} for n in range(80) for scorer in ("score", "other")]
    (tmp_path / "third.jsonl").write_text("".join(json.dumps(row) + "\n" for row in both))
    import_scores(workspace, tmp_path / "third.jsonl", model="third", suite="tickets")
    held = gate(workspace, "new", against="old")
    assert held.report.decision == "promote"
    gates = held.report.gates["name"].to_list()
    assert {"score not worse on calls=x", "score not worse on app=chat"} <= set(gates)
    assert "gates_edited" not in held.report.findings["kind"].to_list()
    assert audit(workspace, held.id).ok
    other = gate(workspace, "new", against="third", suite="tickets").report.gates
    assert other["name"][0] == "score better on all"
    assert other["n"][0] == 80


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
    for name in ("a\x1b[31m", "m" * 201):
        with pytest.raises(EvidenceError, match="names no model") as told:
            import_scores(workspace, path, model=name, suite="s")
        assert "\x1b" not in str(told.value)
    for name in ("", " ", "..", "//", "x" * 300, "é" * 101):
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


FROZEN = """\
format = 1
[sources.app]
format = "openai"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[training]
holdout = 0
[evals]
suites = ["main"]
[gates]
"""


@pytest.fixture
def served(tmp_path, monkeypatch) -> Workspace:
    """A frozen suite of 80 examples and two runs, of which `a` serves; their weights are nowhere."""
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w", settings=FROZEN)
    said = [{"role": "user", "content": "what is one?"}, {"role": "assistant", "content": "it is one"}]
    accepted = [{"name": "accepted", "at": "2026-03-01T12:00:00Z"}]
    record = {"id": "1", "created": "2026-03-01T11:00:00Z", "messages": said, "feedback": accepted}
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n")
    ingest(made, [tmp_path / "log.jsonl"], "app")
    examples = [{"id": f"e{n}", "input": f"ask {n}", "expected": "yes"} for n in range(80)]
    (tmp_path / "suite.jsonl").write_text("".join(json.dumps(each) + "\n" for each in examples))
    freeze_suite(made, "main", tmp_path / "suite.jsonl")
    learned = build(made, "s").id
    for name in "ab":
        about = {"base": "b", "method": "sft", "adapter_sha256": name}
        made.publish(f"run:{name}", parents=[learned], about=about)
    made.publish("release:a", parents=["run:a"], about={"run": "run:a"})
    made.catalog.set_champion("release:a", "for the test")
    return made


def test_what_was_imported_for_a_run_is_told_in_its_gate_and_on_the_card_of_its_release(served, tmp_path):
    import_scores(served, rows(tmp_path / "a.jsonl", BEFORE, scorer="exact_match"), model="release:a", suite="main")
    import_scores(served, rows(tmp_path / "b.jsonl", AFTER, scorer="exact_match"), model="b", suite="main")
    held = gate(served, "run:b")
    assert held.report.decision == "promote"
    told = held.report.findings.filter(kind="imported")["detail"].to_list()
    assert len(told) == 2
    assert told[0].startswith("run:b on main@")
    assert "scores were not measured here, but brought in from b.jsonl (SHA-256 " in told[0]
    checks = {check.name: check.ok for check in audit(served, held.id).checks}
    assert checks["imported"]
    assert [name for name, ok in checks.items() if not ok] == ["run:a > manifest's form", "run:b > manifest's form"]
    made = release(served, "run:b")
    card = (served.artefact_folder(made.id) / "card.md").read_text()
    assert card.count("brought in from") == 2


def test_scores_on_a_suite_of_ones_own_name_release_nothing(served, tmp_path):
    import_scores(served, rows(tmp_path / "a.jsonl", BEFORE), model="run:a", suite="elsewhere")
    import_scores(served, rows(tmp_path / "b.jsonl", AFTER), model="run:b", suite="elsewhere")
    assert gate(served, "run:b", suite="elsewhere").report.decision == "promote"
    with pytest.raises(EvidenceError, match="never held against"):
        release(served, "run:b")


def test_gates_may_name_a_metric_that_was_only_imported_though_a_suite_is_frozen(served, tmp_path):
    toml = served.folder / "clw.toml"
    toml.write_text(toml.read_text() + 'metric = "tone"\ntarget = "team=red"\n')
    place = Workspace(served.folder)
    for model, scores in (("old", BEFORE), ("new", AFTER)):
        import_scores(place, rows(tmp_path / f"{model}.jsonl", scores, scorer="tone"), model=model, suite="tickets")
    assert gate(place, "new", against="old").report.gates["name"][0] == "tone better on team=red"
    assert "tone lost on team=red" in drill(place, "old").frame["planted"].to_list()
    with pytest.raises(SettingsError, match="no slice 'team=red' in the suites"):
        gate(place, "run:b")


def test_the_format_that_is_named_makes_no_other_scores_of_a_file(workspace, tmp_path):
    path = rows(tmp_path / "a.jsonl", BEFORE, error="asked jo@example.org")
    first = import_scores(workspace, path, model="old", suite="tickets")
    again = import_scores(workspace, path, model="old", suite="tickets", form="jsonl")
    assert again.known
    assert again.manifest["id"] == first.manifest["id"]
    assert "jo@example.org" not in str(workspace.read("scores")["error"].to_list())


def test_each_of_several_suites_has_a_guard_so_that_a_loss_on_one_cannot_hide(workspace, tmp_path):
    for model, gained, lost in (("old", [0.0] * 80, [1.0] * 80), ("new", [1.0] * 80, [1.0] * 40 + [0.0] * 40)):
        import_scores(workspace, rows(tmp_path / f"{model}1.jsonl", gained), model=model, suite="gained")
        import_scores(workspace, rows(tmp_path / f"{model}2.jsonl", lost), model=model, suite="lost")
    held = gate(workspace, "new", against="old")
    verdicts = dict(held.report.gates.select("name", "verdict").iter_rows())
    assert verdicts["score better on all"] == "met"
    assert verdicts["score not worse on lost"] == "violated"
    assert held.report.decision == "block"
    assert "gates_edited" not in held.report.findings["kind"].to_list()
    assert audit(workspace, held.id).ok
    alone = gate(workspace, "new", against="old", suite="gained").report
    assert "score not worse on gained" not in alone.gates["name"].to_list()
    planned = dict(power(workspace).select("name", "n").iter_rows())
    assert planned["score better on all"] == 160
    assert planned["score not worse on lost"] == 80


def test_without_any_suite_there_is_nothing_to_plan(workspace):
    with pytest.raises(ArtefactError, match="no suite to measure on"):
        power(workspace)
