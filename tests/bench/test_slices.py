"""How long rates and slice discovery take on a million signals with ten attributes."""

import os
import time

import polars as pl
import pytest

from clworkbench.slices.discover import discover
from clworkbench.slices.rates import rates
from tests.slices.made_signals import BY, made_signals

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))


@pytest.fixture(scope="module")
def signals() -> pl.DataFrame:
    made, _ = made_signals(0, ROWS, turns=2)
    return made.with_columns(cost_usd=pl.col("n_input_tokens") * 1e-5 + pl.col("latency_ms") * 1e-6)


def test_rates_by_two_columns_and_day_take_less_than_a_second(signals: pl.DataFrame):
    rates(signals.head(1000), "app", event=pl.col("outcome"), every="day")
    wall, cpu = time.perf_counter(), time.process_time()
    found = rates(signals, "app", "model", event=pl.col("outcome"), every="day")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"\nrates by app, model and day of {ROWS:,} signals: {wall:.2f} s, {cpu:.2f} CPU s, {found.height:,} rows")
    assert found["n"].sum() == ROWS
    assert cpu < 2.0 * max(1.0, ROWS / 1e6)


def test_discovery_over_ten_attributes_takes_less_than_30_cpu_seconds(signals: pl.DataFrame):
    wall, cpu = time.perf_counter(), time.process_time()
    found = discover(signals, by=[*BY, "cost_usd"], salt="bench")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"\n{found.counts['searched']:,} slices of {ROWS:,} signals: {wall:.1f} s, {cpu:.1f} CPU s: {found.slices}")
    assert found.slices
    assert cpu < 30 * max(1.0, ROWS / 1e6)
