"""One turn of the loop, as far as it can go without a person; the next call goes on from there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from glob import glob
from pathlib import Path

import polars as pl

from clworkbench.candidates.select import Selection
from clworkbench.display.html import html_table
from clworkbench.display.progress import progress_bar
from clworkbench.errors import BudgetError, EvidenceError, ModelError
from clworkbench.loop import data
from clworkbench.loop.evals import model
from clworkbench.loop.labels.waiting import ask_in_argilla, bring_answers
from clworkbench.loop.releases import rules, ship
from clworkbench.loop.runs.begun import begun
from clworkbench.loop.runs.forgetting import forgetting
from clworkbench.loop.runs.train import train
from clworkbench.loop.should_train import Asked, learnable_of, learned_already, present_champion
from clworkbench.loop.signals import capture
from clworkbench.loop.signals.inbox import holds_something
from clworkbench.loop.training_sets import convert
from clworkbench.settings import OutcomeRule
from clworkbench.signals.outcomes import in_conflict, summary
from clworkbench.training_sets.reviewed import verdicts
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id
from clworkbench.workspace.rollouts import current_rollout

Say = Callable[[str, str], None]
"""Called with a step's name and a line about what it did and found."""


def quiet(_step: str, _line: str) -> None:
    """Nobody listens."""


