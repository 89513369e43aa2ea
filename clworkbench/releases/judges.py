"""Judges among the gates: one that was not measured against people may not gate, and a reader is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from clworkbench.releases.findings import Finding

UNCALIBRATED = "judge_uncalibrated"


@dataclass(frozen=True)
class JudgeStanding:
    """How a judge that gates ask about stands with people.

    Attributes:
        metric: `judge:NAME`.
        refused: why its scores may not gate, and the way out; None where they may.
        agreement: the artefact that keeps how far it agrees with people; None where nothing was measured.
        doubtful: slices of gates in which its agreement is not shown, and why.
        lost: labels behind that agreement which do not count any more.
    """

    metric: str
    refused: str | None
    agreement: str | None = None
    doubtful: dict[str, str] = field(default_factory=dict)
    lost: int = 0


def judge_findings(standings: Sequence[JudgeStanding]) -> list[Finding]:
    """What a reader must know of the judges: which may not gate, and in which slices nobody knows how they grade."""
    found = []
    for judge in standings:
        if judge.refused:
            detail = f"{judge.metric!r} may not gate, so its scores are not looked at: {judge.refused}"
            found.append(Finding(UNCALIBRATED, detail))
        found += [
            Finding(UNCALIBRATED, f"{judge.metric!r} in slice {name!r}: its agreement with people is not shown: {why}")
            for name, why in judge.doubtful.items()
        ]
    return found


def unheard(scores: pl.DataFrame, standings: Sequence[JudgeStanding]) -> pl.DataFrame:
    """Scores (`schemas.SCORES`) in which what such judges said is not known: their gates are then unmeasured."""
    refused = [judge.metric for judge in standings if judge.refused]
    return scores.with_columns(score=pl.when(~pl.col("scorer").is_in(refused)).then("score")) if refused else scores
