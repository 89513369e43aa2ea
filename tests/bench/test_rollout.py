"""Rollouts, simulated: looked at every hour, how often a decision is wrong, and how soon a bad challenger goes back."""

import time
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from clworkbench.releases.rollout_evidence import WATCHED, alpha_of, checked, checks
from clworkbench.settings.rollout import RolloutSettings
from clworkbench.statistics.sequential import Totals, bounded, log_evidence, totals
from tests.releases.rollouts import conversations

pytestmark = pytest.mark.slow

ROLLOUTS, AT_ONCE = 2000, 250
PER_HOUR, HOURS = 30, 240
N = PER_HOUR * HOURS
LOOKS = np.arange(PER_HOUR - 1, N, PER_HOUR)
AT_MOST_OF_2000 = 131
"""A correct test at a nominal 5 % exceeds it with a probability of 0.0013."""

SETTINGS = RolloutSettings()
MARGINS = [stage.margin for stage in SETTINGS.stages]
GOOD = 0.8


class Simulated(NamedTuple):
    """By rollout: at which look it went back, at which it passed each stage (HOURS: never), and whether bounds held."""

    back: np.ndarray
    passed: np.ndarray
    covered: np.ndarray


def first(crossed: np.ndarray) -> np.ndarray:
    """The first look of each rollout at which something was so; HOURS where it never was."""
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1), crossed.shape[1])


def shown_above(found: Totals, value: float, alpha: float) -> np.ndarray:
    """Whether the difference is shown to lie above a value: the lower bound of `difference_sequence` does."""
    return log_evidence(found.excess - value * found.weight, found.variance) >= np.log(1 / alpha)


def shown_below(found: Totals, value: float, alpha: float) -> np.ndarray:
    return log_evidence(value * found.weight - found.excess, found.variance) >= np.log(1 / alpha)


def staged(random: np.random.Generator, rates: np.ndarray, effect: float, n: int) -> Simulated:
    """Rollouts through all stages, each passed by its margin; the champion's rate over time is `rates`."""
    place, luck = random.random((n, N)), random.random((n, N))
    began = np.zeros(n, dtype=int)
    shares = np.full((n, N), SETTINGS.stages[0].share)
    passed = np.full((n, len(MARGINS)), HOURS)
    for number, margin in enumerate(MARGINS):
        arms = place < shares
        found = totals((luck < rates + effect * arms).astype(float), arms, shares, LOOKS)
        shown = shown_above(found, -margin, SETTINGS.alpha) & (np.arange(HOURS) >= began[:, None])
        passed[:, number] = began = first(shown)
        if number + 1 < len(MARGINS):
            later = np.arange(N) >= (began * PER_HOUR + PER_HOUR)[:, None]
            shares = np.where(later, SETTINGS.stages[number + 1].share, shares)
    back = first(shown_below(found, -SETTINGS.guardrails.outcome, alpha_of(WATCHED[0], SETTINGS)))
    wrong = shown_above(found, effect, 0.025) | shown_below(found, effect, 0.025)
    return Simulated(back, passed, ~wrong.any(axis=1))


