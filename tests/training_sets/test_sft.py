"""Which signals become rows, by which rule, and why the others do not."""

from datetime import UTC, datetime

import polars as pl
import pytest

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.sampling import uniform
from clworkbench.schemas import INTERACTIONS, LABELS, MESSAGES, SUITE
from clworkbench.training_sets.descent import Rules
from clworkbench.training_sets.proof import search
from clworkbench.training_sets.reviewed import verdicts
from clworkbench.training_sets.sft import build_sft
from clworkbench.training_sets.split import replayed, with_split

KEY = Pseudonyms(b"k" * 32)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = Rules(holdout=0.0)
NO_LABELS = pl.DataFrame(schema=LABELS)
NO_SUITE = pl.DataFrame(schema=SUITE)
VIEW = {
    **INTERACTIONS,
    "outcome": pl.Boolean,
    "improvement": MESSAGES,
    "improvement_id": pl.String,
    "feedback_ids": pl.List(pl.String),
}


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def signal(name: str, asked: str, answer: str, **more: object) -> dict[str, object]:
    row = {
        "interaction_id": name,
        "started_at": NOON,
        "input": [said("user", asked)],
        "output": [said("assistant", answer)],
        "feedback_ids": [],
    }
    return row | more


def signals(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=VIEW)


def completions(frame: pl.DataFrame) -> dict[str, str]:
    return {row["signal_ids"][0]: row["completion"][0]["content"] for row in frame.iter_rows(named=True)}


def test_the_waterfall_adds_up_and_each_rule_takes_what_it_should():
    built = build_sft(
        signals(
            signal("accepted", "a?", "A", outcome=True, feedback_ids=["f1"]),
            signal(
                "corrected", "b?", "wrong", outcome=False, improvement=[said("assistant", "B")], improvement_id="f2"
            ),
            signal("pending", "c?", "C"),
            signal("negative", "d?", "D", outcome=False),
            signal("cut", "e?", "E", outcome=True, finish_reason="length"),
            signal("empty", "f?", "  ", outcome=True),
            signal("twin", "A ?!", "A", outcome=True),
        ),
        NO_LABELS,
        NO_SUITE,
        ALL,
        KEY,
    )
    assert completions(built.frame) == {"accepted": "A", "corrected": "B"}
    assert {k: v for k, v in built.dropped.items() if v} == {
        "pending": 1,
        "negative": 1,
        "no_text": 1,
        "cut_off": 1,
        "duplicate": 1,
    }
    assert built.n_signals == built.frame.height + sum(built.dropped.values()) == 7
    rows = {row["signal_ids"][0]: row for row in built.frame.iter_rows(named=True)}
    assert rows["corrected"]["feedback_ids"] == ["f2"]
    assert rows["accepted"]["rule"] == "accepted"
    assert rows["accepted"]["signal_ids"] == ["accepted", "twin"]


def test_a_label_comes_before_a_correction_and_a_correction_before_acceptance():
    labels = pl.DataFrame(
        [
            {"label_id": "l1", "interaction_id": "s", "improvement": [said("assistant", "from the reviewer")]},
            {"label_id": "l2", "interaction_id": "t", "question": "answer", "value": "Accept"},
            {"label_id": "l3", "interaction_id": "u", "question": "answer", "value": "reject"},
        ],
        schema=LABELS,
    ).with_columns(status=pl.lit("submitted"), at=pl.lit(NOON))
    built = build_sft(
        signals(
            signal("s", "a?", "A", outcome=True, improvement=[said("assistant", "edited")], improvement_id="f"),
            signal("t", "b?", "B"),
            signal("u", "c?", "C", outcome=True),
        ),
        labels,
        NO_SUITE,
        ALL,
        KEY,
    )
    assert completions(built.frame) == {"s": "from the reviewer", "t": "B"}
    assert built.dropped["rejected"] == 1
    assert set(built.frame.explode("label_ids")["label_ids"]) == {"l1", "l2"}


def test_an_improvement_left_as_it_was_filled_in_and_other_questions_say_nothing_about_the_answer():
    better = {"question": "improvement", "improvement": [said("assistant", "B")]}
    rows = [
        {"label_id": "l1", "interaction_id": "s", **better, "equals_suggestion": True},
        {"label_id": "l2", "interaction_id": "s", "question": "answer", "value": "accept"},
        {"label_id": "l3", "interaction_id": "t", **better, "equals_suggestion": False},
        {"label_id": "l4", "interaction_id": "u", **better, "equals_suggestion": None},
        {"label_id": "l5", "interaction_id": "v", "question": "choice", "value": "no"},
        {"label_id": "l6", "interaction_id": "v", "question": "rating", "value": "1"},
        {"label_id": "l7", "interaction_id": "v", "question": "comment", "value": "wrong"},
        {"label_id": "l8", "interaction_id": "v", "question": "answer", "value": "accept"},
    ]
    labels = pl.DataFrame([row | {"status": "submitted"} for row in rows], schema=LABELS)

    found = {row["interaction_id"]: row for row in verdicts(labels).iter_rows(named=True)}

    said_so = {own: (row["label_improvement"] is not None, row["label_accepts"]) for own, row in found.items()}
    assert said_so == {"s": (False, True), "t": (True, None), "u": (True, None), "v": (False, True)}
    assert {own: row["label_ids"] for own, row in found.items()} == {
        "s": ["l2"],
        "t": ["l3"],
        "u": ["l4"],
        "v": ["l8"],
    }


