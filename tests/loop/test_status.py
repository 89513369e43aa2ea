"""What a status names as the next step, and what it and the other counts say of what is no signal or overruled."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw as command
from clworkbench.loop import cycle, data
from clworkbench.loop.evals.scores import import_scores
from clworkbench.loop.releases.ship import gate
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.slices.slices import discover, slices
from clworkbench.loop.status import status
from clworkbench.loop.training_sets.convert import build
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[outcomes]
corrected = { negative = "edited" }
thumbs = { score = "thumbs" }
[training]
name = "mine"
[candidates]
duplicates = "exact"
"""
NO_ANSWER = "5 interactions have no answer and are no signals"
OVERRULED = "8 conflicts: corrected decides over thumbs in 8 of its 40 signals"


def chat(number: int) -> dict[str, object]:
    """45 of them: 40 with an answer and a thumb up, of which 8 were edited, and 5 without an answer."""
    asked, said = {"role": "user", "content": f"why {number}"}, {"role": "assistant", "content": "Yes."}
    names = ["thumbs", *(["edited"] if number % 5 == 0 else [])]
    heard = [{"name": name, "score": 1 if name == "thumbs" else None} for name in names]
    answered = number < 40
    return {
        "id": f"c{number}",
        "messages": [asked, *([said] if answered else [])],
        "feedback": heard if answered else [],
    }


@pytest.fixture
def place(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w", settings=SETTINGS)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(chat(n)) + "\n" for n in range(45)))
    return made


def bring(workspace: Workspace) -> Path:
    file = workspace.folder.parent / "a.jsonl"
    ingest(workspace, file, "openai")
    return file


def test_what_has_no_answer_is_told_where_it_is_read_counted_and_held_in_rates(place):
    words = ["--workspace", str(place.folder)]
    told = CliRunner().invoke(command, ["ingest", str(place.folder.parent / "a.jsonl"), *words])
    assert NO_ANSWER in told.stdout
    again = ingest(place, place.folder.parent / "a.jsonl")
    assert again.unanswered == 0
    assert status(place).notes == [NO_ANSWER]
    assert NO_ANSWER in CliRunner().invoke(command, ["status", *words]).stdout
    assert slices(place).notes[-1] == NO_ANSWER
    assert len(place.signals()) == 40


def test_a_rule_that_is_overruled_is_told_with_how_often(place):
    bring(place)
    assert slices(place).notes == (OVERRULED, NO_ANSWER)
    assert slices(place, event="n_feedback > 1").notes == (NO_ANSWER,)
    assert OVERRULED in slices(place).lines()
    assert discover(place, by=["text"]).lines()[-1] == OVERRULED
    assert cycle._outcomes(place.signals(), place.settings.outcomes).endswith(f"; {OVERRULED}")


def test_candidates_that_nobody_answered_are_the_next_step_until_somebody_does(place):
    bring(place)
    sheet = place.folder / "sheet.csv"
    assert not any("label push" in step for step in status(place).next)
    data.write_candidates(place, data.choose(place, 4), sheet)
    (step,) = (step for step in status(place).next if "label push" in step)
    assert "`clw label import FILE`" in step
    assert "4 candidates have no label" in step
    blank = pl.read_csv(sheet, infer_schema=False)
    blank.with_columns(value=pl.lit("accept"), annotator=pl.lit("ann")).write_csv(sheet)
    data.import_labels(place, sheet)
    assert not any("label push" in step for step in status(place).next)


def test_two_models_that_were_scored_elsewhere_are_to_be_held_against_each_other(place, tmp_path):
    for model, score in (("old", 0.0), ("new", 1.0)):
        assert status(place).next[0].startswith("clw ingest")
        scores = "".join(json.dumps({"example_id": f"e{n}", "score": score}) + "\n" for n in range(30))
        (tmp_path / f"{model}.jsonl").write_text(scores)
        import_scores(place, tmp_path / f"{model}.jsonl", model=model, suite="tickets")
    assert status(place).next == ["clw gate new --against old   (both have imported scores on tickets)"]
    gate(place, "new", against="old")
    assert status(place).next[0].startswith("clw ingest")


def test_the_set_to_train_is_the_newest_of_the_name_in_clw_toml(place):
    bring(place)
    made = build(place, "mine").id
    other = build(place, "other", kind="unpaired").id
    assert status(place).artefacts["training_set"][-1] == other
    assert f"clw train {made.removeprefix('training_set:')}" in status(place).next


def test_scores_from_0_to_1_that_a_rule_reads_by_their_sign_are_pointed_out(place):
    rows = [chat(n) | {"feedback": [{"name": "thumbs", "score": n % 2}]} for n in range(6)]
    (place.folder.parent / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(place, place.folder.parent / "b.jsonl", "openai")
    (step,) = [each for each in status(place).next if "good_from" in each]
    assert step.startswith("[outcomes] thumbs in clw.toml: 3 of 6 scores are 0, which says nothing, and none is below")
    assert place.signals()["outcome"].to_list().count(None) == 3
    toml = place.folder / "clw.toml"
    toml.write_text(toml.read_text().replace('score = "thumbs"', 'score = "thumbs", good_from = 0.5'))
    assert [each for each in status(place).next if "good_from" in each] == []
    assert sorted(place.signals()["outcome"].to_list()) == [False] * 3 + [True] * 3
