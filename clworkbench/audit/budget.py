"""Budget: what this month's work has cost, what is left, and a stop where nothing is."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

import polars as pl

from clworkbench.display.figures import limits_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.progress import Advance
from clworkbench.display.text import visible
from clworkbench.errors import BudgetError, SettingsError
from clworkbench.policy.ledger import account
from clworkbench.settings import BudgetSettings, Limit
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Kind = Literal["train", "eval", "label"]

BAR = 20
"""Characters of a bar that is full."""

UNITS = {"hours": "h", "usd": "USD"}

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
    limit, left = row[f"limit_{name}"], row[f"left_{name}"]
    if limit is None:
        return f"{_number(row[name])} {unit}"
    return f"{_number(row[name])} of {limit:g} {unit}, {_number(left)} left"


def _number(value: object) -> str:
    """Two decimals, or two digits of what is smaller than these."""
    assert isinstance(value, float)
    return f"{value:,.2f}" if abs(value) >= 0.01 or not value else f"{value:.2g}"


def budget(workspace: Workspace) -> Budget:
    """What was spent and is left, by month and kind of work."""
    month = now().date().replace(day=1)
    return Budget(month, account(workspace.catalog.ledger(), _limits(workspace.settings.budget), month))


def _limits(settings: BudgetSettings) -> dict[str, Limit]:
    return {"train": settings.train, "eval": settings.eval, "label": settings.label, "all": settings.all}


def allow(workspace: Workspace, kind: Kind) -> None:
    """Lets a step of this kind begin, or go on.

    Raises:
        BudgetError: what may be spent on it in this month is spent.
    """
    _allow(workspace, kind, workspace.settings.budget)


def _allow(workspace: Workspace, kind: Kind, settings: BudgetSettings) -> None:
    month = now().date().replace(day=1)
    spent = account(workspace.catalog.ledger(), _limits(settings), month).filter(pl.col("month") == month)
    for row in spent.filter(pl.col("kind").is_in([kind, "all"])).iter_rows(named=True):
        for name, unit in UNITS.items():
            if row[f"left_{name}"] is not None and row[f"left_{name}"] <= 0:
                following = (month + timedelta(days=32)).replace(day=1)
                raise BudgetError(
                    f"{kind}: this month's budget is spent: {_number(row[name])} of {row[f'limit_{name}']:g} {unit} "
                    f"since {month} (UTC), [budget.{row['kind']}] in clw.toml. `clw budget` tells on what.\n"
                    f"Raise the limit there, or wait until {following}; the same command then goes on from here."
                )


class Meter:
    """Writes into the ledger what a step costs while it runs, so that a killed one is in it as well."""

    def __init__(self, workspace: Workspace, kind: Kind, artefact: str) -> None:
        self._workspace, self._kind, self._artefact = workspace, kind, artefact
        self._settings = workspace.settings.budget
        self._open()

    def _open(self) -> None:
        self._began = self._noted = time.monotonic()
        self._month = now().date().replace(day=1)
        self._entry = self._workspace.catalog.spend(self._kind, self._artefact, 0.0, 0.0)

    def write(self) -> None:
        """Notes what was spent so far; what a new month brings is an entry of its own."""
        seconds = time.monotonic() - self._began
        cost = self._settings.usd_per_hour * seconds / 3600
        self._workspace.catalog.spend_more(self._entry, seconds, cost)
        self._noted = time.monotonic()
        if now().date().replace(day=1) != self._month:
            self._open()

    def tick(self) -> None:
        """Call it often: it notes every 10 s."""
        if time.monotonic() - self._noted >= NOTED_EVERY_S:
            # A catalog that is busy for long is no reason to end hours of work: the next call notes it.
            with suppress(sqlite3.OperationalError):
                self.write()

    def through(self, advance: Advance) -> Advance:
        """The same report of progress, noted on its way."""

        def noted(done: int, total: int, note: str = "") -> None:
            self.tick()
            advance(done, total, note)

        return noted

    def check(self) -> None:
        """Call it where the step can be stopped and go on later: with `clw.toml` as it stands then.

        Raises:
            BudgetError: nothing is left.
        """
        self.write()
        # A clw.toml that is being edited does not end hours of work.
        with suppress(SettingsError):
            self._settings = self._workspace.settings.budget
        _allow(self._workspace, self._kind, self._settings)


@contextmanager
def metered(workspace: Workspace, kind: Kind, artefact: str) -> Iterator[Meter]:
    """A step whose cost stands in the ledger, however it ends.

    Raises:
        BudgetError: nothing is left for a step of this kind.
    """
    allow(workspace, kind)
    meter = Meter(workspace, kind, artefact)
    try:
        yield meter
    finally:
        meter.write()
