"""Alpha against Krippendorff's published examples and plain loops, kappa against Fleiss and statsmodels."""

from itertools import combinations, permutations
from math import isnan, nan

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from clworkbench.statistics.agreement import KENDALL, alpha, apart, masi, measured, sparse_interval
from clworkbench.statistics.kappa import kappa

FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
).T
"""The reliability data of Krippendorff 2011, section C: 4 observers, 12 units, missing values."""

LEVELS = ("nominal", "ordinal", "interval")


def as_rows(table):
    """A contingency table as two annotators' answers."""
    cells = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    first, second = zip(*cells, strict=True)
    return np.array(first, float), np.array(second, float)


def in_plain_loops(values, level):
    """Alpha as Krippendorff 2011 writes it down, cell by cell."""
    units = [[v for v in row if not isnan(v)] for row in values]
    units = [unit for unit in units if len(unit) > 1]
    pooled = sorted(v for unit in units for v in unit)
    scale = sorted(set(pooled))
    coincidences = dict.fromkeys(((c, k) for c in scale for k in scale), 0.0)
    for unit in units:
        for c, k in permutations(range(len(unit)), 2):
            coincidences[unit[c], unit[k]] += 1 / (len(unit) - 1)

    def squared(c, k):
        if level == "nominal":
            return float(c != k)
        if level == "interval":
            return (c - k) ** 2
        low, high = min(c, k), max(c, k)
        between = sum(pooled.count(g) for g in scale if low <= g <= high)
        return (between - (pooled.count(c) + pooled.count(k)) / 2) ** 2

    seen = sum(n * squared(c, k) for (c, k), n in coincidences.items())
    expected = sum(pooled.count(c) * pooled.count(k) * squared(c, k) for c in scale for k in scale)
    return 1 - (len(pooled) - 1) * seen / expected


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_four_observers_is_what_krippendorff_2011_prints(level, published):
    assert alpha(FOUR_OBSERVERS, level) == pytest.approx(published, abs=5e-4)


def test_alpha_of_two_observers_and_two_values_is_0_095():
    """Krippendorff 2011, section A."""
    meg, owen = "0100000010", "1110010000"
    assert alpha(np.array([[int(a), int(b)] for a, b in zip(meg, owen, strict=True)], float)) == pytest.approx(
        0.095, abs=5e-4
    )


def test_alpha_of_two_observers_and_five_categories_is_0_692():
    """Krippendorff 2011, section B."""
    ben, gerry = "aabbdcccedda", "babbbccceddd"
    values = np.array([[ord(a), ord(b)] for a, b in zip(ben, gerry, strict=True)], float)
    assert alpha(values) == pytest.approx(0.692, abs=5e-4)


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_is_that_of_plain_loops_on_ragged_data(level):
    random = np.random.default_rng(3)
    values = random.integers(1, 6, (30, 4)).astype(float)
    values[:, 1:3] = np.where(random.random((30, 2)) < 0.6, values[:, :1], values[:, 1:3])
    values[random.random(values.shape) < 0.3] = nan
    assert alpha(values, level) == pytest.approx(in_plain_loops(values, level), abs=1e-12)


def test_a_table_of_distances_gives_what_its_level_gives():
    values = FOUR_OBSERVERS - 1
    squares = np.subtract.outer(np.arange(5.0), np.arange(5.0)) ** 2
    assert alpha(values, squares) == pytest.approx(alpha(values, "interval"), abs=1e-12)
    assert alpha(values, 1 - np.eye(5)) == pytest.approx(alpha(values), abs=1e-12)


def test_units_with_one_answer_change_nothing():
    lonely = np.array([[9.0, nan, nan, nan]] * 5)
    for level in LEVELS:
        assert alpha(np.concatenate([FOUR_OBSERVERS, lonely]), level) == alpha(FOUR_OBSERVERS, level)


