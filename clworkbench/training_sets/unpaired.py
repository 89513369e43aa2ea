"""Unpaired sets: answers that were wanted and answers that were not, each by itself, for KTO."""

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.training_sets.allowed import Descent, good
from clworkbench.training_sets.descent import (
    EXACT,
    BuiltSet,
    Finding,
    Rules,
    ended,
    has_text,
    once,
    own_group,
    told_apart,
    usable,
)
from clworkbench.training_sets.reviewed import verdicts
from clworkbench.training_sets.sft import cut_off


def build_unpaired(
    signals: pl.DataFrame, labels: pl.DataFrame, examples: pl.DataFrame, rules: Rules, pseudonyms: Pseudonyms
) -> BuiltSet:
    """Makes one row of each answer of which it is known whether it was wanted.

    What reviewers say (`reviewed`) comes before outcomes (`outcome`), of which only settled ones count, decided by the
    precedence of `[outcomes]`. The weight is how far that is believed, where the policy weighs. An answer that was cut
    off is learned only as one that was not wanted.

    Args:
        signals: one row for each answer, as `signals.view.signals` gives it.
        labels: schema `LABELS`, the latest answer of each annotator; `counts` (Boolean) may say which decide.
        examples: schema `SUITE`: all held-out examples; rows that leak into them are dropped.
        rules: see `Rules`.
        pseudonyms: makes row ids and the split.
    """
    waterfall = usable(signals, rules, pseudonyms)
    waterfall.rows = _with_label(waterfall.rows, labels, rules)
    waterfall.drop(pl.col("interaction_id").is_in(list(rules.disputed)), "disputed")
    waterfall.keep(pl.col("label").is_not_null(), "pending")
    waterfall.keep(has_text("prompt", "user") & has_text("completion", "assistant"), "no_text")
    waterfall.drop(pl.col("label") & (pl.col("rule") == "outcome") & cut_off(), "cut_off")
    findings = _conflicts(waterfall.rows)
    told_apart(waterfall, "unpaired", rules, pseudonyms)
    _settled(waterfall)
    once(waterfall, "said", "taught", "label")
    return ended(waterfall, "unpaired", signals.height, examples, rules, pseudonyms, findings=findings)


def _with_label(signals: pl.DataFrame, labels: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    rows = signals.join(verdicts(labels), on="interaction_id", how="left", maintain_order="left")
    reviewed = pl.col("label_accepts").is_not_null()
    label = pl.coalesce("label_accepts", "outcome")
    is_good = good(rows, rules.allowed)
    return rows.with_columns(
        label=label,
        rule=pl.when(reviewed).then(pl.lit("reviewed")).otherwise(pl.lit("outcome")),
        belief=pl.when(label).then(is_good).otherwise(1 - is_good),
        # An answer that a model was unsure of is no worse an example of what was not wanted.
        confidence=pl.when(label).then("confidence"),
        prompt=pl.col("input"),
        completion=pl.col("output"),
        label_ids=pl.col("label_ids").fill_null([]),
        signal_ids=pl.concat_list("interaction_id"),
        source_of=pl.col("interaction_id"),
        group=own_group(),
        at=pl.col("started_at"),
    )


def _conflicts(rows: pl.DataFrame) -> list[Finding]:
    overruled = rows.filter((pl.col("rule") == "reviewed") & (pl.col("outcome") != pl.col("label"))).height
    between = rows.filter(pl.col("conflict")).height if "conflict" in rows.columns else 0
    said = {
        f"{overruled:,} outcomes say the contrary of what reviewers say, who count": overruled,
        f"{between:,} answers have outcomes that contradict each other; the first rule of [outcomes] counts": between,
    }
    return [Finding("conflicts", text) for text, n in said.items() if n]


def _settled(waterfall: Descent) -> None:
    """Of the same answer to the same prompt, wanted here and unwanted there, what weighs more; a tie drops all."""
    of = ["question", "taught"]
    way = pl.when("label").then(1).otherwise(-1)
    # Reviewers come first, as they do for a single answer.
    reviewed = pl.col("rule") == "reviewed"
    counted = pl.when(reviewed.any().over(of)).then(reviewed).otherwise(statement=True)
    vote = pl.when(counted).then(way * pl.col("weight")).otherwise(0.0).sum().over(of)
    both = pl.col("label").n_unique().over(of) > 1
    waterfall.rows = waterfall.rows.with_columns(contradicted=both & (vote.round(EXACT).sign() != way))
    waterfall.drop(pl.col("contradicted"), "contradicted")
