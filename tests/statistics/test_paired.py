"""Paired tests against published examples, statsmodels, SciPy, exact sums and simulation."""

from math import sqrt

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binomtest, multinomial, norm, permutation_test, ttest_1samp
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from clworkbench.statistics.paired import (
    compare_binary,
    compare_scores,
    mcnemar,
    tango_interval,
    tango_z,
)


def test_mcnemar_of_a_published_table() -> None:
    # Cavo et al. 2012: 6 and 16 discordant; two-sided exact P = 0.052479 in the R package contingencytables.
    assert 2 * mcnemar(16, 6) == pytest.approx(0.052479, abs=5e-7)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (0, 4), (5, 0), (16, 2), (6, 6), (3, 8)])
def test_mcnemar_is_the_exact_one_sided_binomial_test(wins: int, losses: int) -> None:
    expected = binomtest(wins, wins + losses, alternative="greater").pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_doubled_equals_statsmodels() -> None:
    two_sided = statsmodels_mcnemar([[10, 16], [2, 12]], exact=True).pvalue
    assert 2 * mcnemar(16, 2) == pytest.approx(two_sided, abs=1e-12)


@pytest.mark.parametrize(
    ("wins", "losses", "n", "level", "low", "high"),
    [
        # Tango 1998: sleeping difficulties (Karacan et al.), 9 and 3 discordant of 32.
        (9, 3, 32, 0.95, -0.027, 0.390),
        # Cavo et al. 2012, as in the tests of the R package contingencytables (Fagerland, Lydersen, Laake).
        (6, 16, 161, 0.95, -0.1240, -0.0054),
    ],
)
def test_tango_interval_of_published_examples(
    wins: int, losses: int, n: int, level: float, low: float, high: float
) -> None:
    rounding = 0.0005 if abs(low) < 0.1 else 0.00005
    assert tango_interval(wins, losses, n, level=level) == pytest.approx((low, high), abs=rounding)


def test_tango_statistic_and_bound_of_the_contact_lens_trial() -> None:
    # Tango 1998: 0 and 1 discordant of 44, margin 0.1: Z = 1.709 (here 1.7086), lower 90 % limit -0.096.
    assert tango_z(0, 1, 44, -0.1) == pytest.approx(1.709, abs=0.0006)
    assert tango_interval(0, 1, 44).low == pytest.approx(-0.096, abs=0.0005)


def score_z(wins: int, losses: int, n: int, difference: float) -> float:
    """Tango's statistic the long way: maximise the multinomial likelihood under the null numerically."""

    def minus_log_likelihood(lost: float) -> float:
        cells = [(wins, lost + difference), (losses, lost), (n - wins - losses, 1 - 2 * lost - difference)]
        return -sum(k * np.log(max(p, 1e-300)) for k, p in cells if k)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    lost = minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float((wins - losses - n * difference) / sqrt(n * (2 * lost + difference - difference**2)))


@pytest.mark.parametrize(("wins", "losses", "n"), [(9, 3, 32), (1, 4, 20), (20, 22, 140), (7, 0, 12)])
def test_tango_equals_the_score_equation_solved_another_way(wins: int, losses: int, n: int) -> None:
    for difference in (-0.3, -0.05, 0.04, 0.2):
        assert tango_z(wins, losses, n, difference) == pytest.approx(score_z(wins, losses, n, difference), abs=2e-4)
    z, seen = norm.ppf(0.95), (wins - losses) / n
    low = brentq(lambda d: score_z(wins, losses, n, d) - z, -0.999, seen - 1e-6)
    high = brentq(lambda d: score_z(wins, losses, n, d) + z, seen + 1e-6, 0.999)
    assert tango_interval(wins, losses, n) == pytest.approx((low, high), abs=2e-4)


def test_tango_interval_without_discordant_pairs_is_finite() -> None:
    # By hand: with b = c = 0, Z² = n·d/(1 - d), so the bound is z²/(n + z²).
    reach = norm.ppf(0.95) ** 2 / (40 + norm.ppf(0.95) ** 2)
    assert tango_interval(0, 0, 40) == pytest.approx((-reach, reach), abs=1e-6)


def test_tango_interval_of_only_wins_ends_at_1_and_swaps_its_sides_with_wins_and_losses() -> None:
    low, high = tango_interval(5, 0, 5)
    assert high == 1
    assert tango_interval(0, 5, 5) == pytest.approx((-1, -low))


