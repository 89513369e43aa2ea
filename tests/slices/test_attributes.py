"""Conditions of a search select the very rows that their SQL selects, whatever the columns hold."""

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.errors import ExpressionError
from clworkbench.expressions import holds
from clworkbench.slices.attributes import encode

HOSTILE = [
    "it's",
    "a--b",
    "(select",
    "((  from t",
    "/* x */",
    "'; drop table x",
    '"',
    "`",
    "\\",
    "$$",
    "\n",
    "\x00",
    "",
    "--",
]
TEXTS = st.sampled_from([*HOSTILE, "x", "y"]) | st.text(max_size=6)
FLOATS = st.floats(allow_nan=False, width=64) | st.sampled_from([0.1, -0.0, 1e-300, 2.5])
SMALL = st.floats(allow_nan=False, width=32)
NAMES = st.sampled_from(["app", "odd name", 'a"b', "select", "Group", "value", "a.b", "user", "end", "über", "case"])


def maybe(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | values


def column(values: st.SearchStrategy, n: int) -> st.SearchStrategy:
    return st.lists(maybe(values), min_size=n, max_size=n)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.integers(2, 40))
    moments = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1))
    made = {
        draw(NAMES): pl.Series(draw(column(TEXTS, n)), dtype=pl.String),
        "number": pl.Series(draw(column(FLOATS, n)), dtype=pl.Float64),
        "half": pl.Series(draw(column(SMALL, n)), dtype=pl.Float32),
        "whole": pl.Series(draw(column(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), n)), dtype=pl.Int64),
        "tiny": pl.Series(draw(column(st.integers(-128, 127), n)), dtype=pl.Int8),
        "flag": pl.Series(draw(column(st.booleans(), n)), dtype=pl.Boolean),
        "at": pl.Series(draw(column(moments, n)), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "there": pl.Series(draw(column(moments, n)), dtype=pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("America/St_Johns"),
        "tags": pl.Series(draw(column(st.lists(maybe(TEXTS), max_size=3), n)), dtype=pl.List(pl.String)),
        "kind": pl.Series(draw(column(st.sampled_from(["a'", "b"]), n)), dtype=pl.Enum(["a'", "b"])),
        "group": pl.Series(draw(column(TEXTS, n)), dtype=pl.String).cast(pl.Categorical),
        "attributes": pl.Series(
            draw(column(st.sampled_from(['{"k": 1}', '{"k": "it\'s"}', '{"a": {"b": true}}', "no JSON", "[]"]), n)),
            dtype=pl.String,
        ),
    }
    return pl.DataFrame(made)


@settings(max_examples=40)
@given(frames())
def test_each_condition_selects_what_its_sql_selects(frame: pl.DataFrame) -> None:
    by = [name for name in frame.columns if name != "attributes"] + ["attributes"]
    found, _ = encode(frame, by, least=1)
    for attribute in found:
        for place, text in enumerate(attribute.conditions):
            assert holds(frame, text, where="x").to_list() == attribute.rows(place).tolist(), (text, frame)


def test_rare_values_share_a_condition_and_null_has_its_own():
    app = ["a"] * 6 + ["b"] * 5 + ["c", "d", "e", None, None, None]
    found, _ = encode(pl.DataFrame({"app": app}), ["app"], least=3)
    assert found[0].conditions == ("app = 'a'", "app = 'b'", "app is null", "app not in ('a', 'b')")
    assert [int(found[0].rows(place).sum()) for place in range(4)] == [6, 5, 3, 3]


def test_numbers_are_ranges_of_quantiles_and_few_numbers_stand_for_themselves():
    frame = pl.DataFrame({"n": list(range(1000)), "score": [1, 2, 2, 5] * 250})
    many, few = encode(frame, ["n", "score"], least=40)[0]
    assert "n < 50" in many.conditions
    assert "n >= 949" in many.conditions  # 0.95 of the way from 0 to 999
    assert "n >= 300 and n < 400" in many.conditions
    ranges = {"score < 2", "score < 5", "score >= 2 and score < 5", "score >= 2", "score >= 5"}
    assert set(few.conditions) == ranges


def test_a_range_with_two_ends_knows_those_with_one():
    (many,) = encode(pl.DataFrame({"n": list(range(1000))}), ["n"], least=40)[0]
    place = many.conditions.index("n >= 300 and n < 400")
    assert [many.conditions[at] for at in many.wider[place]] == ["n < 400", "n >= 300"]
    assert many.wider[many.conditions.index("n < 50")].tolist() == [-1, -1]


def test_hours_and_weekdays_are_those_of_utc():
    at = [datetime(2026, 1, 5 + day, hour, tzinfo=UTC) for day in range(7) for hour in range(24)]  # from a Monday
    hours, days = encode(pl.DataFrame({"started_at": at}), ["started_at"], least=1)[0]
    night = hours.conditions.index("extract(hour from started_at) between 0 and 5")
    assert np.flatnonzero(hours.rows(night)).tolist() == [24 * d + h for d in range(7) for h in range(6)]
    weekend = days.conditions.index("extract(isodow from started_at) >= 6")
    assert np.flatnonzero(days.rows(weekend)).tolist() == list(range(120, 168))


def test_columns_that_part_nothing_are_named_with_their_reason():
    frame = pl.DataFrame(
        {
            "constant": ["a"] * 8,
            "empty": pl.Series([None] * 8, dtype=pl.String),
            "broken": [float("nan")] * 8,
            "nested": [{"a": 1}] * 8,
            "a--b": ["x", "y"] * 4,
            "ids": [str(i) for i in range(8)],
        }
    )
    found, skipped = encode(frame, frame.columns, least=2)
    assert found == []
    assert skipped["constant"] == "no condition on it parts the signals"
    assert skipped["empty"] == "empty in every row"
    assert skipped["broken"] == "holds NaN: make it null"
    assert skipped["nested"].startswith("holds Struct")
    assert "comment" in skipped["a--b"]
    assert skipped["ids"] == "no condition on it parts the signals"


def test_an_unknown_column_is_answered_with_the_nearest():
    with pytest.raises(ExpressionError, match="Did you mean app"):
        encode(pl.DataFrame({"app": ["a"]}), ["ap"], least=1)


def test_attributes_with_few_values_come_out_of_the_json():
    rows = [json.dumps({"tenant": {"id": "ab"[number % 2]}, "n": number}) for number in range(200)]
    found, _ = encode(pl.DataFrame({"attributes": rows}), ["attributes"], least=10)
    assert [attribute.name for attribute in found] == ["attributes.tenant.id"]
    assert found[0].conditions == ("\"attributes.tenant.id\" = 'a'", "\"attributes.tenant.id\" = 'b'")
