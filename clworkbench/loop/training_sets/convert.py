"""Convert: from signals and labels, under the policy, to a training set of some kind that is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

import polars as pl

from clworkbench import expressions
from clworkbench.errors import ArtefactError, EvidenceError, ModelError
from clworkbench.labels.adjudication import Adjudicated
from clworkbench.loop.evals.model import resolve
from clworkbench.loop.labels.agreement import decided, expert_keys
from clworkbench.loop.leaving import Door, door
from clworkbench.loop.signals.settling import unsettled
from clworkbench.loop.training_sets.built import Build
from clworkbench.loop.training_sets.kinds import Known, made_of
from clworkbench.policy.influence import brigaded
from clworkbench.schemas import SUITE, TrainingKind
from clworkbench.settings import OutcomeRule, settings_dict
from clworkbench.slices.slice import holds_in, named_in
from clworkbench.training_sets.allowed import Allowed
from clworkbench.training_sets.descent import BuiltSet, Rules, asking
from clworkbench.training_sets.holdout import cut_at
from clworkbench.training_sets.planted import Proved, proved
from clworkbench.training_sets.weighing import Weighing
from clworkbench.workspace import Workspace

UNSETTLED = {
    "sft": "no settled, corrected or labelled signal to learn from",
    "preference": "no two answers of which one is known to be better",
    "unpaired": "no answer of which it is known whether it was wanted",
    "reward": "no two answers of which one is known to be better",
    "prompts": "no prompt with a known answer that the verifier can grade",
}
"""By kind, what a set lacks that has no row to train on."""


def held_out(workspace: Workspace) -> pl.DataFrame:
    """The examples of all suites: nothing that stands in one may be learned."""
    suites = [workspace.rows(str(manifest["id"])) for manifest in workspace.catalog.artefacts("suite")]
    return pl.concat([pl.DataFrame(schema=SUITE), *suites])


def build(
    workspace: Workspace,
    name: str | None = None,
    *,
    kind: TrainingKind = "sft",
    as_of: datetime | None = None,
    event_time: bool = False,
    where: str | None = None,
    learned_by: str | None = None,
) -> Build:
    """Builds a training set from what is known at `as_of`; the same inputs give the same version.

    Args:
        workspace: where the signals are.
        name: the set's name; `[training] name` when None, and with the kind behind it where that is not sft.
        kind: what its rows are for: sft, preference, unpaired, reward or prompts.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.
        where: an expression over signals, or the name of a slice, that keeps only some; `[training] where` when None.
        learned_by: id of a run: rows of its training set count as learned and are replayed as `[training] replay`
            says.

    Raises:
        EvidenceError: nothing is left to learn from, or answers of one class only.
        ArtefactError: a held-out example still stands in the set.
    """
    made = drafted(workspace, name, kind=kind, as_of=as_of, event_time=event_time, where=where, learned_by=learned_by)
    manifest = workspace.publish_rows(
        "training_set", made.name, made.built.frame, parents=made.parents, config=made.config, about=made.about
    )
    return Build(manifest, made.built)


class Draft(NamedTuple):
    """A training set before it is published."""

    name: str
    built: BuiltSet
    parents: list[str]
    config: dict[str, object]
    about: dict[str, object]


def drafted(
    workspace: Workspace,
    name: str | None = None,
    *,
    kind: TrainingKind = "sft",
    as_of: datetime | None = None,
    event_time: bool = False,
    where: str | None = None,
    learned_by: str | None = None,
) -> Draft:
    """What `build` would publish: the same arguments, the same errors, and nothing is written."""
    settings = workspace.settings.training
    name = name or (settings.name if kind == "sft" else f"{settings.name}-{kind}")
    found = workspace.signals(as_of=as_of, event_time=event_time)
    condition = where or settings.where
    parents = training_sets_of(workspace, learned_by)
    leaving = door(workspace)
    verdict = decided(workspace, as_of=as_of, event_time=event_time)
    labels = workspace.labels(as_of=as_of, event_time=event_time)
    labels = labels.with_columns(counts=pl.col("label_id").is_in(verdict.labels["label_id"].implode()))
    rules = Rules(
        where=holds_in(found, condition, workspace.settings.slices, where="where") if condition else None,
        holdout=settings.holdout,
        cut=cut_at(_settled(found, labels)["started_at"], settings.forward),
        replay=settings.replay,
        learned=[row for parent in parents for row in workspace.rows(parent)["row_id"]],
        draw=name,
        disputed=disputed(verdict),
        allowed=allowed(workspace, as_of=as_of, event_time=event_time),
        leave=lambda rows, columns: _left(rows, columns, leaving),
        weighing=Weighing(settings.half_life, as_of, _slices(workspace, found)),
    )
    examples = held_out(workspace)
    known = Known(found, labels, as_of, event_time)
    made = made_of(workspace, kind, known, examples, rules)
    proof = proved(asking(made.frame, kind), examples, workspace.pseudonyms, cut=rules.cut)
    _check(made, proof, name, learned_by, _way_out(known, workspace.settings.outcomes))
    named = {one.name: one.expression for one in named_in(found, condition or "", workspace.settings.slices)}
    config = _config(workspace, rules, condition, named) | {"experts": expert_keys(workspace)}
    about: dict[str, object] = {
        "rows_kind": kind,
        "as_of": as_of.isoformat() if as_of else None,
        "event_time": event_time,
        **_counts(made),
        "leaving": leaving.as_dict(),
        "leakage": proof.as_dict(),
        "checked_against": [str(manifest["id"]) for manifest in workspace.catalog.artefacts("suite")],
        "settings": config,
    }
    return Draft(name, made, parents, config, about)


def _settled(found: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """The signals of which something is known: their outcome, a correction, or a label."""
    labelled = pl.col("interaction_id").is_in(labels["interaction_id"].unique().implode())
    return found.filter(pl.col("outcome").is_not_null() | pl.col("improvement").is_not_null() | labelled)


def _left(rows: pl.DataFrame, columns: Sequence[str], leaving: Door) -> pl.DataFrame:
    """Rows with their texts and the schemas of their tools as they may leave."""
    return leaving.clear(rows, columns).with_columns(leaving.schemas(rows["tools"]))


def _slices(workspace: Workspace, found: pl.DataFrame) -> pl.DataFrame | None:
    """The first slice of `[training] balance` that each signal is in; None where nothing is to be balanced."""
    names, there = workspace.settings.training.balance, workspace.settings.slices
    if not names:
        return None
    inside = [(name, expressions.holds(found, there[name], where=f"slices.{name}")) for name in names]
    first = pl.coalesce(*(pl.when(held).then(pl.lit(name)) for name, held in inside))
    return found.select("interaction_id", slice=first)


def disputed(verdict: Adjudicated) -> list[str]:
    """The signals of which nobody can say whether the answer is right: other questions' disputes leave that open."""
    held = verdict.disputed.filter(pl.col("question") == "answer")
    return held["interaction_id"].unique().sort().to_list()


