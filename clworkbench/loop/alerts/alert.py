"""One alert, and how it is told: as text, as a line of JSON, and as a message that Slack takes."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

from clworkbench.display.text import short
from clworkbench.loop.alerts.rates import moment_said

Kind = Literal["alert", "again", "worse", "resolved"]
WORDS: dict[Kind, str] = {"alert": "ALERT", "again": "STILL", "worse": "WORSE", "resolved": "RESOLVED"}

LONGEST = 1_200
"""Characters of a text in a message: escaped, each may take five, and Slack's blocks hold 3,000."""


@dataclass(frozen=True)
class Alert:
    """A rule that stands, or stood: names and figures only, so that it may leave the workspace.

    Attributes:
        rule: its name in `[alerts.rules]`.
        watches: its kind.
        severity: info, warning or critical.
        slice: the slice that it is about; None for all signals, or where it is about none.
        says: what was found, in words, with n and interval.
        since: from when on it stands.
        fingerprint: the same for the same rule, kind and slice, whenever it stands.
        value: what is held against the threshold; `low` is the least that it may be.
        figures: what is behind it.
        next: a command to go on with.
        until: when it was resolved; None while it stands.
    """

    rule: str
    watches: str
    severity: str
    slice: str | None
    says: str
    since: datetime
    fingerprint: str
    value: float | None
    low: float | None
    figures: dict[str, object] = field(default_factory=dict)
    next: str = ""
    until: datetime | None = None

    def as_dict(self) -> dict[str, object]:
        """As plain values; times as ISO 8601."""
        times = {"since": self.since.isoformat(), "until": None if self.until is None else self.until.isoformat()}
        return asdict(self) | times

    @classmethod
    def of(cls, plain: dict[str, object]) -> "Alert":
        """From such plain values."""
        since, until = str(plain["since"]), plain.get("until")
        times = {"since": datetime.fromisoformat(since), "until": datetime.fromisoformat(str(until)) if until else None}
        known = {name: value for name, value in plain.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, **times})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Message:
    """What one place is told of an alert, and when."""

    kind: Kind
    alert: Alert
    at: datetime

    @property
    def head(self) -> str:
        """What it is, in a few words."""
        return f"{WORDS[self.kind]} {self.alert.rule} ({self.alert.severity})"

    @property
    def tail(self) -> str:
        """Since when, and what to do."""
        since = f"since {moment_said(self.alert.since)}"
        if self.alert.until is not None:
            return f"stood {since} until {moment_said(self.alert.until)}"
        return f"{since}; next: {self.alert.next}"

    def lines(self) -> list[str]:
        """For a terminal or a mail."""
        return [f"{self.head}: {self.alert.says}", f"  {self.tail}"]

    def as_dict(self) -> dict[str, object]:
        """For a line of JSON."""
        return {"kind": self.kind, "at": self.at.isoformat(), **self.alert.as_dict()}

    def slack(self) -> dict[str, object]:
        """What an incoming webhook of Slack takes.

        Source: Slack, "Formatting message text" (&, < and > are escaped) and "Text object" (3,000 characters,
        `verbatim` makes no links and mentions of plain text).
        """
        head, says, tail = (_escaped(text) for text in (self.head, self.alert.says, self.tail))
        return {
            "text": f"{head}: {says}",
            "blocks": [
                {"type": "section", "text": _text(f"*{head}*\n{says}")},
                {"type": "context", "elements": [_text(tail)]},
            ],
        }


def _text(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str) -> str:
    """Cut where even its escaped form is too long."""
    for longest in (LONGEST, LONGEST // 3):
        found = short(text, longest).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(found) <= 2 * LONGEST:
            break
    return found
