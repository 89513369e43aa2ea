"""Selections of a workspace: the same again, what is left for the next, and labels that come along."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from clworkbench.candidates.estimate import estimated
from clworkbench.errors import ExpressionError
from clworkbench.loop import data
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.training_sets.convert import build
from clworkbench.schemas import LABELS
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[outcomes]
thumbs = { score = "thumbs" }
[slices]
refunds = "text LIKE '%refund%'"
"""

SUBJECTS = ("cards", "parcels", "refunds", "prices", "cheques")
ASKS = ("please explain {} to me", "who sells {} here", "when do {} come", "are {} safe", "cancel all {} now", "why {}")
THUMBED_DOWN = 10


def chat(number: int, *, model: str = "m1", user: str | None = None) -> dict[str, object]:
    """Thirty different questions; a third was thumbed down."""
    asked = ASKS[number // 5 % 6].format(SUBJECTS[number % 5])
    return {
        "id": f"{model} {number}",
        "created": f"2026-03-01T11:{number:02}:00Z",
        "model": model,
        "user": user or f"user {number}",
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": "Yes." if model == "m1" else "No."},
        ],
        "feedback": [{"name": "thumbs", "score": -1 if number % 3 == 0 else 1, "at": "2026-03-01T12:00:00Z"}],
    }


@pytest.fixture
def place(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "w", settings=SETTINGS)
    bring(workspace, [chat(number) for number in range(30)])
    return workspace


def bring(workspace: Workspace, rows: list[dict[str, object]]) -> None:
    path = workspace.folder / f"chats-{len(list(workspace.folder.glob('chats-*')))}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(workspace, path, "openai")


def also(workspace: Workspace, toml: str) -> None:
    file = workspace.folder / "clw.toml"
    file.write_text(file.read_text() + toml)


def label(workspace: Workspace, which: str, value: str, who: str = "ann", status: str = "submitted") -> None:
    row = {
        "label_id": f"{which}{who}{value}{status}", "interaction_id": which, "question": "answer", "value": value,
        "annotator_key": who, "status": status, "source": "reviewers",
        "at": datetime(2026, 3, 2, len(status), tzinfo=UTC),
    }  # fmt: skip
    frame = pl.DataFrame([{**dict.fromkeys(LABELS), **row}], schema=LABELS)
    data.keep_labels(workspace, row["label_id"], frame, source="reviewers", detail={})


def ids(selection) -> list[str]:
    return selection.frame["interaction_id"].to_list()


def test_where_nothing_changed_the_same_selection_is_made_and_adds_nothing(place):
    first = data.choose(place, 6)
    again = data.choose(place, 6)
    assert ids(again) == ids(first)
    assert again.by_reason == first.by_reason
    assert place.read("candidates").height == 6
    assert len(place.catalog.batches(kind="select")) == 1


def test_what_was_drawn_before_is_not_drawn_again_and_its_number_is_told(place):
    first = data.choose(place, 6)
    more = data.choose(place, 10)
    assert not set(ids(first)) & set(ids(more))
    assert more.taken_out["drawn_before"] == 6
    assert more.n_frame == 24
    assert data.choose(place, 6).frame["interaction_id"].to_list() == ids(first)  # as it was asked then
    rest = data.choose(place, 100)
    assert (rest.frame.height, sum(rest.taken_out.values())) == (14, 16)
    nothing = data.choose(place, 99)
    assert (nothing.frame.height, nothing.taken_out["drawn_before"]) == (0, 30)
    assert len(place.catalog.batches(kind="select")) == 3


def test_new_signals_are_drawn_with_the_same_chance_as_those_left(place):
    data.choose(place, 10)
    bring(place, [chat(number, model="m2") for number in range(10)])
    found = data.choose(place, 12)
    by_stratum = found.frame.group_by("stratum").agg(pl.col("inclusion_probability").n_unique())
    assert by_stratum["inclusion_probability"].to_list() == [1] * by_stratum.height
    assert (1 / found.frame["inclusion_probability"]).sum() == pytest.approx(30)


def test_a_labelled_signal_is_not_drawn_and_tells_its_label(place):
    one = place.signals()["interaction_id"][0]
    label(place, one, "accept")
    found = data.choose(place, 30)
    assert one not in ids(found)
    assert found.taken_out["labelled"] == 1
    assert found.labelled.rows() == [(one, one, "answer", "accept")]
    label(place, one, "accept", status="withdrawn")
    assert one in ids(data.choose(place, 31))


