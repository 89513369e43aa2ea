"""Two parts held against each other: exact, Newcombe's and clustered numbers as other packages have them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, ttest_ind
from statsmodels.api import OLS
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from clworkbench.statistics.contrast import contrast


def booleans(hits: int, n: int, rest_hits: int, n_rest: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([1.0] * hits + [0.0] * (n - hits) + [1.0] * rest_hits + [0.0] * (n_rest - rest_hits))
    return values, np.arange(n + n_rest) < n


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 60), st.data())
def test_of_booleans_p_is_fishers_and_the_interval_newcombes(n: int, n_rest: int, data: st.DataObject) -> None:
    hits, rest_hits = data.draw(st.integers(0, n)), data.draw(st.integers(0, n_rest))
    found = contrast(*booleans(hits, n, rest_hits, n_rest))
    table = [[hits, n - hits], [rest_hits, n_rest - rest_hits]]
    assert found.p == pytest.approx(fisher_exact(table, alternative="greater").pvalue, abs=1e-9)
    wanted = confint_proportions_2indep(hits, n, rest_hits, n_rest, method="newcomb")
    assert (found.difference_low, found.difference_high) == pytest.approx(wanted, abs=1e-6)
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, n, method="wilson"))


def test_newcombes_published_example():
    # Newcombe 1998, table II (a): 56/70 against 48/80 gives 0.2 with 0.0524 to 0.3339 by method 10.
    found = contrast(*booleans(56, 70, 48, 80))
    assert (found.difference, found.difference_low, found.difference_high) == pytest.approx(
        (0.2, 0.0524, 0.3339), abs=5e-5
    )


def test_of_scores_p_and_interval_are_near_welchs_where_rows_are_many():
    draw = np.random.default_rng(3)
    values, inside = draw.normal(0, 1, 4000), np.arange(4000) < 400
    values[inside] += 0.12
    found = contrast(values, inside)
    welch = ttest_ind(values[inside], values[~inside], equal_var=False, alternative="greater")
    assert found.p == pytest.approx(welch.pvalue, rel=0.1)
    wanted = ttest_ind(values[inside], values[~inside], equal_var=False).confidence_interval(0.95)
    assert (found.difference_low, found.difference_high) == pytest.approx((wanted.low, wanted.high), abs=2e-3)


def test_clustered_rows_have_the_spread_of_statsmodels_clusters():
    draw = np.random.default_rng(5)
    clusters = np.repeat(np.arange(400), 5)
    values = draw.normal(0, 1, 2000) + np.repeat(draw.normal(0, 1, 400), 5)
    inside = np.repeat(np.arange(400) < 60, 5)
    found = contrast(values, inside, clusters)
    fit = OLS(values, np.column_stack([np.ones(2000), inside])).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    t60 = 2.0010  # Student's quantile for 59 degrees of freedom
    assert found.difference == pytest.approx(fit.params[1])
    assert (found.difference_high - found.difference_low) / 2 == pytest.approx(t60 * fit.bse[1], rel=1e-3)


def test_rows_that_repeat_each_other_tell_nothing_more():
    values, inside = booleans(9, 30, 20, 170)
    alone = contrast(values, inside)
    clusters = np.repeat(np.arange(200), 4)
    four = contrast(np.repeat(values, 4), np.repeat(inside, 4), clusters)
    blind = contrast(np.repeat(values, 4), np.repeat(inside, 4))
    assert blind.p < 0.001 < alone.p < 0.05
    assert four.p > 0.5 * alone.p
    assert (four.difference_low, four.difference_high) == pytest.approx(
        (alone.difference_low, alone.difference_high), abs=1e-9
    )


def test_a_single_cluster_inside_tells_nothing_of_the_spread():
    values = np.array([1.5, 2.5, 0.1, 0.2, 0.3, 0.4])
    found = contrast(values, np.arange(6) < 2, np.array([0, 0, 1, 2, 3, 4]))
    assert (found.p, found.low, found.difference_high) == (1.0, None, None)


@pytest.mark.slow
def test_false_alarms_of_clustered_booleans_keep_to_their_level():
    draw = np.random.default_rng(11)
    alarms = 0
    for _ in range(2000):
        rate = np.repeat(draw.beta(0.5, 2.0, 300), 4)
        values = (draw.random(1200) < rate).astype(float)
        inside = np.repeat(draw.random(300) < 0.15, 4)
        alarms += contrast(values, inside, np.repeat(np.arange(300), 4)).p <= 0.05
    assert alarms <= 131
