"""Rules of `[alerts]` on what is counted, not estimated: budget, silence, waiting labels; and on unreadable records."""

from datetime import datetime, timedelta

import polars as pl

from clworkbench.audit.budget import budget
from clworkbench.display.text import short
from clworkbench.loop.alerts.finding import Finding, Known, State, percent_said
from clworkbench.loop.alerts.rates import hours_said, moment_said, rate_said, window_said
from clworkbench.loop.labels.waiting import unanswered
from clworkbench.settings import BudgetRule, LabelsRule, QuarantineRule, SilenceRule
from clworkbench.settings.alerts import ALL
from clworkbench.statistics.intervals import wilson


def of_budget(rule: BudgetRule, known: Known) -> Finding:
    """What is spent of a month's limit."""
    account = budget(known.workspace, as_of=known.at)
    row = account.frame.filter(month=account.month, kind=rule.budget).row(0, named=True)
    parts = [
        f"{row[name]:.3g} of {row[f'limit_{name}']:g} {unit}"
        for name, unit in (("hours", "hours"), ("usd", "USD"))
        if row[f"limit_{name}"] is not None
    ]
    used = float(row["used"])
    says = f"budget {rule.budget}: {percent_said(used)} of {account.month:%B %Y} (UTC) is spent: {', '.join(parts)}"
    figures = {name: value for name, value in row.items() if name not in ("month", "kind")} | {"above": rule.above}
    state: State = "stands" if used > rule.above else "clear"
    return Finding(state, f"{says}; alerts above {percent_said(rule.above)}", used, used, figures)


def of_silence(rule: SilenceRule, known: Known) -> Finding:
    """How long ago a source's last event was."""
    name, until = short(rule.silence, 60), known.read_until(rule.silence)
    if until is None:
        return Finding("not enough data", f"source {name}: nothing of it was ever read")
    hours = (known.at - until) / timedelta(hours=1)
    says = f"source {name}: {hours_said(hours)} without an event, the last {moment_said(until)}"
    figures = {"hours": hours, "last": until.isoformat(), "alerts_after_hours": rule.hours}
    state: State = "stands" if hours > rule.hours else "clear"
    return Finding(state, f"{says}; alerts after {hours_said(rule.hours)}", hours, hours, figures, since=until)


def of_labels(rule: LabelsRule, known: Known) -> Finding:
    """How many records wait for reviewers for too long."""
    left = unanswered(known.workspace).filter(pl.col("at") <= known.at)
    if rule.labels != ALL:
        left = left.filter(pl.col("dataset") == rule.labels)
    days = (pl.lit(known.at) - pl.col("at")).dt.total_microseconds() / timedelta(days=1).total_seconds() / 1e6
    old = left.with_columns(days=days).filter(pl.col("days") > rule.days)
    oldest = old["at"].min()
    sets = "all question sets" if rule.labels == ALL else f"question set {rule.labels}"
    says = (
        f"{sets}: {old.height:,} of {left.height:,} records without an answer have waited more than {rule.days:g} days"
    )
    figures: dict[str, object] = {"waiting": left.height, "old": old.height, "days": rule.days}
    if not isinstance(oldest, datetime):
        return Finding("clear", says, 0.0, 0.0, figures)
    figures["oldest"] = oldest.isoformat()
    return Finding("stands", f"{says}, the oldest since {moment_said(oldest)}", float(old.height), figures=figures)


def of_quarantine(rule: QuarantineRule, known: Known) -> Finding:
    """Which share of the records of late batches could not be read."""
    length = timedelta(days=rule.days)
    batches = known.workspace.catalog.batches(kind="ingest")
    counted = [
        (int(str(batch.detail["records"])), int(str(batch.detail["quarantined"])))
        for batch in batches
        if known.at - length <= batch.committed_at <= known.at
        and rule.quarantine in (ALL, batch.source)
        and "records" in batch.detail
    ]
    n, bad = sum(records for records, _ in counted), sum(left for _, left in counted)
    name = "all sources" if rule.quarantine == ALL else f"source {short(rule.quarantine, 60)}"
    interval = wilson(bad, n)
    value = bad / n if n else None
    said = rate_said(value, *interval, n, of="record")
    says = f"records that could not be read, {name}: {said} {window_said(length, known.at)}"
    figures = {"n": n, "unreadable": bad, "rate": value, **interval._asdict(), "above": rule.above, "days": rule.days}
    if n < rule.min_n or value is None:
        return Finding("not enough data", f"{says}; not enough data: {rule.min_n} are needed", figures=figures)
    low = interval.low or 0.0
    state: State = "clear" if value <= rule.above else "stands" if low > rule.above else "between"
    return Finding(state, f"{says}; alerts above {percent_said(rule.above)}", value, low, figures)
