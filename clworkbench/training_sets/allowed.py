"""What the policy lets into a training set: each rule takes rows away, and says how many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from msgspec import structs

from clworkbench.policy.exclusion import excluded, matches
from clworkbench.policy.influence import beyond, in_burst
from clworkbench.policy.injection import injected
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.quality import BY_REVIEWERS, ON_OUTCOMES, REASONS, belief, refused
from clworkbench.policy.sampling import sampled
from clworkbench.schemas import MESSAGES
from clworkbench.settings import ExclusionRule, PolicySettings, SampleSettings

EXCLUDED = "excluded_by_"

SUBJECT = ("subject_to",)
"""The column that names, for each signal, the rules with a pattern whose other conditions hold for it."""


@dataclass
class Descent:
    """Rows on their way down, and how many each rule took."""

    rows: pl.DataFrame
    dropped: dict[str, int] = field(default_factory=dict)

    def keep(self, condition: pl.Expr | pl.Series, reason: str) -> None:
        """Keeps the rows in which the condition is true."""
        kept = self.rows.filter(condition)
        self.dropped[reason] = self.dropped.get(reason, 0) + self.rows.height - kept.height
        self.rows = kept

    def drop(self, condition: pl.Expr | pl.Series, reason: str) -> None:
        """Drops the rows in which the condition is true; an unknown one (null) drops nothing."""
        self.keep(~condition.fill_null(value=False), reason)


@dataclass(frozen=True)
class Allowed:
    """The policy as it applies to one training set.

    Attributes:
        policy: `[policy]` of clw.toml.
        slices: `[slices]`, which exclusion rules may name.
        brigaded: ids of the answers on which a campaign spoke.
        withdrawn: ids of the answers of which a later report is one that a rule keeps out of the tables.
    """

    policy: PolicySettings = field(default_factory=PolicySettings)
    slices: Mapping[str, str] = field(default_factory=dict)
    brigaded: Sequence[str] = ()
    withdrawn: Sequence[str] = ()


def use(descent: Descent, allowed: Allowed, pseudonyms: Pseudonyms) -> None:
    """Exclusion and sampling, over signals."""
    rules = allowed.policy.exclude
    descent.rows = descent.rows.with_columns(excluded(descent.rows, rules, allowed.slices))
    for rule in rules:
        descent.drop(pl.col("excluded_by") == rule.name, EXCLUDED + rule.name)
    descent.rows = descent.rows.with_columns(_subject(descent.rows, allowed))
    if allowed.withdrawn:
        descent.drop(_among("interaction_id", allowed.withdrawn), "withdrawn")
    if allowed.policy.sample != SampleSettings():
        descent.rows = sampled(descent.rows, allowed.policy.sample, pseudonyms)
        descent.keep(pl.col("drawn"), "not_sampled")


def held(allowed: Allowed) -> pl.Expr:
    """Signals that must not be learned before a person saw them: orders to a model in the answer, or a campaign."""
    campaign = _among("interaction_id", allowed.brigaded)
    if not allowed.policy.quality.hold_injections:
        return campaign
    texts = [injected(pl.col(name)).is_not_null() for name in ("answer", "improvement_text")]
    return pl.any_horizontal(campaign, *texts).fill_null(value=False)


def good(signals: pl.DataFrame, allowed: Allowed) -> pl.Expr:
    """Probability that an answer is good, from the outcome rules that settled and from `label_accepts`; null else."""
    names = [name.removeprefix("outcome_") for name in signals.columns if name.startswith("outcome_")]
    return belief([name for name in names if name != "rule"], allowed.policy.quality.reliability)


def trust(descent: Descent, allowed: Allowed, taught: str = "completion") -> None:
    """Quality gates, campaigns and injections, over rows with their `rule`, their `belief` and what labels said.

    `belief` is the probability that what the row teaches is right (null where no outcome or vote speaks of it) and
    `signal_ids` are the answers that it rests on; what the column `taught` holds must hold no injection.
    """
    quality = allowed.policy.quality
    descent.rows = descent.rows.with_columns(refused=refused(quality))
    for reason in REASONS:
        descent.drop(pl.col("refused") == reason, reason)
    reviewed = pl.col("rule").is_in(BY_REVIEWERS) | pl.col("label_accepts").fill_null(value=False)
    if allowed.brigaded:
        hit = pl.element().is_in(pl.Series(allowed.brigaded, dtype=pl.String).implode())
        descent.drop(pl.col("signal_ids").list.eval(hit).list.any() & ~reviewed, "brigaded")
    else:
        descent.dropped.setdefault("brigaded", 0)
    if quality.hold_injections:
        descent.drop(_injected(descent.rows, taught) & ~reviewed, "held_for_review")
    weight = pl.when(pl.col("rule").is_in(ON_OUTCOMES)).then((2 * pl.col("belief") - 1).clip(0, 1))
    descent.rows = descent.rows.with_columns(weight=weight.fill_null(1.0) if quality.weigh else pl.lit(1.0))


def _injected(rows: pl.DataFrame, taught: str) -> pl.Expr:
    if rows.schema[taught] != MESSAGES:
        return injected(pl.col(taught)).is_not_null()
    return pl.col(taught).list.eval(injected(pl.element().struct.field("content")).is_not_null()).list.any()


def spoken(descent: Descent, allowed: Allowed) -> None:
    """Patterns again, over rows as they will be learned: a reviewer may have written what a rule excludes."""
    for rule in with_pattern(allowed.policy):
        alone = structs.replace(rule, where=None, slice=None, source=None)
        subject = pl.col(*SUBJECT).list.contains(rule.name)
        descent.drop(subject & pl.lit(matches(descent.rows, alone, {})), EXCLUDED + rule.name)


def with_pattern(policy: PolicySettings) -> list[ExclusionRule]:
    """The rules that look into texts."""
    return [rule for rule in policy.exclude if rule.pattern is not None]


def _subject(signals: pl.DataFrame, allowed: Allowed) -> pl.Expr:
    """`SUBJECT`: what stands in a row may be written by others, but under which rules it falls, its signal says."""
    names = [
        pl.when(matches(signals, structs.replace(rule, pattern=None), allowed.slices)).then(pl.lit(rule.name))
        for rule in with_pattern(allowed.policy)
    ]
    found = pl.concat_list(names).list.drop_nulls() if names else pl.lit([], pl.List(pl.String))
    return found.alias(*SUBJECT)


def _among(column: str, ids: Sequence[str]) -> pl.Expr:
    return pl.col(column).is_in(pl.Series(ids, dtype=pl.String).implode())


def cap(descent: Descent, allowed: Allowed, salt: str) -> None:
    """Bursts, users and texts that would weigh too much, over rows with `row_id`, `said` and `user_key`.

    Rows of one signal are no burst.
    """
    caps = allowed.policy.caps
    if caps.burst is not None:
        firsts = descent.rows.unique("interaction_id", keep="first", maintain_order=True)
        later = firsts["interaction_id"].filter(in_burst(firsts, caps.burst))
        descent.drop(pl.col("interaction_id").is_in(later.implode()), "burst")
    else:
        descent.dropped.setdefault("burst", 0)
    descent.drop(beyond(descent.rows, "user_key", caps.per_user, salt=salt), "over_user_cap")
    descent.drop(beyond(descent.rows, "said", caps.per_text, salt=salt), "over_text_cap")
