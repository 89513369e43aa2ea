"""Supervised training sets: accepted answers, corrections and labels, with the waterfall that led to them."""

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.training_sets.allowed import Descent, good
from clworkbench.training_sets.descent import BuiltSet, Rules, ended, has_text, once, own_group, told_apart, usable
from clworkbench.training_sets.reviewed import verdicts

CUT_OFF = ("length", "content_filter", "error")


def build_sft(
    signals: pl.DataFrame, labels: pl.DataFrame, examples: pl.DataFrame, rules: Rules, pseudonyms: Pseudonyms
) -> BuiltSet:
    """Makes supervised rows from signals.

    A label with an improvement comes first, then a correction from production, then an answer that settled as
    accepted. Everything else is dropped and counted; the counts and the rows add up to the signals.

    Args:
        signals: one row for each answer, as `signals.view.signals` gives it.
        labels: schema `LABELS`, the latest answer of each annotator; `counts` (Boolean) may say which decide.
        examples: schema `SUITE`: all held-out examples; rows that leak into them are dropped.
        rules: see `Rules`.
        pseudonyms: makes row ids and the split.
    """
    waterfall = answered(signals, labels, rules, pseudonyms)
    told_apart(waterfall, "sft", rules, pseudonyms)
    once(waterfall, "said", "taught")
    return ended(waterfall, "sft", signals.height, examples, rules, pseudonyms)


def answered(signals: pl.DataFrame, labels: pl.DataFrame, rules: Rules, pseudonyms: Pseudonyms) -> Descent:
    """The signals to whose prompt a good answer is known, as rows: `rule`, `prompt`, `completion`, the ids behind."""
    waterfall = usable(signals, rules, pseudonyms)
    waterfall.rows = _with_rule(waterfall.rows, labels)
    waterfall.drop(pl.col("interaction_id").is_in(list(rules.disputed)), "disputed")
    for reason in ("rejected", "pending", "negative"):
        waterfall.drop(pl.col("rule") == reason, reason)
    waterfall.keep(has_text("prompt", "user") & has_text("completion", "assistant"), "no_text")
    waterfall.drop((pl.col("rule") == "accepted") & cut_off(), "cut_off")
    waterfall.rows = waterfall.rows.with_columns(belief=good(waterfall.rows, rules.allowed))
    return waterfall


def cut_off() -> pl.Expr:
    """Answers that did not come to their end."""
    return pl.col("finish_reason").is_in(CUT_OFF) | pl.col("error").is_not_null()


def _with_rule(signals: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Adds `rule` (how the row is learned, or why it is not), `prompt`, `completion` and the ids behind them."""
    rows = signals.join(verdicts(labels), on="interaction_id", how="left")
    labelled = pl.col("label_improvement").is_not_null()
    corrected = pl.col("improvement").is_not_null()
    accepted = pl.coalesce("label_accepts", "outcome")
    rule = (
        pl.when(labelled)
        .then(pl.lit("labelled"))
        .when(~pl.col("label_accepts"))
        .then(pl.when(corrected).then(pl.lit("corrected")).otherwise(pl.lit("rejected")))
        .when(corrected)
        .then(pl.lit("corrected"))
        .when(accepted)
        .then(pl.lit("accepted"))
        .when(~accepted)
        .then(pl.lit("negative"))
        .otherwise(pl.lit("pending"))
    )
    corrections = pl.concat_list("improvement_id")
    return rows.with_columns(rule=rule).with_columns(
        prompt=pl.col("input"),
        completion=pl.when(rule == "labelled")
        .then(pl.col("label_improvement"))
        .when(rule == "corrected")
        .then(pl.col("improvement"))
        .otherwise(pl.col("output")),
        feedback_ids=pl.when(rule == "corrected").then(corrections).otherwise(pl.col("feedback_ids")),
        label_ids=pl.col("label_ids").fill_null([]),
        signal_ids=pl.concat_list("interaction_id"),
        source_of=pl.col("interaction_id"),
        group=own_group(),
        at=pl.col("started_at"),
    )
