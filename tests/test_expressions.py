"""What an expression may say, and what it is told when it says something else."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.errors import ExpressionError
from clworkbench.expressions import holds, parse

COLUMNS = ["app", "latency_ms", "score", "tags", "meta", "odd name"]
FRAME = pl.DataFrame(
    {
        "app": ["desk", "phone", None],
        "latency_ms": [100.0, 900.0, 500.0],
        "score": [1, 0, None],
        "tags": [["a"], [], ["b", "c"]],
        "meta": [{"k": 1}, {"k": 2}, {"k": 3}],
        "odd name": [True, False, True],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app = 'desk' and latency_ms < 500", [True, False, False]),
        ("app in ('desk', 'select') or latency_ms between 400 and 600", [True, False, True]),
        ("app is null", [False, False, True]),
        ("lower(app) like 'ph%'", [False, True, None]),
        ("case when score = 1 then true else false end", [True, False, False]),
        ('"odd name"', [True, False, True]),
        ("array_contains(tags, 'b')", [False, False, True]),
        ("meta.k >= 2", [False, True, True]),
        ("coalesce(app, 'from') = 'from'", [False, False, True]),
        ("not app = 'over (x)'", [True, True, None]),
    ],
)
def test_an_expression_gives_a_value_for_each_row(text: str, expected: list[bool | None]) -> None:
    assert FRAME.select(x=parse(text, COLUMNS))["x"].to_list() == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("app in (select app from t)", "a subquery is not allowed"),
        ("app in ( ( SELECT 1))", "a subquery is not allowed"),
        ("app in (from t)", "a subquery is not allowed"),
        ("exists (\n\tvalues (1))", "a subquery is not allowed"),
        ("select * from t", "a subquery is not allowed"),
        ("app in (/* x */ select 1)", "a comment"),
        ("app in (-- x\nselect 1)", "a comment"),
        ("read_csv('/etc/passwd')", "cannot be read: unsupported function 'read_csv'"),
        ("sum(score) > 1", "Agg looks at more than one row"),
        ("score - avg(score) > 0", "Agg looks at more than one row"),
        ("count(*) > 1", "Len looks at more than one row"),
        ("quantile_cont(score, 0.5) > 1", "Quantile looks at more than one row"),
        ("rank() over (order by score) = 1", "OVER looks at more than one row"),
        ("unnest(tags) = 'a'", "Explode looks at more than one row"),
        ("columns('a.*')", "Selector looks at more than one row"),
        ("*", "cannot be read"),
        ("latency_ms >", "cannot be read"),
        ("app = 'desk'; drop table x", "cannot be read"),
        ("__import__('os').system('true')", "cannot be read"),
        ("latency_ms < current_timestamp", "the clock would give other rows each time"),
        ("  ", "it is empty"),
        ("app = '" + "x" * 10_000 + "'", "characters, more than 10000"),
        ("(" * 4000 + "1" + ")" * 4000, "cannot be read"),
    ],
)
def test_what_reaches_further_than_a_row_is_refused(text: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=r"^expression") as caught:
        parse(text, COLUMNS)
    assert says in str(caught.value)
    assert "\n" in str(caught.value)


def test_a_subquery_never_opens_a_file(tmp_path: Path) -> None:
    for opening in ("(select", "(\u00a0select", "((from", "(\x0bwith t as (select"):
        with pytest.raises(ExpressionError) as caught:
            parse(f"app in {opening} a from read_csv('{tmp_path / 'none.csv'}'))", COLUMNS)
        assert "No such file" not in str(caught.value)


def test_an_unknown_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("latency > 500", ["app", "latency_ms"])
    assert str(caught.value) == (
        "expression 'latency > 500': no column 'latency' among ['app', 'latency_ms'].\nDid you mean latency_ms?"
    )


def test_an_unknown_column_like_nothing_known_gets_the_rule_of_quotes() -> None:
    with pytest.raises(ExpressionError, match="Text goes in single quotes"):
        parse('app = "desk"', ["app"])


@settings(max_examples=200)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["app", "(", ")", "'", "select", "[", "1", ",", "*", "$$", "::", "->", "."]), max_size=12
    ).map(" ".join)
)
def test_any_text_gives_an_expression_or_an_expression_error(text: str) -> None:
    try:
        found = parse(text, COLUMNS)
    except ExpressionError:
        return
    assert set(found.meta.root_names()) <= set(COLUMNS)


ATTRIBUTED = pl.DataFrame(
    {
        "app": ["desk", "desk", "phone", None],
        "attributes": ['{"tenant.id": "a", "n": 3}', '{"tenant": {"id": "b"}, "ok": true}', "not JSON", None],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attributes.tenant.id = 'a'", [True, False, None, None]),
        ("attributes.tenant.id in ('b', 'c') or app = 'phone'", [False, True, True, None]),
        ('"attributes.tenant.id" is null', [False, False, True, True]),
        ("cast(attributes.n as double) > 2", [True, None, None, None]),
        ("coalesce(attributes.ok, 'false') = 'true'", [False, True, False, False]),
        ("app = 'attributes.tenant.id'", [False, False, False, None]),
    ],
)
def test_an_attribute_is_read_out_of_the_json_under_one_key_or_two(text: str, expected: list[bool | None]) -> None:
    assert ATTRIBUTED.select(x=parse(text, ATTRIBUTED.columns))["x"].to_list() == expected


def test_attributes_of_a_table_without_any_are_an_unknown_column() -> None:
    with pytest.raises(ExpressionError, match=r"no column 'attributes\.x'"):
        parse("attributes.x = '1'", COLUMNS)


def test_where_an_expression_is_unknown_it_does_not_hold() -> None:
    assert holds(FRAME, "app = 'desk'", where="here").to_list() == [True, False, False]
    assert holds(FRAME, "true", where="here").to_list() == [True, True, True]
    assert holds(FRAME.clear(), "app = 'desk'", where="here").to_list() == []
    with pytest.raises(ExpressionError, match=r"^here: 'latency_ms' gives Float64, not true or false"):
        holds(FRAME, "latency_ms", where="here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at < timestamp '2026-03-01'", [True, False]),
        ("at >= TIMESTAMP '2026-03-01 11:00:00' and name = 'timestamp '", [False, True]),
        ("at < date '2026-03-01'", [True, False]),
    ],
)
def test_a_time_is_one_of_utc(text: str, expected: list[bool]) -> None:
    at = [datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC)]
    frame = pl.DataFrame({"at": at, "name": ["timestamp ", "timestamp "]})
    assert frame.select(x=parse(text, frame.columns))["x"].to_list() == expected
