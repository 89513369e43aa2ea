"""Train: from a training set to a run."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from clworkbench.audit.budget import metered
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ArtefactError, EvidenceError, ModelError
from clworkbench.loop.model import resolve, run_spec
from clworkbench.models.names import ModelSpec
from clworkbench.settings import settings_dict
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

if TYPE_CHECKING:
    from clworkbench.runs.settings import Method, RunResult, RunSettings

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
        more = ("truncated", "details", "held_out")
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
        lines += [f"{name.replace('_', ' ')} {_first_to_last(values)}" for name, values in self.curves.items()]
        if isinstance(held := told.get("held_out"), Mapping):
            interval = f"{held['low']:.0%} to {held['high']:.0%}"
            lines.append(f"right about {held['accuracy']:.0%} of {held['n']} held-out pairs ({interval})")
        next_step = [] if told["method"] == "reward" else [f"Next: clw gate {self.id}"]
        return [*lines, f"adapter {told['adapter_sha256']}", *next_step]

    @property
    def curves(self) -> dict[str, list[float | None]]:
        """The method's own numbers by step, such as the margin between chosen and rejected answers."""
        found = self.manifest.get("curves", {})
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Replayed:
    """A run that is trained again, on another base.

    Attributes:
        run: its id, which the new run's manifest names.
        asked: its settings, in the place of `[training]`'s.
        compatibility: the report on the new base, for the manifest.
    """

    run: str
    asked: Mapping[str, object]
    compatibility: Mapping[str, object]

    def settled(self, settings: "RunSettings", learning_rate: float | None) -> "RunSettings":
        """The run's settings on this machine, but for another learning rate."""
        own = {field.name: self.asked[field.name] for field in fields(settings) if field.name in self.asked}
        return replace(settings, **own | ({} if learning_rate is None else {"learning_rate": learning_rate}))  # type: ignore[arg-type]


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
        advance: progress, in steps.

    Raises:
        EvidenceError: the set is of a kind from which the method does not learn, or teaches nothing.
        ModelError: base or parent are not there or do not fit, or training came to nothing.
        BudgetError: what may be spent on training in this month is spent: before it begins, or at a checkpoint, from
            which the same call goes on later.
    """
    from clworkbench.models.weights import fingerprint, weights
    from clworkbench.runs.presets import is_first_process

    data = workspace.find("training_set", training_set)
    chosen = _method(data, method)
    start = _start(workspace, chosen, base, parent)
    folder = weights(start.base)
    settings = _settings(workspace, chosen, steps, learning_rate, seed)
    settings = replays.settled(settings, learning_rate) if replays else settings
    config: dict[str, object] = {
        "method": chosen,
        "base": start.base,
        "base_sha256": fingerprint(folder),
        "parent": start.sha256,
        "settings": settings.as_dict(),
    }
    name = str(data["id"]).removeprefix("training_set:").partition("@")[0]
    run = f"run:{name}-{stable_id(data['id'], config)[:10]}"
    asked = _Asked(run, str(data["id"]), chosen, start, folder, settings, config, replays)
    began = time.monotonic()
    if not is_first_process():
        return Training(_beside(workspace, asked), time.monotonic() - began)
    with workspace.lease(run, "train"):
        manifest = workspace.catalog.artefact(run)
        if manifest is None:
            with metered(workspace, "train", run) as meter:
                manifest = _run(workspace, asked, meter.through(advance), meter.check)
    return Training(manifest, time.monotonic() - began)


@dataclass(frozen=True)
class _From:
    """Where training starts: the base's name and, where there is one, the parent's id, weights and their hash."""

    base: str
    parent: str | None = None
    weights: Path | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class _Asked:
    """A run as it was asked for."""

    run: str
    training_set: str
    method: "Method"
    start: _From
    base: Path
    settings: "RunSettings"
    config: dict[str, object]
    replays: Replayed | None = None


def _method(data: Mapping[str, object], method: "Method | None") -> "Method":
    """The method, once it is known to learn from such a set."""
    from clworkbench.runs.settings import KINDS

    kind = str(data.get("rows_kind", "sft"))
    fitting = next((each for each, learns_from in KINDS.items() if learns_from == kind), None)
    if method is None and fitting is not None:
        return fitting
    if method is None or KINDS[method] != kind:
        name = str(data["id"]).removeprefix("training_set:")
        wanted = f"--method {method} learns from the kind {KINDS[method]!r}" if method else "no method learns from it"
        build = f"Build one: clw build NAME --kind {KINDS[method]}" if method else "Build another kind"
        fits = f", or train it with --method {fitting}" if fitting else ""
        raise EvidenceError(f"{name}: a set of the kind {kind!r}; {wanted}.\n{build}{fits}.")
    return method


def _start(workspace: Workspace, method: str, base: str | None, parent: str | None) -> _From:
    """Where training starts from: the base, or the parent's weights on its own base."""
    if parent is None:
        found = resolve(workspace, base or workspace.settings.model.base)
        if found.name.startswith("run:"):
            raise ModelError(f"--base {base}: a run. To train on from it, give it as --parent.")
        return _From(found.base)
    manifest = _parent(workspace, method, parent)
    trained_on = str(manifest["base"])
    if base and resolve(workspace, base).base != trained_on:
        raise ModelError(
            f"--parent {parent} was trained on {trained_on}, not on {base}: an adapter fits its own base only.\n"
            "Leave --base out, or train without --parent."
        )
    spec = run_spec(workspace, manifest)
    return _From(trained_on, spec.name, spec.adapter or Path(spec.base), spec.adapter_sha256 or spec.base_sha256)


