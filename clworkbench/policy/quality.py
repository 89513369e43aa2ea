"""Quality gates: what a signal must be before it is learned, and how far what was said about it is believed."""

from collections.abc import Mapping, Sequence

import polars as pl

from clworkbench.settings import QualitySettings
from clworkbench.statistics.intervals import wilson_bounds

LABELS = "labels"
UNNAMED = 0.8
"""How often a rule is right that `reliability` does not name."""

SURE = 0.999
"""Nobody is believed more than this: one voice alone must not silence all others."""

REASONS = ("unsure_model", "unverified", "disagreement", "not_believed")

BY_REVIEWERS = ("labelled", "reviewed", "picked", "ranked")
"""Rules of training rows by which a reviewer said it."""

IN_PRODUCTION = ("corrected", "preferred", "rated")
"""Those by which somebody, or something (`improvement_origin`), said it in production."""

ON_OUTCOMES = ("accepted", "outcome", "won")
"""Those that rest on outcomes, and on votes of reviewers where there are any."""


def belief(rules: Sequence[str], reliability: Mapping[str, float]) -> pl.Expr:
    """Probability that an answer is good, given what the outcome rules and the labels say of it.

    Each rule that settled is a voice of its own; a voice that is right with probability r adds log(r / (1 - r)) for
    good, or takes it away, starting from even odds. Voices are taken to err independently, given the truth.

    Args:
        rules: names of the outcome rules; columns `outcome_<rule>` (Boolean, null where they say nothing), and
            `label_accepts` for the labels.
        reliability: by rule, or `labels`: the probability that it is right.

    Returns:
        An expression: 0 to 1, null where nothing was said.

    Source: Nitzan and Paroush 1982, "Optimal decision rules in uncertain dichotomous choice situations", eq. (3).
    """
    columns = {**{f"outcome_{name}": name for name in rules}, "label_accepts": LABELS}
    votes = []
    for column, name in columns.items():
        right = min(max(reliability.get(name, UNNAMED), 1 - SURE), SURE)
        odds = pl.lit(right / (1 - right)).log()
        votes.append(pl.when(pl.col(column)).then(odds).when(~pl.col(column)).then(-odds))
    heard = pl.any_horizontal(pl.col(column).is_not_null() for column in columns)
    return pl.when(heard).then(1 / (1 + (-pl.sum_horizontal(votes)).exp()))


def measured_reliability(signals: pl.DataFrame, rules: Sequence[str]) -> pl.DataFrame:
    """How often each outcome rule agreed with the people who judged the same answers: what `reliability` should say.

    Args:
        signals: with `outcome_<rule>` (Boolean) and `label_accepts` (Boolean, null where nobody judged).
        rules: names of the outcome rules.

    Returns:
        One row for each rule that spoke about a judged answer: `rule`, `n` (of both), `agrees`, `rate` (0 to 1) and
        Wilson's interval, `low` and `high`.
    """
    judged = signals.drop_nulls("label_accepts")
    spoke = [
        judged.select(
            rule=pl.lit(rule),
            n=pl.col(f"outcome_{rule}").count().cast(pl.Int64),
            agrees=(pl.col(f"outcome_{rule}") == pl.col("label_accepts")).sum().cast(pl.Int64),
        )
        for rule in rules
    ]
    schema = {"rule": pl.String, "n": pl.Int64, "agrees": pl.Int64}
    rate, n = pl.col("agrees") / pl.col("n"), pl.col("n")
    low, high = wilson_bounds(rate, n)
    return pl.concat([pl.DataFrame(schema=schema), *spoke]).filter(n > 0).with_columns(rate=rate, low=low, high=high)


def refused(quality: QualitySettings) -> pl.Expr:
    """Why a row must not be learned, or null.

    Over rows with `rule` (`BY_REVIEWERS`, `IN_PRODUCTION` or `ON_OUTCOMES`), `confidence` (0 to 1),
    `improvement_origin`, `label_accepts`, `label_agreement` (share of the labels that say what most say) and `belief`.
    """
    rule, by_a_system = pl.col("rule"), pl.col("improvement_origin") == "system"
    accepted = rule.is_in(ON_OUTCOMES)
    by_people = (
        rule.is_in(BY_REVIEWERS)
        | (rule.is_in(IN_PRODUCTION) & ~by_a_system.fill_null(value=False))
        | (accepted & pl.col("label_accepts").fill_null(value=False))
    )
    tests = {
        "unsure_model": accepted & (pl.col("confidence") < pl.lit(quality.min_confidence, pl.Float64)),
        "unverified": ~by_people if quality.verified else pl.lit(value=False),
        "disagreement": pl.col("label_agreement") < pl.lit(quality.min_agreement, pl.Float64),
        "not_believed": accepted & (pl.col("belief") < pl.lit(quality.min_belief, pl.Float64)),
    }
    return pl.coalesce(
        *(pl.when(test.fill_null(value=False)).then(pl.lit(reason)) for reason, test in tests.items()),
        pl.lit(None, pl.String),
    )
