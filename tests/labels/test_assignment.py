import polars as pl
import pytest

from clworkbench.labels.assignment import gold_signals, mixed, n_gold
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import QuestionSet

KEY = Pseudonyms(b"k" * 32)


@pytest.mark.parametrize(
    ("share", "n", "candidates", "gold"),
    [(0.1, 200, 180, 20), (0.1, 100, 1000, 10), (0.0, 100, 100, 0), (1.0, 10, 50, 10), (0.5, 100, 20, 20)],
    ids=["all of them", "fewer than there are", "none", "only gold", "half"],
)
def test_known_answers_are_their_share_of_all_records(share, n, candidates, gold):
    assert n_gold(QuestionSet("s", gold=share), n, candidates) == gold


def candidates(n, prefix="c"):
    ids = [f"{prefix}{number}" for number in range(n)]
    return pl.DataFrame(
        {
            "interaction_id": ids,
            "candidate_id": ids if prefix == "c" else [None] * n,
            "reasons": [["failure"], ["random"]] * (n // 2) if prefix == "c" else [None] * n,
        },
        schema={"interaction_id": pl.String, "candidate_id": pl.String, "reasons": pl.List(pl.String)},
    )


def test_known_answers_stand_unmarked_among_the_others():
    found = mixed(QuestionSet("s", gold=0.1), candidates(90), candidates(50, "g"), 1000, KEY)
    assert found["gold"].sum() == 10
    assert found.height == 100
    gold = found.filter("gold")
    assert gold["reasons"].list.join("+").is_in(["failure", "random"]).all()
    places = found["gold"].arg_true()
    assert places[0] < 40
    assert places[-1] > 60
    assert found.filter(~pl.col("gold"))["interaction_id"].to_list() == [f"c{n}" for n in range(90)]


def test_the_same_known_answers_are_drawn_each_time_and_others_for_another_set():
    draw = [
        mixed(QuestionSet(name, gold=0.1), candidates(90), candidates(200, "g"), 1000, KEY).filter("gold")
        for name in ("s", "s", "t")
    ]
    assert draw[0].equals(draw[1])
    assert set(draw[0]["interaction_id"]) != set(draw[2]["interaction_id"])


def test_no_signal_is_a_candidate_and_gold_at_once():
    found = mixed(QuestionSet("s", gold=0.5), candidates(10), candidates(10), 20, KEY)
    assert found["interaction_id"].is_unique().all()
    assert found["gold"].sum() == 0


def test_without_known_answers_all_are_candidates_and_the_number_is_kept():
    found = mixed(QuestionSet("s", gold=0.5), candidates(10), candidates(0, "g"), 4, KEY)
    assert found["interaction_id"].to_list() == ["c0", "c1", "c2", "c3"]


def test_known_answers_are_those_of_the_sets_own_questions():
    labels = pl.DataFrame(
        [
            ("a", "answer", "gold", "submitted"),
            ("b", "rating", "gold", "submitted"),
            ("c", "answer", "argilla/s", "submitted"),
            ("d", "answer", "gold", "withdrawn"),
            ("e", "comment", "gold", "submitted"),
        ],
        schema=["interaction_id", "question", "source", "status"],
        orient="row",
    )
    assert gold_signals(QuestionSet("s"), labels).to_list() == ["a"]
