"""What each rule of `[alerts]` finds: whether it stands, in words with n and interval, and the figures behind it."""

import shlex
from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from clworkbench import expressions
from clworkbench.display.text import short
from clworkbench.loop.alerts.counts import of_budget, of_labels, of_quarantine, of_silence
from clworkbench.loop.alerts.finding import Finding, Known, State, percent_said
from clworkbench.loop.alerts.rates import Rates, began, measured, rate_said
from clworkbench.loop.slices.slices import declared_as
from clworkbench.settings import (
    BudgetRule,
    DriftRule,
    LabelsRule,
    QuarantineRule,
    RateRule,
    Rule,
    SilenceRule,
)
from clworkbench.settings.alerts import ALL, FAILURE, NEWEST
from clworkbench.slices.drift_report import DriftReport


def find(rule: Rule, known: Known) -> Finding:
    """What a rule finds.

    Raises:
        ClwError: it cannot be asked: an expression fails on these rows, a training set is not there.
    """
    match rule:
        case RateRule():
            return _rate(rule, known)
        case DriftRule():
            return _drift(rule, known)
        case BudgetRule():
            return of_budget(rule, known)
        case SilenceRule():
            return of_silence(rule, known)
        case LabelsRule():
            return of_labels(rule, known)
        case QuarantineRule():
            return of_quarantine(rule, known)


def next_step(rule: Rule) -> str:
    """The command to go on with; a slice's name is quoted for a shell."""
    match rule:
        case RateRule():
            inside = "" if rule.slice is None else f" --slice={shlex.quote(short(rule.slice, 200))}"
            return f"clw slice {'find' if rule.rate == FAILURE else 'rates --every day'}{inside}"
        case DriftRule():
            return f"clw drift --days {rule.days:g}" + ("" if rule.drift == NEWEST else f" --against {rule.drift}")
        case BudgetRule():
            return "clw budget"
        case LabelsRule():
            return "clw label pull" + ("" if rule.labels == ALL else f" {rule.labels}")
        case SilenceRule() | QuarantineRule():
            return "clw status"


# rates


def _rates(rule: RateRule, known: Known) -> Rates:
    """The rate of a rule's window and of the one before.

    Raises:
        ExpressionError: the rule's expression, or its slice's, fails on these rows.
    """
    signals = known.signals
    happened = _happened(rule, known, signals)
    inside = [] if rule.slice is None else [declared_as(known.workspace, rule.slice).holds(signals)]
    rows = signals.select(
        "started_at", happened=happened, unit=pl.coalesce("conversation_id", "interaction_id")
    ).filter(*inside)
    return measured(rows, known.at, timedelta(days=rule.days), rise=rule.rise is not None)


def _happened(rule: RateRule, known: Known, signals: pl.DataFrame) -> pl.Series:
    """What is counted in each signal; null where it is not settled."""
    if rule.rate == FAILURE:
        return ~signals["outcome"]
    if rule.rate in {each.name for each in known.workspace.settings.outcomes}:
        return ~signals[f"outcome_{rule.rate}"]
    return expressions.truth(signals, rule.rate, where=f"alerts.rules.{rule.name}")


def _rate(rule: RateRule, known: Known) -> Finding:
    rates = _rates(rule, known)
    rates = rates._replace(onset=began(rates, rule.above))
    says = f"{_what(rule, known)}: {rates.said(known.at)}"
    figures = rates.figures() | {"above": rule.above, "rise": rule.rise, "days": rule.days, "min_n": rule.min_n}
    least = rates.n if rule.above is not None else min(rates.n, rates.n_before)
    if least < rule.min_n or rates.rate is None:
        short_of = f"{says}; not enough data: {rule.min_n} are needed"
        return Finding("not enough data", short_of, figures=figures, days=rates.days)
    value: float | None
    if rule.above is not None:
        value, low, bound = rates.rate, rates.low, rule.above
        says += f"; alerts above {percent_said(bound)}"
    else:
        value, low, bound = rates.change, rates.change_low, rule.rise or 0.0
        says += f"; alerts above {_points(bound)} more than before"
    assert value is not None
    state: State = "clear" if value <= bound else "stands" if low is not None and low > bound else "between"
    return Finding(state, says, value, low, figures, since=rates.onset, days=rates.days)


def _what(rule: RateRule, known: Known) -> str:
    place = "all signals" if rule.slice is None else f"slice {short(rule.slice, 60)}"
    if rule.rate == FAILURE:
        return f"failures in {place}"
    if rule.rate in {each.name for each in known.workspace.settings.outcomes}:
        return f"failures by {short(rule.rate, 60)} in {place}"
    return f"what the rule counts, in {place}"


# drift


def _drift(rule: DriftRule, known: Known) -> Finding:
    report = known.drifted(rule.drift, rule.days)
    if report.why is not None:
        return Finding("not enough data", f"drift: {report.why}")
    frame = report.frame.with_columns(told=pl.Series(_told(report), dtype=pl.String))
    drifted = frame.filter("drifted")
    if rule.harmful:
        drifted = drifted.filter(pl.col("harm") == "worse")
    moved = frame.filter(pl.col("score") >= pl.col("least"))
    state: State = "stands" if drifted.height else "clear" if moved.is_empty() else "between"
    if rule.harmful and state == "between" and not frame["drifted"].any():
        state = "clear"
    columns = ("told", "kind", "test", "n_before", "n_now", "score", "least", "p_adjusted", "harm")
    shown = drifted.select(columns).rename({"told": "name"}).to_dicts()
    figures = {"drifted": shown, "tested": frame.height, "overall": report.overall._asdict(), **report.counts}
    names = "; ".join(_drifted_said(row) for row in shown[:5]) + (f"; and {len(shown) - 5} more" * (len(shown) > 5))
    harmful = " with worse outcomes" if rule.harmful else ""
    said = f"{drifted.height} of {frame.height} columns and slices drifted{harmful} ({report.title})"
    says = f"{said}{': ' if names else ''}{names}"
    return Finding(state, f"{says}; {_overall_said(report)}", float(drifted.height), float(drifted.height), figures)


def _told(report: DriftReport) -> list[str]:
    """The columns by name; keys of attributes come from production, and stay here."""
    names, kinds = report.frame["name"], report.frame["kind"]
    return [
        "an attribute" if "attributes." in name and kind == "column" else short(name, 80)
        for name, kind in zip(names, kinds, strict=True)
    ]


def _drifted_said(row: Mapping[str, object]) -> str:
    p = row["p_adjusted"]
    assert isinstance(p, float)
    chance = "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"
    return (
        f"{row['name']} ({row['test']} {row['score']:.2f}, at least {row['least']:g}, {chance}, "
        f"n = {row['n_before']:,} and {row['n_now']:,}; outcomes there: {row['harm']})"
    )


def _overall_said(report: DriftReport) -> str:
    change = report.overall
    before = rate_said(change.before, change.before_low, change.before_high, change.n_before)
    now = rate_said(change.now, change.now_low, change.now_high, change.n_now)
    return f"good outcomes of all signals: {before} before, {now} now"


def _points(share: float) -> str:
    return f"{100 * share:.3g} points"
