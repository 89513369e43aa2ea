"""Which gates apply: what `clw.toml` states, or the defaults, and the hash that is recorded before scores are seen."""

import hashlib
from collections.abc import Sequence
from difflib import get_close_matches

import polars as pl

from clworkbench.errors import ArtefactError, SettingsError
from clworkbench.loop.evals.scoring import scoring
from clworkbench.releases.gates import Gate, canonical, defaults
from clworkbench.releases.pairs import LOWER_IS_BETTER, with_suite
from clworkbench.scorers.classification import is_classification
from clworkbench.scorers.names import scorer
from clworkbench.scorers.reward import KIND as REWARD
from clworkbench.settings import GateRule, settings_dict
from clworkbench.workspace import Workspace

FROM_SIGNALS = (
    "freeze a suite whose examples name the signals that they came from (signal_ids), of which it holds some, or name "
    "it in their slices."
)


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
        raise ArtefactError(
            "no suite to measure on. Freeze one: `clw suite NAME FILE`, or draw one: `clw suite draw NAME`."
        )
    return [str(workspace.find("suite", name)["id"]) for name in names]


def gates(workspace: Workspace, frozen: list[str], imported: Sequence[pl.DataFrame] = ()) -> tuple[Gate, ...]:
    """The gates that `clw.toml` states, else the defaults for its metric, its target and the suites' slices.

    Args:
        workspace: whose gates.
        frozen: suites by id.
        imported: scores of each model that is compared; of suites whose examples are elsewhere, they name the slices,
            and the scorers are those that all have.

    Raises:
        SettingsError: there are no defaults, since the only metric has no scale.
    """
    found = _applying(workspace, frozen, imported)
    if not found:
        raise SettingsError(
            "[gates]: a reward model's score has no scale, and the default margins are points of a score from 0 to 1.\n"
            "Write [[gates.rules]] of your own, each not_worse with a margin in the reward model's unit."
        )
    return found


def _applying(workspace: Workspace, frozen: list[str], imported: Sequence[pl.DataFrame]) -> tuple[Gate, ...]:
    """As `gates`; none where there are no defaults."""
    settings = workspace.settings
    if settings.gates.rules:
        return tuple(_gate(rule) for rule in settings.gates.rules)
    kept = [name for name in frozen if workspace.catalog.artefact(name)]
    on = pl.col("suite").is_in([name.removeprefix("suite:") for name in frozen if name not in kept])
    sides = [found for scores in imported if (found := scores.filter(on)).height]
    common = set[str].intersection(*(set(side["scorer"]) for side in sides)) if sides else set[str]()
    scorers = {*(settings.evals.scorers if kept else ()), *common}
    metric = settings.gates.metric or (min(scorers) if len(scorers) == 1 else "reward")
    if metric.startswith(REWARD):
        return ()
    named = [*(workspace.rows(name)["slices"] for name in kept), *(_slices(side) for side in sides)]
    empty = pl.Series("slices", [], dtype=pl.String)
    slices = pl.concat([empty, *(names.explode(keep_nulls=False, empty_as_null=False) for names in named)])
    return defaults(metric, slices.unique().sort().to_list(), settings.gates.target)


def _gate(rule: GateRule) -> Gate:
    """The gate of a rule; without a margin, better is better than 0, and not worse means by 5 points."""
    if rule.margin is None and rule.asks == "not_worse" and rule.metric.startswith(REWARD):
        raise SettingsError(
            f"[gates] rule {rule.name!r}: {rule.metric!r} has no scale, so 5 points of it mean nothing.\n"
            "Write its margin, in the reward model's unit: how much worse is allowed."
        )
    default = 0.0 if rule.asks == "better" else 0.05
    return Gate(**settings_dict(rule) | {"margin": default if rule.margin is None else rule.margin})


def _slices(imported: pl.DataFrame) -> pl.Series:
    """The slices that imported scores name; each of several suites is one: a loss there must not hide behind gains."""
    return imported.select(slices=with_suite())["slices"]


def gates_sha256(workspace: Workspace, frozen: list[str], imported: Sequence[pl.DataFrame] = ()) -> str:
    """The hash of the gates that apply now to these suites, target included; arguments as for `gates`.

    Guards on slices and suites that only imported scores name do not count: each further import may name others. Where
    no gate applies yet, the hash says so: a model is scored all the same, and gates that are written later differ.
    """
    nameless = {"slices": pl.lit([], dtype=pl.List(pl.String)), "suite": pl.col("suite").first()}
    plain = [scores.with_columns(**nameless) for scores in imported]
    found = _applying(workspace, frozen, plain)
    text = f"{workspace.settings.gates.target}\n{canonical(found) if found else ''}"
    return hashlib.sha256(text.encode()).hexdigest()


def hashed_with(workspace: Workspace, frozen: list[str]) -> list[str]:
    """The suites whose gates are hashed before scores on these are seen: all of `[evals]`, or imported ones alone."""
    return suites(workspace) if any(workspace.catalog.artefact(name) for name in frozen) else frozen


def check(workspace: Workspace) -> None:
    """Refuses settings that would only fail, or say nothing, after hours of training.

    Raises:
        SettingsError: a gate or the target names a slice that no suite has, or a metric that nothing measures.
        ArtefactError: `[evals]` names a suite that is not there.
        ClwError: a scorer that is unknown.
    """
    settings = workspace.settings
    with scoring(workspace):
        for name in settings.evals.scorers:
            scorer(name)
    if not settings.evals.suites and not workspace.catalog.artefacts("suite"):
        return
    frozen = suites(workspace)
    known = set(pl.concat([workspace.rows(name)["slices"].explode() for name in frozen]).drop_nulls())
    named = {rule.slice: f"rule {rule.name!r}" for rule in settings.gates.rules if rule.slice not in ("all", "rest")}
    named |= {settings.gates.target: "target"} if settings.gates.target else {}
    for name, where in named.items():
        if name not in known:
            ours = f" clw.toml has one: {FROM_SIGNALS}" if name in settings.slices else _nearest(name, known)
            raise SettingsError(f"[gates] {where}: no slice {name!r} in the suites.{ours}")
    measured = {*settings.evals.scorers, *LOWER_IS_BETTER}
    metrics = {settings.gates.metric, *(rule.metric for rule in settings.gates.rules)}
    for metric in metrics - measured - {None}:
        if str(metric).endswith(("f1", "F1")) and any(map(is_classification, settings.evals.scorers)):
            raise SettingsError(
                f"[gates]: {metric!r} belongs to a whole set, and gates compare examples one by one.\n"
                "Name the scorer, such as classification: its mean is the share of right labels."
            )
        near = _nearest(str(metric), measured)
        raise SettingsError(f"[gates]: nothing measures {metric!r}.{near} Scorers stand in [evals].")


def _nearest(name: str, known: set[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" There: {', '.join(sorted(known)) or 'none'}."
