"""Which examples are shown by rows that were learned: the other side of a leak, asked before a suite is frozen."""

from collections.abc import Sequence

import polars as pl

from clworkbench.schemas import MESSAGES
from clworkbench.training_sets.holdout import taught
from clworkbench.training_sets.leakage import LEAKS
from clworkbench.training_sets.pieces import ANSWERS, QUOTED_WORDS, n_words, pieces, prompted, quoted
from clworkbench.training_sets.texts import normalised

AS_HELD = "leak_holdout_"


def shown(learned: Sequence[pl.DataFrame], examples: pl.DataFrame) -> pl.Series:
    """How each example stands in rows that were learned; takes time in proportion to the texts of these.

    Args:
        learned: training rows, a frame for each set, as `descent.asking` gives them.
        examples: `schemas.SUITE`.

    Returns:
        For each example in order the first of `leakage.LEAKS` that holds, or null.
    """
    held = examples.select(
        "signal_ids", "group", row_id="example_id", prompt="input", split=pl.lit("holdout")
    ).with_columns(pl.col("prompt").cast(MESSAGES))
    found: list[pl.Series] = []
    for rows in learned:
        columns = [name for name in (*held.columns, *ANSWERS) if name in (told := prompted(rows)).columns]
        train = told.select(columns).with_columns(split=pl.lit("train"))
        both = pl.concat([train, held], how="diagonal_relaxed")
        leak = taught(both).tail(held.height).str.replace(AS_HELD, "leak_")
        said = pl.when(_expected_in(train, examples["expected"])).then(pl.lit("leak_quoted"))
        grouped = pl.col("group").is_in(train["group"].drop_nulls().unique().implode()).fill_null(value=False)
        group = pl.when(grouped).then(pl.lit("leak_group"))
        found.append(held.select(leak=pl.coalesce(pl.lit(leak), said, group))["leak"])
    order = pl.Enum(LEAKS)
    none = pl.Series([None] * examples.height, dtype=order)
    each = [one.cast(order) for one in found]
    return pl.select(leak=pl.coalesce(none, *each))["leak"].cast(pl.String)


def _expected_in(train: pl.DataFrame, expected: pl.Series) -> pl.Series:
    """Whether an expected answer of many words stands within a message of a learned prompt."""
    plain = expected.to_frame("text").select(normalised(pl.col("text")))["text"]
    long = plain.filter(n_words(plain) >= QUOTED_WORDS)
    said = pieces(train).filter(pl.col("part").is_in(["asked", "beside"]))["plain"].unique()
    return plain.is_in(quoted(said, long).implode()).fill_null(value=False)
