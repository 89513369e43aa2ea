"""Two windows of signals side by side, one signal drawn from each conversation."""

from typing import NamedTuple

import polars as pl

from clworkbench.policy.sampling import uniform

MOST = 20_000
"""Conversations of a window that are looked at: enough to see a shift of two points."""

SETTLED = 100_000
"""Signals of a window, in whole conversations, whose outcomes are looked at."""


class Windows(NamedTuple):
    """What is compared.

    Attributes:
        drawn: one signal of each conversation, at most 20,000 a window: the signals' columns and `is_now`.
        whole: all signals of about as many conversations of each window as have 100,000 signals there, with `is_now`
            and `unit`, the number of the conversation.
    """

    drawn: pl.DataFrame
    whole: pl.DataFrame


def windows(before: pl.DataFrame, now: pl.DataFrame, *, salt: str) -> Windows:
    """Draw one signal from each conversation by keyed hash: signals of one conversation are no independent evidence.

    A conversation that has signals in both windows is in the one from which its signal was drawn.

    Args:
        before: signals; those without a conversation are one each.
        now: likewise, with the same columns.
        salt: key of the hash: the same salt, the same draw.
    """
    both = pl.concat([before.with_columns(is_now=pl.lit(value=False)), now.with_columns(is_now=pl.lit(value=True))])
    ids = [pl.col(name) for name in ("conversation_id", "interaction_id") if name in both.columns]
    row = pl.int_range(pl.len()).cast(pl.String)
    keyed = both.select("is_now", unit=pl.coalesce(*ids, row) if ids else row).with_row_index("row")
    units = keyed.group_by("unit", maintain_order=True).agg("row", n=pl.len()).with_row_index("number")
    at = uniform(units["unit"], salt).cast(pl.Float64)
    # The first digits of the hash say whether a conversation is drawn, the later ones which of its signals.
    place = ((pl.col("at") * 2**20) % 1 * pl.col("n")).floor().cast(pl.Int64)
    units = units.with_columns(at=at).with_columns(pl.col("row").list.get(place).alias("one"))
    sides = units.select("at", "one", is_now=keyed["is_now"].gather(units["one"])).sort("at")
    rows = sides.group_by("is_now", maintain_order=True).head(MOST)["one"].sort()
    most = pl.when("is_now").then(SETTLED / max(1, now.height)).otherwise(SETTLED / max(1, before.height))
    numbered = keyed.select("unit").join(units.select("unit", "number", "at"), on="unit", maintain_order="left")
    kept = numbered.with_columns(keyed["is_now"]).select(pl.col("at") < most).to_series()
    whole = both.with_columns(unit=numbered["number"]).filter(kept)
    return Windows(both[rows], whole)