def _parent(workspace: Workspace, method: str, parent: str) -> Mapping[str, object]:
    """The parent's manifest; a reward model goes on from a reward model only, and nothing else does."""
    if method == "reward":
        manifest = workspace.find("run", parent)
        if manifest["method"] != "reward":
            raise ModelError(
                f"--parent {parent}: it answers, and a reward model scores: its head is another. Leave --parent out."
            )
        return manifest
    spec = resolve(workspace, parent)
    if not spec.name.startswith("run:"):
        raise ModelError(f"--parent {parent}: not a run or a release. To train from a base, give it as --base.")
    return workspace.find("run", spec.name)


def _settings(
    workspace: Workspace, method: "Method", steps: int | None, learning_rate: float | None, seed: int | None
) -> "RunSettings":
    """`[training]` of `clw.toml`, but for what is asked for here."""
    from clworkbench.runs import settings as runs

    chosen = workspace.settings.training
    machine = runs.Machine(
        preset=chosen.preset,
        threads=workspace.settings.model.threads,
        dtype=chosen.dtype,
        rows_at_once=chosen.rows_at_once,
        gradient_checkpointing=chosen.gradient_checkpointing,
        checkpoint_every=chosen.checkpoint_every,
        report_to=chosen.report_to,
    )
    kinds: dict[Method, type[RunSettings]] = {
        "sft": runs.SftSettings,
        "dpo": runs.DpoSettings,
        "kto": runs.KtoSettings,
        "reward": runs.RewardSettings,
        "grpo": runs.GrpoSettings,
    }
    own: dict[str, Any] = settings_dict(getattr(chosen, method)) if hasattr(chosen, method) else {}
    return kinds[method](
        steps=chosen.steps if steps is None else steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate if learning_rate is None else learning_rate,
        rank=chosen.rank,
        max_tokens=chosen.max_tokens,
        seed=chosen.seed if seed is None else seed,
        machine=machine,
        **own,
    )


def _run(workspace: Workspace, asked: _Asked, advance: Advance, on_checkpoint: Callable[[], None]) -> dict[str, object]:
    """Trains in the run's folder and seals it; returns its manifest."""
    result = _trained(workspace, asked, advance, on_checkpoint)
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
        "cost": round(workspace.settings.budget.usd_per_hour * result.seconds / 3600, 4),
    }
    if asked.method == "reward":
        about["held_out"] = _held_out(workspace, asked, result)
    parents = [asked.training_set, *([asked.start.parent] if asked.start.parent else [])]
    if asked.replays:
        about |= {"replays": asked.replays.run, "compatibility": dict(asked.replays.compatibility)}
        parents.append(asked.replays.run)
    return workspace.seal_run(asked.run, parents=parents, config=asked.config, about=about)


def _trained(
    workspace: Workspace, asked: _Asked, advance: Advance, on_checkpoint: Callable[[], None] | None
) -> "RunResult":
    """Calls the method's own function, which is `train_<method>` in `runs.<method>`."""
    module = import_module(f"clworkbench.runs.{asked.method}")
    learn: Callable[..., RunResult] = getattr(module, f"train_{asked.method}")
    out = workspace.artefact_folder(asked.run)
    out.mkdir(parents=True, exist_ok=True)
    return learn(
        workspace.rows(asked.training_set).filter(pl.col("split") == "train"),
        asked.base,
        out,
        asked.settings,
        parent_adapter=asked.start.weights,
        on_step=lambda step, total, loss: advance(step, total, f"loss {loss:.3f}"),
        on_checkpoint=on_checkpoint,
    )


def _beside(workspace: Workspace, asked: _Asked) -> dict[str, object]:
    """Takes part in a run that another process of the same command writes; its manifest."""
    if workspace.catalog.artefact(asked.run) is None:
        _trained(workspace, asked, silent, None)
    until = time.monotonic() + SEALED_WITHIN_S
    while (manifest := workspace.catalog.artefact(asked.run)) is None:
        if time.monotonic() > until:
            raise ArtefactError(f"{asked.run}: the first process has not sealed it. Run the same command again.")
        time.sleep(0.1)
    return manifest


def _held_out(workspace: Workspace, asked: _Asked, result: "RunResult") -> dict[str, float | None] | None:
    """How often a reward model is right about pairs of the set that it was not trained on."""
    from clworkbench.models.load import load_reward
    from clworkbench.runs.reward import held_out_accuracy

    rows = workspace.rows(asked.training_set).filter(pl.col("split") != "train")
    spec = ModelSpec(asked.run, asked.start.base, result.adapter, result.adapter_sha256)
    threads = asked.settings.machine.threads
    return held_out_accuracy(load_reward(spec, dtype=workspace.settings.model.dtype, threads=threads), rows)