@dataclass(repr=False)
class Cycle:
    """What one turn of the loop did, and what it waits for (None when it went all the way)."""

    steps: list[dict[str, str]] = field(default_factory=list)
    waits_for: str | None = None
    training_set: str | None = None
    run: str | None = None
    gate: str | None = None
    decision: str | None = None
    release: str | None = None

    def __repr__(self) -> str:
        end = f"waits for {self.waits_for}" if self.waits_for else f"released {self.release}"
        return f"Cycle({len(self.steps)} steps; {end})"

    def _repr_html_(self) -> str:
        rows = [(step["step"], step["says"]) for step in self.steps]
        return html_table(("step", "what it did and found"), [*rows, ("waits for", self.waits_for or "nothing")])

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw cycle --json`."""
        return dict(vars(self))


def cycle(
    workspace: Workspace,
    *,
    as_of: datetime | None = None,
    event_time: bool = False,
    full: bool = False,
    say: Say = quiet,
) -> Cycle:
    """Runs the loop: ingest, settle, select, label, build, train, evaluate, gate, release.

    It stops where a person must decide (labels wanted, gate on hold), where a release is going out in stages, where
    there is too little to learn or where the month's budget is spent, and says so. Every step is a no-op where nothing
    changed, so that a killed cycle goes on where it was.

    Args:
        workspace: whose loop.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.
        full: trains on all rows, from the base; else on what the champion has not learned and a share of what it has,
            from its weights. Whether it is worth it is not asked.
        say: told of each step in a line.
    """
    turn = Cycle()

    def tell(step: str, line: str) -> None:
        turn.steps.append({"step": step, "says": line})
        say(step, line)

    with workspace.lease("cycle", "cycle"):
        rules.check(workspace)
        _ingest(workspace, tell)
        found = workspace.signals(as_of=as_of, event_time=event_time)
        tell("signals", _outcomes(found, workspace.settings.outcomes))
        if found.is_empty():
            turn.waits_for = "signals: declare [sources] with `paths` in clw.toml, or `clw ingest PATH --source NAME`"
            return turn
        selection = data.choose(workspace, as_of=as_of, event_time=event_time)
        drawn = {reason: n for reason, n in selection.by_reason.items() if n}
        tell("select", f"{selection.frame.height:,} candidates: {_counts(drawn)}")
        if goes_out := current_rollout(workspace.catalog):
            turn.waits_for = f"the rollout of {goes_out.release}, at {goes_out.stage}: `clw rollout status`"
            return turn
        try:
            if wanted := _labels(workspace, selection, tell):
                turn.waits_for = wanted
                return turn
            _learn(workspace, turn, found, tell, as_of=as_of, event_time=event_time, full=full)
        except BudgetError as error:
            turn.waits_for = f"budget: {error}".rstrip(".")
    return turn


def _ingest(workspace: Workspace, tell: Say) -> None:
    for name, source in workspace.settings.sources.items():
        files = sorted(Path(path) for p in source.paths for path in glob(str(workspace.folder / p), recursive=True))
        files = [file for file in files if holds_something(file)]
        if not files:
            continue
        with progress_bar(f"ingest {name}") as advance:
            report = capture.ingest(workspace, files, name, advance=advance)
        left = f", {report.quarantined:,} quarantined" if report.quarantined else ""
        hidden = f"; redacted {_counts(report.redacted)}" if report.redacted else ""
        tell("ingest", f"{name}: {report.records:,} records, {report.new:,} new{left}{hidden}")


def _outcomes(found: pl.DataFrame, asked: Sequence[OutcomeRule]) -> str:
    """Signals by the state of their outcome."""
    state = summary(found, asked).row(-1, named=True)
    said = ", ".join(f"{state[name]:,} {name}" for name in ("positive", "negative", "pending"))
    conflicts = in_conflict(found, asked)
    return f"{found.height:,} signals: {said}{f'; {conflicts}' if conflicts else ''}"


def _labels(workspace: Workspace, selection: Selection, tell: Say) -> str | None:
    """Reads the reviewers' file, and what was answered in Argilla; returns what is still wanted."""
    settings = workspace.settings.labels
    path = workspace.folder / settings.file if settings.file else None
    if path and path.exists():
        found = data.import_labels(workspace, path)
        tell("labels", f"{path.name}: {found['new']} new, {found['known']} known, {found['rejected']} left out")
    if said := bring_answers(workspace):
        tell("labels", said)
    chosen, waiting = selection.frame["interaction_id"], selection.taken_out.get("drawn_before", 0)
    if not settings.wanted or not (len(chosen) or waiting) or _unlearned_labels(workspace):
        return None
    if path is None and (asked := ask_in_argilla(workspace)):
        return asked
    filled = path or workspace.folder / "labels.csv"
    if chosen.is_empty():
        sheets = workspace.folder / "to-label-*.csv"
        return f"labels: {waiting} candidates of earlier selections wait for one; fill in {sheets} and save as {filled}"
    blank = filled.with_name(f"to-label-{stable_id(chosen.sort().to_list())[:8]}.csv")
    if not blank.exists():
        data.write_candidates(workspace, selection, blank)
    way = "" if path else " (or start Argilla with `clw label serve`: the next cycle asks there)"
    return f"labels: fill in {blank} and save it as {filled}; then run `clw cycle` again{way}"


def _unlearned_labels(workspace: Workspace) -> bool:
    """Whether there are labels that the champion was not trained on: the next training has what it wants."""
    labels = verdicts(workspace.labels())["label_ids"].explode()
    serving = model.champion(workspace)
    sets = convert.training_sets_of(workspace, serving) if serving.startswith("release:") else []
    learned = {label for each in sets for label in workspace.rows(each)["label_ids"].explode()}
    return bool(set(labels) - learned)


def _learn(
    workspace: Workspace,
    turn: Cycle,
    found: pl.DataFrame,
    tell: Say,
    *,
    as_of: datetime | None,
    event_time: bool,
    full: bool,
) -> None:
    """Build; where it is worth it train, evaluate, gate, release."""
    serving = present_champion(workspace)
    parent = None if full else serving.run
    try:
        made = convert.build(workspace, as_of=as_of, event_time=event_time, learned_by=parent)
    except EvidenceError as error:
        turn.waits_for = str(error).rstrip(".")
        return
    turn.training_set = made.id
    tell("build", f"{made.id}: {made.built.frame.height:,} rows, {made.built.n_new:,} new; {_lost(made.built.dropped)}")
    known = learned_already(workspace, made.id, parent)
    if known is None and not full:
        learnable = learnable_of(made.built)._replace(begun=begun(workspace, made.id, parent))
        asked = Asked(workspace, serving, found, learnable, as_of, event_time=event_time)
        advice = asked.short()
        tell("should-train", f"{'yes' if advice.answer else 'no'}: {advice.because}")
        if not advice.answer:
            turn.waits_for = advice.waits_for
            return
    with progress_bar("train") as advance:
        run = train(workspace, made.id, parent=parent, advance=advance)
    turn.run = run.id
    losses = run.losses
    came_from = parent or run.manifest["base"]
    tell("train", f"{run.id}: {len(losses)} steps from {came_from}, loss {losses[0]:.2f} to {losses[-1]:.2f}")
    if run.id == serving.run:
        turn.waits_for = f"new rows: all that is known trains {serving.name}, which serves already"
        return
    if serving.run and run.id != known:
        tell("forgetting", _lost_lessons(workspace, run.id, serving.run))
    _ship(workspace, turn, tell, run.id, as_of if event_time else None)


def _lost_lessons(workspace: Workspace, run: str, before: str) -> str:
    """What the new run lost of what the champion had learned; it decides nothing."""
    try:
        return forgetting(workspace, run, before).said
    except (EvidenceError, ModelError) as error:
        return f"not measured: {error}".partition("\n")[0]


def _ship(workspace: Workspace, turn: Cycle, tell: Say, run: str, at: datetime | None) -> None:
    with progress_bar("evaluate") as advance:
        gated = ship.gate(workspace, run, advance=advance)
    turn.gate, turn.decision = gated.id, gated.report.decision
    verdicts = gated.report.gates.select("name", "verdict").iter_rows()
    tell("gate", f"{gated.report.decision}: " + ", ".join(f"{name} {verdict}" for name, verdict in verdicts))
    for kind, detail in gated.report.findings.iter_rows():
        tell("finding", f"{kind}: {detail}")
    if ship.was_rolled_back(workspace, run):
        turn.waits_for = f"a person: {run} was released and rolled back. To ship it all the same: `clw release {run}`"
        return
    if gated.report.decision != "promote":
        turn.waits_for = f"a person: the gate says {gated.report.decision}. See `clw gate {run}`"
        return
    staged = workspace.settings.rollout.staged
    released = ship.release(workspace, run, staged=staged, at=at)
    turn.release = released.id
    if staged:
        tell("release", f"{released.id} goes out, at {released.stage}; {released.champion} serves beside it")
        return
    tell("release", f"{released.id} serves now, in place of {released.manifest['replaces']}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"


def _lost(dropped: dict[str, int]) -> str:
    return "dropped " + _counts({reason: n for reason, n in dropped.items() if n})
