"""How long a selection takes on a million signals: evidence, frame, strata and the draw."""

import os
import time
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from clworkbench.candidates.evidence import disagreement, repeats
from clworkbench.candidates.novelty import novelty
from clworkbench.candidates.reasons import REASONS
from clworkbench.candidates.select import select
from clworkbench.policy.pseudonyms import Pseudonyms

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
KEY = Pseudonyms(b"k" * 32)
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
WORDS = 4_000


def made(n: int) -> pl.DataFrame:
    """Questions of eight words with a number, their answers, two models, 20 % failures, 50,000 users."""
    draw = np.random.default_rng(3)
    words = (WORDS * draw.random((n, 8)) ** 3).astype(int)
    again = draw.random(n) < 0.05  # one in twenty says what many say
    words[again] = words[draw.integers(0, min(n, 2_000), again.sum())]
    frame = pl.DataFrame(
        {
            "interaction_id": [f"{k:032x}" for k in range(n)],
            "number": np.arange(n),
            "outcome": draw.random(n) > 0.2,
            "confidence": draw.random(n),
            "model": pl.Series(draw.choice(["m1", "m2"], n)),
            "user_key": pl.Series(draw.integers(0, 50_000, n)).cast(pl.String),
            "edited": draw.random(n) < 0.05,
            **{f"w{k}": words[:, k] for k in range(8)},
        }
    )
    called = ["".join(chr(97 + k // 17**place % 17) for place in range(4)) for k in range(WORDS)]
    spelled = pl.Series(called)
    spoken = pl.concat_str([pl.Series(spelled.gather(words[:, k])) for k in range(8)], separator=" ")
    return frame.with_columns(
        text=pl.concat_str(spoken, pl.lit(" in order "), "number"),
        answer=pl.concat_str(pl.lit("Your order is on its way; it arrives on day "), "w0", pl.lit(".")),
        release_id=pl.lit(None, pl.String),
        improvement=pl.when("edited").then(pl.lit([{"role": "assistant", "content": "x"}], MESSAGES)),
        started_at=pl.datetime(2026, 1, 1, time_zone="UTC") + pl.duration(seconds="number"),
    ).with_columns(
        input=pl.concat_list(pl.struct(role=pl.lit("user"), content="text"))
    ).drop("number", "edited", *(f"w{k}" for k in range(8)))  # fmt: skip


def test_a_selection_among_a_million_signals_takes_ten_seconds():
    signals, learned = made(ROWS), made(1000)["text"]
    took: dict[str, float] = {}

    def timed(name: str, since: float) -> float:
        took[name] = time.process_time() - since
        return time.process_time()

    wall, start = time.perf_counter(), time.process_time()
    rows = signals.with_columns(repeats(signals).alias("repeats"))
    at = timed("repeats", start)
    rows = rows.with_columns(disagreement(signals).alias("disagreement"))
    at = timed("disagreement", at)
    order = pl.Series(KEY.ids("novelty", signals["interaction_id"]))
    rows = rows.with_columns(novelty(signals["text"], learned, order=order).values.alias("novelty"))
    at = timed("novelty", at)
    found = select(rows, n=300, pseudonyms=KEY, as_of=datetime(2026, 11, 1, tzinfo=UTC), reasons=REASONS, per_user=50)
    timed("select", at)
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took.items())
    print(f"\nselection among {ROWS:,}: {wall:.1f} s, {cpu:.1f} CPU s ({parts}); {found}")
    assert found.frame.height == 300
    assert found.by_reason["repeated_failure"]
    assert found.taken_out["duplicate"] > 0.04 * ROWS
    assert cpu < 20 * max(1.0, ROWS / 1e6)  # two cores
