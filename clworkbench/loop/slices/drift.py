"""Drift of a workspace: the last days held against the last training set, or against the days before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import NamedTuple

import polars as pl

from clworkbench.display.html import percent
from clworkbench.display.text import short
from clworkbench.errors import EvidenceError
from clworkbench.loop.slices.slices import declared
from clworkbench.similarity.embeddings import HASHED
from clworkbench.slices import drift as slices_drift
from clworkbench.slices.drift_report import DriftReport
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import as_moment

COLUMNS = (
    "app", "environment", "source", "operation", "provider", "model", "model_version", "finish_reason", "latency_ms",
    "n_input_tokens", "n_output_tokens", "cost_usd", "confidence", "attributes", "text",
)  # fmt: skip
"""What is compared where nothing else is said; a new release is no drift."""

WINDOW = "window"
DAYS = 7
TOLD = 4
"""Parts that grew, which a selection tells."""


class _Compared(NamedTuple):
    before: pl.DataFrame
    now: pl.DataFrame
    history: pl.DataFrame | None
    title: str
    why: str | None = None


class Drifted(NamedTuple):
    """Which signals stand in what drifted.

    Attributes:
        inside: a Boolean for each signal; None where nothing drifted, or nothing can be compared.
        says: in words, what drifted, or why there is nothing.
    """

    inside: pl.Series | None
    says: str


def drift(
    workspace: Workspace,
    against: str | None = None,
    *,
    days: float = DAYS,
    columns: Sequence[str] = COLUMNS,
    model: str = HASHED,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> DriftReport:
    """What changed in the last days, what happened to outcomes there, and what to do about it.

    Against a training set, all signals of the last days count, also what it learned of them; the outcomes before are
    those of all signals from its first to its last before these days, as its own were chosen by their outcomes.

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
    compared = _windows(workspace, against, timedelta(days=days), as_of, event_time=event_time)
    return _report(workspace, compared, columns, model)


def drifted_signals(
    workspace: Workspace,
    rows: pl.DataFrame,
    against: str | None = None,
    *,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> Drifted:
    """Which signals of the last seven days stand in a slice, or a part of a column, that drifted and grew.

    Args:
        workspace: where the signals are.
        rows: the signals asked about, with their columns.
        against: as `drift` takes it.
        as_of: likewise.
        event_time: likewise.
    """
    if find_spec("evidently") is None:
        return Drifted(None, "Evidently is not installed: pip install 'clworkbench[drift]'")
    compared = _windows(workspace, against, timedelta(days=DAYS), as_of, event_time=event_time)
    report = _report(workspace, compared, COLUMNS, HASHED)
    grown = slices_drift.grown(report.parts)
    if report.why is not None or grown.is_empty():
        return Drifted(None, report.why or f"nothing drifted that an expression selects, {report.title}")
    inside = slices_drift.drifted(report, rows) & rows["interaction_id"].is_in(compared.now["interaction_id"].implode())
    told = [f"{row['part']} {percent(row['share_before'])} → {percent(row['share_now'])}" for row in grown.to_dicts()]
    more = f", and {len(told) - TOLD:,} more" if len(told) > TOLD else ""
    return Drifted(inside, f"{report.title}: {', '.join(short(one, 80) for one in told[:TOLD])}{more}")


def _windows(
    workspace: Workspace, against: str | None, length: timedelta, as_of: datetime | None, *, event_time: bool
) -> _Compared:
    as_of = None if as_of is None else as_moment(as_of)
    found = workspace.signals(as_of=as_of, event_time=event_time)
    signals = found.drop_nulls("started_at")
    if signals.is_empty() and not found.is_empty():
        why = f"not enough data: no signal of {found.height:,} has a time, so that none is older than another"
        return _Compared(signals, signals, None, "drift", why)
    last = signals["started_at"].max()
    end = as_of or (last + timedelta(microseconds=1) if isinstance(last, datetime) else None)
    if against is None:
        against = newest_set(workspace, as_of, event_time=event_time) or WINDOW
    return _compared(workspace, signals, against, end, length)


def _report(workspace: Workspace, compared: _Compared, columns: Sequence[str], model: str) -> DriftReport:
    report = slices_drift.drift(
        compared.before, compared.now, columns=columns, salt=workspace.pseudonyms.id("drift"),
        slices=declared(workspace), model=model, history=compared.history, title=compared.title,
    )  # fmt: skip
    return report if compared.why is None else replace(report, why=compared.why)


def _compared(
    workspace: Workspace, signals: pl.DataFrame, against: str, end: datetime | None, length: timedelta
) -> _Compared:
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
    return _Compared(before, now, history, f"{until} against training set {name}")


def newest_set(workspace: Workspace, as_of: datetime | None, *, event_time: bool = False) -> str | None:
    """The training set made last of what was known by then; a later one is none's to know."""
    sets = workspace.catalog.artefacts("training_set")
    if as_of is not None:
        when = "as_of" if event_time else "created"
        sets = [one for one in sets if (at := one.get(when)) is None or as_moment(str(at)) <= as_of]
    return str(sets[-1]["id"]) if sets else None


def _learned(workspace: Workspace, name: str) -> pl.Series:
    """The signals that a training set learns from."""
    rows = workspace.rows(str(workspace.find("training_set", name)["id"]))
    return rows.filter(pl.col("split") == "train")["signal_ids"].explode().drop_nulls().unique()
