"""A release goes out in stages: begun on its gate, looked at at any time, moved on or sent back on evidence."""

from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from clworkbench.display.html import html_table
from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.releases.conversations import conversations
from clworkbench.releases.rollout import (
    BACK,
    FULL,
    SHADOW,
    RolloutDecision,
    decide,
    moment,
    stages,
    weights,
)
from clworkbench.releases.rollout_course import course
from clworkbench.releases.shadow import decide_shadow
from clworkbench.releases.traffic import SHADOW_OPERATION, arms, fact, shadowed
from clworkbench.settings import RolloutSettings, settings_dict
from clworkbench.signals.view import last_said
from clworkbench.workspace import Workspace
from clworkbench.workspace import rollouts as record
from clworkbench.workspace.catalog import now as clock
from clworkbench.workspace.rollouts import Rollout, StageEvent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

NONE_YET = "No release went out in stages yet: clw release RUN --staged begins, once its gate says promote."

LOOKS = 200
"""Moments that the picture shows at most."""


def rules_of(rollout: Rollout) -> RolloutSettings:
    """`[rollout]` as it stood when this rollout began."""
    return msgspec.convert(dict(rollout.rules), RolloutSettings)


def shares(rollout: Rollout) -> dict[str, float]:
    """By model, its share of new conversations."""
    return weights(rollout.stage, rules_of(rollout), champion=rollout.champion, challenger=rollout.release)


def begin(workspace: Workspace, release: str, champion: str, at: datetime | None = None) -> Rollout:
    """Writes the start of a release's rollout down; the caller holds the lease `release`.

    Raises:
        ArtefactError: another one goes on.
    """
    if (other := record.current_rollout(workspace.catalog)) is not None:
        raise ArtefactError(goes_on(other))
    rules = workspace.settings.rollout
    earlier = len(record.rollouts(workspace.catalog))
    record.begin(
        workspace.catalog,
        release,
        champion,
        stage=stages(rules)[0],
        rules=settings_dict(rules),
        salt=bytes.fromhex(workspace.pseudonyms.id("rollout", release, str(earlier))),
        at=at or clock(),
    )
    return current(workspace)


def goes_on(rollout: Rollout) -> str:
    """Why nothing else is released meanwhile, in words."""
    return (
        f"a rollout goes on: {rollout.release} at {rollout.stage}, since {moment(rollout.stage_began)}.\n"
        "See `clw rollout status`; `clw rollback` ends it, `clw rollout advance` moves it on."
    )


def current(workspace: Workspace) -> Rollout:
    """The rollout that goes on.

    Raises:
        EvidenceError: none does.
    """
    found = record.current_rollout(workspace.catalog)
    if found is None:
        raise EvidenceError(
            "no rollout goes on. Begin one with `clw release RUN --staged`: its gate must say promote.\n"
            "`clw status` says what serves."
        )
    return found


