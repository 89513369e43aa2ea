"""`clw.toml`, read once and checked in words."""

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from clworkbench.errors import SettingsError
from clworkbench.settings.alerts import AlertSettings, check_alerts, shaped_rules
from clworkbench.settings.endpoints import EndpointSettings, check_endpoints
from clworkbench.settings.judges import JudgeSettings, check_judges
from clworkbench.settings.labels import LabelSettings
from clworkbench.settings.mistakes import in_words
from clworkbench.settings.policy import PolicySettings
from clworkbench.settings.rollout import RolloutSettings, check_rollout
from clworkbench.settings.sources import FORMAT_NAMES, OutcomeRule, Source
from clworkbench.settings.work import (
    BudgetSettings,
    CandidateSettings,
    EvalSettings,
    GateSettings,
    ModelSettings,
    TrainingSettings,
)

FORMAT = 1
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36_525)
"""100 years: no time before it runs out of the calendar."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything `clw.toml` says, with defaults for what it leaves out."""

    format: int = FORMAT
    model: ModelSettings = ModelSettings()
    endpoints: dict[str, EndpointSettings] = msgspec.field(default_factory=dict)
    judges: dict[str, JudgeSettings] = msgspec.field(default_factory=dict)
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    outcomes: tuple[OutcomeRule, ...] = ()
    slices: dict[str, str] = msgspec.field(default_factory=dict)
    policy: PolicySettings = PolicySettings()
    candidates: CandidateSettings = CandidateSettings()
    labels: LabelSettings = LabelSettings()
    training: TrainingSettings = TrainingSettings()
    evals: EvalSettings = EvalSettings()
    gates: GateSettings = GateSettings()
    rollout: RolloutSettings = RolloutSettings()
    budget: BudgetSettings = BudgetSettings()
    alerts: AlertSettings = AlertSettings()


def load_settings(path: Path) -> Settings:
    """Reads and checks a `clw.toml`.

    Raises:
        SettingsError: it is missing, is not TOML, or says something that means nothing.
    """
    try:
        return parse_settings(path.read_text(), str(path))
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: not there. `clw init {path.parent}` writes a commented one.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error


