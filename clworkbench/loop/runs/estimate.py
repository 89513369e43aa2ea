"""What a run will cost, from a few steps that are timed and thrown away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.audit.budget import metered
from clworkbench.audit.forecast import Forecast, first_exceeded, refusal
from clworkbench.audit.forecast import forecast as from_steps
from clworkbench.audit.limits import UNITS, Standing, standings
from clworkbench.audit.run_budget import PROBE, RunBudget
from clworkbench.display.html import html_table
from clworkbench.errors import BudgetError, SettingsError
from clworkbench.loop.runs.asked import AskedRun, asked_run
from clworkbench.loop.runs.pace import keep_probe
from clworkbench.loop.runs.train import trained
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from clworkbench.runs.settings import Method

FRAME = pl.Schema(
    {
        "place": pl.String,
        "unit": pl.String,
        "limit": pl.Float64,
        "spent": pl.Float64,
        "needs": pl.Float64,
        "left": pl.Float64,
    }
)
"""One row for each limit that a run is under, in hours or US dollars; `left` after the run, below 0 where it does not
fit."""


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """What a run is expected to take, and whether it may.

    Attributes:
        run: the run's id, whether it was trained or not.
        expected: seconds, tokens and US dollars of all its steps.
        limits: those of `[budget]` that it is under, as they stood after the probe.
    """

    run: str
    expected: Forecast
    limits: tuple[Standing, ...]

    @property
    def exceeded(self) -> Standing | None:
        """The first limit that the run would go above."""
        return first_exceeded(self.limits, self.expected.seconds, self.expected.usd_per_hour)

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each limit (`FRAME`)."""
        needs = {"hours": self.expected.seconds / 3600, "usd": self.expected.usd}
        rows = [
            (one.place, UNITS[one.name], one.limit, one.spent, needs[one.name], one.left - needs[one.name])
            for one in self.limits
        ]
        return pl.DataFrame(rows, schema=FRAME, orient="row")

    @property
    def said(self) -> str:
        """Whether the limits allow it."""
        if limit := self.exceeded:
            return str(refusal(self.expected, limit)).partition("That is ")[2]
        return "Within all limits of [budget]." if self.limits else "[budget] in clw.toml sets no limit for it."

    def __repr__(self) -> str:
        return f"Estimate({self.run}: {self.expected.seconds:.3g} s, {self.expected.usd:.4g} USD)"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw train --estimate --json`."""
        told = {"run": self.run.removeprefix("run:"), **self.expected.as_dict()}
        return told | {"allowed": self.exceeded is None, "why": self.said, "limits": self.frame.to_dicts()}

    def lines(self) -> list[str]:
        """For a terminal."""
        tokens = "" if self.expected.n_tokens is None else f", {self.expected.n_tokens:,} tokens"
        return [f"{self.run}: {self.expected}{tokens}", *self.said.splitlines()]

    def _repr_html_(self) -> str:
        told = self.expected.as_dict()
        spread = f"{told['low']:,} to {told['high']:,}"
        row = (told["steps"], told["seconds"], spread, told["n_tokens"], told["usd"], told["from"])
        heads = ("steps", "seconds", "from the fastest to the slowest step", "tokens", "USD", "looked at")
        table = html_table(heads, [row], caption=f"{self.run}. {self.said}")
        limits = html_table(("limit", "in", "limit", "spent", "this run needs", "left then"), self.frame.iter_rows())
        return table + (limits if self.limits else "")


def forecast(
    workspace: Workspace,
    training_set: str,
    *,
    method: "Method | None" = None,
    base: str | None = None,
    parent: str | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
) -> Estimate:
    """What `train` with these arguments would take: its first steps are trained in a temporary folder and timed.

    Nothing is published; the probe's own cost is in the ledger. Of a run that is there already, its own figures.

    Raises:
        EvidenceError: the set is of a kind from which the method does not learn, or teaches nothing.
        ModelError: base or parent are not there or do not fit.
        BudgetError: nothing is left for training at all.
        SettingsError: it was started in several processes.
    """
    from clworkbench.runs.presets import world_size

    if world_size() > 1:
        raise SettingsError("train: an estimate is made in one process. Leave accelerate launch out.")
    asked = asked_run(
        workspace, training_set, method=method, base=base, parent=parent, steps=steps, learning_rate=learning_rate,
        seed=seed,
    )  # fmt: skip
    there = workspace.catalog.artefact(asked.run)
    if there is None:
        expected = _probed(workspace, asked)
        keep_probe(workspace, asked, expected)
    else:
        expected = _was(there)
    limits = standings(workspace, "train", workspace.settings.budget, run=asked.run) if there is None else ()
    return Estimate(asked.run, expected, limits)


def _was(manifest: dict[str, object]) -> Forecast:
    """What a finished run took."""
    steps, seconds, cost = (float(str(manifest[name])) for name in ("steps", "seconds", "cost"))
    n_tokens = manifest.get("n_tokens")
    return from_steps(
        int(steps),
        [seconds / steps],
        "steps of this run, which is there already,",
        usd_per_hour=cost / seconds * 3600 if seconds else 0.0,
        tokens_a_step=float(n_tokens) / steps if isinstance(n_tokens, int) else None,
    )


class _Probed(Exception):
    """Enough steps were timed."""


@contextmanager
def _until_probed() -> Iterator[None]:
    """Ends with the probe; that a limit would be exceeded is the answer, not an error."""
    try:
        yield
    except (_Probed, BudgetError):
        return


def _probed(workspace: Workspace, asked: AskedRun) -> Forecast:
    """Trains a few steps in a folder that is then removed."""
    machine = replace(asked.settings.machine, report_to=(), checkpoint_every=10**9)
    # A step more than is timed: the run never ends here.
    steps = max(asked.settings.steps, PROBE + 2)
    probe = replace(asked, settings=replace(asked.settings, steps=steps, machine=machine))
    with metered(workspace, "train", f"estimate:{asked.run}") as meter, TemporaryDirectory() as place:
        budget = RunBudget(meter, asked.run)

        def on_step(step: int, steps: int, _loss: float, n_tokens: int) -> None:
            budget.step(step, steps, n_tokens)
            if budget.forecast is not None:
                raise _Probed

        with _until_probed():
            trained(workspace, probe, Path(place), on_step)
    assert budget.forecast is not None
    return replace(budget.forecast, steps=asked.settings.steps)
