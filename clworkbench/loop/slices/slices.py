"""Slices of a workspace: their rates, where the model does worst, and a new one in clw.toml."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import polars as pl

from clworkbench import expressions
from clworkbench.errors import SettingsError
from clworkbench.files import write_atomically
from clworkbench.loop.slices.topics import topics as topics_of
from clworkbench.releases.protocol import RESERVED
from clworkbench.settings import parse_settings
from clworkbench.settings.editing import with_slice
from clworkbench.signals.outcomes import in_conflict
from clworkbench.signals.view import no_signals
from clworkbench.slices import slice as slice_
from clworkbench.slices.discover import discover as find
from clworkbench.slices.found import Discovery
from clworkbench.slices.keys import Every
from clworkbench.slices.rates import SliceReport, rates
from clworkbench.slices.slice import Slice
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import as_moment

BY = (
    "app", "environment", "source", "operation", "provider", "model", "model_version", "release_id", "finish_reason",
    "latency_ms", "n_input_tokens", "n_output_tokens", "cost_usd", "confidence", "started_at", "attributes", "text",
)  # fmt: skip
"""What slices are made of where nothing else is said: what is known before an outcome is."""


def declared(workspace: Workspace) -> tuple[Slice, ...]:
    """The slices that clw.toml declares, in order."""
    return tuple(Slice(name, text) for name, text in workspace.settings.slices.items())


def declared_as(workspace: Workspace, name: str) -> Slice:
    """One of them.

    Raises:
        SettingsError: clw.toml has no such slice.
    """
    return slice_.named(workspace.settings.slices, name, where=str(workspace.folder / "clw.toml"))


def slice_names(workspace: Workspace, signals: pl.DataFrame) -> pl.Series:
    """The names of the slices that each signal is in (list of text): the one way in which anything asks.

    Raises:
        ExpressionError: a slice cannot be read, or fails on these rows.
    """
    return slice_.names(signals, declared(workspace))


def with_slices(workspace: Workspace, suite: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Slice, ...]]:
    """A suite's examples with the slices of clw.toml that they are in as well, and the slices that were asked.

    An example is in a slice where one of the signals that it came from (`signal_ids`) is; one that came from none is in
    those that its file names.

    Args:
        workspace: whose slices and signals.
        suite: `schemas.SUITE`.

    Raises:
        ExpressionError: a slice cannot be read, or fails on these signals.
    """
    ones = tuple(one for one in declared(workspace) if one.name not in RESERVED)
    came = suite.select("example_id", interaction_id="signal_ids").explode("interaction_id", empty_as_null=False)
    if not ones or came.is_empty():
        return suite, ()
    signals = workspace.signals().join(came, on="interaction_id", how="semi")
    held = signals.select("interaction_id", held=slice_.names(signals, ones))
    by_example = came.join(held, on="interaction_id").group_by("example_id").agg(pl.col("held").explode())
    both = suite.join(by_example, on="example_id", how="left", maintain_order="left").with_columns(
        slices=pl.concat_list("slices", pl.col("held").fill_null([])).list.drop_nulls().list.unique(maintain_order=True)
    )
    return both.select(suite.columns), ones


def slices(
    workspace: Workspace,
    by: str | Sequence[str] = (),
    *,
    every: Every | None = None,
    slice: str | None = None,
    event: str = "outcome",
    as_of: datetime | None = None,
    event_time: bool = False,
) -> SliceReport:
    """Share of settled signals with a good outcome, by columns, by time, or by the slices of clw.toml.

    Args:
        workspace: where the signals are.
        by: up to three columns or attributes, as `slices.keys.keys` takes them; without any, and without `every`, a row
            for each slice of clw.toml and one for all signals.
        every: also by hour, day, week or month (UTC).
        slice: only the signals of one of `[slices]`.
        event: what is counted: a Boolean expression; where it is null, a signal is pending.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        SettingsError: clw.toml has no such slice.
        ExpressionError: a column is not there or makes no groups, or the event is no Boolean.
    """
    names = [by] if isinstance(by, str) else list(by)
    found = workspace.signals(as_of=as_of, event_time=event_time)
    place = "Signals"
    if slice is not None:
        part = declared_as(workspace, slice)
        found, place = found.filter(part.holds(found)), f"{part}: signals"
    happened = expressions.truth(found, event, where="event")
    title = f"{place} with a good outcome" if event == "outcome" else f"{place} where {event}"
    rate = "good" if event == "outcome" else "share"
    counts = int(happened.count()), happened.null_count()
    committed = workspace.scan("interactions", as_of=None if event_time else as_of)
    notes = (*_conflicts(workspace, found, event), *no_signals(committed, None if as_of is None else as_moment(as_of)))
    if names or every is not None:
        columns = (*([every] if every else []), *names)
        frame = rates(found, *names, event=pl.lit(happened), every=every)
        return SliceReport(frame, columns, f"{title} by {', '.join(columns)}", rate=rate, counts=counts, notes=notes)
    parts = {"all": happened} | {str(one): happened.filter(one.holds(found)) for one in declared(workspace)}
    each = [
        rates(part.to_frame(), event=pl.col(part.name)).select(pl.lit(name).alias("slice"), pl.all())
        for name, part in parts.items()
    ]
    return SliceReport(pl.concat(each), ("slice",), f"{title} by slice", rate=rate, counts=counts, notes=notes)


def _conflicts(workspace: Workspace, signals: pl.DataFrame, looked_at: str) -> tuple[str, ...]:
    """Whose verdict decides where outcome rules disagree, where the outcome is what is looked at."""
    said = in_conflict(signals, workspace.settings.outcomes) if looked_at == "outcome" else None
    return (said,) if said else ()


def discover(
    workspace: Workspace,
    target: str = "outcome",
    *,
    by: Sequence[str] | None = None,
    slice: str | None = None,
    worst: Literal["low", "high"] = "low",
    support: float = 0.01,
    topics: bool = False,
    beside: pl.DataFrame | None = None,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> Discovery:
    """Where the model does worst: conjunctions of up to three conditions, searched on one half, tested on the other.

    Args:
        workspace: where the signals are.
        target: a Boolean column (an outcome), or a score.
        by: columns that slices may be made of; `BY` when None. `attributes` stands for those with few values or with a
            frequent one, `text` for words that tell bad signals from others.
        slice: only within one of `[slices]`.
        worst: which end of the target is bad.
        support: the least share of settled signals that a slice has.
        topics: whether the clusters of the signals' texts are looked at as well, as `topic`. No expression can select
            one: `by=["text"]` finds words that can.
        beside: more columns by `interaction_id`; they are looked at as well.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        SettingsError: clw.toml has no such slice.
        ExpressionError: a column is not there, or the target is neither a Boolean nor a number.
    """
    found = workspace.signals(as_of=as_of, event_time=event_time)
    if slice is not None:
        found = found.filter(declared_as(workspace, slice).holds(found))
    more = [] if beside is None else [name for name in beside.columns if name != "interaction_id"]
    if beside is not None:
        found = found.join(beside, on="interaction_id", how="left", maintain_order="left")
    if topics:
        found, more = found.with_columns(topics_of(found["text"])), [*more, "topic"]
    salt = workspace.pseudonyms.id("discover")
    columns = [name for name in BY if name != target] if by is None else by
    discovery = find(found, target, by=[*columns, *more], salt=salt, worst=worst, support=support)
    return replace(discovery, notes=_conflicts(workspace, found, target))


def save(workspace: Workspace, name: str, expression: str, *, replace: bool = False) -> Slice:
    """Write a slice into `[slices]` of clw.toml, whose other lines stay as they are.

    Args:
        workspace: whose clw.toml it is.
        name: letters, digits, `-` and `_`.
        expression: SQL over a signal's columns.
        replace: whether a slice of that name may get another expression.

    Raises:
        ExpressionError: it is no expression over the signals' columns, or gives no truth value.
        SettingsError: the name is taken or none, or clw.toml cannot be edited safely.
    """
    if name in RESERVED:
        raise SettingsError(f"slice {name!r}: gates use that name themselves. Choose another.")
    slice_made = Slice(name, expression.strip())
    signals = workspace.signals()
    if name in signals.columns:
        raise SettingsError(f"slice {name!r}: signals have a column of that name. Choose another.")
    slice_made.holds(signals)
    path = (workspace.folder / "clw.toml").resolve()
    with workspace.lease("settings", "slice save", wait_s=10):
        before = path.read_bytes()
        try:
            text = with_slice(before.decode(), name, slice_made.expression, place=str(path), replace=replace)
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path}: not UTF-8 text at byte {error.start}. Save it as UTF-8.") from error
        if text.encode() != before:
            parse_settings(text, str(path))
            _write(path, text, before)
    return slice_made


def _write(path: Path, text: str, before: bytes) -> None:
    """Puts the new text in the file's place, unless somebody edited the file meanwhile."""
    mode = path.stat().st_mode
    if path.read_bytes() != before:
        raise SettingsError(f"{path}: it was edited just now. Save your edits, then try again.")
    write_atomically(path, text)
    path.chmod(mode)
