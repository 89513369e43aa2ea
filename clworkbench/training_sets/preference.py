"""Preference sets: of two answers to a prompt, the better and the worse, for DPO and its kin."""

from dataclasses import replace

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.training_sets.descent import BuiltSet, Rules, ended
from clworkbench.training_sets.length_bias import length_bias
from clworkbench.training_sets.pairs import paired
from clworkbench.training_sets.statements import Opinions


def build_preference(
    signals: pl.DataFrame, opinions: Opinions, examples: pl.DataFrame, rules: Rules, pseudonyms: Pseudonyms
) -> BuiltSet:
    """Makes pairs of answers from signals, each by one of these rules.

    - `labelled`, `corrected`: a better answer that a reviewer, or somebody in production, wrote over the model's.
    - `picked`, `ranked`: what reviewers preferred, and ranked.
    - `preferred`: what was preferred in production.
    - `won`: of two answers to one task, one settled as good and one as bad. Of whole runs (agents), the prompt is what
      both share, and each continuation is an answer: with the same system prompt and other words of the user that is
      little, and all of it can still be trained on.

    Args:
        signals: one row for each answer, as `signals.view.signals` gives it.
        opinions: what was said about them.
        examples: schema `SUITE`: all held-out examples; rows that leak into them are dropped.
        rules: see `Rules`.
        pseudonyms: makes row ids and the split.
    """
    waterfall, turned, findings = paired("preference", signals, opinions, rules, pseudonyms)
    made = ended(waterfall, "preference", signals.height, examples, rules, pseudonyms, turned=turned, findings=findings)
    return with_length_bias(made)


def with_length_bias(made: BuiltSet) -> BuiltSet:
    """The set with what its lengths say, in `about`."""
    return replace(made, about={**made.about, "length_bias": length_bias(made.frame)})
