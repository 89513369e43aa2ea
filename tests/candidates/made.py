"""Small frames of signals, written out."""

from datetime import UTC, datetime

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms

KEY = Pseudonyms(b"k" * 32)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
BETTER = pl.lit(
    [{"role": "assistant", "content": "better"}], pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
)
SCHEMA = {"interaction_id": pl.String, "outcome": pl.Boolean, "override": pl.Boolean, "confidence": pl.Float64}


def some(*rows: tuple[str, bool | None, bool, float | None]) -> pl.DataFrame:
    """Signals as (id, outcome, whether somebody gave a better answer, confidence)."""
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return frame.select(pl.exclude("override"), improvement=pl.when("override").then(BETTER))
