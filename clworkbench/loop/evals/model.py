"""Models by name, and their evaluation: from a model and a suite to scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.audit.budget import Meter, metered
from clworkbench.display.progress import Advance, silent
from clworkbench.display.text import short
from clworkbench.errors import ModelError, SettingsError
from clworkbench.loop.evals.answering import Asking, answered
from clworkbench.loop.evals.scoring import graded_with, scoring
from clworkbench.loop.releases.rules import gates_sha256, suites
from clworkbench.models.names import ENDPOINT, ModelSpec, base_spec
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

if TYPE_CHECKING:
    from clworkbench.evals.report import EvalReport


def resolve(workspace: Workspace, name: str) -> ModelSpec:
    """What a model's name stands for: `run:<id>`, `release:<id>`, `endpoint:NAME`, `hf:…`, `pypi:…`, or a folder.

    Raises:
        ModelError: the name leads nowhere.
        ArtefactError: no such run or release.
    """
    if name.startswith("release:"):
        parents = workspace.catalog.parents(str(workspace.find("release", name)["id"]))
        name = next(p for p in parents if p.startswith("run:"))
    if name.startswith(ENDPOINT):
        return _endpoint(workspace, name)
    if not name.startswith("run:") and workspace.catalog.artefact(f"run:{name}") is None:
        return base_spec(name)
    manifest = workspace.find("run", name)
    if manifest["method"] == "reward":
        raise ModelError(f"{manifest['id']}: a reward model scores answers and gives none. Name a run that answers.")
    return run_spec(workspace, manifest)


def _endpoint(workspace: Workspace, name: str) -> ModelSpec:
    there = workspace.settings.endpoints
    if (own := name.removeprefix(ENDPOINT)) not in there:
        close = get_close_matches(own, there, n=1)
        hint = f"Did you mean {ENDPOINT}{close[0]}?" if close else f"There: {', '.join(there) or 'none'}."
        raise ModelError(f"model {name!r}: no [endpoints.{own}] in clw.toml. {hint}")
    return ModelSpec(name, name)


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
    """A model's scores on a suite.

    Attributes:
        manifest: of the artefact that keeps them.
        scores: `schemas.SCORES`.
        cached: they were there already.
        examples: the suite, where it is frozen here.
        known: how many answers were kept from before; None where nothing was asked here.
    """

    manifest: dict[str, object]
    scores: pl.DataFrame
    cached: bool
    examples: pl.DataFrame | None = None
    known: int | None = None

    def __repr__(self) -> str:
        return f"Evaluation({self.manifest['model']} on {self.manifest['suite']}: {self.manifest['metrics']})"

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()

    def report(self) -> "EvalReport":
        """What the scores come to; of a classification F1 too."""
        from clworkbench.evals.evaluate import summary

        return summary(self.scores, self.examples)

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw eval --json`."""
        keys = ("model", "suite", "n", "metrics", "slices")
        more: dict[str, object] = {
            key: self.manifest[key] for key in ("f1", "classes", "production") if key in self.manifest
        }
        counts = {"known": self.known, "unanswered": self.unanswered().height}
        return {**{key: self.manifest[key] for key in keys}, **more, "cached": self.cached, **counts}

    def unanswered(self) -> pl.DataFrame:
        """One row for each answer that could not be given: `example_id`, `repetition`, and why (`error`)."""
        failed = self.scores.filter(pl.col("termination") == "error")
        return failed.select("example_id", "repetition", "error").unique(("example_id", "repetition")).sort(pl.all())

    def lines(self) -> list[str]:
        """What is said above the numbers."""
        n = self.scores.select(pl.struct("example_id", "repetition").n_unique()).item()
        told = " (scored before)" if self.cached else f" ({self.known:,} of {n:,} answers cached)" if self.known else ""
        said = [f"{self.manifest['model']} on {self.manifest['suite']}{told}"]
        reasons = self.unanswered()["error"].value_counts(sort=True).head(3).iter_rows()
        return said + [f"{count:,} of {n:,} not answered, scored 0: {short(why, 160)}" for why, count in reasons]


