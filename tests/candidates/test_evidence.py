"""What reasons look at: repeated failures, two answers to the same, and what is new beside what was learned."""

import random

import polars as pl

from clworkbench.candidates.evidence import disagreement, repeats
from clworkbench.candidates.novelty import novelty

MESSAGE = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def test_failing_signals_that_say_nearly_the_same_are_counted() -> None:
    asked = "where is my parcel with the number {} that i ordered from you last week"
    signals = pl.DataFrame(
        {
            "text": [
                asked.format(12),
                asked.format(99) + " please",
                asked.format(5),
                "cancel it",
                None,
                asked.format(7),
            ],
            "outcome": [False, False, True, False, False, None],
        },
        schema={"text": pl.String, "outcome": pl.Boolean},
    )
    assert repeats(signals).to_list() == [2, 2, None, 1, None, None]


def test_of_very_many_failures_those_that_are_the_same_once_masked_are_counted(monkeypatch) -> None:
    monkeypatch.setattr("clworkbench.candidates.evidence.MANY", 2)
    signals = pl.DataFrame({"text": ["Order 1", "order 2", "else"], "outcome": [False] * 3})
    assert repeats(signals).to_list() == [2, 2, 1]


def test_without_a_failure_nothing_is_repeated() -> None:
    for outcomes in ([], [None], [True]):
        rows = pl.DataFrame(
            {"text": ["a"] * len(outcomes), "outcome": outcomes}, schema={"text": pl.String, "outcome": pl.Boolean}
        )
        assert repeats(rows).null_count() == len(outcomes)


def talk(text: str, before: str = "") -> list[dict[str, str]]:
    return [{"role": "system", "content": before}, {"role": "user", "content": text}]


def test_models_that_answer_the_same_conversation_otherwise_disagree() -> None:
    rows = [
        (talk("a"), "Yes.", "m1", None, True),
        (talk("a"), "No.", "m2", None, True),
        (talk("b"), "Yes.", "m1", None, False),
        (talk("b"), " Yes.", "m2", None, False),
        (talk("c"), "Yes.", "m1", None, None),
        (talk("c"), "No.", "m1", None, None),
        (talk("c", "other"), "No.", "m2", None, None),
        (talk("d"), "Yes.", "m1", "release:1", True),
        (talk("d"), "No.", "m1", "release:2", True),
        (talk("e"), None, "m1", None, None),
        (talk("e"), "No.", "m2", None, None),
        ([], "Yes.", "m1", None, None),
        ([], "No.", "m2", None, None),
    ]
    schema = {
        "input": MESSAGE,
        "answer": pl.String,
        "model": pl.String,
        "release_id": pl.String,
        "expected": pl.Boolean,
    }
    signals = pl.DataFrame(rows, schema=schema, orient="row")
    assert disagreement(signals).to_list() == signals["expected"].to_list()
    assert disagreement(signals.clear()).len() == 0


WORDS = (
    "card",
    "lost",
    "stolen",
    "replace",
    "pin",
    "block",
    "new",
    "old",
    "bank",
    "help",
    "now",
    "please",
    "my",
    "the",
)
OTHERS = ("tomato", "basil", "oven", "recipe", "boil", "salt", "pepper", "onion", "garlic", "pasta", "sauce", "cheese")


def said(words: tuple[str, ...], n: int, seed: int) -> pl.Series:
    chance = random.Random(seed)
    return pl.Series([" ".join(chance.choice(words) for _ in range(8)) for _ in range(n)])


def order(texts: pl.Series) -> pl.Series:
    return pl.Series([f"{k:05}" for k in range(len(texts))])


def test_what_is_unlike_all_that_was_learned_is_new_and_what_is_like_it_is_not() -> None:
    learned = said(WORDS, 300, 1)
    like, unlike = said(WORDS, 200, 2), said(OTHERS, 20, 3)
    texts = pl.concat([like, unlike, learned[:5], pl.Series([None, ""], dtype=pl.String)])
    values = novelty(texts, learned, order=order(texts)).values
    assert (values[:200] > 0.95).sum() <= 23  # 5 % of 200 are 10; four standard deviations more
    assert (values[200:220] > 0.95).all()
    assert (values[220:225] == 0).all()
    assert values[225:].to_list() == [None, None]


def test_too_few_learned_prompts_say_nothing_and_a_bound_is_kept(monkeypatch) -> None:
    texts = said(WORDS, 30, 2)
    assert novelty(texts, said(WORDS, 19, 1), order=order(texts)).values.null_count() == 30
    assert novelty(texts.clear(), said(WORDS, 40, 1), order=order(texts.clear())).values.len() == 0
    monkeypatch.setattr("clworkbench.candidates.novelty.LOOKED_AT", 10)
    found = novelty(texts, said(WORDS, 40, 1), order=order(texts))
    assert (found.n, found.values.count()) == (10, 10)
    assert found.values[:10].count() == 10
