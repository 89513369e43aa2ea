from datetime import UTC, datetime

import polars as pl
import pytest

from clworkbench.labels.cards import Suggestion, alternatives, cards, named_in, usual_number
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import MESSAGES, TimestampUtc
from clworkbench.settings import QuestionSet

KEY = Pseudonyms(b"k" * 32)
AT = datetime(2026, 11, 1, 9, tzinfo=UTC)
SAYING = {"tool_calls": None, "tool_call_id": None, "name": None, "parts": None}


def talk(text, role="assistant"):
    return None if text is None else [{"role": role, "content": text, **SAYING}]


def signals(*rows):
    """(id, said, answer, better, model, day) of each."""
    return pl.DataFrame(
        [
            {
                "interaction_id": own,
                "said": said,
                "answer": answer,
                "improvement_text": better,
                "model": model,
                "started_at": AT.replace(day=day),
                "error": None,
            }
            for own, said, answer, better, model, day in rows
        ],
        schema_overrides={"improvement_text": pl.String, "error": pl.String, "started_at": TimestampUtc},
    )


def options(found):
    return dict(found.iter_rows())


def test_the_answers_to_a_question_are_its_own_the_correction_and_others_of_other_models_first():
    rows = signals(
        ("a", "hello", "One.", "Better.", "m1", 1),
        ("b", "hello", "Two.", None, "m1", 3),
        ("c", "hello", "Three.", None, "m2", 2),
        ("d", "other", "Four.", None, "m2", 2),
    )
    assert options(alternatives(rows.head(1), rows)) == {"a": ["a", "improvement", "c", "b"]}


def test_at_most_four_answers_are_compared_the_latest_of_the_rest():
    rows = signals(*((f"i{n}", "hello", f"Answer {n}.", None, "m", n + 1) for n in range(8)))
    assert options(alternatives(rows.head(1), rows)) == {"i0": ["i0", "i7", "i6", "i5"]}


def test_the_same_words_are_one_answer_and_no_words_none():
    rows = signals(
        ("a", "hello", "One.", " One. ", "m1", 1),
        ("b", "hello", "One.\n", None, "m2", 2),
        ("c", "hello", " ", None, "m2", 2),
        ("d", "hello", None, None, "m2", 2),
    )
    assert options(alternatives(rows.head(1), rows)) == {"a": ["a"]}
    assert options(alternatives(rows.tail(1), rows)) == {}


def test_answers_that_failed_and_questions_without_words_are_compared_with_nothing():
    rows = signals(("a", "", "One.", None, "m", 1), ("b", "", "Two.", None, "m", 2), ("c", "x", "3", None, "m", 2))
    failed = signals(("d", "x", "4", None, "m", 2)).with_columns(error=pl.lit("timeout"))
    everything = pl.concat([rows, failed])
    assert options(alternatives(everything, everything)) == {"a": ["a"], "b": ["b"], "c": ["c"]}


@pytest.mark.parametrize(
    ("counts", "number"),
    [([2, 2, 2], 2), ([2, 3, 3], 3), ([4, 4, 2], 4), ([1, 1, 3], 3), ([1, 0], 2), ([], 2)],
    ids=["two", "mostly three", "mostly four", "those with one do not count", "none", "empty"],
)
def test_a_data_set_compares_as_many_answers_as_half_of_its_candidates_have(counts, number):
    lists = pl.Series([[str(each) for each in range(count)] for count in counts], dtype=pl.List(pl.String))
    assert usual_number(lists) == number


def rows(*ids, **more):
    found = {
        "interaction_id": list(ids),
        "candidate_id": [f"cand-{own}" for own in ids],
        "gold": [False] * len(ids),
        "reasons": [["failure"]] * len(ids),
        "slices": [["money"]] * len(ids),
        "model": ["gpt-4"] * len(ids),
        "started_at": [AT] * len(ids),
        "source": ["app"] * len(ids),
        "confidence": [0.25] * len(ids),
        "options": [[]] * len(ids),
    }
    return pl.DataFrame(found | more, schema_overrides={"options": pl.List(pl.String)})


def texts(**said):
    """By id: (question, answer, correction or None)."""
    return pl.DataFrame(
        [
            {"id": own, "input": talk(q, "user"), "output": talk(a), "improvement": talk(better), "tools": None}
            for own, (q, a, better) in said.items()
        ],
        schema={"id": pl.String, "input": MESSAGES, "output": MESSAGES, "improvement": MESSAGES, "tools": pl.String},
    )


def made(asked, table, said, n_answers=0):
    return cards(asked, table, said, n_answers=n_answers, pseudonyms=KEY)


def test_a_card_holds_what_a_person_needs_to_decide():
    (card,) = made(QuestionSet("review"), rows("a"), texts(a=("Why <b>?", "Because & so", None)))
    assert card.interaction_id == "a"
    assert card.candidate_id == "cand-a"
    assert card.fields == {"conversation": [{"role": "user", "content": "Why &lt;b>?"}], "answer": "Because &amp; so"}
    assert card.metadata == {
        "slice": ["money"],
        "reasons": ["failure"],
        "model": "gpt-4",
        "source": "app",
        "date": "2026-11-01",
        "week": "2026-W44",
    }


def test_a_correction_is_prefilled_with_the_models_answer_as_it_is_and_its_confidence():
    (card,) = made(QuestionSet("review"), rows("a"), texts(a=("Why?", "Because <b> & so\u202e", None)))
    assert card.suggestions == (Suggestion("improvement", "Because <b> & so", "gpt-4", 0.25),)


