"""A judge at the gate: heard only where the very same judge was measured against people, and as long as that stands."""

import json

import polars as pl
import pytest

from clworkbench.audit.checks import audit
from clworkbench.loop.data import freeze_suite
from clworkbench.loop.evals.judge_agreement import judge_agreement
from clworkbench.loop.evals.model import evaluate
from clworkbench.loop.evals.scores import import_scores
from clworkbench.loop.govern import forget
from clworkbench.loop.releases import ship
from clworkbench.loop.releases.report import report
from tests.chat_server import chat_server, said
from tests.loop.judging import chat, grades, label, make
from tests.tiny_workspace import write_lines

MODELS = """
[endpoints.old]
url = "{url}"
model = "old-1"
[endpoints.new]
url = "{url}"
model = "new-1"
[evals]
suites = ["main"]
scorers = ["judge:helpful"]
"""
N = 60


def town(wrong=0):
    """A judge, and two models: the old one knows one answer in two, the new one all."""
    judge = grades(wrong)

    def behave(number, body):
        if body["model"] == "large-1":
            return judge(number, body)
        own = int(body["messages"][-1]["content"].split()[-1].rstrip("?"))
        known = body["model"] == "new-1" or own % 2
        return said(f"{'on its way' if known else 'nowhere'} {own}")

    return behave


@pytest.fixture
def server():
    with chat_server(town()) as serving:
        yield serving


@pytest.fixture
def workspace(tmp_path, monkeypatch, server):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = make(tmp_path / "w", server.url, more=MODELS.format(url=server.url))
    asked = [chat(number)["messages"][0]["content"] for number in range(100, 100 + N)]
    rows = [
        {"id": f"q{i}", "input": text, "expected": "on its way", "slices": ["parcels"]} for i, text in enumerate(asked)
    ]
    freeze_suite(made, "main", write_lines(tmp_path / "suite.jsonl", rows))
    return made


def hold(workspace):
    return ship.gate(workspace, "endpoint:new", against="endpoint:old")


def told(gated):
    return gated.report.findings.filter(kind="judge_uncalibrated")["detail"].to_list()


def settings(workspace, old, new):
    toml = workspace.folder / "clw.toml"
    text = toml.read_text()
    assert old in text
    toml.write_text(text.replace(old, new))


def failing_checks(workspace, name):
    return [(check.name, check.detail) for check in audit(workspace, name).checks if not check.ok]


def test_a_judge_that_nobody_measured_is_not_heard_and_the_gate_says_the_way_out(workspace):
    held = hold(workspace)
    assert held.report.decision == "hold"
    assert set(held.report.gates.filter(metric="judge:helpful")["verdict"]) == {"unmeasured"}
    (detail,) = told(held)
    assert "its agreement with people was never measured; `clw judge agree helpful` measures it" in detail
    assert failing_checks(workspace, held.id) == []


def test_a_judge_that_agrees_with_people_is_heard_and_the_gate_rests_on_its_agreement(workspace):
    before = hold(workspace)
    label(workspace)
    found = judge_agreement(workspace, "helpful")
    held = hold(workspace)
    assert (held.report.decision, told(held)) == ("promote", [])
    assert held.id != before.id
    assert found.id in held.manifest["parents"]
    assert failing_checks(workspace, held.id) == []


def test_a_judge_that_disagrees_with_people_is_not_heard(workspace, server):
    server.behave = town(wrong=45)
    label(workspace)
    judge_agreement(workspace, "helpful")
    held = hold(workspace)
    assert held.report.decision == "hold"
    assert "is not shown to reach min_kappa = 0.4. Mend the rubric" in told(held)[0]


def test_agreement_of_another_version_of_the_judge_does_not_count(workspace):
    label(workspace)
    judge_agreement(workspace, "helpful")
    hold(workspace)
    settings(workspace, "Is the answer right?", "Is the answer kind?")
    held = hold(workspace)
    assert "was measured for another version of it (model, rubric, scale)" in told(held)[0]
    assert held.report.decision == "hold"


def test_a_slice_in_which_nothing_was_measured_is_flagged(workspace):
    rows = [{"id": f"r{i}", "input": f"where is it {i}?", "expected": "x", "slices": ["abroad"]} for i in range(5)]
    freeze_suite(workspace, "far", write_lines(workspace.folder / "far.jsonl", rows))
    settings(workspace, 'suites = ["main"]', 'suites = ["main", "far"]')
    label(workspace)
    judge_agreement(workspace, "helpful")
    details = told(hold(workspace))
    assert any("in slice 'abroad': its agreement with people is not shown: not measured" in each for each in details)
    assert not any("parcels" in each for each in details)


def test_labels_that_changed_since_do_not_count_and_too_few_are_too_few(workspace):
    label(workspace)
    judge_agreement(workspace, "helpful")
    assert hold(workspace).report.decision == "promote"
    label(workspace, n=20, who="ann", at="2026-03-09", verdict="accept")
    still = hold(workspace)
    assert (still.report.decision, still.manifest["judges"][0]["lost"]) == ("promote", 7)
    label(workspace, n=60, who="bob", verdict="reject")  # contradicts 46 of them: neither counts
    held = hold(workspace)
    assert held.report.decision == "hold"
    assert "labels were withdrawn, changed or forgotten since" in told(held)[0]
    assert failing_checks(workspace, held.id) == []


