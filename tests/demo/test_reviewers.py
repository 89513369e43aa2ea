"""Simulated reviewers answer in a real Argilla: as often rightly as said, and as many of them as were asked."""

import polars as pl
import pytest

from clworkbench.demo.labelled import KNOWN, open_labelled, right_answers
from clworkbench.demo.reviewers import REVIEWERS, Reviewer, _answers, _logged_in, _Record, review
from clworkbench.errors import LabelError
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.process import stop
from clworkbench.loop.data import choose
from clworkbench.loop.labels.agreement import agreement, decided
from clworkbench.loop.labels.annotators import annotators
from clworkbench.loop.labels.answers import pull
from clworkbench.loop.labels.ask import push
from clworkbench.settings import QuestionSet
from clworkbench.workspace import Workspace
from tests.labels.test_argilla import answering


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("ARGILLA_API_URL", raising=False)
    monkeypatch.delenv("ARGILLA_API_KEY", raising=False)
    yield open_labelled(tmp_path / "w")
    stop(Home.of(tmp_path / "w"))


def test_the_made_up_workspace_knows_what_is_right(workspace):
    right = right_answers(workspace)
    signals = workspace.signals()
    assert set(right) == set(signals["interaction_id"])
    share = sum(right[own] == said for own, said in signals.select("interaction_id", "answer").rows()) / len(right)
    assert 0.5 < share < 0.8
    gold = workspace.labels()
    assert (gold.height, gold["source"].unique().to_list()) == (KNOWN, ["gold"])


def test_they_never_answer_among_real_people(tmp_path):
    with pytest.raises(LabelError, match="no demo's workspace"):
        review(Workspace.create(tmp_path / "w", key=b"k" * 32), {})


def test_they_never_answer_in_a_teams_argilla(workspace, monkeypatch):
    monkeypatch.setenv("ARGILLA_API_URL", "https://argilla.example.org")
    monkeypatch.setenv("ARGILLA_API_KEY", "key")
    with pytest.raises(LabelError, match="simulated reviewers do not answer there"):
        review(workspace, right_answers(workspace))


@pytest.mark.parametrize("answer", [(200, {}, b"garbage"), (401, {}, b"{}"), (500, {}, b"boom")])
def test_a_login_that_fails_is_told_in_words(workspace, monkeypatch, answer):
    with answering(answer) as (url, _):
        monkeypatch.setenv("ARGILLA_API_URL", url)
        monkeypatch.setenv("ARGILLA_API_KEY", "key")
        with pytest.raises(LabelError, match="ada cannot log in") as told:
            _logged_in(workspace, "ada", "the-password")
    with pytest.raises(LabelError, match="ada cannot log in"):
        _logged_in(workspace, "ada", "the-password")
    assert "the-password" not in str(told.value)


def test_each_judges_rightly_as_often_as_said():
    asked = QuestionSet("q", asks=("accept", "rate", "correct", "choose", "comment"), options=("A", "B", "C"))
    right = {f"s{i}": "ABC"[i % 3] for i in range(900)}
    for person in (Reviewer("sure", 1.0), Reviewer("so so", 0.8)):
        records = [_Record(id=own, external_id=own, fields={"answer": "A"}) for own in right]
        said = {record.external_id: _answers(record, asked, right, person, 0) for record in records}
        agreed = sum((each["answer"]["value"] == "accept") == (right[own] == "A") for own, each in said.items())
        assert agreed / 900 == pytest.approx(person.reliability, abs=0.04)
        assert all((v["rating"]["value"] >= 4) == (v["answer"]["value"] == "accept") for v in said.values())
        assert "comment" not in said["s0"]
        if person.reliability == 1.0:
            assert all(
                each["improvement"]["value"] == each["choice"]["value"] == right[own] for own, each in said.items()
            )


def test_the_best_of_several_answers_is_preferred_and_ranked_first():
    asked = QuestionSet("q", asks=("prefer", "rank"))
    record = _Record(id="1", external_id="s", fields={"conversation": [], "answer_1": "no", "answer_2": "yes"})
    said = _answers(record, asked, {"s": "yes", "t": "perhaps"}, Reviewer("sure", 1.0), 0)
    assert said["preference"]["value"] == "answer_2"
    assert [(each["value"], each["rank"]) for each in said["ranking"]["value"]] == [("answer_2", 1), ("answer_1", 2)]


@pytest.mark.argilla
def test_what_they_say_over_the_api_comes_back_as_labels(workspace):
    annotators(workspace, start=True)
    right = right_answers(workspace)
    with pytest.raises(LabelError, match="no data set 'review' yet"):
        review(workspace, right)
    choose(workspace, 12)
    pushed = push(workspace)
    assert pushed.gold == 4  # a quarter of all
    told = review(workspace, right)
    assert sum(told.answered.values()) == 2 * 16
    assert sum(review(workspace, right).answered.values()) == 0
    assert annotators(workspace).frame.rows() == [("annotators/review", 16, 0)]
    found = pull(workspace)
    assert (found.new, pull(workspace).new) == (4 * 2 * 16, 0)
    labels = workspace.labels().filter(pl.col("source") == "argilla/review")
    assert labels["annotator_key"].n_unique() == len(REVIEWERS)
    keys = {workspace.pseudonyms.user(person.name) for person in REVIEWERS}
    assert set(labels["annotator_key"]) == keys
    kept = labels.filter(pl.col("question") == "improvement")["equals_suggestion"]
    assert kept.null_count() == 0
    assert 0 < kept.sum() < kept.len()
    report = agreement(workspace)
    assert set(report.as_dict()) == {"answer", "rating", "choice", "improvement"}
    assert all(row["n"] == 16 for row in report.as_dict().values())
    assert report.annotators["n"].sum() > 0
    held = decided(workspace)
    assert held.labels.height + 2 * held.disputed.height <= labels.height + KNOWN
