"""Drawing: whole conversations, chances that add up, and what is refused."""

import polars as pl
import pytest

from clworkbench.errors import EvidenceError
from clworkbench.evals.coverage import coverage, in_words
from clworkbench.evals.drawing import drawn, evenly


def talks(*sizes: int, stratum: str = "all") -> pl.DataFrame:
    """A conversation for each size; those of one stratum in the order of their numbers."""
    rows = [
        {"group": f"{stratum} {number:03}", "stratum": stratum, "order": f"{number:03}", "turn": turn}
        for number, size in enumerate(sizes)
        for turn in range(size)
    ]
    return pl.DataFrame(rows)


def none(rows: pl.DataFrame) -> pl.Series:
    return pl.Series("why", [None] * rows.height, dtype=pl.String)


def test_a_small_stratum_gives_all_and_the_others_share_the_rest():
    assert evenly({"a": 100, "b": 3, "c": 100}, 31) == {"a": 14, "b": 3, "c": 14}


def test_conversations_are_drawn_whole_with_their_share_as_the_chance():
    found = drawn(talks(2, 2, 2, 2, 2, 2, 2, 2, 2, 2), 8, none)
    assert found.frame["group"].unique().sort().to_list() == [f"all {n:03}" for n in range(4)]
    assert found.frame.height == 8
    assert found.frame["inclusion"].unique().to_list() == [0.4]


def test_the_inverse_chances_of_what_was_drawn_add_up_to_what_there_was():
    rows = pl.concat([talks(*[1] * 200, stratum="many"), talks(*[1] * 10, stratum="few")])
    found = drawn(rows, 40, none)
    summed = found.frame.group_by("stratum").agg(total=(1 / pl.col("inclusion")).sum())
    assert dict(summed.iter_rows()) == pytest.approx({"many": 200.0, "few": 10.0})
    assert found.strata["inclusion"].to_list() == [1.0, pytest.approx(30 / 200)]


def test_what_is_refused_is_replaced_and_still_counts_as_looked_at():
    def refuse(rows: pl.DataFrame) -> pl.Series:
        bad = rows["order"].is_in(["000", "002"])
        return pl.select(pl.when(bad).then(pl.lit("leak_exact"))).to_series()

    found = drawn(talks(*[1] * 20), 4, refuse)
    assert found.frame["order"].to_list() == ["001", "003", "004", "005"]
    assert found.refused == {"leak_exact": 2}
    assert found.strata.select("looked_at", "drawn").rows() == [(6, 4)]
    assert found.frame["inclusion"].to_list() == [0.3] * 4


def test_where_all_are_refused_nothing_is_drawn():
    found = drawn(talks(1, 1, 1), 2, lambda rows: pl.Series(["leak_near_duplicate"] * rows.height))
    assert found.frame.is_empty()
    assert found.refused == {"leak_near_duplicate": 3}


def test_more_strata_than_half_of_what_is_asked_for_are_refused_with_a_way_out():
    rows = pl.concat([talks(1, 1, stratum=name) for name in "abcdef"])
    with pytest.raises(EvidenceError, match="--n 12"):
        drawn(rows, 10, none)


def test_shares_of_all_traffic_stand_beside_those_of_what_was_drawn_from():
    traffic = pl.DataFrame(
        {
            "bad": [True, True, False, None],
            "slices": [["refunds"], ["refunds"], [], ["cards"]],
            "model": ["a", "a", "b", "b"],
        }
    )
    found = coverage(traffic, pl.Series([False, False, True, True]), ["bad", "slices", "model"])
    told = {what: (whole, part) for what, whole, part, _ in found.iter_rows()}
    assert told["bad"] == (pytest.approx(2 / 3), 0.0)
    assert told["slices refunds"] == (0.5, 0.0)
    assert told["model b"] == (0.5, 1.0)
    assert "bad 0% instead of 67%" in in_words(found)


def test_a_part_that_is_like_the_whole_is_said_to_be():
    traffic = pl.DataFrame({"bad": [True, False, True, False]})
    found = coverage(traffic, pl.Series([True, True, False, False]), ["bad"])
    assert "is like all traffic" in in_words(found)
