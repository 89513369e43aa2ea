"""Where a workspace's scorers find what their names speak of: files beside `clw.toml`, and reward models by run."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial

from clworkbench.errors import ModelError
from clworkbench.loop.evals.judge import judge_scorer
from clworkbench.models.names import ModelSpec, base_spec
from clworkbench.scorers.names import scorer
from clworkbench.scorers.scorer import Place, within
from clworkbench.workspace import Workspace


def scoring(workspace: Workspace) -> AbstractContextManager[None]:
    """In this block, scorers are those of the workspace; code of verifiers runs only where `clw.toml` names it."""
    settings = workspace.settings
    trusted = frozenset({*settings.evals.scorers, settings.training.verifier})
    reward, judge = partial(_reward_model, workspace), partial(judge_scorer, workspace)
    return within(Place(workspace.folder, reward, trusted, judge))


def graded_with(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """`scorer_content`: by scorer, the hash of what it grades with besides its name; empty where none has any.

    It belongs to what identifies scores: those of a verifier that was changed since are others.
    """
    found = {name: content() for name in names if (content := scorer(name).content) is not None}
    return {"scorer_content": found} if found else {}


def _reward_model(workspace: Workspace, name: str) -> ModelSpec:
    if not name.startswith("run:") and workspace.catalog.artefact(f"run:{name}") is None:
        return base_spec(str(within_folder) if (within_folder := workspace.folder / name).is_dir() else name)
    manifest = workspace.find("run", name)
    run = str(manifest["id"])
    if manifest["method"] != "reward":
        raise ModelError(f"{run}: answers, and gives no score. Name a run of `clw train --method reward`.")
    adapter = workspace.artefact_folder(run) / "adapter"
    return ModelSpec(run, str(manifest["base"]), adapter, str(manifest["adapter_sha256"]))
