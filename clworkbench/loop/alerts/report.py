"""What a call of `clw alert` found and told: a result for a notebook, a terminal and a script."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.display.text import visible
from clworkbench.loop.alerts.alert import Alert, Message
from clworkbench.loop.alerts.rates import moment_said
from clworkbench.schemas import TimestampUtc

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FRAME = pl.Schema(
    {
        "rule": pl.String(),
        "watches": pl.String(),
        "slice": pl.String(),
        "severity": pl.String(),
        "state": pl.String(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "says": pl.String(),
        "since": TimestampUtc,
    }
)

SERIES = pl.Schema(
    {
        "rule": pl.String(),
        "day": TimestampUtc,
        "n": pl.Int64(),
        "rate": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "above": pl.Float64(),
    }
)


class Sent(NamedTuple):
    """A message, and the place that it went to, or would go to."""

    sink: str
    message: Message

    def as_dict(self) -> dict[str, object]:
        """As plain values."""
        return {"rule": self.message.alert.rule, "kind": self.message.kind, "sink": self.sink}


class Quiet(NamedTuple):
    """An alert that a place was told, and until when it is not told again."""

    rule: str
    sink: str
    until: datetime


class Failed(NamedTuple):
    """A message that did not get to its place: it is still owed, and the next call tries again."""

    rule: str
    sink: str
    why: str


@dataclass(frozen=True, eq=False)
class Alerts:
    """What stands now, and what was told of it.

    Attributes:
        alerts: what stands, in the order of the rules.
        frame: one row for each rule: `rule`, `watches`, `slice`, `severity`, `state` (`stands`, `between`: not shown
            and not gone either; `clear`, `not enough data`, `cannot be asked`), `value` and `low` (in the rule's unit),
            `says`, `since` (null where it does not stand).
        sent: what was told, and where; of a call that sends nothing, what would be.
        quiet: what was told before, and is not said again yet.
        resolved: what stood and does no longer, as found by this call.
        failed: what did not get to its place.
        series: of the rules on rates a row for each day: `rule`, `day` (UTC), `n`, `rate`, `low`, `high`, `above`.
        sends: whether this call sends.
    """

    alerts: tuple[Alert, ...]
    frame: pl.DataFrame
    sent: tuple[Sent, ...] = ()
    quiet: tuple[Quiet, ...] = ()
    resolved: tuple[Alert, ...] = ()
    failed: tuple[Failed, ...] = ()
    series: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SERIES))
    sends: bool = False

    @property
    def is_well(self) -> bool:
        """Whether nothing stands, and every rule could be asked."""
        return not self.alerts and "cannot be asked" not in self.frame["state"]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw alert --json`."""
        return {
            "alerts": [alert.as_dict() for alert in self.alerts],
            "sent": [sent.as_dict() for sent in self.sent],
            "quiet": [each._asdict() | {"until": each.until.isoformat()} for each in self.quiet],
            "resolved": [alert.as_dict() for alert in self.resolved],
            "failed": [each._asdict() for each in self.failed],
            "rules": self.frame.select("rule", "watches", "state", "says").to_dicts(),
        }

    def lines(self, *, but: Collection[str] = ()) -> list[str]:
        """For a terminal: each rule (`but` those) and what it found, and who hears of it."""
        if self.frame.is_empty():
            return ["No rules: declare some in [alerts.rules] of clw.toml."]
        told = [
            visible(f"{row['state']:<15} {row['rule']}: {row['says']}")
            for row in self.frame.to_dicts()
            if row["rule"] not in but
        ]
        verb = "sent to" if self.sends else "would be sent to"
        told += [f"{sent.message.head}: {verb} {sent.sink}" for sent in self.sent]
        told += [f"{each.rule}: {each.sink} was told; quiet until {moment_said(each.until)}" for each in self.quiet]
        return told

    def __repr__(self) -> str:
        standing = ", ".join(alert.rule for alert in self.alerts) or "none stands"
        return f"Alerts({self.frame.height} rules: {standing}; {len(self.sent)} sent, {len(self.failed)} failed)"

    def _repr_html_(self) -> str:
        titles = ("rule", "state", "severity", "since", "what")
        rows = [
            (
                row["rule"],
                row["state"],
                row["severity"],
                moment_said(row["since"]) if row["since"] else None,
                row["says"],
            )
            for row in self.frame.iter_rows(named=True)
        ]
        return html_table(titles, rows, caption=f"{len(self.alerts)} of {self.frame.height} rules stand")

    def plot(self) -> "Figure":
        """The rates that rules look at, by day, with their intervals and thresholds."""
        from clworkbench.display.alerts_figure import alerts_figure

        return alerts_figure(self.series, standing=[alert.rule for alert in self.alerts])