def test_scores_of_another_judge_under_the_same_name_are_not_heard(workspace, tmp_path):
    label(workspace)
    judge_agreement(workspace, "helpful")
    for model in ("a", "b"):
        rows = [{"example_id": f"q{i}", "score": 1, "scorer": "judge:helpful"} for i in range(40)]
        import_scores(workspace, write_lines(tmp_path / f"{model}.jsonl", rows), model=model, suite="elsewhere")
    held = ship.gate(workspace, "a", against="b")
    assert "some of these scores were imported, or given by another version" in told(held)[0]
    assert set(held.report.gates.filter(metric="judge:helpful")["verdict"]) == {"unmeasured"}


def test_scores_of_other_harnesses_that_name_no_judge_of_ours_gate_as_before(workspace, tmp_path):
    for model, share in (("a", 1), ("b", 2)):
        rows = [{"example_id": f"q{i}", "score": int(i % share == 0), "scorer": "model_graded_qa"} for i in range(60)]
        import_scores(workspace, write_lines(tmp_path / f"{model}.jsonl", rows), model=model, suite="elsewhere")
    held = ship.gate(workspace, "a", against="b")
    assert (held.report.decision, told(held)) == ("promote", [])
    assert "imported" in held.report.findings["kind"].to_list()


def test_a_drill_hears_no_judge_that_nobody_measured(workspace):
    assert any("helpful" in name for name in ship.drill(workspace, "endpoint:old").unproven)
    label(workspace)
    judge_agreement(workspace, "helpful")
    assert not any("helpful better" in name for name in ship.drill(workspace, "endpoint:old").unproven)


def test_an_answer_without_a_grade_is_ungraded_and_neither_right_nor_wrong(workspace, server):
    calm = town()

    def behave(number, body):
        shown = body["messages"][1]["content"] if body["model"] == "large-1" else ""
        return said("no idea") if "on its way 101\n" in shown else calm(number, body)

    server.behave = behave
    scores = evaluate(workspace, "endpoint:old", "main").scores
    lost = scores.filter(pl.col("score").is_null())
    assert lost.select("example_id", "error").rows() == [
        ("q1", "the judge's reply gives no grade, also when asked again")
    ]
    assert sorted(scores["score"].drop_nulls().unique()) == [0.0, 1.0]


def test_a_judge_that_grades_no_more_than_some_of_a_models_answers_is_not_heard(workspace, server):
    label(workspace)
    judge_agreement(workspace, "helpful")
    calm = town()
    silent = [f"on its way {number}\n" for number in range(102, 116, 2)]  # which only the new one answers so

    def behave(number, body):
        shown = body["messages"][1]["content"] if body["model"] == "large-1" else ""
        return said("no idea") if any(each in shown for each in silent) else calm(number, body)

    server.behave = behave
    held = hold(workspace)
    assert "it gave no grade for 7 of 60 answers of endpoint:new on main@" in told(held)[0]
    assert held.report.decision == "hold"
    assert failing_checks(workspace, held.id) == []


def test_the_mailed_report_counts_no_wins_by_a_judge_that_may_not_gate(workspace):
    unheard = hold(workspace)
    assert "wins" not in report(workspace, unheard.id).html
    label(workspace)
    judge_agreement(workspace, "helpful")
    assert f"{N // 2} wins, 0 losses" in report(workspace, hold(workspace).id).html


def test_the_judge_that_scored_is_named_by_its_hash_and_another_one_scores_anew(workspace, server):
    first = evaluate(workspace, "endpoint:old", "main")
    asked = len(server.requests)
    again = evaluate(workspace, "endpoint:old", "main")
    assert (again.cached, len(server.requests)) == (True, asked)
    settings(workspace, "Is the answer right?", "Is the answer kind?")
    other = evaluate(workspace, "endpoint:old", "main")
    assert other.manifest["id"] != first.manifest["id"]
    hashes = [each.manifest["asked"]["scorer_content"]["judge:helpful"] for each in (first, other)]
    assert len(set(hashes)) == 2
    assert json.dumps(first.manifest["metrics"]["judge:helpful"]["mean"]) == "0.5"


def test_forgetting_a_labelled_answer_takes_it_out_of_the_agreement(workspace):
    label(workspace)
    found = judge_agreement(workspace, "helpful")
    for own in workspace.signals()["interaction_id"].head(2):
        forget(workspace, interaction=own)
    held = hold(workspace)
    assert held.manifest["judges"][0]["lost"] == 2
    assert failing_checks(workspace, found.id) == []
    assert failing_checks(workspace, held.id) == []


def test_a_gate_counts_for_a_release_only_while_its_judge_stands_as_it_did(workspace):
    settings(workspace, "format = 1", 'format = 1\n[model]\nbase = "endpoint:old"')
    label(workspace)
    judge_agreement(workspace, "helpful")
    held = hold(workspace)
    assert (ship.last_gate(workspace, "endpoint:new") or {})["id"] == held.id
    label(workspace, n=60, who="bob", verdict="reject")
    assert ship.last_gate(workspace, "endpoint:new") is None
    hold(workspace)
    assert (ship.last_gate(workspace, "endpoint:new") or {})["decision"] == "hold"


def test_a_report_that_was_made_to_hide_its_judge_is_found_by_its_audit(workspace):
    held = hold(workspace)
    manifest = workspace.artefact_folder(held.id) / "manifest.json"
    told = json.loads(manifest.read_text())
    told |= {"judges": [], "findings": [each for each in told["findings"] if each["kind"] != "judge_uncalibrated"]}
    manifest.write_text(json.dumps(told, indent=2, ensure_ascii=False))
    workspace.reindex()
    assert {"gate's name", "judges"} <= {name for name, _ in failing_checks(workspace, held.id)}
