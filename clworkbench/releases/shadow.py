"""The shadow stage's decision: both answer, the champion's answer is sent, and nobody is hurt by what is learned.

Outcomes say nothing here, for nobody sees the challenger's answers. What must be shown is that they agree with the
champion's as far as asked, that no more of them fail and that they take no longer than the guardrails allow: each at a
one-sided alpha, all of them needed (an intersection-union test, which needs no correction). What is shown to be
otherwise ends the rollout: each at a third of alpha.
"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.releases.rollout import BACK, SHADOW, RolloutDecision, moment, stages
from clworkbench.releases.rollout_evidence import CHECKS, REFERENCE, cut_off
from clworkbench.schemas import TimestampUtc
from clworkbench.settings.rollout import RolloutSettings
from clworkbench.statistics.sequential import Floats, mean_sequence

SHADOWED = pl.Schema(
    {
        "conversation_id": pl.String(),
        "answered_at": TimestampUtc,
        "agreement": pl.Float64(),
        "champion_error": pl.Float64(),
        "challenger_error": pl.Float64(),
        "champion_ms": pl.Float64(),
        "challenger_ms": pl.Float64(),
    }
)
"""One row for each conversation whose first message both answered.

`agreement` (0 to 1) is how far the answers agree, null where one failed; errors are 1 where an answer failed;
`champion_ms` and `challenger_ms` are latencies, null where unknown.
"""


def decide_shadow(
    shadowed: pl.DataFrame, *, began: datetime, now: datetime, settings: RolloutSettings
) -> RolloutDecision:
    """Whether the shadow stage goes on, is passed, or ends the rollout.

    Args:
        shadowed: all conversations shadowed so far (`SHADOWED`).
        began: when the stage began.
        now: what was answered later is left out.
        settings: `[rollout]`.

    Raises:
        EvidenceError: the rows mean nothing.
    """
    rows = _checked(shadowed).filter(pl.col("answered_at") <= now).sort("answered_at", "conversation_id")
    frame = pl.DataFrame([_agreement(rows, settings), _errors(rows, settings), _latency(rows, settings)], schema=CHECKS)
    if worse := frame.filter(verdict="violated")["name"].to_list():
        because = f"shown worse than allowed in the shadow ({', '.join(worse)})"
        return RolloutDecision("roll back", SHADOW, BACK, because, frame)
    until = began + settings.shadow.at_least
    if waiting := frame.filter(verdict="open")["name"].to_list():
        return RolloutDecision("stay", SHADOW, SHADOW, f"not shown yet: {', '.join(waiting)}", frame)
    if unknown := frame.filter(pl.col("name") != "latency", verdict="unmeasured")["name"].to_list():
        return RolloutDecision("stay", SHADOW, SHADOW, f"unmeasured yet: {', '.join(unknown)}", frame)
    if now < until:
        because = f"{_met(frame)}; the stage lasts until {moment(until)}"
        return RolloutDecision("stay", SHADOW, SHADOW, because, frame)
    then = stages(settings)[1]
    return RolloutDecision("advance", SHADOW, then, _met(frame), frame, missing=0)


def _met(frame: pl.DataFrame) -> str:
    """What is shown, and no more: a latency need not be known."""
    latency = frame.row(by_predicate=pl.col("name") == "latency", named=True)
    if latency["verdict"] == "unmeasured":
        return f"agreement and errors are as asked (latency: {latency['says']})"
    return "agreement, errors and latency are as asked"


def _checked(shadowed: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in SHADOWED if name not in shadowed.columns]
    if missing:
        raise EvidenceError(f"shadow: no column {missing[0]!r} among {shadowed.columns}.")
    rows = shadowed.select(list(SHADOWED)).cast(SHADOWED)
    shares = pl.col("agreement", "champion_error", "challenger_error").fill_null(0).is_between(0, 1)
    times = pl.col("champion_ms", "challenger_ms").fill_null(0)
    wrong = {
        "agreement or an error does not lie within 0 and 1": ~pl.all_horizontal(shares),
        "a latency is no number of 0 or more": ~pl.all_horizontal(times.is_finite() & (times >= 0)),
        "answered_at is missing": pl.col("answered_at").is_null(),
    }
    for says, where in wrong.items():
        if found := rows.filter(where.fill_null(value=True)).height:
            raise EvidenceError(f"shadow: {found:,} of {rows.height:,} conversations: {says}.")
    return rows


def _agreement(rows: pl.DataFrame, settings: RolloutSettings) -> dict[str, object]:
    known = rows["agreement"].drop_nulls().to_numpy()
    low, high = _bounds(known, settings.alpha, settings.alpha / 3)
    least = settings.shadow.agreement
    told = {"name": "agreement", "n_challenger": len(known), "low": low, "high": high, "allowed": least}
    if not len(known):
        return told | {"verdict": "unmeasured", "says": "no conversation was answered by both yet"}
    # Nothing below 0 can be shown: whoever asks for no agreement has it.
    verdict = "met" if low > least or least == 0 else "violated" if high < least else "open"
    return told | {"challenger": float(known.mean()), "verdict": verdict, "says": ""}


def _errors(rows: pl.DataFrame, settings: RolloutSettings) -> dict[str, object]:
    known = rows.drop_nulls(["champion_error", "challenger_error"])
    told = _paired(known, "champion_error", "challenger_error", settings)
    allowed = settings.guardrails.errors
    if not known.height:
        return {"name": "errors", "allowed": allowed, "verdict": "unmeasured", "says": "no answer yet"}
    return _held({"name": "errors", "allowed": allowed, **told}, allowed)


def _latency(rows: pl.DataFrame, settings: RolloutSettings) -> dict[str, object]:
    """Both cut off, and the champion's stretched by what is allowed, as the guardrail does it later."""
    known, allowed = rows.drop_nulls(["champion_ms", "challenger_ms"]), settings.guardrails.latency
    row: dict[str, object] = {"name": "latency", "allowed": allowed}
    if known.height <= REFERENCE:
        unknown = rows.height > known.height and not known.height
        says = "no latency is known" if unknown else f"{REFERENCE} conversations say what is long: {known.height} yet"
        return row | {"verdict": "unmeasured" if unknown else "open", "says": says}
    cap = cut_off(known["champion_ms"].head(REFERENCE), allowed)
    if cap == 0:
        return row | {"verdict": "unmeasured", "says": "the champion's is 0: no share can be taken of it"}
    rest = known.tail(-REFERENCE)
    stretched = (pl.col("champion_ms") * (1 + allowed)).clip(upper_bound=cap) / cap
    scaled = rest.with_columns(stretched, pl.col("challenger_ms").clip(upper_bound=cap) / cap)
    told = _held(row | _paired(scaled, "champion_ms", "challenger_ms", settings), 0.0)
    base = float(scaled["champion_ms"].mean() or 0.0)  # type: ignore[arg-type]
    grown = {
        name: (1 + allowed) * float(told[name]) / base + allowed if base else None  # type: ignore[arg-type]
        for name in ("difference", "low", "high")
    }
    means = rest.select(champion=pl.col("champion_ms").mean(), challenger=pl.col("challenger_ms").mean()).row(
        0, named=True
    )
    return told | grown | means


def _paired(rows: pl.DataFrame, champion: str, challenger: str, settings: RolloutSettings) -> dict[str, object]:
    """Challenger minus champion, conversation by conversation, of values within 0 and 1."""
    before, after = rows[champion].to_numpy(), rows[challenger].to_numpy()
    low, high = _bounds((after - before + 1) / 2, settings.alpha / 3, settings.alpha)
    return {
        "n_champion": rows.height,
        "n_challenger": rows.height,
        "champion": rows[champion].mean(),
        "challenger": rows[challenger].mean(),
        "difference": float((after - before).mean()) if rows.height else None,
        "low": 2 * low - 1,
        "high": 2 * high - 1,
    }


def _held(told: Mapping[str, object], allowed: float) -> dict[str, object]:
    low, high = told["low"], told["high"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    verdict = "met" if high <= allowed else "violated" if low > allowed else "open"
    return {**told, "verdict": verdict, "says": ""}


def _bounds(values: Floats, alpha_low: float, alpha_high: float) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    found = mean_sequence(values, alpha_low=alpha_low, alpha_high=alpha_high, after=np.array([len(values) - 1]))
    return float(found.low[0]), float(found.high[0])
