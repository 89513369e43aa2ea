"""Drift of a workspace: the last days held against the last training set, or against the days before."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.loop.slices import declared
from clworkbench.similarity.embeddings import HASHED
from clworkbench.slices import drift as slices_drift
from clworkbench.slices.drift_report import DriftReport
from clworkbench.workspace import Workspace

COLUMNS = (
    "app", "environment", "source", "operation", "provider", "model", "model_version", "finish_reason", "latency_ms",
    "n_input_tokens", "n_output_tokens", "cost_usd", "confidence", "attributes", "text",
)  # fmt: skip
"""What is compared where nothing else is said; a new release is no drift."""

WINDOW = "window"


class _Compared(NamedTuple):
    before: pl.DataFrame
    now: pl.DataFrame
    history: pl.DataFrame | None
    title: str


def drift(
    workspace: Workspace,
    against: str | None = None,
    *,
    days: float = 7,
    columns: Sequence[str] = COLUMNS,
    model: str = HASHED,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> DriftReport:
    """What changed in the last days, what happened to outcomes there, and what to do about it.

    Against a training set, the outcomes before are those of all signals from its first to its last, as its own were
    chosen by their outcomes.

    Args:
        workspace: where the signals are.
        against: `window`, the days before these; or a training set, `name` or `name@version`. When None, the newest
            training set, or `window` where there is none.
        days: how long the window that is looked at is, up to `as_of` or the last signal.
        columns: as `slices.drift.drift` takes them; the slices of clw.toml are compared as well.
        model: of the vectors of texts, as `similarity.embeddings.embed` takes it.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        ArtefactError: there is no such training set.
        EvidenceError: `days` is no length of time.
        ExpressionError: a column is not there, or a slice cannot be read.
        ClwError: Evidently is not installed.
    """
    if not 0 < days <= 36_500:
        raise EvidenceError(f"drift: a window of {days:g} days. Ask for e.g. 7.")
    signals = workspace.signals(as_of=as_of, event_time=event_time).drop_nulls("started_at")
    last = signals["started_at"].max()
    end = as_of or (last + timedelta(microseconds=1) if isinstance(last, datetime) else None)
    compared = _compared(workspace, signals, against, end, timedelta(days=days))
    return slices_drift.drift(
        compared.before, compared.now, columns=columns, salt=workspace.pseudonyms.id("drift"),
        slices=declared(workspace), model=model, history=compared.history, title=compared.title,
    )  # fmt: skip


def _compared(
    workspace: Workspace, signals: pl.DataFrame, against: str | None, end: datetime | None, length: timedelta
) -> _Compared:
    if against is None:
        sets = workspace.catalog.artefacts("training_set")
        against = str(sets[-1]["id"]) if sets else WINDOW
    ids = None if against == WINDOW else _learned(workspace, against)
    if end is None:
        return _Compared(signals, signals, None, "drift")
    at, start = pl.col("started_at"), end - length
    now = signals.filter(at >= start, at < end)
    until = f"{length / timedelta(days=1):g} days to {end:%Y-%m-%d %H:%M}"
    if ids is None:
        return _Compared(signals.filter(at >= start - length, at < start), now, None, f"{until} against those before")
    learned = pl.col("interaction_id").is_in(ids.implode())
    before = signals.filter(learned)
    dates = before["started_at"]
    history = signals.filter(at >= dates.min(), at <= dates.max(), at < start)
    name = against.removeprefix("training_set:")
    return _Compared(before, now.filter(~learned), history, f"{until} against training set {name}")


def _learned(workspace: Workspace, name: str) -> pl.Series:
    """The signals that a training set learns from."""
    rows = workspace.rows(str(workspace.find("training_set", name)["id"]))
    return rows.filter(pl.col("split") == "train")["signal_ids"].explode().drop_nulls().unique()
