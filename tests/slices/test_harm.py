"""Harm: rates before and now with their intervals, and what a change means."""

import polars as pl
import pytest

from clworkbench.slices.harm import Change, changed, harm


def outcomes(before: list[bool | None], now: list[bool | None]) -> Change:
    rows = pl.DataFrame({"good": [*before, *now], "now": [False] * len(before) + [True] * len(now)})
    every = pl.Series([True] * rows.height)
    return changed(rows["good"], every, rows["now"], pl.Series(range(rows.height)))


def test_rates_are_of_settled_outcomes_and_pending_ones_are_counted_apart():
    found = outcomes([True] * 60 + [False] * 40 + [None] * 5, [True] * 30 + [False] * 70 + [None] * 7)
    assert found[:4] == (100, 5, 100, 7)
    assert (found.before, found.now, found.change) == pytest.approx((0.6, 0.3, -0.3))
    # Wilson's interval of 60 of 100 at 95 %: 0.502 to 0.691; Newcombe's of the difference as in his method 10.
    assert (found.before_low, found.before_high) == pytest.approx((0.502, 0.691), abs=0.0005)
    low, high = 0.3 + ((0.691 - 0.6) ** 2 + (0.3 - 0.219) ** 2) ** 0.5, 0.3 - ((0.6 - 0.502) ** 2 + 0.096**2) ** 0.5
    assert (found.change_low, found.change_high) == pytest.approx((-low, -high), abs=0.02)
    assert harm(found, found.p) == "worse"


def test_with_fewer_than_twenty_settled_there_is_a_rate_and_no_verdict():
    found = outcomes([True] * 100, [True] * 9 + [False] * 10)
    assert found.now == pytest.approx(9 / 19)
    assert found.now_low == pytest.approx(0.273, abs=0.001)  # Wilson's interval of 9 of 19
    assert (found.change, found.p) == (None, None)
    assert harm(found, found.p) == "not enough data"


def test_without_any_outcome_nothing_is_said():
    assert outcomes([None] * 30, [])[:5] == (0, 30, 0, 0, None)


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [((900, 100), (905, 95), "same"), ((30, 10), (29, 11), "unclear"), ((500, 500), (700, 300), "better")],
)
def test_no_difference_is_told_from_not_knowing(before: tuple[int, int], now: tuple[int, int], says: str):
    found = outcomes(*([True] * good + [False] * bad for good, bad in (before, now)))
    assert harm(found, found.p) == says


def test_turns_of_one_conversation_are_no_independent_evidence():
    good = [True] * 40 + [False] * 20 + [True] * 24 + [False] * 36
    rows = pl.DataFrame({"good": good, "now": [False] * 60 + [True] * 60})
    every = pl.Series([True] * 120)
    alone = changed(rows["good"], every, rows["now"], pl.Series(range(120)))
    together = changed(rows["good"], every, rows["now"], pl.Series([i // 12 for i in range(120)]))
    assert alone.p is not None
    assert together.p is not None
    assert alone.p < 0.01 < 0.05 < together.p
