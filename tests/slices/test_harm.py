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


def test_many_turns_of_a_few_conversations_give_a_rate_and_no_verdict():
    """One conversation with 100 good turns, held against 200 with 80 % good: it tells nothing of the others."""
    good = [True] * 160 + [False] * 40 + [True] * 100
    rows = pl.DataFrame({"good": good, "now": [False] * 200 + [True] * 100})
    units = pl.Series([*range(200), *[200] * 100])
    found = changed(rows["good"], pl.Series([True] * 300), rows["now"], units)
    assert (found.n_now, found.now, found.p) == (100, 1.0, None)
    assert found.now_low is not None
    assert found.now_low < 0.25  # Wilson's interval of 1 of 1
    assert harm(found, found.p) == "not enough data"


def test_a_fall_that_is_sure_but_below_a_point_is_not_worse():
    found = outcomes([True] * 99_500 + [False] * 500, [True] * 99_000 + [False] * 1_000)
    assert found.p is not None
    assert found.p < 1e-6
    assert harm(found, found.p) == "same"
    more = outcomes([True] * 99_500 + [False] * 500, [True] * 98_000 + [False] * 2_000)
    assert harm(more, more.p) == "worse"


def test_turns_of_one_conversation_are_no_independent_evidence():
    said = [True] * 24 + [False] * 16 + [True] * 18 + [False] * 22  # 40 conversations, then 40, of five turns each
    good = [one for one in said for _ in range(5)]
    rows = pl.DataFrame({"good": good, "now": [False] * 200 + [True] * 200})
    every = pl.Series([True] * 400)
    alone = changed(rows["good"], every, rows["now"], pl.Series(range(400)))
    together = changed(rows["good"], every, rows["now"], pl.Series([i // 5 for i in range(400)]))
    assert alone.p is not None
    assert together.p is not None
    assert alone.p < 0.01 < 0.05 < together.p