def test_tango_interval_of_one_pair_is_finite_on_both_sides() -> None:
    for wins, losses in ((0, 0), (1, 0), (0, 1)):
        low, high = tango_interval(wins, losses, 1)
        assert -1 <= low <= wins - losses <= high <= 1


@pytest.mark.parametrize("n", [60, 140])
@pytest.mark.parametrize("discordant", [0.10, 0.20, 0.30])
def test_tango_shows_not_worse_in_5_percent_at_the_margin_by_exact_sums(n: int, discordant: float) -> None:
    """No simulation: the probability of every outcome whose test rejects, truly at the margin of 5 points."""
    p_win, p_loss = (discordant - 0.05) / 2, (discordant + 0.05) / 2
    wins, losses = np.mgrid[0 : n + 1, 0 : n + 1].reshape(2, -1)
    wins, losses = wins[wins + losses <= n], losses[wins + losses <= n]
    chance = multinomial.pmf(np.column_stack([wins, losses, n - wins - losses]), n, [p_win, p_loss, 1 - discordant])
    likely = chance > 1e-9
    rejected = [tango_z(b, c, n, -0.05) >= norm.ppf(0.95) for b, c in zip(wins[likely], losses[likely], strict=True)]
    # Tango's Table: actual sizes stray little from the nominal one.
    assert chance[likely][rejected].sum() == pytest.approx(0.05, abs=0.015)


def test_the_interval_reaches_to_0_where_the_exact_test_does_not_exclude_0() -> None:
    # 5 wins, 1 loss: exact one-sided p = 7/64 = 0.109; Tango's own interval would start above 0 at n = 1000.
    assert tango_interval(5, 1, 1_000).low > -0.0005
    evidence = compare_binary(8, 2, 100, margin=0)
    assert evidence.p_met == pytest.approx(56 / 1_024)
    assert tango_interval(8, 2, 100).low > 0
    assert evidence.interval.low == 0


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.10])
def test_interval_and_p_of_binary_scores_agree_for_every_outcome_of_30_pairs(margin: float) -> None:
    for wins in range(31):
        for losses in range(31 - wins):
            evidence = compare_binary(wins, losses, 30, margin=margin)
            low, high = evidence.interval
            assert (evidence.p_met <= 0.05) == (low > -margin), (wins, losses)
            assert (evidence.p_violated <= 0.05) == (high < -margin), (wins, losses)


