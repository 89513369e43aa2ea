"""Admission: what of the records that were read may enter the tables, and what was replaced in it."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from clworkbench.policy.exclusion import excluded
from clworkbench.policy.redaction import redact
from clworkbench.settings import ExclusionRule
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


def at_ingest(workspace: Workspace) -> tuple[ExclusionRule, ...]:
    """The exclusion rules that keep records out of the tables."""
    return tuple(rule for rule in workspace.settings.policy.exclude if rule.at == "ingest")


def admit(workspace: Workspace, chunk: Chunk) -> Admitted:
    """Takes out what a rule excludes, redacts the rest, and takes out what was forgotten.

    Rules see the records as they were sent. Feedback on an excluded interaction is refused with it, also when it comes
    later. A record counts as skipped when none of its rows is left.
    """
    interactions, feedback, reasons = _excluded(workspace, chunk)
    frames = {"interactions": interactions, "feedback": feedback}
    redacted = Counter[str]()
    if workspace.settings.policy.redaction != "off":
        for table, frame in frames.items():
            frames[table], found = redact(frame, workspace.pseudonyms)
            redacted.update(found)
    for table, frame in frames.items():
        frames[table], gone = workspace.without_forgotten(table, frame)
        reasons.append(gone.select("record", reason=pl.lit(FORGOTTEN)))
    left = pl.concat([frame.select("record") for frame in frames.values()])
    refused = pl.concat(reasons).unique("record", keep="first", maintain_order=True).join(left, on="record", how="anti")
    skipped = Counter(chunk.skipped) + Counter(refused["reason"].to_list())
    kept = {**frames, "quarantine": chunk.quarantine}
    return Admitted(
        kept,
        replace(chunk, skipped=dict(skipped), interactions=frames["interactions"], feedback=frames["feedback"]),
        dict(redacted),
    )


def _excluded(workspace: Workspace, chunk: Chunk) -> tuple[pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """Interactions and feedback that no rule excludes, and by record the reasons for the others."""
    none = pl.DataFrame(schema={"record": chunk.interactions.schema["record"], "reason": pl.String})
    rules = at_ingest(workspace)
    if not rules and not workspace.catalog.refused():
        return chunk.interactions, chunk.feedback, [none]
    marked = chunk.interactions.with_columns(excluded(chunk.interactions, rules, {}))
    out = marked.drop_nulls("excluded_by")
    kept = marked.filter(pl.col("excluded_by").is_null()).drop("excluded_by")
    workspace.catalog.refuse(out["interaction_id"], admitted=kept["interaction_id"])
    about = pl.Series("target_id", list(workspace.catalog.refused()), dtype=pl.String)
    on_excluded = chunk.feedback["target_id"].is_in(about.implode()).fill_null(value=False)
    reasons = [
        out.select("record", reason=pl.format("excluded by {}", "excluded_by")),
        chunk.feedback.filter(on_excluded).select("record", reason=pl.lit(ABOUT_EXCLUDED)),
    ]
    return kept, chunk.feedback.filter(~on_excluded), [none, *reasons]
