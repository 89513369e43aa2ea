"""Made-up signals with eight attributes, in one corner of which the outcome may be worse."""

import numpy as np
import polars as pl

BY = (
    "app",
    "model",
    "finish_reason",
    "environment",
    "provider",
    "latency_ms",
    "n_input_tokens",
    "confidence",
    "started_at",
)


def made_signals(
    seed: int, n: int, *, bad: float = 0.3, usual: float = 0.1, turns: int = 1
) -> tuple[pl.DataFrame, pl.Series]:
    """Signals, and which of them stand in the corner: 2 % of them, in the form of one of four conjunctions by seed.

    Of the outcomes in the corner `bad` fail, of the others `usual`. A conversation has `turns` signals.
    """
    draw = np.random.default_rng(seed)
    signals = pl.DataFrame(
        {
            "interaction_id": [f"i{i}" for i in range(n)],
            "conversation_id": [f"c{i // turns}" for i in range(n)],
            "app": draw.choice(["desk", "phone", "mail", "web"], n, p=[0.4, 0.3, 0.2, 0.1]),
            "model": draw.choice([f"m{i}" for i in range(8)], n),
            "finish_reason": draw.choice(["stop", "length", "tool", "rare"], n, p=[0.78, 0.1, 0.1, 0.02]),
            "environment": draw.choice(["production", "test"], n, p=[0.9, 0.1]),
            "provider": pl.Series(draw.choice(["a", "b", "c", "none"], n)).replace("none", None),
            "latency_ms": draw.lognormal(6, 1, n),
            "n_input_tokens": draw.integers(1, 4000, n),
            "confidence": draw.random(n),
            "minute": draw.integers(0, 100_000, n),
        }
    ).with_columns(started_at=pl.datetime(2026, 1, 1, time_zone="UTC") + pl.duration(minutes="minute"))
    corners = (
        (pl.col("app") == "mail") & (pl.col("model") == "m3") & (pl.col("confidence") < 0.8),
        (pl.col("finish_reason") == "rare"),
        (pl.col("model") == "m5") & (pl.col("n_input_tokens") >= 3360),
        (pl.col("app") == "web") & (pl.col("environment") == "production") & (pl.col("latency_ms") < 200),
    )
    inside = signals.select(corners[seed % 4])[:, 0].fill_null(value=False)
    fails = draw.random(n) < np.where(inside.to_numpy(), bad, usual)
    return signals.drop("minute").with_columns(outcome=pl.Series(~fails)), inside
