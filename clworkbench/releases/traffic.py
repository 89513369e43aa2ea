"""What a rollout's traffic says: answers of both arms as rows to be analysed, and pairs of the shadow stage."""

from collections.abc import Sequence

import polars as pl

from clworkbench.releases.shadow import SHADOWED
from clworkbench.scorers.text import rouge_l
from clworkbench.settings import OutcomeRule

SHADOW_OPERATION = "shadow"
"""The operation of an answer that nobody was sent: it is no signal."""

FACTS = ("clw.rollout", "clw.stage", "clw.arm", "clw.challenger_chance", "clw.shadow_of")
"""What the server writes into the attributes of an answer."""


def fact(name: str) -> pl.Expr:
    """One of `FACTS`, as text; null where an answer has none."""
    return pl.col("attributes").str.json_path_match(f"$['{name}']")


def arms(
    answers: pl.DataFrame, failed: pl.DataFrame, settled: pl.DataFrame, rules: Sequence[OutcomeRule]
) -> pl.DataFrame:
    """A rollout's answers as `conversations` takes them; others are left out, such as those whose model was named.

    Args:
        answers: signals of the rollout, with `attributes`, `outcome` and `outcome_rule`.
        failed: interactions of the rollout without an answer, and `error`.
        settled: when what a signal's outcome rests on was said: `interaction_id`, `name` (of the feedback), `at`.
        rules: of the outcomes, in order of precedence.
    """
    waits = any(rule.within is not None for rule in rules)
    told = answers.join(_settled_at(answers, settled, rules), on="interaction_id", how="left").with_columns(
        pending=pl.lit(waits) & pl.col("outcome").is_null(),
    )
    lost = failed.with_columns(
        outcome=pl.lit(None, pl.Boolean), settled_at=pl.lit(None, pl.Datetime("us", "UTC")), pending=pl.lit(value=False)
    )
    columns = ("conversation_id", "started_at", "error", "latency_ms", "n_output_tokens", "cost_usd")
    facts = {
        "arm": fact("clw.arm"),
        "stage": fact("clw.stage"),
        "propensity": fact("clw.challenger_chance").cast(pl.Float64, strict=False),
    }
    rows = [each.select(*columns, "outcome", "settled_at", "pending", **facts) for each in (told, lost)]
    return pl.concat(rows).filter(
        pl.col("arm").is_in(["champion", "challenger"]),
        pl.col("propensity").is_between(0, 1, closed="none"),
        pl.col("stage").is_not_null(),
        pl.col("started_at").is_not_null(),
    )


def _settled_at(answers: pl.DataFrame, settled: pl.DataFrame, rules: Sequence[OutcomeRule]) -> pl.DataFrame:
    """When each outcome became known: after its rule's `within`, or with the last event that its rule reads."""
    found = pl.lit(None, pl.Datetime("us", "UTC"))
    rows = answers.select("interaction_id", "started_at", "outcome", "outcome_rule")
    for rule in rules:
        if rule.within is not None:
            at = pl.col("started_at") + rule.within
        else:
            names = [*rule.negative, *rule.positive, *([rule.score] if rule.score else [])]
            last = settled.filter(pl.col("name").is_in(names)).group_by("interaction_id").agg(pl.col("at").max())
            rows = rows.join(last.rename({"at": f"at_{rule.name}"}), on="interaction_id", how="left")
            at = pl.coalesce(f"at_{rule.name}", "started_at")
        found = pl.when(pl.col("outcome_rule") == rule.name).then(at).otherwise(found)
    return rows.select("interaction_id", settled_at=pl.when(pl.col("outcome").is_not_null()).then(found))


def shadowed(sent: pl.DataFrame, shadow: pl.DataFrame) -> pl.DataFrame:
    """Pairs of what was sent and what the challenger would have said (`SHADOWED`), one for each conversation's first.

    How far two answers agree is ROUGE-L's F (Lin 2004) of the one against the other: 1 where all words stand in the
    same order, 0 where none is shared.

    Args:
        sent: the champion's interactions of the stage: `source_id`, `conversation_id`, `started_at`, `said` (text, null
            where it failed), `error`, `latency_ms`.
        shadow: the challenger's: `said`, `error`, `latency_ms`, and `shadow_of` (the `source_id` of the one sent).
    """
    both = (
        sent.join(shadow.drop_nulls("shadow_of"), left_on="source_id", right_on="shadow_of", suffix="_shadow")
        .drop_nulls(("conversation_id", "started_at"))
        .sort("started_at")
        .unique("conversation_id", keep="first", maintain_order=True)
    )
    answered = pl.col("said", "said_shadow").is_not_null()
    agree = rouge_l(both["said_shadow"], both["said"])
    return both.select(
        "conversation_id",
        answered_at="started_at",
        agreement=pl.when(pl.all_horizontal(answered)).then(agree),
        champion_error=pl.col("error").is_not_null().cast(pl.Float64),
        challenger_error=pl.col("error_shadow").is_not_null().cast(pl.Float64),
        champion_ms="latency_ms",
        challenger_ms="latency_ms_shadow",
    ).cast(SHADOWED)