@dataclass(frozen=True, repr=False, eq=False)
class RolloutStatus:
    """Where a rollout stands.

    Attributes:
        rollout: its record; ended ones too.
        decision: what a look at the evidence says now; of one that has ended, None.
        rows: its conversations (`rollout_evidence.CONVERSATIONS`); of the shadow stage none.
        left_out: answers of its models that name no stage (a model was asked for by name, or another server answered).
    """

    rollout: Rollout
    decision: RolloutDecision | None
    rows: pl.DataFrame
    left_out: int

    def __repr__(self) -> str:
        return f"RolloutStatus({self.rollout.release} at {self.rollout.stage}: {self.says})"

    def _repr_html_(self) -> str:
        where = {FULL: "serves alone", BACK: "was rolled back"}.get(self.rollout.stage, f"at {self.rollout.stage}")
        head = f"<p><b>{escape(self.rollout.release)}</b> {escape(where)}: {escape(self.says)}.</p>"
        rows = self.events.with_columns(pl.col("began", "ended").dt.strftime("%Y-%m-%d %H:%M")).rows()
        stages_ = html_table([name.replace("_", " ") for name in self.events.columns], rows)
        told = self.decision._repr_html_() if self.decision else ""
        return f"<div style='margin-bottom:1.5em'>{head}{stages_}{told}</div>"

    @property
    def says(self) -> str:
        """The evidence in a sentence, or how it ended."""
        return self.rollout.events[-1].why if self.decision is None else self.decision.because

    @property
    def frame(self) -> pl.DataFrame:
        """What was looked at, a row each (`rollout_evidence.CHECKS`)."""
        from clworkbench.releases.rollout_evidence import CHECKS

        return pl.DataFrame(schema=CHECKS) if self.decision is None else self.decision.frame

    @property
    def events(self) -> pl.DataFrame:
        """The stages so far: `stage`, `began`, `margin`, and how each ended (`action`, `ended`, `why`)."""
        events, rules = self.rollout.events, rules_of(self.rollout)
        margins = {stage.name: stage.margin for stage in rules.stages}
        rows = [
            {
                "stage": event.stage,
                "began": event.at,
                "margin": margins.get(event.stage),
                "action": None if after is None else after.action,
                "ended": None if after is None else after.at,
                "why": None if after is None else after.why,
            }
            for event, after in zip(events, [*events[1:], None], strict=True)
            if event.stage not in (FULL, BACK)
        ]
        times = {"began": pl.Datetime("us", "UTC"), "ended": pl.Datetime("us", "UTC")}
        texts = {"stage": pl.String, "action": pl.String, "why": pl.String, "margin": pl.Float64}
        return pl.DataFrame(rows, schema_overrides={**times, **texts})

    def plot(self) -> "Figure":
        """Both arms over time with bounds that hold at every look, the stages, and what was decided."""
        from clworkbench.display.rollout_figure import rollout_figure

        found = course(self.rows, _looks(self.rows), rules_of(self.rollout))
        return rollout_figure(found, self.events.drop("why"), title=f"{self.rollout.release}: the rollout")

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw rollout status --json`."""
        rollout = self.rollout
        serving = rollout.release if rollout.stage == FULL else rollout.champion
        return {
            "release": rollout.release,
            "stage": rollout.stage,
            "weights": {model: share for model, share in shares(rollout).items() if share or not rollout.ended},
            "champion": serving,
            "began": rollout.began.isoformat(),
            "stage_began": rollout.stage_began.isoformat(),
            "decision": None if self.decision is None else self.decision.as_dict(),
            "left_out": self.left_out,
            "events": [
                {"stage": e.stage, "at": e.at.isoformat(), "action": e.action, "why": e.why} for e in rollout.events
            ],
        }


def rollout(workspace: Workspace, *, at: datetime | None = None) -> RolloutStatus:
    """Where the present rollout stands, or how the last one ended; nothing is decided by looking.

    Args:
        workspace: whose.
        at: the moment on the events' clock, for simulations; now when None.

    Raises:
        EvidenceError: there never was one.
    """
    found = record.rollouts(workspace.catalog)
    if not found:
        current(workspace)
    last = found[-1]
    rows, left_out = _rows(workspace, last, at)
    decision = None if last.ended else _decision(workspace, last, rows, at)
    return RolloutStatus(last, decision, rows, left_out)


def all_rollouts(workspace: Workspace) -> list[RolloutStatus]:
    """Those that ended, with their traffic, in order."""
    ended = [each for each in record.rollouts(workspace.catalog) if each.ended]
    return [RolloutStatus(each, None, *_rows(workspace, each, None)) for each in ended]


@dataclass(frozen=True, repr=False, eq=False)
class Rollouts:
    """All rollouts of a workspace, the first at the start; it may be that there was none."""

    all: tuple[RolloutStatus, ...]

    def __repr__(self) -> str:
        return (
            f"Rollouts({', '.join(f'{each.rollout.release} at {each.rollout.stage}' for each in self.all) or 'none'})"
        )

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in reversed(self.all)) or f"<p>{NONE_YET}</p>"

    @property
    def frame(self) -> pl.DataFrame:
        """The stages of all, a row each: `release`, and the columns of `RolloutStatus.events`."""
        stages_ = [each.events.select(pl.lit(each.rollout.release).alias("release"), pl.all()) for each in self.all]
        return pl.concat(stages_, how="vertical_relaxed") if stages_ else pl.DataFrame()

    def plot(self) -> "Figure":
        """The last one's picture."""
        from clworkbench.display.figures import words_figure

        return self.all[-1].plot() if self.all else words_figure(NONE_YET, title="Rollouts")


def rollouts(workspace: Workspace, *, at: datetime | None = None) -> Rollouts:
    """All rollouts, ended ones too; nothing is decided by looking.

    Args:
        workspace: whose.
        at: as `rollout` has it.
    """
    ended = all_rollouts(workspace)
    goes_on_ = record.current_rollout(workspace.catalog) is not None
    return Rollouts((*ended, rollout(workspace, at=at)) if goes_on_ else tuple(ended))


def look(workspace: Workspace, *, at: datetime | None = None) -> RolloutStatus:
    """Looks at the evidence and does what it says: stay, go on to the next stage, close, or roll back.

    It may be called at any time and by several at once; what was decided once stays decided.

    Args:
        workspace: whose rollout.
        at: as `rollout` has it.

    Raises:
        EvidenceError: no rollout goes on.
    """
    with workspace.lease("release", "rollout", wait_s=60):
        found = current(workspace)
        rows, left_out = _rows(workspace, found, at)
        decision = _decision(workspace, found, rows, at)
        if decision.action != "stay":
            _enter(workspace, found, decision.then, decision.action, decision.because, decision.as_dict(), at)
    return RolloutStatus(record.rollouts(workspace.catalog)[-1], decision, rows, left_out)


def advance(workspace: Workspace, why: str, *, force: bool = False, at: datetime | None = None) -> RolloutStatus:
    """Goes on to the next stage because a person says so; it is recorded as theirs, with what the evidence said.

    Args:
        workspace: whose rollout.
        why: their reason.
        force: also where a guardrail is violated.
        at: as `rollout` has it.

    Raises:
        EvidenceError: no rollout goes on, no reason is given, or the challenger is shown worse than a guardrail allows.
    """
    if not why.strip():
        raise EvidenceError("say why: clw rollout advance --why TEXT. It is kept with the release.")
    with workspace.lease("release", "rollout", wait_s=60):
        found = current(workspace)
        rows, left_out = _rows(workspace, found, at)
        decision = _decision(workspace, found, rows, at)
        if decision.action == "roll back" and not force:
            raise EvidenceError(f"{found.release}: {decision.because}.\n`clw rollback` sends it back; --force goes on.")
        names = stages(rules_of(found))
        then = names[names.index(found.stage) + 1]
        action = "close" if then == FULL else "advance"
        told = {"by": "a person", "forced": force, **decision.as_dict()}
        _enter(workspace, found, then, action, f"a person: {why.strip()}", told, at)
    return RolloutStatus(record.rollouts(workspace.catalog)[-1], decision, rows, left_out)


def send_back(workspace: Workspace, why: str, *, at: datetime | None = None) -> Rollout:
    """Ends the rollout with the champion alone; the caller holds the lease `release`. No evidence is waited for."""
    found = current(workspace)
    _enter(workspace, found, BACK, "roll back", why, {"by": "a person"}, at)
    return record.rollouts(workspace.catalog)[-1]


def _enter(
    workspace: Workspace,
    found: Rollout,
    then: str,
    action: str,
    why: str,
    detail: dict[str, object],
    at: datetime | None,
) -> None:
    """The stage and, at the end, the champion: together, or not at all."""
    when = max(at or clock(), found.stage_began)
    with workspace.catalog.transaction():
        record.enter(workspace.catalog, found.release, StageEvent(then, when, action, why, detail))
        if then == FULL:
            workspace.catalog.set_champion(found.release, f"its rollout was closed: {why}")
        if then == BACK:
            workspace.catalog.note_withdrawn(found.release, found.champion)


def _decision(workspace: Workspace, found: Rollout, rows: pl.DataFrame, at: datetime | None) -> RolloutDecision:
    rules, moment_ = rules_of(found), at or clock()
    if found.stage == SHADOW:
        return decide_shadow(_shadowed(workspace, found), began=found.stage_began, now=moment_, settings=rules)
    return decide(rows, stage=found.stage, began=found.stage_began, now=moment_, settings=rules)


def _rows(workspace: Workspace, found: Rollout, at: datetime | None) -> tuple[pl.DataFrame, int]:
    """The rollout's conversations, and how many answers of its models were no part of it."""
    signals = workspace.signals(as_of=at, event_time=at is not None)
    theirs = signals.filter(
        pl.col("release_id").is_in([found.release, found.champion]), pl.col("started_at") >= found.began
    )
    mine = theirs.filter(fact("clw.rollout") == found.release)
    failed = _interactions(workspace, found, pl.col("error").is_not_null()).join(
        signals.select("interaction_id"), on="interaction_id", how="anti"
    )
    said = workspace.voices(as_of=at, event_time=at is not None).select("interaction_id", "name", "at")
    rules = workspace.settings.outcomes
    answers = arms(mine, failed, said.join(mine.select("interaction_id"), on="interaction_id", how="semi"), rules)
    return conversations(answers), theirs.height - mine.height


def _interactions(workspace: Workspace, found: Rollout, which: pl.Expr) -> pl.DataFrame:
    """Rows of the table, signals or not, that this rollout's server wrote: the latest version of each."""
    rows = workspace.scan("interactions").filter(
        which, pl.col("started_at") >= found.began, fact("clw.rollout") == found.release
    )
    return rows.collect().unique("interaction_id", keep="last", maintain_order=True)


def _shadowed(workspace: Workspace, found: Rollout) -> pl.DataFrame:
    rows = _interactions(workspace, found, fact("clw.stage") == SHADOW).with_columns(
        said=last_said("output", "assistant"), shadow_of=fact("clw.shadow_of")
    )
    columns = ("source_id", "conversation_id", "started_at", "said", "error", "latency_ms", "shadow_of")
    silent = pl.col("operation") == SHADOW_OPERATION
    sent, shadow = (rows.filter(each).select(columns) for each in (~silent, silent))
    return shadowed(sent.drop("shadow_of"), shadow.drop("source_id", "conversation_id", "started_at"))


def _looks(rows: pl.DataFrame) -> pl.Series:
    """The moments at which something settled, thinned out."""
    settled = rows["settled_at"].drop_nulls().unique().sort()
    return settled.gather_every(max(1, -(-len(settled) // LOOKS)))
