"""Convert: from signals and labels, under the policy, to a training set that is kept."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from clworkbench import expressions
from clworkbench.display.html import html_table
from clworkbench.errors import ArtefactError, EvidenceError, ModelError
from clworkbench.labels.adjudication import Adjudicated
from clworkbench.loop.agreement import decided, expert_keys
from clworkbench.loop.leaving import door
from clworkbench.loop.model import resolve
from clworkbench.policy.influence import brigaded
from clworkbench.schemas import SUITE
from clworkbench.settings import settings_dict
from clworkbench.training_sets.allowed import Allowed
from clworkbench.training_sets.leakage import proof
from clworkbench.training_sets.sft import BuiltSet, SftRules, build_sft
from clworkbench.workspace import Workspace

UNSETTLED = "no settled, corrected or labelled signal to learn from"


@dataclass(frozen=True, repr=False)
class Build:
    """A published training set: its manifest, and how it came about."""

    manifest: dict[str, object]
    built: BuiltSet

    @property
    def id(self) -> str:
        """`training_set:name@version`."""
        return str(self.manifest["id"])

    def __repr__(self) -> str:
        made = self.built
        return f"Build({self.id}: {made.frame.height:,} rows, {made.n_new:,} new, from {made.n_signals:,} signals)"

    def _repr_html_(self) -> str:
        lost = [(f"dropped: {reason.replace('_', ' ')}", n) for reason, n in self.built.dropped.items() if n]
        rows = [("signals", self.built.n_signals), *lost, *self.built.splits.items()]
        return html_table(("rows", "n"), rows, caption=self.id)

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw build --json`."""
        return {
            "id": self.id.removeprefix("training_set:"),
            "kind": "sft",
            "rows": self.built.frame.height,
            "splits": self.built.splits,
            "dropped": self.built.dropped,
            "signals": self.built.n_signals,
            "new": self.built.n_new,
            "sha256": self.manifest["rows_sha256"],
        }


def held_out(workspace: Workspace) -> pl.DataFrame:
    """The examples of all suites: nothing that stands in one may be learned."""
    suites = [workspace.rows(str(manifest["id"])) for manifest in workspace.catalog.artefacts("suite")]
    return pl.concat([pl.DataFrame(schema=SUITE), *suites])


def build(
    workspace: Workspace,
    name: str | None = None,
    *,
    as_of: datetime | None = None,
    event_time: bool = False,
    where: str | None = None,
    learned_by: str | None = None,
) -> Build:
    """Builds a training set from what is known at `as_of`; the same inputs give the same version.

    Args:
        workspace: where the signals are.
        name: the set's name; `[training] name` when None.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.
        where: an expression over signals that keeps only some; `[training] where` when None.
        learned_by: id of a run: rows of its training set count as learned and are replayed as `[training] replay`
            says.

    Raises:
        EvidenceError: nothing is left to learn from.
        ArtefactError: a held-out example still stands in the set.
    """
    settings = workspace.settings.training
    name = name or settings.name
    found = workspace.signals(as_of=as_of, event_time=event_time)
    condition = where or settings.where
    parents = training_sets_of(workspace, learned_by)
    leaving = door(workspace)
    verdict = decided(workspace, as_of=as_of, event_time=event_time)
    labels = workspace.labels(as_of=as_of, event_time=event_time)
    labels = labels.with_columns(counts=pl.col("label_id").is_in(verdict.labels["label_id"].implode()))
    rules = SftRules(
        where=expressions.holds(found, condition, where="where") if condition else None,
        holdout=settings.holdout,
        replay=settings.replay,
        learned=[row for parent in parents for row in workspace.rows(parent)["row_id"]],
        draw=name,
        disputed=disputed(verdict),
        allowed=allowed(workspace, as_of=as_of, event_time=event_time),
        leave=lambda rows: leaving.clear(rows, ("prompt", "completion")),
    )
    examples = held_out(workspace)
    made = build_sft(found, labels, examples, rules, workspace.pseudonyms)
    left = proof(made.frame, examples)
    _check(made, left, name, learned_by)
    config = _config(workspace, rules, condition) | {"experts": expert_keys(workspace)}
    about = {
        "as_of": as_of.isoformat() if as_of else None,
        "event_time": event_time,
        **_counts(made),
        "leaving": leaving.as_dict(),
        "leakage": {"examples": examples.height, "found": len(left)},
        "checked_against": [str(manifest["id"]) for manifest in workspace.catalog.artefacts("suite")],
        "settings": config,
    }
    manifest = workspace.publish_rows("training_set", name, made.frame, parents=parents, config=config, about=about)
    return Build(manifest, made)


