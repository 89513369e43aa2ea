"""Signals looked at through filters: pages, bars and time, and what there is where there is little."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.errors import ExpressionError, SettingsError
from clworkbench.slices.explored import Explored
from clworkbench.slices.filters import Filters

START = datetime(2026, 3, 2, tzinfo=UTC)


def signals(n: int = 50) -> pl.DataFrame:
    """Every fourth bad, every fifth pending, from app b every second; one an hour."""
    return pl.DataFrame(
        {
            "interaction_id": [f"i{number}" for number in range(n)],
            "started_at": [START + timedelta(hours=number) for number in range(n)],
            "outcome": [None if number % 5 == 0 else number % 4 != 0 for number in range(n)],
            "app": ["ab"[number % 2] for number in range(n)],
            "text": [f"text {number}" for number in range(n)],
            "latency_ms": [float(number) for number in range(n)],
            "attributes": [f'{{"tenant":{{"id":"t{number % 3}"}}}}' for number in range(n)],
        },
        schema={
            "interaction_id": pl.String, "started_at": pl.Datetime("us", "UTC"), "outcome": pl.Boolean,
            "app": pl.String, "text": pl.String, "latency_ms": pl.Float64, "attributes": pl.String,
        },
    )  # fmt: skip


def test_a_page_holds_twenty_signals_the_latest_first():
    explored = Explored(signals(), {})
    first, last = explored.look(Filters()), explored.look(Filters(), page=2)
    assert first.page["interaction_id"].to_list() == [f"i{number}" for number in range(49, 29, -1)]
    assert last.page["interaction_id"].to_list() == [f"i{number}" for number in range(9, -1, -1)]
    assert (first.found, first.number, last.number) == (50, 0, 2)


def test_a_page_behind_the_last_is_the_last_and_one_before_the_first_the_first():
    explored = Explored(signals(), {})
    assert explored.look(Filters(), page=99).number == 2
    assert explored.look(Filters(), page=-5).number == 0


def test_a_page_is_sorted_by_what_it_shows_with_no_value_last():
    explored = Explored(signals(7), {})
    assert explored.look(Filters(), sort="outcome", descending=False).page["outcome"].to_list()[-2:] == [None, None]
    with pytest.raises(ExpressionError, match="no column 'secret' on the page"):
        explored.look(Filters(), sort="secret")


def test_bars_are_the_rates_of_what_the_filters_leave():
    explored = Explored(signals(20), {})
    bars = explored.look(Filters(values={"app": ("a",)}), group_by="app").bars
    # Of the even numbers below 20 those without 0 and 10 are settled; bad are 4, 8, 12 and 16.
    assert bars.select("app", "n", "pending", "rate").rows() == [("a", 8, 2, 0.5)]


def test_numbers_keep_their_bins_when_a_filter_moves():
    explored = Explored(signals(), {})
    whole = explored.look(Filters(), group_by="latency_ms").bars["latency_ms"].to_list()
    part = explored.look(Filters(values={"app": ("a",)}), group_by="latency_ms").bars["latency_ms"].to_list()
    assert len(whole) == 5
    assert part == whole


def test_of_many_groups_the_largest_are_drawn_and_the_others_counted():
    many = signals(60).with_columns(app=pl.Series([str(min(number, 40)) for number in range(60)]))
    look = Explored(many, {}).look(Filters(), group_by="app")
    assert (look.bars.height, look.more) == (20, 21)
    assert look.bars["app"][0] == "40"


@pytest.mark.parametrize(("n", "every"), [(50, "hour"), (24 * 30, "day"), (24 * 300, "week"), (24 * 1500, "month")])
def test_time_is_told_by_the_shortest_period_that_fits(n, every):
    look = Explored(signals(n), {}).look(Filters())
    assert look.every == every
    assert (look.time["n"] + look.time["pending"]).sum() == n
    assert look.time.height <= 121


def test_columns_and_attributes_with_few_values_are_offered():
    offered = Explored(signals(), {}).offered
    assert offered == {"app": ["a", "b"], "attributes.tenant.id": ["t0", "t1", "t2"]}


def test_an_attribute_is_a_filter_and_a_group_and_no_column_of_what_is_found():
    explored = Explored(signals(), {})
    one = Filters(values={"attributes.tenant.id": ("t1",)})
    assert explored.look(one, group_by="attributes.tenant.id").bars.rows()[0][0] == "t1"
    assert explored.found(one).columns == signals().columns


def test_marks_that_a_filter_does_not_find_are_not_among_it():
    explored = Explored(signals(), {"late": "latency_ms > 10"})
    assert explored.among(["i20", "i3", "gone"], Filters(slice="late")) == ["i20"]
    with pytest.raises(SettingsError, match="no slice 'later'"):
        explored.among(["i1"], Filters(slice="later"))


def test_without_signals_there_is_an_empty_page_and_nothing_is_offered():
    explored = Explored(signals(0), {})
    look = explored.look(Filters(text="a"), group_by="app")
    assert (look.found, look.number, look.page.height, look.bars.height, look.time.height) == (0, 0, 0, 0, 0)
    assert explored.offered == {}


def test_signals_without_outcomes_dates_and_values_are_all_pending():
    bare = signals(5).with_columns(
        pl.lit(None, pl.Boolean).alias("outcome"), pl.lit(None, pl.Datetime("us", "UTC")).alias("started_at"),
        pl.lit(None, pl.String).alias("app"), pl.lit(None, pl.String).alias("attributes"),
    )  # fmt: skip
    look = Explored(bare, {}).look(Filters(), group_by="app")
    assert look.bars.select("n", "pending", "rate").rows() == [(0, 5, None)]
    assert (look.found, look.time.height) == (5, 0)
    assert Explored(signals(5).drop("outcome", "started_at"), {}).look(Filters()).found == 5
