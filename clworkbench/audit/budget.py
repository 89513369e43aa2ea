"""Budget: what this month's work has cost, what is left, and a stop where nothing is."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.audit.limits import UNITS, Kind, Standing, monthly, number, refuse_spent, standings
from clworkbench.audit.prices import usd_per_hour
from clworkbench.display.figures import limits_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.progress import Advance
from clworkbench.display.text import visible
from clworkbench.errors import SettingsError
from clworkbench.policy.ledger import account
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BAR = 20
"""Characters of a bar that is full."""

NOTED_EVERY_S = 10.0
"""A step that is killed has cost at most so much more than the ledger says."""


@dataclass(frozen=True, eq=False, repr=False)
class Budget:
    """What was spent and is left.

    Attributes:
        month: the present month's first day (UTC).
        frame: one row for each month and kind of work (`policy.ledger.ACCOUNT`), the latest month first.
    """

    month: date
    frame: pl.DataFrame

    @property
    def stopped(self) -> list[str]:
        """The kinds of work for which nothing is left in this month."""
        spent = self.frame.filter((pl.col("month") == self.month) & (pl.col("used") >= 1))["kind"].to_list()
        return [kind for kind in ("train", "eval", "label") if kind in spent or "all" in spent]

    @property
    def left(self) -> list[str]:
        """What is left of each limit in this month, in words."""
        rows = self.frame.filter(month=self.month).iter_rows(named=True)
        limited = (
            (row, name, unit) for row in rows for name, unit in UNITS.items() if row[f"limit_{name}"] is not None
        )
        return [f"{row['kind']}: {_amount(row, name, unit)}" for row, name, unit in limited]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw budget --json`."""
        rows = [{**row, "month": f"{row['month']:%Y-%m}"} for row in self.frame.to_dicts()]
        return {"month": f"{self.month:%Y-%m}", "budget": rows, "stopped": self.stopped}

    def lines(self) -> list[str]:
        """The account as text: a bar for each kind of work that has a limit."""
        text: list[str] = []
        for (month,), rows in self.frame.group_by("month", maintain_order=True):
            assert isinstance(month, date)
            text.append(f"{month:%B %Y} (UTC)")
            text += [_line(row) for row in rows.iter_rows(named=True)]
        if self.stopped:
            text.append(f"Nothing is left for {', '.join(self.stopped)}: raise [budget] in clw.toml, or wait.")
        return [visible(line) for line in text]

    def __repr__(self) -> str:
        spent = self.frame.filter((pl.col("month") == self.month) & (pl.col("kind") == "all")).row(0, named=True)
        stopped = f"; nothing left for {', '.join(self.stopped)}" if self.stopped else ""
        return f"Budget({self.month:%Y-%m}: {spent['hours']:.2f} hours, {spent['usd']:.2f} USD{stopped})"

    def _repr_html_(self) -> str:
        titles = ("month", "kind", "hours", "of", "left", "USD", "of", "left", "used")
        columns = ("hours", "limit_hours", "left_hours", "usd", "limit_usd", "left_usd")
        rows = [
            (f"{row['month']:%Y-%m}", row["kind"], *(row[name] for name in columns), percent(row["used"]))
            for row in self.frame.iter_rows(named=True)
        ]
        return html_table(titles, rows, caption="Spent and left, by month (UTC) and kind of work")

    def plot(self) -> "Figure":
        """Hours by month and kind, each against its limit; US dollars beneath, where any were spent or limited."""
        return limits_figure(self.frame, title="Spent by month and kind of work")


def _line(row: Mapping[str, object]) -> str:
    used = row["used"]
    bar, share = "", ""
    if isinstance(used, float):
        full = min(BAR, round(used * BAR))
        bar, share = "█" * full + "░" * (BAR - full), percent(used)
    amounts = [_amount(row, name, unit) for name, unit in UNITS.items()]
    return f"  {row['kind']!s:<6} {bar:<{BAR}} {share:>5}  {'   '.join(amounts)}".rstrip()


def _amount(row: Mapping[str, object], name: str, unit: str) -> str:
    spent, limit, left = row[name], row[f"limit_{name}"], row[f"left_{name}"]
    assert isinstance(spent, float)
    if not isinstance(limit, float) or not isinstance(left, float):
        return f"{number(spent)} {unit}"
    return f"{number(spent)} of {limit:g} {unit}, {number(left)} left"


def budget(workspace: Workspace, *, as_of: datetime | None = None) -> Budget:
    """What was spent and is left, by month and kind of work; with `as_of`, as it stood then."""
    until = as_of or now()
    ledger = workspace.catalog.ledger().filter(pl.col("at") <= until)
    month = until.astimezone(UTC).date().replace(day=1)
    return Budget(month, account(ledger, monthly(workspace.settings.budget), month))


def allow(workspace: Workspace, kind: Kind) -> None:
    """Lets a step of this kind begin, or go on.

    Raises:
        BudgetError: what may be spent on it in this month is spent.
    """
    refuse_spent(kind, standings(workspace, kind, workspace.settings.budget))


class Meter:
    """Writes into the ledger what a step costs while it runs, so that a killed one is in it as well."""

    def __init__(
        self, workspace: Workspace, kind: Kind, artefact: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspace, self._kind, self._artefact, self._clock = workspace, kind, artefact, clock
        self._settings = workspace.settings.budget
        self.usd_per_hour = usd_per_hour(self._settings)
        self._open()

    def _open(self) -> None:
        self._began = self._noted = self._clock()
        self._bought_usd = 0.0
        self._month = now().date().replace(day=1)
        self._entry = self._workspace.catalog.spend(self._kind, self._artefact, 0.0, 0.0)

    def write(self) -> None:
        """Notes what was spent so far; what a new month brings is an entry of its own."""
        seconds = max(0.0, self._clock() - self._began)
        usd = self._bought_usd + self.usd_per_hour * seconds / 3600
        self._workspace.catalog.spend_more(self._entry, seconds, usd)
        self._noted = self._clock()
        if now().date().replace(day=1) != self._month:
            self._open()

    def buy(self, usd: float) -> None:
        """Adds what was paid beside the machine's own hours; `write`, `note` or `tick` notes it."""
        self._bought_usd += usd

    def tick(self) -> None:
        """Call it often: it notes every 10 s."""
        if self._clock() - self._noted >= NOTED_EVERY_S:
            self.note()

    def note(self) -> None:
        """`write`, in the middle of work: for what was paid, which a kill must not leave out."""
        # A catalog that is busy for long is no reason to end hours of work: the next call notes it.
        with suppress(sqlite3.OperationalError):
            self.write()

    def through(self, advance: Advance) -> Advance:
        """The same report of progress, noted on its way."""

        def noted(done: int, total: int, note: str = "") -> None:
            self.tick()
            advance(done, total, note)

        return noted

    def limits(self, *, run: str | None = None) -> tuple[Standing, ...]:
        """How the limits stand with what was spent so far, by `clw.toml` as it is now."""
        self.write()
        # A clw.toml that is being edited does not end hours of work.
        with suppress(SettingsError):
            self._settings = self._workspace.settings.budget
        return standings(self._workspace, self._kind, self._settings, run=run)


@contextmanager
def metered(
    workspace: Workspace, kind: Kind, artefact: str, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Meter]:
    """A step whose cost stands in the ledger, however it ends.

    Raises:
        BudgetError: nothing is left for a step of this kind.
        SettingsError: nobody says what an hour here costs.
    """
    allow(workspace, kind)
    meter = Meter(workspace, kind, artefact, clock=clock)
    try:
        yield meter
    finally:
        meter.write()
