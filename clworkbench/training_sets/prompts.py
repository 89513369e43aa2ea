"""Prompt sets: what a sampled answer is asked, and what it is verified with, for GRPO."""

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.scorers.names import scorer
from clworkbench.training_sets.allowed import Descent
from clworkbench.training_sets.descent import BuiltSet, Rules, ended, once, told_apart
from clworkbench.training_sets.sft import answered
from clworkbench.training_sets.texts import called

CALLS = ("function_call", "function_name")
"""Verifiers that expect what the good answer calls, where it calls something, and not what it says."""

PRECEDENCE = {"labelled": 0, "corrected": 1, "accepted": 2}
"""Whose answer is expected where several are known."""


def build_prompts(
    signals: pl.DataFrame,
    labels: pl.DataFrame,
    examples: pl.DataFrame,
    rules: Rules,
    pseudonyms: Pseudonyms,
    *,
    verifier: str,
) -> BuiltSet:
    """Makes one row of each prompt to which a good answer is known, by the rules of a supervised set.

    Of a good answer that calls tools, the calls are expected where the verifier looks at calls. What the verifier
    cannot grade is dropped: the good answer itself must be scored 1, unless the verifier says that what is expected is
    no answer. Where several good answers to one prompt are known, the reviewer's counts before the correction before
    the accepted one, the latest first.

    Args:
        signals: one row for each answer, as `signals.view.signals` gives it.
        labels: schema `LABELS`, the latest answer of each annotator; `counts` (Boolean) may say which decide.
        examples: schema `SUITE`: all held-out examples; rows that leak into them are dropped.
        rules: see `Rules`.
        pseudonyms: makes row ids and the split.
        verifier: the name of a scorer (`scorers.names`).

    Raises:
        ClwError: there is no such scorer.
    """
    scored = scorer(verifier)
    waterfall = answered(signals, labels, rules, pseudonyms)
    waterfall.rows = waterfall.rows.with_columns(expected=_answer(verifier), verifier=pl.lit(verifier))
    waterfall.keep(pl.col("expected").str.strip_chars().str.len_chars() > 0, "no_words")
    told_apart(waterfall, "prompts", rules, pseudonyms)
    waterfall.keep(scored.on_gold(waterfall.rows["expected"]).gradable, "not_verifiable")
    _settled(waterfall)
    once(waterfall, "said", "taught")
    return ended(waterfall, "prompts", signals.height, examples, rules, pseudonyms)


def _answer(verifier: str) -> pl.Expr:
    """The last words of the good answer, or the calls in its last message as JSON."""
    message = pl.element().struct
    by_model = message.field("role") == "assistant"
    words = pl.col("completion").list.eval(message.field("content").filter(by_model)).list.last()
    if verifier not in CALLS:
        return words
    return pl.coalesce(called(pl.col("completion")), words)


def _settled(waterfall: Descent) -> None:
    """Of several answers that are expected to one prompt, the first by precedence, then the latest."""
    rank = pl.col("rule").replace_strict(PRECEDENCE, return_dtype=pl.Int64)
    rows = waterfall.rows.with_columns(rank=rank).with_row_index("place")
    ordered = rows.sort("rank", "at", "place", descending=[False, True, False], nulls_last=True)
    wanted = ordered.unique("question", keep="first", maintain_order=True).select("question", wanted="taught")
    joined = rows.join(wanted, on="question", how="left", maintain_order="left", nulls_equal=True)
    waterfall.rows = joined.drop("place")
    waterfall.drop(pl.col("taught") != pl.col("wanted"), "contradicted")
