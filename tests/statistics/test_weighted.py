"""Weighted means: by hand, against equal weights, and how often their intervals hold the truth."""

import numpy as np
import pytest

from clworkbench.statistics.intervals import wilson
from clworkbench.statistics.paired import tango_interval
from clworkbench.statistics.weighted import Drawn, weighted_difference, weighted_mean


def each(*inclusion: float) -> Drawn:
    return Drawn(np.array(inclusion), np.arange(len(inclusion)))


def test_an_example_drawn_at_one_in_ten_counts_ten_times():
    # Two of a frequent kind drawn at 0.1 (right), two of a rare kind drawn at 1 (wrong): 20 right of 22.
    found = weighted_mean(np.array([1.0, 1.0, 0.0, 0.0]), each(0.1, 0.1, 1.0, 1.0))
    assert found.mean == pytest.approx(20 / 22)


def test_the_variance_is_that_of_the_textbook_for_one_stratum():
    # Hájek's mean 0.6 of 10 equal examples: S²/n with S² = 10/9 * 0.24; 0.24 / (0.24 / 9) = 9 effective examples.
    found = weighted_mean(np.array([1.0] * 6 + [0.0] * 4), each(*[0.5] * 10))
    assert found.mean == pytest.approx(0.6)
    assert found.n_effective == pytest.approx(9)


def test_many_equal_examples_have_the_interval_of_wilson():
    found = weighted_mean(np.array([1.0] * 600 + [0.0] * 400), each(*[0.2] * 1000))
    low, high = wilson(600, 1000)
    assert found.interval.low == pytest.approx(low, abs=1e-3)
    assert found.interval.high == pytest.approx(high, abs=1e-3)


def test_ten_turns_that_all_say_the_same_count_as_one_conversation():
    values = np.repeat([1.0, 0.0] * 20, 10)
    found = weighted_mean(values, Drawn(np.full(400, 0.1), np.repeat(np.arange(40), 10)))
    assert found.n == 400
    assert found.n_effective == pytest.approx(39)


def test_where_all_are_right_unequal_weights_widen_the_interval_as_kish_says():
    # Weights 9 and 1, five each: (50)² / (5 * 81 + 5) = 6.1 equal examples.
    found = weighted_mean(np.ones(10), each(*[1 / 9] * 5, *[1.0] * 5))
    assert found.mean == 1.0
    assert found.n_effective == pytest.approx(2500 / 410)
    assert found.interval.low == pytest.approx(wilson(2500 / 410, 2500 / 410).low, abs=0.12)


def test_a_single_conversation_has_no_interval():
    found = weighted_mean(np.array([1.0, 0.0]), Drawn(np.ones(2), np.zeros(2, dtype=np.intp)))
    assert found.interval == (None, None)


def test_pairs_of_which_none_differ_reach_as_far_as_tangos():
    found = weighted_difference(np.zeros(200), each(*[0.3] * 200))
    low, high = tango_interval(0, 0, 200)
    assert found.interval.low == pytest.approx(low, abs=1e-3)
    assert found.interval.high == pytest.approx(high, abs=1e-3)


def test_many_pairs_have_the_interval_of_tango():
    values = np.array([1.0] * 90 + [-1.0] * 60 + [0.0] * 850)
    found = weighted_difference(values, each(*[0.3] * 1000))
    assert found.mean == pytest.approx(0.03)
    low, high = tango_interval(90, 60, 1000)
    assert found.interval.low == pytest.approx(low, abs=1e-3)
    assert found.interval.high == pytest.approx(high, abs=1e-3)


def test_differences_beyond_1_have_students_interval():
    values = np.array([10.0, 20.0, 30.0, 40.0])
    found = weighted_difference(values, each(*[0.5] * 4))
    # 25 ± 2.353 * sqrt(500 / 3 / 4): t of 3 degrees at 95 %, from a printed table.
    assert found.interval.low == pytest.approx(25 - 2.353 * (500 / 3 / 4) ** 0.5, abs=0.01)
    assert found.interval.high == pytest.approx(25 + 2.353 * (500 / 3 / 4) ** 0.5, abs=0.01)


@pytest.mark.slow
def test_the_intervals_hold_what_is_true_of_a_made_population_as_often_as_they_say():
    """Two strata, one drawn twelve times as often; conversations of 1 to 4 turns that go well or badly together."""
    random = np.random.default_rng(2026)
    sizes = [random.integers(1, 5, n) for n in (4000, 400)]
    right = [np.clip(random.normal(mean, 0.25, n), 0.02, 0.98) for mean, n in ((0.8, 4000), (0.4, 400))]
    turns = sum(int(each.sum()) for each in sizes)
    truth = sum(float((n * p).sum()) for n, p in zip(sizes, right, strict=True)) / turns
    # Of the second model each answer is turned round with a chance of 0.15.
    apart = sum(float((n * 0.15 * (1 - 2 * p)).sum()) for n, p in zip(sizes, right, strict=True)) / turns
    held = np.zeros(2)
    plain = 0
    for _ in range(1000):
        first, second, inclusion, clusters = [], [], [], []
        for stratum, wanted in ((0, 60), (1, 60)):
            for talk in random.choice(len(sizes[stratum]), wanted, replace=False):
                n = sizes[stratum][talk]
                one = (random.random(n) < right[stratum][talk]).astype(float)
                first += [*one]
                second += [*np.where(random.random(n) < 0.15, 1 - one, one)]
                inclusion += [wanted / len(sizes[stratum])] * n
                clusters += [stratum * 4000 + int(talk)] * n
        drawn = Drawn(np.array(inclusion), np.array(clusters))
        mean, difference = (
            weighted_mean(np.array(first), drawn),
            weighted_difference(np.array(second) - np.array(first), drawn),
        )
        held += [
            mean.interval.low <= truth <= mean.interval.high,
            difference.interval.low <= apart <= difference.interval.high,
        ]
        low, high = wilson(sum(first), len(first))
        plain += low <= truth <= high
    # 1,000 draws: 95 % give 929 or more, and 90 % give 872 or more, with a chance of 0.999.
    assert held[0] >= 929
    assert held[1] >= 872
    assert plain < 300  # the unweighted mean is of another population
