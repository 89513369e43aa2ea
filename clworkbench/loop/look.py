"""Looking: what came in and how it ended, what was selected, and how runs learned, as results for a notebook."""

from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from clworkbench.candidates.chosen import Chosen, chosen
from clworkbench.loop.runs.train import Training
from clworkbench.loop.slices.slices import declared_as
from clworkbench.runs.losses import Losses
from clworkbench.schemas import TimestampUtc
from clworkbench.slices.keys import keys
from clworkbench.slices.rates import SliceReport, rates
from clworkbench.workspace import Workspace


def look(
    workspace: Workspace,
    slice: str | None = None,
    *,
    by: Literal["day", "week"] = "week",
    as_of: datetime | None = None,
    event_time: bool = False,
) -> SliceReport:
    """Share of settled signals with a good outcome, by day or week.

    Args:
        workspace: where the signals are.
        slice: one of `[slices]`; all signals when None.
        by: what a row is; weeks begin on Monday, days at 0:00 UTC.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Returns:
        As `slices.rates` gives it; for a slice with `share`, its part of all signals of that day or week. Marked is
        the first answer of each release after the first.

    Raises:
        SettingsError: clw.toml has no such slice.
    """
    found = workspace.signals(as_of=as_of, event_time=event_time)
    one = None if slice is None else declared_as(workspace, slice)
    inside = pl.lit(value=True) if one is None else pl.lit(one.holds(found))
    dated = found.with_columns(inside=inside).drop_nulls("started_at")
    frame = rates(dated.filter("inside"), event=pl.col("outcome"), every=by)
    if one is not None:
        shares = dated.with_columns(keys(dated, (), every=by)).group_by(by).agg(share=pl.col("inside").mean())
        frame = frame.join(shares, on=by, how="right").sort(by).with_columns(pl.col("n", "pending").fill_null(0))
    title = f"Signals with a good outcome by {by}" if one is None else f"{one}: signals with a good outcome by {by}"
    return SliceReport(frame, (by,), title, _releases(found))


def slice_of(workspace: Workspace, signals: pl.DataFrame, name: str) -> pl.Expr:
    """Which of these signals are in one of `[slices]`, in their order; null counts as outside.

    Raises:
        SettingsError: clw.toml has no such slice.
    """
    return pl.lit(declared_as(workspace, name).holds(signals))


def _releases(signals: pl.DataFrame) -> dict[str, datetime]:
    """When each release first answered, but for those that answered from the first day on."""
    first = signals.drop_nulls(["release_id", "started_at"]).group_by("release_id").agg(pl.col("started_at").min())
    dated = first.sort("started_at")
    later = dated.filter(pl.col("started_at") > pl.col("started_at").min() + timedelta(days=1))
    return {f"{name.removeprefix('release:')} serves": at for name, at in later.iter_rows()}


def selected(workspace: Workspace, *, texts: bool = False) -> Chosen:
    """All selections so far, and the candidates of the last beside their signals; `texts` shows what was said."""
    rows = []
    for batch in workspace.catalog.batches(kind="select"):
        by_reason, as_of = batch.detail["by_reason"], batch.detail["as_of"]
        assert isinstance(by_reason, dict)
        total = sum(by_reason.values())
        rows.append({"known_at": datetime.fromisoformat(str(as_of)), "candidates": total, **by_reason})
    selections = pl.DataFrame(rows) if rows else pl.DataFrame(schema={"known_at": TimestampUtc, "candidates": pl.Int64})
    return chosen(workspace.read("candidates"), workspace.signals(), selections, texts=texts)


def losses(workspace: Workspace) -> Losses:
    """The losses of all runs, in the order in which they were trained, each with what its gate said."""
    held = {str(m["challenger"]): str(m["decision"]) for m in workspace.catalog.artefacts("gate")}
    runs = [Training(manifest, 0.0) for manifest in workspace.catalog.artefacts("run")]
    runs.sort(key=lambda run: str(run.manifest["created"]))
    return Losses({f"{run.id.removeprefix('run:')} ({held.get(run.id, 'not gated')})": run.losses for run in runs})
