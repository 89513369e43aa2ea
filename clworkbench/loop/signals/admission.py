"""Admission: what of the records that were read may enter the tables, and what was replaced in it."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from clworkbench.policy.exclusion import excluded
from clworkbench.signals.reading import Chunk
from clworkbench.workspace import Workspace

FORGOTTEN = "forgotten"
ABOUT_EXCLUDED = "feedback on an excluded record"


class Admitted(NamedTuple):
    """What may enter the tables.

    Attributes:
        frames: rows by table.
        chunk: the chunk with what was refused counted as skipped, by reason.
        redacted: values replaced, by kind.
    """

    frames: dict[str, pl.DataFrame]
    chunk: Chunk
    redacted: dict[str, int]


def admit(workspace: Workspace, chunk: Chunk, *, noting: bool = True) -> Admitted:
    """Takes out what a rule excludes, redacts the rest, and takes out what was forgotten.

    Rules see the records as they were sent. Feedback on an excluded interaction is refused with it, also when it comes
    later. A record counts as skipped when none of its rows is left.

    Args:
        workspace: whose policy.
        chunk: what was read.
        noting: whether the catalog notes what is refused; without it nothing is written, and what was forgotten stays.
    """
    interactions, feedback, reasons = _excluded(workspace, chunk, noting=noting)
    frames = {"interactions": interactions, "feedback": feedback}
    redacted = Counter[str]()
    fidelity = chunk.fidelity
    if workspace.settings.policy.redaction != "off":
        from clworkbench.policy.redaction import redact, redact_text

        for table, frame in frames.items():
            frames[table], found = redact(frame, workspace.pseudonyms)
            redacted.update(found)
        examples = redact_text(pl.Series([lost.example for lost in fidelity], dtype=pl.String), workspace.pseudonyms)
        fidelity = [lost._replace(example=example) for lost, example in zip(fidelity, examples, strict=True)]
    if noting:
        for table, frame in frames.items():
            frames[table], gone = workspace.without_forgotten(table, frame)
            reasons.append(gone.select("record", reason=pl.lit(FORGOTTEN)))
    left = pl.concat([frame.select("record") for frame in frames.values()])
    refused = pl.concat(reasons).unique("record", keep="first", maintain_order=True).join(left, on="record", how="anti")
    skipped = dict(Counter(chunk.skipped) + Counter(refused["reason"].to_list()))
    read = replace(
        chunk,
        skipped=skipped,
        fidelity=fidelity,
        interactions=frames["interactions"],
        feedback=frames["feedback"],
    )
    return Admitted({**frames, "quarantine": chunk.quarantine}, read, dict(redacted))


def _excluded(
    workspace: Workspace, chunk: Chunk, *, noting: bool
) -> tuple[pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """Interactions and feedback that no rule excludes, and by record the reasons for the others."""
    rules = workspace.ingest_rules
    interactions = chunk.interactions.with_columns(excluded(chunk.interactions, rules, {}))
    out = interactions.drop_nulls("excluded_by")
    kept = interactions.filter(pl.col("excluded_by").is_null()).drop("excluded_by")
    if noting and out.height:
        workspace.refuse(out["interaction_id"])
    # A condition is about interactions; where a thing came from and what it says is known of feedback as well.
    of_all = [rule for rule in rules if rule.where is None]
    marked = chunk.feedback.with_columns(excluded(chunk.feedback, of_all, {}))
    targets = chunk.feedback["target_id"].drop_nulls().unique()
    refused = {*out["interaction_id"], *workspace.refused(targets)}
    about = pl.col("target_id").is_in(pl.Series(list(refused), dtype=pl.String).implode())
    why = pl.when(about).then(pl.lit(ABOUT_EXCLUDED)).otherwise(_by_rule())
    marked = marked.with_columns(reason=why)
    reasons = [out.select("record", reason=_by_rule()), marked.drop_nulls("reason").select("record", "reason")]
    return kept, marked.filter(pl.col("reason").is_null()).drop("reason", "excluded_by"), reasons


def _by_rule() -> pl.Expr:
    return pl.format("excluded by {}", "excluded_by")
