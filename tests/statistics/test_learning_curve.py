"""Learning curves: the fit against scipy's, intervals that hold what is true, and words for what is no curve."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from clworkbench.errors import EvidenceError
from clworkbench.statistics.learning_curve import Run, learning_curve


def law(n, a, b, c):
    return a + b * n**-c


SIZES = np.array([50.0, 100, 200, 400, 800, 1600])


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 3.0, 0.5), (0.0, 1.5, 0.3), (0.3, 4.0, 0.8)])
def test_a_curve_without_noise_is_found_as_scipy_finds_it(a, b, c):
    errors = law(SIZES, a, b, c)
    (a_2, b_2, c_2), _ = curve_fit(law, SIZES, errors, p0=(0.2, 2, 0.6), bounds=([0, 0, 0.05], [1, 50, 1]))
    found = learning_curve([Run(int(n), float(e), 100_000) for n, e in zip(SIZES, errors, strict=True)])
    for n in (75, 1600, 3200):
        assert found.error(n).value == pytest.approx(law(n, a_2, b_2, c_2), abs=0.002)
    assert found.gain(1600, 3200).value == pytest.approx(law(1600, a_2, b_2, c_2) - law(3200, a_2, b_2, c_2), abs=2e-3)


def test_with_noise_the_fit_agrees_with_scipys_weighted_least_squares():
    rng = np.random.default_rng(3)
    errors = rng.binomial(2000, law(SIZES, 0.12, 2.5, 0.5)) / 2000
    share = (errors * 2000 + 2) / 2004
    found = learning_curve([Run(int(n), float(e), 2000) for n, e in zip(SIZES, errors, strict=True)])
    fitted, _ = curve_fit(
        law,
        SIZES,
        errors,
        p0=(0.1, 2, 0.5),
        sigma=np.sqrt(share * (1 - share) / 2000),
        bounds=([0, 0, 0.05], [1, 50, 1]),
    )
    assert found.error(3000).value == pytest.approx(law(3000, *fitted), abs=0.003)


@pytest.mark.parametrize("runs", [3, 5])
def test_the_interval_of_a_gain_holds_the_true_one_in_at_least_95_of_100_seeded_trials_but_for_chance(runs):
    """A correct program misses at most 21 of 200 at a nominal 5 %."""
    rng = np.random.default_rng(runs)
    sizes = SIZES[:runs]
    true = law(sizes, 0.1, 3.0, 0.5)
    wanted = law(sizes[-1], 0.1, 3.0, 0.5) - law(2 * sizes[-1], 0.1, 3.0, 0.5)
    missed = 0
    for _ in range(200):
        drawn = rng.binomial(400, true) / 400
        curve = learning_curve([Run(int(n), float(e), 400) for n, e in zip(sizes, drawn, strict=True)])
        gain = curve.gain(sizes[-1], 2 * sizes[-1])
        missed += not gain.low <= wanted <= gain.high
    assert missed <= 21


def test_errors_that_never_change_leave_no_gain_but_what_the_examples_cannot_rule_out():
    flat = learning_curve([Run(n, 0.25, 10_000) for n in (100, 200, 400)])
    assert flat.gain(400, 800).value == 0
    assert flat.gain(400, 800).low == 0
    assert 0 < flat.gain(400, 800).high < 0.02
    few = learning_curve([Run(n, 0.25, 20) for n in (100, 200, 400)])
    assert few.gain(400, 800).high > 0.05
    perfect = learning_curve([Run(n, 0.0, 1000) for n in (100, 200, 400)])
    assert perfect.gain(400, 800).high < 0.005


def test_runs_that_scatter_more_than_their_examples_explain_widen_the_interval():
    calm = [Run(n, e, 5000) for n, e in ((100, 0.4), (200, 0.31), (400, 0.25), (800, 0.205), (1600, 0.175))]
    wild = [run._replace(error=run.error + (0.05 if i % 2 else -0.05)) for i, run in enumerate(calm)]
    reach = [learning_curve(runs).gain(1600, 3200) for runs in (calm, wild)]
    assert reach[1].high - reach[1].low > 2 * (reach[0].high - reach[0].low)


def test_an_error_that_grows_with_the_rows_promises_nothing():
    worse = learning_curve([Run(n, e, 1000) for n, e in ((100, 0.2), (200, 0.3), (400, 0.4))])
    assert worse.gain(400, 800).value == 0


def test_rows_for_a_gain_are_the_fewest_that_do_not_rule_it_out():
    curve = learning_curve([Run(n, float(law(n, 0.1, 3.0, 0.5)), 3000) for n in (100, 200, 400, 800, 1600)])
    more = curve.rows_for(0.005, 1600, most=100_000)
    assert curve.gain(1600, 1600 + more).high >= 0.005 > curve.gain(1600, 1600 + more - 1).high
    assert curve.rows_for(0.5, 1600, most=100_000) is None


def test_the_interval_of_the_error_holds_the_fit_and_widens_beyond_the_runs():
    curve = learning_curve([Run(n, float(law(n, 0.1, 3.0, 0.5)), 400) for n in (100, 200, 400)])
    width = {}
    for n in (200, 5000):
        error = curve.error(n)
        assert 0 <= error.low <= error.value <= error.high <= 1
        width[n] = error.high - error.low
    assert width[5000] > width[200]


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        ([], "runs of 0 different sizes, and 3 are needed"),
        ([Run(100, 0.5, 50)] * 4, "runs of 1 different sizes"),
        ([Run(100, float("nan"), 50)], "is no run"),
        ([Run(0, 0.5, 50)], "is no run"),
        ([Run(10, 1.5, 50)], "errors 0 to 1"),
        ([Run(10, 0.5, 0)], "is no run"),
    ],
)
def test_what_makes_no_curve_is_told_in_words(runs, says):
    with pytest.raises(EvidenceError, match=says):
        learning_curve(runs)


def test_a_curve_says_in_a_line_what_it_is():
    assert repr(learning_curve([Run(n, 0.0, 9) for n in (1, 2, 3)])) == (
        "LearningCurve(error = 0.000 + 0 n^-0.05, from 3 runs)"
    )