def _config(workspace: Workspace, rules: Rules, condition: str | None, named: Mapping[str, str]) -> dict[str, object]:
    """The settings that a set is made with, as its manifest keeps them and an audit derives it again."""
    settings = workspace.settings
    balanced = {name: settings.slices[name] for name in settings.training.balance}
    return {
        "training": settings_dict(settings.training),
        "where": condition,
        "policy": settings_dict(settings.policy),
        "slices": {**rules.allowed.slices, **named, **balanced},
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
        "turned": asdict(made.turned) if made.turned else None,
        "findings": [finding._asdict() for finding in made.findings],
        **made.about,
    }


def _way_out(known: Known, rules: Sequence[OutcomeRule]) -> str:
    """What to do where no signal made a row."""
    pending = unsettled(known.signals, rules)
    if pending.settled or known.labels.height or not known.signals.height:
        return "See them with `clw status`."
    told = pending.way_out(rules=bool(rules))
    return f"None is settled. What would settle them: {told}."


def _check(made: BuiltSet, proof: Proved, name: str, learned_by: str | None, way_out: str) -> None:
    """Refuses a set from which there is nothing to learn, or in which a held-out example still stands."""
    if learned_by and not made.n_new and made.dropped["not_replayed"]:
        raise EvidenceError(
            f"{name}: 0 rows that {learned_by} has not learned already ({made.dropped['not_replayed']} it has).\n"
            "Wait for new signals to settle, or build without --learned-by."
        )
    if made.frame.height and not made.splits.get("train"):
        raise EvidenceError(
            f"{name}: all {made.frame.height} rows fell into the holdout, and none is left to train on.\n"
            "Wait for more signals, or lower [training] holdout or forward in clw.toml."
        )
    if not made.splits.get("train"):
        lost = ", ".join(f"{n} {reason}" for reason, n in made.dropped.items() if n) or "there are no signals"
        raise EvidenceError(f"{name}: {UNSETTLED[made.kind]}: of {made.n_signals} signals, {lost}.\n{way_out}")
    if made.kind == "unpaired":
        _check_classes(made, name)
    if not proof.ok:
        raise ArtefactError(
            f"{name}: the proof that nothing held out is taught fails: {proof}.\n"
            "Nothing was written. This is a fault of clworkbench, not of your data: please report it."
        )


def _check_classes(made: BuiltSet, name: str) -> None:
    """Refuses answers that were all wanted, or all unwanted: their contrast is what KTO learns."""
    labels = made.frame.filter(pl.col("split") == "train")["label"]
    wanted = int(labels.sum())
    if not 0 < wanted < len(labels):
        lacking = "unwanted" if wanted else "wanted"
        raise EvidenceError(
            f"{name}: one class only: {wanted:,} wanted and {len(labels) - wanted:,} unwanted answers to train on.\n"
            f"Let [outcomes] tell {lacking} answers as well, or build --kind sft or preference."
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
    if not spec.name.startswith("run:"):
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
