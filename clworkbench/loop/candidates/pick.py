"""Candidates by hand: signals that somebody chose, beside those that a selection draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from clworkbench.errors import LabelError
from clworkbench.loop.candidates.evidence import known
from clworkbench.loop.data import WAIT_S
from clworkbench.schemas import TimestampUtc
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now
from clworkbench.workspace.folder import stable_id

BY_HAND = "by_hand"
"""The reason and the stratum of what somebody chose."""


@dataclass(frozen=True)
class Picked:
    """What became of signals that somebody chose.

    Attributes:
        new: how many are candidates now.
        known: how many were candidates or labelled before.
        kept_out: how many the policy keeps out.
    """

    new: int
    known: int
    kept_out: int

    def __repr__(self) -> str:
        out = f", {self.kept_out:,} kept out by the policy" if self.kept_out else ""
        return f"Picked({self.new:,} new candidates, {self.known:,} known{out})"


def pick(workspace: Workspace, ids: Sequence[str]) -> Picked:
    """Makes candidates of signals, with the reason `by_hand`.

    Nobody knows the chance with which somebody chooses a signal: their `inclusion_probability` is null, and they count
    in no estimate over all signals. What is a candidate or labelled already stays as it is.

    Args:
        workspace: whose signals.
        ids: their `interaction_id`.

    Raises:
        LabelError: one of them is no signal.
    """
    wanted = pl.Series("interaction_id", list(dict.fromkeys(ids)), dtype=pl.String)
    with workspace.lease("select", "pick", wait_s=WAIT_S):
        workspace.sweep("select")
        there = wanted.is_in(workspace.signals()["interaction_id"].implode())
        if not there.all():
            unknown = wanted.filter(~there)
            raise LabelError(f"pick: no signal {unknown[0]!r} ({len(unknown):,} of {len(wanted):,} are not there).")
        usable = known(workspace, as_of=None, event_time=False).rows.select("interaction_id", "labelled")
        allowed = wanted.to_frame().join(usable, on="interaction_id", how="inner", maintain_order="left")
        before = workspace.read("candidates").select("interaction_id")
        fresh = allowed.filter(~pl.col("labelled")).join(before, on="interaction_id", how="anti", maintain_order="left")
        if fresh.height:
            _keep(workspace, fresh["interaction_id"])
    return Picked(fresh.height, allowed.height - fresh.height, len(wanted) - allowed.height)


def _keep(workspace: Workspace, ids: pl.Series) -> None:
    moment = now()
    rows = ids.to_frame().select(
        pl.Series("candidate_id", [workspace.pseudonyms.id("candidate", each, BY_HAND) for each in ids]),
        "interaction_id",
        reasons=pl.lit([BY_HAND], pl.List(pl.String)),
        priority=1 - pl.int_range(pl.len()) / pl.len(),
        inclusion_probability=pl.lit(None, pl.Float64),
        as_of=pl.lit(moment, TimestampUtc),
        stratum=pl.lit(BY_HAND),
    )
    batch_id = stable_id("select", rows["candidate_id"].sort().to_list())
    detail = {"as_of": moment.isoformat(), "by_reason": {BY_HAND: rows.height}}
    workspace.write_batch(batch_id, "select", {"candidates": rows}, detail=detail)
