"""Train: from a training set to a run."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.audit.budget import Meter, metered
from clworkbench.audit.run_budget import RunBudget
from clworkbench.display.html import html_table
from clworkbench.display.live_losses import LiveLosses, in_cell
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ArtefactError, BudgetError
from clworkbench.loop.evals.scoring import scoring
from clworkbench.loop.runs.asked import AskedRun, Replayed, asked_run
from clworkbench.loop.runs.pace import keep_probe, refuse_too_dear
from clworkbench.models.names import ModelSpec
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from clworkbench.runs.resumed import OnStep
    from clworkbench.runs.settings import Method, RunResult

SEALED_WITHIN_S = 600
"""How long the other processes of a command wait for the first one, which may still measure a reward model."""


@dataclass(frozen=True, repr=False)
class Training:
    """A finished run. `seconds` is what this call took, nearly nothing where the run was there already."""

    manifest: dict[str, object]
    seconds: float

    @property
    def id(self) -> str:
        """`run:…`."""
        return str(self.manifest["id"])

    @property
    def losses(self) -> list[float]:
        """The loss of each step."""
        found = self.manifest["losses"]
        assert isinstance(found, list)
        return found

    def __repr__(self) -> str:
        return f"Training({self.id}: {len(self.losses)} steps, loss {self.losses[0]:.3f} → {self.losses[-1]:.3f})"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw train --json`."""
        keys = ("adapter_sha256", "steps", "seconds", "loss_first", "loss_last", "cost", "method", "rows", "dropped")
        more = ("truncated", "n_tokens", "estimate", "details", "held_out")
        found = {key: self.manifest[key] for key in (*keys, *more) if key in self.manifest}
        return {"run": self.id.removeprefix("run:"), **found}

    def lines(self) -> list[str]:
        """What was trained, for a terminal."""
        told = self.manifest
        lines = [
            f"{self.id}: {told['method']}, {told['steps']} steps in {told['seconds']} s, "
            f"loss {self.losses[0]:.3f} to {self.losses[-1]:.3f}",
            f"{told['rows']:,} rows, {told['dropped']:,} left out, {told['truncated']:,} cut at max_tokens",
        ]
        lines += [f"{told['n_tokens']:,} tokens, {self._estimated}"] if told.get("n_tokens") else []
        lines += [f"{name.replace('_', ' ')} {_first_to_last(values)}" for name, values in self.curves.items()]
        if isinstance(held := told.get("held_out"), Mapping):
            interval = f"{held['low']:.0%} to {held['high']:.0%}"
            lines.append(f"right about {held['accuracy']:.0%} of {held['n']} held-out pairs ({interval})")
        next_step = [] if told["method"] == "reward" else [f"Next: clw gate {self.id}"]
        return [*lines, f"adapter {told['adapter_sha256']}", *next_step]

    @property
    def _estimated(self) -> str:
        """What it cost, and what its first steps had said of it."""
        cost, estimate = f"{self.manifest['cost']} USD", self.manifest.get("estimate")
        if not isinstance(estimate, Mapping):
            return cost
        return f"{cost}; estimated after a few steps: {estimate['seconds']:.1f} s, {estimate['usd']:.4g} USD"

    def _repr_html_(self) -> str:
        told = self.manifest
        rows = [
            ("method", told["method"]),
            ("base", told["base"]),
            ("parent", told.get("parent")),
            ("steps", told["steps"]),
            ("loss", f"{self.losses[0]:.3f} to {self.losses[-1]:.3f}"),
            ("rows", f"{told['rows']:,}, {told['dropped']:,} left out, {told['truncated']:,} cut at max_tokens"),
            ("took", f"{told['seconds']} s, {told.get('n_tokens') or 0:,} tokens, {self._estimated}"),
            ("adapter", told["adapter_sha256"]),
        ]
        return html_table((self.id, ""), rows)

    @property
    def curves(self) -> dict[str, list[float | None]]:
        """The method's own numbers by step, such as the margin between chosen and rejected answers."""
        found = self.manifest.get("curves", {})
        assert isinstance(found, dict)
        return found


