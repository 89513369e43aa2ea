"""What past runs tell of the next one: a learning curve from their scores, and what a run costs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from statistics import median

import polars as pl

from clworkbench.errors import ArtefactError
from clworkbench.loop.releases.rules import suites
from clworkbench.loop.training_sets.convert import training_sets_of
from clworkbench.settings import settings_dict
from clworkbench.statistics.learning_curve import Run
from clworkbench.workspace import Workspace

LIKE = ("steps", "batch_size", "learning_rate", "rank", "max_tokens")
"""Settings in which a run must be as the next one will be: otherwise another curve is looked at."""

LATEST = 20
"""Runs that are looked at, the latest."""

COSTS = 5
"""Runs whose cost is looked at, the latest: the median of these is expected."""


@dataclass(frozen=True)
class PastRuns:
    """Past runs that the next one can be compared with.

    Attributes:
        runs: what each learned and its error.
        suite: what they were measured on, `name@version`; None where there is none.
        metric: by which scorer.
        left_out: runs that were left out, by reason.
        learned: distinct rows that the champion has learned; None where that cannot be told.
    """

    runs: tuple[Run, ...]
    suite: str | None
    metric: str
    left_out: Mapping[str, int]
    learned: int | None


def past_runs(workspace: Workspace, champion: str) -> PastRuns:
    """The runs on the champion's base with the settings of today, each with its error on the first suite of `[evals]`.

    Args:
        workspace: where the runs are.
        champion: the run that serves.
    """
    metric, suite = metric_of(workspace), _suite(workspace)
    rows = _RowsLearned(workspace)
    scores = _scores(workspace, suite, metric) if suite else {}
    serving = workspace.catalog.artefact(champion) or {}
    found, left_out = list[Run](), Counter[str]()
    for manifest in workspace.catalog.artefacts("run")[-LATEST:]:
        run = str(manifest["id"])
        if why := _unlike(workspace, manifest, serving):
            left_out[why] += 1
            continue
        score, learned = scores.get(run), rows.of(run)
        if score is None:
            left_out["not measured there"] += 1
        elif not learned:
            left_out["no telling what it learned"] += 1
        elif not 0 <= score[0] <= 1:
            left_out["its score is no share"] += 1
        else:
            found.append(Run(learned, 1 - score[0], score[1]))
    return PastRuns(tuple(found), suite, metric, dict(left_out), rows.of(champion))


def metric_of(workspace: Workspace) -> str:
    """The score that decides: of `[gates]`, else the only scorer."""
    settings = workspace.settings
    scorers = settings.evals.scorers
    return settings.gates.metric or (scorers[0] if len(scorers) == 1 else "reward")


def _suite(workspace: Workspace) -> str | None:
    """The first suite that models are measured on."""
    try:
        return suites(workspace)[0].removeprefix("suite:")
    except ArtefactError:
        return None


def _unlike(workspace: Workspace, manifest: Mapping[str, object], serving: Mapping[str, object]) -> str | None:
    """Why a run is on another curve than the next one; None where it is on the same."""
    if not isinstance(manifest.get("adapter_sha256"), str):
        return "a manifest that cannot be read"
    if any(manifest.get(key) != serving.get(key) for key in ("base", "base_sha256")):
        return "another base model"
    if manifest.get("method") != serving.get("method"):
        return "another method"
    return None if trained_like_now(workspace, manifest) else "other [training] settings"


def trained_like_now(workspace: Workspace, manifest: Mapping[str, object]) -> bool:
    """Whether a run was made with the settings that `[training]` has now."""
    ran, now = manifest.get("settings"), settings_dict(workspace.settings.training)
    return isinstance(ran, Mapping) and all(ran[key] == now.get(key) for key in LIKE if key in ran)


def _scores(workspace: Workspace, suite: str, metric: str) -> dict[str, tuple[float, int]]:
    """Mean and number of examples by run, on one suite by one scorer, of answers as long as they may be now."""
    found = {}
    longest = workspace.settings.evals.max_new_tokens
    for manifest in workspace.catalog.artefacts("eval"):
        asked, metrics = manifest.get("asked"), manifest.get("metrics")
        if manifest.get("suite") != suite or not isinstance(metrics, Mapping):
            continue
        if not isinstance(asked, Mapping) or asked.get("max_new_tokens") != longest:
            continue
        about = metrics.get(metric)
        mean, n = (_number(about.get(key)) for key in ("mean", "n")) if isinstance(about, Mapping) else (None, None)
        if mean is not None and n is not None and n >= 1:
            found[str(manifest.get("model"))] = mean, int(n)
    return found


def _number(value: object) -> float | None:
    """A finite number, or None for anything else that a manifest may hold."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


class _RowsLearned:
    """How many distinct rows a run has learned, itself and through its parents; each set is read once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._rows: dict[str, pl.Series | None] = {}

    def of(self, run: str) -> int | None:
        """None where a set is gone, or was changed."""
        rows = [self._of_set(each) for each in training_sets_of(self._workspace, run)]
        known = [each for each in rows if each is not None]
        return pl.concat(known).n_unique() if known and len(known) == len(rows) else None

    def _of_set(self, name: str) -> pl.Series | None:
        if name not in self._rows:
            try:
                rows = self._workspace.rows(name).filter(pl.col("split") == "train")["row_id"]
            except ArtefactError:
                rows = None
            self._rows[name] = rows
        return self._rows[name]


def expected_hours(workspace: Workspace) -> dict[str, float]:
    """Hours that training and measuring the next run will take, by kind of work, as far as past ones tell.

    The hours of a step are the median of the last runs', those of an evaluation likewise; each suite is one.
    """
    ledger = workspace.catalog.ledger().group_by("verb", "artefact", maintain_order=True).agg(pl.col("seconds").sum())
    spent = {(verb, artefact): seconds for verb, artefact, seconds in ledger.iter_rows()}
    a_step = []
    for manifest in workspace.catalog.artefacts("run"):
        steps = _number(manifest.get("steps"))
        seconds = spent.get(("train", manifest["id"]), _number(manifest.get("seconds")))
        if steps and steps >= 1 and seconds is not None:
            a_step.append(seconds / steps)
    evals = [seconds for (verb, _), seconds in spent.items() if verb == "eval"]
    hours = {}
    if a_step:
        hours["train"] = median(a_step[-COSTS:]) * workspace.settings.training.steps / 3600
    if evals and _suite(workspace):
        hours["eval"] = median(evals[-COSTS:]) * len(suites(workspace)) / 3600
    return hours
