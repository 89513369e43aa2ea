"""Power against the design's figures, hand calculation, SciPy and simulation."""

import numpy as np
import pytest
from scipy.stats import binom

from clworkbench.statistics.paired import compare_binary
from clworkbench.statistics.power import (
    paired_power,
    pairs_needed,
    pairs_needed_mean,
    smallest_detectable,
    smallest_detectable_mean,
)


@pytest.mark.parametrize(("n", "power"), [(140, 0.57), (300, 0.85), (440, 0.95)])
def test_power_of_not_worse_by_5_points_is_what_the_design_promises(n: int, power: float) -> None:
    assert paired_power(n, difference=0.02, margin=0.05, discordant=0.2) == pytest.approx(power, abs=0.006)


def test_power_of_mcnemar_where_all_pairs_are_discordant_is_a_binomial_tail() -> None:
    # 20 pairs, all discordant: 15 wins are needed (P(X >= 15) = 0.0207, P(X >= 14) = 0.0577).
    power = paired_power(20, difference=0.6, margin=0, discordant=1.0)
    assert power == pytest.approx(binom.sf(14, 20, 0.8), abs=1e-9)


@pytest.mark.parametrize(
    ("n", "difference", "margin", "discordant"),
    [(50, 0.15, 0.0, 0.3), (50, 0.0, 0.1, 0.2), (12, 0.4, 0.0, 0.5), (100, -0.05, 0.05, 0.1)],
)
def test_power_is_the_share_of_simulated_tests_that_show_it(
    n: int, difference: float, margin: float, discordant: float
) -> None:
    win, loss = (discordant + difference) / 2, (discordant - difference) / 2
    counts = np.random.default_rng(5).multinomial(n, [win, loss, 1 - win - loss], size=4_000)
    outcomes, times = np.unique(counts, axis=0, return_counts=True)
    shown = [compare_binary(int(b), int(c), n, margin=margin).p_met <= 0.05 for b, c, _ in outcomes]
    power = paired_power(n, difference=difference, margin=margin, discordant=discordant)
    assert power == pytest.approx(np.average(shown, weights=times), abs=4 * 0.5 / 4_000**0.5)


def test_power_of_no_pairs_and_of_pairs_that_never_differ() -> None:
    assert paired_power(0, difference=0.1, margin=0.05, discordant=0.2) == 0
    assert paired_power(500, difference=0.0, margin=0.0, discordant=0.0) == 0
    # z²/(n + z²) falls below the margin of 5 points from n = 52 on.
    assert paired_power(51, difference=0.0, margin=0.05, discordant=0.0) == 0
    assert paired_power(52, difference=0.0, margin=0.05, discordant=0.0) == 1


def test_the_smallest_detectable_difference_is_shown_with_probability_80_percent() -> None:
    for n, margin in ((140, 0.0), (140, 0.05), (2_000, 0.05)):
        difference = smallest_detectable(n, margin=margin, discordant=0.2)
        assert difference is not None
        power = paired_power(n, difference=difference, margin=margin, discordant=0.2)
        assert power == pytest.approx(0.8, abs=0.01)
    assert difference < 0


def test_four_pairs_can_detect_nothing() -> None:
    # Four wins of four have p = 1/16.
    assert smallest_detectable(4, margin=0, discordant=0.2) is None
    assert smallest_detectable(5, margin=0, discordant=0.2) is not None


def test_pairs_needed_are_those_that_reach_80_percent() -> None:
    n = pairs_needed(difference=0.02, margin=0.05, discordant=0.2)
    assert n is not None
    assert 240 < n < 280  # between the design's 0.57 at 140 and 0.85 at 300
    assert paired_power(n, difference=0.02, margin=0.05, discordant=0.2) >= 0.8


def test_pairs_needed_for_a_gain_and_for_a_loss_are_the_same_at_margin_0() -> None:
    gain = pairs_needed(difference=0.1, margin=0, discordant=0.3)
    assert gain == pairs_needed(difference=-0.1, margin=0, discordant=0.3)


def test_no_number_of_pairs_settles_what_is_exactly_at_the_margin() -> None:
    assert pairs_needed(difference=0.0, margin=0.0, discordant=0.2) is None
    assert pairs_needed(difference=-0.05, margin=0.05, discordant=0.2) is None
    assert pairs_needed_mean(difference=-0.5, margin=0.5, spread=1.0) is None


def test_means_follow_the_textbook_formula() -> None:
    # By hand: ((1.644854 + 0.841621) * 2 / 0.5)² = 98.9.
    assert pairs_needed_mean(difference=0.5, margin=0, spread=2.0) == 99
    assert smallest_detectable_mean(99, margin=0, spread=2.0) == pytest.approx(0.49980, abs=1e-4)
    assert smallest_detectable_mean(1, margin=0, spread=2.0) is None
