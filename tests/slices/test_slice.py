"""A slice has a name, an expression and a version, and one way to say which rows it holds."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clworkbench.errors import ExpressionError, SettingsError
from clworkbench.expressions import canonical, holds, text_in_sql
from clworkbench.slices.slice import Slice, memberships, named, names

FRAME = pl.DataFrame({"app": ["desk", "phone", None], "n": [1, 20, 300]})
DESK, LONG = Slice("desk", "app = 'desk'"), Slice("long", "n > 10")


def test_a_version_is_of_what_the_expression_says_not_of_how_it_is_spelled():
    one = Slice("a", "app='desk' AND not n >= 10 or app != 'x'")
    assert one.version == Slice("b", "app  =  'desk'\n and NOT n>=10 OR app <> 'x'").version
    assert one.version != Slice("a", "app='Desk' AND not n >= 10 or app != 'x'").version
    assert str(one) == f"a@{one.version}"
    assert len(one.version) == 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("App='a  b'", "App = 'a  b'"),
        ("LOWER( app )IN('x','y')", "lower ( app ) in ( 'x' , 'y' )"),
        ('"And" IS NULL', '"And" is null'),
        ("attributes.tenant.id='it''s'", "attributes.tenant.id = 'it''s'"),
    ],
)
def test_the_canonical_form_keeps_quoted_text_and_names(text: str, says: str):
    assert canonical(text) == says
    assert canonical(says) == says


def test_memberships_are_booleans_and_null_is_outside():
    found = memberships(FRAME, [DESK, LONG])
    assert found.to_dict(as_series=False) == {"desk": [True, False, False], "long": [False, True, True]}


def test_names_are_lists_in_the_order_of_the_slices():
    assert names(FRAME, [LONG, DESK]).to_list() == [["desk"], ["long"], ["long"]]
    assert names(FRAME, []).to_list() == [[], [], []]
    assert names(FRAME.clear(), [DESK]).to_list() == []
    assert names(FRAME.clear(), []).dtype == pl.List(pl.String)


def test_a_constant_expression_holds_in_every_row_or_none():
    assert memberships(FRAME, [Slice("everything", "true")])["everything"].to_list() == [True] * 3


def test_an_unknown_slice_names_those_there_are_and_the_nearest():
    with pytest.raises(SettingsError, match=r"no slice 'dsk' in clw.toml. \[slices\] has desk. Did you mean 'desk'"):
        named({"desk": "app = 'desk'"}, "dsk")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ap = 'desk'", "Did you mean app?"),
        ("app in (select x from read_csv('/etc/passwd'))", "a subquery is not allowed"),
        ("read_parquet('/etc/passwd')", "cannot be read"),
        ("n", "gives Int64, not true or false"),
        ("app > 3", "fails on these rows"),
    ],
)
def test_what_a_slice_cannot_be_is_said_with_its_name(text: str, says: str):
    with pytest.raises(ExpressionError, match=r"^slices\.s: ") as caught:
        Slice("s", text).holds(FRAME)
    assert says in str(caught.value)


@given(st.text() | st.lists(st.sampled_from(["-", "/", "*", "(", "select ", "'", "from"]), max_size=12).map("".join))
def test_any_text_in_sql_is_that_text(text: str):
    frame = pl.DataFrame({"a": [text, text + "x", None]})
    assert holds(frame, f"a = {text_in_sql(text)}", where="x").to_list() == [True, False, False]
