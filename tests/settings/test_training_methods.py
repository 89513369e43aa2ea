"""What `[training]` says of methods, presets and trackers, and what it may not say."""

import re
from dataclasses import fields

import pytest

from clworkbench.errors import SettingsError
from clworkbench.runs.settings import DpoSettings, GrpoSettings, KtoSettings, RewardSettings, RunSettings, SftSettings
from clworkbench.settings import parse_settings, settings_dict, template

SAID = """\
format = 1
[training]
rank = 0
preset = "gpus"
rows_at_once = 4
gradient_checkpointing = false
report_to = ["tensorboard", "mlflow"]
[training.kto]
beta = 0.2
[training.grpo]
generations = 8
"""


def test_each_method_has_settings_of_its_own():
    training = parse_settings(SAID).training
    assert (training.rank, training.preset, training.rows_at_once) == (0, "gpus", 4)
    assert training.gradient_checkpointing is False
    assert training.report_to == ("tensorboard", "mlflow")
    assert settings_dict(training.dpo) == {"beta": 0.1}
    assert settings_dict(training.kto) == {"beta": 0.2}
    assert settings_dict(training.grpo) == {"generations": 8}


@pytest.mark.parametrize("method", [SftSettings, DpoSettings, KtoSettings, RewardSettings, GrpoSettings])
def test_a_method_has_at_most_eight_settings_and_those_of_clw_toml_are_among_them(method: type[RunSettings]):
    names = {field.name for field in fields(method)}
    assert len(names) <= 8
    table = getattr(parse_settings("format = 1\n").training, method.__name__.removesuffix("Settings").lower(), None)
    assert set(settings_dict(table) if table else {}) <= names


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("preset = 'tpu'", "[training.preset] Invalid enum value 'tpu'"),
        ("report_to = ['excel']", "Invalid enum value 'excel'"),
        ("rank = -1", "[training.rank]"),
        ("[training.dpo]\nbeta = 0", "[training.dpo.beta]"),
        ("[training.grpo]\ngenerations = 1", "[training.grpo.generations]"),
        ("[training.kto]\nbeat = 1", "no such key 'beat'. Did you mean 'beta'?"),
    ],
)
def test_what_means_nothing_is_refused_with_its_place(lines: str, says: str):
    with pytest.raises(SettingsError, match=re.escape(says)):
        parse_settings(f"format = 1\n[training]\n{lines}\n")


def test_the_template_s_own_lines_are_valid_once_they_are_uncommented():
    text = template()
    inside = text.partition("\n[training]\n")[2].partition("\n[evals]")[0]
    keys = ("rank", "preset", "rows_at_once", "gradient_checkpointing", "report_to", "[training", "beta")
    keys += ("generations",)
    lines = [line.removeprefix("# ") for line in inside.splitlines() if line.startswith(tuple(f"# {k}" for k in keys))]
    settings = parse_settings("format = 1\n[training]\n" + "\n".join(lines))
    assert settings.training.grpo.generations == 4
