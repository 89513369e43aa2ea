"""A rollout's decisions: what has been shown, whether its stage goes on, is passed or sends back, and what is missing.

Two errors are held, over all stages that answer and all looks together. A challenger within every guardrail is rolled
back with a chance of at most alpha: outcomes have half of it, the other guardrails share the rest (Bonferroni) and
split theirs among the stages, each of which they look at anew, since load moves them. A challenger that is worse than
the margins passes a stage with a chance of at most alpha: a stage is passed when the lower bound of the difference lies
above its margin's end, not when some number of conversations is reached, for a number shows nothing. Guardrails can
send back, not withhold; arms that are not as large as their chances say withhold.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Literal

import numpy as np
import polars as pl

from clworkbench.display.html import html_table
from clworkbench.errors import EvidenceError
from clworkbench.releases.arm_shares import mismatch
from clworkbench.releases.rollout_evidence import checked, checks, outcomes
from clworkbench.settings.rollout import RolloutSettings, StageSettings
from clworkbench.statistics.sequential import Totals, bounded, rows_needed, totals

Action = Literal["stay", "advance", "roll back", "close"]
SHADOW, FULL, BACK = "shadow", "full", "rolled back"


@dataclass(frozen=True, eq=False, repr=False)
class RolloutDecision:
    """What is to be done now, and why.

    Attributes:
        action: `stay`, `advance` to the next stage, `close` (the challenger is the champion), `roll back`.
        stage: where the rollout stands; `then` where it stands once this is done (`rolled back`: the champion alone).
        because: the reason, in a sentence.
        frame: what was looked at, a row each.
        missing: settled conversations that are still needed to pass the stage, were the arms alike (or as near to it
            as the bounds allow); 0 when enough, None when no number would do.
        due: when they may be there, at the rate of this stage; None when there is no telling.
        pending: conversations that are answered, and not settled.
    """

    action: Action
    stage: str
    then: str
    because: str
    frame: pl.DataFrame
    missing: int | None = None
    due: datetime | None = None
    pending: int = 0

    def __repr__(self) -> str:
        return f"RolloutDecision({self.action} at {self.stage}: {self.because})"

    def _repr_html_(self) -> str:
        rows = self.frame.with_columns(pl.col("verdict").str.replace("open", "not shown worse")).rows()
        head = f"<p><b>{escape(self.action)}</b> at {escape(self.stage)}: {escape(self.because)}.</p>"
        return f"<div>{head}{html_table([name.replace('_', ' ') for name in self.frame.columns], rows)}</div>"

    def as_dict(self) -> dict[str, object]:
        """Ready for JSON, and for the record of why a stage ended: all of the above, and `checks`."""
        return {
            "action": self.action,
            "stage": self.stage,
            "then": self.then,
            "because": self.because,
            "missing": self.missing,
            "due": None if self.due is None else self.due.isoformat(),
            "pending": self.pending,
            "checks": self.frame.to_dicts(),
        }


def stages(settings: RolloutSettings) -> list[str]:
    """The names of all stages in order: `shadow` unless skipped, the shares, `full`."""
    return [*([] if settings.shadow.skip else [SHADOW]), *(stage.name for stage in settings.stages), FULL]


def weights(stage: str, settings: RolloutSettings, *, champion: str, challenger: str) -> dict[str, float]:
    """Each model's share of new conversations at a stage, for `routing.arm_of`.

    Raises:
        EvidenceError: there is no such stage.
    """
    if stage in (SHADOW, BACK, FULL):
        return {champion: float(stage != FULL), challenger: float(stage == FULL)}
    share = _found(stage, settings).share
    return {champion: 1 - share, challenger: share}


def decide(
    conversations: pl.DataFrame, *, stage: str, began: datetime, now: datetime, settings: RolloutSettings
) -> RolloutDecision:
    """Whether a stage that answers goes on, is passed, or sends the challenger back.

    It may be asked as often as one likes; what was decided once stays decided (the caller keeps it).

    Args:
        conversations: all of the rollout so far (`rollout_evidence.CONVERSATIONS`), those of earlier stages too.
        stage: where the rollout stands, one of `stages` but `shadow` and `full`.
        began: when that stage began.
        now: what became known later is left out.
        settings: `[rollout]`.

    Raises:
        EvidenceError: there is no such stage, or the rows mean nothing.
    """
    asked, rows = _found(stage, settings), _as_known(checked(conversations), now)
    frame = checks(rows, stage, settings)
    pending = rows["outcome"].null_count()
    worse = frame.filter(verdict="violated")
    if worse.height:
        return RolloutDecision("roll back", stage, BACK, _worse(worse), frame, pending=pending)
    arms = outcomes(rows)
    seen = _last(totals(*arms)) if len(arms.values) else Totals(*np.zeros(3))
    missing = _missing(seen, asked, settings)
    due = _due(rows.filter(stage=stage), missing, pending, began, now, asked.at_least)
    passed = bool((frame.filter(name="outcome")["low"] > -asked.margin).fill_null(value=False).item())
    over = now >= began + asked.at_least
    then = stages(settings)[stages(settings).index(stage) + 1]
    if uneven := mismatch(rows):
        return RolloutDecision("stay", stage, stage, uneven, frame, pending=pending)
    if passed and over:
        because = f"outcomes are shown not worse by more than {_points(asked.margin)}, and no guardrail is violated"
        action: Action = "close" if then == FULL else "advance"
        return RolloutDecision(action, stage, then, because, frame, missing, due, pending)
    because = _waits(passed, missing, due, asked, began)
    return RolloutDecision("stay", stage, stage, because, frame, missing, due, pending)


def _found(stage: str, settings: RolloutSettings) -> StageSettings:
    for each in settings.stages:
        if each.name == stage:
            return each
    raise EvidenceError(
        f"rollout: no stage {stage!r} that answers. There: {', '.join(s.name for s in settings.stages)}."
    )


def _as_known(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """What was answered by then; what settled later is pending."""
    late = pl.col("settled_at") > now
    return rows.filter(pl.col("answered_at") <= now).with_columns(
        pl.when(~late.fill_null(value=False)).then(pl.col("settled_at", "outcome"))
    )


def _last(found: Totals) -> Totals:
    return Totals(*(each[-1] for each in found))


def _missing(seen: Totals, asked: StageSettings, settings: RolloutSettings) -> int | None:
    """As if the arms were alike from now on, or as near to it as the bounds allow."""
    one = Totals(*(np.array([float(each)]) for each in seen))
    _, low, high = (float(each[0]) for each in bounded(one, settings.alpha, settings.alpha))
    alike = min(max(0.0, low), high)
    return rows_needed(seen, margin=asked.margin, alpha=settings.alpha, share=asked.share, difference=alike)


FARTHEST = timedelta(days=3650)
"""What would take longer is not foretold."""


def _due(
    rows: pl.DataFrame, missing: int | None, pending: int, began: datetime, now: datetime, at_least: timedelta
) -> datetime | None:
    """When enough has settled: what is pending first, then what comes at the rate at which the stage was asked."""
    hours = (now - began) / timedelta(hours=1)
    if missing is None or (missing > 0 and (rows.is_empty() or hours <= 0)):
        return None
    delay = rows.select((pl.col("settled_at") - pl.col("answered_at")).median()).item() or timedelta(0)
    ahead = max(0, missing - pending) / (rows.height / hours) if missing > 0 else 0.0
    if ahead > FARTHEST / timedelta(hours=1):
        return None
    to_come = timedelta(hours=ahead)
    return max(began + at_least, now + to_come + (delay if missing > 0 else timedelta(0)))


def _worse(worse: pl.DataFrame) -> str:
    told = []
    for row in worse.iter_rows(named=True):
        points = row["name"] in ("outcome", "errors")
        low, high, allowed = ((_points if points else _percent)(row[name]) for name in ("low", "high", "allowed"))
        said = f"{high} at best" if row["name"] == "outcome" else f"{low} at least"
        limit = f"-{allowed}" if row["name"] == "outcome" and row["allowed"] else allowed
        told.append(f"{row['name']}: {said}, allowed {limit}")
    return f"shown worse than allowed ({'; '.join(told)})"


def _waits(passed: bool, missing: int | None, due: datetime | None, asked: StageSettings, began: datetime) -> str:  # noqa: FBT001
    margin = _points(asked.margin)
    if passed:
        until = moment(began + asked.at_least)
        return f"outcomes are shown not worse by more than {margin}; the stage lasts until {until}"
    if missing is None:
        return f"outcomes lie at the margin of {margin} or below: no number of conversations would show them above it"
    when = f", at this rate by {moment(due)}" if due else ""
    return f"{missing:,} settled conversations more would show outcomes not worse by more than {margin}{when}"


def moment(at: datetime) -> str:
    """A time as messages say it, in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _points(value: float) -> str:
    return f"{100 * value:.3g} points"


def _percent(value: float) -> str:
    return f"{value:+.0%}"
