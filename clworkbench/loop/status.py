"""Where a workspace stands, and what to do next."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from clworkbench.audit.budget import Budget, budget
from clworkbench.audit.retention import due
from clworkbench.display.html import html_table
from clworkbench.loop.evals.model import champion
from clworkbench.loop.evals.scores import brought_in
from clworkbench.loop.labels.waiting import waiting
from clworkbench.loop.signals.inbox import holds_something
from clworkbench.signals.view import no_signals
from clworkbench.workspace import Workspace
from clworkbench.workspace.alert_log import standing
from clworkbench.workspace.rollouts import current_rollout

ROLLING = "clw rollout status   (a release goes out in stages: what its traffic shows, and what is missing)"


@dataclass(frozen=True)
class Status:
    """What there is, who serves, what was spent, and what to do next, in order."""

    tables: dict[str, int]
    artefacts: dict[str, list[str]]
    champion: str
    rollout: str | None
    history: list[tuple[str, datetime, str]]
    spent: dict[str, float]
    left: list[str]
    unfinished: int
    read_until: dict[str, str]
    next: list[str]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw status --json`."""
        history = [{"model": model, "at": at.isoformat(), "why": why} for model, at, why in self.history]
        return {**vars(self), "history": history}

    def __repr__(self) -> str:
        return f"Status({self.tables['interactions']:,} interactions, {self.champion} serves; next: {self.next[0]})"

    def _repr_html_(self) -> str:
        rows = [(f"{name} (rows)", f"{n:,}") for name, n in self.tables.items()]
        kept = ((kind.replace("_", " ") + "s", ids) for kind, ids in self.artefacts.items() if ids)
        rows += [(title, f"{len(ids)}, the newest {ids[-1]}") for title, ids in kept]
        rows += [(f"{source} read until", at) for source, at in self.read_until.items()]
        rows += [("serves", self.champion + (f" ({self.history[-1][2]})" if self.history else ""))]
        rows += [("rollout", self.rollout)] if self.rollout else []
        rows += [("spent", f"{self.spent['seconds'] / 60:.1f} minutes of training and evaluation")]
        rows += [("this month", said) for said in self.left]
        rows += [("note", said) for said in self.notes]
        rows += [("next", step) for step in self.next]
        return html_table(("", ""), rows)


def status(workspace: Workspace) -> Status:
    """Reads the catalog and counts the tables."""
    tables = workspace.counts()
    kinds = ("training_set", "suite", "run", "gate", "release")
    artefacts = {kind: [str(m["id"]) for m in workspace.catalog.artefacts(kind)] for kind in kinds}
    account, goes_out = budget(workspace), current_rollout(workspace.catalog)
    since = None if goes_out is None else f"{goes_out.stage_began:%Y-%m-%d %H:%M}"
    return Status(
        tables=tables,
        artefacts=artefacts,
        champion=champion(workspace),
        rollout=None if goes_out is None else f"{goes_out.release} at {goes_out.stage}, since {since}",
        history=workspace.catalog.champions(),
        spent=workspace.catalog.spent(),
        left=account.left,
        unfinished=len(workspace.catalog.pending()),
        read_until={source: at.isoformat(timespec="minutes") for source, at in sorted(_read_until(workspace).items())},
        next=[
            *_of_forget(workspace),
            *_of_budget(account),
            *_of_alerts(workspace),
            *([ROLLING] if goes_out else []),
            *_next(workspace, tables, artefacts),
        ],
        notes=no_signals(workspace.scan("interactions")),
    )


def _read_until(workspace: Workspace) -> dict[str, datetime]:
    """How far each source has been read: what outcomes with `within` wait for."""
    interactions = workspace.scan("interactions").select("source", "started_at").collect()
    return workspace.watermarks(interactions, workspace.scan("feedback").select("source", "at").collect())


def _next(workspace: Workspace, tables: dict[str, int], artefacts: dict[str, list[str]]) -> list[str]:
    """The steps that are open, the nearest first."""
    steps = []
    if workspace.catalog.pending():
        kinds = ", ".join(sorted(set(workspace.catalog.pending().values())))
        steps.append(f"run what was interrupted again ({kinds}): its unfinished batch does not count yet")
    steps += _of_spool(workspace.folder / "spool")
    steps += (compare := _of_imported_scores(workspace))
    if not tables["interactions"]:
        first = "clw ingest PATH --source NAME   (or declare [sources] with `paths` in clw.toml)"
        return steps if compare else [*steps, first]
    if not tables["feedback"]:
        steps.append("ingest feedback: without outcomes, corrections or labels there is nothing to learn from")
    steps += _of_outcomes(workspace)
    for name, n in waiting(workspace).items():
        steps.append(f"clw label pull {name}   ({n:,} records wait for answers in Argilla)")
    if not artefacts["suite"]:
        steps.append("clw suite NAME FILE   (examples that no model trains on: what a release is measured with)")
    if not tables["candidates"]:
        steps.append("clw select   (the signals that deserve a person's attention)")
    steps += _of_candidates(workspace, tables, artefacts)
    if not artefacts["training_set"]:
        steps.append("clw build NAME")
    if artefacts["training_set"] and not artefacts["run"]:
        steps.append(f"clw train {_set_to_train(workspace, artefacts['training_set'])}")
    if artefacts["run"] and artefacts["suite"] and not artefacts["gate"]:
        steps.append(f"clw gate {artefacts['run'][-1]}")
    return steps or ["clw cycle   (ingests what is new and goes as far as it can)"]


