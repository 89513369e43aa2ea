"""Confidence sequences: against published values, numerical integration and plain loops; and that looking is free."""

from math import inf, log, sqrt

import numpy as np
import pytest

from clworkbench.statistics.sequential import (
    Totals,
    boundary,
    difference_sequence,
    log_evidence,
    mean_sequence,
    rows_needed,
    totals,
)


def test_the_mixture_and_its_boundary_are_the_published_ones():
    # What the tests of confseq, the authors' library, hold for s = 10, v = 100, v_opt = 100, c = 2, alpha = 5 %.
    assert log_evidence(np.array([10.0]), np.array([100.0]), tight_at=100, scale=2)[0] == pytest.approx(
        -0.2490165, abs=1e-6
    )
    assert boundary(np.array([100.0]), 0.05, tight_at=100, scale=2)[0] == pytest.approx(33.02017, abs=1e-4)


@pytest.mark.parametrize(("excess", "variance"), [(0.0, 0.0), (3.0, 2.0), (-4.0, 9.0), (25.0, 60.0), (40.0, 300.0)])
def test_the_mixture_is_the_integral_over_all_bets(excess: float, variance: float):
    # exp(bet * s - psi(bet) * v), psi(bet) = -log(1 - bet) - bet, weighed by a gamma density of 1 - bet cut off at 1.
    rho = 25 / (2 * log(10) + log(1 + 2 * log(10)))
    bets = (np.arange(2_000_000) + 0.5) / 2_000_000
    weight = np.exp((rho - 1) * np.log(1 - bets) - rho * (1 - bets) + rho)
    worth = np.exp(bets * excess + (np.log(1 - bets) + bets) * variance)
    wanted = log((weight * worth).sum() / weight.sum())
    assert log_evidence(np.array([excess]), np.array([variance]))[0] == pytest.approx(wanted, abs=1e-5)


def test_far_below_the_means_there_is_no_evidence():
    assert log_evidence(np.array([-1000.0]), np.array([3.0]))[0] == -inf


def test_the_boundary_is_where_the_evidence_reaches_its_threshold():
    variance = np.array([0.0, 0.3, 12.0, 4000.0, 1e6])
    for alpha in (0.05, 0.001):
        assert log_evidence(boundary(variance, alpha), variance) == pytest.approx(np.full(5, log(1 / alpha)), abs=1e-6)


VALUES = [1.0, 0.0, 1.0, 1.0, 0.5]
ARMS = [True, False, False, True, False]
SHARES = [0.5, 0.5, 0.25, 0.25, 0.25]


def test_totals_by_a_plain_loop():
    excess = variance = weight = before = 0.0
    for n, (value, arm, share) in enumerate(zip(VALUES, ARMS, SHARES, strict=True)):
        step = (arm - share) * (value - (before + 0.5) / (n + 1))
        excess, variance, weight = excess + step, variance + step**2, weight + share * (1 - share)
        before += value
    found = totals(np.array(VALUES), np.array(ARMS), np.array(SHARES))
    assert [each[-1] for each in found] == pytest.approx([excess, variance, weight])


def test_the_first_steps_by_hand():
    # 1 of the challenger at 50 %: (1 - 0.5)(1 - 0.5) = 0.25. 0 of the champion: (0 - 0.5)(0 - 1.5/2) = 0.375.
    found = totals(np.array(VALUES[:2]), np.array(ARMS[:2]), np.array(SHARES[:2]))
    assert found.excess == pytest.approx([0.25, 0.625])
    assert found.variance == pytest.approx([0.0625, 0.203125])
    assert found.weight == pytest.approx([0.25, 0.5])


def test_looks_are_rows_of_the_whole_course_and_rollouts_may_stand_side_by_side():
    random = np.random.default_rng(0)
    values, arms = random.random((3, 400)), random.random((3, 400)) < 0.3
    shares = np.full((3, 400), 0.3)
    many = difference_sequence(values, arms, shares, after=np.array([99, 399]))
    for row in range(3):
        one = difference_sequence(values[row], arms[row], shares[row])
        for side, whole in zip(many, one, strict=True):
            assert side[row] == pytest.approx(whole[[99, 399]])