def test_where_alpha_is_undefined_it_says_why():
    alone = measured(np.array([[1.0, nan], [nan, 2.0]]))
    assert (isnan(alone.alpha), alone.low, alone.n) == (True, None, 0)
    assert alone.why == "no record was answered by two annotators"
    same = measured(np.ones((6, 3)))
    assert (isnan(same.alpha), same.high, same.n) == (True, None, 6)
    assert "all answers are the same" in same.why
    assert isnan(alpha(np.empty((0, 3))))
    assert measured(np.empty((4, 0))).n == 0


def test_the_interval_is_that_of_another_bootstrap_of_units():
    """R's `boot` on the same data, 1,000 draws of units, ordinal: 0.43 to 1.00."""
    found = measured(FOUR_OBSERVERS, "ordinal", draws=20_000)
    assert found.low == pytest.approx(0.43, abs=0.04)
    assert found.high == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("level", LEVELS)
def test_drawing_kinds_of_units_is_drawing_units(level):
    random = np.random.default_rng(8)
    truth = random.integers(1, 5, (200, 1))
    values = np.where(random.random((200, 3)) < 0.7, truth, random.integers(1, 5, (200, 3))).astype(float)
    one_by_one = [alpha(values[random.integers(0, 200, 200)], level) for _ in range(2_000)]
    found = measured(values, level)
    assert found.spread == pytest.approx(np.std(one_by_one), rel=0.1)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(one_by_one, [0.025, 0.975])), abs=0.02)


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    assert measured(FOUR_OBSERVERS) == measured(FOUR_OBSERVERS)
    assert measured(FOUR_OBSERVERS).spread != measured(FOUR_OBSERVERS, seed=1).spread


def test_parts_of_a_record_are_drawn_together():
    random = np.random.default_rng(0)
    values = np.stack([random.integers(0, 2, 40)] * 2, axis=1).astype(float)
    values[::5, 1] = 1 - values[::5, 1]
    alone = measured(values)
    parts = measured(np.repeat(values, 50, axis=0), records=np.repeat(np.arange(40), 50))
    assert parts.n == 40
    assert parts.spread == pytest.approx(alone.spread, rel=0.1)
    assert measured(np.repeat(values, 50, axis=0)).spread < alone.spread / 4


def test_a_row_that_stands_for_many_units_counts_as_often():
    values = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    times = np.array([5.0, 2.0, 3.0])
    spelled_out = np.repeat(values, [5, 2, 3], axis=0)
    found = measured(values, times=times, records=np.arange(3))
    assert found.alpha == pytest.approx(alpha(spelled_out), abs=1e-12)


def test_no_disagreement_in_30_units_is_not_certainty():
    """Of 30 units at most 1 - 0.025^(1/30) = 11.6 % disagree; values are half and half, so chance is 30/59 of pairs."""
    found = measured(np.repeat([[0.0, 0.0], [1.0, 1.0]], 15, axis=0))
    chance = 2 * 30 * 30 / (60 * 59)
    assert found.alpha == 1.0
    assert found.high == 1.0
    assert found.low == pytest.approx(1 - (1 - 0.025 ** (1 / 30)) / chance, abs=1e-9)


def test_few_disagreements_widen_the_interval_by_the_exact_one_of_their_share():
    """Clopper and Pearson of 1 in 20: 0.13 % to 24.9 %; each disagreement takes (1 - agreement)."""
    low, high = sparse_interval(0.9, 1, 20, 0.5)
    assert (low, high) == pytest.approx((1 - 0.1 * 20 * 0.24873, 1 - 0.1 * 20 * 0.0012651), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "reliable"), [(20, 0.85), (100, 0.85), (100, 0.97)])
def test_intervals_hold_the_truth_in_95_of_100_samples(n, reliable):
    """Two annotators who tell a fair coin rightly with probability a disagree with 2a(1 - a), by chance with 1/2."""
    truth, missed, missed_kappa = 1 - 4 * reliable * (1 - reliable), 0, 0
    random = np.random.default_rng(5)
    for seed in range(2_000):
        coin = random.random((n, 1)) < 0.5
        values = np.where(random.random((n, 2)) < reliable, coin, ~coin).astype(float)
        found, pair = measured(values, draws=400, seed=seed), kappa(values[:, 0], values[:, 1])
        missed += not (found.low is not None and found.low <= truth <= found.high)
        missed_kappa += not (pair.low is not None and pair.low <= truth <= pair.high)
    assert missed <= 131
    assert missed_kappa <= 131


