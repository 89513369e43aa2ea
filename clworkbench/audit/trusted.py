"""Whether the quality gates would take a row away, looked at again from what was said about the answers behind it."""

import polars as pl

from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.origins import REBUILD, SetManifest
from clworkbench.policy.influence import brigaded
from clworkbench.schemas import ACCEPT_WORDS, REJECT_WORDS
from clworkbench.settings import PolicySettings
from clworkbench.training_sets.allowed import Allowed, Descent, good, trust
from clworkbench.training_sets.descent import TAUGHT
from clworkbench.workspace import Workspace


def quality(
    workspace: Workspace, own: pl.DataFrame, found: pl.DataFrame, policy: PolicySettings, said: SetManifest
) -> Check:
    """The quality gates, campaigns and injections would take no row away.

    Args:
        workspace: where the labels and the feedback are.
        own: each row beside the signal whose answer it is.
        found: the signals as they were known when the set was built.
        policy: as the set's manifest has it.
        said: the manifest.
    """
    hit: list[str] = []
    if policy.caps.brigade:
        voices = workspace.voices(as_of=said.known_at, event_time=said.event_time)
        hit = brigaded(voices, policy.caps.brigade)["interaction_id"].unique().to_list()
    allowed = Allowed(policy, brigaded=hit)
    votes = _votes(workspace.labels(as_of=said.known_at, event_time=said.event_time))
    rows = own.join(votes, on="interaction_id", how="left", maintain_order="left")
    if said.turned is not None:
        told = _of_pairs(workspace, rows, found.join(votes, on="interaction_id", how="left"), allowed)
    else:
        told = rows.with_columns(belief=good(rows, allowed))
    if said.rows_kind == "unpaired":
        unwanted = ~pl.col("label")
        told = told.with_columns(
            belief=pl.when(unwanted).then(1 - pl.col("belief")).otherwise("belief"),
            confidence=pl.when(~unwanted).then("confidence"),
        )
    descent = Descent(told)
    trust(descent, allowed, TAUGHT[said.rows_kind][0])
    taken = {reason: n for reason, n in descent.dropped.items() if n}
    if taken:
        why = ", ".join(f"{n:,} {reason}" for reason, n in taken.items())
        return failed("quality", sum(taken.values()), f"rows that the gates take away: {why}. {REBUILD}.")
    return passed("quality", own.height, "no quality gate takes a row away")


def _votes(labels: pl.DataFrame) -> pl.DataFrame:
    """What reviewers said of each answer: whether more accept it than reject it, and how many say the same."""
    value = pl.col("value").str.to_lowercase().str.strip_chars()
    cast = labels.filter(pl.col("status") == "submitted", pl.col("question") == "answer").with_columns(
        good=value.is_in(ACCEPT_WORDS), bad=value.is_in(REJECT_WORDS)
    )
    right, wrong = pl.col("good").sum(), pl.col("bad").sum()
    return cast.group_by("interaction_id").agg(
        label_accepts=pl.when(right != wrong).then(right > wrong),
        label_agreement=pl.when(right + wrong > 0).then(pl.max_horizontal(right, wrong) / (right + wrong)),
    )


def _of_pairs(workspace: Workspace, rows: pl.DataFrame, judged: pl.DataFrame, allowed: Allowed) -> pl.DataFrame:
    """What is believed of pairs: of answers that won and lost, that the one is good and the other is not.

    A row may stand for several pairs of the same words: the best of them counts, for one of them was let through.
    """
    outcome = pl.coalesce("label_accepts", "outcome")
    answers = judged.select("interaction_id", "label_accepts", outcome=outcome, belief=good(judged, allowed))
    each = rows.select("row_id", interaction_id="signal_ids").explode("interaction_id", empty_as_null=False)
    odds = (pl.col("belief").clip(1e-9, 1 - 1e-9) / (1 - pl.col("belief").clip(1e-9, 1 - 1e-9))).log()
    sides = each.join(answers, on="interaction_id").with_columns(odds=odds).group_by("row_id")
    apart = pl.col("odds").filter("outcome").max() - pl.col("odds").filter(~pl.col("outcome")).min()
    by_people = pl.col("label_accepts").any() & (~pl.col("label_accepts")).any()
    both = sides.agg(apart=apart, by_people=by_people)
    won, edited = pl.col("rule") == "won", pl.col("rule").is_in(["labelled", "corrected"])
    return (
        rows.drop("improvement_origin")
        .join(both, on="row_id", how="left", maintain_order="left")
        .join(_origins(workspace, rows), on="row_id", how="left", maintain_order="left")
        .with_columns(
            belief=pl.when(won).then(1 / (1 + (-pl.col("apart")).exp())),
            label_accepts=pl.when(won & pl.col("by_people")).then(statement=True),
            label_agreement=pl.when(edited).then("label_agreement"),
        )
    )


def _origins(workspace: Workspace, rows: pl.DataFrame) -> pl.DataFrame:
    """Who said what a row rests on: `system` where nobody else did."""
    each = rows.select("row_id", feedback_id="feedback_ids").explode("feedback_id", empty_as_null=False)
    origins = workspace.scan("feedback").select("feedback_id", "origin").unique("feedback_id", keep="last")
    told = each.join(origins.collect(), on="feedback_id").group_by("row_id")
    by_system = (pl.col("origin") == "system").fill_null(value=False).all()
    return told.agg(improvement_origin=pl.when(by_system).then(pl.lit("system")))