def test_the_estimate_is_the_difference_of_means_where_there_is_much():
    random = np.random.default_rng(1)
    arms = random.random(40_000) < 0.25
    values = (random.random(40_000) < np.where(arms, 0.6, 0.7)).astype(float)
    found = difference_sequence(values, arms, np.full(40_000, 0.25))
    assert found.estimate[-1] == pytest.approx(values[arms].mean() - values[~arms].mean(), abs=0.002)
    # At its end the band is some 1.5 to 2 times as wide as an interval that is looked at once.
    once = 1.96 * sqrt(0.24 / arms.sum() + 0.21 / (~arms).sum())
    assert 1.2 * once < (found.high[-1] - found.low[-1]) / 2 < 2 * once


def test_a_trend_that_both_arms_share_is_no_difference_though_the_shares_change():
    # Pooled by arm, the challenger would look 30 points better: it was served when all went well.
    random = np.random.default_rng(2)
    shares = np.repeat([0.05, 0.95], 10_000)
    arms = random.random(20_000) < shares
    values = (random.random(20_000) < np.repeat([0.5, 0.9], 10_000)).astype(float)
    assert values[arms].mean() - values[~arms].mean() > 0.3
    found = difference_sequence(values, arms, shares)
    assert abs(found.estimate[-1]) < 0.05
    assert found.low[-1] < 0 < found.high[-1]


def test_before_anything_is_known_bounds_say_nothing():
    found = difference_sequence(np.array([1.0]), np.array([True]), np.array([0.05]))
    assert (found.low[0], found.high[0]) == (-1.0, 1.0)


def test_a_mean_by_a_plain_loop():
    before = variance = 0.0
    for n, value in enumerate(VALUES):
        variance += (value - (before + 0.5) / (n + 1)) ** 2
        before += value
    found = mean_sequence(np.array(VALUES), alpha_low=0.05, alpha_high=0.2)
    assert found.estimate[-1] == pytest.approx(0.7)
    reach = boundary(np.array([variance]), 0.05)[0] / 5
    assert found.low[-1] == pytest.approx(max(0.0, 0.7 - reach))
    wide = mean_sequence(np.tile(VALUES, 40))
    assert 0 < wide.low[-1] < 0.7 < wide.high[-1] < 1


def test_means_of_rare_and_of_sure_events_are_covered_at_every_look():
    random = np.random.default_rng(3)
    for rate in (0.02, 0.5, 0.98):
        found = mean_sequence((random.random((1000, 600)) < rate).astype(float), after=np.arange(4, 600, 15))
        missed = ((found.low > rate) | (found.high < rate)).any(axis=1).sum()
        assert missed <= 72  # a nominal 5 % of 1,000; a correct one exceeds it with a probability of 0.001


def test_equal_arms_are_covered_at_every_look_where_an_interval_for_one_look_is_not():
    random = np.random.default_rng(4)
    arms = random.random((500, 2000)) < 0.5
    values = (random.random((500, 2000)) < 0.8).astype(float)
    looks = np.arange(49, 2000, 10)
    found = totals(values, arms, np.full((500, 2000), 0.5), looks)
    # |S| > 1.96 sqrt(V): what is looked at every ten rows as if it were looked at once.
    naive = (np.abs(found.excess) > 1.96 * np.sqrt(found.variance)).any(axis=1).sum()
    evidence = np.maximum(log_evidence(found.excess, found.variance), log_evidence(-found.excess, found.variance))
    assert naive > 100
    assert (evidence >= log(1 / 0.025)).any(axis=1).sum() <= 40


def test_rows_needed_is_the_first_number_that_suffices():
    found = Totals(*(np.float64(each) for each in (0.5, 8.0, 47.5)))
    more = rows_needed(found, margin=0.05, alpha=0.05, share=0.05, difference=0.0)
    assert more is not None
    spread = (8.0 + 0.5) / (47.5 + 2)

    def low(rows: int) -> float:
        gain = rows * 0.05 * 0.95
        return (0.5 - boundary(np.array([8.0 + gain * spread]), 0.05)[0]) / (47.5 + gain)

    assert low(more) > -0.05 >= low(more - 1)


@pytest.mark.parametrize(
    ("totals", "difference", "needed"),
    [((0.0, 0.0, 0.0), -0.05, None), ((0.0, 0.0, 0.0), -0.0499999, None), ((40.0, 8.0, 47.5), None, 0)],
    ids=["at the margin", "too near to it", "enough"],
)
def test_rows_needed_may_be_none_or_out_of_reach(totals, difference, needed):
    found = Totals(*(np.float64(each) for each in totals))
    assert rows_needed(found, margin=0.05, alpha=0.05, share=0.05, difference=difference) == needed
