"""What was found, as evidence for training now or against it: each finding's words, number and weight."""

from collections.abc import Iterator, Mapping

import polars as pl

from clworkbench.audit.budget import Budget
from clworkbench.audit.limits import UNITS
from clworkbench.loop.advice import AGAINST, DECIDES, LEANS_AGAINST, LEANS_FOR, NEITHER, SHOWN, STOPS, Evidence
from clworkbench.loop.runs.begun import Begun
from clworkbench.loop.runs.past_runs import PastRuns
from clworkbench.loop.signals.settling import Unsettled
from clworkbench.slices.drift_report import DriftReport
from clworkbench.slices.harm import Change, Harm, harm
from clworkbench.statistics.learning_curve import SIZES, LearningCurve

NAMED = 3
"""Slices that are named."""

MOST = 1000
"""Times the rows that were learned: nobody waits for more."""

TREND: Mapping[Harm, str] = {
    "worse": "outcomes got worse",
    "same": "no worse by more than 5 points",
    "better": "outcomes got better",
    "unclear": "worse or not, it cannot be told yet",
    "not enough data": "not enough data to tell",
}
HARMS: Mapping[Harm, float] = {"worse": SHOWN, "same": LEANS_AGAINST, "better": LEANS_AGAINST}


def of_first(base: str, n_runs: int) -> Evidence:
    """No release serves: whatever is learned is the first."""
    runs = f"{n_runs:,} runs were trained and none was released" if n_runs else "nothing was trained yet"
    return Evidence("first", f"no release serves yet, but {base}: {runs}", SHOWN)


def of_rows(new: int, least: int, serving: str, *, why: str, on_the_way: str | None) -> Evidence:
    """New rows, after the policy.

    Args:
        new: how many.
        least: so many are enough (1 at least).
        serving: who has not learned them.
        why: in words, why there are none; empty where there are some.
        on_the_way: what pending signals bring, in words.
    """
    says = f"{new:,} rows that {serving} has not learned; [training] min_new_rows is {least:,}"
    if new >= max(1, least):
        return Evidence("new_rows", says, LEANS_FOR, float(new))
    change = f"about {max(1, least) - new:,} more new rows"
    change = f"wait: {on_the_way}; {change} are needed" if on_the_way else change
    return Evidence("new_rows", why or says, STOPS, float(new), change=change)


def of_tried(run: str, new: int) -> Evidence:
    """A run has learned just these rows: another one would be the same."""
    says = f"{run} has learned these rows with these settings already"
    change = f"other rows, or another [training]; see `clw gate {run}`"
    return Evidence("new_rows", says, STOPS, float(new), change=change)


def of_begun(run: Begun) -> Evidence:
    """A run of just these rows stopped on its way; what its first steps cost is spent."""
    says = f"{run.run} stopped at step {run.step:,} of {run.steps:,}, on these rows with these settings: it goes on"
    return Evidence("begun", says, SHOWN, float(run.step))


def on_the_way(pending: Unsettled, kept: int) -> str | None:
    """What the signals that settle by themselves are expected to bring, in words; None without any.

    Args:
        pending: what is not settled.
        kept: rows that the settled signals made.
    """
    if pending.until is None:
        return None
    says = f"{pending.due:,} pending signals settle by {pending.until:%Y-%m-%d}"
    if not pending.settled:
        return f"{says}, and nobody can tell how many rows they bring"
    return f"{says}, then about {pending.due * min(1.0, kept / pending.settled):,.0f} more rows"


def of_pending(pending: Unsettled, brings: str | None, *, rules: bool) -> Iterator[Evidence]:
    """Signals that are not settled: waiting for them is cheap."""
    way_out = pending.way_out(rules=rules) if not pending.settled else None
    if brings is not None:
        yield Evidence("pending", brings, LEANS_AGAINST, float(pending.due), change=way_out)
    if pending.waiting:
        until = "settle only when feedback on them comes"
        until = until if rules else "have no outcome, as [outcomes] in clw.toml has no rule"
        says = f"{pending.waiting:,}{' more' if brings else ''} signals {until}"
        yield Evidence("unsettled", says, NEITHER, float(pending.waiting), change=None if brings else way_out)


def of_budget(account: Budget, hours: Mapping[str, float], usd_per_hour: float) -> Evidence:
    """Whether training and measuring a run can be afforded.

    Args:
        account: what is left.
        hours: that the next run is expected to take, by kind of work, as far as past ones tell.
        usd_per_hour: the machine's price.
    """
    total = sum(hours.values())
    told = f"a run is expected to take {_amount(total)} h" if hours else "what a run costs is not known yet"
    price = {"hours": 1.0, "usd": usd_per_hour}
    for row in account.frame.filter(month=account.month).iter_rows(named=True):
        needs = total if row["kind"] == "all" else hours.get(row["kind"], 0.0)
        for unit, word in UNITS.items():
            need, left = needs * price[unit], row[f"left_{unit}"]
            if left is not None and need > max(0.0, left):
                says = f"{told}: {_amount(need)} {word} of [budget.{row['kind']}], of which {_amount(left)} are left"
                return no_budget(says, need)
    left = "; ".join(account.left) or "no limit in [budget]"
    return Evidence("budget", f"{told}; {left}", NEITHER, total if hours else None)


