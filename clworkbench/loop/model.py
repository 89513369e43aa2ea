"""Train and evaluate: from a training set to a run, from a model and a suite to scores."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.audit.budget import Meter, metered
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ModelError
from clworkbench.loop.rules import gates_sha256, suites
from clworkbench.models.names import ModelSpec, base_spec
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

if TYPE_CHECKING:
    from clworkbench.runs.settings import SftSettings


def resolve(workspace: Workspace, name: str) -> ModelSpec:
    """What a model's name stands for: `run:<id>`, `release:<id>`, `hf:…`, `pypi:…`, or a folder.

    Raises:
        ModelError: the name leads nowhere.
        ArtefactError: no such run or release.
    """
    if name.startswith("release:"):
        parents = workspace.catalog.parents(str(workspace.find("release", name)["id"]))
        name = next(p for p in parents if p.startswith("run:"))
    if not name.startswith("run:") and workspace.catalog.artefact(f"run:{name}") is None:
        return base_spec(name)
    manifest = workspace.find("run", name)
    run = str(manifest["id"])
    adapter = workspace.artefact_folder(run) / "adapter"
    return ModelSpec(run, str(manifest["base"]), adapter, str(manifest["adapter_sha256"]))


def champion(workspace: Workspace) -> str:
    """The model that production serves: the last release, or the base while there is none."""
    history = workspace.catalog.champions()
    return history[-1][0] if history else workspace.settings.model.base


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
        keys = ("adapter_sha256", "steps", "seconds", "loss_first", "loss_last", "cost")
        return {"run": self.id.removeprefix("run:"), **{key: self.manifest[key] for key in keys}}


def train(
    workspace: Workspace,
    training_set: str,
    *,
    base: str | None = None,
    parent: str | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    advance: Advance = silent,
) -> Training:
    """Trains an adapter by supervised fine-tuning; the same inputs are the same run, and a killed one goes on.

    Args:
        workspace: where the training set is and the run goes.
        training_set: `name@version`, or a name for its newest version.
        base: the model's name; `[model] base` when None. Must be the parent's where there is one.
        parent: a run (or a release) whose adapter is trained on: a warm start.
        steps: optimiser steps; this and the next two are `[training]`'s when None.
        learning_rate: the peak of the schedule.
        seed: of data order and initial weights.
        advance: progress, in steps.

    Raises:
        BudgetError: what may be spent on training in this month is spent: before it begins, or at a checkpoint, from
            which the same call goes on later.
    """
    from clworkbench.models.weights import fingerprint, weights

    data = workspace.find("training_set", training_set)
    start = _start(workspace, base, parent)
    folder = weights(start.base)
    sft = _sft_settings(workspace, steps, learning_rate, seed)
    config: dict[str, object] = {
        "method": "sft",
        "base": start.base,
        "base_sha256": fingerprint(folder),
        "parent": start.adapter_sha256,
        "settings": sft.as_dict(),
    }
    name = str(data["id"]).removeprefix("training_set:").partition("@")[0]
    run = f"run:{name}-{stable_id(data['id'], config)[:10]}"
    began = time.monotonic()
    with workspace.lease(run, "train"):
        manifest = workspace.catalog.artefact(run)
        if manifest is None:
            with metered(workspace, "train", run) as meter:
                manifest = _run(
                    workspace, run, str(data["id"]), start, folder, sft, config, meter.through(advance), meter
                )
    return Training(manifest, time.monotonic() - began)


def _sft_settings(
    workspace: Workspace, steps: int | None, learning_rate: float | None, seed: int | None
) -> "SftSettings":
    """`[training]` of `clw.toml`, but for what is asked for here."""
    from clworkbench.runs.settings import SftSettings

    chosen = workspace.settings.training
    return SftSettings(
        steps=chosen.steps if steps is None else steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate if learning_rate is None else learning_rate,
        rank=chosen.rank,
        max_tokens=chosen.max_tokens,
        seed=chosen.seed if seed is None else seed,
        threads=workspace.settings.model.threads,
        checkpoint_every=chosen.checkpoint_every,
    )


def _run(
    workspace: Workspace,
    run: str,
    training_set: str,
    start: ModelSpec,
    base: Path,
    sft: "SftSettings",
    config: dict[str, object],
    advance: Advance,
    meter: Meter,
) -> dict[str, object]:
    """Trains in the run's folder and seals it; returns its manifest."""
    from clworkbench.runs.sft import train_sft

    out = workspace.artefact_folder(run)
    out.mkdir(parents=True, exist_ok=True)
    rows = workspace.rows(training_set).filter(pl.col("split") == "train")
    result = train_sft(
        rows,
        base,
        out,
        sft,
        parent_adapter=start.adapter,
        on_step=lambda step, total, loss: advance(step, total, f"loss {loss:.3f}"),
        on_checkpoint=meter.check,
    )
    about = config | {
        "parent": start.name if start.adapter else None,
        "rows": result.rows,
        "dropped": result.dropped,
        "truncated": result.truncated,
        "adapter_sha256": result.adapter_sha256,
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "loss_first": result.loss_first,
        "loss_last": result.loss_last,
        "losses": result.losses["loss"].to_list(),
        "environment": result.environment,
        "cost": round(workspace.settings.budget.usd_per_hour * result.seconds / 3600, 4),
    }
    parents = [training_set, *([start.name] if start.adapter else [])]
    return workspace.seal_run(run, parents=parents, config=config, about=about)