def test_sign_flips_equal_scipys_exact_permutation_test() -> None:
    champion = np.array([0.2, 1.5, 0.7, -0.3, 2.0, 1.1, 0.4, 0.9, 0.0, 1.0, 0.3])
    challenger = champion + np.array([0.3, -0.1, 0.6, 0.2, 0.5, -0.4, 0.8, 0.1, 0.25, 0.35, -0.05])
    theirs = permutation_test(
        (challenger, champion),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert compare_scores(champion, challenger, margin=0).p_met == pytest.approx(theirs.pvalue, abs=1e-12)
    shifted = permutation_test(
        (challenger + 0.1, champion),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    ours = compare_scores(champion, challenger, margin=0.1).p_met
    assert ours == pytest.approx(shifted.pvalue, abs=1e-12)


def test_sign_flips_of_many_examples_come_near_students_t() -> None:
    random = np.random.default_rng(3)
    champion = random.normal(size=400)
    challenger = champion + random.normal(0.05, 0.5, size=400)
    theirs = ttest_1samp(challenger - champion, 0)
    low, high = theirs.confidence_interval(0.90)
    drawn = compare_scores(champion, challenger, margin=0, seed=1)
    assert drawn.p_met == pytest.approx(theirs.pvalue / 2, abs=0.006)
    assert drawn.interval == pytest.approx((low, high), abs=0.003)


def test_more_than_2000_examples_are_compared_by_students_t() -> None:
    random = np.random.default_rng(4)
    champion = random.normal(size=3_000)
    challenger = champion + random.normal(0.01, 0.3, size=3_000)
    theirs = ttest_1samp(challenger - champion + 0.02, 0, alternative="greater")
    evidence = compare_scores(champion, challenger, margin=0.02)
    assert evidence.p_met == pytest.approx(theirs.pvalue, rel=1e-6)
    two_sided = ttest_1samp(challenger - champion, 0).confidence_interval(0.90)
    assert evidence.interval == pytest.approx(two_sided, abs=1e-9)


@pytest.mark.parametrize("n", [1, 4, 5, 13, 14, 60])
@pytest.mark.parametrize("relative", [False, True])
def test_interval_and_p_of_other_scores_agree(n: int, *, relative: bool) -> None:
    random = np.random.default_rng(n)
    for shift in (-0.3, -0.1, 0.0, 0.1, 0.3):
        champion = random.uniform(1, 2, size=n)
        challenger = champion + random.normal(shift, 0.3, size=n)
        for margin in (0.0, 0.1):
            evidence = compare_scores(champion, challenger, margin=margin, relative=relative)
            low, high = evidence.interval
            assert (evidence.p_met <= 0.05) == (low is not None and low > -margin)
            assert (evidence.p_violated <= 0.05) == (high is not None and high < -margin)


def test_four_scores_can_show_nothing_and_five_can() -> None:
    # By hand: all signs alike has probability 1/16 = 0.0625 with four, 1/32 = 0.03125 with five.
    four = compare_scores(np.zeros(4), np.array([3.0, 4.0, 5.0, 6.0]), margin=0)
    five = compare_scores(np.zeros(5), np.array([3.0, 4.0, 5.0, 6.0, 7.0]), margin=0)
    assert four.p_met == 1 / 16
    assert five.p_met == 1 / 32
    assert five.interval.low > 0


def test_equal_scores_are_no_proof_of_being_within_the_margin() -> None:
    same = np.array([0.5, 0.25, 0.75] * 10)
    few, many = (compare_scores(np.tile(same, k), np.tile(same, k), margin=0.05) for k in (1, 4))
    # As 0 discordant pairs of 30: the interval reaches to z²/(n + z²) = 0.0827, past the margin; of 120, 0.0220.
    assert few.p_met > 0.05
    assert few.interval == pytest.approx((-0.0827, 0.0827), abs=0.0001)
    assert many.p_met < 0.05
    assert many.interval == pytest.approx((-0.0220, 0.0220), abs=0.0001)


def test_a_constant_gain_is_shown_by_its_signs_alone() -> None:
    champion = np.linspace(0, 10, 20)
    evidence = compare_scores(champion, champion + 0.5, margin=0)
    assert evidence.difference == pytest.approx(0.5)
    assert evidence.p_met <= 0.0002
    assert evidence.interval == pytest.approx((0.5, 0.5))


def test_a_share_of_the_champions_mean_is_a_ratio_of_means() -> None:
    # Costs of 1, 2 and 3 that all grow by 40 %: less is better, so both are negated.
    champion = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    evidence = compare_scores(-champion, -1.4 * champion, margin=0.5, relative=True)
    assert evidence.difference == pytest.approx(-0.4)
    assert evidence.interval == pytest.approx((-0.4, -0.4))
    assert evidence.p_met == pytest.approx(1 / 64)
    assert evidence.p_violated == pytest.approx(1.0)


def test_other_scores_reject_a_true_null_in_at_most_131_of_2000() -> None:
    """At the margin: 40 skewed differences whose true mean is exactly the margin."""
    random = np.random.default_rng(11)
    wrong = 0
    for draw in range(2_000):
        champion = random.uniform(size=12)
        challenger = champion + random.uniform(-0.5, 0.5, size=12) - 0.05
        wrong += compare_scores(champion, challenger, margin=0.05, seed=draw).p_met <= 0.05
    assert wrong <= 131


def test_rare_large_losses_are_not_taken_for_none_in_more_than_131_of_2000() -> None:
    """One example in twenty loses a whole point, a few gain a tenth: truly at the margin of 5 points, n = 30."""
    random = np.random.default_rng(12)
    wrong = 0
    for draw in range(2_000):
        champion = np.full(30, 1.0)
        lost = random.uniform(size=30) < 0.05
        challenger = np.where(lost, 0.0, 1.0)
        challenger[0], champion[0] = 0.5, 0.5
        challenger[0] -= 0.05
        wrong += compare_scores(champion, challenger, margin=0.05, seed=draw).p_met <= 0.05
    assert wrong <= 131
