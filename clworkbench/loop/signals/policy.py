"""`clw policy`: what the policy would do to the data at hand, before it does it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

import polars as pl

from clworkbench import expressions
from clworkbench.display.figures import waterfall_figure
from clworkbench.display.html import html_table
from clworkbench.loop.training_sets.convert import allowed, held_out
from clworkbench.policy.exclusion import matches
from clworkbench.policy.quality import REASONS, measured_reliability
from clworkbench.policy.sampling import sampled
from clworkbench.settings import ExclusionRule, PolicySettings, SampleSettings
from clworkbench.training_sets.allowed import EXCLUDED
from clworkbench.training_sets.descent import Rules
from clworkbench.training_sets.reviewed import verdicts
from clworkbench.training_sets.sft import build_sft
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

AGREED = "How often each outcome rule agreed with the people who judged the same answers"
SCHEMA = {"kind": pl.String, "rule": pl.String, "says": pl.String, "alone": pl.Int64, "takes": pl.Int64}


@dataclass(frozen=True, eq=False)
class PolicyReport:
    """What each rule of the policy does to the signals at hand.

    Attributes:
        frame: one row for each rule: `kind`, `rule`, `says`, `alone` (signals in which it holds, whatever the other
            rules say; null where that depends on them) and `takes` (signals that it takes out of a training set built
            now, after the rules before it; null for a rule that acts elsewhere).
        signals: how many there are.
        rows: how many rows a training set built now would have.
        sha256: the policy's hash, as every artefact names it.
        dropped: signals by what takes them out of that set, in order: these rules, and what training itself cannot use
            (`pending`, `negative`, ...); with the rows they add up to the signals.
        reliability: how often each outcome rule agreed with people, as `policy.quality.measured_reliability` has it.
        remarks: rules that hold in nothing or in everything, rates of no stratum, and what is switched off.
    """

    frame: pl.DataFrame
    signals: int
    rows: int
    sha256: str
    dropped: Mapping[str, int]
    reliability: pl.DataFrame
    remarks: tuple[str, ...]

    def __repr__(self) -> str:
        taken = self.frame["takes"].sum()
        return f"PolicyReport({self.sha256[:12]}: {self.frame.height} rules take {taken:,} of {self.signals:,} signals)"

    def _repr_html_(self) -> str:
        said = f"Policy {self.sha256[:12]}: of {self.signals:,} signals, {self.rows:,} rows could be learned now"
        rows = [*self.frame.iter_rows(), *(("remark", "", remark, None, None) for remark in self.remarks)]
        table = html_table(("kind", "rule", "says", "alone", "takes"), rows, caption=said)
        if self.reliability.is_empty():
            return table
        return table + html_table(self.reliability.columns, self.reliability.iter_rows(), caption=AGREED)

    def plot(self) -> "Figure":
        """From all signals, what each rule and training itself take away, to the rows that are left."""
        title = "From signals to what could be learned now"
        return waterfall_figure(self.signals, self.dropped, unit="signals", title=title)

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw policy --json`."""
        return {
            "policy_sha256": self.sha256,
            "signals": self.signals,
            "rows": self.rows,
            "rules": self.frame.to_dicts(),
            "reliability": self.reliability.to_dicts(),
            "remarks": list(self.remarks),
        }


