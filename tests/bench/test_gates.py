"""The gates' protocol, simulated: how often equal models pass or are blocked, and a good one is promoted; its speed."""

import time

import numpy as np
import polars as pl
import pytest

from clworkbench.releases.gates import defaults, judge, plan

pytestmark = pytest.mark.slow

SLICES, EACH = ["target", *(f"slice{n}" for n in range(6))], 100
AT_MOST_OF_2000 = 131
"""A correct test at a nominal 5 % exceeds it with a probability of 0.0013."""


def side(model: str, right: np.ndarray) -> pl.DataFrame:
    """Scores of the seven slices' examples in their order."""
    names = [[name] for name in SLICES for _ in range(len(right) // len(SLICES))]
    columns = {"model": model, "suite": "s", "scorer": "exact", "repetition": 0, "termination": "stop"}
    told = {name: [value] * len(right) for name, value in columns.items()}
    return pl.DataFrame(
        told
        | {"example_id": [f"e{n}" for n in range(len(right))], "slices": names, "score": right.astype(float)}
        | {"n_output_tokens": [10] * len(right), "cost_usd": [0.01] * len(right)}
    )


def decided(random: np.random.Generator, win: list[float], loss: list[float], target: str | None) -> str:
    """The decision on a challenger that wins and loses so often, slice by slice, against a champion right in 70 %."""
    gates = defaults("exact", SLICES, target)
    parts = [random.choice([1, -1, 0], size=EACH, p=[w, x, 1 - w - x]) for w, x in zip(win, loss, strict=True)]
    differ = np.concatenate(parts)
    same = random.random(len(differ)) < 0.7
    champion, challenger = np.where(differ == 0, same, differ < 0), np.where(differ == 0, same, differ > 0)
    return judge(side("champion", champion), side("challenger", challenger), gates, target=target).decision


@pytest.mark.parametrize("target", ["target", None], ids=["a target slice", "no target slice"])
def test_equal_models_are_rarely_promoted_and_rarely_blocked(target: str | None) -> None:
    random = np.random.default_rng(1)
    found = [decided(random, [0.1] * 7, [0.1] * 7, target) for _ in range(2000)]
    print(f"\ntarget {target}: of 2,000 equal pairs {found.count('promote')} promoted, {found.count('block')} blocked")
    assert found.count("promote") <= AT_MOST_OF_2000
    assert found.count("block") <= AT_MOST_OF_2000


def test_a_good_challenger_is_promoted() -> None:
    random = np.random.default_rng(2)
    found = [decided(random, [0.22] + [0.02] * 6, [0.02] * 7, "target") for _ in range(100)]
    print(f"\n20 points better on the target, the rest unchanged: {found.count('promote')} of 100 promoted")
    assert found.count("promote") >= 90


def test_power_is_what_the_plan_promises() -> None:
    random = np.random.default_rng(3)
    suite = pl.DataFrame({"slices": [[name] for name in SLICES for _ in range(EACH)]})
    gates = defaults("exact", SLICES, None)[:1]
    promised = plan(suite, gates, discordant=0.2, truly=0.04)["power"][0]
    draws = 400
    found = [decided(random, [0.12] * 7, [0.08] * 7, None) for _ in range(draws)]
    share = found.count("promote") / draws
    print(f"\n4 points better on 700 examples: promoted in {share:.3f}, promised {promised:.3f}")
    assert share == pytest.approx(promised, abs=3 * (promised * (1 - promised) / draws) ** 0.5)


def test_a_gate_over_a_million_scores() -> None:
    random = np.random.default_rng(4)
    each = 1_000_000 // 2 // len(SLICES)
    champion = random.random(each * len(SLICES)) < 0.7
    challenger = np.where(random.random(len(champion)) < 0.1, ~champion, champion)
    sides = side("champion", champion), side("challenger", challenger)
    began = time.process_time()
    report = judge(*sides, defaults("exact", SLICES, "target"), target="target")
    took = time.process_time() - began
    print(f"\n{2 * len(champion):,} scores: {took:.1f} CPU s")
    assert report.gates["n"].max() == len(champion)
    assert took < 5
