"""The audit of a run: its adapter, its losses, what it was asked to do, and what it says it learned from."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.whole import RESTORE, some, whole_as
from clworkbench.models.weights import fingerprint
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_json
from clworkbench.workspace.folder import stable_id

ADAPTER = "adapter/adapter_model.safetensors"
MODEL = "model"
REPORT = "training.json"
TOLD = ("adapter_sha256", "rows", "dropped", "truncated", "environment")
ASKED = ("method", "base", "base_sha256", "parent", "settings")


class RunManifest(msgspec.Struct, frozen=True):
    """What a run's manifest says beside what every manifest does."""

    id: str
    parents: list[str]
    files: dict[str, str]
    config_sha256: str
    method: str
    base: str
    base_sha256: str
    settings: dict[str, object]
    adapter_sha256: str
    steps: int
    rows: int
    dropped: int
    truncated: int
    environment: dict[str, object]
    loss_first: float
    loss_last: float
    losses: list[float]
    parent: str | None = None


def run(workspace: Workspace, artefact_id: str) -> list[Check]:
    """The checks of a run itself; its training set and its parents are audited beside it."""
    checks, said = whole_as(workspace, artefact_id, RunManifest)
    if said is None:
        return checks
    folder = workspace.artefact_folder(artefact_id)
    return [
        *checks,
        _adapter(folder, said),
        _losses(said),
        _report(folder, said),
        _asked(workspace, said),
        _learned(workspace, said),
    ]


def _adapter(folder: Path, said: RunManifest) -> Check:
    if said.settings.get("rank") == 0:
        right = (folder / MODEL).is_dir() and fingerprint(folder / MODEL) == said.adapter_sha256
        found = f"{said.adapter_sha256[:12]}, all weights, from {said.base}"
        return Check("adapter", right, 1, found if right else f"{MODEL} is not the model of the manifest. {RESTORE}.")
    right = said.files.get(ADAPTER) == said.adapter_sha256
    found = f"{said.adapter_sha256[:12]}, on {said.base}" if right else f"{ADAPTER} is not the adapter of the manifest"
    return Check("adapter", right, 1, found if right else f"{found}. {RESTORE}.")


def _losses(said: RunManifest) -> Check:
    wrong = []
    if len(said.losses) != said.steps or said.settings.get("steps") != said.steps:
        wrong.append(f"{len(said.losses)} losses, {said.steps} steps, {said.settings.get('steps')} asked for")
    if not all(math.isfinite(loss) for loss in said.losses):
        wrong.append("a loss is no number")
    if said.losses and [said.loss_first, said.loss_last] != [said.losses[0], said.losses[-1]]:
        wrong.append("the first and the last loss are others than those named")
    if wrong:
        return failed("losses", len(wrong), f"{some(wrong)}. {RESTORE}.")
    return passed("losses", said.steps, f"{said.steps} steps, loss {said.loss_first:.3f} to {said.loss_last:.3f}")


def _report(folder: Path, said: RunManifest) -> Check:
    """What training itself wrote down as its last word is what the manifest says."""
    try:
        told = json.loads((folder / REPORT).read_bytes())
        losses = [row[1] for row in told["losses"]]
        found = {key: told[key] for key in TOLD} | {"losses": losses}
    except (OSError, ValueError, LookupError, TypeError) as error:
        return failed("training", 1, f"{REPORT} does not tell of a finished training ({error}). {RESTORE}.")
    differs = [key for key, value in found.items() if value != getattr(said, key)]
    if differs:
        return failed("training", len(differs), f"{REPORT} tells of other {some(differs)}. {RESTORE}.")
    return passed("training", said.rows, f"{REPORT} tells of the same adapter, losses and rows")


def _asked(workspace: Workspace, said: RunManifest) -> Check:
    """The run's name is made of its training set and of all that it was asked for, its parent's adapter included."""
    parent = None
    if said.parent is not None:
        parent = (workspace.catalog.artefact(said.parent) or {}).get("adapter_sha256")
        if parent is None or said.parent not in said.parents:
            return failed("settings", 1, f"its parent {said.parent} is not there. {RESTORE}.")
    config = {key: getattr(said, key) for key in ASKED} | {"parent": parent}
    data = next((each for each in said.parents if each.startswith("training_set:")), "")
    named = said.id.rpartition("-")[2]
    if sha256_json(config) == said.config_sha256 and stable_id(data, config)[: len(named)] == named:
        start = f"from {said.parent}" if said.parent else f"from {said.base}"
        return passed("settings", len(config), f"{said.method} {start}, as its name and its hash say")
    return failed("settings", 1, f"do not make the run's name and hash. {RESTORE}.")


def _learned(workspace: Workspace, said: RunManifest) -> Check:
    """The training set is there, and its training rows are as many as the run counted."""
    sets = [each for each in said.parents if each.startswith("training_set:")]
    if sets and workspace.catalog.heir(sets[0]):
        return failed("rows", 1, f"it learned from rows of {sets[0]} that were forgotten since")
    path = workspace.artefact_folder(sets[0]) / "rows.parquet" if sets else None
    if path is None or not path.is_file():
        return failed(
            "rows", 1, f"its training set is gone ({some(sets) or 'none named'}). Train on a set that is there."
        )
    splits = (workspace.catalog.artefact(sets[0]) or {}).get("splits")
    held = splits.get("train") if isinstance(splits, Mapping) else None
    counted = said.rows + said.dropped
    if counted != held:
        return failed("rows", 1, f"learned from {counted:,} rows, and {sets[0]} has {held} to train on. {RESTORE}.")
    return passed("rows", counted, f"the training rows of {sets[0]}")
