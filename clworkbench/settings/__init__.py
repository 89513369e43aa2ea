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
from clworkbench.settings.labels import ASKS, LabelSettings, QuestionSet
from clworkbench.settings.policy import CapSettings, ExclusionRule, PolicySettings, QualitySettings, SampleSettings
from clworkbench.settings.reading import Settings, load_settings, parse_settings, settings_dict
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
    "AlertSettings",
    "BudgetRule",
    "BudgetSettings",
    "CandidateSettings",
    "CapSettings",
    "DriftRule",
    "Duplicates",
    "EvalSettings",
    "ExclusionRule",
    "GateRule",
    "GateSettings",
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
    "Rule",
    "SampleSettings",
    "Scalar",
    "Settings",
    "SilenceRule",
    "Source",
    "TrainingSettings",
    "load_settings",
    "parse_settings",
    "settings_dict",
    "template",
]
