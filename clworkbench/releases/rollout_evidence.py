"""What a rollout has shown so far: outcomes, errors, latency, length and cost of both arms, with bounds for every look.

What is analysed: conversations, each once. Its arm is that of its first answer, whatever answered later. Errors,
latency, length and cost are those of the first answer: they are there at once, never change, and no arm can yet have
changed how the conversation went on. The outcome is the mean of its settled outcomes, once none of its answers is
pending; what is said in it after that no longer counts. Rows are taken in the order in which they became known.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.schemas import TimestampUtc
from clworkbench.settings.rollout import RolloutSettings
from clworkbench.statistics.sequential import Booleans, Floats, Totals, bounded, totals

CONVERSATIONS = pl.Schema(
    {
        "conversation_id": pl.String(),
        "arm": pl.String(),
        "propensity": pl.Float64(),
        "stage": pl.String(),
        "answered_at": TimestampUtc,
        "settled_at": TimestampUtc,
        "outcome": pl.Float64(),
        "error": pl.Float64(),
        "latency_ms": pl.Float64(),
        "n_output_tokens": pl.Float64(),
        "cost_usd": pl.Float64(),
    }
)
"""One row for each conversation that a stage shared out: see the module for what is analysed.

`arm` is `champion` or `challenger`; `propensity` the chance of the challenger when the arm was drawn; `stage` the one
that drew it; `settled_at` and `outcome` (0 to 1, 1 is good) are null while it is pending; `error` is 1 where the first
answer failed.
"""

CHECKS = pl.Schema(
    {
        "name": pl.String,
        "n_champion": pl.Int64,
        "n_challenger": pl.Int64,
        "champion": pl.Float64,
        "challenger": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "allowed": pl.Float64,
        "verdict": pl.String,
        "says": pl.String,
    }
)
"""One row for each guardrail: means of both arms, challenger minus champion with bounds that hold at every look, how
much worse is `allowed`, and a verdict: `violated` (shown worse than that), `open`, `unmeasured` (`says` why).

Of latency, length and cost the difference is a share of the champion's mean, values cut off where `cut_off` says; the
champion's mean in it is the one seen, the verdict does not rest on it.
"""

REFERENCE = 50
"""The champion's first conversations, by which a long value is cut off; they are not analysed for it."""


class Watched(NamedTuple):
    """What a guardrail looks at: its column, when that is known, and whether it is held as a share of the champion's.

    Load moves what `restarts`: it is looked at for each stage anew.
    """

    name: str
    column: str
    known: str
    relative: bool
    restarts: bool


WATCHED = (
    Watched("outcome", "outcome", "settled_at", relative=False, restarts=False),
    Watched("errors", "error", "answered_at", relative=False, restarts=True),
    Watched("latency", "latency_ms", "answered_at", relative=True, restarts=True),
    Watched("length", "n_output_tokens", "answered_at", relative=True, restarts=True),
    Watched("cost", "cost_usd", "answered_at", relative=True, restarts=True),
)


class Arms(NamedTuple):
    """Rows of both arms in the order in which they became known, as `statistics.sequential.totals` takes them."""

    values: Floats
    challenger: Booleans
    propensity: Floats


def checked(conversations: pl.DataFrame) -> pl.DataFrame:
    """The rows as `CONVERSATIONS` has them.

    Raises:
        EvidenceError: columns are missing, a conversation stands twice, or a value means nothing.
    """
    missing = [name for name in CONVERSATIONS if name not in conversations.columns]
    if missing:
        raise EvidenceError(f"rollout: no column {missing[0]!r} among {conversations.columns}.")
    rows = conversations.select(list(CONVERSATIONS)).cast(CONVERSATIONS)
    share = pl.col("outcome", "error").fill_null(0)
    amount = pl.col("latency_ms", "n_output_tokens", "cost_usd").fill_null(0)
    wrong = {
        "arm is neither 'champion' nor 'challenger'": ~pl.col("arm").is_in(["champion", "challenger"]),
        "propensity does not lie between 0 and 1": ~pl.col("propensity").is_between(0, 1, closed="none"),
        "outcome or error does not lie within 0 and 1": ~pl.all_horizontal(share.is_between(0, 1)),
        "latency, length or cost is no number of 0 or more": ~pl.all_horizontal(amount.is_finite() & (amount >= 0)),
        "answered_at is missing": pl.col("answered_at").is_null(),
        "outcome is there without settled_at, or settled_at without outcome": pl.col("outcome").is_null()
        != pl.col("settled_at").is_null(),
    }
    for says, where in wrong.items():
        if found := rows.filter(where.fill_null(value=True)).height:
            raise EvidenceError(f"rollout: {found:,} of {rows.height:,} conversations: {says}.")
    if twice := rows.height - rows["conversation_id"].n_unique():
        raise EvidenceError(f"rollout: {twice:,} conversations stand twice. Each counts once, by its first answer.")
    return rows


def alpha_of(watched: Watched, settings: RolloutSettings) -> float:
    """A guardrail's part of the chance of a wrong way back (Bonferroni).

    Outcomes, which take longest to show harm, have half of it. The others share the rest, and divide theirs by stages.
    """
    if not watched.restarts:
        return settings.alpha / 2
    return settings.alpha / 2 / (len(WATCHED) - 1) / len(settings.stages)


