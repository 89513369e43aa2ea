"""What is taken out before anything is drawn, and how it is counted."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.candidates.frame import Frame, framed
from tests.candidates.made import KEY

MESSAGE = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def signals(*rows: dict[str, object]) -> pl.DataFrame:
    """Signals by name, with what is left out as usual."""
    usual = {"text": None, "answer": "Yes.", "place": 9, "labelled": False, "drawn_before": False, "user_key": None}
    schema = {"place": pl.Int32, "text": pl.String, "user_key": pl.String, "answer": pl.String}
    return pl.DataFrame([{**usual, **row} for row in rows], schema_overrides=schema).with_columns(
        interaction_id="id", started_at=pl.lit(None, pl.Datetime("us", "UTC"))
    ).drop("id")  # fmt: skip


def left(frame: Frame) -> list[str]:
    return frame.rows["interaction_id"].to_list()


def test_of_signals_that_say_the_same_the_one_with_the_first_reason_stays() -> None:
    rows = signals(
        {"id": "a", "text": "Where is order 12?", "answer": "On 3 May."},
        {"id": "b", "text": "where is  order 13?", "answer": "On 4 May.", "place": 1},
        {"id": "c", "text": "Where is order 12?", "answer": "I do not know."},
        {"id": "d", "text": "Where is my order?", "answer": "On 3 May."},
        {"id": "e", "text": None},
        {"id": "f", "text": None},
        {"id": "g", "text": " "},
    )
    found = framed(rows, pseudonyms=KEY)
    assert left(found) == ["b", "c", "d", "e", "f", "g"]
    assert found.taken_out == {"labelled": 0, "drawn_before": 0, "duplicate": 1, "over_user_cap": 0}
    assert left(framed(rows, pseudonyms=KEY, duplicates="exact")) == ["a", "b", "c", "d", "e", "f", "g"]


def test_what_was_said_before_tells_signals_apart() -> None:
    def talk(*texts: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": text} for text in texts]

    talks = [talk("A cat?", "Yes please"), talk("A dog?", "Yes please"), talk("A dog?", "Yes please")]
    rows = signals(*({"id": name, "text": "Yes please"} for name in "abc"))
    rows = rows.with_columns(input=pl.Series(talks, dtype=MESSAGE))
    assert left(framed(rows, pseudonyms=KEY)) == ["a", "b"]


def test_a_signal_of_the_same_words_as_a_labelled_one_brings_its_label_along() -> None:
    rows = signals(
        {"id": "new", "text": "Where is order 12?", "place": 0},
        {"id": "old", "text": "Where is order 9?", "labelled": True},
        {"id": "drawn", "text": "And?", "drawn_before": True},
        {"id": "again", "text": "And?", "place": 0},
        {"id": "other", "text": "Why?"},
    )
    found = framed(rows, pseudonyms=KEY)
    assert left(found) == ["other"]
    assert found.taken_out == {"labelled": 1, "drawn_before": 1, "duplicate": 2, "over_user_cap": 0}
    assert dict(found.labelled.iter_rows()) == {"old": "old", "new": "old"}


def test_a_user_has_no_more_than_the_cap_and_nobody_is_not_a_user() -> None:
    rows = signals(
        *({"id": f"u{k}", "user_key": "u"} for k in range(5)),
        *({"id": f"v{k}", "user_key": "v"} for k in range(2)),
        *({"id": f"n{k}"} for k in range(4)),
    )
    found = framed(rows, pseudonyms=KEY, per_user=2)
    assert [sum(name.startswith(who) for name in left(found)) for who in "uvn"] == [2, 2, 4]
    assert found.taken_out["over_user_cap"] == 3


def test_those_that_a_cap_leaves_are_drawn_no_sooner_than_others() -> None:
    """200 users with 20 signals and a cap of 1, 200 with 1: about half of the first 100 drawn are of the first kind.

    By the same hash for both they would be nearly all. 50 +- 5: four standard deviations are allowed.
    """
    rows = signals(
        *({"id": f"many {u} {k}", "user_key": f"many {u}"} for u in range(200) for k in range(20)),
        *({"id": f"few {u}", "user_key": f"few {u}"} for u in range(200)),
    )
    first = framed(rows, pseudonyms=KEY, per_user=1).rows.sort("drawn_by").head(100)["interaction_id"]
    assert 30 <= sum(name.startswith("many") for name in first) <= 70


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.sampled_from(["a", "A", "b 1", "b 2", " "]),
            "labelled": st.booleans(),
            "drawn_before": st.booleans(),
            "place": st.integers(0, 3),
            "user_key": st.none() | st.sampled_from("uv"),
        }
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_what_is_taken_out_and_what_is_left_add_up_to_all(rows: list[dict[str, object]]) -> None:
    found = framed(signals(*({"id": f"s{k}", **row} for k, row in enumerate(rows))), pseudonyms=KEY, per_user=3)
    assert sum(found.taken_out.values()) + found.rows.height == len(rows)
    assert found.taken_out["labelled"] == sum(bool(row["labelled"]) for row in rows)
    said = [text.strip().lower().replace("1", "0").replace("2", "0") for text in found.rows["text"].drop_nulls()]
    said = [text for text in said if text]
    assert len(said) == len(set(said))
    assert (found.rows["user_key"].drop_nulls().value_counts()["count"] <= 3).all()