def _start(workspace: Workspace, base: str | None, parent: str | None) -> ModelSpec:
    """Where training starts from: the base, or the parent's adapter on its own base."""
    if parent is None:
        return resolve(workspace, base or workspace.settings.model.base)
    spec = resolve(workspace, parent)
    if spec.adapter is None:
        raise ModelError(f"--parent {parent}: not a run or a release. To train from a base, give it as --base.")
    if base and base != spec.base:
        raise ModelError(
            f"--parent {parent} was trained on {spec.base}, not on {base}: an adapter fits its own base only.\n"
            "Leave --base out, or train without --parent."
        )
    return spec


@dataclass(frozen=True, repr=False)
class Evaluation:
    """A model's scores on a suite. `cached`: they were there already."""

    manifest: dict[str, object]
    scores: pl.DataFrame
    cached: bool

    def __repr__(self) -> str:
        return f"Evaluation({self.manifest['model']} on {self.manifest['suite']}: {self.manifest['metrics']})"

    def _repr_html_(self) -> str:
        from clworkbench.evals.evaluate import summary

        return summary(self.scores)._repr_html_()

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw eval --json`."""
        keys = ("model", "suite", "n", "metrics", "slices")
        return {**{key: self.manifest[key] for key in keys}, "cached": self.cached}


def evaluate(workspace: Workspace, model: str, suite: str, *, advance: Advance = silent) -> Evaluation:
    """Scores a model on each example of a suite; scores that are there already are used again.

    Args:
        workspace: where the suite is and the scores go.
        model: the model's name.
        suite: `name@version`, or a name for its newest version.
        advance: progress, in examples.

    Raises:
        BudgetError: what may be spent on evaluation in this month is spent.
    """
    from clworkbench.evals.evaluate import summary
    from clworkbench.models.weights import fingerprint, weights

    settings = workspace.settings
    spec = resolve(workspace, model)
    frozen = str(workspace.find("suite", suite)["id"])
    asked = {
        "scorers": list(settings.evals.scorers),
        "max_new_tokens": settings.evals.max_new_tokens,
        "dtype": settings.model.dtype,
        "base_sha256": fingerprint(weights(spec.base)),
        "adapter_sha256": spec.adapter_sha256,
    }
    key = stable_id("eval", spec.name, frozen, asked)
    artefact = f"eval:{frozen.removeprefix('suite:')}-{key[:10]}"
    with workspace.lease(artefact, "eval", wait_s=3600):
        cached = workspace.catalog.is_committed(key)
        if not cached:
            with metered(workspace, "eval", artefact) as meter:
                _score(workspace, key, spec, frozen, meter.through(advance))
        rows = workspace.scan("scores").filter(pl.col("batch_id") == key).collect()
        about: dict[str, object] = {
            "model": spec.name,
            "suite": frozen.removeprefix("suite:"),
            "asked": asked,
            "batch_id": key,
        }
        about |= summary(rows).as_dict()
        about["gates_sha256"] = workspace.catalog.batches(batch_id=key)[0].detail["gates_sha256"]
        parents = [frozen, *([spec.name] if spec.adapter else [])]
        manifest = workspace.publish(artefact, parents=parents, config=asked, about=about)
    return Evaluation(manifest, rows, cached)


def _score(workspace: Workspace, key: str, spec: ModelSpec, suite: str, advance: Advance) -> None:
    """Generates and scores, and commits the scores with the hash of the gates that applied before they were seen."""
    from clworkbench.evals.evaluate import evaluate as score
    from clworkbench.models.load import load

    settings = workspace.settings
    before = gates_sha256(workspace, suites(workspace))
    scores = score(
        load(spec, dtype=settings.model.dtype, threads=settings.model.threads),
        workspace.rows(suite),
        settings.evals.scorers,
        model=spec.name,
        suite_id=suite.removeprefix("suite:"),
        max_new_tokens=settings.evals.max_new_tokens,
        batch_size=settings.evals.batch_size,
        on_progress=lambda done, total: advance(done, total, ""),
    )
    detail = {"model": spec.name, "suite": suite, "gates_sha256": before}
    workspace.write_batch(key, "eval", {"scores": scores}, detail=detail)
