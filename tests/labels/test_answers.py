"""Answers as Argilla gives them become labels: every kind of question, every state, and whatever else is in there."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from clworkbench.labels.answers import Question, Reader, answers, moment, withdrawn
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import ASKED, LABELS

KEY = Pseudonyms(b"k" * 32)
OWN, OTHER = "a" * 32, "b" * 32
QUESTIONS = {
    "answer": Question("q1", "label_selection", required=True),
    "rating": Question("q2", "rating", required=False),
    "preference": Question("q3", "label_selection", required=False),
    "ranking": Question("q4", "ranking", required=False),
    "improvement": Question("q5", "text", required=False),
    "choice": Question("q6", "multi_label_selection", required=False),
    "spans": Question("q7", "span", required=False),
    "comment": Question("q8", "text", required=False),
    "mood": Question("q9", "text", required=False),
}
ASK = pl.DataFrame(
    [{"interaction_id": OWN, "candidate_id": "c1", "options": [OWN, OTHER, "improvement"]}], schema_overrides=ASKED
)


def reader(**other: object) -> Reader:
    return Reader("argilla/review", QUESTIONS, {"u1": KEY.user("ann")}, KEY)._replace(**other)


def record(said: dict[str, object] | None, *, suggested: dict[str, object] | None = None, **other: object) -> dict:
    """A record as it came from a server of 2.8.0, its one response's values replaced."""
    values = None if said is None else {name: {"value": value} for name, value in said.items()}
    response = {
        "id": "54613ff3-e3c2-4f84-b8d6-2c70f33d88c8",
        "values": values,
        "status": "submitted",
        "record_id": "bfdc0b82-c912-491e-8756-5c5bceb70e0f",
        "user_id": "u1",
        "inserted_at": "2026-11-23T16:08:55.417275",
        "updated_at": "2026-11-23T16:08:55.917133",
    }
    suggestions = [
        {"question_id": QUESTIONS[name].id, "value": value, "type": None, "agent": "m", "score": None}
        for name, value in (suggested or {}).items()
    ]
    return {
        "id": "bfdc0b82-c912-491e-8756-5c5bceb70e0f",
        "status": "completed",
        "fields": {"answer": "the answer 0"},
        "metadata": None,
        "external_id": OWN,
        "responses": [response | other],
        "suggestions": suggestions,
        "inserted_at": "2026-11-23T16:08:55.293208",
        "updated_at": "2026-11-23T16:08:56.187749",
    }


def label(said: dict[str, object] | None, **other: object) -> dict[str, object]:
    """The one label of a record."""
    found = answers([record(said, **other)], ASK, reader())
    assert found.left_out == {}
    (row,) = found.labels.to_dicts()
    return row


@pytest.mark.parametrize(
    ("question", "answer", "value"),
    [
        ("answer", "accept", "accept"),
        ("rating", 4, "4"),
        ("preference", "answer_2", OTHER),
        ("preference", "answer_3", "improvement"),
        ("preference", "none", "none"),
        ("ranking", [{"value": "answer_2", "rank": 1}, {"value": "answer_1", "rank": 2}], json.dumps([[OTHER], [OWN]])),
        (
            "ranking",
            [{"value": f"answer_{n}", "rank": rank} for n, rank in ((3, 2), (1, 2), (2, 1))],
            json.dumps([[OTHER], [OWN, "improvement"]]),
        ),
        ("ranking", [{"value": "answer_1", "rank": None}, {"value": "answer_2", "rank": 1}], json.dumps([[OTHER]])),
        ("choice", ["b", "a"], '["a", "b"]'),
        ("choice", "größer", "größer"),
        (
            "spans",
            [{"label": "rude", "start": 5, "end": 7}, {"label": "wrong", "start": 0, "end": 3}],
            '[{"start": 0, "end": 3, "label": "wrong"}, {"start": 5, "end": 7, "label": "rude"}]',
        ),
        ("spans", [], "[]"),
        ("comment", "as\n  said\0", "as\n  said\0"),
    ],
)
def test_each_kind_of_answer_has_its_value(question, answer, value):
    said = label({question: answer})

    assert (said["question"], said["value"], said["improvement"]) == (question, value, None)


def test_a_label_says_who_when_about_what_and_where_it_was_asked():
    said = label({"answer": "reject"})

    assert list(said) == [name for name in LABELS if name != "batch_id"]
    expected = {
        "interaction_id": OWN,
        "annotator_key": KEY.user("ann"),
        "status": "submitted",
        "at": datetime(2026, 11, 23, 16, 8, 55, 917133, UTC),
        "source": "argilla/review",
        "candidate_id": "c1",
        "equals_suggestion": None,
    }
    assert {name: said[name] for name in expected} == expected


