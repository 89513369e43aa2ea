"""A slice is written into clw.toml and all else stays as it stands, or it is refused in words."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clworkbench.errors import SettingsError
from clworkbench.settings import parse_settings, template
from clworkbench.settings.editing import with_slice


def test_a_slice_goes_under_its_header_and_comments_stay():
    before = template()
    after = with_slice(before, "late", "latency_ms > 500")
    assert parse_settings(after).slices == {"late": "latency_ms > 500"}
    added = 'late = "latency_ms > 500"\n'
    assert after.replace(added, "") == before
    assert after.index("[slices]\n" + added) > 0
    twice = with_slice(after, "b-2", "app = 'x'")
    assert twice.index(added + "b-2 = ") > 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[slices]\na = "x"\n'),
        ("format = 1", 'format = 1\n\n[slices]\na = "x"\n'),
        ("format = 1\n", 'format = 1\n\n[slices]\na = "x"\n'),
        ("[slices]", '[slices]\na = "x"\n'),
        (
            "[slices] # mine\nb = 'y' # why\n\n# next\n[policy]\n",
            "[slices] # mine\nb = 'y' # why\na = \"x\"\n\n# next\n[policy]\n",
        ),
        ("format = 1\r\n[slices]\r\nb = 'y'\r\n", "format = 1\r\n[slices]\r\nb = 'y'\r\na = \"x\"\r\n"),
        ("[slices]\na = 'x'\n", "[slices]\na = 'x'\n"),
        ("[slices]\nb = '''\nmany\nlines'''\n", "[slices]\nb = '''\nmany\nlines'''\n"),
    ],
)  # fmt: skip
def test_the_line_stands_where_a_person_would_put_it(before: str, after: str):
    if "'''" in before:
        with pytest.raises(SettingsError, match="not safe to edit"):
            with_slice(before, "a", "x")
    else:
        assert with_slice(before, "a", "x") == after


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("[slices]\na = 'y'\n", "a", "there is a slice 'a' already: 'y'"),
        ("slices = { b = 'y' }\n", "a", 'not safe to edit.\nAdd it by hand under [slices]: a = "x"'),
        ("slices.b = 'y'\n", "a", "not safe to edit"),
        ("slices = 3\n", "a", "slices is no table"),
        ("[slices\n", "a", "not TOML"),
        ("x = '''\n[slices]\n'''\n", "a", "not safe to edit"),
        ("", "a b", "letters, digits, - and _ only"),
        ("", "a\n[policy]", "letters, digits"),
        ("", "", "letters, digits"),
    ],
)
def test_what_is_not_safe_is_refused_in_words(text: str, name: str, says: str):
    with pytest.raises(SettingsError) as caught:
        with_slice(text, name, "x")
    assert says in str(caught.value)


def test_another_expression_takes_the_old_ones_line_where_that_is_asked_for():
    after = with_slice("[slices]\na = 'y' # old\nb = 'z'\n", "a", "x", replace=True)
    assert after == "[slices]\na = \"x\"\nb = 'z'\n"
    with pytest.raises(SettingsError, match="not safe"):
        with_slice("[slices]\na = '''\ny'''\n", "a", "x", replace=True)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_expression_is_read_back_as_it_was(text: str):
    assert tomllib.loads(with_slice("[slices]\n[policy]\n", "a", text))["slices"] == {"a": text}