def _of_candidates(workspace: Workspace, tables: dict[str, int], artefacts: dict[str, list[str]]) -> list[str]:
    """That candidates are there and nobody has answered, where answers are wanted or nothing was learned yet."""
    wanted = workspace.settings.labels.wanted or not artefacts["run"]
    if not wanted or not tables["candidates"] or tables["labels"] or tables["asked"]:
        return []
    ways = "fill in the sheet of `clw select --out FILE`, then `clw label import FILE`; or `clw label push`"
    return [f"{ways}   ({tables['candidates']:,} candidates have no label)"]


def _of_imported_scores(workspace: Workspace) -> list[str]:
    """Two models that were scored elsewhere on one suite, and were never held against each other."""
    on: dict[str, list[str]] = {}
    for manifest in brought_in(workspace):
        models = on.setdefault(str(manifest["suite"]), [])
        models[:] = [*(each for each in models if each != manifest["model"]), str(manifest["model"])]
    gates = workspace.catalog.artefacts("gate")
    held = {frozenset((str(gate.get("challenger")), str(gate.get("champion")))) for gate in gates}
    pairs = {tuple(models[-2:]): suite for suite, models in on.items() if len(models) > 1}
    return [
        f"clw gate {new} --against {old}   (both have imported scores on {suite})"
        for (old, new), suite in pairs.items()
        if frozenset((old, new)) not in held
    ]


def _set_to_train(workspace: Workspace, ids: list[str]) -> str:
    """The newest training set of the name in `[training]`, else the newest."""
    names = [each.removeprefix("training_set:") for each in ids]
    own = [each for each in names if each.partition("@")[0] == workspace.settings.training.name]
    return (own or names)[-1]


def _of_forget(workspace: Workspace) -> list[str]:
    """A forget that was interrupted, and what the policy no longer keeps."""
    steps = ["clw forget   (one was interrupted: this ends it)"] if workspace.forgetting else []
    if n := due(workspace):
        steps.append(f"clw forget --retention   ({n:,} rows are older than [policy] retention)")
    return steps


def _of_budget(account: Budget) -> list[str]:
    spent = ", ".join(account.stopped)
    return [f"wait, or raise [budget] in clw.toml: nothing is left for {spent}"] if spent else []


def _of_alerts(workspace: Workspace) -> list[str]:
    """What stood when `clw alert` was run last."""
    found = [f"{each.alert['rule']} since {each.opened_at:%Y-%m-%d}" for each in standing(workspace.catalog)]
    return [f"clw alert --dry-run   (stands: {', '.join(found)})"] if found else []


def _of_outcomes(workspace: Workspace) -> list[str]:
    """Feedback that no outcome rule uses, by name, where answers have no other outcome."""
    rules = workspace.settings.outcomes
    used = {name for rule in rules for name in (*rule.negative, *rule.positive, *([rule.score] if rule.score else []))}
    steps = _of_zeros(workspace)
    judging = pl.col("kind").is_in(["outcome", "correction", "rating"]) & ~pl.col("name").is_in(used)
    named = workspace.scan("feedback").filter(judging).group_by("name").len("n").sort("n", descending=True).collect()
    if named.is_empty():
        return steps
    shown = ", ".join(f"{name} ({n:,})" for name, n in named.head(5).iter_rows())
    return [*steps, f"[outcomes] in clw.toml: no rule uses the feedback named {shown}"]


def _of_zeros(workspace: Workspace) -> list[str]:
    """Scores from 0 to 1 that a rule reads by their sign: what is 0, and so often bad, counts for nothing."""
    by_sign = {r.score: r.name for r in workspace.settings.outcomes if r.good_from is None and r.bad_from is None}
    scores = workspace.scan("feedback").filter(pl.col("name").is_in([name for name in by_sign if name]))
    of = scores.group_by("name").agg(zeros=(pl.col("score") == 0).sum(), least=pl.col("score").min(), n=pl.len())
    trapped = of.filter(pl.col("zeros") > 0, pl.col("least") >= 0).sort("name").collect()
    return [
        f"[outcomes] {by_sign[row['name']]} in clw.toml: {row['zeros']:,} of {row['n']:,} scores are 0, which says"
        " nothing, and none is below; where 0 is bad, add good_from = 0.5"
        for row in trapped.iter_rows(named=True)
    ]


def _of_spool(spool: Path) -> list[str]:
    """What capture and serve received and nobody has ingested yet, or could not read."""
    steps = []
    if waiting := [log for log in spool.glob("*.log") if holds_something(log)]:
        steps.append(f"clw capture   ({len(waiting)} logs wait in spool/: it ingests them while it runs)")
    if served := [log for log in spool.glob("*/*.log") if holds_something(log)]:
        steps.append(f"clw serve   ({len(served)} logs of its answers wait in spool/: it ingests them while it runs)")
    if unread := [file for file in (spool / "unread").glob("*") if file.is_file()]:
        steps.append(f"look into spool/unread/: {len(unread)} files of what was received could not be read whole")
    return steps
