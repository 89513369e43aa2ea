"""A run within its budget, by hand on a clock of our own: estimates, refusals, stops in time, prices by device."""

from pathlib import Path

import pytest

from clworkbench.audit import prices
from clworkbench.audit.budget import Meter
from clworkbench.audit.forecast import first_exceeded, forecast
from clworkbench.audit.limits import Standing
from clworkbench.audit.run_budget import RunBudget
from clworkbench.errors import BudgetError, SettingsError
from clworkbench.settings import BudgetSettings, parse_settings
from clworkbench.workspace import Workspace


class Clock:
    """Seconds since something, as told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Workspace.create(tmp_path / "w", settings="")


def limit(workspace: Workspace, text: str) -> None:
    (workspace.folder / "clw.toml").write_text(text)


def begun(workspace: Workspace, clock: Clock, run: str = "run:a") -> tuple[Meter, RunBudget]:
    meter = Meter(workspace, "train", run, clock=clock)
    budget = RunBudget(meter, run, clock=clock)
    budget.begin()
    return meter, budget


def stepped(budget: RunBudget, clock: Clock, took: list[float], steps: int, *, first: int = 1) -> int | None:
    """Goes on with steps that take so long; the step after which a checkpoint was asked for."""
    for step, seconds in enumerate(took, first):
        clock.now += seconds
        if budget.step(step, steps, step * 100):
            return step
    return None


def test_the_steps_after_the_first_tell_seconds_tokens_and_dollars_of_all(workspace):
    limit(workspace, "[budget]\nusd_per_hour = 36\n")
    clock = Clock()
    _, budget = begun(workspace, clock)
    stepped(budget, clock, [50.0, 2.0, 4.0, 3.0], 100)
    assert budget.forecast is not None
    # 100 steps x 3 s, the median; 2 s the fastest, 4 s the slowest; 100 tokens a step; 300 s x 0.01 USD.
    assert budget.forecast.as_dict() == {
        "steps": 100,
        "seconds": 300.0,
        "low": 200.0,
        "high": 400.0,
        "n_tokens": 10_000,
        "usd": 3.0,
        "from": "steps 2 to 4",
    }


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[budget]\nrun = { hours = 0.1 }\n", r"\[budget.run\] in clw.toml: 0.02 of 0.1 h"),
        ("[budget]\nrun = { usd = 0.1 }\nusd_per_hour = 1\n", r"\[budget.run\] in clw.toml: 0.02 of 0.1 USD"),
        ("[budget]\ntrain = { hours = 0.1 }\n", r"\[budget.train\] in clw.toml.*or wait until"),
        ("[budget]\nall = { hours = 0.1 }\n", r"\[budget.all\]"),
    ],
)
def test_a_run_whose_rest_would_go_above_is_refused_with_the_estimate_the_limit_and_the_way_out(workspace, text, place):
    limit(workspace, text)
    clock = Clock()
    _, budget = begun(workspace, clock)
    # 59 s are spent after four steps; 96 more of 3 s are 288 s, and 0.1 h are 360 s: 347 fit.
    assert stepped(budget, clock, [50.0, 2.0, 4.0, 3.0], 100) is None
    _, budget = begun(workspace, clock, "run:b")
    words = r"(?s)steps 2 to 4 took 3 s each \(2 s to 4 s\), so that 102 steps take 0.09 h .*above " + place
    with pytest.raises(BudgetError, match=words) as why:
        stepped(budget, clock, [61.0, 2.0, 4.0, 3.0], 102)
    assert "Take fewer steps, lower max_tokens or batch_size, or raise the limit" in str(why.value)


def test_one_step_that_was_held_up_refuses_nothing_and_a_clock_that_goes_back_neither(workspace):
    limit(workspace, "[budget]\nrun = { hours = 0.1 }\n")
    clock = Clock()
    _, budget = begun(workspace, clock)
    assert stepped(budget, clock, [1.0, 2.0, 40.0, 2.0], 50) is None
    assert budget.forecast is not None
    assert (budget.forecast.step_s, budget.forecast.slowest_s) == (2.0, 40.0)
    assert stepped(budget, clock, [-500.0, 2.0], 50, first=5) is None
    assert budget.forecast.step_s == 2.0


def test_a_run_that_slows_down_stops_before_the_step_that_would_go_above(workspace):
    limit(workspace, "[budget]\nrun = { hours = 0.05 }\n")
    clock = Clock()
    meter, budget = begun(workspace, clock)
    # 180 s. Four steps of 2 s, then of 20 s: 8, 28, 48, ... 168 after the twelfth; the next would end at 188.
    assert stepped(budget, clock, [2.0] * 4 + [20.0] * 20, 24) == 12
    clock.now += 1.0
    with pytest.raises(BudgetError, match=r"(?s)stopped with a checkpoint.*\[budget.run\].*0.05 of 0.05 h.*goes on"):
        budget.checkpoint()
    assert workspace.catalog.ledger()["seconds"].sum() == 169.0
    meter.write()
    clock.now += 600
    limit(workspace, "[budget]\nrun = { hours = 0.1 }\n")
    _, budget = begun(workspace, clock)
    # 191 s are left of 360: eight steps of 20 s are 160 s.
    assert stepped(budget, clock, [20.0] * 9, 20, first=13) is None


def test_the_writing_of_a_checkpoint_is_reckoned_with(workspace):
    limit(workspace, "[budget]\nrun = { hours = 0.025 }\n")
    clock = Clock()
    _, budget = begun(workspace, clock)
    # 90 s; after the fifth step a checkpoint takes 30 s: 80 s are spent then. A sixth would end at 90, its
    # checkpoint at 120.
    assert stepped(budget, clock, [10.0] * 5, 6) is None
    clock.now += 30.0
    budget.checkpoint()
    limit(workspace, "[budget]\nrun = { hours = 0.03 }\n")
    assert stepped(budget, clock, [10.0], 7, first=6) == 6


def test_the_last_step_stops_nothing(workspace):
    limit(workspace, "[budget]\nrun = { hours = 0.001 }\n")
    clock = Clock()
    _, budget = begun(workspace, clock)
    assert stepped(budget, clock, [100.0], 1) is None


def test_two_runs_at_once_stop_together_at_the_limit_of_the_month(workspace):
    limit(workspace, "[budget]\ntrain = { hours = 0.1 }\n")
    clock = Clock()
    _, one = begun(workspace, clock)
    _, other = begun(workspace, clock, "run:b")
    stopped = {}
    # 360 s for both, 10 s a step each: 360 after 18 steps. What the other spends during a step is seen after it.
    for step in range(1, 40):
        clock.now += 10.0
        for name, budget in (("a", one), ("b", other)):
            if name not in stopped and budget.step(step, 20):
                stopped[name] = step
                with pytest.raises(BudgetError, match=r"budget\.train"):
                    budget.checkpoint()
    spent = workspace.catalog.ledger()["seconds"].sum()
    assert set(stopped) == {"a", "b"}
    assert min(stopped.values()) <= 18
    assert 340 <= spent <= 370


@pytest.mark.parametrize("text", ["[budget]\nrun = { hours = 0 }\n", "[budget]\nrun = { usd = 0 }\n"])
def test_a_limit_of_nothing_lets_no_run_begin(workspace, text):
    limit(workspace, text)
    with pytest.raises(BudgetError, match=r"train: this run's budget is spent: 0.00 of 0 .*\[budget.run\]"):
        begun(workspace, Clock())


def test_seconds_that_are_left_by_hand():
    hours = Standing("[budget.run]", "hours", 2.0, 0.5, None)
    dollars = Standing("[budget.run]", "usd", 3.0, 1.0, None)
    assert hours.seconds(0.0) == 5400.0
    assert dollars.seconds(4.0) == 1800.0
    assert dollars.seconds(0.0) == float("inf")
    assert first_exceeded([hours, dollars], 1800.0, 4.0) is None
    assert first_exceeded([hours, dollars], 1800.1, 4.0) is dollars
    told = forecast(10, [1.0, 5.0], "2 steps", usd_per_hour=0.0)
    assert (told.seconds, told.n_tokens) == (30.0, None)


PRICES = BudgetSettings(usd_per_hour=9.0, prices={"cpu": 0.1, "H100": 2.5, "h100 nvl": 3.0})


@pytest.mark.parametrize(
    ("device", "n", "price"),
    [
        ("cpu", 1, 0.1),
        ("NVIDIA H100 80GB HBM3", 1, 2.5),
        ("NVIDIA H100 NVL", 2, 6.0),
        ("NVIDIA A10", 4, 9.0),
    ],
)
def test_the_longest_name_of_the_table_decides_and_what_it_does_not_name_costs_the_machines_price(device, n, price):
    assert prices.price_of(PRICES, device, n) == price


def test_a_device_that_nobody_gave_a_price_is_refused_with_the_way_out():
    with pytest.raises(SettingsError, match=r"no price for 'NVIDIA A10'. There: cpu.\n.*set usd_per_hour"):
        prices.price_of(BudgetSettings(prices={"cpu": 0.1}), "NVIDIA A10")
    assert prices.usd_per_hour(BudgetSettings(usd_per_hour=2.0)) == 2.0
    assert prices.price_of(BudgetSettings(prices={"cpu": 0.0}), "cpu") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "[budget.prices]\ncpu = -1\n",
        "[budget.prices]\ncpu = nan\n",
        "[budget.prices]\ncpu = inf\n",
        "[budget.prices]\n'' = 1\n",
        "[budget.prices]\ncpu = 'free'\n",
        "[budget]\nusd_per_hour = inf\n",
        "[budget]\nrun = { hours = nan }\n",
        "[budget]\nrun = { hours = -1 }\n",
        "[budget]\nrun = { minutes = 1 }\n",
    ],
)
def test_a_price_or_a_limit_that_means_nothing_is_refused_in_words(text):
    with pytest.raises(SettingsError, match="budget"):
        parse_settings(text)
