"""Which gates apply: what `clw.toml` states, or the defaults, and the hash that is recorded before scores are seen."""

import hashlib

import polars as pl

from clworkbench.errors import ArtefactError
from clworkbench.releases.gates import Gate, canonical, defaults
from clworkbench.settings import settings_dict
from clworkbench.workspace import Workspace


def suites(workspace: Workspace, suite: str | None = None) -> list[str]:
    """The suites that models are measured on: the one named, those of `[evals]`, or all.

    Raises:
        ArtefactError: there is none.
    """
    names = [suite] if suite else list(workspace.settings.evals.suites)
    if not names:
        ids = [str(manifest["id"]).removeprefix("suite:") for manifest in workspace.catalog.artefacts("suite")]
        names = sorted({full.partition("@")[0] for full in ids})
    if not names:
        raise ArtefactError("no suite to measure on. Freeze one: `clw suite NAME FILE`.")
    return [str(workspace.find("suite", name)["id"]) for name in names]


def gates(workspace: Workspace, frozen: list[str]) -> tuple[Gate, ...]:
    """The gates that `clw.toml` states, else the defaults for its metric, its target and the suites' slices."""
    settings = workspace.settings
    if settings.gates.rules:
        return tuple(Gate(**settings_dict(rule)) for rule in settings.gates.rules)
    scorers = settings.evals.scorers
    metric = settings.gates.metric or (scorers[0] if len(scorers) == 1 else "reward")
    slices = pl.concat([workspace.rows(name)["slices"].explode() for name in frozen]).drop_nulls().unique().sort()
    return defaults(metric, slices.to_list(), settings.gates.target)


def gates_sha256(workspace: Workspace, frozen: list[str]) -> str:
    """The hash of the gates that apply now to these suites, target included."""
    text = f"{workspace.settings.gates.target}\n{canonical(gates(workspace, frozen))}"
    return hashlib.sha256(text.encode()).hexdigest()
