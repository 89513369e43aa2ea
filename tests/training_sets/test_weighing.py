"""What rows weigh by their age, and slices in sum."""

from datetime import timedelta

import polars as pl
import pytest

from clworkbench.training_sets.weighing import Weighing, weighed
from tests.training_sets.made import NOON

AGES = pl.DataFrame(
    {
        "interaction_id": ["now", "a month", "two", "undated"],
        "at": [NOON, NOON - timedelta(days=30), NOON - timedelta(days=60), None],
        "weight": [1.0, 1.0, 0.5, 1.0],
    }
)


def test_a_row_weighs_half_for_each_half_life_that_it_is_older_than_the_newest():
    rows, said = weighed(AGES, Weighing(timedelta(days=30)))
    assert rows["weight"].to_list() == pytest.approx([1.0, 0.5, 0.125, 1.0])
    assert said.about == {}


def test_age_is_told_against_as_of_where_it_is_given_and_nothing_from_later_weighs_more():
    later, _ = weighed(AGES, Weighing(timedelta(days=30), NOON + timedelta(days=30)))
    assert later["weight"].to_list() == pytest.approx([0.5, 0.25, 0.0625, 1.0])
    earlier, _ = weighed(AGES, Weighing(timedelta(days=30), NOON - timedelta(days=30)))
    assert earlier["weight"].to_list() == pytest.approx([1.0, 1.0, 0.25, 1.0])


def test_slices_and_the_rest_weigh_the_same_in_sum_and_all_together_as_before():
    rows = pl.DataFrame({"interaction_id": [f"s{n}" for n in range(10)], "at": [NOON] * 10, "weight": [1.0] * 10})
    slices = pl.DataFrame({"interaction_id": ["s0", "s1", "s2"], "slice": ["refunds", "cards", "cards"]})
    out, said = weighed(rows, Weighing(slice_of=slices))
    # 10 over three parts: 10/3 for 1 refund, for 2 cards, and for the 7 of the rest.
    assert out["weight"].to_list() == pytest.approx([10 / 3, 10 / 6, 10 / 6, *[10 / 21] * 7])
    assert out.columns == rows.columns
    assert said.about["balance"]["refunds"] == {"rows": 1, "factor": pytest.approx(10 / 3)}
    assert said.findings == ()


def test_a_tiny_slice_that_would_be_learned_over_and_over_is_told():
    rows = pl.DataFrame({"interaction_id": [f"s{n}" for n in range(40)], "at": [NOON] * 40, "weight": [1.0] * 40})
    slices = pl.DataFrame({"interaction_id": ["s0"], "slice": ["refunds"]})
    _, said = weighed(rows, Weighing(slice_of=slices))
    assert said.findings[0].startswith("refunds: 1 rows weigh 20.0 times as much")


def test_nothing_to_balance_and_weights_of_0_do_no_harm():
    slices = pl.DataFrame({"interaction_id": ["s0"], "slice": ["refunds"]})
    empty, said = weighed(AGES.clear(), Weighing(timedelta(days=1), slice_of=slices))
    assert (empty.height, said.about) == (0, {})
    none = AGES.with_columns(weight=pl.lit(0.0))
    assert weighed(none, Weighing(slice_of=slices))[0]["weight"].to_list() == [0.0] * 4
