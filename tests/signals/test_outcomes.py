"""Outcomes have three states, and rules stand in order of precedence."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.errors import SettingsError
from clworkbench.settings import OutcomeRule
from clworkbench.signals.outcomes import decide, events, read_until, summary, verdicts

DAY = timedelta(days=1)
START = datetime(2026, 11, 1, tzinfo=UTC)
RESOLVED = OutcomeRule("resolved", negative=("reopened",), within=DAY)
THUMBS = OutcomeRule("thumbs", score="thumbs")
EDITED = OutcomeRule("edited", negative=("edited",), positive=("accepted",))
SCHEMA = {"name": pl.String, "score": pl.Float64, "at": pl.Datetime("us", "UTC")}

Event = tuple[str, float | None, datetime | None]


def settled(
    rules: list[OutcomeRule], happened: list[Event], until: datetime | None, start: datetime | None = START
) -> dict[str, object]:
    """What one signal that started at `start` settles to; all rules are read until the same time."""
    signal = pl.DataFrame({"id": [0], "started_at": [start]}, schema={"id": pl.Int32, "started_at": SCHEMA["at"]})
    said = pl.DataFrame(happened, schema=SCHEMA, orient="row").join(signal, how="cross")
    row = signal.join(said.with_columns(verdicts(rules)).group_by("id").agg(events(rules)), on="id", how="left")
    return decide(row, rules, {rule.name: until for rule in rules}).row(0, named=True)


@pytest.mark.parametrize(
    ("happened", "until", "expected"),
    [
        ([], START + DAY, True),
        ([], START + DAY - timedelta(seconds=1), None),
        ([("reopened", None, START + DAY)], START + 2 * DAY, False),
        ([("reopened", None, START + DAY / 2)], START + DAY, False),
        ([("reopened", None, START + DAY / 2)], START + DAY / 2, None),
        ([("reopened", None, START + DAY + timedelta(seconds=1))], START + 2 * DAY, True),
        ([("reopened", None, START - DAY)], START + 2 * DAY, False),
        ([("reopened", None, None)], START + 2 * DAY, False),
        ([("thumbs", -1.0, START)], START + 2 * DAY, True),
        ([], None, None),
    ],
)
def test_a_rule_with_a_window_settles_when_its_source_was_read_beyond_it(
    happened: list[Event], until: datetime | None, expected: object
) -> None:
    assert settled([RESOLVED], happened, until)["outcome"] is expected


def test_a_window_without_a_start_never_settles_and_lets_the_next_rule_speak() -> None:
    found = settled([RESOLVED, THUMBS], [("thumbs", 1.0, START)], START + 9 * DAY, start=None)
    assert (found["outcome_resolved"], found["outcome"], found["outcome_rule"]) == (None, True, "thumbs")


@pytest.mark.parametrize(
    ("happened", "until", "expected"),
    [
        ([("accepted", None, START)], START + DAY, True),
        ([("accepted", None, START + 2 * DAY)], START + 3 * DAY, False),
        ([], START + DAY, False),
        ([], START, None),
    ],
)
def test_a_window_that_names_only_a_positive_waits_for_it(
    happened: list[Event], until: datetime, expected: object
) -> None:
    rule = OutcomeRule("taken", positive=("accepted",), within=DAY)
    assert settled([rule], happened, until)["outcome"] is expected


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        ([], None),
        ([("thumbs", 1.0, START)], True),
        ([("thumbs", -0.5, START)], False),
        ([("thumbs", 0.0, START)], None),
        ([("thumbs", None, START)], None),
        ([("thumbs", float("nan"), START)], None),
        ([("stars", -1.0, START)], None),
        ([("thumbs", -1.0, START), ("thumbs", 1.0, START + DAY)], True),
        ([("thumbs", 1.0, START), ("thumbs", 0.0, START + DAY)], True),
    ],
)
def test_without_a_window_the_latest_event_decides_and_none_says_nothing(
    happened: list[Event], expected: object
) -> None:
    assert settled([THUMBS], happened, None)["outcome"] is expected


def test_the_first_settled_rule_decides_and_a_disagreement_is_noted() -> None:
    happened: list[Event] = [("thumbs", 1.0, START), ("edited", None, START)]
    found = settled([EDITED, THUMBS], happened, None)
    assert (found["outcome"], found["outcome_rule"], found["conflict"]) == (False, "edited", True)
    found = settled([THUMBS, EDITED], happened, None)
    assert (found["outcome"], found["outcome_rule"], found["conflict"]) == (True, "thumbs", True)
    found = settled([THUMBS, EDITED], [("thumbs", 1.0, START), ("accepted", None, START)], None)
    assert found["conflict"] is False


def test_a_pending_rule_keeps_the_signal_pending_unless_one_above_it_is_settled() -> None:
    up: list[Event] = [("thumbs", 1.0, START)]
    young = START + DAY / 2
    found = settled([RESOLVED, THUMBS], up, young)
    assert (found["outcome"], found["outcome_rule"], found["outcome_thumbs"]) == (None, None, True)
    found = settled([THUMBS, RESOLVED], up, young)
    assert (found["outcome"], found["outcome_rule"]) == (True, "thumbs")
    found = settled([EDITED, RESOLVED], up, START + DAY)
    assert (found["outcome"], found["outcome_rule"]) == (True, "resolved")


def test_a_rule_named_rule_is_refused_with_the_way_out() -> None:
    with pytest.raises(SettingsError, match="Give it another name in \\[outcomes\\]"):
        settled([OutcomeRule("rule", score="thumbs")], [], None)


def test_a_rule_is_read_as_far_as_the_slowest_source_of_its_events() -> None:
    told = pl.DataFrame({"name": ["reopened", "reopened", "thumbs"], "source": ["a", "b", "c"]})
    marks = {"a": START + 3 * DAY, "b": START + 2 * DAY, "c": START}
    assert read_until([RESOLVED, THUMBS], told, marks, None) == {"resolved": START + 2 * DAY}
    assert read_until([RESOLVED], told, marks, START + DAY) == {"resolved": START + DAY}
    named = OutcomeRule("resolved", negative=("reopened",), within=DAY, source="a")
    assert read_until([named], told, marks, None) == {"resolved": START + 3 * DAY}


def test_a_rule_whose_source_is_unknown_is_not_read_at_all() -> None:
    nothing = pl.DataFrame(schema={"name": pl.String, "source": pl.String})
    assert read_until([RESOLVED], nothing, {"a": START}, START) == {"resolved": None}
    told = pl.DataFrame({"name": ["reopened", "reopened"], "source": ["a", "b"]})
    assert read_until([RESOLVED], told, {"a": START}, None) == {"resolved": None}


def test_the_summary_counts_states_and_conflicts_by_rule() -> None:
    rows = pl.DataFrame(
        {
            "outcome_edited": [False, None, True, None],
            "outcome_thumbs": [True, True, None, None],
            "outcome": [False, True, True, None],
            "conflict": [True, False, False, False],
        }
    )
    assert summary(rows, [EDITED, THUMBS]).rows() == [
        ("edited", 1, 1, 2, 1),
        ("thumbs", 2, 0, 2, 1),
        ("outcome", 2, 1, 1, 1),
    ]
    assert summary(rows, [EDITED]).columns == ["rule", "positive", "negative", "pending", "conflict"]


@pytest.mark.parametrize(
    ("limit", "score", "expected"),
    [
        ({"good_from": 0.5}, 0.5, True),
        ({"good_from": 0.5}, 0.49, False),
        ({"good_from": 0.5}, 0.0, False),
        ({"bad_from": 0.2}, 0.2, False),
        ({"bad_from": 0.2}, 0.0, True),
        ({"good_from": 0.5}, None, None),
        ({"good_from": 0.5}, float("nan"), None),
        ({}, 0.0, None),
    ],
)
def test_a_limit_parts_good_scores_from_bad_ones_and_without_one_the_sign_does(limit, score, expected) -> None:
    rule = OutcomeRule("helpful", score="helpful", **limit)
    assert settled([rule], [("helpful", score, START)], None)["outcome"] is expected
