"""Windows: one signal a conversation, the same for the same salt, and never a conversation in both."""

import polars as pl

from clworkbench.slices.windows import MOST, SETTLED, windows
from tests.slices.made_windows import halves, made_window


def test_one_signal_of_each_conversation_is_drawn_and_all_turns_are_equally_likely():
    drawn = windows(*halves(1, 3_000), salt="x").drawn
    assert drawn["conversation_id"].n_unique() == drawn.height == 6_000
    turn = drawn["interaction_id"].str.extract(r"-(\d+)$").cast(pl.Int64) % 3
    assert all(1_850 < n < 2_150 for n in turn.value_counts()["count"])  # 2,000 and four standard deviations


def test_another_salt_draws_others_and_the_same_salt_the_same():
    first, again, other = (windows(*halves(1, 300), salt=salt).drawn["interaction_id"] for salt in "aab")
    assert first.equals(again)
    assert not first.equals(other)


def test_a_conversation_in_both_windows_stands_in_one():
    whole = made_window(1, 500)
    parts = whole.filter(pl.int_range(pl.len()) % 2 == 0), whole.filter(pl.int_range(pl.len()) % 2 == 1)
    drawn = windows(*parts, salt="x").drawn
    assert drawn["conversation_id"].n_unique() == drawn.height == 500
    assert 200 < drawn["is_now"].sum() < 300


def test_a_window_is_bounded_and_a_small_one_kept_whole():
    large, small = made_window(1, MOST + 500, turns=1), made_window(2, 100, turns=1)
    drawn = windows(large, small, salt="x").drawn
    assert drawn.group_by("is_now").len().sort("is_now")["len"].to_list() == [MOST, 100]


def test_signals_without_a_conversation_are_one_each():
    alone = [part.with_columns(conversation_id=pl.lit(None, pl.String)) for part in halves(1, 100)]
    assert windows(*alone, salt="x").drawn.height == 600
    assert windows(*(part.drop("conversation_id", "interaction_id") for part in alone), salt="x").drawn.height == 600


def test_the_outcomes_of_a_small_window_are_all_looked_at_beside_a_large_one():
    large, small = made_window(1, 3 * SETTLED // 2, turns=2), made_window(2, 400, turns=1)
    whole = windows(large, small, salt="x").whole
    assert int(whole["is_now"].sum()) == 400
    before = whole.filter(~pl.col("is_now"))
    assert 0.98 * SETTLED < before.height < 1.02 * SETTLED
    assert (before.group_by("conversation_id").len()["len"] == 2).all()  # whole conversations
