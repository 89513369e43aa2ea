"""Wins and losses side by side: counted by hand, filtered, drawn, and shown without anything coming to life."""

import polars as pl
import pytest

from clworkbench.errors import EvidenceError
from clworkbench.releases.side_by_side import SideBySide, side_by_side
from tests.releases.frames import scores

HOSTILE = "<script>alert('owned')</script><img src=x onerror=alert(1)> $x$ </pre></details>"
SLICES = [["money"], ["money"], ["money"], ["cards"], ["cards"], []]
BEFORE = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
AFTER = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]


def suite(texts: list[str]) -> pl.DataFrame:
    message = [[{"role": "system", "content": "be brief"}, {"role": "user", "content": text}] for text in texts]
    ids = [f"e{n}" for n in range(len(texts))]
    return pl.DataFrame({"suite": ["s"] * len(texts), "example_id": ids, "input": message, "expected": texts})


def sides() -> SideBySide:
    old = scores(BEFORE, model="old", slices=SLICES, output=[f"old {n}" for n in range(6)])
    new = scores(AFTER, model="new", slices=SLICES, output=[HOSTILE, *(f"new {n}" for n in range(1, 6))])
    return side_by_side(old, new, "exact", suite([f"question {n}" for n in range(6)]))


def test_wins_losses_and_ties_are_counted_overall_and_by_slice():
    found = sides()
    assert found.counts() == {"win": 2, "loss": 2, "tie": 2}
    assert found.slices.select("slice", "n", "wins", "losses", "ties", "difference").rows() == [
        ("all", 6, 2, 2, 2, 0.0),
        ("cards", 2, 0, 1, 1, -0.5),
        ("money", 3, 2, 1, 0, pytest.approx(1 / 3)),
    ]
    assert repr(found) == "SideBySide(new against old by exact: 2 wins, 2 losses, 2 ties)"


def test_each_example_has_what_was_asked_expected_and_answered_losses_first():
    row = sides().frame.row(0, named=True)
    assert row == {
        "suite": "s", "example_id": "e1", "slices": ["money"], "outcome": "loss", "champion": 1.0, "challenger": 0.0,
        "input": "system: be brief\n\nuser: question 1", "expected": "question 1", "champion_output": "old 1",
        "challenger_output": "new 1",
    }  # fmt: skip
    assert sides().frame["outcome"].to_list() == ["loss", "loss", "win", "win", "tie", "tie"]


def test_it_can_be_narrowed_to_a_slice_and_an_outcome():
    assert sides().only(slice="money", outcome="win").frame["example_id"].to_list() == ["e0", "e2"]
    assert sides().only("cards").counts() == {"win": 0, "loss": 1, "tie": 1}
    with pytest.raises(EvidenceError, match=r"no slice 'monkey'.*all, cards, money"):
        sides().only("monkey")
    with pytest.raises(EvidenceError, match=r"no outcome 'lost'.*win, loss, tie"):
        sides().only(outcome="lost")


def test_texts_stand_behind_a_click_and_nothing_in_them_comes_to_life():
    shown = sides()._repr_html_()
    assert shown.count("<details") == 4
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert shown.count("</details>") == 4
    plain = sides().without_texts()._repr_html_()
    assert "<details" not in plain
    assert "question" not in plain
    assert "2 wins, 2 losses, 2 ties" in plain


def test_only_the_first_examples_are_shown_and_the_rest_is_counted():
    n = 50
    found = side_by_side(scores([1.0] * n), scores([0.0] * n, model="new"), "exact", suite(["x" * 5_000] * n))
    shown = found._repr_html_()
    assert shown.count("<details") == 20
    assert "and 30 more" in shown
    assert "(3,000 characters more)" in shown
    assert len(found.frame["input"][0]) > 5_000


def test_repetitions_are_averaged_and_examples_of_one_side_left_out():
    old = scores([1.0, 0.0, 1.0], model="old").with_columns(example_id=pl.Series(["e0", "e0", "e1"]))
    old = old.with_columns(repetition=pl.Series([0, 1, 0]), output=pl.Series(["first", "second", "x"]))
    new = scores([1.0, 1.0], model="new").with_columns(example_id=pl.Series(["e0", "e0"]), repetition=pl.Series([0, 1]))
    found = side_by_side(old, new, "exact", suite(["a"]))
    assert found.frame.select("example_id", "champion", "challenger", "champion_output").rows() == [
        ("e0", 0.5, 1.0, "first")
    ]


def test_a_scorer_that_graded_nothing_on_both_sides_is_said():
    with pytest.raises(EvidenceError, match="graded by 'rouge' on both sides"):
        side_by_side(scores([1.0]), scores([1.0], model="new"), "rouge", suite(["a"]))


def test_ties_alone_are_shown_as_ties():
    same = side_by_side(scores([1.0, 0.0]), scores([1.0, 0.0], model="new"), "exact", suite(["a", "b"]))
    assert same._repr_html_().count("= tie") == 2


def test_the_picture_has_a_dot_an_interval_and_n_for_each_slice():
    drawn = sides().plot().data[0]
    assert list(drawn.y) == ["all, n = 6", "cards, n = 2", "money, n = 3"]
    assert drawn.x[1] == -0.5
    assert drawn.error_x.array[0] > 0


def test_with_a_target_slice_all_outside_it_is_the_slice_rest():
    old, new = scores(BEFORE, slices=SLICES), scores(AFTER, model="new", slices=SLICES)
    found = side_by_side(old, new, "exact", suite(["q"] * 6), target="money")
    assert found.slices.filter(slice="rest").select("n", "wins", "losses", "ties").row(0) == (3, 0, 1, 2)
    assert found.only("rest").frame["example_id"].to_list() == ["e4", "e3", "e5"]