def test_a_correction_from_production_is_prefilled_in_its_place():
    (card,) = made(QuestionSet("review"), rows("a"), texts(a=("Why?", "Because.", "Since then.")))
    assert card.suggestions == (Suggestion("improvement", "Since then.", "production", None),)
    assert card.fields["answer"] == "Because."


def test_nothing_is_suggested_where_the_answer_is_no_text_or_too_long_to_show():
    table, asked = rows("a"), QuestionSet("review")
    assert made(asked, table, texts(a=("Why?", "", None)))[0].suggestions == ()
    assert made(asked, table, texts(a=("Why?", "x" * 100_001, None)))[0].suggestions == ()
    assert "answer" not in {each.question for each in made(asked, table, texts(a=("?", "!", None)))[0].suggestions}


def test_the_option_that_the_answer_names_is_suggested():
    asked = QuestionSet("intents", asks=("choose",), options=("card_arrival", "card", "lost phone"))
    (card,) = made(asked, rows("a"), texts(a=("?", "Intent: Card Arrival.", None)))
    assert card.suggestions == (Suggestion("choice", "card_arrival", "gpt-4", 0.25),)
    (card,) = made(asked, rows("a"), texts(a=("?", "card or lost phone", None)))
    assert card.suggestions == ()
    (card,) = made(
        QuestionSet("i", asks=("choose",), options=("a", "b"), several=True), rows("a"), texts(a=("?", "b a", None))
    )
    assert card.suggestions == (Suggestion("choice", ["a", "b"], "gpt-4", None),)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("card", ["card"]),
        ("Discard it", []),
        ("card-arrival, then card", ["card", "card_arrival"]),
        ("CARD ARRIVAL!", ["card_arrival"]),
        ("\uff43\uff41\uff52\uff44", ["card"]),
        ("", []),
    ],
    ids=["alone", "within a word", "both", "the longer", "wide letters", "empty"],
)
def test_options_are_found_as_whole_words(answer, named):
    assert named_in(answer, ["card", "card_arrival", "lost phone"]) == named


@pytest.mark.parametrize(
    ("model", "agent"),
    [
        ("openai/gpt-4o mini", "openai/gpt-4o mini"),
        ("modèle 'x'", "mod-le -x-"),
        ("é", None),
        (None, None),
        ("m" * 300, "m" * 200),
    ],
    ids=["plain", "signs", "no letter left", "none", "long"],
)
def test_the_models_name_becomes_an_agent_that_argilla_takes(model, agent):
    table = rows("a").with_columns(model=pl.lit(model, pl.String))
    assert made(QuestionSet("review"), table, texts(a=("?", "!", None)))[0].suggestions[0].agent == agent


@pytest.mark.parametrize(("confidence", "score"), [(1.5, 1.0), (-1.0, 0.0), (float("nan"), None), (None, None)])
def test_a_score_is_between_0_and_1_or_nothing(confidence, score):
    table = rows("a").with_columns(confidence=pl.lit(confidence, pl.Float64))
    assert made(QuestionSet("review"), table, texts(a=("?", "!", None)))[0].suggestions[0].score == score


RANK = QuestionSet("ranks", asks=("rank",))


def test_compared_answers_stand_in_fields_of_their_own_and_the_card_says_whose_they_are():
    said = texts(a=("?", "One", "Better"), b=("?", "Two", None))
    (card,) = made(RANK, rows("a", options=[["a", "improvement", "b"]]), said, n_answers=3)
    shown = {card.fields["answer_1"], card.fields["answer_2"], card.fields["answer_3"]}
    whose = {"a": "One", "improvement": "Better", "b": "Two"}
    assert shown == {"One", "Two", "Better"}
    assert [whose[option] for option in card.options] == [card.fields[f"answer_{n}"] for n in (1, 2, 3)]
    assert "answer" not in card.fields


def test_the_order_of_compared_answers_is_fair_and_the_same_each_time():
    ids = [f"i{n}" for n in range(400)]
    said = texts(**{own: ("?", f"One {own}", "Better") for own in ids})
    table = rows(*ids, options=[[own, "improvement"] for own in ids])
    found = made(RANK, table, said, n_answers=2)
    own_first = sum(card.options[0] == card.interaction_id for card in found)
    assert 160 < own_first < 240  # 4 standard deviations about 200
    assert [card.options for card in made(RANK, table, said, n_answers=2)] == [card.options for card in found]


def test_a_card_whose_answers_are_the_same_without_personal_data_is_left_out():
    said = texts(a=("?", "Call <NAME>", None), b=("?", "Call <NAME>", None))
    assert made(RANK, rows("a", options=[["a", "b"]]), said, n_answers=2) == []


def test_what_it_is_found_by_is_bounded_and_shows_what_it_hides():
    table = rows("a").with_columns(model=pl.lit("m" * 500), source=pl.lit("app\x00\u202e"))
    metadata = made(QuestionSet("review"), table, texts(a=("?", "!", None)))[0].metadata
    assert metadata["model"] == "m" * 200
    assert metadata["source"] == "app⟨U+0000⟩⟨U+202E⟩"


def test_what_is_not_known_is_not_in_the_metadata():
    table = rows("a", slices=[[]], model=[None], started_at=pl.Series([None], dtype=TimestampUtc))
    assert made(QuestionSet("review"), table, texts(a=("?", "!", None)))[0].metadata == {
        "reasons": ["failure"],
        "source": "app",
    }
