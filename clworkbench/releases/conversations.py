"""From answers to conversations: what a rollout analyses, each conversation once and with values that never change."""

import polars as pl

from clworkbench.releases.rollout_evidence import CONVERSATIONS

FIRST = ("arm", "propensity", "stage", "latency_ms", "cost_usd")


def conversations(answers: pl.DataFrame) -> pl.DataFrame:
    """One row for each conversation (`rollout_evidence.CONVERSATIONS`).

    Arm, chance, stage, error, latency, length and cost are those of the first answer. The outcome is the mean over the
    answers up to the first moment at which each answer so far was settled; it is settled then, and what is said in the
    conversation later no longer counts. So a conversation that is known once never changes, which is what bounds that
    hold at every look rest on.

    Args:
        answers: one row for each answer of both models: `conversation_id`, `arm` (champion, challenger), `propensity`
            (the chance of the challenger) and `stage` when its conversation's arm was drawn; `started_at`; `outcome`
            (Boolean, null while not settled) with `settled_at`, and `pending` (Boolean: it will be settled, and is not
            yet; an answer that is neither says nothing and is passed over); `error` (null where it went well),
            `latency_ms`, `n_output_tokens`, `cost_usd`. Answers without a conversation are left out.
    """
    rows = answers.drop_nulls("conversation_id").sort("started_at", maintain_order=True)
    first = rows.group_by("conversation_id", maintain_order=True).agg(
        *(pl.col(name).first() for name in FIRST),
        answered_at=pl.col("started_at").first(),
        error=pl.col("error").first().is_not_null().cast(pl.Float64),
        n_output_tokens=pl.col("n_output_tokens").first().cast(pl.Float64),
    )
    found = first.join(_settled(rows), on="conversation_id", how="left", maintain_order="left")
    return found.select(list(CONVERSATIONS)).cast(CONVERSATIONS)


def _settled(rows: pl.DataFrame) -> pl.DataFrame:
    """The first moment at which all answers so far were settled, and the mean of their outcomes."""
    telling = rows.filter(pl.col("pending") | pl.col("outcome").is_not_null())
    known = telling.with_columns(
        until=pl.col("settled_at").cum_max().over("conversation_id"),
        waits=pl.col("pending").cum_max().over("conversation_id"),
        mean=(pl.col("outcome").cast(pl.Float64).cum_sum() / pl.col("outcome").cum_count()).over("conversation_id"),
        next=pl.col("started_at").shift(-1).over("conversation_id"),
    )
    closed = known.filter(~pl.col("waits") & ((pl.col("next") > pl.col("until")) | pl.col("next").is_null()))
    return closed.group_by("conversation_id", maintain_order=True).agg(
        settled_at=pl.col("until").first(), outcome=pl.col("mean").first()
    )
