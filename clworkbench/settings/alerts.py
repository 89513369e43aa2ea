"""What the person on duty wants to hear of: rules, where alerts go, and how seldom they are said again."""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import msgspec

from clworkbench.errors import SettingsError
from clworkbench.settings.bounds import Positive, Share
from clworkbench.settings.sources import FORMAT_NAMES, OutcomeRule
from clworkbench.settings.work import BudgetSettings

Severity = Literal["info", "warning", "critical"]
Days = Annotated[float, msgspec.Meta(gt=0, le=3650)]
Hours = Annotated[float, msgspec.Meta(gt=0, le=87_600)]

FAILURE = "failure"
"""The rate of signals whose outcome is settled and bad, by whichever rule of `[outcomes]` decides."""

NEWEST = "newest"
"""Drift against the newest training set, or against the days before where there is none."""

ALL = "all"
"""Every source, or every question set."""

SINK = re.compile(r"stdout|file:.+\.jsonl|webhook:[A-Z][A-Z0-9_]{0,79}")


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="watches"):
    """What every rule has: the `name` of `[alerts.rules.NAME]`, and how bad it is when it holds."""

    name: str
    severity: Severity = "warning"


class RateRule(AlertRule, frozen=True, kw_only=True, tag="rate"):
    """A rate is too high, or rose too much; just one of `above` and `rise` says which.

    Attributes:
        rate: `failure`; the name of a rule of `[outcomes]`, for its failures; or an expression over signals.
        slice: only signals of one of `[slices]`; all when None.
        above: alerts when the lower end of the rate's 95 % interval is above it.
        rise: alerts when the lower end of the 95 % interval of the rise over the days before is above it.
        days: how long the window is.
        min_n: signals of the window, below which nothing is said.
        worse_by: how much higher the rate must be to be said again before the quiet period is over.
    """

    rate: str
    slice: str | None = None
    above: Share | None = None
    rise: Share | None = None
    days: Days = 7
    min_n: Positive = 30
    worse_by: Share = 0.1


class DriftRule(AlertRule, frozen=True, kw_only=True, tag="drift"):
    """Columns or slices drifted: `drift` is `newest`, `window` or a training set; `harmful` asks for bad outcomes."""

    drift: str
    harmful: bool = False
    days: Days = 7


class BudgetRule(AlertRule, frozen=True, kw_only=True, tag="budget"):
    """More than the share `above` of what may be spent in this month is spent."""

    budget: Literal["train", "eval", "label", "all"]
    above: Annotated[float, msgspec.Meta(ge=0)] = 0.8
    worse_by: Share = 0.1


class SilenceRule(AlertRule, frozen=True, kw_only=True, tag="silence"):
    """A source has sent nothing for so many hours."""

    silence: str
    hours: Hours = 24


class LabelsRule(AlertRule, frozen=True, kw_only=True, tag="labels"):
    """Records of a question set, or of `all`, have waited for answers longer than so many days."""

    labels: str
    days: Days = 3


class QuarantineRule(AlertRule, frozen=True, kw_only=True, tag="quarantine"):
    """The share of records of a source, or of `all`, that could not be read in the last days is too high."""

    quarantine: str
    above: Share = 0.05
    days: Days = 1
    min_n: Positive = 30
    worse_by: Share = 0.1


