"""How long a drift report takes: ten columns, texts among them, of a million signals."""

import os
import time

import numpy as np
import polars as pl
import pytest

from clworkbench.slices.drift import drift
from tests.slices.made_signals import made_signals
from tests.slices.made_windows import SMALL, TALK

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
TABLE = (
    "app", "model", "finish_reason", "environment", "provider", "latency_ms", "n_input_tokens", "confidence",
    "cost_usd",
)  # fmt: skip


def test_a_report_of_ten_columns_takes_less_than_15_cpu_seconds():
    made, _ = made_signals(0, ROWS, turns=2)
    draw = np.random.default_rng(0)
    parts = [pl.Series(draw.choice(words, ROWS)) for words in (TALK, SMALL, SMALL, SMALL)]
    made = made.with_columns(
        cost_usd=pl.col("n_input_tokens") * 1e-5,
        text=pl.DataFrame(dict(zip("abcd", parts, strict=True))).select(
            pl.concat_str("a", "b", "c", "d", separator=" ")
        )["a"],
    )
    before, now = made.head(ROWS // 2), made.tail(ROWS // 2)
    moved = now.with_columns(
        pl.col("latency_ms") * 1.5,
        app=pl.when(pl.col("conversation_id").str.ends_with("3")).then(pl.lit("new")).otherwise("app"),
    )
    wall, cpu = time.perf_counter(), time.process_time()
    found = drift(before, moved, columns=[*TABLE, "text"], salt="bench")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    again = time.process_time()
    drift(before, moved, columns=[*TABLE, "text"], salt="bench")
    again = time.process_time() - again
    print(
        f"\ndrift of {ROWS:,} signals, ten columns: {wall:.1f} s, {cpu:.1f} CPU s; once Evidently is loaded {again:.1f}"
    )
    assert {"app", "latency_ms"} <= set(found.frame.filter("drifted")["name"])
    assert cpu < 15 * max(1.0, ROWS / 1e6)
