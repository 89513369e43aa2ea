"""A text looked for in small letters finds what a pattern without case finds."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.slices.wording import BETWEEN, Wording, fits

LETTERS = st.characters(exclude_categories=("Cs",)) | st.sampled_from(
    "aAkKsSiI\u017f\u00df\u1e9e\u03a3\u03c3\u03c2\u0130\u0131\u00b5\u039c\uab70\u13a0\u212a"
)
TEXTS = st.text(LETTERS, max_size=6)


def by_pattern(rows: pl.DataFrame, text: str) -> list[bool]:
    pattern = f"(?i){re.escape(text)}"
    return [
        any(bool(each) for each in found)
        for found in rows.select(pl.all().str.contains(pattern).fill_null(value=False)).iter_rows()
    ]


@settings(max_examples=300)
@given(said=st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS), min_size=1, max_size=6), sought=TEXTS)
def test_a_text_is_found_as_a_pattern_without_case_finds_it(said, sought):
    rows = pl.DataFrame(said, schema={"text": pl.String, "answer": pl.String}, orient="row")
    found = Wording(rows, ("text", "answer")).contains(sought)
    assert found is None or found.to_list() == by_pattern(rows, sought)


@pytest.mark.parametrize(
    ("said", "sought", "is_there"),
    [
        ("Straße", "STRASSE", False),
        ("STRAẞE", "straße", True),
        ("la\u017ft", "last", True),
        ("KELVIN \u212a", "k", True),
    ],
)
def test_letters_that_look_alike_are_found_as_the_code_finds_them(said, sought, is_there):
    rows = pl.DataFrame({"text": [said], "answer": [None]}, schema_overrides={"answer": pl.String})
    assert Wording(rows, ("text", "answer")).contains(sought).to_list() == [is_there] == by_pattern(rows, sought)


def test_nothing_is_found_across_text_and_answer():
    rows = pl.DataFrame({"text": ["re"], "answer": ["fund"]})
    assert not Wording(rows, ("text", "answer")).contains("refund").any()
    assert Wording(rows, ("text", "answer")).contains(f"re{BETWEEN}fund") is None


def test_without_texts_no_copy_is_kept():
    assert not fits(pl.DataFrame({"app": ["a"]}), ())
    assert fits(pl.DataFrame({"text": ["a", None]}), ("text",))