def no_budget(says: str, need: float | None = None) -> Evidence:
    """It cannot be afforded."""
    return Evidence("budget", says, STOPS, need, change="a higher limit in [budget], or the next month")


def _amount(value: float) -> str:
    return f"{value:,.2f}" if abs(value) >= 0.01 or not value else f"{value:.2g}"


def of_gain(past: PastRuns, curve: LearningCurve | None, new: int, least: float) -> Evidence:
    """What the learning curve of past runs leaves room for.

    Args:
        past: the runs.
        curve: theirs; None where there are too few.
        new: rows that would be learned.
        least: of the score (0 to 1), so much is worth a run.
    """
    if curve is None or past.learned is None:
        return Evidence("gain", f"the expected gain cannot be told: {_no_curve(past)}", DECIDES)
    gain = curve.gain(past.learned, past.learned + new)
    points = f"{100 * gain.value:.2g} points [{100 * gain.low:.2g}, {100 * gain.high:.2g}]"
    says = (
        f"{new:,} more rows than {past.learned:,} are expected to bring {points} of {past.metric} on {past.suite}, "
        f"by {len(past.runs)} past runs; [training] min_gain is {100 * least:g} points"
    )
    if gain.high >= least:
        weight = SHOWN if gain.low >= least else DECIDES
        return Evidence("gain", says, weight, gain.value, gain.low, gain.high)
    rows = curve.rows_for(least, past.learned, most=MOST * past.learned)
    change = (
        f"about {rows - new:,} more new rows" if rows else "rows of another kind, as more of these bring too little"
    )
    change += "; or outcomes that get worse"
    return Evidence("gain", says, AGAINST, gain.value, gain.low, gain.high, change)


def _no_curve(past: PastRuns) -> str:
    if past.suite is None:
        return "no suite to measure on; freeze one with `clw suite NAME FILE`"
    sizes = len({run.rows for run in past.runs})
    left = ", ".join(f"{n} {why}" for why, n in past.left_out.items())
    said = f"not enough runs: {sizes} of {SIZES} needed, of different sizes, measured by {past.metric} on {past.suite}"
    return f"{said}{f' (left out: {left})' if left else ''}"


def of_outcomes(change: Change, serving: str) -> Evidence:
    """Failures since the champion was released, against those before."""
    word = harm(change, change.p)
    now, before = _failures(change, "now"), _failures(change, "before")
    rate, low, high = (None if x is None else 1 - x for x in (change.now, change.now_high, change.now_low))
    says = f"failures under {serving}: {now}; before it: {before}; {TREND[word]}"
    return Evidence("outcomes", says, HARMS.get(word, NEITHER), rate, low, high)


def _failures(change: Change, side: str) -> str:
    n, good, low, high = (getattr(change, name) for name in (f"n_{side}", side, f"{side}_low", f"{side}_high"))
    if good is None:
        return "none settled"
    return f"{1 - good:.0%} [{1 - high:.0%}, {1 - low:.0%}] of {n:,} settled" if low is not None else f"{1 - good:.0%}"


def of_drift(report: DriftReport) -> Evidence:
    """Drift, and what it did: without harm it is weak evidence, with harm strong."""
    n = float(report.frame["drifted"].sum())
    if report.why is not None:
        return Evidence("drift", f"drift: {report.why}", NEITHER)
    if report.advice == "retrain":
        return Evidence("drift", f"drift with harm: {report.because}{_worst(report)}", SHOWN, n)
    if report.advice == "nothing" and not report.alert:
        return Evidence("drift", f"no drift: {report.title}", LEANS_AGAINST, n)
    words = {"label": "labels of what drifted", "evaluate": "scores of what drifted"}.get(report.advice)
    change = f"{words}: then its harm can be told" if words else None
    return Evidence("drift", f"drift without harm shown: {report.because}", LEANS_FOR, n, change=change)


def _worst(report: DriftReport) -> str:
    """The parts that got worse, with their rates of failures."""
    worse = report.parts.filter(pl.col("harm") == "worse").sort("change", maintain_order=True).head(NAMED)
    told = []
    for row in worse.iter_rows(named=True):
        change = Change(**{name: row[name] for name in Change._fields})
        told.append(f"{_part(row)}: failures {_failures(change, 'before')}, now {_failures(change, 'now')}")
    return f" ({'; '.join(told)})" if told else ""


def _part(row: Mapping[str, object]) -> str:
    """A part's name; terms of topics and values of attributes are production's own words, which a log must not hold."""
    column, part = str(row["column"]), str(row["part"])
    if column == "text: topics":
        return part.partition(":")[0]
    return f"a value of {column}" if "attributes." in column else part


def of_labels(asked: Mapping[str, int], drawn: int, unlabelled: int) -> Iterator[Evidence]:
    """What stands before reviewers, and candidates without a label."""
    for name, n in asked.items():
        says = f"{n:,} records of {name} wait for answers of reviewers"
        yield Evidence("labels", says, LEANS_AGAINST, float(n), change=f"their answers: `clw label pull {name}`")
    if unlabelled:
        says = f"{unlabelled:,} of {drawn:,} candidates have no label"
        yield Evidence("candidates", says, NEITHER, float(unlabelled))
