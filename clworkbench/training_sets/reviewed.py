"""What reviewers said about each answer: a better one, or whether it is right."""

import polars as pl

from clworkbench.schemas import ACCEPT_WORDS, REJECT_WORDS


def untouched() -> pl.Expr:
    """Labels that hold an improvement which was filled in and left as it was: such a one is none."""
    return ((pl.col("question") == "improvement") & pl.col("equals_suggestion")).fill_null(value=False)


def counting(labels: pl.DataFrame) -> pl.Expr:
    """Labels that decide: those marked so in `counts` where there is such a column, else all."""
    return pl.col("counts") if "counts" in labels.columns else pl.lit(value=True)


def verdicts(labels: pl.DataFrame) -> pl.DataFrame:
    """What reviewers said about each signal: the latest improvement, and whether most accept the answer.

    An improvement that was filled in and left as it was is none, and only answers to the question `answer` are votes.
    """
    bettered = pl.col("improvement").is_not_null() & ~untouched()
    votes = (pl.col("question") == "answer") & pl.col("value").is_not_null()
    said = labels.filter(pl.col("status") == "submitted", bettered | votes).sort("at", "label_id", nulls_last=False)
    value = pl.col("value").str.to_lowercase().str.strip_chars()
    vote = pl.when(~votes).then(None).when(value.is_in(ACCEPT_WORDS)).then(1).when(value.is_in(REJECT_WORDS)).then(-1)
    counts = counting(labels)
    counted = vote.filter(counts)
    return said.group_by("interaction_id", maintain_order=True).agg(
        label_improvement=pl.col("improvement").filter(counts).drop_nulls().last(),
        label_accepts=pl.when(counted.sum() != 0).then(counted.sum() > 0),
        label_agreement=(vote.count() + vote.sum().abs()) / (2 * vote.count()),
        label_ids=pl.col("label_id"),
    )
