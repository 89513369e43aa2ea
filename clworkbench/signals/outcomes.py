"""Outcomes of signals: read off feedback by rules, in three states, of which only the settled ones count."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from clworkbench.errors import SettingsError
from clworkbench.schemas import TimestampUtc
from clworkbench.settings import OutcomeRule

RESERVED = ("rule",)


def verdicts(rules: Sequence[OutcomeRule]) -> list[pl.Expr]:
    """What each rule reads off one row of feedback (`name`, `score`, `at`, the signal's `started_at`).

    Without `within` true, false or nothing. With it, true where the event that the rule waits for came in time; one
    without a date counts as in time.
    """
    return [_verdict(rule).alias(f"event_{rule.name}") for rule in rules]


def events(rules: Sequence[OutcomeRule]) -> list[pl.Expr]:
    """What each rule found in all of a signal's feedback: aggregations over `verdicts`, in order of time.

    Without `within` the latest decides: a thumb can be turned.
    """
    found = [(rule, pl.col(f"event_{rule.name}")) for rule in rules]
    return [event.drop_nulls().last() if rule.within is None else event.any() for rule, event in found]


def decide(signals: pl.DataFrame, rules: Sequence[OutcomeRule], until: Mapping[str, datetime | None]) -> pl.DataFrame:
    """Settle each rule, then the signal.

    A rule without `within` is settled when its event is there, and else says nothing. A rule with `within` is settled
    once its source has been read beyond `started_at + within`, and pending before; where `started_at` is missing it
    can never settle and says nothing. The first rule in order that says something decides: if it is pending, so is
    the signal, for what it will say outranks all that is known from the rules below.

    Args:
        signals: rows with `started_at` and the columns of `events`, null where a signal has no feedback.
        rules: in order of precedence.
        until: by rule with `within`, how far its source has been read; None when it never was.

    Returns:
        `outcome_<rule>` for each rule, `outcome` (Boolean, null while not settled), `outcome_rule` (the rule that
        decided) and `conflict` (two settled rules disagree), instead of the columns of `events`.

    Raises:
        SettingsError: a rule has a name that would make two columns one.
    """
    for rule in rules:
        if rule.name in RESERVED:
            raise SettingsError(
                f"outcomes: a rule is named '{rule.name}', and signals have a column 'outcome_{rule.name}' already.\n"
                "Give it another name in [outcomes]."
            )
    found = signals.with_columns(_settled(rule, until.get(rule.name)).alias(f"outcome_{rule.name}") for rule in rules)
    outcome, by = pl.lit(None, pl.Boolean), pl.lit(None, pl.String)
    for rule in reversed(rules):
        value = pl.col(f"outcome_{rule.name}")
        speaks = value.is_not_null() if rule.within is None else pl.col("started_at").is_not_null()
        outcome = pl.when(speaks).then(value).otherwise(outcome)
        by = pl.when(speaks).then(pl.when(value.is_not_null()).then(pl.lit(rule.name))).otherwise(by)
    values = [pl.col(f"outcome_{rule.name}") for rule in rules]
    conflict = pl.any_horizontal(values) & pl.any_horizontal(~v for v in values) if values else pl.lit(value=False)
    return found.with_columns(outcome=outcome, outcome_rule=by, conflict=conflict.fill_null(value=False)).drop(
        f"event_{rule.name}" for rule in rules
    )


def read_until(
    rules: Sequence[OutcomeRule], feedback: pl.DataFrame, watermarks: Mapping[str, datetime], as_of: datetime | None
) -> dict[str, datetime | None]:
    """How far what each rule with `within` waits for has been read, and never beyond `as_of`.

    It is the watermark of the rule's source, else the least of all sources that ever reported one of its events.
    """
    reported = feedback.group_by("name").agg(pl.col("source").unique())
    sources = {name: set(found) - {None} for name, found in reported.iter_rows()}
    until: dict[str, datetime | None] = {}
    for rule in rules:
        if rule.within is None:
            continue
        named = {rule.source} if rule.source else set[str]().union(*(sources.get(n, set()) for n in _names(rule)))
        marks = [watermarks.get(source) for source in named]
        known = [mark for mark in marks if mark is not None]
        whole = len(known) == len(marks) and bool(known)
        until[rule.name] = min([*known, as_of] if as_of else known) if whole else None
    return until


def summary(signals: pl.DataFrame, rules: Sequence[OutcomeRule]) -> pl.DataFrame:
    """How many signals each rule settled, and in conflict with another.

    Returns:
        One row for each rule, in order, and a last one, `outcome`, for what they decided together: `rule`,
        `positive`, `negative`, `pending` (not settled, for whatever reason), `conflict` (settled by this rule, and
        some other settled rule says the opposite).
    """
    columns = {**{rule.name: f"outcome_{rule.name}" for rule in rules}, "outcome": "outcome"}
    rows = [
        signals.select(
            rule=pl.lit(name),
            positive=pl.col(column).sum().cast(pl.Int64),
            negative=(~pl.col(column)).sum().cast(pl.Int64),
            pending=pl.col(column).null_count().cast(pl.Int64),
            conflict=(pl.col("conflict") & pl.col(column).is_not_null()).sum().cast(pl.Int64),
        )
        for name, column in columns.items()
    ]
    return pl.concat(rows)


def overruled(signals: pl.DataFrame, rules: Sequence[OutcomeRule]) -> list[str]:
    """In words, which rule decides over which other one that says the opposite, and in how many of its signals.

    Args:
        signals: as `decide` gives them.
        rules: in order of precedence.
    """
    told = []
    for place, rule in enumerate(rules):
        said = pl.col(f"outcome_{rule.name}")
        lost = signals.filter(said != pl.col("outcome"))["outcome_rule"].value_counts()
        by = dict(lost.iter_rows())
        of = int(signals.select(said.count()).item())
        told += [
            f"{winner.name} decides over {rule.name} in {by[winner.name]:,} of its {of:,} signals"
            for winner in rules[:place]
            if winner.name in by
        ]
    return told


def in_conflict(signals: pl.DataFrame, rules: Sequence[OutcomeRule]) -> str | None:
    """In words, how many signals have rules that disagree, and who decides; None where there are none."""
    n = int(signals["conflict"].sum())
    if not n:
        return None
    return f"{n:,} conflicts" + (f": {'; '.join(found)}" if (found := overruled(signals, rules)) else "")


def _names(rule: OutcomeRule) -> set[str]:
    return {*rule.negative, *rule.positive, *([rule.score] if rule.score else [])}


def _verdict(rule: OutcomeRule) -> pl.Expr:
    name, score = pl.col("name"), pl.when(pl.col("score").is_finite()).then(pl.col("score"))
    scored = name == pl.lit(rule.score, pl.String)
    below, above = _sides(rule, score)
    negative = name.is_in(list(rule.negative)) | (scored & below)
    positive = name.is_in(list(rule.positive)) | (scored & above)
    if rule.within is None:
        return pl.when(negative).then(statement=False).when(positive).then(statement=True)
    in_time = pl.col("at").is_null() | (pl.col("at") <= pl.col("started_at") + rule.within)
    return (positive if _waits_for_good(rule) else negative) & in_time


def _sides(rule: OutcomeRule, score: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Which scores are bad, and which are good."""
    if rule.good_from is not None:
        return score < rule.good_from, score >= rule.good_from
    if rule.bad_from is not None:
        return score >= rule.bad_from, score < rule.bad_from
    return score < 0, score > 0


def _settled(rule: OutcomeRule, until: datetime | None) -> pl.Expr:
    event = pl.col(f"event_{rule.name}")
    if rule.within is None:
        return event
    due = pl.col("started_at") + rule.within <= pl.lit(until, TimestampUtc)
    came = event.fill_null(value=False)
    return pl.when(due).then(came if _waits_for_good(rule) else ~came)


def _waits_for_good(rule: OutcomeRule) -> bool:
    """A rule with `within` that names only positives is one of the kind "accepted within a day, or else not"."""
    return not rule.negative and rule.score is None