def test_how_far_units_are_apart_averages_to_what_alpha_lacks():
    for level in LEVELS:
        found = apart(FOUR_OBSERVERS, level)
        answers = (~np.isnan(FOUR_OBSERVERS)).sum(axis=1)
        known = ~np.isnan(found)
        assert list(np.nonzero(~known)[0]) == [11]
        mean = np.average(found[known], weights=answers[known])
        assert mean == pytest.approx(1 - alpha(FOUR_OBSERVERS, level), abs=1e-12)
    assert np.nanargmax(apart(FOUR_OBSERVERS)) == 5  # four observers, four values
    assert np.isnan(apart(np.ones((3, 2)))).all()


def test_masi_is_passonneaus_distance():
    """By hand: Jaccard 1/2 of a set in a larger one is 1 - 1/2 · 2/3; 1/3 overlapping is 1 - 1/3 · 1/3."""
    a, b, c, none = (frozenset(s) for s in ("x", "xy", "yz", ""))
    found = masi([a, b, c, none])
    assert found[0] == pytest.approx([0, 2 / 3, 1, 1])
    assert found[1] == pytest.approx([2 / 3, 0, 8 / 9, 1])
    assert found[3, 3] == 0


def test_a_tie_is_half_way_between_two_orders():
    assert KENDALL.tolist() == [[0, 0.5, 1], [0.5, 0, 0.5], [1, 0.5, 0]]


def test_kappa_of_fleiss_two_raters_is_0_68_with_standard_error_0_087():
    """Fleiss 1981, Statistical Methods for Rates and Proportions, table 13.1: 100 subjects, three diagnoses."""
    found = kappa(*as_rows([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))
    assert found.kappa == pytest.approx(0.68, abs=5e-3)
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(0.087, abs=1e-3)


def test_kappa_of_two_raters_of_200_patients_by_hand():
    """0.70 are agreed and 0.60 · 0.65 + 0.30 · 0.25 + 0.10 · 0.10 = 0.475 by chance, so 0.225 / 0.525."""
    assert kappa(*as_rows([[106, 10, 4], [22, 28, 10], [2, 12, 6]])).kappa == pytest.approx(0.225 / 0.525, abs=1e-12)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_its_interval_are_those_of_statsmodels(weights, seed):
    table = np.random.default_rng(seed).integers(3, 20, (4, 4)) + np.diag([30, 10, 20, 40])
    other = cohens_kappa(table, wt=None if weights == "none" else weights)
    found = kappa(*as_rows(table), weights=weights)
    assert found.kappa == pytest.approx(other.kappa, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((other.kappa_low, other.kappa_upp), abs=1e-6)


def test_kappa_takes_only_units_that_both_answered_and_may_be_undefined():
    a, b = np.array([1.0, nan, 2.0, 2.0]), np.array([1.0, 1.0, nan, 2.0])
    assert kappa(a, b).n == 2
    assert kappa(a, b).kappa == 1.0
    never = kappa(np.array([1.0, nan]), np.array([nan, 1.0]))
    assert (isnan(never.kappa), never.low, never.n) == (True, None, 0)
    assert isnan(kappa(np.ones(4), np.ones(4)).kappa)


def test_kappa_of_all_pairs_lies_around_alpha():
    """With two annotators and many units alpha differs from kappa only by its pooled margins."""
    random = np.random.default_rng(2)
    truth = random.integers(0, 3, (3_000, 1))
    values = np.where(random.random((3_000, 3)) < 0.8, truth, random.integers(0, 3, (3_000, 3))).astype(float)
    pairs = [kappa(values[:, i], values[:, j]).kappa for i, j in combinations(range(3), 2)]
    assert np.mean(pairs) == pytest.approx(alpha(values), abs=2e-3)
