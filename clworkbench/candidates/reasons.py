"""Reasons: named expressions over signals that say why one deserves a person's attention."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

import polars as pl

from clworkbench import expressions
from clworkbench.errors import ExpressionError, SettingsError

RANDOM = "random"
"""The stratum of all signals for which no reason with a share speaks."""

REASONS: Mapping[str, str] = {
    "held_for_review": "held_for_review",
    "label_conflict": "label_conflict",
    "human_override": "improvement IS NOT NULL",
    "repeated_failure": "repeats > 1",
    "failure": "NOT outcome",
    "disagreement": "disagreement",
    "drifted_slice": "drifted_slice",
    "low_confidence": "confidence_rank <= 0.1",
    "novelty": "novelty > 0.95",
}
"""What each reason holds for, the more telling before the more common: a signal is in the stratum of its first."""

QUOTAS: Mapping[str, float] = {
    "held_for_review": 0.05,
    "label_conflict": 0.05,
    "human_override": 0.2,
    "repeated_failure": 0.15,
    "failure": 0.2,
    "disagreement": 0.05,
    "drifted_slice": 0.1,
    "low_confidence": 0.1,
    "novelty": 0.05,
    RANDOM: 0.05,
}
"""Shares of n. What a stratum cannot fill goes to the random share, and so does what the shares leave over."""

OWN = 0.1
"""The share of a reason of one's own where no shares are stated."""

_UNKNOWN: Mapping[str, str] = {
    "held_for_review": "no policy was asked",
    "label_conflict": "no labels and no outcomes to compare",
    "human_override": "nobody has given a better answer",
    "repeated_failure": "no outcome is settled as a failure",
    "failure": "no outcome is settled",
    "disagreement": "no two models answered the same",
    "drifted_slice": "not looked for: name drifted_slice in [candidates] quotas",
    "low_confidence": "no signal has a confidence",
    "novelty": "no training set is large enough to compare with",
}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")


class Spoken(NamedTuple):
    """For which signals which reasons speak.

    Attributes:
        frame: a Boolean column for each reason, in the order of the reasons and of the signals.
        silent: by reason that could speak for none, why.
    """

    frame: pl.DataFrame
    silent: dict[str, str]


def speaking(signals: pl.DataFrame, reasons: Mapping[str, str] = REASONS) -> Spoken:
    """Asks each reason about each signal; what a reason does not know (null), it does not speak for.

    `confidence_rank` is made here: the share of known confidences that are lower (0 to 1, ties in the middle), so that
    the lowest tenth is `confidence_rank <= 0.1` whatever a model's level is.

    Args:
        signals: one row for each answer.
        reasons: by name, an expression. One of `REASONS` whose columns are not there, or hold nothing, is silent.

    Raises:
        ExpressionError: an expression cannot be read, names what is not there, or gives no truth value.
    """
    ranked = _ranked(signals)
    found, silent = {}, {}
    for name, text in reasons.items():
        why = _unknown(ranked, name, text)
        if why is not None:
            silent[name] = why
            found[name] = pl.repeat(value=False, n=ranked.height, eager=True)
        else:
            found[name] = expressions.holds(ranked, text, where=f"candidates.reasons.{name}")
    return Spoken(pl.DataFrame(found), silent)


def reasons_of(own: Mapping[str, str], quotas: Mapping[str, float]) -> tuple[dict[str, str], dict[str, float]]:
    """The reasons and the shares that clw.toml asks for, in declared order.

    Args:
        own: `[candidates.reasons]`: by name, an expression; one of a built-in reason's name takes its place.
        quotas: `[candidates] quotas`; their order is the reasons' order, and reasons without a share are told but make
            no stratum. When empty, one's own come first with a tenth each, and share with the usual ones.

    Raises:
        SettingsError: a name is none, a quota names no reason, or the shares make no sense.
    """
    for name in own:
        if name == RANDOM or not _NAME.fullmatch(name):
            raise SettingsError(
                f"candidates.reasons: {name!r} cannot be a reason's name.\n"
                f"Letters, digits, - and _, a letter first; '{RANDOM}' is the share of what nobody thought of."
            )
    known = {**own, **{name: text for name, text in REASONS.items() if name not in own}}
    if not quotas:
        new = {name: OWN for name in own if name not in QUOTAS}
        scale = 1 / (1 + sum(new.values()))
        quotas = {name: share * scale for name, share in {**new, **QUOTAS}.items()}
    check_quotas(quotas, known)
    order = [*(name for name in quotas if name != RANDOM), *(name for name in known if name not in quotas)]
    return {name: known[name] for name in order}, dict(quotas)


def check_quotas(quotas: Mapping[str, float], reasons: Mapping[str, str]) -> None:
    """Refuses shares of n that name no reason, or make no sense.

    Raises:
        SettingsError: with what is wrong and the way out.
    """
    known = (*reasons, RANDOM)
    for reason, share in quotas.items():
        if reason not in known:
            close = get_close_matches(reason, known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are {', '.join(known)}."
            raise SettingsError(f"candidates: a quota for '{reason}', which is no reason.\n{hint}")
        if not 0 <= share <= 1:
            raise SettingsError(f"candidates: the quota of {reason} is {share}.\nGive a share between 0 and 1.")
    if sum(quotas.values()) > 1 + 1e-9:
        raise SettingsError(
            f"candidates: the quotas are shares of n and add up to {sum(quotas.values()):g}.\n"
            "Lower some: they may add up to 1; what they leave goes to the random share."
        )


def _ranked(signals: pl.DataFrame) -> pl.DataFrame:
    if "confidence" not in signals.columns:
        return signals
    known = pl.when(pl.col("confidence").is_finite()).then(pl.col("confidence"))
    return signals.with_columns(confidence_rank=(known.rank("average") - 0.5) / known.count())


def _unknown(signals: pl.DataFrame, name: str, text: str) -> str | None:
    """Why a reason can speak for no signal at all; None where it can."""
    built_in = REASONS.get(name) == text
    try:
        columns = expressions.parse(text, signals.columns).meta.root_names()
    except ExpressionError as error:
        if built_in:
            return _UNKNOWN[name]
        raise ExpressionError(f"candidates.reasons.{name}: {error}") from None
    empty = [column for column in columns if signals[column].null_count() == signals.height]
    if not empty or signals.is_empty():
        return None
    return _UNKNOWN[name] if built_in else f"{empty[0]} is known of no signal"
