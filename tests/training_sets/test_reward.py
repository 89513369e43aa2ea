"""Pairs of whole dialogues, and by how much the better one is better."""

import pytest

from tests.training_sets.made import label, labels, opinions, reward, signal, signals, taken, texts, voice

BOTH = ("chosen", "rejected")


def test_the_dialogues_are_whole_and_nobody_said_by_how_much():
    made = reward(signals(signal("a", "a?", "old")), opinions(voice("f", "a", "new")))
    [row] = made.frame.iter_rows(named=True)
    assert [message["content"] for message in row["chosen"]] == ["a?", "new"]
    assert [message["content"] for message in row["rejected"]] == ["a?", "old"]
    assert row["margin"] is None
    assert row["rule"] == "corrected"


def test_differently_rated_answers_to_one_prompt_make_a_pair_with_a_margin():
    found = signals(*(signal(own, "Where is it?", f"answer {own}") for own in "abc"), signal("d", "When?", "now"))
    judged = labels(*(label(f"l{own}", own, "rating", rating) for own, rating in (("a", "5"), ("b", "3"), ("d", "1"))))
    made = reward(found, opinions(labels=judged))
    # Of 5 places, the fifth is 1, the third 0: a margin of 1.
    assert texts(made, *BOTH) == [("answer a", "answer b")]
    assert made.frame["margin"].to_list() == [1.0]
    assert made.frame["rule"].to_list() == ["rated"]
    assert made.frame["label_ids"].to_list() == [["la", "lb"]]
    assert taken(made) == {"no_pair": 2}


def test_ratings_of_users_count_where_no_reviewer_rated():
    found = signals(signal("a", "q?", "A"), signal("b", "q?", "B"))
    thumbs = [
        voice("f1", "a", kind="rating", score=1.0, name="thumbs"),
        voice("f2", "a", kind="rating", score=0.0, name="thumbs"),
        voice("f3", "b", kind="rating", score=-1.0, name="thumbs"),
        voice("f4", "b", kind="rating", score=float("nan"), name="stars"),
        voice("f5", "b", kind="rating", score=7.0, name="stars"),
    ]
    made = reward(found, opinions(*thumbs))
    assert made.frame["margin"].to_list() == [1.5]
    assert sorted(made.frame["feedback_ids"].to_list()[0]) == ["f1", "f2", "f3"]


@pytest.mark.parametrize("value", ["", "five", "0", "6", "nan", "1e9"])
def test_a_rating_that_is_none_says_nothing(value):
    found = signals(signal("a", "q?", "A"), signal("b", "q?", "B"))
    judged = labels(label("l1", "a", "rating", value), label("l2", "b", "rating", "3"))
    assert reward(found, opinions(labels=judged)).frame.is_empty()


def test_a_picked_answer_has_a_margin_only_where_the_ratings_agree_with_the_pick():
    found = signals(signal("a", "q?", "A"), signal("b", "q?", "B"))
    for ratings, margins in {("5", "1"): [2.0], ("3", "3"): [None], ("1", "5"): [None]}.items():
        judged = labels(
            label("l", "a", "preference", "a"),
            label("l1", "a", "rating", ratings[0]),
            label("l2", "b", "rating", ratings[1]),
        )
        made = reward(found, opinions(labels=judged, asked={"a": ["a", "b"]}))
        assert texts(made, *BOTH) == [("A", "B")]
        assert made.frame["margin"].to_list() == margins


def test_runs_without_a_shared_prompt_are_dialogues_all_the_same():
    found = signals(
        signal("w", "One way.", "good", outcome=True, attributes='{"task_id": 7}'),
        signal("l", "Another.", "bad", outcome=False, attributes='{"task_id": 7}'),
    )
    [row] = reward(found, opinions()).frame.iter_rows(named=True)
    assert [message["content"] for message in row["chosen"]] == ["One way.", "good"]
    assert [message["content"] for message in row["rejected"]] == ["Another.", "bad"]


def test_a_margin_rests_on_the_ratings_that_it_comes_from():
    found = signals(*(signal(own, "Where is it?", f"answer {own}") for own in "ab"))
    judged = labels(
        label("l", "a", "preference", "a"), label("la", "a", "rating", "5"), label("lb", "b", "rating", "3")
    )
    made = reward(found, opinions(labels=judged, asked={"a": ["a", "b"]}))
    [row] = made.frame.iter_rows(named=True)
    assert (row["rule"], row["margin"], sorted(row["label_ids"])) == ("picked", 1.0, ["l", "la", "lb"])
