"""What the desk story came to: the slice's outcome rate before and after, both gates, and one signal's way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from clworkbench import expressions
from clworkbench.demo.desk_people import START
from clworkbench.display.text import table
from clworkbench.lineage import trace
from clworkbench.loop.cycle import Cycle
from clworkbench.loop.evals.model import resolve
from clworkbench.loop.releases import ship
from clworkbench.loop.releases.rollout import RolloutStatus, all_rollouts
from clworkbench.loop.runs.train import Training
from clworkbench.releases.report import GateReport
from clworkbench.statistics.intervals import wilson_bounds
from clworkbench.workspace import Workspace

SHOWN = ("name", "required", "n", "champion", "challenger", "difference", "low", "high", "verdict")


@dataclass(frozen=True)
class DeskTold:
    """The desk story's end.

    Attributes:
        good: the gate on the challenger that learned from production.
        spoiled: the gate on the one that learned from the spoiled sheet.
        release: what came of the first, or None.
        weeks: the target slice by week (`week`, `tickets`, `share`, `n`, `pending`, `rate`, `low`, `high`): `share` of
            the traffic, `rate` of settled tickets with a good outcome, Wilson 95 %.
        days: the same by day (`day`).
        before: the row of the last week before the release, `after` that of the first after it.
        power: what the required gates could show, as `ship.power` has it.
        losses: of each run's steps, by who it is.
        way: one signal's way into the release: `kind`, `id`, `detail`.
        said: that signal's `text`, `answer` and `improvement_text`, as the tables keep them.
        figure: the page.
        minutes: of training and evaluation, by the catalog's ledger.
        rollouts: how releases went out in stages; with `--rollout`.
    """

    good: GateReport
    spoiled: GateReport
    release: str | None
    weeks: pl.DataFrame
    days: pl.DataFrame
    before: dict[str, float]
    after: dict[str, float]
    power: pl.DataFrame
    losses: dict[str, list[float]]
    way: pl.DataFrame
    said: dict[str, str]
    figure: Path
    minutes: float
    target: str
    policy: datetime
    released: datetime
    rollouts: Sequence[RolloutStatus] = ()

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw demo --json`."""
        return {
            "good": self.good.decision,
            "spoiled": self.spoiled.decision,
            "release": self.release,
            "figure": str(self.figure),
            "before": self.before["rate"],
            "after": self.after["rate"],
            "rates": [{"model": "before", **self.before}, {"model": "after", **self.after}],
            "weeks": self.weeks.to_dicts(),
            "gates": self.good.gates.to_dicts(),
            "spoiled_gates": self.spoiled.gates.to_dicts(),
            "power": self.power.to_dicts(),
            "way": self.way.to_dicts(),
            "minutes": self.minutes,
            **({"rollouts": [each.as_dict() for each in self.rollouts]} if self.rollouts else {}),
        }

    def lines(self) -> list[str]:
        """The end of the story as text."""
        return [
            "",
            f"The challenger that learned from production: {self.good.decision}. {self.good.reason()}.",
            *table(self.good.gates.select(SHOWN)),
            "",
            f"The challenger that learned from the spoiled sheet: {self.spoiled.decision}. {self.spoiled.reason()}.",
            *table(self.spoiled.gates.select(SHOWN)),
            "",
            f"Tickets about {self.target} by week, share of the settled ones with a good outcome (Wilson 95 %):",
            *table(self.weeks),
            f"Before the release {in_words(self.before)}; after it {in_words(self.after)}.",
            "",
            *(f"Rollout of {each.rollout.release}: {each.rollout.stage}. {each.says}." for each in self.rollouts),
            "One signal's way into the release:",
            *(f"  {kind:<12} {name}  {detail or ''}".rstrip() for kind, name, detail in self.way.iter_rows()),
            "",
            f"Page: {self.figure}",
        ]


def in_words(rate: dict[str, float]) -> str:
    """A rate with its n and interval."""
    return f"{rate['rate']:.2f} [{rate['low']:.2f}, {rate['high']:.2f}], n = {rate['n']:.0f}"


