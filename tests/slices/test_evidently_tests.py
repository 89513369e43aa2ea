"""Our tests of two samples: against published formulas, and where Evidently's own decision would be wrong."""

import sys

import numpy as np
import pytest
from scipy import stats

from clworkbench.errors import ClwError
from clworkbench.slices.evidently_tests import categorical, numeric


def test_a_category_is_scored_by_jensen_and_shannon_and_tested_as_two_samples():
    before, now = np.repeat([0, 1], [60, 40]), np.repeat([0, 1], [30, 70])
    found = categorical(before, now)
    # Half of both: 0.45 and 0.55; the divergence is the mean of both relative entropies to that.
    p, q, m = np.array([0.6, 0.4]), np.array([0.3, 0.7]), np.array([0.45, 0.55])
    divergence = (p * np.log(p / m)).sum() / 2 + (q * np.log(q / m)).sum() / 2
    assert found.score == pytest.approx(np.sqrt(divergence))
    # 2 x 2 by hand: 200 (60*70 - 40*30)^2 / (100 * 100 * 90 * 110).
    statistic = 200 * (60 * 70 - 40 * 30) ** 2 / (100 * 100 * 90 * 110)
    assert found.p == pytest.approx(stats.chi2.sf(statistic, 1))


def test_evidently_takes_the_window_before_for_the_truth_and_alarms_far_too_often_where_ours_does_not():
    from evidently.legacy.calculations.stattests import get_stattest
    from pandas import Series

    draw, ours, theirs = np.random.default_rng(0), 0, 0
    for _ in range(200):
        before, now = draw.integers(0, 10, (2, 400))
        ours += categorical(before, now).p <= 0.05
        test = get_stattest(Series(before), Series(now), "cat", "chisquare")
        theirs += bool(test(Series(before), Series(now), "cat", None).drifted)
    assert ours <= 21
    assert theirs >= 60


def test_where_cells_are_sparse_p_is_exact():
    before, now = np.repeat([0, 1], [17, 3]), np.repeat([0, 1], [2, 6])
    # 2 x 2: the tables as far from what is expected, by their hypergeometric chance.
    chance = {k: stats.hypergeom.pmf(k, 28, 9, 8) for k in range(9)}
    far = sum(p for k, p in chance.items() if abs(k - 8 * 9 / 28) >= abs(6 - 8 * 9 / 28) - 1e-9)
    assert categorical(before, now).p == pytest.approx(far, abs=0.003)


def test_a_large_window_and_a_small_one_without_drift_give_few_alarms_at_a_strict_level_too():
    """Chi-square's own p is at or below 1 % in 21 of these 300 pairs, where one of 60 has a value of few in 20,000."""
    shares, alarms = np.array([0.9, 0.05, 0.02, 0.01, *[0.02 / 8] * 8]), 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        alarms += categorical(draw.choice(12, 20_000, p=shares), draw.choice(12, 60, p=shares)).p <= 0.01
    assert alarms <= 9  # 3 on average; 10 or more have probability 0.001


def test_prices_far_below_a_thousandth_are_scored_as_any_other_number():
    cents = np.random.default_rng(0).lognormal(0, 0.5, 3_000)
    dear, cheap = (numeric(unit * cents[:1_500], unit * 2 * cents[1_500:]) for unit in (1e3, 1e-6))
    assert cheap.score == pytest.approx(dear.score)
    assert cheap.score > 1
    assert numeric(np.zeros(100), np.repeat([0.0, 1e-9], 50)).score > 1


def test_equal_shares_are_no_distance_apart_and_never_nan():
    draw = np.random.default_rng(0)
    for _ in range(200):
        before = np.repeat(np.arange(8), draw.integers(1, 50, 8))
        found = categorical(before, np.tile(before, 3))
        assert found.score == pytest.approx(0, abs=1e-6)
        assert found.p == pytest.approx(1)


def test_numbers_are_tested_by_kolmogorov_and_smirnov_and_scored_by_how_far_they_moved():
    before = np.linspace(0, 1, 1001)
    found = numeric(before, before + 0.5)
    assert found.p == pytest.approx(stats.ks_2samp(before, before + 0.5).pvalue)
    assert found.score == pytest.approx(0.5 / before.std(), rel=0.03)


def test_one_outlier_neither_makes_nor_hides_a_drift():
    draw = np.random.default_rng(0)
    before, now = draw.normal(size=(2, 2000))
    wild = now.copy()
    wild[0] = 1e12
    assert numeric(before, wild).score < 0.1
    mad = before.copy()
    mad[0] = 1e12
    assert numeric(mad, now + 0.5).score > 0.3


def test_without_evidently_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "evidently.legacy.calculations.stattests", None)
    with pytest.raises(ClwError, match=r"clworkbench\[drift\]"):
        numeric(np.arange(100.0), np.arange(100.0))
