"""Agreement in a workspace: people's sheets, known answers, slices, experts; in Python and on the command line."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import LabelError
from clworkbench.loop.data import import_labels
from clworkbench.loop.labels.agreement import agreement, decided
from clworkbench.loop.labels.annotators import annotators
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.training_sets.convert import build
from clworkbench.schemas import LABELS
from clworkbench.workspace import Workspace
from tests.tiny_workspace import write_lines

SETTINGS = """\
format = 1
[slices]
parcels = "text LIKE '%parcel%'"
[labels.ask.review]
experts = ["Ann@example.com"]
"""


def chat(number):
    asked = f"where is {'parcel' if number % 2 else 'invoice'} {number}?"
    said = [{"role": "user", "content": asked}, {"role": "assistant", "content": f"answer {number}"}]
    return {"id": f"log:{number}", "created": f"2026-03-02T09:{number:02}:00Z", "messages": said}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w", settings=SETTINGS)
    ingest(made, write_lines(tmp_path / "chats.jsonl", [chat(number) for number in range(12)]), "openai")
    return made


def say(workspace, tmp_path, who, verdicts, *, source="reviewers", at="2026-03-05"):
    """One verdict for each signal in the order asked: a accepts, r rejects, . says nothing."""
    ids = workspace.signals().sort("started_at")["interaction_id"]
    words = {"a": "accept", "r": "reject"}
    rows = [f"{own},{words[each]},{who},{at}" for own, each in zip(ids, verdicts, strict=False) if each != "."]
    sheet = tmp_path / f"{who}-{source}-{at}.csv"
    sheet.write_text("\n".join(["interaction_id,value,annotator,at", *rows]) + "\n")
    return import_labels(workspace, sheet, source=source)


def test_two_sheets_are_compared_by_question_and_slice(workspace, tmp_path):
    say(workspace, tmp_path, "Ann@example.com", "aaaaaarrrrrr")
    say(workspace, tmp_path, "bob", "aaaaarrrrrra")
    report = agreement(workspace)
    row = report.as_dict()["answer"]
    # 24 votes, 12 and 12; of 12 units two differ: 4 coincidences, 288 by chance, over 23.
    assert row["alpha"] == pytest.approx(1 - 23 * 4 / 288)
    assert (row["n"], row["n_annotators"]) == (12, 2)
    # Parcels are the odd ones: the units 1, 3, 5, 7, 9, 11, of which 5 and 11 differ.
    (parcels,) = report.as_dict()["answer"]["slices"]
    assert (parcels["slice"], parcels["n"]) == ("parcels", 6)
    assert report.disagreements.height == 2
    assert "Ann" not in json.dumps(report.as_dict()) + report._repr_html_()


def test_an_expert_is_whom_the_others_are_held_against_and_who_decides(workspace, tmp_path):
    say(workspace, tmp_path, "Ann@example.com", "aaaarrrr")
    say(workspace, tmp_path, "bob", "aaaaaaar")
    report = agreement(workspace)
    bob = report.annotators.filter(report.annotators["n"] > 0)
    assert bob.select("n", "right").row(0) == (8, 5)
    found = decided(workspace)
    assert found.disputed.is_empty()
    assert found.labels.height == 8 + 5


def test_without_the_expert_a_tie_is_held_back_until_gold_decides(workspace, tmp_path):
    say(workspace, tmp_path, "bob", "aa")
    say(workspace, tmp_path, "cat", "ar")
    assert decided(workspace).disputed.height == 1
    say(workspace, tmp_path, "the book", ".r", source="gold")
    found = decided(workspace)
    assert found.disputed.is_empty()
    assert sorted(found.labels["source"]) == ["gold", "reviewers", "reviewers", "reviewers"]


def test_a_changed_answer_replaces_the_old_one_and_as_of_sees_what_was_known(workspace, tmp_path):
    say(workspace, tmp_path, "bob", "aaaa", at="2026-03-05")
    say(workspace, tmp_path, "cat", "rrra", at="2026-03-05")
    say(workspace, tmp_path, "cat", "aaar", at="2026-03-06")
    assert agreement(workspace).disagreements.height == 1
    # Committed today: of what was said in March, nothing was known in March.
    assert agreement(workspace, as_of=datetime(2026, 3, 5, 12, tzinfo=UTC)).frame.is_empty()


def test_texts_only_on_request(workspace, tmp_path):
    say(workspace, tmp_path, "bob", "aa")
    say(workspace, tmp_path, "cat", "rr")
    assert "where is" not in agreement(workspace)._repr_html_()
    assert "where is invoice 0?" in agreement(workspace, texts=True)._repr_html_()


def test_an_unknown_set_is_told_with_those_that_there_are(workspace, tmp_path):
    say(workspace, tmp_path, "bob", "aa")
    with pytest.raises(LabelError, match=r"no question set 'nope'.*There: review, reviewers"):
        agreement(workspace, "nope")
    assert agreement(workspace, "review").frame.is_empty()
    assert agreement(workspace, "reviewers").frame["labels"].to_list() == [2]


def run(workspace, *words):
    return CliRunner().invoke(clw, ["label", "agreement", *words, "--workspace", str(workspace.folder)])


def test_the_command_line_says_alpha_and_how_many_more_records_are_wanted(workspace, tmp_path):
    assert "no answers of annotators yet" in run(workspace).output
    say(workspace, tmp_path, "bob", "aaaaaarrrrrr")
    say(workspace, tmp_path, "cat", "aaaaarrrrrra")
    told = run(workspace, "--width", "0.1").output
    assert "answer         alpha 0.68 [" in told
    assert "more records with two answers would make it 0.1" in told
    answer = json.loads(run(workspace, "reviewers", "--json").output)
    assert {"alpha", "low", "high", "n", "enough", "more", "slices", "pairs"} <= set(answer["agreement"]["answer"])
    assert answer["disagreements"] == 2


def test_a_level_that_is_none_is_refused_in_words(workspace):
    for bad in ("rating", "rating=best", "=nominal"):
        refused = run(workspace, "--level", bad)
        assert refused.exit_code == 2
        assert "is not QUESTION=LEVEL with a level of nominal, ordinal, interval" in " ".join(refused.output.split())


def test_where_no_server_runs_the_way_to_one_is_told(workspace):
    with pytest.raises(LabelError, match="start=True"):
        annotators(workspace)


def test_a_training_set_learns_what_was_decided_and_holds_ties_back(workspace, tmp_path):
    say(workspace, tmp_path, "bob", "aara")
    say(workspace, tmp_path, "cat", "arar")
    made = build(workspace, "main").built
    assert (made.frame.height, made.dropped["disputed"]) == (1, 3)  # both accept the first; 2, 3 and 4 are ties
    say(workspace, tmp_path, "Ann@example.com", ".ara")
    made = build(workspace, "main").built
    assert (made.frame.height, made.dropped["disputed"], made.dropped["rejected"]) == (3, 0, 1)
    say(workspace, tmp_path, "known", "..a", source="gold")
    assert build(workspace, "main").built.frame.height == 4


def test_spans_are_compared_over_the_text_that_was_shown_with_what_pages_would_obey_written_out(workspace, tmp_path):
    talk = chat(0) | {"id": "log:turned", "created": "2026-03-03T09:00:00Z"}
    talk["messages"][1]["content"] = "abc\u202ed"  # shown as abc⟨U+202E⟩d: 12 characters
    ingest(workspace, write_lines(tmp_path / "turned.jsonl", [talk]), "openai")
    own = workspace.signals().sort("started_at")["interaction_id"][-1]
    rows = [
        {"label_id": who, "interaction_id": own, "question": "spans", "annotator_key": who, "value": value}
        | {"status": "submitted", "source": "argilla/review", "at": datetime(2026, 3, 4, tzinfo=UTC)}
        for who, value in (("a", '[{"start": 3, "end": 8, "label": "wrong"}]'), ("b", "[]"))
    ]
    workspace.write_batch("b", "labels", {"labels": pl.DataFrame(rows, schema=LABELS).drop("batch_id")})
    # 12 units and 24 values, 5 of them marked: 2 * 5 coincidences differ, of 2 * 5 * 19 by chance, over 23.
    assert agreement(workspace).as_dict()["spans"]["alpha"] == pytest.approx(1 - 23 * 10 / 190)