def outcomes(rows: pl.DataFrame) -> Arms:
    """Settled outcomes of all stages, in the order in which they settled."""
    return _arms(_known(rows, WATCHED[0]), pl.col("outcome"))


def checks(rows: pl.DataFrame, stage: str, settings: RolloutSettings) -> pl.DataFrame:
    """Every guardrail's evidence and verdict (`CHECKS`)."""
    found = [_check(rows, watched, stage, settings) for watched in WATCHED]
    return pl.DataFrame(found, schema=CHECKS, orient="row")


def _check(rows: pl.DataFrame, watched: Watched, stage: str, settings: RolloutSettings) -> dict[str, object]:
    allowed = float(getattr(settings.guardrails, watched.name))
    known, cap, says = _known(rows, watched), None, ""
    if watched.relative:
        known, cap, says = _after_reference(known, watched.column, allowed)
    if watched.restarts:
        known = known.filter(stage=stage)
    sides = dict(known.group_by("arm").agg(n=pl.len(), mean=pl.col(watched.column).mean()).rows_by_key("arm"))
    (n_champion, champion), (n_challenger, challenger) = (
        sides.get(arm, [(0, None)])[0] for arm in ("champion", "challenger")
    )
    row: dict[str, object] = {
        "name": watched.name, "n_champion": n_champion, "n_challenger": n_challenger, "champion": champion,
        "challenger": challenger, "allowed": allowed, "verdict": "unmeasured", "says": says,
    }  # fmt: skip
    if says or not (n_champion and n_challenger):
        return row | {"says": says or _nobody(known, watched)}
    found = totals(*_arms(known, _scaled(watched.column, allowed, cap)), after=np.array([known.height - 1]))
    return row | _judged(found, watched, allowed, settings, _relative(known, watched.column, allowed, cap))


def _judged(
    found: Totals, watched: Watched, allowed: float, settings: RolloutSettings, in_units: tuple[float, float]
) -> dict[str, object]:
    alpha = alpha_of(watched, settings)
    # The lower bound of outcomes is what a stage is passed by: it has an error rate of its own.
    low_alpha = settings.alpha if watched.name == "outcome" else alpha
    scale, shift = in_units
    estimate, low, high = (float(each[0]) * scale + shift for each in bounded(found, low_alpha, alpha))
    worse = high < -allowed if watched.name == "outcome" else low > allowed
    return {
        "difference": estimate, "low": low, "high": high,
        "verdict": "violated" if worse else "open",
        "says": "",
    }  # fmt: skip


def _known(rows: pl.DataFrame, watched: Watched) -> pl.DataFrame:
    return rows.drop_nulls([watched.column, watched.known]).sort(watched.known, "conversation_id")


def _nobody(known: pl.DataFrame, watched: Watched) -> str:
    lacking = " or ".join(arm for arm in ("champion", "challenger") if arm not in set(known["arm"]))
    return f"no conversation of the {lacking} has a known {watched.column} yet"


def _after_reference(known: pl.DataFrame, column: str, allowed: float) -> tuple[pl.DataFrame, float | None, str]:
    """The rows after the champion's first ones, and where values are cut off by them; or why there is no telling."""
    ours = pl.col("arm") == "champion"
    first = known.filter(ours)[column].head(REFERENCE)
    if known.is_empty():
        return known, None, ""
    if len(first) < REFERENCE:
        says = f"the champion's first {REFERENCE} conversations say what is long, and there are {len(first)}"
        return known.clear(), None, says
    cap = cut_off(first, allowed)
    if cap == 0:
        return known.clear(), None, "the champion's is 0: no share can be taken of it"
    counted = ours.cum_sum()
    return known.filter((counted > REFERENCE) | ((counted == REFERENCE) & ~ours)), cap, ""


def cut_off(first: pl.Series, allowed: float) -> float:
    """Twice the 95 % quantile of the champion's first values, times what is allowed: tails have no say beyond it.

    Twice, so that values which hardly vary leave room for more than what is allowed.
    """
    return 2 * (1 + allowed) * float(first.quantile(0.95, interpolation="linear") or 0.0)


def _scaled(column: str, allowed: float, cap: float | None) -> pl.Expr:
    """The value within 0 and 1; of what is held as a share, the champion's times what is allowed."""
    if cap is None:
        return pl.col(column)
    grown = pl.when(pl.col("arm") == "champion").then(pl.col(column) * (1 + allowed)).otherwise(column)
    return grown.clip(upper_bound=cap) / cap


def _relative(known: pl.DataFrame, column: str, allowed: float, cap: float | None) -> tuple[float, float]:
    """What a difference of scaled values is in the guardrail's own unit: times the first, plus the second."""
    if cap is None:
        return 1.0, 0.0
    base = known.filter(arm="champion").select(_scaled(column, allowed, cap).mean()).item()
    return ((1 + allowed) / base if base > 0 else 0.0), allowed


def _arms(known: pl.DataFrame, value: pl.Expr) -> Arms:
    columns = known.select(value=value, challenger=pl.col("arm") == "challenger", propensity="propensity")
    return Arms(*(each.to_numpy() for each in columns))
