"""`[rollout]` as a person writes it: its defaults, its lengths of time, and every mistake in words."""

from datetime import timedelta

import pytest

from clworkbench.errors import SettingsError
from clworkbench.settings import parse_settings, settings_dict, template


def test_without_any_there_are_a_shadow_and_three_stages():
    rollout = parse_settings("").rollout
    assert [stage.name for stage in rollout.stages] == ["5%", "25%", "95%"]
    assert [stage.margin for stage in rollout.stages] == [0.10, 0.05, 0.05]
    assert (rollout.alpha, rollout.shadow.skip, rollout.guardrails.outcome) == (0.05, False, 0.0)


def test_what_the_template_shows_commented_out_are_the_defaults():
    text = template().partition("# [rollout]\n")[2].partition("\n\n")[0]
    shown = "[rollout]\n" + "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines())
    assert parse_settings(shown).rollout == parse_settings("").rollout


def test_stages_are_written_with_lengths_of_time():
    text = """
[rollout]
alpha = 0.1
stages = [{ share = 0.005, at_least = "2h" }, { share = 0.5, margin = 0.02 }]
shadow = { skip = true, at_least = "30m" }
[rollout.guardrails]
latency = 1
"""
    rollout = parse_settings(text).rollout
    assert [(s.name, s.margin, s.at_least) for s in rollout.stages] == [
        ("0.5%", 0.05, timedelta(hours=2)), ("50%", 0.02, timedelta(days=1)),
    ]  # fmt: skip
    assert (rollout.shadow.skip, rollout.shadow.at_least) == (True, timedelta(minutes=30))
    assert (rollout.guardrails.latency, rollout.guardrails.cost) == (1.0, 0.5)
    assert settings_dict(rollout)["stages"][0]["at_least"] == "PT7200S"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stages = []", r"\[rollout.stages\] Expected `array` of length >= 1"),
        ("stages = [{ share = 1.0 }]", r"\[rollout.stages.share\] Expected `float` < 1.0"),
        ("stages = [{ shares = 0.1 }]", "Did you mean 'share'"),
        ("stages = [{ share = 0.1, at_least = 'soon' }]", "at_least = 'soon' is no length of time"),
        ("stages = [{ share = 0.2 }, { share = 0.1 }]", "10% follows 20%. Each stage has a greater share"),
        ("stages = [{ share = 0.1, margin = 0.01 }, { share = 0.2 }]", "a margin of 0.05, the stage before 0.01"),
        ("stages = 3", r"\[rollout.stages\] Expected `array`, got `int`"),
        ("alpha = 0.5", r"\[rollout.alpha\] Expected `float` < 0.5"),
        ("guardrails = { latncy = 1 }", "Did you mean 'latency'"),
        ("guardrails = { latency = inf }", "latency = inf. Write a share of the champion's"),
        ("shadow = { at_least = '1y' }", "at_least = '1y' is no length of time"),
        ("shadow = { agreement = 1 }", "agreement = 1: no number of answers can show that"),
        ("guardrails = { errors = 0 }", "errors = 0: the shadow stage shows that it is no worse than"),
        ("guardrails = { latency = 0 }", r"Write more, e.g. latency = 0.01, or \[rollout.shadow\] skip = true"),
    ],
)
def test_a_mistake_is_answered_in_words(text: str, says: str):
    with pytest.raises(SettingsError, match=says):
        parse_settings(f"[rollout]\n{text}")


def test_a_rollout_that_is_no_table_is_answered_in_words():
    with pytest.raises(SettingsError, match=r"\[rollout\] Expected `object`, got `int`"):
        parse_settings("rollout = 3")


def test_without_a_shadow_no_difference_at_all_may_be_allowed():
    rollout = parse_settings("[rollout]\nshadow = { skip = true }\nguardrails = { errors = 0 }").rollout
    assert rollout.guardrails.errors == 0
