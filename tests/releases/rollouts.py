"""Rollouts made up for tests: conversations of both arms, an even stream, settled a day after they were answered."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)


def conversations(
    n: int,
    *,
    share: float = 0.25,
    stage: str = "25%",
    good: tuple[float, float] = (0.8, 0.8),
    failed: tuple[float, float] = (0.01, 0.01),
    slow_ms: tuple[float, float] = (800.0, 800.0),
    length: tuple[float, float] = (80.0, 80.0),
    per_hour: int = 60,
    began: datetime = BEGAN,
    seed: int = 0,
) -> pl.DataFrame:
    """Rows as `rollout_evidence.CONVERSATIONS`; pairs are the champion's and the challenger's."""
    random = np.random.default_rng(seed)
    arm = random.random(n) < share
    at = [began + timedelta(hours=number / per_hour) for number in range(n)]

    def of(pair: tuple[float, float]) -> np.ndarray:
        return np.where(arm, pair[1], pair[0])

    return pl.DataFrame(
        {
            "conversation_id": [f"{stage} {number}" for number in range(n)],
            "arm": np.where(arm, "challenger", "champion"),
            "propensity": np.full(n, share),
            "stage": [stage] * n,
            "answered_at": at,
            "settled_at": [moment + timedelta(hours=24) for moment in at],
            "outcome": (random.random(n) < of(good)).astype(float),
            "error": (random.random(n) < of(failed)).astype(float),
            "latency_ms": random.lognormal(0, 0.5, n) * of(slow_ms),
            "n_output_tokens": random.poisson(of(length)).astype(float),
            "cost_usd": pl.Series([None] * n, dtype=pl.Float64),
        }
    )


def shadowed(
    n: int,
    *,
    agreement: float = 0.8,
    failed: tuple[float, float] = (0.0, 0.0),
    slow_ms: tuple[float, float] = (800.0, 800.0),
    seed: int = 0,
) -> pl.DataFrame:
    """Rows as `shadow.SHADOWED`, one a minute."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "conversation_id": [f"shadow {number}" for number in range(n)],
            "answered_at": [BEGAN + timedelta(minutes=number) for number in range(n)],
            "agreement": (random.random(n) < agreement).astype(float),
            "champion_error": (random.random(n) < failed[0]).astype(float),
            "challenger_error": (random.random(n) < failed[1]).astype(float),
            "champion_ms": random.lognormal(0, 0.4, n) * slow_ms[0],
            "challenger_ms": random.lognormal(0, 0.4, n) * slow_ms[1],
        }
    )