def test_a_new_signal_of_the_same_words_brings_the_label_along(place):
    one = place.signals().filter(pl.col("source_id") == "m1 4")["interaction_id"].item()
    label(place, one, "reject")
    bring(place, [{**chat(4), "id": "again", "user": "someone else"}])
    found = data.choose(place, 40)
    again = place.signals().filter(pl.col("source_id") == "again")["interaction_id"].item()
    assert again not in ids(found)
    assert set(found.labelled.rows()) == {(one, one, "answer", "reject"), (again, one, "answer", "reject")}
    assert (found.taken_out["labelled"], found.taken_out["duplicate"]) == (1, 1)


def test_where_annotators_differ_one_more_answer_is_wanted(place):
    one, two = place.signals()["interaction_id"][:2]
    data.choose(place, 30)
    for who, value in (("ann", "accept"), ("bob", "reject")):
        label(place, one, value, who)
    label(place, two, "accept")
    found = data.choose(place, 30)
    assert ids(found) == [one]
    assert "label_conflict" in found.frame["reasons"][0]
    assert data.choose(place, 29).frame.is_empty()  # it waits for that answer now


def test_two_models_that_differ_a_drifted_slice_and_a_reason_of_ones_own(place):
    bring(place, [chat(number, model="m2") for number in range(2)])
    also(place, "[candidates.reasons]\nlost_refunds = \"refunds AND NOT outcome\"\nmoney = 'refunds'\n")
    drifted = place.signals().select("interaction_id", drifted_slice=pl.col("source_id") == "m1 11")
    found = data.choose(place, 32, beside=drifted).frame.join(
        place.signals().select("interaction_id", "source_id"), on="interaction_id"
    )
    why = dict(found.select("source_id", "reasons").iter_rows())
    by_hand = {f"m1 {n}" for n in range(30) if n % 5 == 2}
    assert {name for name, all_ in why.items() if "money" in all_} == by_hand
    assert {name for name, all_ in why.items() if "lost_refunds" in all_} == {"m1 12", "m1 27"}
    assert {name for name, all_ in why.items() if "disagreement" in all_} == {"m1 0", "m2 0", "m1 1", "m2 1"}
    assert {name for name, all_ in why.items() if "drifted_slice" in all_} == {"m1 11"}
    assert why["m1 12"] == ["lost_refunds", "money", "failure"]


def test_a_reason_that_names_what_is_not_there_is_told_with_its_place(place):
    also(place, '[candidates.reasons]\nmine = "refund AND NOT outcome"\n')
    with pytest.raises(ExpressionError, match=r"(?s)candidates.reasons.mine: .*no column 'refund'"):
        data.choose(place, 5)
    with pytest.raises(ExpressionError, match="signals have a column 'text' already"):
        data.choose(place, 5, beside=place.signals().select("interaction_id", "text"))


def test_a_user_has_no_more_than_the_cap(place):
    bring(place, [{**chat(number, model="m2"), "user": "one"} for number in range(20)])
    also(place, "[candidates]\nper_user = 2\n")
    found = data.choose(place, 100)
    assert found.taken_out["over_user_cap"] == 18
    assert found.frame.height == 32


def test_a_workspace_without_feedback_draws_at_random_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "bare", settings="format = 1\n")
    assert data.choose(workspace, 5).frame.is_empty()
    bring(workspace, [{name: value for name, value in chat(k).items() if name != "feedback"} for k in range(10)])
    found = data.choose(workspace, 5)
    assert found.frame["stratum"].unique().to_list() == ["random"]
    assert found.silent["failure"] == "no outcome is settled"
    assert found.silent["novelty"] == "there is no training set yet to compare with"


def test_a_training_set_that_is_too_small_to_be_unlike_is_told_with_how_large_is_enough(place):
    made = build(place, "small", where="text LIKE '%cards%'").id
    data.choose(place, 5)
    found = data.choose(place, 5)
    name = made.removeprefix("training_set:")
    assert found.silent["novelty"] == f"training set {name} has fewer than 20 different prompts to compare with"
    assert f"({found.silent['novelty']})" in "\n".join(found.lines())


def test_candidates_in_the_table_estimate_the_rate_of_all(place):
    data.choose(place, 12)
    rows = place.read("candidates").join(place.signals().select("interaction_id", "outcome"), on="interaction_id")
    found = estimated(rows, ~pl.col("outcome"))
    assert (found.rate, found.n, found.n_frame) == (pytest.approx(THUMBED_DOWN / 30), 12, 30)


def test_an_earlier_day_is_selected_as_it_was(place):
    at = datetime(2026, 3, 1, 11, 20, tzinfo=UTC)
    first = data.choose(place, 5, as_of=at, event_time=True)
    data.choose(place, 20)
    assert ids(data.choose(place, 5, as_of=at, event_time=True)) == ids(first)
    assert first.n_signals == 21