def test_a_draft_label_says_nothing():
    labels = pl.DataFrame(
        [{"label_id": "l", "interaction_id": "s", "question": "answer", "value": "accept", "status": "draft"}],
        schema=LABELS,
    )
    built = build_sft(signals(signal("s", "a?", "A")), labels, NO_SUITE, ALL, KEY)
    assert built.dropped["pending"] == 1


@pytest.mark.parametrize(
    ("example", "leak"),
    [
        ({"input": [said("system", "other"), said("user", "Where is it?")]}, "leak_exact"),
        ({"input": [said("user", "where IS it")]}, "leak_normalised"),
        ({"input": [said("user", "something else")], "group": "talk-1"}, "leak_group"),
        ({"input": [said("user", "so where is IT then")]}, "leak_normalised"),
    ],
)
def test_a_row_that_stands_in_a_suite_is_dropped_and_counted(example, leak):
    built = build_sft(
        signals(
            signal("s", "Where is it?", "There.", outcome=True, conversation_id="talk-1"),
            signal("t", "x", "y", outcome=True, input=[said("user", "So: where is it, then?"), said("user", "Hm?")]),
        ),
        NO_LABELS,
        pl.DataFrame([example], schema=SUITE),
        ALL,
        KEY,
    )
    assert built.dropped[leak] == 1
    assert built.frame.height == 1


def test_the_proof_finds_what_was_planted_by_other_means_than_the_leaks():
    rows = pl.DataFrame(
        [
            {"row_id": "planted", "prompt": [said("system", "s"), said("user", "WHERE is it ?")]},
            {"row_id": "clean", "prompt": [said("user", "Who is it?")]},
        ],
        schema={"row_id": pl.String, "prompt": MESSAGES},
    )
    suite = pl.DataFrame([{"input": [said("user", "Where is it")]}], schema=SUITE)
    assert [(found.row_id, found.kind) for found in search(rows, suite)] == [("planted", "leak_normalised")]


def test_the_same_signals_give_the_same_rows_whatever_their_order():
    rows = [signal(str(i), f"question {i}", "A", outcome=True) for i in range(20)]
    rules = Rules(holdout=0.5)
    first = build_sft(signals(*rows), NO_LABELS, NO_SUITE, rules, KEY)
    again = build_sft(signals(*reversed(rows)), NO_LABELS, NO_SUITE, rules, KEY)
    assert first.frame.equals(again.frame)
    assert set(first.splits) == {"holdout", "train"}


def test_a_group_stands_on_one_side_of_the_split_and_shares_come_out_as_asked():
    groups = pl.DataFrame({"group": [str(i % 1000) for i in range(3000)]})
    split = with_split(groups, holdout=0.2, salt="s")
    assert split.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
    held = split.filter(pl.col("split") == "holdout")["group"].n_unique()
    assert 150 <= held <= 250  # binomial(1000, 0.2): 200 ± 4 standard deviations of 12.6


def test_the_split_depends_on_the_salt_and_the_id_alone():
    ids = pl.Series(["a", "b", "a"])
    once = uniform(ids, "s")
    assert once.to_list() == [once[0], uniform(pl.Series(["b"]), "s")[0], once[0]]
    assert uniform(ids, "t").to_list() != once.to_list()


@pytest.mark.parametrize(("share", "old_kept"), [(0.0, 0), (0.5, 4), (0.75, 12), (0.8, 16), (0.9, 20), (1.0, 20)])
def test_replay_makes_learned_rows_that_share_of_the_set_or_keeps_them_all(share, old_kept):
    rows = pl.DataFrame({"row_id": [f"old-{i}" for i in range(20)] + [f"new-{i}" for i in range(4)]})
    learned = rows["row_id"].filter(rows["row_id"].str.starts_with("old"))
    kept = replayed(rows, learned, share=share, salt="s")
    assert kept.filter("replay").height == old_kept
    assert kept.filter(~pl.col("replay")).height == 4


def test_only_signals_that_the_rule_lets_through_are_learned():
    rules = Rules(holdout=0.0, where=pl.col("app") == "desk")
    built = build_sft(
        signals(
            signal("a", "a?", "A", outcome=True, app="desk"),
            signal("b", "b?", "B", outcome=True, app="other"),
            signal("c", "c?", "C", outcome=True),
        ),
        NO_LABELS,
        NO_SUITE,
        rules,
        KEY,
    )
    assert completions(built.frame) == {"a": "A"}
    assert built.dropped["excluded"] == 2