def test_an_improvement_is_a_message_of_the_assistant():
    said = label({"improvement": "Better\u2028so. {x}"})

    assert said["value"] is None
    assert [(m["role"], m["content"]) for m in said["improvement"]] == [("assistant", "Better\u2028so. {x}")]


@pytest.mark.parametrize(
    ("question", "answer", "suggested", "expected"),
    [
        ("improvement", "one\ntwo", "one\r\ntwo", True),
        ("improvement", "one\ntwo", "one\rtwo", True),
        ("improvement", "one two", "one  two", False),
        ("improvement", "One", "one", False),
        ("improvement", "one ", "one", False),
        ("choice", ["a", "b"], ["b", "a"], True),
        ("choice", ["a"], ["b", "a"], False),
        ("rating", 4, 4, True),
        ("rating", 4, 5, False),
        ("ranking", [{"value": "answer_1", "rank": 1}], [{"value": "answer_1", "rank": 1}], True),
        ("preference", "answer_1", "answer_1", True),
        ("rating", 4, "broken", False),
    ],
)
def test_an_answer_equals_what_was_filled_in_but_for_line_ends(question, answer, suggested, expected):
    assert label({question: answer}, suggested={question: suggested})["equals_suggestion"] is expected


def test_a_suggestion_for_another_question_is_not_compared():
    assert label({"answer": "accept"}, suggested={"comment": "accept"})["equals_suggestion"] is None


@pytest.mark.parametrize("status", ["submitted", "draft", "discarded"])
def test_submitted_draft_and_discarded_are_told_apart(status):
    assert label({"answer": "accept"}, status=status)["status"] == status


def test_a_discarded_record_says_so_of_its_required_question_though_it_says_nothing_else():
    said = label(None, status="discarded")

    assert (said["question"], said["value"], said["status"]) == ("answer", None, "discarded")


@pytest.mark.parametrize("nothing", [None, "", "  \n "])
def test_what_was_left_empty_says_nothing(nothing):
    found = answers([record({"comment": nothing, "improvement": nothing})], ASK, reader())

    assert (found.labels.height, found.heard.height, found.left_out) == (0, 0, {})


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("answer", 3, "answer: its value is no text"),
        ("rating", "4", "rating: its value is no whole number"),
        ("rating", True, "rating: its value is no whole number"),
        ("preference", "answer_4", "preference: 'answer_4' is none of the 3 that were shown"),
        ("preference", "answer_²", "preference: 'answer_²' is none of the 3 that were shown"),
        ("ranking", "answer_1", "ranking: its value is no ranking"),
        ("ranking", [{"value": "x", "rank": 1}], "ranking: 'x' is none of the 3 that were shown"),
        ("spans", [{"label": "rude", "start": "0", "end": 2}], "spans: its spans have no offsets"),
        ("spans", {"label": "rude"}, "spans: its value is no list of spans"),
        ("choice", [1], "choice: its value is no text"),
        ("comment", "half \ud83d", "comment: it holds half a character (a lone surrogate)"),
        ("improvement", "half \ud83d", "improvement: it holds half a character (a lone surrogate)"),
        ("mood", "fine", "a question that is not ours: 'mood'"),
        ("gone", "x", "a question that is not ours: 'gone'"),
    ],
)
def test_a_value_that_says_nothing_usable_is_left_out_with_its_reason_and_the_others_stay(question, answer, reason):
    found = answers([record({question: answer, "answer": "accept"} | {question: answer})], ASK, reader())

    assert found.left_out == {reason: 1}
    assert found.labels["question"].to_list() == ([] if question == "answer" else ["answer"])


@pytest.mark.parametrize(
    "other",
    [{"status": "strange"}, {"updated_at": "yesterday"}, {"updated_at": None}],
    ids=["status", "no time", "time missing"],
)
def test_a_response_that_is_none_is_left_out_and_heard_so_that_it_withdraws_nothing(other):
    found = answers([record({"answer": "accept"}, **other)], ASK, reader())

    assert (found.labels.height, found.heard.height, sum(found.left_out.values())) == (0, 1, 1)