def parse_settings(text: str, place: str = "clw.toml") -> Settings:
    """Checks the text of a `clw.toml`; `place` names it in errors."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{place}: not TOML: {error}. Mend that line.") from error
    try:
        settings = msgspec.convert(shaped := _shaped(raw), Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{place}: {in_words(str(error), shaped, Settings)}") from error
    check_endpoints(settings.endpoints, place)
    check_judges(settings.judges, place, endpoints=settings.endpoints, scorers=settings.evals.scorers)
    _check_sources(settings, place)
    _check_policy(settings, place)
    _check_asks(settings, place)
    _check_training(settings, place)
    _check_evals(settings.evals, place)
    check_rollout(settings.rollout, place)
    _check_budget(settings.budget, place)
    check_alerts(
        settings.alerts, place, slices=settings.slices, sources=settings.sources, outcomes=settings.outcomes,
        sets=[asked.name for asked in settings.labels.ask], budget=settings.budget,
    )  # fmt: skip
    return settings


def _check_asks(settings: Settings, place: str) -> None:
    """Refuses question sets that nobody could answer."""
    for asked in settings.labels.ask:
        here = f"{place}: [labels.ask.{asked.name}]"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", asked.name):
            raise SettingsError(f"{here}: a set's name holds letters, digits, - and _ only. Rename it.")
        if not set(asked.asks) - {"comment"}:
            raise SettingsError(f"{here}: asks names no question that must be answered. Add one, e.g. 'accept'.")
        if len(set(asked.asks)) < len(asked.asks):
            raise SettingsError(f"{here}: asks names a question twice. Name each once.")
        for ask, key, given in (("choose", "options", asked.options), ("spans", "span_labels", asked.span_labels)):
            if ask in asked.asks and len(set(given)) < (2 if ask == "choose" else 1):
                raise SettingsError(
                    f"{here}: {ask!r} needs {key}. Name what there is to choose, e.g. {key} = ['a', 'b']."
                )
        if "rate" in asked.asks and not 2 <= asked.ratings <= 10:
            raise SettingsError(f"{here}: ratings = {asked.ratings}. Ratings go from 1 to 2 at least, to 10 at most.")


def _check_training(settings: Settings, place: str) -> None:
    """Refuses slices that are not there, and ages that would weigh nothing."""
    training = settings.training
    for name in training.balance:
        if name not in settings.slices:
            close = get_close_matches(name, settings.slices, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "Declare it in [slices]."
            raise SettingsError(f"{place}: [training] balance names {name!r}, which is not declared. {hint}")
    for name, length in (("half_life", training.half_life), ("forward", training.forward)):
        if length is not None and length <= timedelta(0):
            raise SettingsError(f"{place}: [training] {name} must be longer than 0, e.g. '90d'. Leave it out for none.")


def _check_evals(evals: EvalSettings, place: str) -> None:
    """Refuses repetitions that could only say the same."""
    if evals.repetitions > 1 and evals.temperature == 0:
        raise SettingsError(
            f"{place}: [evals] repetitions = {evals.repetitions}, but at temperature 0 they all say the same. "
            "Set temperature, e.g. 0.7, or leave repetitions out."
        )


def _check_budget(budget: BudgetSettings, place: str) -> None:
    """Refuses prices that no sum can be made of."""
    prices = {"usd_per_hour": budget.usd_per_hour, "usd_per_label": budget.usd_per_label}
    for name, price in {**prices, **{f"prices.{device}": each for device, each in budget.prices.items()}}.items():
        if not isfinite(price):
            raise SettingsError(f"{place}: [budget] {name} = {price}. Write US dollars, e.g. {name} = 1.2.")
    if any(not device.strip() for device in budget.prices):
        raise SettingsError(f"{place}: [budget.prices] names a device by nothing. Write cpu, or a GPU's name.")


def _check_policy(settings: Settings, place: str) -> None:
    """Refuses rules that say nothing, or name what is not there: what they should keep out would come in."""
    for rule in settings.policy.exclude:
        here = f"{place}: [policy.exclude.{rule.name}]"
        if rule.where is rule.slice is rule.source is rule.pattern is None:
            raise SettingsError(f"{here}: it excludes nothing. Give it where, slice, source or pattern.")
        for key, name, known in (("slice", rule.slice, settings.slices), ("source", rule.source, settings.sources)):
            if name is not None and name not in known and not (key == "source" and name in FORMAT_NAMES):
                close = get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Declare it in [{key}s]."
                raise SettingsError(f"{here}: {key} = {name!r} is not declared. {hint}")
        if rule.at == "ingest" and rule.slice is not None:
            raise SettingsError(f"{here}: a slice is known after ingest only. Write its condition as `where`.")
    voices = [*(rule.name for rule in settings.outcomes), "labels"]
    for name in settings.policy.quality.reliability:
        if name not in voices:
            close = get_close_matches(name, voices, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There: {', '.join(voices)}."
            raise SettingsError(f"{place}: [policy.quality] reliability: no rule {name!r} in [outcomes]. {hint}")


def _check_sources(settings: Settings, place: str) -> None:
    """Refuses names of sources and formats that lead nowhere: a typo there would turn failures into silence."""
    formats = FORMAT_NAMES
    there = (*settings.sources, *formats)
    named: list[tuple[str, str | None, tuple[str, ...]]] = []
    for source in settings.sources.values():
        named.append((f"sources.{source.name}] format", source.format, formats))
        named.append((f"sources.{source.name}] target_source", source.target_source, there))
    named += [(f"outcomes] {rule.name}: source", rule.source, there) for rule in settings.outcomes]
    for where, name, known in named:
        if name is not None and name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" There: {', '.join(known)}."
            raise SettingsError(f"{place}: [{where} = {name!r} is not declared.{hint}")
    if silent := [r.name for r in settings.outcomes if not (r.negative or r.positive or r.score)]:
        raise SettingsError(f"{place}: [outcomes] {silent[0]}: names no feedback. Give it negative, positive or score.")
    for rule in settings.outcomes:
        limits = [each for each in (rule.good_from, rule.bad_from) if each is not None]
        if limits and (rule.score is None or len(limits) > 1 or not -1 <= limits[0] <= 1):
            raise SettingsError(
                f"{place}: [outcomes] {rule.name}: good_from, or bad_from, belongs to a score and lies from -1 to 1.\n"
                'Write one of them, such as { score = "helpful", good_from = 0.5 }.'
            )


def settings_dict(settings: msgspec.Struct) -> dict[str, Any]:
    """Settings as plain JSON values, for manifests and hashes."""
    plain = msgspec.to_builtins(settings)
    assert isinstance(plain, dict)
    return plain


def _shaped(raw: dict[str, Any]) -> dict[str, Any]:
    """The forms that are pleasant to write, turned into the plain ones: names from keys, '24h', one name for a list."""
    shaped = dict(raw)
    if isinstance(sources := raw.get("sources"), Mapping):
        shaped["sources"] = {
            name: {"name": name, **_listed(source, "paths")} if isinstance(source, Mapping) else source
            for name, source in sources.items()
        }
        for name, source in shaped["sources"].items():
            if isinstance(source, dict) and "" in source.get("paths", ()):
                raise SettingsError(f"sources.{name}: an empty path. Write a pattern such as 'inbox/*.jsonl'.")
    if isinstance(outcomes := raw.get("outcomes"), Mapping):
        shaped["outcomes"] = [
            {"name": name, **_duration(_listed(rule, "negative", "positive"), "within", f"outcomes.{name}")}
            if isinstance(rule, Mapping)
            else rule
            for name, rule in outcomes.items()
        ]
    if isinstance(policy := raw.get("policy"), Mapping):
        shaped["policy"] = _shaped_policy(policy)
    if isinstance(training := raw.get("training"), Mapping):
        aged = _duration(_listed(training, "balance"), "half_life", "training")
        shaped["training"] = _duration(aged, "forward", "training")
    if isinstance(labels := raw.get("labels"), Mapping) and isinstance(asks := labels.get("ask"), Mapping):
        sets = [{"name": name, **asked} if isinstance(asked, Mapping) else asked for name, asked in asks.items()]
        shaped["labels"] = {**labels, "ask": sets}
    shaped |= _shaped_rollout(raw.get("rollout"))
    if isinstance(alerts := raw.get("alerts"), Mapping):
        shaped["alerts"] = _duration(_listed(alerts, "to"), "quiet", "alerts")
        if isinstance(rules := alerts.get("rules"), Mapping):
            shaped["alerts"]["rules"] = shaped_rules(rules)
    return shaped


def _shaped_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    shaped = _duration(dict(policy), "retention", "policy")
    if isinstance(rules := policy.get("exclude"), Mapping):
        shaped["exclude"] = [
            {"name": name, **rule} if isinstance(rule, Mapping) else {"name": name, "where": rule}
            for name, rule in rules.items()
        ]
    if isinstance(sample := policy.get("sample"), Mapping):
        shaped["sample"] = _listed(sample, "by")
    if isinstance(caps := policy.get("caps"), Mapping):
        shaped["caps"] = _duration(caps, "burst", "policy.caps")
    return shaped


def _shaped_rollout(rollout: object) -> dict[str, Any]:
    if not isinstance(rollout, Mapping):
        return {}
    shaped = dict(rollout)
    if isinstance(shadow := rollout.get("shadow"), Mapping):
        shaped["shadow"] = _duration(shadow, "at_least", "rollout.shadow")
    if isinstance(stages := rollout.get("stages"), list):
        shaped["stages"] = [
            _duration(stage, "at_least", f"rollout.stages[{number}]") if isinstance(stage, Mapping) else stage
            for number, stage in enumerate(stages)
        ]
    return {"rollout": shaped}


def _listed(table: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {k: [v] if k in keys and isinstance(v, str) else v for k, v in table.items()}


def _duration(table: Mapping[str, Any], key: str, place: str) -> dict[str, Any]:
    text = table.get(key)
    return {**table, key: duration(text, f"{place}: {key}")} if isinstance(text, str) else dict(table)


def duration(text: str, what: str) -> timedelta:
    """A length of time such as `24h` or `7d`; `what` names it in errors.

    Raises:
        SettingsError: it is none, or more than 100 years.
    """
    match = re.fullmatch(r"(\d+)\s*([smhdw])", text.strip())
    if not match:
        raise SettingsError(
            f"{what} = {text!r} is no length of time.\nWrite a number and a unit (s, m, h, d, w), e.g. '24h'."
        )
    unit, digits = timedelta(**{UNITS[match[2]]: 1}), match[1].lstrip("0") or "0"
    if len(digits) > len(f"{LONGEST // unit}") or int(digits) * unit > LONGEST:
        raise SettingsError(
            f"{what} = {text[:40]!r} is more than 100 years.\nWrite at most '{LONGEST // unit}{match[2]}'."
        )
    return int(digits) * unit
