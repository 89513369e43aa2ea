"""`[alerts]` as a person writes it: every mistake is answered in words, and an address is never quoted."""

from datetime import timedelta

import pytest

from clworkbench.errors import SettingsError
from clworkbench.settings import BudgetRule, RateRule, SilenceRule, parse_settings, settings_dict

WHOLE = """
[outcomes]
thumbs = { score = "thumbs" }
[slices]
refunds = "text LIKE '%refund%'"
[alerts]
quiet = "12h"
to = "webhook:SLACK_WEBHOOK"
[alerts.rules.refunds_fail]
rate = "failure"
slice = "refunds"
above = 0.2
[alerts.rules.silent]
silence = "openai"
severity = "critical"
[alerts.rules.money]
budget = "all"
[budget]
all = { usd = 100 }
"""


def test_rules_take_their_names_from_their_tables_and_their_kinds_from_their_keys():
    alerts = parse_settings(WHOLE).alerts
    assert (alerts.quiet, alerts.to) == (timedelta(hours=12), ("webhook:SLACK_WEBHOOK",))
    rate, silence, money = alerts.rules
    assert isinstance(rate, RateRule)
    assert (rate.name, rate.rate, rate.slice, rate.above, rate.days, rate.min_n) == (
        "refunds_fail", "failure", "refunds", 0.2, 7, 30,
    )  # fmt: skip
    assert isinstance(silence, SilenceRule)
    assert (silence.silence, silence.severity, silence.hours) == ("openai", "critical", 24)
    assert isinstance(money, BudgetRule)
    assert settings_dict(alerts)["quiet"] == "PT43200S"


def test_without_any_there_are_no_rules_and_alerts_go_to_standard_output():
    alerts = parse_settings("").alerts
    assert (alerts.rules, alerts.to, alerts.quiet) == ((), ("stdout",), timedelta(hours=24))


RATE = "[outcomes]\nthumbs = { score = 't' }\n[slices]\nrefunds = 'true'\n[alerts.rules.a]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[alerts]\nto = 'stdot'", "'stdot' is no place for alerts. Did you mean 'stdout'"),
        ("[alerts]\nto = 'mail:me'", "There: stdout, file:PATH.jsonl, webhook:NAME"),
        ("[alerts]\nto = ['stdout', 'stdout']", "names a place twice"),
        ("[alerts]\nto = 'file:catalog.db'", "Name a file that ends in .jsonl"),
        ("[alerts]\nto = 'webhook:slack-hook'", "environment variable"),
        ("[alerts]\nquite = '1h'", r"\[alerts\] no such key 'quite'. Did you mean 'quiet'"),
        ("[alerts]\nquiet = 'soon'", "alerts: quiet = 'soon' is no length of time"),
        ("[alerts.rules]\na = 3", r"\[alerts.rules\] a: a rule is a table"),
        ("[alerts.rules.a]", r"\[alerts.rules.a\]: it looks at nothing. Give it one of rate, drift"),
        ("[alerts.rules.a]\nrate = 'x'\ndrift = 'window'", "it looks at rate and drift at once"),
        ("[alerts.rules.'a b']\ndrift = 'window'", "letters, digits, - and _ only"),
        (RATE + "rate = 'failure'", "give it one of above .* and rise"),
        (RATE + "rate = 'failure'\nabove = 0.1\nrise = 0.1", "give it one of above .* and rise"),
        (RATE + "rate = 'failure'\nabove = 20", r"\[alerts.rules.a.above\] Expected `float` <= 1.0"),
        (RATE + "rate = 'failure'\nabove = 0.1\nslice = 'refund'", "is not declared. Did you mean 'refunds'"),
        (RATE + "rate = 'failures'\nabove = 0.1", "rate = 'failures': did you mean 'failure'"),
        (RATE + "rate = 'thumb'\nabove = 0.1", "did you mean 'thumbs'"),
        (RATE + "rate = 'failure'\nabove = 0.1\nmin_m = 3", "no such key 'min_m'. Did you mean 'min_n'"),
        ("[alerts.rules.a]\nrate = 'failure'\nabove = 0.1", r"no rule of \[outcomes\] says what a failure is"),
        ("[alerts.rules.a]\ndrift = 'window'\ndays = 0", r"\[alerts.rules.a.days\] Expected `float` > 0"),
        (
            "[alerts.rules.b]\ndrift = 'window'\n[alerts.rules.a]\nlabels = 'review'\nharmful = true",
            r"\[alerts.rules.a\] no such key 'harmful'. There: name, severity, labels, days",
        ),
        ("[alerts.rules.a]\nlabels = 'reviw'", "labels = 'reviw' is not declared. Did you mean 'review'"),
        ("[alerts.rules.a]\nsilence = 'ap'\n[sources.app]", "silence = 'ap' is not declared. Did you mean 'app'"),
        ("[alerts.rules.a]\nquarantine = 'nowhere'", r"Declare it in \[sources\]"),
        ("[alerts.rules.a]\nbudget = 'trian'", "Invalid enum value 'trian'. There: all, eval, label, train"),
        ("[alerts.rules.a]\nbudget = 'train'\n[budget]\nall = { usd = 1 }", "sets no limit for train"),
        ("[alerts.rules.a]\nlabels = 'all'\nseverity = 'bad'", r"severity\] Invalid enum value 'bad'. There: critical"),
        (
            "[outcomes]\nsolved = { negative = 'r', within = '7d' }\n[alerts.rules.a]\nrate = 'solved'\nabove = 0.1",
            "days = 7, but the outcome solved is settled after 7 days",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_where_and_what(text, says):
    with pytest.raises(SettingsError, match=says):
        parse_settings(text)


@pytest.mark.parametrize("sink", ["webhook:https://hooks.example.com/s3cret", "https://hooks.example.com/s3cret"])
def test_an_address_that_stands_where_a_name_should_is_not_quoted(sink):
    with pytest.raises(SettingsError, match="The address itself is a secret") as error:
        parse_settings(f"[alerts]\nto = '{sink}'")
    assert "s3cret" not in str(error.value)
    assert "example" not in str(error.value)
