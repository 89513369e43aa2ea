"""Reward sets: of two whole dialogues the better one, and by how much where people said so, for reward models."""

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.training_sets.descent import BuiltSet, Rules, ended
from clworkbench.training_sets.pairs import paired
from clworkbench.training_sets.preference import with_length_bias
from clworkbench.training_sets.statements import Opinions

SAID = ("feedback_ids", "label_ids")


def build_reward(
    signals: pl.DataFrame,
    opinions: Opinions,
    ratings: pl.DataFrame,
    examples: pl.DataFrame,
    rules: Rules,
    pseudonyms: Pseudonyms,
) -> BuiltSet:
    """Makes pairs of dialogues from the pairs of a preference set, and of differently rated answers (`rated`).

    `margin` is the difference of the two answers' ratings, each from -1 to 1, where both have one and the better one's
    is higher; else null.

    Args:
        signals: as for `build_preference`, like the others.
        opinions: what was said about them.
        ratings: as `statements.ratings` gives them.
        examples: held-out examples.
        rules: see `Rules`.
        pseudonyms: makes row ids and the split.
    """
    waterfall, turned, findings = paired("reward", signals, opinions, rules, pseudonyms, ratings=ratings)
    rows = waterfall.rows
    for side in ("better", "worse"):
        rated = ratings.select(
            pl.col("interaction_id").alias(side),
            *(pl.col(name).alias(f"{side}_{name}") for name in ("rating", *SAID)),
        )
        rows = rows.join(rated, on=side, how="left", maintain_order="left")
    margin = pl.coalesce("stated_margin", pl.col("better_rating") - pl.col("worse_rating"))
    measured = pl.col("stated_margin").is_null() & (margin > 0)
    waterfall.rows = rows.with_columns(
        *(_with_raters(name, measured) for name in SAID),
        margin=pl.when(margin > 0).then(margin),
        chosen=pl.col("prompt").list.concat("chosen"),
        rejected=pl.col("prompt").list.concat("rejected"),
    )
    made = ended(waterfall, "reward", signals.height, examples, rules, pseudonyms, turned=turned, findings=findings)
    return with_length_bias(made)


def _with_raters(ids: str, measured: pl.Expr) -> pl.Expr:
    """The ids behind a row, with those of the ratings that its margin comes from: who is forgotten takes it along."""
    both = pl.concat_list(ids, *(pl.col(f"{side}_{ids}").fill_null([]) for side in ("better", "worse")))
    return pl.when(measured).then(both.list.unique(maintain_order=True)).otherwise(ids).alias(ids)
