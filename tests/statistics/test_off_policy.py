"""SNIPS: by hand, against a known truth, and refused in words where it would mean nothing."""

import numpy as np
import pytest

from clworkbench.errors import EvidenceError
from clworkbench.statistics.intervals import wilson
from clworkbench.statistics.off_policy import snips


def test_by_hand_two_answers_of_unlike_propensity():
    # Weights 1/0.5 = 2 and 1/0.1 = 10; (2 * 1 + 10 * 0) / 12 = 1/6; effective 12² / (4 + 100) = 144 / 104.
    found = snips(
        np.array([1.0, 0.0, 1.0]), np.array([True, True, False]), np.array([0.5, 0.1, 0.5]), least=1
    )  # fmt: skip
    assert found.estimate == pytest.approx(1 / 6)
    assert found.effective == pytest.approx(144 / 104)
    assert (found.n, found.n_chosen) == (3, 2)


def test_with_one_propensity_it_is_the_mean_with_wilsons_interval():
    outcomes = np.array([1.0] * 80 + [0.0] * 20 + [1.0] * 300)
    chosen = np.array([True] * 100 + [False] * 300)
    found = snips(outcomes, chosen, np.full(400, 0.25))
    low, high = wilson(80, 100)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.8, low, high))
    assert found.effective == pytest.approx(100)


def test_answers_of_one_conversation_count_as_one():
    # The same 100 outcomes, each twice in one conversation: nothing more is known.
    outcomes, chosen = np.repeat([1.0] * 80 + [0.0] * 20, 2), np.full(200, fill_value=True)
    once = snips(outcomes[::2], chosen[::2], np.full(100, 0.5))
    twice = snips(outcomes, chosen, np.full(200, 0.5), np.repeat(np.arange(100), 2))
    assert twice == pytest.approx(once)


def test_all_good_leaves_room_below():
    found = snips(np.ones(60), np.full(60, fill_value=True), np.full(60, 0.5))
    assert (found.estimate, found.high) == pytest.approx((1.0, 1.0))
    assert found.low == pytest.approx(wilson(60, 60).low)


@pytest.mark.parametrize(
    ("outcomes", "chosen", "propensity", "says"),
    [
        ([], [], [], "no settled outcome at all"),
        ([2.0], [True], [0.5], "outcomes lie within 0 and 1"),
        ([1.0], [True], [np.nan], "1 of 1 answers have no propensity within 0 and 1"),
        ([1.0, 1.0], [True, True], [0.5, 1.5], "1 of 2 answers have no propensity"),
        ([1.0], [False], [0.5], "it gave none of 1 answers"),
        ([1.0, 1.0], [True, True], [0.5, 0.0], "a logged propensity of 0: the log contradicts itself"),
        ([1.0, 0.0, 0.0], [True, False, False], [0.5, 0.0, 0.0], "2 of 3 conversations could not have come to it"),
        ([1.0] * 20, [True] * 20, [0.5] * 20, "count as 20.0 equally weighted ones, and 30 are needed"),
    ],
    ids=["nothing", "outcomes", "unknown", "above 1", "never chosen", "contradiction", "no support", "too few"],
)
def test_what_would_mean_nothing_is_refused_in_words(outcomes, chosen, propensity, says):
    with pytest.raises(EvidenceError, match=says):
        snips(np.array(outcomes, dtype=float), np.array(chosen, dtype=bool), np.array(propensity), model="release:new")


def test_a_single_heavy_weight_is_no_evidence():
    propensity = np.array([0.001] + [0.9] * 100)
    with pytest.raises(EvidenceError, match=r"101 conversations of 101 count as 1\.2"):
        snips(np.ones(101), np.full(101, fill_value=True), propensity)


def drawn(random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """A log in which easy questions were sent to the model more often: its plain mean is far off.

    Of half hard and half easy conversations the model solves 50 % and 90 %: the truth is 70 %. Two turns each, alike.
    """
    easy = random.random(1000) < 0.5
    propensity = np.where(easy, 0.5, 0.1)
    chosen = random.random(1000) < propensity
    solved = random.random(1000) < np.where(chosen, np.where(easy, 0.9, 0.5), 0.2)
    return tuple(np.repeat(each, 2) for each in (solved.astype(float), chosen, propensity, np.arange(1000)))


def test_the_interval_covers_a_known_truth_in_95_of_100_logs_and_the_plain_mean_does_not():
    random = np.random.default_rng(0)
    logs = [drawn(random) for _ in range(2000)]
    found = [snips(*log) for log in logs]
    missed = sum(not each.low <= 0.7 <= each.high for each in found)
    assert missed <= 131  # a nominal 5 % of 2,000
    assert missed >= 60  # and not by being far too wide
    assert np.mean([each.estimate for each in found]) == pytest.approx(0.7, abs=0.005)
    assert np.mean([log[0][log[1]].mean() for log in logs]) > 0.8
