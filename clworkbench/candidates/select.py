"""Candidates by named reasons: failures, human overrides, low confidence and a random share, within quotas."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from html import escape

import polars as pl

from clworkbench.errors import SettingsError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import TimestampUtc

DEFAULT: Mapping[str, float] = {
    "failure": 0.4,
    "human_override": 0.3,
    "low_confidence": 0.2,
    "random": 0.05,
    "held_for_review": 0.05,
}
"""Shares of n. What a reason cannot fill goes to the random share, and so does what the shares leave over."""

_PARTS = {"failure": 0, "human_override": 8, "low_confidence": 16, "random": 24, "held_for_review": 4}
"""Where each reason's eight digits of a keyed hash begin: with one order for all, those that one share left behind
would come last in the next."""


@dataclass(frozen=True)
class Selection:
    """The signals chosen, with every reason that spoke for each.

    Attributes:
        frame: rows of `schemas.CANDIDATES` without `batch_id`, the most urgent first.
        by_reason: how many were chosen for each reason first; it adds up to the rows.
        n_signals: how many they were chosen from.
    """

    frame: pl.DataFrame
    by_reason: dict[str, int]
    n_signals: int

    def __repr__(self) -> str:
        reasons = ", ".join(f"{name} {n:,}" for name, n in self.by_reason.items())
        return f"Selection({self.frame.height:,} of {self.n_signals:,} signals: {reasons})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{n:,}</td></tr>" for name, n in self.by_reason.items())
        return (
            f"<table><caption>{self.frame.height:,} candidates of {self.n_signals:,} signals</caption>"
            f"<thead><tr><th>chosen for</th><th>n</th></tr></thead><tbody>{rows}</tbody></table>"
        )


def select(
    signals: pl.DataFrame,
    *,
    n: int,
    pseudonyms: Pseudonyms,
    as_of: datetime,
    quotas: Mapping[str, float] = DEFAULT,
) -> Selection:
    """Choose at most n signals.

    The reasons take their turns in the order of `quotas`, `random` last: `failure` (the outcome settled as negative),
    `human_override` (somebody gave a better answer), `low_confidence` (the lowest by rank among those whose
    confidence is known), `held_for_review` (the policy will not have it learned before a person saw it), `random` (any
    signal not chosen yet). All but low confidence draw in the order of keyed
    hashes: the same signals always give the same candidates, and more signals change few of them.

    `inclusion_probability` is the chance that a signal like this one is drawn in some share it was eligible for,
    1 - Π(1 - drawn / eligible): its inverse weighs a candidate when rates over all signals are estimated. It is 1
    for the lowest by confidence, who are not drawn. `candidate_id` is made of the signal and its reasons, so that
    the same selection again adds nothing and a new reason is a new row.

    Args:
        signals: one row for each answer, as `signals.view.signals` gives it; `held_for_review` (Boolean) may be there.
        n: how many to choose.
        pseudonyms: makes the ids and the order.
        as_of: what was known by then; kept in the rows.
        quotas: by reason, its share of n (0 to 1, together at most 1).

    Raises:
        SettingsError: a quota names no reason, or the shares make no sense.
    """
    _check(n, quotas)
    pool = _pool(signals, pseudonyms)
    order = [*(name for name in quotas if name != "random"), "random"]
    for reason in order:
        free = n - pool["chosen_for"].count()
        pool = _draw(pool, reason, free if reason == "random" else int(quotas[reason] * n + 1e-9))
    chosen = pool.drop_nulls("chosen_for")
    by_reason = {reason: chosen.filter(pl.col("chosen_for") == reason).height for reason in order}
    return Selection(_candidates(chosen, order, pseudonyms, as_of), by_reason, signals.height)


def _check(n: int, quotas: Mapping[str, float]) -> None:
    if n < 1:
        raise SettingsError(f"candidates: n = {n}, and at least 1 must be asked for.\nE.g. n = 200 in [candidates].")
    for reason, share in quotas.items():
        if reason not in DEFAULT:
            close = get_close_matches(reason, DEFAULT, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are {', '.join(DEFAULT)}."
            raise SettingsError(f"candidates: a quota for '{reason}', which is no reason.\n{hint}")
        if not 0 <= share <= 1:
            raise SettingsError(f"candidates: the quota of {reason} is {share}.\nGive a share between 0 and 1.")
    if sum(quotas.values()) > 1 + 1e-9:
        raise SettingsError(
            f"candidates: the quotas are shares of n and add up to {sum(quotas.values()):g}.\n"
            "Lower some: they may add up to 1; what they leave goes to the random share."
        )


def _pool(signals: pl.DataFrame, pseudonyms: Pseudonyms) -> pl.DataFrame:
    """One row a signal: which reasons apply, its place in the keyed order, its rank by confidence."""
    confidence = pl.when(pl.col("confidence").is_finite()).then(pl.col("confidence"))
    drawn_by = pl.Series([pseudonyms.id("select", name) for name in signals["interaction_id"]], dtype=pl.String)
    return (
        signals.select(
            "interaction_id",
            failure=(~pl.col("outcome")).fill_null(value=False),
            human_override=pl.col("improvement").is_not_null(),
            low_confidence=pl.lit(value=False),
            held_for_review="held_for_review" if "held_for_review" in signals.columns else pl.lit(value=False),
            confidence=confidence,
            drawn_by=drawn_by,
            chosen_for=pl.lit(None, pl.String),
            missed=pl.lit(1.0),
        )
        .sort("confidence", "drawn_by", nulls_last=True)
        .with_row_index("low_rank")
    )


def _draw(pool: pl.DataFrame, reason: str, share: int) -> pl.DataFrame:
    """Mark the rows that one reason chooses; lower `missed`, the chance of being left out, for all it could choose."""
    by_rank = reason == "low_confidence"
    part = pl.col("drawn_by").str.slice(_PARTS[reason], 8)
    rank = pl.col("low_rank") if by_rank else pl.concat_str(part, "drawn_by")
    eligible = {"low_confidence": pl.col("confidence").is_not_null(), "random": pl.lit(value=True)}.get(
        reason, pl.col(reason)
    )
    free = pool.filter(eligible, pl.col("chosen_for").is_null()).select(rank=rank)["rank"].sort()
    if share < 1 or free.is_empty():
        return pool
    reached = eligible & (rank <= free.head(share)[-1])
    chance = reached.cast(pl.Float64) if by_rank else eligible.cast(pl.Float64) * min(1.0, share / free.len())
    return pool.with_columns(
        chosen_for=pl.when(reached & pl.col("chosen_for").is_null()).then(pl.lit(reason)).otherwise("chosen_for"),
        low_confidence=reached if by_rank else pl.col("low_confidence"),
        missed=pl.col("missed") * (1 - chance),
    )


def _candidates(chosen: pl.DataFrame, order: list[str], pseudonyms: Pseudonyms, as_of: datetime) -> pl.DataFrame:
    """Rows of the table: more reasons first, then the reason that chose, then its own order."""
    named = chosen.with_columns(random=pl.col("chosen_for") == "random")
    reasons = pl.concat_list(pl.when(name).then(pl.lit(name)) for name in DEFAULT).list.drop_nulls()
    rows = (
        named.with_columns(reasons=reasons, turn=pl.col("chosen_for").replace_strict(order, range(len(order))))
        .with_columns(rank=pl.when(pl.col("chosen_for") == "low_confidence").then("low_rank"))
        .sort(-pl.col("reasons").list.len().cast(pl.Int64), "turn", "rank", "drawn_by")
    )
    ids = [pseudonyms.id("candidate", row[0], *row[1]) for row in rows.select("interaction_id", "reasons").iter_rows()]
    return rows.select(
        pl.Series("candidate_id", ids, dtype=pl.String),
        "interaction_id",
        "reasons",
        priority=1 - pl.int_range(pl.len()) / pl.len(),
        inclusion_probability=1 - pl.col("missed"),
        as_of=pl.lit(as_of, TimestampUtc),
    )
