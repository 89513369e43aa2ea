"""Wilson's interval against statsmodels and by hand."""

import polars as pl
import pytest
from statsmodels.stats.proportion import proportion_confint

from clworkbench.statistics.intervals import exact_upper, wilson, wilson_bounds


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (37, 5_000)])
@pytest.mark.parametrize("level", [0.90, 0.95])
def test_wilson_interval_equals_statsmodels(successes: int, n: int, level: float) -> None:
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    assert wilson(successes, n, level=level) == pytest.approx((low, high), abs=1e-12)


def test_wilson_interval_of_0_of_10_reaches_28_percent() -> None:
    # By hand: z²/(n + z²) = 3.8415/13.8415.
    assert wilson(0, 10) == pytest.approx((0.0, 3.841459 / 13.841459), abs=1e-7)


def test_wilson_interval_of_nothing_is_unbounded() -> None:
    assert wilson(0, 0) == (None, None)


def test_wilson_expressions_say_the_same_as_numbers_and_null_for_an_empty_slice() -> None:
    frame = pl.DataFrame({"rate": [0.0, 0.3, 1.0, None], "n": [10, 10, 10, 0]})
    low, high = wilson_bounds(pl.col("rate"), pl.col("n"))
    bounds = frame.select(low=low, high=high)
    for row, successes in enumerate([0, 3, 10]):
        expected = proportion_confint(successes, 10, method="wilson")
        assert bounds.row(row) == pytest.approx(expected, abs=1e-12)
    assert bounds.row(3) == (None, None)


@pytest.mark.parametrize(("events", "n"), [(0, 10), (1, 10), (3, 200), (9, 10)])
def test_exact_upper_bound_equals_statsmodels(events: int, n: int) -> None:
    # A one-sided 95 % bound is the upper end of a two-sided 90 % interval.
    _, high = proportion_confint(events, n, alpha=0.10, method="beta")
    assert exact_upper(events, n) == pytest.approx(high, abs=1e-9)


def test_exact_upper_bound_of_no_event_is_the_rule_of_three() -> None:
    assert exact_upper(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300), abs=1e-12)
    assert 0.99 * 3 / 300 < exact_upper(0, 300) <= 3 / 300


def test_exact_upper_bound_of_nothing_and_of_all_is_one() -> None:
    assert (exact_upper(0, 0), exact_upper(5, 5)) == (1.0, 1.0)
