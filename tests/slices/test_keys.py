"""What rates stand by: columns, bins, attributes and periods; and what makes no groups, in words."""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest

from clworkbench.errors import ExpressionError
from clworkbench.slices.keys import keys
from clworkbench.slices.rates import rates


def test_few_numbers_stand_for_themselves_and_many_in_fifths_in_order():
    frame = pl.DataFrame({"stars": [1, 5] * 500, "ms": [float(i) for i in range(1000)], "n": range(1000)})
    found = keys(frame, ["stars", "ms", "n"])
    assert found["stars"].to_list()[:2] == [1, 5]
    assert found["ms"].unique().sort().to_list() == [
        "below 200", "200 to below 400", "400 to below 599", "599 to below 799", "799 and above",
    ]  # fmt: skip
    assert found["n"].value_counts().sort("n").rows() == [
        ("below 200", 200), ("200 to 399", 200), ("400 to 598", 199), ("599 to 798", 200), ("799 and above", 201),
    ]  # fmt: skip


def test_nan_is_not_known_and_one_heap_of_equal_numbers_is_a_group():
    found = keys(pl.DataFrame({"x": [float("nan"), None, *range(40)], "y": [7] * 30 + list(range(12))}), ["x", "y"])
    assert found["x"].null_count() == 2
    assert found["y"].n_unique() == 12


@pytest.mark.parametrize(
    ("every", "starts"),
    [
        ("hour", datetime(2026, 3, 1, 4, tzinfo=UTC)),
        ("day", datetime(2026, 3, 1, tzinfo=UTC)),
        ("week", datetime(2026, 2, 23, tzinfo=UTC)),
        ("month", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_period_begins_in_utc_whatever_zone_the_clock_was_in(every, starts):
    late = datetime(2026, 2, 28, 23, 30, tzinfo=timezone(timedelta(hours=-5)))  # 4:30 on Sunday 1 March in UTC
    zoned = pl.DataFrame({"started_at": pl.Series([late]).dt.convert_time_zone("America/New_York")})
    assert keys(zoned, [], every=every)[every].to_list() == [starts]
    naive = pl.DataFrame({"started_at": [datetime(2026, 3, 1, 4, 30)]})
    assert keys(naive, [], every=every)[every].to_list() == [starts.replace(tzinfo=None)]


def test_attributes_are_read_out_of_the_json():
    frame = pl.DataFrame({"attributes": ['{"tenant": {"id": "a"}}', '{"tenant.id": "b"}', "no JSON", None]})
    assert keys(frame, ["attributes.tenant.id"])["attributes.tenant.id"].to_list() == ["a", "b", None, None]


SIGNALS = pl.DataFrame(
    {
        "app": ["a", "b"],
        "text": ["x", "y"],
        "input": [[{"role": "user"}], []],
        "n": [1, 2],
        "attributes": ['{"tenant": {"id": "a"}}', '{"tenant": {"id": "b"}}'],
    }
)
MANY = pl.DataFrame(
    {"id": [str(i) for i in range(1001)], "at": [datetime(2026, 1, 1) + timedelta(i) for i in range(1001)]}
)


@pytest.mark.parametrize(
    ("frame", "by", "says"),
    [
        (SIGNALS, ["ap"], "Did you mean app?"),
        (SIGNALS, ["attributes.tennant.id"], "Did you mean attributes.tenant.id?"),
        (SIGNALS, ["attributes.q"], "There: attributes.tenant.id."),
        (SIGNALS, ["app", "text", "n", "attributes.tenant.id"], "at most 3"),
        (SIGNALS, ["app", "app"], "'app' stands twice"),
        (SIGNALS, ["input"], "makes no groups"),
        (MANY, ["id"], "1,001 different values in 1,001 rows. Write slices about it"),
        (MANY, ["at"], "Use every= (--every day)"),
    ],
)
def test_what_makes_no_groups_is_refused_in_words(frame, by, says):
    with pytest.raises(ExpressionError, match=r"^by: ") as caught:
        keys(frame, by)
    assert says in str(caught.value)


def test_time_of_undated_rows_and_unknown_periods_are_refused_in_words():
    with pytest.raises(ExpressionError, match="no column 'started_at'"):
        keys(SIGNALS, [], every="day")
    with pytest.raises(ExpressionError, match="'year' is no period"):
        keys(pl.DataFrame({"started_at": [datetime(2026, 1, 1)]}), [], every="year")


def test_rates_by_members_of_a_list_count_a_signal_for_each():
    frame = pl.DataFrame({"names": [["a", "b", "b"], ["a"], [], None], "outcome": [True, False, True, None]})
    found = rates(frame, "names", event=pl.col("outcome"))
    assert found.select("names", "n", "pending", "rate").rows() == [
        (None, 1, 1, 1.0),
        ("a", 2, 0, 0.5),
        ("b", 1, 0, 1.0),
    ]


def test_a_column_named_like_a_count_is_refused():
    with pytest.raises(ExpressionError, match="'n' is what rates call"):
        rates(SIGNALS, "n", event=pl.lit(value=True))
