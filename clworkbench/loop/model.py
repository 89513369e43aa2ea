"""Models by name, and their evaluation: from a model and a suite to scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from clworkbench.audit.budget import metered
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ModelError
from clworkbench.loop.rules import gates_sha256, suites
from clworkbench.models.names import ModelSpec, base_spec
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
    if not name.startswith("run:") and workspace.catalog.artefact(f"run:{name}") is None:
        return base_spec(name)
    manifest = workspace.find("run", name)
    if manifest["method"] == "reward":
        raise ModelError(f"{manifest['id']}: a reward model scores answers and gives none. Name a run that answers.")
    return run_spec(workspace, manifest)


def run_spec(workspace: Workspace, manifest: Mapping[str, object]) -> ModelSpec:
    """What is needed to load a run: its base and its adapter, or its own weights where it trained all of them."""
    run, sha256 = str(manifest["id"]), str(manifest["adapter_sha256"])
    folder, own = workspace.artefact_folder(run), workspace.artefact_folder(run) / "model"
    if own.is_dir():
        return ModelSpec(run, str(own), base_sha256=sha256)
    return ModelSpec(run, str(manifest["base"]), folder / "adapter", sha256)


def champion(workspace: Workspace) -> str:
    """The model that production serves: the last release, or the base while there is none."""
    history = workspace.catalog.champions()
    return history[-1][0] if history else workspace.settings.model.base


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
        parents = [frozen, *([spec.name] if spec.name.startswith("run:") else [])]
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
