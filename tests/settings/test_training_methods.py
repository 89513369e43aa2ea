"""What `[training]` says of methods, presets and trackers, and what it may not say."""

import re

import pytest

from clworkbench.errors import SettingsError
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
undesirable_weight = 2.0
[training.grpo]
generations = 8
beta = 0
"""


def test_each_method_has_settings_of_its_own():
    training = parse_settings(SAID).training
    assert (training.rank, training.preset, training.rows_at_once) == (0, "gpus", 4)
    assert training.gradient_checkpointing is False
    assert training.report_to == ("tensorboard", "mlflow")
    assert settings_dict(training.dpo) == {"beta": 0.1}
    assert settings_dict(training.kto) == {"beta": 0.1, "desirable_weight": None, "undesirable_weight": 2.0}
    grpo = {"generations": 8, "max_new_tokens": 64, "temperature": 1.0, "beta": 0.0}
    assert settings_dict(training.grpo) == grpo


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("preset = 'tpu'", "[training.preset] Invalid enum value 'tpu'"),
        ("report_to = ['excel']", "Invalid enum value 'excel'"),
        ("rank = -1", "[training.rank]"),
        ("[training.dpo]\nbeta = 0", "[training.dpo.beta]"),
        ("[training.grpo]\ngenerations = 1", "[training.grpo.generations]"),
        ("[training.kto]\ndesirable = 1", "no such key 'desirable'. Did you mean 'desirable_weight'?"),
    ],
)
def test_what_means_nothing_is_refused_with_its_place(lines: str, says: str):
    with pytest.raises(SettingsError, match=re.escape(says)):
        parse_settings(f"format = 1\n[training]\n{lines}\n")


def test_the_template_s_own_lines_are_valid_once_they_are_uncommented():
    text = template()
    inside = text.partition("\n[training]\n")[2].partition("\n[evals]")[0]
    keys = ("rank", "preset", "rows_at_once", "gradient_checkpointing", "report_to", "[training", "beta")
    keys += ("desirable_weight", "undesirable_weight", "generations", "max_new_tokens", "temperature")
    lines = [line.removeprefix("# ") for line in inside.splitlines() if line.startswith(tuple(f"# {k}" for k in keys))]
    settings = parse_settings("format = 1\n[training]\n" + "\n".join(lines))
    assert settings.training.grpo.generations == 4
    assert settings.training.kto.undesirable_weight == 2.0