def evaluate(
    workspace: Workspace,
    model: str,
    suite: str,
    *,
    repetitions: int | None = None,
    advance: Advance = silent,
) -> Evaluation:
    """Scores a model on each example of a suite; answers and scores that are there already are used again.

    Args:
        workspace: where the suite is and the scores go.
        model: the model's name; `endpoint:NAME` for one of `[endpoints]`.
        suite: `name@version`, or a name for its newest version.
        repetitions: how often each example is asked; `[evals]` when None.
        advance: progress, in answers.

    Raises:
        BudgetError: what may be spent on evaluation in this month is spent; what was answered is kept.
        EndpointError: the endpoint does not answer; what it answered is kept.
    """
    from clworkbench.evals.evaluate import summary

    settings = workspace.settings
    asking = _asking(workspace, resolve(workspace, model), repetitions)
    with scoring(workspace):
        asked = {"scorers": list(settings.evals.scorers), **asking.as_dict(), **graded_with(settings.evals.scorers)}
    with workspace.lease(f"answers:{asking.key}", "eval", wait_s=3600):
        frozen = str(workspace.find("suite", suite)["id"])
        key = stable_id("eval", asking.spec.name, frozen, asked)
        artefact = f"eval:{frozen.removeprefix('suite:')}-{key[:10]}"
        examples = workspace.rows(frozen)
        cached = workspace.catalog.is_committed(key)
        known = examples.height * asking.repetitions
        if not cached:
            with metered(workspace, "eval", artefact) as meter:
                known = _score(workspace, key, asking, frozen, examples, meter, advance)
        rows = workspace.scan("scores").filter(pl.col("batch_id") == key).collect()
        about: dict[str, object] = {
            "model": asking.spec.name,
            "suite": frozen.removeprefix("suite:"),
            "asked": asked,
            "batch_id": key,
        }
        about |= summary(rows, examples).as_dict()
        about["gates_sha256"] = workspace.catalog.batches(batch_id=key)[0].detail["gates_sha256"]
        parents = [frozen, *([asking.spec.name] if asking.spec.name.startswith("run:") else [])]
        manifest = workspace.publish(artefact, parents=parents, config=asked, about=about)
    return Evaluation(manifest, rows, cached, examples, known)


def _asking(workspace: Workspace, spec: ModelSpec, repetitions: int | None) -> Asking:
    """How a model is asked, by `[evals]`.

    Raises:
        SettingsError: several repetitions that could only say the same.
        ModelError: a run's base was changed since it was trained.
    """
    settings = workspace.settings
    evals, times = settings.evals, repetitions or settings.evals.repetitions
    if times > 1 and evals.temperature == 0:
        raise SettingsError(
            f"{times} repetitions at temperature 0 say the same {times} times.\n"
            "Set temperature in [evals], e.g. 0.7, or ask once."
        )
    endpoint = None
    if spec.base.startswith(ENDPOINT):
        endpoint = settings.endpoints[spec.base.removeprefix(ENDPOINT)]
        weights: dict[str, object] = {"endpoint": endpoint.address, "endpoint_model": endpoint.model}
    else:
        weights = _weights(workspace, spec)
    return Asking(spec, endpoint, weights, evals.max_new_tokens, evals.temperature, times, evals.batch_size)


def _weights(workspace: Workspace, spec: ModelSpec) -> dict[str, object]:
    from clworkbench.models.weights import fingerprint, weights

    found = fingerprint(weights(spec.base))
    trained_on = (workspace.catalog.artefact(spec.name) or {}).get("base_sha256")
    if spec.adapter is not None and trained_on not in (None, found):
        raise ModelError(
            f"{spec.name}: its base {spec.base} is another one than it was trained on (fingerprint {found[:16]}…, the "
            f"run's manifest says {str(trained_on)[:16]}…).\nPut the base back as it was, or train the run again."
        )
    # Only answers that were given one by one say how long they took: others are not taken in their place.
    timed = {"batch_size": 1} if workspace.settings.evals.batch_size == 1 else {}
    dtype = workspace.settings.model.dtype
    return {"dtype": dtype, "base_sha256": found, "adapter_sha256": spec.adapter_sha256, **timed}


def _score(
    workspace: Workspace, key: str, asking: Asking, suite: str, examples: pl.DataFrame, meter: Meter, advance: Advance
) -> int:
    """Asks and scores, and commits the scores with the hash of the gates that applied before they were seen.

    Returns:
        How many answers nobody had to ask for.
    """
    from clworkbench.evals.evaluate import Grading

    before = gates_sha256(workspace, suites(workspace))
    with scoring(workspace):
        grading = Grading.of(examples, workspace.settings.evals.scorers, suite.removeprefix("suite:"))
        found = answered(workspace, asking, grading.examples, meter, meter.through(advance))
        scores = grading.scores(found.frame, asking.spec.name)
    detail = {"model": asking.spec.name, "suite": suite, "gates_sha256": before}
    workspace.write_batch(key, "eval", {"scores": scores}, detail=detail)
    return found.known
