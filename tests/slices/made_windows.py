"""Made-up windows of signals: conversations whose turns are alike, without drift or with some planted."""

import numpy as np
import polars as pl

COLUMNS = (
    "app", "model", "provider", "environment", "latency_ms", "n_input_tokens", "confidence", "flagged", "text",
)  # fmt: skip

TALK = (
    "where is my parcel it should have come", "please refund the card i paid with", "the app does not log me in",
    "how do i change my address", "the invoice shows a wrong amount", "thank you that helped a lot",
    "cancel my subscription for next month", "my password is not accepted", "can i speak to a person now",
    "the item came broken in its box", "which size fits a small dog", "is there a discount for students",
)  # fmt: skip
SMALL = ("today", "again", "since monday", "twice", "for my mother", "at once", "in berlin", "as before", "really")


def made_window(seed: int, conversations: int, *, turns: int = 3) -> pl.DataFrame:
    """Signals of some conversations; those of one share nearly everything. Of the outcomes a tenth is pending."""
    draw = np.random.default_rng(seed)
    n = conversations * turns
    each = np.repeat(np.arange(conversations), turns)
    latency = draw.lognormal(6, 1, conversations)[each]
    said = [TALK[k] for k in draw.integers(0, len(TALK), conversations)]
    small = draw.integers(0, len(SMALL), (2, n))
    frame = pl.DataFrame(
        {
            "interaction_id": [f"s{seed}-{i}" for i in range(n)],
            "conversation_id": [f"s{seed}-c{c}" for c in each],
            "app": draw.choice(["desk", "phone", "mail", "web"], conversations, p=[0.4, 0.3, 0.2, 0.1])[each],
            "model": draw.choice([f"m{i}" for i in range(10)], conversations)[each],
            "provider": pl.Series(draw.choice(["a", "b", "none"], conversations)[each]).replace("none", None),
            "environment": draw.choice(["production", "test"], conversations, p=[0.95, 0.05])[each],
            "latency_ms": latency,
            "n_input_tokens": draw.integers(1, 4000, n),
            "confidence": pl.Series(draw.random(conversations)[each]).set(pl.Series(draw.random(n) < 0.3), None),
            "flagged": draw.random(n) < 0.2,
            "text": [f"{said[c]} {SMALL[k]} {SMALL[m]}" for c, k, m in zip(each, *small, strict=True)],
            "minute": draw.integers(0, 10_000, n),
        }
    )  # fmt: skip
    good = draw.random(conversations)[each] < 0.8
    outcome = pl.Series(good).set(pl.Series(draw.random(n) < 0.1), None)
    at = pl.datetime(2026, 1, 1, time_zone="UTC") + pl.duration(minutes="minute")
    return frame.with_columns(started_at=at, outcome=outcome).drop("minute")


def halves(seed: int, conversations: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two windows from one source."""
    return made_window(2 * seed, conversations), made_window(2 * seed + 1, conversations)