def test_records_of_any_shape_are_read():
    shapes = [
        {},
        {"external_id": OWN},
        {"external_id": OWN, "responses": None},
        {"external_id": OWN, "responses": [None, 3, "x", {}]},
        {"external_id": None, "responses": [{"values": {}, "user_id": "u"}]},
        {"external_id": OWN, "responses": [{"values": [1], "status": "submitted"}]},
        {"external_id": OWN, "responses": [{"values": {"answer": 3}, "status": "submitted"}], "suggestions": 4},
    ]

    found = answers(shapes, ASK.clear(), reader())

    assert found.labels.is_empty()
    assert found.left_out == {"a record without an interaction's id": 1, "answer: 'None' is no time": 1}


def test_what_a_preference_stands_for_must_be_noted():
    found = answers([record({"preference": "answer_1", "answer": "accept"})], ASK.clear(), reader())

    assert found.labels.select("question", "candidate_id").rows() == [("answer", None)]
    assert list(found.left_out) == [
        "preference: what its options stand for is not noted yet: run `clw label push` again"
    ]


def test_an_annotator_nobody_knows_has_a_key_of_the_account():
    assert label({"answer": "accept"}, user_id="u2")["annotator_key"] == KEY.user("u2")


def test_personal_data_in_what_people_wrote_is_taken_out_and_what_they_chose_stays():
    said = {"comment": "ann@example.org", "improvement": "ask ann@example.org", "choice": ["ann@example.org"]}
    rows = {row["question"]: row for row in answers([record(said)], ASK, reader()).labels.iter_rows(named=True)}

    assert "@" not in rows["comment"]["value"]
    assert "@" not in rows["improvement"]["improvement"][0]["content"]
    assert rows["choice"]["value"] == '["ann@example.org"]'
    kept = answers([record(said)], ASK, reader(redacted=False)).labels
    assert kept.filter(pl.col("question") == "comment")["value"].item() == "ann@example.org"


def test_the_same_answer_is_the_same_label_and_another_value_state_or_time_another():
    base = label({"rating": 4})
    again = label({"rating": 4})
    others = [
        label({"rating": 5}),
        label({"rating": 4}, status="draft"),
        label({"rating": 4}, updated_at="2026-11-23T16:08:55.917134"),
        label({"rating": 4}, user_id="u2"),
    ]

    assert again["label_id"] == base["label_id"]
    assert len({base["label_id"], *(other["label_id"] for other in others)}) == 5


def test_a_simulations_time_is_the_labels_and_leaves_its_id():
    march = datetime(2026, 3, 1, tzinfo=UTC)
    then = answers([record({"rating": 4})], ASK, reader(at=march)).labels

    assert then["at"].item() == march
    assert then["label_id"].item() == label({"rating": 4})["label_id"]


def test_a_label_is_withdrawn_after_it_was_given_whatever_the_clocks_say():
    given = pl.DataFrame([label({"rating": 4})], schema_overrides=LABELS)
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)

    rows = [withdrawn(given, at=at, pseudonyms=KEY).to_dicts()[0] for at in (early, late)]

    assert [row["at"] for row in rows] == [datetime(2026, 11, 23, 16, 8, 55, 917134, UTC), late]
    assert {(row["status"], row["value"], row["question"]) for row in rows} == {("withdrawn", None, "rating")}
    assert len({given["label_id"].item(), *(row["label_id"] for row in rows)}) == 2


def test_spans_are_characters_of_the_text_that_was_shown_where_the_page_counts_units():
    shown = "👍👍 &lt;b&gt; &#128077; Montag"  # as a page shows it: 👍👍 <b> 👍 Montag
    text = "👍👍 <b> 👍 Montag"
    page = len(text[: text.index("Montag")].encode("utf-16-le")) // 2
    marked = [{"label": "wrong", "start": page, "end": page + 6}]
    (said,) = answers([record({"spans": marked}) | {"fields": {"answer": shown}}], ASK, reader()).labels.to_dicts()
    (span,) = json.loads(said["value"])
    assert text[span["start"] : span["end"]] == "Montag"
    assert page != span["start"]


@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
def test_a_time_of_argillas_is_utc_with_and_without_a_zone(zone):
    assert moment(f"2026-11-23T16:08:55.917133{zone}") == datetime(2026, 11, 23, 16, 8, 55, 917133, tzinfo=UTC)


def test_the_same_answer_under_another_key_is_another_label():
    other = answers([record({"answer": "accept"})], ASK, reader(annotators={"u1": KEY.user("bob")}))
    assert other.labels["label_id"].item() != label({"answer": "accept"})["label_id"]