def _first_to_last(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    return f"{there[0]:.3f} to {there[-1]:.3f}" if there else "not measured"


def train(
    workspace: Workspace,
    training_set: str,
    *,
    method: "Method | None" = None,
    base: str | None = None,
    parent: str | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    replays: Replayed | None = None,
    advance: Advance = silent,
) -> Training:
    """Trains a model; the same inputs are the same run, and a killed one goes on.

    Started in several processes by `accelerate launch`, the first writes, and the others return once it has.

    Args:
        workspace: where the training set is and the run goes.
        training_set: `name@version`, or a name for its newest version.
        method: sft, dpo, kto, reward or grpo; the one that learns from the set's kind when None.
        base: the model's name; `[model] base` when None. Must be the parent's where there is one.
        parent: a run (or a release) whose weights are trained on: a warm start, and the reference of dpo, kto and grpo.
        steps: optimiser steps; this and the next two are `[training]`'s when None.
        learning_rate: the peak of the schedule.
        seed: of data order and initial weights.
        replays: a run whose settings are taken in the place of `[training]`'s.
        advance: progress, in steps; without it, a notebook's cell shows the losses as they fall.

    Raises:
        EvidenceError: the set is of a kind from which the method does not learn, or teaches nothing.
        ModelError: base or parent are not there or do not fit, or training came to nothing.
        BudgetError: it would go above a limit of `[budget]`, by past runs or by its own first steps; nothing is left;
            or it stopped at a checkpoint before it went above, and the same call goes on from there.
    """
    from clworkbench.runs.presets import is_first_process

    asked = asked_run(
        workspace, training_set, method=method, base=base, parent=parent, steps=steps, learning_rate=learning_rate,
        seed=seed, replays=replays,
    )  # fmt: skip
    began = time.monotonic()
    if not is_first_process():
        return Training(_beside(workspace, asked), time.monotonic() - began)
    curve = LiveLosses(asked.run, in_cell() if advance is silent else None)
    with workspace.lease(asked.run, "train"):
        manifest = workspace.catalog.artefact(asked.run)
        if manifest is None:
            refuse_too_dear(workspace, asked)
            with metered(workspace, "train", asked.run) as meter:
                manifest = _run(workspace, asked, meter, _told(meter.through(advance), curve))
    done = Training(manifest, time.monotonic() - began)
    curve.end(done.losses)
    return done


def _told(advance: Advance, curve: LiveLosses) -> Callable[[int, int, float, float | None], None]:
    """Says each step, its loss and the seconds that it took, in the terminal and in a notebook's cell."""

    def told(step: int, steps: int, loss: float, step_s: float | None) -> None:
        note = f"loss {loss:.3f}" + (f", {step_s:.2g} s a step" if step_s else "")
        advance(step, steps, note)
        left = f", about {_time(step_s * (steps - step))} left" if step_s and step < steps else ""
        curve.step(step, steps, loss, note + left)

    return told


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"


def _run(
    workspace: Workspace, asked: AskedRun, meter: Meter, told: Callable[[int, int, float, float | None], None]
) -> dict[str, object]:
    """Trains in the run's folder, within its budget, and seals it; returns its manifest."""
    budget = RunBudget(meter, asked.run)
    budget.begin()

    def on_step(step: int, steps: int, loss: float, n_tokens: int) -> bool:
        told(step, steps, loss, budget.step_s)
        return budget.step(step, steps, n_tokens)

    out = workspace.artefact_folder(asked.run)
    try:
        result = trained(workspace, asked, out, on_step, budget.checkpoint)
    except BudgetError:
        if budget.forecast is not None:
            keep_probe(workspace, asked, budget.forecast)
        # What was refused leaves no files; checkpoints stay.
        with suppress(OSError):
            out.rmdir()
        raise
    losses = result.losses
    about = asked.config | {
        "parent": asked.start.parent,
        "rows": result.rows,
        "dropped": result.dropped,
        "truncated": result.truncated,
        "adapter_sha256": result.adapter_sha256,
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "loss_first": result.loss_first,
        "loss_last": result.loss_last,
        "losses": losses["loss"].to_list(),
        "curves": losses.drop("step", "loss", "learning_rate").to_dict(as_series=False),
        "details": dict(result.details),
        "environment": dict(result.environment),
        "n_tokens": result.n_tokens,
        "cost": round(meter.usd_per_hour * result.seconds / 3600, 4),
        "estimate": budget.forecast.as_dict() if budget.forecast else None,
    }
    if asked.method == "reward":
        about["held_out"] = _held_out(workspace, asked, result)
    parents = [asked.training_set, *([asked.start.parent] if asked.start.parent else [])]
    if asked.replays:
        about |= {"replays": asked.replays.run, "compatibility": dict(asked.replays.compatibility)}
    return workspace.seal_run(asked.run, parents=parents, config=asked.config, about=about)


def trained(
    workspace: Workspace,
    asked: AskedRun,
    out: Path,
    on_step: "OnStep | None",
    on_checkpoint: Callable[[], None] | None = None,
) -> "RunResult":
    """Calls the method's own function, which is `train_<method>` in `runs.<method>`; `out` is the run's folder."""
    module = import_module(f"clworkbench.runs.{asked.method}")
    learn: Callable[..., RunResult] = getattr(module, f"train_{asked.method}")
    out.mkdir(parents=True, exist_ok=True)
    with scoring(workspace):
        return learn(
            workspace.rows(asked.training_set).filter(pl.col("split") == "train"),
            asked.base,
            out,
            asked.settings,
            parent_adapter=asked.start.weights,
            on_step=on_step,
            on_checkpoint=on_checkpoint,
        )


def _beside(workspace: Workspace, asked: AskedRun) -> dict[str, object]:
    """Takes part in a run that another process of the same command writes; its manifest."""
    if workspace.catalog.artefact(asked.run) is None:
        trained(workspace, asked, workspace.artefact_folder(asked.run), None)
    until = time.monotonic() + SEALED_WITHIN_S
    while (manifest := workspace.catalog.artefact(asked.run)) is None:
        if time.monotonic() > until:
            raise ArtefactError(f"{asked.run}: the first process has not sealed it. Run the same command again.")
        time.sleep(0.1)
    return manifest


def _held_out(workspace: Workspace, asked: AskedRun, result: "RunResult") -> dict[str, float | None] | None:
    """How often a reward model is right about pairs of the set that it was not trained on."""
    from clworkbench.models.load import load_reward
    from clworkbench.runs.reward import held_out_accuracy

    rows = workspace.rows(asked.training_set).filter(pl.col("split") != "train")
    spec = ModelSpec(asked.run, asked.start.base, result.adapter, result.adapter_sha256)
    threads = asked.settings.machine.threads
    return held_out_accuracy(load_reward(spec, dtype=workspace.settings.model.dtype, threads=threads), rows)
