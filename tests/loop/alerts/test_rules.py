"""What each kind of rule finds: the figures by hand, and words where there are too few."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from clworkbench.loop.alerts.alerts import Alerts, alerts
from clworkbench.loop.alerts.rates import hours_said, measured, onset, rate_said
from clworkbench.schemas import ASKED
from clworkbench.statistics.contrast import clustered
from clworkbench.workspace import Workspace
from tests.loop.alerting import DAY, START, answers, bring, settings

TENTH = START + 10 * DAY


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))

    def made(rules: str, *parts, more: str = "", lines: str = "") -> Workspace:
        workspace = Workspace.create(tmp_path / "w", settings=settings(rules=rules, more=more))
        if parts:
            bring(workspace, *parts, more=lines)
        return workspace

    return made


def look(workspace: Workspace, at: datetime = TENTH) -> Alerts:
    return alerts(workspace, as_of=at, event_time=True)


def only(workspace: Workspace, at: datetime = TENTH) -> dict[str, object]:
    return look(workspace, at).frame.row(0, named=True)


RISE = '[alerts.rules.rise]\nrate = "failure"\nrise = 0.05\n'


def test_a_rise_stands_where_the_whole_interval_of_the_difference_is_above_it(make):
    found = only(make(RISE, answers(2, 180, 20), answers(8, 140, 60)))
    # Newcombe's method 10 by hand: 30 - 10 points, 0.2 - sqrt(0.0592^2 + 0.0494^2) = 0.123.
    assert (found["state"], found["value"]) == ("stands", pytest.approx(0.2))
    assert found["low"] == pytest.approx(0.123, abs=0.002)
    assert "alerts above 5 points more than before" in str(found["says"])


@pytest.mark.parametrize(
    ("before", "now", "state"),
    [((180, 20), (164, 36), "between"), ((180, 20), (172, 28), "clear"), ((9, 1), (140, 60), "not enough data")],
)
def test_a_rise_that_is_not_shown_or_too_small_or_of_too_few_does_not_stand(make, before, now, state):
    assert only(make(RISE, answers(2, *before), answers(8, *now)))["state"] == state


def test_signals_of_one_conversation_are_not_taken_for_independent(make):
    rule = '[alerts.rules.high]\nrate = "failure"\nabove = 0.2\nmin_n = 10\n'
    talks = [answers(8, 0, 30, text="refund a", user="x"), answers(8, 30, 0, text="refund b", user="y")]
    talks += [answers(8, 30, 0, text="refund c", user="z")]
    found = only(make(rule, *talks))
    assert found["value"] == pytest.approx(1 / 3)
    assert found["state"] == "between"  # one conversation of three: Wilson's interval of 1 of 3 begins at 0.06
    assert found["low"] < 0.12


def test_the_interval_of_rows_that_are_all_alike_in_a_cluster_is_that_of_the_clusters():
    values = np.repeat([1.0, 0.0, 0.0, 0.0], 25)
    low, high = clustered(values, np.repeat(np.arange(4), 25).astype(np.intp))
    # Wilson's interval of 1 of 4, by statsmodels' proportion_confint(1, 4, method="wilson").
    assert (low, high) == pytest.approx((0.0456, 0.6994), abs=0.0005)
    alone = clustered(values, np.arange(100).astype(np.intp))
    assert alone == pytest.approx((0.1755, 0.3430), abs=0.0005)  # and of 25 of 100


def test_an_outcome_rule_by_name_and_an_expression_are_counted_over_their_own_signals(make):
    more = "[alerts.rules.ends]\nrate = \"text LIKE '%9'\"\nabove = 0.06\nmin_n = 10\n"
    workspace = make('[alerts.rules.thumbs]\nrate = "thumbs"\nabove = 0.5\n' + more, answers(8, 50, 50))
    rows = look(workspace).frame.rows(named=True)
    assert [(row["value"], row["state"]) for row in rows] == [(0.5, "clear"), (0.1, "between")]
    assert "failures by thumbs in all signals: 50% [40%, 60%] of 100" in rows[0]["says"]
    assert "what the rule counts, in all signals: 10% [5.5%, 17%] of 100" in rows[1]["says"]


@pytest.mark.parametrize(("good", "bad", "state", "says"), [
    (40, 0, "clear", "0% [0%, 8.8%] of 40"), (0, 40, "stands", "100% [91%, 100%] of 40"),
    (5, 5, "not enough data", "50% [24%, 76%] of 10 in the 7 days to Wed 11 Mar 2026 00:00 UTC; no settled signal"),
])  # fmt: skip
def test_one_class_only_and_too_few_are_told_with_n_and_interval(make, good, bad, state, says):
    found = only(make('[alerts.rules.high]\nrate = "failure"\nabove = 0.2\n', answers(8, good, bad)))
    assert found["state"] == state
    assert says in str(found["says"])


def test_where_all_outcomes_are_pending_it_says_so(make):
    rows = [{**row, "feedback": []} for row in answers(8, 40, 0)]
    found = only(make('[alerts.rules.high]\nrate = "failure"\nabove = 0.2\n', rows))
    assert found["state"] == "not enough data"
    assert "no settled signal in the 7 days to Wed 11 Mar 2026 00:00 UTC, 40 pending" in str(found["says"])
    assert found["value"] is None


def test_a_window_holds_its_end_and_not_its_beginning():
    at = [TENTH - 14 * DAY, TENTH - 7 * DAY, TENTH - 7 * DAY + timedelta(microseconds=1), TENTH]
    at += [TENTH + timedelta(microseconds=1)]
    rows = pl.DataFrame({"started_at": at, "happened": [True] * 5, "unit": list("abcde")})
    found = measured(rows, TENTH, 7 * DAY, rise=False)
    assert (found.n, found.n_before) == (2, 1)


def test_the_day_from_which_on_a_rate_is_higher_is_found_and_none_where_it_fell_or_stayed():
    def days(*hits: int) -> pl.DataFrame:
        return pl.DataFrame({"day": [START + n * DAY for n in range(len(hits))], "n": 30}).with_columns(
            rate=pl.Series(hits) / 30
        )

    assert onset(days(3, 4, 3, 2, 4, 9, 10, 8)) == START + 5 * DAY
    assert onset(days(9, 10, 8, 9, 3, 4, 3)) is None
    assert onset(days(3, 3, 3, 3, 3)) is None
    assert onset(days(0, 0, 0, 30)) == START + 3 * DAY
    assert onset(days(5)) is None
    assert onset(days()) is None


def test_a_rate_that_fell_or_was_above_its_threshold_before_stands_since_it_was_found_and_not_since_a_later_rise(make):
    rule = '[alerts.rules.high]\nrate = "failure"\nabove = 0.3\n'
    fell = make(rule, answers(1, 5, 95), answers(4, 50, 50), answers(8, 10, 90))
    found = look(fell)
    assert found.frame["state"].to_list() == ["stands"]
    assert "higher since" not in found.frame["says"][0]
    assert found.alerts[0].since == TENTH
    assert found.alerts[0].figures["higher_since"] is None


def test_a_silence_is_told_in_hours_days_or_years():
    assert [hours_said(n) for n in (1, 3, 47.9, 288, 58_565)] == [
        "1 hour",
        "3 hours",
        "47.9 hours",
        "12 days",
        "6.7 years",
    ]


def test_a_small_rate_keeps_a_digit_and_none_is_words():
    assert rate_said(0.0045, 0.001, 0.02, 2200) == "0.4% [0.1%, 2.0%] of 2,200"
    assert rate_said(None, None, None, 0) == "no settled signal"


def test_a_budget_stands_when_more_than_the_share_is_spent_and_is_clear_in_the_next_month(make):
    limits = "[budget]\ntrain = { hours = 10, usd = 50 }"
    workspace = make('[alerts.rules.money]\nbudget = "train"\nabove = 0.8\n', more=limits)
    workspace.catalog.spend("train", "run:a", 8.1 * 3600, 20.0)
    present = datetime.now(UTC)
    found = alerts(workspace).frame.row(0, named=True)
    assert (found["state"], found["value"]) == ("stands", pytest.approx(0.81))
    assert f"81% of {present:%B %Y} (UTC) is spent: 8.1 of 10 hours, 20 of 50 USD" in str(found["says"])
    assert only(workspace, present + 32 * DAY)["state"] == "clear"
    assert only(workspace, present - 32 * DAY)["state"] == "clear"


def test_a_source_that_sent_nothing_for_hours_is_silent_since_its_last_event(make):
    workspace = make('[alerts.rules.quiet]\nsilence = "openai"\nhours = 6\n', answers(8, 2, 0))
    last = START + 8 * DAY + timedelta(hours=12, minutes=5)  # the thumbs, five minutes after noon
    assert only(workspace, last + timedelta(hours=6))["state"] == "clear"
    found = look(workspace, last + timedelta(hours=6, minutes=6))
    assert found.frame["state"].to_list() == ["stands"]
    assert "source openai: 6.1 hours without an event, the last Mon 09 Mar 2026 12:05 UTC" in found.frame["says"][0]
    assert found.alerts[0].since == last
    workspace.catalog.note_watermark("openai", last + timedelta(hours=5))
    assert look(workspace, last + timedelta(hours=6, minutes=6)).is_well


def test_records_that_wait_too_long_for_an_answer_are_counted(make):
    workspace = make('[alerts.rules.wait]\nlabels = "review"\ndays = 3\n')
    at = {"a": TENTH - 5 * DAY, "b": TENTH - 4 * DAY, "c": TENTH - DAY}
    rows = [
        {"ask_id": own, "dataset": "review", "interaction_id": own, "options": [], "state": "asked", "at": when}
        for own, when in at.items()
    ]
    workspace.write_batch("ask", "ask", {"asked": pl.DataFrame(rows, schema=ASKED).drop("batch_id")})
    found = only(workspace)
    assert (found["state"], found["value"]) == ("stands", 2.0)
    assert "2 of 3 records without an answer have waited more than 3 days, the oldest since Fri 06 Mar" in found["says"]
    assert only(workspace, TENTH - 2 * DAY)["state"] == "clear"


def test_records_of_late_batches_that_could_not_be_read_are_counted(make):
    rule = '[alerts.rules.unread]\nquarantine = "openai"\nabove = 0.05\n'
    workspace = make(rule, answers(8, 80, 0), lines="{half\n" * 20)
    found = alerts(workspace).frame.row(0, named=True)
    assert (found["state"], found["value"]) == ("stands", 0.2)
    assert "records that could not be read, source openai: 20% [13%, 29%] of 100 in the day to" in str(found["says"])
    later = only(workspace, datetime.now(UTC) + 2 * DAY)
    assert (later["state"], later["value"]) == ("not enough data", None)


def test_drift_names_columns_and_slices_and_keeps_keys_and_values_of_production_to_itself(make):
    def part(day: int, app: str, secret: str) -> list[dict[str, object]]:
        rows = answers(day, 60, 0, text=f"refund {secret}")
        return [{**row, "app": app, "metadata": {secret: f"{secret}-{n % 2}"}} for n, row in enumerate(rows)]

    rule = '[alerts.rules.drifts]\ndrift = "window"\n[alerts.rules.harm]\ndrift = "window"\nharmful = true\n'
    parts = part(2, "desk", "smith"), part(8, "phone-of-smith", "jones")
    found = look(make(rule, *parts))
    drifts, harm = found.frame.rows(named=True)
    assert drifts["state"] == "stands"
    assert "app (chi-square 0.83, at least 0.07, p < 0.0001, n = 60 and 60" in drifts["says"]
    assert "good outcomes of all signals: 100% [94%, 100%] of 60 before, 100% [94%, 100%] of 60 now" in drifts["says"]
    assert (harm["state"], harm["value"]) == ("between", 0.0)
    told = str([alert.as_dict() for alert in found.alerts]) + str(found.frame.to_dicts())
    assert "smith" not in told
    assert "jones" not in told


@pytest.mark.slow
def test_a_rate_at_its_threshold_raises_an_alert_as_seldom_as_its_interval_promises():
    """One look at 200 signals whose true rate is the threshold: a one-sided 2.5 %, so at most 79 of 2,000."""
    draw, alarms = np.random.default_rng(7), 0
    clusters = np.arange(200).astype(np.intp)
    for _ in range(2000):
        low, _ = clustered((draw.random(200) < 0.2).astype(float), clusters)
        alarms += low is not None and low > 0.2
    assert alarms <= 79


def begun(hourly: np.ndarray, above: float) -> int:
    """How many alerts begin in a month that is looked at every hour, in windows of 7 days, one signal an hour."""
    hits, hours = np.concatenate([[0], np.cumsum(hourly)]), 7 * 24
    stands, begins, clusters = False, 0, np.arange(hours).astype(np.intp)
    for hour in range(hours, len(hourly) + 1):
        rate = (hits[hour] - hits[hour - hours]) / hours
        if stands:
            stands = rate > above
        elif rate > above + 0.03:  # below it no interval of 168 can be above
            low, _ = clustered(hourly[hour - hours : hour], clusters)
            stands = low is not None and low > above
            begins += stands
    return begins


@pytest.mark.slow
def test_a_month_of_hourly_looks_is_quiet_five_points_below_the_threshold_and_begins_few_alerts_at_it():
    """400 months each, simulated apart from this code: 0.8 % of them at 15 %, 44 % at 20 %, 0.51 alerts a month."""
    draw = np.random.default_rng(3)
    below = [begun((draw.random(37 * 24) < 0.15).astype(float), 0.2) for _ in range(100)]
    at = [begun((draw.random(37 * 24) < 0.2).astype(float), 0.2) for _ in range(100)]
    assert sum(n > 0 for n in below) <= 5
    assert 25 <= sum(n > 0 for n in at) <= 63
    assert sum(at) <= 90
