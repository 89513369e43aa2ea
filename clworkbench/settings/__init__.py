"""`clw.toml`: what the analyst decides, read once and checked in words."""

from clworkbench.settings.alerts import (
    AlertSettings,
    BudgetRule,
    DriftRule,
    LabelsRule,
    QuarantineRule,
    RateRule,
    Rule,
    SilenceRule,
)
from clworkbench.settings.endpoints import EndpointSettings
from clworkbench.settings.judges import JUDGE, JudgeSettings
from clworkbench.settings.labels import ASKS, LabelSettings, QuestionSet
from clworkbench.settings.policy import CapSettings, ExclusionRule, PolicySettings, QualitySettings, SampleSettings
from clworkbench.settings.reading import Settings, duration, load_settings, parse_settings, settings_dict
from clworkbench.settings.rollout import GuardrailSettings, RolloutSettings, ShadowSettings, StageSettings
from clworkbench.settings.sources import FORMAT_NAMES, OutcomeRule, Scalar, Source
from clworkbench.settings.template import template
from clworkbench.settings.work import (
    BudgetSettings,
    CandidateSettings,
    Duplicates,
    EvalSettings,
    GateRule,
    GateSettings,
    Limit,
    ModelSettings,
    TrainingSettings,
)

__all__ = [
    "ASKS",
    "FORMAT_NAMES",
    "JUDGE",
    "AlertSettings",
    "BudgetRule",
    "BudgetSettings",
    "CandidateSettings",
    "CapSettings",
    "DriftRule",
    "Duplicates",
    "EndpointSettings",
    "EvalSettings",
    "ExclusionRule",
    "GateRule",
    "GateSettings",
    "GuardrailSettings",
    "JudgeSettings",
    "LabelSettings",
    "LabelsRule",
    "Limit",
    "ModelSettings",
    "OutcomeRule",
    "PolicySettings",
    "QualitySettings",
    "QuarantineRule",
    "QuestionSet",
    "RateRule",
    "RolloutSettings",
    "Rule",
    "SampleSettings",
    "Scalar",
    "Settings",
    "ShadowSettings",
    "SilenceRule",
    "Source",
    "StageSettings",
    "TrainingSettings",
    "duration",
    "load_settings",
    "parse_settings",
    "settings_dict",
    "template",
]
