"""How a release goes out: its stages, what it must show at each, and what sends it back."""

from datetime import timedelta
from math import isfinite
from typing import Annotated

import msgspec

from clworkbench.errors import SettingsError
from clworkbench.settings.bounds import Share

Allowed = Annotated[float, msgspec.Meta(ge=0)]
Chance = Annotated[float, msgspec.Meta(gt=0, lt=0.5)]


class ShadowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stage in which both answer and the champion's answer is sent.

    Attributes:
        agreement: how far the challenger's answers must be shown to agree with the champion's (0 to 1), on average.
        at_least: how long the stage lasts at least.
        skip: goes out without it.
    """

    agreement: Share = 0.5
    at_least: timedelta = timedelta(hours=1)
    skip: bool = False


class StageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stage in which the challenger's answers are sent.

    Attributes:
        share: the challenger's share of new conversations; the rest is the champion's, as the control.
        margin: the stage is passed when outcomes are shown not worse by more than this (0.05: 5 points).
        at_least: how long the stage lasts at least, whatever is shown: a day has its hours.
    """

    share: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    margin: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    at_least: timedelta = timedelta(hours=24)

    @property
    def name(self) -> str:
        """The share in percent: `5%`."""
        return f"{100 * self.share:g}%"


class GuardrailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much worse the challenger may be; what is shown worse than that rolls it back.

    Attributes:
        outcome: the rate of good outcomes (0.02: 2 points lower is borne).
        errors: the rate of failed answers (0.02: 2 points higher).
        latency: the mean latency, as a share of the champion's (0.5: half as long again).
        length: the mean length of answers, likewise.
        cost: the mean cost, likewise.
    """

    outcome: Share = 0.0
    errors: Share = 0.02
    latency: Allowed = 0.5
    length: Allowed = 0.5
    cost: Allowed = 0.5


class RolloutSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stages in their order, and how sure decisions are.

    Attributes:
        alpha: the chance, at most and over all stages that answer, that a challenger within all guardrails is rolled
            back; that one worse than a stage's margin passes it; and likewise of the shadow stage.
        staged: whether `clw cycle` lets a release go out in stages, as `clw release --staged` does.
        shadow: the stage before the first.
        stages: the stages, each with a greater share than the one before.
        guardrails: what sends the challenger back.
    """

    alpha: Chance = 0.05
    staged: bool = False
    shadow: ShadowSettings = ShadowSettings()
    stages: Annotated[tuple[StageSettings, ...], msgspec.Meta(min_length=1)] = (
        StageSettings(0.05, margin=0.10),
        StageSettings(0.25, margin=0.05),
        StageSettings(0.95, margin=0.05, at_least=timedelta(days=7)),
    )
    guardrails: GuardrailSettings = GuardrailSettings()


def check_rollout(rollout: RolloutSettings, place: str) -> None:
    """Refuses stages that lead nowhere.

    Raises:
        SettingsError: with the stage, what it says, and what it may say.
    """
    _check_shadow(rollout, place)
    for before, after in zip(rollout.stages, rollout.stages[1:], strict=False):
        if after.share <= before.share:
            raise SettingsError(
                f"{place}: [rollout] stages: {after.name} follows {before.name}. "
                "Each stage has a greater share than the one before."
            )
        if after.margin > before.margin:
            raise SettingsError(
                f"{place}: [rollout] stages: {after.name} allows a margin of {after.margin:g}, the stage before "
                f"{before.margin:g}. A later stage asks no less: give it a margin of {before.margin:g} at most."
            )
    for name, value in (("latency", rollout.guardrails.latency), ("length", rollout.guardrails.length),
                        ("cost", rollout.guardrails.cost)):  # fmt: skip
        if not isfinite(value):
            raise SettingsError(
                f"{place}: [rollout.guardrails] {name} = {value}. Write a share of the champion's, e.g. {name} = 0.5."
            )


def _check_shadow(rollout: RolloutSettings, place: str) -> None:
    """No number of answers shows that two models always agree, or that one is no worse: the stage would never end."""
    if rollout.shadow.skip:
        return
    if rollout.shadow.agreement == 1:
        raise SettingsError(
            f"{place}: [rollout.shadow] agreement = 1: no number of answers can show that. Write less, e.g. 0.9."
        )
    for name in ("errors", "latency"):
        if getattr(rollout.guardrails, name) == 0:
            raise SettingsError(
                f"{place}: [rollout.guardrails] {name} = 0: the shadow stage shows that it is no worse than allowed, "
                "and\nno number of answers can show a difference of 0. Write more, e.g. "
                f"{name} = 0.01, or [rollout.shadow] skip = true."
            )
