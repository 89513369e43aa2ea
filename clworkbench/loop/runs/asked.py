"""A run as it is asked for: checked, its settings complete, and named by all that decides it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clworkbench.errors import EvidenceError, ModelError
from clworkbench.loop.evals.model import resolve, run_spec
from clworkbench.settings import settings_dict
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

if TYPE_CHECKING:
    from clworkbench.runs.settings import Method, RunSettings


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


@dataclass(frozen=True)
class Start:
    """Where training starts: the base's name and, where there is one, the parent's id, weights and their hash."""

    base: str
    parent: str | None = None
    weights: Path | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class AskedRun:
    """A run as it was asked for."""

    run: str
    training_set: str
    method: "Method"
    start: Start
    base: Path
    settings: "RunSettings"
    config: dict[str, object]
    replays: Replayed | None = None


def asked_run(
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
) -> AskedRun:
    """The run that these arguments of `train` ask for; nothing is written or trained.

    Raises:
        EvidenceError: the set is of a kind from which the method does not learn.
        ModelError: base or parent are not there or do not fit.
    """
    from clworkbench.models.weights import fingerprint, weights

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
    return AskedRun(run, str(data["id"]), chosen, start, folder, settings, config, replays)


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


def _start(workspace: Workspace, method: str, base: str | None, parent: str | None) -> Start:
    """Where training starts from: the base, or the parent's weights on its own base."""
    if parent is None:
        found = resolve(workspace, base or workspace.settings.model.base)
        if found.name.startswith("run:"):
            raise ModelError(f"--base {base}: a run. To train on from it, give it as --parent.")
        return Start(found.base)
    manifest = _parent(workspace, method, parent)
    trained_on = str(manifest["base"])
    if base and resolve(workspace, base).base != trained_on:
        raise ModelError(
            f"--parent {parent} was trained on {trained_on}, not on {base}: an adapter fits its own base only.\n"
            "Leave --base out, or train without --parent."
        )
    spec = run_spec(workspace, manifest)
    return Start(trained_on, spec.name, spec.adapter or Path(spec.base), spec.adapter_sha256 or spec.base_sha256)


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