def simulated(seed: int, effect: float, rates: np.ndarray | None = None, rollouts: int = ROLLOUTS) -> Simulated:
    random = np.random.default_rng(seed)
    rates = np.full(N, GOOD) if rates is None else rates
    parts = [staged(random, rates, effect, AT_ONCE) for _ in range(rollouts // AT_ONCE)]
    return Simulated(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def days(looks: np.ndarray) -> str:
    """Quartiles, in days; rollouts that never got there count as later than all."""
    quartiles = [np.sort(looks)[int(q * (len(looks) - 1))] for q in (0.1, 0.5, 0.9)]
    return " / ".join("never" if q >= HOURS else f"{(q + 1) / 24:.1f}" for q in quartiles)


def test_equal_arms_are_rarely_rolled_back_and_bounds_hold_at_all_hourly_looks():
    began = time.process_time()
    found = simulated(1, 0.0)
    back, missed = int((found.back < HOURS).sum()), int((~found.covered).sum())
    print(
        f"\nequal arms at 80 %, {PER_HOUR} an hour, {HOURS} hourly looks, {ROLLOUTS:,} rollouts: {back} rolled back "
        f"by the outcome (allowed {ROLLOUTS * alpha_of(WATCHED[0], SETTINGS):.0f}), 95 % bounds missed in {missed}"
    )
    for stage, looks in zip(SETTINGS.stages, found.passed.T, strict=True):
        print(f"  {stage.name} passed by {(looks < HOURS).mean():.0%}, after days (10 / 50 / 90 %): {days(looks)}")
    print(f"  {time.process_time() - began:.0f} CPU s")
    assert back <= AT_MOST_OF_2000
    assert missed <= AT_MOST_OF_2000
    assert (found.passed[:, 0] < HOURS).mean() > 0.9


def test_a_rate_that_moves_by_day_and_week_while_stages_change_misleads_nobody():
    hours = np.arange(N) / PER_HOUR
    rates = 0.6 + 0.15 * np.sin(2 * np.pi * hours / 24) - 0.1 * hours / HOURS
    found = simulated(2, 0.0, rates)
    back, missed = int((found.back < HOURS).sum()), int((~found.covered).sum())
    print(f"\nequal arms whose rate swings by 30 points a day: {back} rolled back, bounds missed in {missed}")
    assert back <= AT_MOST_OF_2000
    assert missed <= AT_MOST_OF_2000


def test_a_challenger_at_a_margin_rarely_passes_that_stage():
    found = simulated(3, -MARGINS[0])
    passed, missed = int((found.passed[:, 0] < HOURS).sum()), int((~found.covered).sum())
    print(f"\n10 points worse, the first stage's margin: {passed} of {ROLLOUTS:,} pass it; bounds missed in {missed}")
    assert passed <= AT_MOST_OF_2000
    assert missed <= AT_MOST_OF_2000


@pytest.mark.parametrize(("share", "least"), [(0.05, 0.6), (0.25, 0.99)], ids=["5%", "25%"])
def test_a_challenger_10_points_worse_goes_back(share: float, least: float):
    random = np.random.default_rng(4)
    rollouts = 500
    arms = random.random((rollouts, N)) < share
    values = (random.random((rollouts, N)) < GOOD - 0.1 * arms).astype(float)
    found = totals(values, arms, np.full((rollouts, N), share), LOOKS)
    back = first(shown_below(found, 0.0, alpha_of(WATCHED[0], SETTINGS)))
    gone = f"{(back < HOURS).mean():.0%} of {rollouts} go back"
    print(
        f"\n10 points worse at {share:.0%}, {PER_HOUR} settled an hour: {gone} "
        f"within {HOURS // 24} days, after days (10 / 50 / 90 %): {days(back)}"
    )
    assert (back < HOURS).mean() >= least


def test_values_far_from_binary_and_rare_failures_are_covered_as_well():
    random = np.random.default_rng(5)
    n, rows = 1000, 3000
    looks = np.arange(9, rows, 10)
    for name, draw in (
        ("failures of 1 %", lambda: (random.random((n, rows)) < 0.01).astype(float)),
        ("a tail cut off at 1", lambda: np.minimum(1.0, random.pareto(1.5, (n, rows)) / 20)),
    ):
        arms = random.random((n, rows)) < 0.05
        found = totals(draw(), arms, np.full((n, rows), 0.05), looks)
        missed = int((shown_above(found, 0.0, 0.025) | shown_below(found, 0.0, 0.025)).any(axis=1).sum())
        print(f"\n{name}: 95 % bounds missed in {missed} of {n:,} rollouts with {len(looks)} looks")
        assert missed <= 72  # a correct one exceeds it with a probability of 0.001


def test_bounds_and_evidence_decide_alike():
    random = np.random.default_rng(6)
    arms = random.random((50, 2000)) < 0.25
    values = (random.random((50, 2000)) < 0.7 - 0.1 * arms).astype(float)
    found = totals(values, arms, np.full((50, 2000), 0.25), np.arange(19, 2000, 20))
    _, low, high = bounded(found, 0.05, 0.01)
    assert ((low > -0.15) == shown_above(found, -0.15, 0.05)).mean() == 1.0
    assert ((high < 0.0) == shown_below(found, 0.0, 0.01)).mean() == 1.0


def test_all_guardrails_of_real_decisions_together_rarely_send_a_good_challenger_back():
    began, back, by = time.process_time(), 0, []
    for seed in range(200):
        rows = checked(conversations(1500, share=0.25, slow_ms=(800.0, 900.0), length=(80.0, 90.0), seed=seed))
        for look in range(250, 1501, 250):
            known = rows.head(look).with_columns(pl.col("settled_at") - timedelta(hours=24))
            violated = checks(known, "25%", SETTINGS).filter(verdict="violated")["name"].to_list()
            if violated:
                back, by = back + 1, by + violated
                break
    took = time.process_time() - began
    print(f"\n200 rollouts at 25 %, 6 looks, latency and length 12 % longer: {back} back {by}; {took:.0f} CPU s")
    assert back <= 21  # a nominal 5 % of 200
