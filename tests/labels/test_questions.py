import json

import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.questions import (
    FieldThere,
    QuestionThere,
    differences,
    form,
    read_guidelines,
)
from clworkbench.settings import ASKS, QuestionSet

ALL = QuestionSet("all", asks=ASKS, options=("bill", "card"), span_labels=("wrong",), ratings=7, overlap=3)


def names(rows):
    return [row["name"] for row in rows]


def as_there(made):
    """What Argilla gives back of a form: more than was sent."""
    fields = [FieldThere(each["name"], each["required"], {**each["settings"], "more": 1}) for each in made.fields]
    questions = [
        QuestionThere(
            "id", each["name"], each["required"], {**json.loads(json.dumps(each["settings"])), "visible": None}
        )
        for each in made.questions
    ]
    return fields, questions


def test_every_ask_is_a_question_of_its_kind_in_the_order_asked():
    made = form(ALL, n_answers=3)
    assert [(each["name"], each["settings"]["type"]) for each in made.questions] == [
        ("answer", "label_selection"),
        ("rating", "rating"),
        ("preference", "label_selection"),
        ("ranking", "ranking"),
        ("improvement", "text"),
        ("choice", "label_selection"),
        ("spans", "span"),
        ("comment", "text"),
    ]


def test_questions_offer_what_the_set_says():
    values = {
        each["name"]: [option["value"] for option in each["settings"].get("options", [])]
        for each in form(ALL, n_answers=3).questions
    }
    assert values["answer"] == ["accept", "reject"]
    assert values["rating"] == [1, 2, 3, 4, 5, 6, 7]
    assert values["preference"] == ["answer_1", "answer_2", "answer_3", "none"]
    assert values["ranking"] == ["answer_1", "answer_2", "answer_3"]
    assert values["choice"] == ["bill", "card"]
    assert values["spans"] == ["wrong"]


def test_several_options_may_be_chosen_where_the_set_says_so():
    asked = QuestionSet("s", asks=("choose",), options=("a", "b"), several=True)
    assert form(asked).questions[0]["settings"]["type"] == "multi_label_selection"


def test_nothing_is_markdown_and_chat_has_no_spans():
    made = form(ALL, n_answers=2)
    assert names(made.fields) == ["conversation", "answer", "answer_1", "answer_2", "tools"]
    assert {each["settings"]["use_markdown"] for each in made.fields} == {False}
    assert made.questions[4]["settings"]["use_markdown"] is made.questions[7]["settings"]["use_markdown"] is False
    assert made.questions[6]["settings"]["field"] == "answer"


def test_a_set_that_only_compares_does_not_show_which_answer_is_the_models():
    assert names(form(QuestionSet("s", asks=("rank", "comment")), n_answers=2).fields) == [
        "conversation",
        "answer_1",
        "answer_2",
        "tools",
    ]


@pytest.mark.parametrize(
    ("asks", "required"),
    [
        (("accept", "correct", "comment"), ["answer"]),
        (("comment", "correct"), ["improvement"]),
        (("spans", "comment"), ["spans"]),
        (("rank", "correct", "spans"), ["ranking"]),
    ],
    ids=["accept", "correct alone", "spans alone", "rank"],
)
def test_a_right_answer_needs_no_correction_and_nothing_to_mark_but_something_must_be_said(asks, required):
    made = form(QuestionSet("s", asks=asks, span_labels=("x",)), n_answers=2)
    assert [each["name"] for each in made.questions if each["required"]] == required


def test_annotators_do_not_see_why_an_answer_was_chosen_nor_whose_it_is():
    seen = {each["name"]: each["visible_for_annotators"] for each in form(ALL, n_answers=2).metadata}
    assert [name for name, visible in seen.items() if not visible] == ["reasons", "model"]


def test_a_data_set_made_from_the_form_differs_in_nothing():
    made = form(ALL, n_answers=2)
    assert differences(made, *as_there(made)) == []
    assert made.distribution == {"strategy": "overlap", "min_submitted": 3}


def test_what_differs_is_told():
    there = as_there(form(QuestionSet("s", asks=("rate", "choose"), options=("a", "b"), ratings=3)))
    wanted = form(QuestionSet("s", asks=("rate", "accept"), ratings=5))
    assert differences(wanted, *there) == [
        "question rating: options is 1, 2, 3 there, and 1, 2, 3, 4, 5 in clw.toml",
        "question answer: not there",
        "question choice: only there",
    ]


def test_other_numbers_of_answers_differ():
    asked = QuestionSet("s", asks=("rank",))
    assert differences(form(asked, n_answers=3), *as_there(form(asked, n_answers=2))) == [
        "field answer_3: not there",
        "question ranking: options is answer_1, answer_2 there, and answer_1, answer_2, answer_3 in clw.toml",
    ]


def test_guidelines_come_from_a_file(tmp_path):
    file = tmp_path / "guide.md"
    file.write_text("\ufeff# Müsli\n\n", "utf-8")
    assert read_guidelines(file) == "# Müsli"
    file.write_text("  \n")
    assert read_guidelines(file) is None
    assert read_guidelines(None) is None


def test_guidelines_that_cannot_be_used_are_refused_in_words(tmp_path):
    file = tmp_path / "guide.md"
    with pytest.raises(LabelError, match=r"guide.md cannot be read: No such file.*\nWrite it, or mend `guidelines`"):
        read_guidelines(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(LabelError, match="not UTF-8 text"):
        read_guidelines(file)
    file.write_text("x" * 10_001)
    with pytest.raises(LabelError, match=r"10,001 characters, and Argilla takes 10,000"):
        read_guidelines(file)
    with pytest.raises(LabelError, match="cannot be read"):
        read_guidelines(tmp_path)
