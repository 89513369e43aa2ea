"""An explorer's filters: as data, and as one expression that any text survives."""

import json
import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench import expressions
from clworkbench.errors import ExpressionError, SettingsError
from clworkbench.slices.filters import Filters

SIGNALS = pl.DataFrame(
    {
        "interaction_id": ["a", "b", "c", "d"],
        "outcome": [True, False, None, True],
        "app": ["desk", "it's -- (select", None, "desk"],
        "flag": [True, None, False, False],
        "feedback_names": [["edited", "thumbs"], [], None, ["thumbs"]],
        "text": ["Refund 100%", "STRASSE _", None, "refund"],
        "answer": ["ok", "no refund", "x", None],
        "started_at": [datetime(2026, 3, day, 23, 59, 59, tzinfo=UTC) for day in (1, 2, 3)] + [None],
        "attributes": ['{"tenant":{"id":"t1"}}', '{"tenant":{"id":"t2"}}', None, "{}"],
    },
    schema_overrides={"started_at": pl.Datetime("us", "UTC")},
)
SLICES = {"desk": "app = 'desk' or app is null"}


def found(**state) -> list[str]:
    text = Filters.of(state).sql(SIGNALS.schema, SLICES)
    held = expressions.holds(SIGNALS, text, where="filters") if text else pl.repeat(value=True, n=4, eager=True)
    return SIGNALS["interaction_id"].filter(held).to_list()


@pytest.mark.parametrize(
    ("state", "ids"),
    [
        ({}, "abcd"),
        ({"slice": "desk"}, "acd"),
        ({"outcome": ["bad"]}, "b"),
        ({"outcome": ["good", "pending"]}, "acd"),
        ({"values": {"app": ["desk"]}}, "ad"),
        ({"values": {"app": ["it's -- (select", None]}}, "bc"),
        ({"values": {"app": [None]}}, "c"),
        ({"values": {"flag": [False]}}, "cd"),
        ({"values": {"feedback_names": ["edited"]}}, "a"),
        ({"values": {"feedback_names": ["edited", None]}}, "ac"),
        ({"values": {"attributes.tenant.id": ["t2"]}}, "b"),
        ({"values": {"app": []}}, "abcd"),
        ({"text": "refund"}, "abd"),
        ({"text": "100%"}, "a"),
        ({"text": "strasse _"}, "b"),
        ({"since": "2026-03-02"}, "bc"),
        ({"until": "2026-03-02"}, "ab"),
        ({"since": "2026-03-02", "until": "2026-03-02"}, "b"),
        ({"where": "app = 'desk' or flag is null", "outcome": ["good"]}, "ad"),
        ({"slice": "desk", "text": "refund", "values": {"flag": [True]}}, "a"),
    ],
    ids=json.dumps,
)
def test_filters_find_what_they_say(state, ids):
    assert found(**state) == list(ids)
    assert Filters.of(Filters.of(state).state()) == Filters.of(state)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"colour": "red"}, "no filter 'colour'. There are slice, outcome,"),
        ({"outcome": ["so so"]}, "outcome 'so so' is none of good, bad, pending"),
        ({"outcome": "good"}, "outcome 'good' is no list"),
        ({"values": ["app"]}, "Write a list of values for each column"),
        ({"values": {"app": [{}]}}, "neither text nor number"),
        ({"values": {"confidence": [float("nan")]}}, "neither text nor number"),
        ({"text": 7}, "text 7 is no text"),
        ({"since": "yesterday"}, "since 'yesterday' is no day. Write it as 2026-03-31"),
        ({"until": "9999-12-31"}, "outside the calendar"),
        ({"where": "ap = 'desk'"}, "Did you mean app?"),
        ({"where": "text in (select a from read_csv('/etc/passwd'))"}, "a subquery is not allowed"),
        ({"values": {"ap": ["desk"]}}, "no column 'ap'"),
        ({"where": "app = 'a') or (app = 'b'"}, "cannot be read"),
    ],
)
def test_what_no_filter_is_is_told_in_words(state, said):
    with pytest.raises(ExpressionError, match=re.escape(said)):
        found(**state)


def test_a_slice_that_clw_toml_does_not_have_is_named():
    with pytest.raises(SettingsError, match="Did you mean 'desk'"):
        found(slice="dest")


def test_where_there_is_no_text_nothing_contains_one():
    text = Filters(text="a").sql(SIGNALS.select("app").schema)
    assert not expressions.holds(SIGNALS, text, where="filters").any()


DAYS = st.dates(min_value=datetime(1900, 1, 1).date(), max_value=datetime(2200, 1, 1).date())
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@settings(max_examples=200)
@given(app=TEXTS, text=TEXTS.filter(lambda each: "\x00" not in each), day=DAYS)
def test_any_text_as_a_value_finds_exactly_its_own_rows(app, text, day):
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "app": [app, app + "x", None],
            "text": [f"<{text}>", text, "\x00"],
            "started_at": [moment, moment + timedelta(days=1), moment - timedelta(microseconds=1)],
        }
    )
    asked = Filters.of({"values": {"app": [app]}, "text": text, "since": day.isoformat(), "until": day.isoformat()})
    assert expressions.holds(rows, asked.sql(rows.schema), where="filters").to_list() == [True, False, False]
