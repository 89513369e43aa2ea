"""Rates over all signals that a selection drew from, from what people said of its candidates."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from clworkbench.candidates.estimate import Estimate
from clworkbench.candidates.estimate import estimated as estimate
from clworkbench.display.text import short
from clworkbench.errors import EvidenceError
from clworkbench.labels.coded import KINDS, comparable
from clworkbench.loop.labels.agreement import decided
from clworkbench.schemas import ASKED
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import Batch, as_moment

ANSWER, ACCEPT, CHANGED = "answer", "accept", "changed"

NAMED = 5
"""Most other selections that are named."""


def estimated(
    workspace: Workspace,
    value: str = ACCEPT,
    *,
    question: str = ANSWER,
    selection: str | None = None,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> Estimate:
    """In what share of the signals people would have said this, had they been asked about all.

    Candidates are chosen for reasons: the share among them is not that among the signals. Here each counts by the
    inverse of its chance of being drawn. The selection of whose candidates the largest share has an answer is taken (of
    several alike the newest), and what the estimate is of are the signals that it was drawn from: once for all that say
    the same, and without those of earlier selections.

    Args:
        workspace: where candidates and labels are.
        value: what people say: `accept`, `reject`, one of the options of a choice, a rating.
        question: to which question; an answer that was only corrected counts as not accepted.
        selection: the id of another selection to take, as `about` shows it.
        as_of: only what was known by then; all when None.
        event_time: goes by the answers' own dates, not by when they were committed.

    Raises:
        EvidenceError: nothing was selected, there is no such question or selection, or nobody ever said this.
    """
    as_of = None if as_of is None else as_moment(as_of)
    said = _said(workspace, question, as_of, event_time=event_time)
    drawn = _selections(workspace, said, as_of)
    taken = _taken(drawn, selection)
    there = sorted(said["said"].unique())
    if there and value not in (*there, *((ACCEPT, "reject") if question == ANSWER else ())):
        raise EvidenceError(f"nobody said {value!r} to {question!r}. What was said: {', '.join(there[:12])}.")
    about = _about(taken, drawn, chosen=selection is None)
    return estimate(taken.rows, pl.col("said") == value, says=f"{question} = {value}", about=about)


def _said(workspace: Workspace, question: str, as_of: datetime | None, *, event_time: bool) -> pl.DataFrame:
    """What counts of what was said of each signal: `interaction_id`, `said`."""
    labels = decided(workspace, as_of=as_of, event_time=event_time).labels.filter(pl.col("status") == "submitted")
    heard = comparable(labels.with_columns(set=pl.col("source")), pl.DataFrame(schema=ASKED))
    if question not in (known := sorted({*KINDS, *labels["question"]})):
        raise EvidenceError(f"no question {short(question, 60)!r}. There are {', '.join(known[:20])}.")
    told = heard.filter(pl.col("question") == question).select("interaction_id", "said").unique("interaction_id")
    if question != ANSWER:
        return told
    better = labels.filter(pl.col("improvement").is_not_null(), ~pl.col("equals_suggestion").fill_null(value=False))
    corrected = better.select("interaction_id", said=pl.lit(CHANGED)).unique()
    return pl.concat([told, corrected.join(told, on="interaction_id", how="anti")])


@dataclass(frozen=True)
class Drawn:
    """One selection: its candidates with `said`, and how many of those drawn by chance have an answer."""

    batch: Batch
    rows: pl.DataFrame
    candidates: int
    answered: int

    @property
    def share(self) -> float:
        """Of its candidates, those with an answer (0 to 1)."""
        return self.answered / self.candidates if self.candidates else 0.0

    def __str__(self) -> str:
        return f"{self.batch.batch_id} ({self.answered:,} of {self.candidates:,} candidates have an answer)"


def _selections(workspace: Workspace, said: pl.DataFrame, as_of: datetime | None) -> list[Drawn]:
    """The selections, the newest first."""
    batches = [
        batch
        for batch in reversed(workspace.catalog.batches(kind="select"))
        if "inputs" in batch.detail and (as_of is None or as_moment(str(batch.detail["as_of"])) <= as_of)
    ]
    if not batches:
        raise EvidenceError("nothing was selected yet. `clw select` draws candidates; then have them labelled.")
    rows = workspace.read("candidates").join(said, on="interaction_id", how="left", maintain_order="left")
    parts = {batch.batch_id: rows.filter(pl.col("batch_id") == batch.batch_id) for batch in batches}
    by_chance = {name: part.drop_nulls("inclusion_probability")["said"] for name, part in parts.items()}
    return [
        Drawn(batch, parts[batch.batch_id], len(heard), heard.count())
        for batch, heard in zip(batches, by_chance.values(), strict=True)
    ]


def _taken(drawn: list[Drawn], wanted: str | None) -> Drawn:
    """The one that was asked for by its id, else the one of which most is known."""
    if wanted is None:
        return max(drawn, key=lambda each: each.share)
    found = [each for each in drawn if each.batch.batch_id.startswith(wanted)]
    if wanted and len(found) == 1:
        return found[0]
    there = "; ".join(str(each) for each in drawn[:NAMED])
    raise EvidenceError(f"no selection {short(wanted, 60)!r}, or more than one. The newest are {there}.")


def _about(taken: Drawn, drawn: list[Drawn], *, chosen: bool) -> str:
    """Which selection, why this one, and which signals it did not draw from."""
    out = taken.batch.detail.get("taken_out")
    out = out if isinstance(out, dict) else {}
    left = ", ".join(f"{n:,} {str(why).replace('_', ' ')}" for why, n in out.items() if n)
    known = str(taken.batch.detail["as_of"])[:16].replace("T", " ")
    others = [each for each in drawn if each is not taken]
    more = f"; and {len(others) - NAMED:,} older" if len(others) > NAMED else ""
    shown = "; ".join(str(each) for each in others[:NAMED]) + more
    why = f" Taken because the largest share of it has an answer; others: {shown}." if chosen and others else ""
    return f"Selection {taken}, of {known} UTC; not drawn from: {left or 'nothing'}.{why}"
