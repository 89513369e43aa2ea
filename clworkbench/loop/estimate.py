"""Rates over all signals that a selection drew from, from what people said of its candidates."""

from datetime import datetime

import polars as pl

from clworkbench.candidates.estimate import Estimate
from clworkbench.candidates.estimate import estimated as estimate
from clworkbench.errors import EvidenceError
from clworkbench.labels.coded import comparable
from clworkbench.loop.agreement import decided
from clworkbench.schemas import ASKED
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import Batch, as_moment

ANSWER, ACCEPT, CHANGED = "answer", "accept", "changed"


def estimated(
    workspace: Workspace,
    value: str = ACCEPT,
    *,
    question: str = ANSWER,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> Estimate:
    """In what share of the signals people would have said this, had they been asked about all.

    Candidates are chosen for reasons: the share among them is not that among the signals. Here each counts by the
    inverse of its chance of being drawn. The newest selection with an answer is taken, and what the estimate is of are
    the signals that it was drawn from: once for all that say the same, and without those of earlier selections.

    Args:
        workspace: where candidates and labels are.
        value: what people say: `accept`, `reject`, one of the options of a choice, a rating.
        question: to which question; an answer that was only corrected counts as not accepted.
        as_of: only what was known by then; all when None.
        event_time: goes by the answers' own dates, not by when they were committed.

    Raises:
        EvidenceError: nothing was selected, or nobody ever said this.
    """
    as_of = None if as_of is None else as_moment(as_of)
    said = _said(workspace, question, as_of, event_time=event_time)
    batch, candidates = _selection(workspace, said, as_of)
    there = sorted(said["said"].unique())
    if there and value not in (*there, ACCEPT, "reject"):
        raise EvidenceError(f"nobody said {value!r} to {question!r}. What was said: {', '.join(there[:12])}.")
    rows = candidates.join(said, on="interaction_id", how="left", maintain_order="left")
    return estimate(rows, pl.col("said") == value, says=f"{question} = {value}", about=_about(batch))


def _said(workspace: Workspace, question: str, as_of: datetime | None, *, event_time: bool) -> pl.DataFrame:
    """What counts of what was said of each signal: `interaction_id`, `said`."""
    labels = decided(workspace, as_of=as_of, event_time=event_time).labels.filter(pl.col("status") == "submitted")
    heard = comparable(labels.with_columns(set=pl.col("source")), pl.DataFrame(schema=ASKED))
    told = heard.filter(pl.col("question") == question).select("interaction_id", "said").unique("interaction_id")
    if question != ANSWER:
        return told
    better = labels.filter(pl.col("improvement").is_not_null(), ~pl.col("equals_suggestion").fill_null(value=False))
    corrected = better.select("interaction_id", said=pl.lit(CHANGED)).unique()
    return pl.concat([told, corrected.join(told, on="interaction_id", how="anti")])


def _selection(workspace: Workspace, said: pl.DataFrame, as_of: datetime | None) -> tuple[Batch, pl.DataFrame]:
    """The newest selection with an answer, else the newest, with its candidates."""
    drawn = [
        batch
        for batch in reversed(workspace.catalog.batches(kind="select"))
        if "inputs" in batch.detail and (as_of is None or as_moment(str(batch.detail["as_of"])) <= as_of)
    ]
    if not drawn:
        raise EvidenceError("nothing was selected yet. `clw select` draws candidates; then have them labelled.")
    rows = workspace.read("candidates")
    answered = rows.join(said, on="interaction_id", how="semi")["batch_id"].unique().to_list()
    batch = next((one for one in drawn if one.batch_id in answered), drawn[0])
    return batch, rows.filter(pl.col("batch_id") == batch.batch_id)


def _about(batch: Batch) -> str:
    """Which selection, and which signals it did not draw from."""
    out = batch.detail.get("taken_out")
    out = out if isinstance(out, dict) else {}
    left = ", ".join(f"{n:,} {str(why).replace('_', ' ')}" for why, n in out.items() if n)
    known = str(batch.detail["as_of"])[:16].replace("T", " ")
    return f"Selection of {known} UTC; not drawn from: {left or 'nothing'}."
