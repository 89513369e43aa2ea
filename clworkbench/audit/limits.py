"""How the limits of `[budget]` stand: each month's by kind of work, and that of one training run."""

from datetime import date, timedelta
from typing import Literal, NamedTuple

import polars as pl

from clworkbench.errors import BudgetError
from clworkbench.policy.ledger import account
from clworkbench.settings import BudgetSettings, Limit
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now

Kind = Literal["train", "eval", "label"]

UNITS = {"hours": "h", "usd": "USD"}


class Standing(NamedTuple):
    """One limit: where it stands in clw.toml, in `hours` or `usd`, and what is spent of it.

    `month` is the first day of the month that it is for; None for the limit of one run.
    """

    place: str
    name: str
    limit: float
    spent: float
    month: date | None

    @property
    def left(self) -> float:
        """What may still be spent; below 0 where more was."""
        return self.limit - self.spent

    def seconds(self, usd_per_hour: float) -> float:
        """For how long work may still go on; without end where it costs nothing of this."""
        if self.name == "hours":
            return self.left * 3600
        return self.left / usd_per_hour * 3600 if usd_per_hour else float("inf")

    def __str__(self) -> str:
        return f"{number(self.spent)} of {self.limit:g} {UNITS[self.name]}"


def number(value: float) -> str:
    """Two decimals, or two digits of what is smaller than these."""
    return f"{value:,.2f}" if abs(value) >= 0.01 or not value else f"{value:.2g}"


def monthly(settings: BudgetSettings) -> dict[str, Limit]:
    """The limits of a month, by kind of work."""
    return {"train": settings.train, "eval": settings.eval, "label": settings.label, "all": settings.all}


def standings(
    workspace: Workspace, kind: Kind, settings: BudgetSettings, *, run: str | None = None
) -> tuple[Standing, ...]:
    """The limits that this kind of work is under in this month and, for a run, its own."""
    month = now().date().replace(day=1)
    ledger = workspace.catalog.ledger()
    spent = account(ledger, monthly(settings), month).filter(month=month)
    found = [
        Standing(f"[budget.{row['kind']}]", name, row[f"limit_{name}"], row[name], month)
        for row in spent.filter(pl.col("kind").is_in([kind, "all"])).iter_rows(named=True)
        for name in UNITS
        if row[f"limit_{name}"] is not None
    ]
    if run is None:
        return tuple(found)
    own = ledger.filter(artefact=run, verb=kind).select(hours=pl.col("seconds").sum() / 3600, usd=pl.sum("cost_usd"))
    limits = {"hours": settings.run.hours, "usd": settings.run.usd}
    of_run = [
        Standing("[budget.run]", name, limit, own[name].item(), None)
        for name, limit in limits.items()
        if limit is not None
    ]
    return (*of_run, *found)


def refuse_spent(kind: Kind, limits: tuple[Standing, ...]) -> None:
    """Raises BudgetError where nothing is left of one of them."""
    for limit in limits:
        if limit.left <= 0:
            whose, since = (
                ("this run's", "") if limit.month is None else ("this month's", f" since {limit.month} (UTC)")
            )
            raise BudgetError(
                f"{kind}: {whose} budget is spent: {limit}{since}, {limit.place} in clw.toml. `clw budget` tells on "
                f"what.\nRaise the limit there{or_wait(limit)}; the same command then goes on from here."
            )


def or_wait(limit: Standing) -> str:
    """The other way out of a limit that is for a month."""
    return f", or wait until {(limit.month + timedelta(days=32)).replace(day=1)}" if limit.month else ""
