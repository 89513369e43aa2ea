"""Train and evaluate: from a training set to a run, from a model and a suite to scores."""

import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ArtefactError, ModelError
from clworkbench.models.names import ModelSpec, base_spec
from clworkbench.settings import settings_dict
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id


def resolve(workspace: Workspace, name: str) -> ModelSpec:
    """What a model's name stands for: `run:<id>`, `release:<id>`, `hf:…`, `pypi:…`, or a folder.

    Raises:
        ModelError: the name leads nowhere.
        ArtefactError: no such run or release.
    """
    if name.startswith("release:"):
        parents = workspace.catalog.parents(str(workspace.find("release", name)["id"]))
        name = next(p for p in parents if p.startswith("run:"))
    if not name.startswith("run:"):
        return base_spec(name)
    manifest = workspace.find("run", name)
    run = str(manifest["id"])
    adapter = workspace.artefact_folder(run) / "adapter"
    return ModelSpec(run, str(manifest["base"]), adapter, str(manifest["adapter_sha256"]))


def champion(workspace: Workspace) -> str:
    """The model that production serves: the last release, or the base while there is none."""
    history = workspace.catalog.champions()
    return history[-1][0] if history else workspace.settings.model.base


@dataclass(frozen=True)
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
    """
    from clworkbench.models.weights import weights
    from clworkbench.runs.settings import SftSettings
    from clworkbench.runs.sft import train_sft

    settings = workspace.settings
    data = workspace.find("training_set", training_set)
    start = _start(workspace, base, parent)
    chosen = settings.training
    sft = SftSettings(
        steps=steps or chosen.steps,
        batch_size=chosen.batch_size,
        learning_rate=learning_rate or chosen.learning_rate,
        rank=chosen.rank,
        max_tokens=chosen.max_tokens,
        seed=chosen.seed if seed is None else seed,
        threads=settings.model.threads,
        checkpoint_every=chosen.checkpoint_every,
    )
    config = {"method": "sft", "base": start.base, "parent": start.adapter_sha256, "settings": sft.as_dict()}
    name = str(data["id"]).removeprefix("training_set:").partition("@")[0]
    run = f"run:{name}-{stable_id(data['id'], config)[:10]}"
    folder = workspace.artefact_folder(run)
    began = time.monotonic()
    with workspace.lease(run, "train"):
        if (there := workspace.catalog.artefact(run)) is not None:
            return Training(there, time.monotonic() - began)
        folder.mkdir(parents=True, exist_ok=True)
        rows = workspace.rows(str(data["id"])).filter(pl.col("split") == "train")
        result = train_sft(
            rows,
            weights(start.base),
            folder,
            sft,
            parent_adapter=start.adapter,
            on_step=lambda step, total, loss: advance(step, total, f"loss {loss:.3f}"),
        )
        about = {
            "method": "sft",
            "base": start.base,
            "parent": start.name if start.adapter else None,
            "settings": sft.as_dict(),
            "rows": result.rows,
            "dropped": result.dropped,
            "adapter_sha256": result.adapter_sha256,
            "steps": result.steps,
            "seconds": round(result.seconds, 1),
            "loss_first": result.loss_first,
            "loss_last": result.loss_last,
            "losses": result.losses["loss"].to_list(),
            "truncated": result.truncated,
            "environment": result.environment,
            "cost": 0.0,
        }
        parents = [str(data["id"]), *([start.name] if start.adapter else [])]
        manifest = workspace.seal_run(run, parents=parents, config=config, about=about)
        workspace.catalog.spend("train", run, result.seconds, 0.0)
    return Training(manifest, time.monotonic() - began)


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


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on a suite. `cached`: they were there already."""

    manifest: dict[str, object]
    scores: pl.DataFrame
    cached: bool

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
    """
    from clworkbench.evals.evaluate import evaluate as score
    from clworkbench.evals.evaluate import summary
    from clworkbench.models.load import load

    settings = workspace.settings
    spec = resolve(workspace, model)
    frozen = str(workspace.find("suite", suite)["id"])
    asked = {"scorers": list(settings.evals.scorers), "max_new_tokens": settings.evals.max_new_tokens}
    key = stable_id("eval", spec.name, spec.adapter_sha256, frozen, asked)
    artefact = f"eval:{frozen.removeprefix('suite:')}-{key[:10]}"
    with workspace.lease(artefact, "eval", wait_s=3600):
        cached = workspace.catalog.is_committed(key)
        if not cached:
            began = time.monotonic()
            detail = {"model": spec.name, "suite": frozen, "gates_sha256": gates_sha256(workspace)}
            scores = score(
                load(spec, dtype=settings.model.dtype, threads=settings.model.threads),
                workspace.rows(frozen),
                settings.evals.scorers,
                model=spec.name,
                suite_id=frozen.removeprefix("suite:"),
                max_new_tokens=settings.evals.max_new_tokens,
                batch_size=settings.evals.batch_size,
                on_progress=lambda done, total: advance(done, total, ""),
            )
            workspace.write_batch(key, "eval", {"scores": scores}, detail=detail)
            workspace.catalog.spend("eval", artefact, time.monotonic() - began, 0.0)
        rows = workspace.scan("scores").filter(pl.col("batch_id") == key).collect()
        report = summary(rows).as_dict()
        about = {"model": spec.name, "suite": frozen.removeprefix("suite:"), "asked": asked, "batch_id": key, **report}
        about["gates_sha256"] = workspace.catalog.batches(batch_id=key)[0].detail["gates_sha256"]
        parents = [frozen, *([spec.name] if spec.adapter else [])]
        manifest = workspace.publish(artefact, parents=parents, config=asked, about=about)
    return Evaluation(manifest, rows, cached)


def gates_sha256(workspace: Workspace) -> str:
    """The hash of the gates as `clw.toml` states them now: recorded before scores are seen."""
    return stable_id("gates", settings_dict(workspace.settings.gates))


def suites(workspace: Workspace, suite: str | None = None) -> list[str]:
    """The suites that models are measured on: the one named, those of `[evals]`, or all.

    Raises:
        ArtefactError: there is none.
    """
    names = [suite] if suite else list(workspace.settings.evals.suites)
    if not names:
        names = sorted(
            {str(m["id"]).removeprefix("suite:").partition("@")[0] for m in workspace.catalog.artefacts("suite")}
        )
    if not names:
        raise ArtefactError("no suite to measure on. Freeze one: `clw suite NAME FILE`.")
    return [str(workspace.find("suite", name)["id"]) for name in names]


def adapter_folder(workspace: Workspace, run: str) -> Path:
    """Where a run's adapter lies."""
    return workspace.artefact_folder(str(workspace.find("run", run)["id"])) / "adapter"
