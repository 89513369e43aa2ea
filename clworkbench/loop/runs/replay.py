"""Replay: the same signals, training sets and settings on another base, and the same suites on both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.display.progress import Advance, silent
from clworkbench.display.text import table
from clworkbench.errors import ArtefactError, EvidenceError, ModelError
from clworkbench.loop.evals.model import resolve
from clworkbench.loop.releases import ship
from clworkbench.loop.runs.asked import Replayed
from clworkbench.loop.runs.compatibility import Compatibility, compatibility, training_set_of
from clworkbench.loop.runs.train import train
from clworkbench.models.names import base_spec
from clworkbench.models.weights import fingerprint, weights
from clworkbench.releases.report import GateReport
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

EVALS = pl.Schema(
    {
        "metric": pl.String,
        "slice": pl.String,
        "n": pl.Int64,
        "old": pl.Float64,
        "new": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)
"""One row for each gate: `n` examples, the old run's mean, the new one's, and their paired difference (new minus old)
with its 90 % interval."""


@dataclass(frozen=True, eq=False)
class Replay:
    """A run's lessons on another base.

    Attributes:
        run: the id of the run that was replayed.
        base: the other base.
        compatibility: what was found before training.
        runs: the new runs, one for each of the chain; empty where it was refused, or only the report was asked for.
        gate: the new run held against the old one on the suites; None where that could not be measured.
        unmeasured: why not.
    """

    run: str
    base: str
    compatibility: Compatibility
    runs: tuple[str, ...] = ()
    gate: GateReport | None = None
    unmeasured: str | None = None

    @property
    def id(self) -> str | None:
        """The new run's id."""
        return self.runs[-1] if self.runs else None

    @property
    def frame(self) -> pl.DataFrame:
        """Old and new run side by side: `EVALS`."""
        if self.gate is None:
            return pl.DataFrame(schema=EVALS)
        found = self.gate.gates.rename({"champion": "old", "challenger": "new"})
        return found.filter(pl.col("verdict") != "unmeasured").select(list(EVALS)).cast(EVALS)

    def __repr__(self) -> str:
        return f"Replay({self.run} on {self.base}: {self.compatibility.verdict}; {self.id or 'not trained'})"

    def _repr_html_(self) -> str:
        if not self.runs:
            return self.compatibility._repr_html_()
        caption = f"{self.id} against {self.run}" + (f": {self.unmeasured}" if self.unmeasured else "")
        told = html_table(tuple(self.frame.columns), self.frame.iter_rows(), caption=caption)
        return self.compatibility._repr_html_() + told

    def plot(self) -> "Figure":
        """The new run against the old one, with intervals; in words where it was not measured."""
        from clworkbench.display.figures import words_figure

        if self.gate is None:
            return words_figure(self.unmeasured or "nothing was trained", title=f"{self.run} on {self.base}")
        return self.gate.plot()

    def lines(self) -> list[str]:
        """For a terminal; the compatibility report is said before training."""
        if not self.runs:
            return [self.compatibility.said]
        lines = [f"{new} replays a run of the chain" for new in self.runs[:-1]]
        lines += [f"{self.id} replays {self.run} on {self.base}"]
        lines += [f"not measured: {self.unmeasured}"] if self.unmeasured else table(self.frame)
        return [*lines, f"Next: clw gate {self.id}"]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw replay --json`."""
        return {
            "run": self.id and self.id.removeprefix("run:"),
            "base": self.base,
            "from": self.run.removeprefix("run:"),
            "runs": [each.removeprefix("run:") for each in self.runs],
            "compatibility": self.compatibility.as_dict(),
            "evals": self.frame.to_dicts(),
            "unmeasured": self.unmeasured,
        }


def replay(
    workspace: Workspace,
    run: str,
    base: str,
    *,
    learning_rate: float | None = None,
    report_only: bool = False,
    report: Compatibility | None = None,
    advance: Advance = silent,
) -> Replay:
    """Trains what a run learned on another base: the same rows, methods and settings, parents before children.

    First comes the compatibility report, which also stands in the new runs' manifests; where it refuses, nothing is
    trained. Then the new run and the old one are measured on the suites; nothing is released. A killed replay goes on.

    Args:
        workspace: where the run is.
        run: the run's id, or a release's. What its parents learned is learned first.
        base: the other base's name.
        learning_rate: the peak of the schedule, of all runs of the chain; each run's own when None.
        report_only: only the compatibility report.
        report: a report that was made before with the same arguments; made here when None.
        advance: progress, in steps.

    Raises:
        ArtefactError: no such run, or a training set of its is gone.
        ModelError: the other base is not there or is the same one, or training came to nothing.
        BudgetError: what may be spent on training in this month is spent.
    """
    chain = chain_of(workspace, run)
    old = str(chain[-1]["id"])
    _other(workspace, base, chain[-1])
    found = report or compatibility(workspace, chain, base)
    if report_only or found.refused:
        return Replay(old, base, found)
    runs = list[str]()
    for each in chain:
        data = str(training_set_of(workspace, each)["id"])
        told = Replayed(str(each["id"]), _settings(each, found.max_tokens[data]), found.as_dict())
        done = train(
            workspace,
            data,
            method=each["method"],  # type: ignore[arg-type]
            base=base,
            parent=runs[-1] if runs else None,
            learning_rate=learning_rate,
            replays=told,
            advance=advance,
        )
        runs.append(done.id)
    gate, why = _measured(workspace, runs[-1], chain[-1])
    return Replay(old, base, found, tuple(runs), gate, why)


def chain_of(workspace: Workspace, run: str) -> list[Mapping[str, object]]:
    """The manifests of a run and of those that it was trained on from, the first of them first.

    Raises:
        ArtefactError: no such run, or one of its parents is not there.
        ModelError: another model than a run or a release.
    """
    if run.startswith("release:"):
        run = resolve(workspace, run).name
    elif not run.startswith("run:") and ":" in run:
        raise ModelError(f"{run}: not a run or a release, so that there is nothing to replay. `clw status` lists runs.")
    chain: list[Mapping[str, object]] = [workspace.find("run", run)]
    while parent := chain[0].get("parent"):
        chain.insert(0, workspace.find("run", str(parent)))
    return chain


def _other(workspace: Workspace, base: str, run: Mapping[str, object]) -> None:
    """Refuses a run in a base's place, and the base that the run was trained on."""
    if base.startswith(("run:", "release:")) or workspace.catalog.artefact(f"run:{base}"):
        raise ModelError(f"--base {base}: a run, not a base. To train on from a run: clw train NAME --parent {base}.")
    if fingerprint(weights(base_spec(base).base)) == run["base_sha256"]:
        raise ModelError(
            f"--base {base}: the base that {run['id']} was trained on. Name another, or train again with clw train."
        )


def _settings(run: Mapping[str, object], max_tokens: int) -> Mapping[str, object]:
    settings = run["settings"]
    assert isinstance(settings, Mapping)
    return {**settings, "max_tokens": max_tokens}


def _measured(workspace: Workspace, new: str, old: Mapping[str, object]) -> tuple[GateReport | None, str | None]:
    """Both runs on the suites, or why they could not be measured: what was trained is there all the same."""
    if old["method"] == "reward":
        held = [(workspace.catalog.artefact(each) or {}).get("held_out") for each in (str(old["id"]), new)]
        told = [f"{each['accuracy']:.0%} of {each['n']}" if isinstance(each, Mapping) else "none of 0" for each in held]
        return None, f"a reward model answers nothing; right about {told[0]} held-out pairs before, {told[1]} now"
    try:
        return ship.gate(workspace, new, against=str(old["id"])).report, None
    except (ArtefactError, EvidenceError, ModelError) as error:
        return None, str(error).partition("\n")[0]
