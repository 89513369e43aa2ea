"""Holm's adjustment against statsmodels and by hand."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from clworkbench.statistics.multiplicity import holm


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.2, size=9).round(2)
    assert holm(list(p)) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_holm_by_hand_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_holm_of_nothing_is_nothing_and_of_ones_is_one() -> None:
    assert holm([]) == []
    assert holm([1.0, 1.0]) == [1.0, 1.0]