Rule = RateRule | DriftRule | BudgetRule | SilenceRule | LabelsRule | QuarantineRule
KINDS = ("rate", "drift", "budget", "silence", "labels", "quarantine")


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules, and where their alerts go.

    Attributes:
        quiet: how long the same alert is not said again, unless it got worse or was resolved in between.
        to: `stdout`; `file:PATH.jsonl`, relative to the workspace; `webhook:NAME`, whose address stands in the
            environment variable NAME.
        rules: what is looked at.
    """

    quiet: timedelta = timedelta(hours=24)
    to: tuple[str, ...] = ("stdout",)
    rules: tuple[Rule, ...] = ()


def shaped_rules(rules: Mapping[str, Any]) -> list[Any]:
    """Tables of rules by name as a list, each with the kind that its keys tell.

    Raises:
        SettingsError: a rule looks at nothing, or at two things.
    """
    shaped: list[Any] = []
    for name, rule in rules.items():
        if not isinstance(rule, Mapping):
            raise SettingsError(f"[alerts.rules] {name}: a rule is a table: [alerts.rules.{name}].")
        kinds = [kind for kind in KINDS if kind in rule]
        if len(kinds) != 1:
            found = f"it looks at {' and '.join(kinds)} at once" if kinds else "it looks at nothing"
            raise SettingsError(f"[alerts.rules.{name}]: {found}. Give it one of {', '.join(KINDS)}.")
        shaped.append({**rule, "name": name, "watches": kinds[0]})
    return shaped


def check_alerts(
    alerts: AlertSettings,
    place: str,
    *,
    slices: Collection[str],
    sources: Collection[str],
    outcomes: Collection[OutcomeRule],
    sets: Collection[str],
    budget: BudgetSettings,
) -> None:
    """Refuses rules that could never alert, and places to which nothing can be sent.

    Raises:
        SettingsError: with the rule, what it names, and what there is.
    """
    _check_sinks(alerts.to, place)
    for rule in alerts.rules:
        here = f"{place}: [alerts.rules.{rule.name}]"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", rule.name):
            raise SettingsError(f"{here}: a rule's name holds letters, digits, - and _ only. Rename it.")
        match rule:
            case RateRule():
                _check_rate(rule, here, slices, outcomes)
            case SilenceRule():
                _known(here, "silence", rule.silence, (*sources, *FORMAT_NAMES), "[sources]")
            case QuarantineRule():
                _known(here, "quarantine", rule.quarantine, (ALL, *sources, *FORMAT_NAMES), "[sources]")
            case LabelsRule():
                _known(here, "labels", rule.labels, (ALL, *sets), "[labels.ask]")
            case BudgetRule():
                limit = getattr(budget, rule.budget)
                if limit.hours is limit.usd is None:
                    raise SettingsError(f"{here}: [budget] sets no limit for {rule.budget}. Set one, or drop the rule.")


def _check_rate(rule: RateRule, here: str, slices: Collection[str], outcomes: Collection[OutcomeRule]) -> None:
    if (rule.above is None) == (rule.rise is None):
        raise SettingsError(
            f"{here}: give it one of above (e.g. 0.2: the rate itself) and rise (e.g. 0.05: over the days before)."
        )
    if rule.slice is not None:
        _known(here, "slice", rule.slice, slices, "[slices]")
    named = {each.name: each for each in outcomes}
    if rule.rate == FAILURE and not named:
        raise SettingsError(f"{here}: no rule of [outcomes] says what a failure is. Declare one.")
    words = (FAILURE, *named)
    if rule.rate not in words and (close := get_close_matches(rule.rate, words, n=1, cutoff=0.75)):
        raise SettingsError(f"{here}: rate = {rule.rate!r}: did you mean {close[0]!r}?")
    deciding = [named[rule.rate]] if rule.rate in named else list(named.values()) if rule.rate == FAILURE else []
    if deciding and all(each.within is not None and each.within >= timedelta(days=rule.days) for each in deciding):
        slow = deciding[0]
        raise SettingsError(
            f"{here}: days = {rule.days:g}, but the outcome {slow.name} is settled after {slow.within}: "
            "nothing of the window ever would be. Look at more days."
        )


def _known(here: str, key: str, name: str, known: Collection[str], where: str) -> None:
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Declare it in {where}."
        raise SettingsError(f"{here}: {key} = {name!r} is not declared. {hint}")


def _check_sinks(to: Collection[str], place: str) -> None:
    """An address that stands where a name should is a secret: it is not quoted."""
    here = f"{place}: [alerts] to"
    if len(set(to)) < len(to):
        raise SettingsError(f"{here}: names a place twice. Name each once.")
    for sink in to:
        kind, _, rest = sink.partition(":")
        if SINK.fullmatch(sink):
            continue
        if kind == "webhook" or "//" in sink:
            raise SettingsError(
                f"{here}: a webhook is named by the environment variable that holds its address, in capitals, digits "
                "and _: to = ['webhook:SLACK_WEBHOOK']. The address itself is a secret; keep it out of this file."
            )
        if kind == "file":
            raise SettingsError(f"{here}: {sink!r}: alerts are written as JSON lines. Name a file that ends in .jsonl.")
        close = get_close_matches(kind, ("stdout", "file", "webhook"), n=1)
        hint = f"Did you mean {close[0]!r}?" if close and not rest else "There: stdout, file:PATH.jsonl, webhook:NAME."
        raise SettingsError(f"{here}: {_short(sink)} is no place for alerts. {hint}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
