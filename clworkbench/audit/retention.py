"""Retention: what the policy no longer keeps."""

from datetime import datetime

import polars as pl

from clworkbench.schemas import DATES, TimestampUtc
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now


def due(workspace: Workspace, *, as_of: datetime | None = None) -> int:
    """How many rows are older than `[policy] retention` allows; 0 where it names none.

    A row's age is that of what it tells of, or of its batch where it has no date.
    """
    kept = workspace.settings.policy.retention
    if kept is None:
        return 0
    before = (as_of or now()) - kept
    batches = [(batch.batch_id, batch.committed_at) for batch in workspace.catalog.batches()]
    known = pl.LazyFrame(batches, schema={"batch_id": pl.String, "committed_at": TimestampUtc}, orient="row")
    old = [
        workspace.scan(table)
        .join(known, on="batch_id", how="left")
        .select(n=(pl.coalesce(date, "committed_at") < before).sum())
        for table, date in DATES.items()
    ]
    return int(pl.concat(old).collect(engine="streaming")["n"].sum())
