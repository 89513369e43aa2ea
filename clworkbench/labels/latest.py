"""Which of an annotator's answers counts: the latest in each set, and one where several sets have one."""

from datetime import datetime
from typing import TypeVar

import polars as pl

GOLD = "gold"
"""The source of labels that say what the right answer is."""

SETS = "argilla/"
"""What stands before a question set's name in a label's source."""

KEY = ("interaction_id", "question", "annotator_key")
"""Whose answer to what: of the labels of one source with the same key, the latest counts."""

Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)


def latest(labels: Rows, *, by: datetime | None = None) -> Rows:
    """The latest answer of each annotator to each question about each signal, in each source.

    Args:
        labels: rows of the table `labels`, with `seq`.
        by: only answers dated by then, and those without a date; all when None.
    """
    if by is not None:
        labels = labels.filter(pl.col("at").is_null() | (pl.col("at") <= by))
    return labels.sort("at", "seq", nulls_last=False).unique([*KEY, "source"], keep="last", maintain_order=True)


def one_each(answers: pl.DataFrame) -> pl.DataFrame:
    """One answer of each annotator to each question about each signal, and the known one beside it.

    Where several sources have one, the latest that is submitted, else the latest that is not withdrawn. Rows of the
    source `gold` are weighed among themselves, so that nobody's own blind answer replaces what is known.

    Args:
        answers: as `latest` gives them.
    """
    status = pl.col("status")
    ranked = answers.sort(status == "submitted", status != "withdrawn", maintain_order=True)
    known = ranked.with_columns(known=pl.col("source").eq_missing(GOLD))
    return known.unique([*KEY, "known"], keep="last", maintain_order=True).drop("known")