def disputed(verdict: Adjudicated) -> list[str]:
    """The signals of which nobody can say whether the answer is right: other questions' disputes leave that open."""
    held = verdict.disputed.filter(pl.col("question") == "answer")
    return held["interaction_id"].unique().sort().to_list()


def _config(workspace: Workspace, rules: SftRules, condition: str | None) -> dict[str, object]:
    """The settings that a set is made with, as its manifest keeps them and an audit derives it again."""
    settings = workspace.settings
    return {
        "training": settings_dict(settings.training),
        "where": condition,
        "policy": settings_dict(settings.policy),
        "slices": dict(rules.allowed.slices),
        "outcomes": [settings_dict(rule) for rule in settings.outcomes],
    }


def _counts(made: BuiltSet) -> dict[str, object]:
    """How a set came about, as its manifest keeps it."""
    return {
        "signals": made.n_signals,
        "dropped": made.dropped,
        "splits": made.splits,
        "rules": dict(sorted(made.frame["rule"].value_counts().iter_rows())),
        "n_new": made.n_new,
    }


def _check(made: BuiltSet, left: list[str], name: str, learned_by: str | None) -> None:
    """Refuses a set from which there is nothing to learn, or in which a held-out example still stands."""
    if learned_by and not made.n_new and made.dropped["not_replayed"]:
        raise EvidenceError(
            f"{name}: 0 rows that {learned_by} has not learned already ({made.dropped['not_replayed']} it has).\n"
            "Wait for new signals to settle, or build without --learned-by."
        )
    if made.frame.height and not made.splits.get("train"):
        raise EvidenceError(
            f"{name}: all {made.frame.height} rows fell into the holdout, and none is left to train on.\n"
            "Wait for more signals, or lower [training] holdout in clw.toml."
        )
    if not made.splits.get("train"):
        lost = ", ".join(f"{n} {reason}" for reason, n in made.dropped.items() if n) or "there are no signals"
        raise EvidenceError(f"{name}: {UNSETTLED}: of {made.n_signals} signals, {lost}.\nSee them with `clw status`.")
    if left:
        raise ArtefactError(
            f"{name}: {len(left)} rows still stand in a suite, the first {left[0]}. Nothing was written."
        )


def allowed(workspace: Workspace, *, as_of: datetime | None, event_time: bool) -> Allowed:
    """The policy as it stands, with the slices that its rules name, and the answers that it knows of by id."""
    policy, slices = workspace.settings.policy, workspace.settings.slices
    named = {rule.slice: slices[rule.slice] for rule in policy.exclude if rule.slice}
    hit: list[str] = []
    if policy.caps.brigade:
        said = workspace.voices(as_of=as_of, event_time=event_time)
        hit = brigaded(said, policy.caps.brigade)["interaction_id"].unique().sort().to_list()
    withdrawn: list[str] = []
    if workspace.ingest_rules:
        there = workspace.scan("interactions").select(pl.col("interaction_id").unique()).collect()["interaction_id"]
        withdrawn = sorted(workspace.refused(there))
    return Allowed(policy, named, hit, withdrawn)


def training_sets_of(workspace: Workspace, model: str | None) -> list[str]:
    """The training set a run (or a release) was trained on, and those its parents were.

    Raises:
        ArtefactError: no such run or release.
        ModelError: another model than a run or a release.
    """
    if model is None:
        return []
    spec = resolve(workspace, model)
    if spec.adapter is None:
        raise ModelError(
            f"{model}: not a run or a release, so it has learned nothing from here. `clw status` lists runs."
        )
    sets: list[str] = []
    todo = [spec.name]
    while todo:
        parents = workspace.catalog.parents(todo.pop())
        sets += [p for p in parents if p.startswith("training_set:")]
        todo += [p for p in parents if p.startswith("run:")]
    return sets
