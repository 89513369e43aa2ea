"""What a rule of `[alerts]` finds, and what rules know of a workspace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

import polars as pl

from clworkbench.loop.slices.drift import drift
from clworkbench.settings.alerts import NEWEST
from clworkbench.slices.drift_report import DriftReport
from clworkbench.workspace import Workspace

State = Literal["stands", "between", "clear", "not enough data", "cannot be asked"]
"""`between`: not shown, and not gone either: what stood goes on standing then, and what did not does not begin."""


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        state: whether it stands.
        says: in words, with n and interval; no text of production, no id, no expression.
        value: what is held against the rule's threshold, in its unit; None where it cannot be told.
        low: the least that it may be; the value itself where that is counted and not estimated.
        figures: what is behind it, plain values.
        since: when it began, where the data tell.
        days: of a rate, `Rates.days`.
    """

    state: State
    says: str
    value: float | None = None
    low: float | None = None
    figures: Mapping[str, object] = field(default_factory=dict)
    since: datetime | None = None
    days: pl.DataFrame | None = None


@dataclass(frozen=True)
class Known:
    """A workspace as known at a time; what several rules look at is read once."""

    workspace: Workspace
    at: datetime
    event_time: bool
    reports: dict[tuple[str, float], DriftReport] = field(default_factory=dict, repr=False)

    def drifted(self, against: str, days: float) -> DriftReport:
        """What drifted: as `loop.drift.drift`.

        Raises:
            ClwError: there is no such training set, or Evidently is not installed.
        """
        if (against, days) not in self.reports:
            named = None if against == NEWEST else against
            found = drift(self.workspace, named, days=days, as_of=self.at, event_time=self.event_time)
            self.reports[against, days] = found
        return self.reports[against, days]

    @cached_property
    def signals(self) -> pl.DataFrame:
        """The signals that have a date."""
        found = self.workspace.signals(as_of=self.at, event_time=self.event_time)
        return found.drop_nulls("started_at").filter(pl.col("started_at") <= self.at)

    def read_until(self, source: str) -> datetime | None:
        """The latest event of a source, or how far it is said to have been read."""
        committed_by = None if self.event_time else self.at
        interactions, feedback = (
            self.workspace.scan(table, as_of=committed_by)
            .filter(pl.col("source") == source, pl.col(date) <= self.at)
            .select("source", date)
            .collect()
            for table, date in (("interactions", "started_at"), ("feedback", "at"))
        )
        mark = self.workspace.watermarks(interactions, feedback, as_of=committed_by).get(source)
        return None if mark is None else min(mark, self.at)


def percent_said(share: float) -> str:
    """A share, a threshold among them, with the digits that it has."""
    return f"{100 * share:.3g}%"