def explain_policy(workspace: Workspace, *, as_of: datetime | None = None, event_time: bool = False) -> PolicyReport:
    """Applies the policy to the signals at hand, as a build would now, and keeps nothing.

    Args:
        workspace: whose policy, and whose signals.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        ExpressionError: a rule's expression cannot be read.
        SettingsError: a rule's pattern, or a stratum's column, means nothing.
    """
    settings = workspace.settings
    found = workspace.signals(as_of=as_of, event_time=event_time)
    where = settings.training.where
    rules = Rules(
        where=expressions.holds(found, where, where="training.where") if where else None,
        allowed=allowed(workspace, as_of=as_of, event_time=event_time),
    )
    labels = workspace.labels(as_of=as_of, event_time=event_time)
    built = build_sft(found, labels, held_out(workspace), rules, workspace.pseudonyms)
    rows = [
        *_exclusions(workspace, found, built.dropped),
        *_strata(workspace, found, settings.policy.sample),
        *_gates(settings.policy, built.dropped),
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    remarks = (*_remarks(settings.policy, frame, found.height), *_unheard_of(settings.policy, found))
    judged = found.join(verdicts(labels).select("interaction_id", "label_accepts"), on="interaction_id", how="left")
    reliability = measured_reliability(judged, [rule.name for rule in settings.outcomes])
    sha256, n = workspace.policy_sha256, built.frame.height
    return PolicyReport(frame, found.height, n, sha256, built.dropped, reliability, remarks)


Row = tuple[str, str, str, int | None, int | None]


def _exclusions(workspace: Workspace, signals: pl.DataFrame, dropped: Mapping[str, int]) -> Iterator[Row]:
    settings = workspace.settings
    for rule in settings.policy.exclude:
        holds = int(matches(signals, rule, settings.slices).sum())
        taken = dropped[EXCLUDED + rule.name]
        yield f"exclude at {rule.at}", rule.name, _condition(rule), holds, taken


def _condition(rule: ExclusionRule) -> str:
    said = [rule.where, rule.slice and f"in slice {rule.slice}", rule.source and f"from {rule.source}"]
    return " and ".join([*filter(None, said), *([f"text matches {rule.pattern!r}"] if rule.pattern else [])])


def _strata(workspace: Workspace, signals: pl.DataFrame, sample: SampleSettings) -> Iterator[Row]:
    if sample == SampleSettings():
        return
    strata = (
        sampled(signals, sample, workspace.pseudonyms)
        .group_by("stratum")
        .agg(pl.col("inclusion_probability").first(), out=(~pl.col("drawn")).sum())
    )
    for stratum, rate, out in strata.sort("stratum").iter_rows():
        yield "sample", stratum, f"{rate:.0%} of them are drawn", int(out), None


def _gates(policy: PolicySettings, dropped: Mapping[str, int]) -> Iterator[Row]:
    """Sampling as a whole, quality gates and caps: those that are set, and what each takes after those before it."""
    quality, caps = policy.quality, policy.caps
    said = {
        "not_sampled": ("sample", "a part of each stratum" if policy.sample != SampleSettings() else None),
        "unsure_model": ("quality", _at_least("confidence", quality.min_confidence)),
        "unverified": ("quality", "labelled or corrected by a person" if quality.verified else None),
        "disagreement": ("quality", _at_least("share of labels that agree", quality.min_agreement)),
        "not_believed": ("quality", _at_least("probability that the outcome is right", quality.min_belief)),
        "brigaded": ("cap", caps.brigade and f"fewer than {caps.brigade} actors say the same within an hour"),
        "held_for_review": ("quality", "no orders to a model in a completion" if quality.hold_injections else None),
        "burst": ("cap", caps.burst and f"a user's signals are at least {caps.burst.total_seconds():g} s apart"),
        "over_user_cap": ("cap", caps.per_user and f"at most {caps.per_user} rows of a user"),
        "over_text_cap": ("cap", caps.per_text and f"at most {caps.per_text} rows ask the same"),
    }
    assert set(REASONS) <= set(said)
    for reason, (kind, text) in said.items():
        if text:
            yield kind, reason, text, None, dropped.get(reason, 0)


def _at_least(what: str, least: float | None) -> str | None:
    return None if least is None else f"{what} at least {least:g}"


def _remarks(policy: PolicySettings, frame: pl.DataFrame, signals: int) -> Iterator[str]:
    if policy.redaction == "off":
        yield "redaction is off: personal data enters the tables, and all that is made of them"
    for kind, rule, alone in (
        frame.filter(pl.col("kind").str.starts_with("exclude")).select("kind", "rule", "alone").iter_rows()
    ):
        if kind == "exclude at ingest" and alone:
            yield f"{rule}: {alone:,} signals came in before this rule; `clw forget --where` removes them"
        elif not alone and kind == "exclude at use":
            yield f"{rule}: holds in no signal; look at its words, or keep it for what is to come"
        elif alone == signals and signals:
            yield f"{rule}: holds in every signal; nothing is left to learn from"
    if signals:
        yield from _idle_rates(policy.sample, frame)


def _unheard_of(policy: PolicySettings, signals: pl.DataFrame) -> Iterator[str]:
    """Attributes that a rule names and no signal has: a misspelt one would let everything in."""
    for rule in policy.exclude if signals.height else ():
        for name in sorted(expressions.attributes(rule.where, signals.columns)) if rule.where else ():
            if signals.select(expressions.parse(f'"{name}"', signals.columns)).to_series().is_null().all():
                yield f"{rule.name}: no signal has {name}; is it spelled as in the data?"


def _idle_rates(sample: SampleSettings, frame: pl.DataFrame) -> Iterator[str]:
    """Rates that no signal's stratum is named by: those signals are drawn at the rate of all others."""
    strata = frame.filter(pl.col("kind") == "sample", pl.col("takes").is_null())["rule"].to_list()
    there = {stratum.casefold(): stratum for stratum in strata}
    for name in sample.rates:
        if name not in strata:
            close = get_close_matches(name.casefold(), there, n=1)
            hint = f"did you mean {there[close[0]]!r}?" if close else f"there: {', '.join(strata[:10])}"
            yield f"sample: the rate of {name!r} meets no stratum, so that {sample.rate:g} is used; {hint}"
