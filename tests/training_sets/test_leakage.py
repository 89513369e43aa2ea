"""Leaks of each kind are found, by the search that drops them and by the proof; what is no leak stays."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import SUITE, TRAINING_ROWS
from clworkbench.training_sets import planted as planting
from clworkbench.training_sets.holdout import HOLDOUT_LEAKS, as_examples, cut_at, taught, with_forward
from clworkbench.training_sets.leakage import LEAKS, leaks
from clworkbench.training_sets.planted import planted, proved
from clworkbench.training_sets.proof import search

KEY = Pseudonyms(b"k" * 32)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASKED = "Why was I charged twice for the train ticket that I bought on the app last Friday evening?"
ANSWER = "The second charge is a reservation that your bank drops by itself within five working days."


def said(role: str, text: str | None) -> dict[str, object]:
    return {"role": role, "content": text}


def row(name: str, *prompt: dict[str, object] | str, **more: object) -> dict[str, object]:
    talk = [said("user", each) if isinstance(each, str) else each for each in prompt]
    base = {"row_id": name, "prompt": talk, "completion": [said("assistant", "Fine.")], "group": name, "at": NOON}
    return base | {"split": "train", "signal_ids": [f"signal of {name}"]} | more


def rows(*made: dict[str, object], kind: str = "sft") -> pl.DataFrame:
    return pl.DataFrame(list(made), schema=TRAINING_ROWS[kind])


def suite(*examples: dict[str, object]) -> pl.DataFrame:
    named = [{"example_id": f"e{number}"} | example for number, example in enumerate(examples)]
    return pl.DataFrame(named, schema=SUITE)


HELD = suite({"input": [said("user", ASKED)], "expected": ANSWER, "group": "anna", "signal_ids": ["s1"]})


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (row("r", said("system", "Be kind."), ASKED), "leak_exact"),
        (row("r", ASKED.upper().replace(" ", "  ")), "leak_normalised"),
        (row("r", ASKED, said("assistant", "Which one?"), "The one to Berlin."), "leak_normalised"),
        (row("r", ASKED.replace("Friday", "Monday")), "leak_near_duplicate"),
        (row("r", "Hello!", said("assistant", "Yes?"), ASKED.replace("the app", "an app")), "leak_near_duplicate"),
        (row("r", said("system", f"Examples. Q: {ASKED} A: no idea"), "Where is it?"), "leak_quoted"),
        (row("r", "What did she write?", completion=[said("assistant", f"She wrote: «{ASKED}»")]), "leak_quoted"),
        (row("r", said("tool", f"FAQ 7: {ANSWER} (2026)"), "Is that so?"), "leak_quoted"),
        (row("r", "Else", group="anna"), "leak_group"),
        (row("r", "Else", group=KEY.user("anna")), "leak_group"),
        (row("r", "Else", signal_ids=["s0", "s1"]), "leak_group"),
    ],
)
def test_each_kind_of_leak_is_found_by_both_searches(made, kind):
    assert leaks(rows(made), HELD, KEY).to_list() == [kind]
    assert ("r", "e0", kind) in search(rows(made), HELD, pseudonyms=KEY)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("And what about the other ticket?", "leak_normalised"),
        (ASKED.replace("Friday", "Monday"), "leak_near_duplicate"),
    ],
    ids=["the same", "nearly the same"],
)
def test_a_question_that_a_user_asks_within_an_answer_is_found_by_both_searches(asked, kind):
    held = suite({"input": [said("user", "And what about the other ticket?")]}, {"input": [said("user", ASKED)]})
    run = [said("assistant", "Yes."), said("user", asked), said("assistant", "No.")]
    made = row("r", "Hello there!", completion=run)
    assert leaks(rows(made), held, KEY).to_list() == [kind]
    assert kind in [found.kind for found in search(rows(made), held)]


@pytest.mark.parametrize(
    "made",
    [
        row("r", "Why was I charged?"),
        row("r", "Where is my train ticket that I bought on the app last Friday evening?"),
        row("r", "Is it fine?", completion=[said("assistant", ANSWER)]),
        row("r", said("assistant", "The second charge is a reservation."), "I see."),
        row("r", "", said("user", None), said("system", "")),
        row("r", "?!"),
        row("r", group=None, signal_ids=None),
    ],
)
def test_what_shows_nothing_of_an_example_stays(made):
    assert leaks(rows(made), HELD, KEY).to_list() == [None]
    assert search(rows(made), HELD, pseudonyms=KEY) == []


def test_a_thank_you_and_an_answer_that_many_questions_have_give_nothing_away():
    short = suite({"input": [said("user", "Hm?"), said("user", "Thanks a lot")]})
    assert leaks(rows(row("r", "Where is it?", "thanks a LOT")), short, KEY).to_list() == [None]
    label = [{"input": [said("user", f"question {name}")], "expected": ANSWER} for name in "ab"]
    assert leaks(rows(row("r", f"Somebody said: {ANSWER}")), suite(*label), KEY).to_list() == [None]
    assert search(rows(row("r", f"Somebody said: {ANSWER}")), suite(*label)) == []


def test_a_row_that_is_not_from_before_the_cut_is_too_late_unless_it_is_held_out():
    found = rows(
        row("early", "a", at=NOON - timedelta(seconds=1)),
        row("on time", "b"),
        row("undated", "c", at=None),
        row("held", "d", split="forward"),
    )
    expected = [None, "leak_later", "leak_later", None]
    assert leaks(found, suite(), KEY, cut=NOON).to_list() == expected
    assert {each.row_id: each.kind for each in search(found, suite(), cut=NOON)} == {
        "on time": "leak_later",
        "undated": "leak_later",
    }


def test_the_user_and_every_conversation_behind_a_row_count_as_its_group():
    found = rows(row("r", "x"), row("s", "y"), row("t", "z")).with_columns(
        user_key=pl.Series([KEY.user("anna"), None, None]), groups=pl.Series([[], ["other", "anna"], ["other"]])
    )
    assert leaks(found, HELD, KEY).to_list() == ["leak_group", "leak_group", None]


def test_the_prompt_of_a_reward_row_is_the_dialogue_less_its_last_message():
    both = {"chosen": [said("user", ASKED), said("assistant", "A")], "rejected": [said("user", "b")]}
    base = {"row_id": "r", "group": "r", "split": "train", "signal_ids": []}
    found = rows(base | both, base | {"row_id": "empty", "chosen": [], "rejected": []}, kind="reward")
    assert leaks(found, HELD, KEY).to_list() == ["leak_exact", None]
    assert {each.row_id for each in search(found, HELD)} == {"r"}


def test_a_held_out_row_that_is_taught_goes_and_what_is_taught_stays():
    found = rows(
        row("a", ASKED, split="holdout"),
        row("b", ASKED),
        row("c", "How do I close my account without a phone?", split="forward"),
        row("d", "How do I close my account without a phone??"),
        row("e", "Can my sister use the card that you sent to me?", split="holdout"),
        row("f", "May my sister use the card that you sent to me?"),
        row("g", "And then there was nobody at the counter at all", split="holdout"),
        row("h", said("system", "Sort: and then there was nobody at the counter at all, she said."), "Go."),
        row("i", "Hello", split="holdout", signal_ids=["signal of b"]),
        row("j", "Nothing of that", split="holdout"),
        row("k", "", split="holdout"),
    )
    kinds = dict(zip(found["row_id"], taught(found), strict=True))
    assert {name: kind for name, kind in kinds.items() if kind} == dict(zip("acegi", HOLDOUT_LEAKS, strict=True))
    left = found.filter(~pl.col("row_id").is_in(list("acegi")))
    assert taught(left).null_count() == left.height
    assert search(left.filter(pl.col("split") == "train"), as_examples(left)) == []


def test_a_conversation_that_reaches_the_cut_is_held_out_whole_and_others_keep_their_split():
    found = rows(
        row("a", "1", group="talk", at=NOON - timedelta(days=9)),
        row("b", "2", group="talk", at=NOON),
        row("c", "3", at=NOON - timedelta(seconds=1)),
        row("d", "4", at=NOON - timedelta(days=1), split="holdout"),
        row("e", "5", at=None),
    )
    assert with_forward(found, NOON)["split"].to_list() == ["forward", "forward", "train", "holdout", "train"]
    assert with_forward(found, None).equals(found)


def test_the_cut_lies_so_long_before_the_latest_settled_signal():
    times = pl.Series([NOON - timedelta(days=3), NOON, None])
    assert cut_at(times, timedelta(days=2)) == NOON - timedelta(days=2)
    assert cut_at(times, None) is None
    assert cut_at(times.clear(), timedelta(days=2)) is None


def test_planted_leaks_are_found_beside_nothing_and_beside_a_suite():
    assert planted(suite(), KEY) == []
    assert planted(HELD, KEY) == []


@pytest.mark.parametrize("by", ["leaks", "proof"])
@pytest.mark.parametrize("kind", LEAKS)
def test_a_search_that_misses_a_kind_is_named_by_what_was_planted(monkeypatch, by, kind):
    """One search of the two is made blind for one kind: that is what the self-test is there to see."""
    real_leaks, real_search = leaks, search
    if by == "leaks":
        monkeypatch.setattr(planting, "leaks", lambda *a, **k: real_leaks(*a, **k).replace({kind: None}))
    else:
        monkeypatch.setattr(planting, "search", lambda *a, **k: [f for f in real_search(*a, **k) if f.kind != kind])
    assert planted(suite(), KEY) == [f"{kind} by {by}"]
    made = proved(rows(row("r", "x")), suite(), KEY)
    assert not made.ok
    assert made.as_dict()["planted"] == {each: each != kind for each in (*LEAKS, "clean")}
    assert f"{kind} by {by}" in str(made)


def test_a_search_that_finds_everything_is_named_too(monkeypatch):
    monkeypatch.setattr(
        planting, "leaks", lambda found, *_, **__: pl.Series(["leak_exact"] * found.height, dtype=pl.String)
    )
    assert "clean by leaks" in planted(suite(), KEY)


def test_what_the_proof_finds_is_counted_by_kind_and_named_by_row_and_example():
    found = rows(row("r", ASKED), row("h", "Where is the nearest branch of yours?", split="holdout", group="r"))
    made = proved(found, HELD, KEY)
    assert not made.ok
    told = made.as_dict()
    assert (told["examples"], told["holdout_rows"], told["found"], told["cut"]) == (1, 1, 1, None)
    assert {kind: n for kind, n in told["checked"].items() if n} == {
        "leak_exact": 1,
        "leak_normalised": 1,
        "leak_near_duplicate": 1,
        "leak_quoted": 1,
        "leak_group": 1,
    }
    assert "row r shows e0 (leak_exact)" in str(made)
    assert "row r shows h (leak_group)" in str(
        proved(found.with_columns(prompt=found["prompt"].shift(0)), suite(), KEY)
    )


def test_the_manifest_says_how_much_of_a_large_set_the_proof_looked_at_closely(monkeypatch):
    monkeypatch.setattr(planting, "SAMPLE_ROWS", 2)
    told = proved(rows(*(row(f"r{n}", f"Question {n}") for n in range(3))), HELD, KEY).as_dict()
    assert told["rows"] == 3
    assert told["looked_at_closely"] == {
        "kinds": ["leak_near_duplicate", "leak_quoted"],
        "rows": 2,
        "holdout_rows": 0,
    }


def test_what_a_prompt_expects_is_searched_as_an_answer():
    made = rows(row("r", "What did she write?", expected=f"She wrote: {ASKED}", verifier="exact"), kind="prompts")
    assert leaks(made, HELD, KEY).to_list() == ["leak_quoted"]
    assert ("r", "e0", "leak_quoted") in search(made, HELD, pseudonyms=KEY)