def tell_desk(
    workspace: Workspace,
    champion_run: str,
    good: Cycle,
    spoiled: Cycle,
    *,
    target: str,
    policy: datetime,
    until: datetime,
) -> DeskTold:
    """Gathers rates, gates and lineage of a played story.

    Args:
        workspace: the story's.
        champion_run: the first champion.
        good: the turn after the policy change.
        spoiled: the turn after the spoiled sheet.
        target: the slice.
        policy: when the policy changed; the release came a week later.
        until: up to when outcomes are looked at.
    """
    assert good.run is not None
    assert spoiled.run is not None
    serving = resolve(workspace, good.release).name if good.release else champion_run
    gates = [ship.gate(workspace, good.run, against=champion_run), ship.gate(workspace, spoiled.run, against=serving)]
    signals = _with_slice(workspace, target, until)
    weeks = outcome_rates(signals, week=(pl.col("started_at") - START).dt.total_days() // 7).filter(pl.col("week") > 0)
    days = outcome_rates(signals, day=pl.col("started_at").dt.truncate("1d")).filter(pl.col("day") >= START + WEEK)
    before, after = (weeks.filter(pl.col("week") == (at - START) // WEEK) for at in (policy, policy + WEEK))
    rolled = all_rollouts(workspace)
    if rolled:  # in its first week the champion answered beside it
        own = signals.filter(pl.col("release_id") == rolled[0].rollout.release, pl.col("started_at") < until)
        after = outcome_rates(own, week=pl.lit((policy + WEEK - START) // WEEK))
    learned = _learned(workspace, good, signals.filter("in_slice", pl.col("started_at") >= policy))
    runs = {"champion": champion_run, "challenger": good.run, "spoiled challenger": spoiled.run}
    return DeskTold(
        good=gates[0].report,
        spoiled=gates[1].report,
        release=good.release,
        weeks=weeks,
        days=days,
        before=before.row(0, named=True),
        after=after.row(0, named=True),
        power=ship.power(workspace).filter("required"),
        losses={who: Training(workspace.find("run", run), 0.0).losses for who, run in runs.items()},
        way=_way(workspace, good, str(learned["interaction_id"])),
        said={name: str(learned[name]) for name in ("text", "answer", "improvement_text")},
        figure=workspace.folder / "index.html",
        minutes=round(workspace.catalog.spent()["seconds"] / 60, 1),
        target=target,
        policy=policy,
        released=policy + WEEK,
        rollouts=rolled,
    )


WEEK = timedelta(weeks=1)


def _with_slice(workspace: Workspace, target: str, until: datetime) -> pl.DataFrame:
    """The signals as known at `until`, with `in_slice` by the slice's own expression in clw.toml."""
    found = workspace.signals(as_of=until, event_time=True)
    return found.with_columns(in_slice=expressions.parse(workspace.settings.slices[target], found.columns))


def outcome_rates(signals: pl.DataFrame, **by: pl.Expr) -> pl.DataFrame:
    """Share of the slice in the traffic, and of its settled signals with a good outcome.

    Args:
        signals: with `in_slice` and `outcome`.
        by: what the rows are, e.g. a day.

    Returns:
        One row for each: `tickets` (all of them), `share` (of the slice), `n` (settled, of the slice), `pending`,
        `rate` and its Wilson 95 % interval `low` to `high` (null where n is 0).
    """
    outcome = pl.col("outcome").filter("in_slice")
    counted = signals.group_by([value.alias(name) for name, value in by.items()]).agg(
        tickets=pl.len().cast(pl.Int64),
        share=pl.col("in_slice").mean(),
        n=outcome.count().cast(pl.Int64),
        pending=outcome.null_count().cast(pl.Int64),
        rate=outcome.mean(),
    )
    low, high = wilson_bounds(pl.col("rate"), pl.col("n"))
    return counted.with_columns(low=low, high=high).sort(*by)


def _learned(workspace: Workspace, good: Cycle, signals: pl.DataFrame) -> dict[str, object]:
    """The first of these signals whose correction the challenger learned from."""
    assert good.run is not None
    learned = next(p for p in workspace.catalog.parents(good.run) if p.startswith("training_set:"))
    rows = workspace.rows(learned).filter(pl.col("rule") == "corrected").explode("signal_ids")
    return signals.join(rows, left_on="interaction_id", right_on="signal_ids", how="semi").row(0, named=True)


def _way(workspace: Workspace, good: Cycle, interaction_id: str) -> pl.DataFrame:
    """From the file that a signal came in up to the release, each thing once."""
    end = good.release or good.gate
    assert end is not None
    signal, back = trace(workspace, f"signal:{interaction_id}"), trace(workspace, end)
    between = signal.up.join(back.down.select("id"), on="id", how="semi").sort("depth", maintain_order=True)
    steps = [*signal.down.reverse().rows(named=True), {"kind": "signal", "id": signal.id, "detail": None}]
    steps += [*between.rows(named=True), {"kind": back.kind, "id": end, "detail": None}]
    return pl.DataFrame(steps, schema={"kind": pl.String, "id": pl.String, "detail": pl.String})
